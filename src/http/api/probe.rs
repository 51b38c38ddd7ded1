//! What a deployment's own programs answer for their health and with their metrics, and the counters of its replicas.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};

use crate::app;
use crate::app::deployment::Detail;
use crate::app::probe::{Answered, Asked, Of};
use crate::domain::name::ServiceName;
use crate::domain::pipeline::definition::own_service;
use crate::engine::Condition;
use crate::http::State;
use crate::http::api::deployment_status::HealthReport;
use crate::http::api::query::Query;
use crate::http::api::{Reply, deployment_object};
use crate::http::identity::Who;

noun! {
    get "/deployments/{id}/health" => health,
    get "/deployments/{id}/metrics" => metrics,
    get "/deployments/{id}/status" => status,
}

/// Which replica is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Of a pipeline its own service where none is named; else the only one that answers.
    service: Option<ServiceName>,
    /// Counted from 1; the first where none is named.
    replica: Option<u32>,
}

impl Which {
    fn of(self) -> Of {
        Of { service: self.service, replica: self.replica }
    }
}

/// The answer as it came, never as something that a browser would run.
fn passed_on(answered: Answered) -> HttpResponse {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&answered.body).is_ok();
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let kind = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
    HttpResponse::build(status).content_type(kind).body(answered.body)
}

/// Say how a deployment is, and what makes it so.
///
/// Of a pipeline the replica's own program is asked (`/q/health` unless the pipeline says otherwise), and its answer passed
/// on with its status: 500 and more is an unhealthy deployment. Of a bundle it is what Slipway observed.
#[utoipa::path(get, path = "/deployments/{id}/health", tag = "deployments", operation_id = "getDeploymentHealth",
    params(("id" = String, Path, description = "The deployment's id or uuid"), Which),
    responses((status = 200, body = HealthReport, example = json!({ "health": "HEALTHY", "sync": "in_sync", "ready": 2, "wanted": 2,
        "messages": [], "changedAt": "2026-11-16T14:36:54.000Z" }))))]
async fn health(state: Data<State>, who: Who, id: Path<String>, which: Query<Which>) -> Reply<HttpResponse> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let (deployment, summary) = app::deployment::with_summary(&state.app, &who, id.clone()).await?;
    if deployment.source.pipeline().is_none() {
        return Ok(HttpResponse::Ok().json(HealthReport::from(summary.state)));
    }
    let answered = app::probe::ask(&state.app, &who, id, Asked::Health, which.0.of()).await?;
    Ok(passed_on(answered))
}

/// Pass on the metrics that a replica's own program answers with.
///
/// Of a pipeline at `/q/metrics` unless it says otherwise; of a bundle where `x-slipway.metrics` says.
#[utoipa::path(get, path = "/deployments/{id}/metrics", tag = "deployments", operation_id = "getDeploymentMetrics",
    params(("id" = String, Path, description = "The deployment's id or uuid"), Which),
    responses((status = 200, content((String = "text/plain"), (Object = "application/json")))))]
async fn metrics(state: Data<State>, who: Who, id: Path<String>, which: Query<Which>) -> Reply<HttpResponse> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let answered = app::probe::ask(&state.app, &who, id, Asked::Metrics, which.0.of()).await?;
    Ok(passed_on(answered))
}

/// The counters of a deployment's replicas, in the words of a Kubernetes Deployment; of a pipeline its own alone.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    pub available_replicas: u32,
    /// Always 0: Slipway's names do not collide.
    pub collision_count: u32,
    #[schema(value_type = Vec<Condition>)]
    pub conditions: Vec<serde_json::Value>,
    /// The number of the update that runs.
    pub observed_generation: u32,
    pub ready_replicas: u32,
    /// Those that there are.
    pub replicas: u32,
    /// Those that are asked for and not ready.
    pub unavailable_replicas: u32,
    /// Those that the update which runs has made or kept.
    pub updated_replicas: u32,
}

impl From<Detail> for Counters {
    fn from(detail: Detail) -> Self {
        let own = detail.deployment.source.pipeline().map(|_| own_service());
        let ours = |service: &ServiceName| own.as_ref().is_none_or(|own| own == service);
        let slots: Vec<_> = detail.slots.iter().filter(|slot| ours(&slot.slot.service)).collect();
        let running = detail.running.as_ref();
        let is_task = |service: &ServiceName| {
            let service = running.and_then(|plan| plan.workload.services.get(service));
            service.is_some_and(|service| service.kind == crate::domain::workload::ServiceKind::Task)
        };
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let ready = slots.iter().filter(|slot| slot.phase.is_ready(is_task(&slot.slot.service))).count();
        let serving = slots.iter().filter(|slot| slot.serving).count();
        let services = running.into_iter().flat_map(|plan| &plan.workload.services);
        let wanted: u32 = services.filter(|(name, _)| ours(name)).map(|(_, service)| service.replicas).sum();
        let objects: Vec<_> = detail.objects.iter().filter(|object| ours(&object.service)).cloned().collect();
        let told = deployment_object::by_name(&detail.deployment.id, &objects);
        Self {
            available_replicas: count(ready),
            collision_count: 0,
            conditions: told.into_values().flat_map(|object| object.conditions).collect(),
            observed_generation: detail.deployment.running_update.unwrap_or(0),
            ready_replicas: count(ready),
            replicas: count(slots.len()),
            unavailable_replicas: wanted.saturating_sub(count(ready)),
            updated_replicas: count(serving),
        }
    }
}

/// Count a deployment's replicas.
#[utoipa::path(get, path = "/deployments/{id}/status", tag = "deployments", operation_id = "getDeploymentStatus",
    params(("id" = String, Path, description = "The deployment's id or uuid")),
    responses((status = 200, body = Counters)))]
async fn status(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<Counters>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    Ok(Json(app::deployment::detail(&state.app, &who, id).await?.into()))
}
