//! Stages: the lifecycle order of infrastructures.

use actix_web::web::{Data, Json};

use crate::app;
use crate::domain::stage::Stage;
use crate::http::State;
use crate::http::api::Reply;
use crate::http::api::body::Body;
use crate::http::identity::Who;

noun! {
    get "/stages" => list,
    put "/stages" => replace,
}

/// List the stages, in their order.
#[utoipa::path(get, path = "/stages", tag = "stages", operation_id = "listStages",
    responses((status = 200, body = [Stage], example = json!([{ "id": "dev", "description": "Dev" }]))))]
async fn list(state: Data<State>, _who: Who) -> Reply<Json<Vec<Stage>>> {
    Ok(Json(app::stage::list(&state.app).await?))
}

/// Replace the list of stages: order, descriptions, additions and removals at once.
///
/// Takes an administrator.
#[utoipa::path(put, path = "/stages", tag = "stages", operation_id = "replaceStages",
    request_body(content = [Stage], example = json!([{ "id": "dev", "description": "Dev" }, { "id": "prod", "description": "Prod" }])),
    responses((status = 200, body = [Stage])))]
async fn replace(state: Data<State>, who: Who, body: Body<Vec<Stage>>) -> Reply<Json<Vec<Stage>>> {
    Ok(Json(app::stage::replace(&state.app, &who, body.value).await?))
}
