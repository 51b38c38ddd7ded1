//! Deployments: listed, made, saved, deleted. Nothing here makes anything run: an update does.
//!
//! A deployment is addressed by its id or by its uuid. DataCater's own payloads, whose `spec` names a `pipeline`, are
//! another shape of `spec` ([`PipelineDeploymentRequest`]): there POST and PUT queue an update at once, and DELETE stops
//! before it deletes.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::app;
use crate::app::deployment::{Detail, Sort};
use crate::domain::health::Health;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, StageId, VolumeName};
use crate::domain::page::PageRequest;
use crate::domain::{Error, Result};
use crate::http::State;
use crate::http::api::body::{Body, Fetched};
use crate::http::api::deployment_body::{
    AnyDeploymentReplacement, AnyDeploymentRequest, DeploymentPatch, DeploymentReplacement, DeploymentRequest,
};
use crate::http::api::deployment_status::{Deployment, Slot, slots};
use crate::http::api::pipeline_deployment::PipelineDeploymentRequest;
use crate::http::api::query::Query;
use crate::http::api::{Reply, answer, query};
use crate::http::identity::Who;

noun! {
    get "/deployments" => list,
    post "/deployments" => create,
    get "/deployments/{id}" => get,
    put "/deployments/{id}" => replace,
    patch "/deployments/{id}" => change,
    delete "/deployments/{id}" => delete,
    get "/deployments/{id}/volumes" => list_volumes,
    get "/deployments/{id}/slots" => list_slots,
}

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    #[default]
    Asc,
    Desc,
}

/// Which deployments are listed, and how.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    project: Option<ProjectKey>,
    infrastructure: Option<InfrastructureId>,
    stage: Option<StageId>,
    health: Option<Health>,
    /// `true`: only what is neither healthy nor stopped nor new.
    #[serde(default)]
    #[param(required = false)]
    attention: bool,
    /// `true`: only those of which the engine holds something.
    #[serde(default, rename = "in-cluster")]
    #[param(required = false)]
    in_cluster: bool,
    /// Part of the id or of the name.
    q: Option<String>,
    /// `health` puts the worst first. The id breaks ties.
    #[serde(default)]
    #[param(required = false)]
    sort: Sort,
    #[serde(default)]
    #[param(required = false)]
    order: Order,
    /// At most this many entries, 1 to 500. Without it all come.
    limit: Option<u32>,
    /// The cursor of the page before, from its `Link` header.
    after: Option<String>,
}

/// List the deployments that the caller may see.
#[utoipa::path(get, path = "/deployments", tag = "deployments", operation_id = "listDeployments", params(Filter),
    responses((status = 200, body = [Deployment])))]
async fn list(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    query: Query<Filter>,
) -> Reply<HttpResponse> {
    let given = query.0;
    let page = query::page(given.limit, given.after)?;
    let filter = app::deployment::Filter {
        project: given.project,
        infrastructure: given.infrastructure,
        stage: given.stage,
        health: given.health,
        attention: given.attention,
        in_cluster: given.in_cluster,
        bundles: false,
        text: given.q,
        sort: given.sort,
        descending: given.order == Order::Desc,
    };
    let fetch = move |page: PageRequest| {
        let (state, who, filter) = (state.clone(), who.clone(), filter.clone());
        async move {
            let found = app::deployment::list_with_objects(&state.app, &who, filter, page).await?;
            Ok(found.map(Deployment::from))
        }
    };
    answer::list(&request, page, fetch).await
}

/// Everything about a deployment, with addresses as those who reach this server have them.
async fn detail(state: &State, who: &Who, id: DeploymentId) -> Result<Detail> {
    let detail = app::deployment::detail(&state.app, who, id).await?;
    Ok(detail.seen_from(state.settings.base_url.host_str()))
}

/// One deployment as it is now, with its settings' ETag.
pub(super) async fn answered(state: &State, who: &Who, id: DeploymentId) -> Result<HttpResponse> {
    let detail = detail(state, who, id).await?;
    Ok(answer::tagged(detail.deployment.revision, &Deployment::from(detail)))
}

/// Whether a body is of DataCater's shape.
fn names_pipeline(body: &Fetched) -> bool {
    body.0.get("spec").is_some_and(|spec| spec.get("pipeline").is_some())
}

/// Make a deployment: of a bundle, or of a pipeline.
///
/// Of a bundle nothing runs before its first update; a pipeline's is updated at once, as DataCater does it. Takes `deploy`
/// on its project, or to be in the pipeline's group, and `deploy` on its infrastructure.
#[utoipa::path(post, path = "/deployments", tag = "deployments", operation_id = "createDeployment",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content((AnyDeploymentRequest = "application/json", examples(
        ("bundle" = (value = json!({ "name": "iris-on-local", "spec": { "project": "iris", "bundle": "1.0",
            "infrastructure": "local", "environment": { "LOG_LEVEL": "info" }, "services": { "api": { "replicas": 2 } },
            "secrets": { "API_TOKEN": "s3cret" } } }))),
        ("pipeline" = (value = json!({ "name": "clean-orders", "spec": { "pipeline": "dc161a69-fa49-4b1a-b1b1-6d8246d50d71",
            "stream-in-config": { "uuid": "dc161a69-fa49-4b1a-b1b1-6d8246d50d72" } } }))))),
        (AnyDeploymentRequest = "application/yaml"))),
    responses((status = 200, body = Deployment)))]
async fn create(state: Data<State>, who: Who, body: Body<Fetched>) -> Reply<HttpResponse> {
    let made = if names_pipeline(&body.value) {
        let new = body.value.read::<PipelineDeploymentRequest>()?.into_new()?;
        app::pipeline::deploy(&state.app, &who, new, body.once).await?
    } else {
        let new = body.value.read::<DeploymentRequest>()?.into_new()?;
        app::deployment::create(&state.app, &who, new, body.once).await?
    };
    Ok(answered(&state, &who, made.id.clone()).await?)
}

/// Get a deployment.
#[utoipa::path(get, path = "/deployments/{id}", tag = "deployments", operation_id = "getDeployment",
    params(("id" = String, Path, description = "The deployment's id or uuid")),
    responses((status = 200, body = Deployment)))]
async fn get(state: Data<State>, who: Who, id: Path<String>) -> Reply<HttpResponse> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    Ok(answered(&state, &who, id).await?)
}

/// Replace a deployment's settings; secrets that are not named stay.
///
/// Of a bundle nothing runs differently before the next update; a pipeline's is updated at once, as DataCater does it.
#[utoipa::path(put, path = "/deployments/{id}", tag = "deployments", operation_id = "replaceDeployment",
    params(("id" = String, Path, description = "The deployment's id or uuid"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the settings that were read")),
    request_body(content((AnyDeploymentReplacement = "application/json",
        example = json!({ "spec": { "project": "iris", "bundle": "1.1", "infrastructure": "local" } })),
        (AnyDeploymentReplacement = "application/yaml"))),
    responses((status = 200, body = Deployment)))]
async fn replace(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: Body<Fetched>,
) -> Reply<HttpResponse> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let revision = answer::if_match(&request)?;
    if names_pipeline(&body.value) {
        let changes = body.value.read::<PipelineDeploymentRequest>()?.into_changes(revision)?;
        app::pipeline::redeploy(&state.app, &who, id.clone(), changes, body.once).await?;
    } else {
        let before = app::deployment::get(&state.app, &who, id.clone()).await?;
        if before.source.pipeline().is_some() {
            return Err(
                Error::field("spec.pipeline", "it is missing; this deployment runs a pipeline").into()
            );
        }
        let changes = body.value.read::<DeploymentReplacement>()?.into_changes(&before, revision)?;
        app::deployment::save(&state.app, &who, id.clone(), changes).await?;
    }
    Ok(answered(&state, &who, id).await?)
}

/// Change some of a deployment's settings: what is left out stays as it is.
#[utoipa::path(patch, path = "/deployments/{id}", tag = "deployments", operation_id = "changeDeployment",
    params(("id" = String, Path, description = "The deployment's id or uuid"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the settings that were read")),
    request_body(content = DeploymentPatch, example = json!({ "spec": { "bundle": "1.1", "services": { "api": { "replicas": 3 } } }, "reason": "more traffic" })),
    responses((status = 200, body = Deployment)))]
async fn change(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: Body<DeploymentPatch>,
) -> Reply<HttpResponse> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let before = app::deployment::get(&state.app, &who, id.clone()).await?;
    let changes = body.value.into_changes(&before, answer::if_match(&request)?);
    app::deployment::save(&state.app, &who, id.clone(), changes).await?;
    Ok(answered(&state, &who, id).await?)
}

/// What of a deleted deployment goes with it.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Remains {
    /// `true`: its named volumes are removed from the engine, with all that they hold. Otherwise they stay, and a
    /// deployment of the same id finds them again.
    #[serde(default)]
    #[param(required = false)]
    volumes: bool,
}

/// List the named volumes that a deployment's updates have made. They outlive updates and stops.
#[utoipa::path(get, path = "/deployments/{id}/volumes", tag = "deployments", operation_id = "listVolumes",
    params(("id" = String, Path, description = "The deployment's id or uuid")),
    responses((status = 200, body = [VolumeName])))]
async fn list_volumes(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<Vec<VolumeName>>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    Ok(Json(app::deployment::volumes(&state.app, &who, id).await?))
}

/// Delete a deployment that is stopped, or was never updated.
///
/// A pipeline's is stopped first: it goes as soon as nothing of it runs, and is answered with `deleting` until then.
#[utoipa::path(delete, path = "/deployments/{id}", tag = "deployments", operation_id = "deleteDeployment",
    params(("id" = String, Path, description = "The deployment's id or uuid"), Remains),
    responses((status = 200, body = Deployment)))]
async fn delete(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    remains: Query<Remains>,
) -> Reply<Json<Deployment>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let last = detail(&state, &who, id.clone()).await?;
    if last.deployment.source.is_bundle() {
        app::deployment::delete(&state.app, &who, id, remains.0.volumes).await?;
    } else {
        app::deployment::remove(&state.app, &who, id, remains.0.volumes).await?;
    }
    Ok(Json(last.into()))
}

/// List a deployment's replicas, as they were last observed.
#[utoipa::path(get, path = "/deployments/{id}/slots", tag = "deployments", operation_id = "listSlots",
    params(("id" = String, Path, description = "The deployment's id or uuid")),
    responses((status = 200, body = [Slot])))]
async fn list_slots(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<Vec<Slot>>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let detail = detail(&state, &who, id).await?;
    Ok(Json(slots(&detail)))
}
