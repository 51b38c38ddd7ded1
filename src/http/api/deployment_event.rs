//! What happens to a deployment: the engine's events that were kept, and its state as it changes.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::app;
use crate::bus::Topic;
use crate::domain::access::Caller;
use crate::domain::clock::Timestamp;
use crate::domain::name::{DeploymentId, ServiceName};
use crate::http::State;
use crate::http::api::Reply;
use crate::http::api::deployment_status::Deployment;
use crate::http::api::live::{self, Form, Sink};
use crate::http::api::query::Query;
use crate::http::identity::Who;
use crate::store::observation::EngineNote;

noun! {
    get "/deployments/{id}/events" => list,
    get "/deployments/{id}/watch" => watch,
}

/// Something that happened to a replica.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReplicaEvent {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub service: ServiceName,
    /// Counted from 1.
    pub replica: u32,
    /// The engine's word, e.g. `die`.
    pub what: String,
    pub detail: String,
}

impl From<EngineNote> for ReplicaEvent {
    fn from(note: EngineNote) -> Self {
        Self {
            at: note.at,
            service: note.service,
            replica: note.slot + 1,
            what: note.what,
            detail: note.detail,
        }
    }
}

/// How many.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Newest {
    /// At most this many, 1 to 200; 50 where none is said. No more than 200 are kept.
    limit: Option<u32>,
}

/// List what the engine last told of a deployment's replicas, newest first.
#[utoipa::path(get, path = "/deployments/{id}/events", tag = "deployments", operation_id = "listEvents",
    params(("id" = String, Path, description = "The deployment's id or uuid"), Newest),
    responses((status = 200, body = [ReplicaEvent], example = json!([{ "at": "2026-11-16T14:36:54.000Z", "service": "api",
        "replica": 1, "what": "die", "detail": "exit code 137" }]))))]
async fn list(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    query: Query<Newest>,
) -> Reply<Json<Vec<ReplicaEvent>>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let limit = query.0.limit.unwrap_or(50).clamp(1, 200);
    let events = app::deployment::events(&state.app, &who, id, limit).await?;
    Ok(Json(events.into_iter().map(ReplicaEvent::from).collect()))
}

/// Follow a deployment: an event `deployment` with the whole resource now and whenever it changes.
#[utoipa::path(get, path = "/deployments/{id}/watch", tag = "deployments", operation_id = "watchDeployment",
    params(("id" = String, Path, description = "The deployment's id or uuid")),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
async fn watch(request: HttpRequest, state: Data<State>, who: Who, id: Path<String>) -> Reply<HttpResponse> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let topics = state.app.store.bus().subscribe();
    app::deployment::get(&state.app, &who, id.clone()).await?;
    let (shown, of) = (state.clone(), id.clone());
    let produce = move |sink: Sink| async move { follow(&shown, &who, of, topics, &sink).await };
    let checked = state.clone();
    let allowed = move |caller: Caller| {
        let (state, id) = (checked.clone(), id.clone());
        async move { app::deployment::get(&state.app, &caller, id).await.map(drop) }
    };
    Ok(live::respond(&request, state, Form::Events, produce, allowed))
}

/// Sends the resource whenever it reads differently, until it is gone.
async fn follow(state: &State, caller: &Caller, id: DeploymentId, mut topics: Receiver<Topic>, sink: &Sink) {
    let mut last = String::new();
    loop {
        let Ok(detail) = app::deployment::detail(&state.app, caller, id.clone()).await else {
            return;
        };
        let now = serde_json::to_string(&Deployment::from(detail)).unwrap_or_default();
        if now != last && !sink.send(live::event("deployment", None, &now)).await {
            return;
        }
        last = now;
        loop {
            match topics.recv().await {
                Ok(Topic::Deployment(changed)) if changed == id => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return,
            }
        }
    }
}
