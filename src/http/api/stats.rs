//! What a deployment's replicas use right now.

use actix_web::web::{Data, Json, Path};
use serde::Serialize;

use crate::app;
use crate::app::stats::SlotStats;
use crate::domain::name::ServiceName;
use crate::engine::Stats;
use crate::http::State;
use crate::http::api::Reply;
use crate::http::identity::Who;

noun! {
    get "/deployments/{id}/stats" => stats,
}

/// What one replica uses.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReplicaStats {
    pub service: ServiceName,
    /// Counted from 1.
    pub replica: u32,
    /// Absent when the engine does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<Stats>,
    /// Why they are absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<SlotStats> for ReplicaStats {
    fn from(slot: SlotStats) -> Self {
        let (stats, error) = match slot.stats {
            Ok(stats) => (Some(stats), None),
            Err(error) => (None, Some(error.message)),
        };
        Self { service: slot.service, replica: slot.replica, stats, error }
    }
}

/// Ask the engine what a deployment's running replicas use now.
#[utoipa::path(get, path = "/deployments/{id}/stats", tag = "deployments", operation_id = "getStats",
    params(("id" = String, Path, description = "The deployment's id or uuid")),
    responses((status = 200, body = [ReplicaStats], example = json!([{ "service": "api", "replica": 1,
        "stats": { "cpus": 0.31, "memoryBytes": 73400320, "memoryLimitBytes": 536870912, "pids": 7 } }]))))]
async fn stats(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<Vec<ReplicaStats>>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let stats = app::stats::of(&state.app, &who, id).await?;
    Ok(Json(stats.into_iter().map(ReplicaStats::from).collect()))
}
