//! Groups: whom rights can be given to.

use actix_web::web::{Data, Json};
use serde::Serialize;

use crate::app;
use crate::domain::name::GroupName;
use crate::http::State;
use crate::http::api::Reply;
use crate::http::identity::Who;

noun! {
    get "/groups" => list,
}

/// A group.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Group {
    /// As the identity provider spells it.
    pub name: GroupName,
}

/// List the groups: an administrator sees every group that anything names, others see their own.
#[utoipa::path(get, path = "/groups", tag = "groups", operation_id = "listGroups",
    responses((status = 200, body = [Group], example = json!([{ "name": "ml-deployers" }]))))]
async fn list(state: Data<State>, who: Who) -> Reply<Json<Vec<Group>>> {
    let groups = app::user::groups(&state.app, &who).await?;
    Ok(Json(groups.into_iter().map(|name| Group { name }).collect()))
}
