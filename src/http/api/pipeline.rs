//! Pipelines: images between two streams. In DataCater's shapes.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::app;
use crate::app::resource::Draft;
use crate::domain::Result;
use crate::domain::name::{GroupName, Label};
use crate::domain::page::PageRequest;
use crate::domain::pipeline::{self, PipelineSpec};
use crate::http::State;
use crate::http::api::body::{Body, Fetched};
use crate::http::api::query::Query;
use crate::http::api::resource::{Listed, Resource};
use crate::http::api::{Reply, answer, named, query};
use crate::http::identity::Who;

noun! {
    get "/pipelines" => list,
    post "/pipelines" => create,
    get "/pipelines/{uuid}" => get,
    put "/pipelines/{uuid}" => save,
    delete "/pipelines/{uuid}" => delete,
}

/// A pipeline to be made, or what it shall be from now on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineRequest {
    /// For people; need not be unique.
    pub name: Label,
    /// `image` (the configured one where none is named), `command` (argv), `images` (that run beside it, by name), `stream-in` and
    /// `stream-out` (uuids), `infrastructure`, `replicas`, `config` (the pipeline's own options; secrets are kept sealed
    /// and answered as `********`), `health` and `metrics` (`{port, path}`). Whatever else it holds (`steps`, …) reaches the
    /// images as it is, in the file `/usr/app/mounts/spec`.
    #[schema(value_type = Object)]
    pub spec: Value,
    /// DataCater's place for `stream-in` and `stream-out`.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
    /// Whose it is; the first of the caller's groups that is no admin group when none is named.
    pub group: Option<GroupName>,
}

impl PipelineRequest {
    fn into_draft(self) -> Result<Draft<PipelineSpec>> {
        let spec = PipelineSpec::parse(&self.spec, self.metadata.as_ref())?;
        Ok(Draft { name: self.name, group: self.group, spec })
    }
}

fn shown(mut pipeline: pipeline::Pipeline) -> Resource {
    // The streams stand once, where DataCater's clients change them.
    let metadata = pipeline.spec.shown_metadata();
    pipeline.spec.metadata.clear();
    (pipeline.spec.stream_in, pipeline.spec.stream_out) = (None, None);
    Resource::new(pipeline, Some(metadata))
}

/// List the pipelines of the caller's groups.
#[utoipa::path(get, path = "/pipelines", tag = "pipelines", operation_id = "listPipelines", params(Listed),
    responses((status = 200, body = [Resource])))]
async fn list(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    query: Query<Listed>,
) -> Reply<HttpResponse> {
    let Listed { q, limit, after } = query.0;
    let fetch = move |page: PageRequest| {
        let (state, who, q) = (state.clone(), who.clone(), q.clone());
        async move {
            let found = app::pipeline::list(&state.app, &who, q, page).await?;
            Ok(found.map(|(pipeline, _)| shown(pipeline)))
        }
    };
    answer::list(&request, query::page(limit, after)?, fetch).await
}

/// Make a pipeline.
#[utoipa::path(post, path = "/pipelines", tag = "pipelines", operation_id = "createPipeline",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content((PipelineRequest = "application/json", example = json!({ "name": "clean", "spec": { "image": "team/clean:1",
        "stream-in": "dc161a69-fa49-4b1a-b1b1-6d8246d50d72", "stream-out": "dc161a69-fa49-4b1a-b1b1-6d8246d50d73",
        "config": { "batch": 100 } } })), (PipelineRequest = "application/yaml"))),
    responses((status = 200, body = Resource)))]
async fn create(state: Data<State>, who: Who, body: Body<Fetched>) -> Reply<HttpResponse> {
    let made = app::pipeline::create(
        &state.app,
        &who,
        body.value.read::<PipelineRequest>()?.into_draft()?,
        body.once,
    )
    .await?;
    Ok(answer::tagged(made.revision, &shown(made.into_inner())))
}

/// Get a pipeline.
#[utoipa::path(get, path = "/pipelines/{uuid}", tag = "pipelines", operation_id = "getPipeline",
    params(("uuid" = String, Path, description = "The pipeline's uuid")),
    responses((status = 200, body = Resource)))]
async fn get(state: Data<State>, who: Who, uuid: Path<String>) -> Reply<HttpResponse> {
    let found = app::pipeline::get(&state.app, &who, named("pipeline", &uuid)?).await?;
    Ok(answer::tagged(found.revision, &shown(found.into_inner())))
}

/// Save a pipeline. Deployments made from it are out of sync until they are updated.
#[utoipa::path(put, path = "/pipelines/{uuid}", tag = "pipelines", operation_id = "savePipeline",
    params(("uuid" = String, Path, description = "The pipeline's uuid"),
        ("If-Match" = Option<String>, Header, description = "The ETag of what was read")),
    request_body(content((PipelineRequest = "application/json"), (PipelineRequest = "application/yaml"))),
    responses((status = 200, body = Resource)))]
async fn save(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    uuid: Path<String>,
    body: Body<Fetched>,
) -> Reply<HttpResponse> {
    let (uuid, revision): (Uuid, _) = (named("pipeline", &uuid)?, answer::if_match(&request)?);
    let saved = app::pipeline::save(
        &state.app,
        &who,
        uuid,
        body.value.read::<PipelineRequest>()?.into_draft()?,
        revision,
    )
    .await?;
    Ok(answer::tagged(saved.revision, &shown(saved.into_inner())))
}

/// Delete a pipeline that no deployment is made from.
#[utoipa::path(delete, path = "/pipelines/{uuid}", tag = "pipelines", operation_id = "deletePipeline",
    params(("uuid" = String, Path, description = "The pipeline's uuid")),
    responses((status = 200, body = Resource)))]
async fn delete(state: Data<State>, who: Who, uuid: Path<String>) -> Reply<Json<Resource>> {
    let last = app::pipeline::delete(&state.app, &who, named("pipeline", &uuid)?).await?;
    Ok(Json(shown(last)))
}
