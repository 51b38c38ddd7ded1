//! Stages.

use actix_web::web::{Data, Json};
use serde::Serialize;

use super::operations;
use crate::app;
use crate::domain::name::StageId;
use crate::http::State;
use crate::http::api::Reply;
use crate::http::identity::Who;

operations! {
    get "/project-deployer/stages" => list,
}

#[derive(Debug, Serialize)]
struct Stage {
    id: StageId,
    desc: String,
}

async fn list(state: Data<State>, _: Who) -> Reply<Json<Vec<Stage>>> {
    let stages = app::stage::list(&state.app).await?.into_iter();
    Ok(Json(stages.map(|stage| Stage { id: stage.id, desc: stage.description }).collect()))
}
