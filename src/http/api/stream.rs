//! Streams: where pipelines read and write. In DataCater's shapes.

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
use crate::domain::stream::{self, StreamSpec};
use crate::http::State;
use crate::http::api::body::{Body, Fetched};
use crate::http::api::query::Query;
use crate::http::api::resource::{Listed, Resource};
use crate::http::api::{Reply, answer, named, query};
use crate::http::identity::Who;

noun! {
    get "/streams" => list,
    post "/streams" => create,
    get "/streams/{uuid}" => get,
    put "/streams/{uuid}" => save,
    delete "/streams/{uuid}" => delete,
}

/// A stream to be made, or what it shall be from now on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamRequest {
    /// For people, and the topic's name unless `topic.name` says otherwise; need not be unique.
    pub name: Label,
    /// `kind`, and under its lower-case word the options of the connection. Options that hold secrets (`*password*`,
    /// `*secret*`, `*token*`, `*jaas*`, …) are kept sealed and answered as `********`, which is taken back for "as it is".
    #[schema(value_type = Object)]
    pub spec: Value,
    /// Whose it is; the first of the caller's groups that is no admin group when none is named.
    pub group: Option<GroupName>,
}

impl StreamRequest {
    fn into_draft(self) -> Result<Draft<StreamSpec>> {
        Ok(Draft { name: self.name, group: self.group, spec: StreamSpec::parse(&self.spec)? })
    }
}

fn shown(stream: stream::Stream) -> Resource {
    Resource::new(stream, None)
}

/// List the streams of the caller's groups.
#[utoipa::path(get, path = "/streams", tag = "streams", operation_id = "listStreams", params(Listed),
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
        async move { Ok(app::stream::list(&state.app, &who, q, page).await?.map(|(stream, _)| shown(stream))) }
    };
    answer::list(&request, query::page(limit, after)?, fetch).await
}

/// Make a stream.
#[utoipa::path(post, path = "/streams", tag = "streams", operation_id = "createStream",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content((StreamRequest = "application/json", example = json!({ "name": "orders", "spec": { "kind": "KAFKA", "kafka": {
        "bootstrap.servers": "kafka:9092", "topic": { "num.partitions": 3 } } } })), (StreamRequest = "application/yaml"))),
    responses((status = 200, body = Resource)))]
async fn create(state: Data<State>, who: Who, body: Body<Fetched>) -> Reply<HttpResponse> {
    let made =
        app::stream::create(&state.app, &who, body.value.read::<StreamRequest>()?.into_draft()?, body.once)
            .await?;
    Ok(answer::tagged(made.revision, &shown(made.into_inner())))
}

/// Get a stream.
#[utoipa::path(get, path = "/streams/{uuid}", tag = "streams", operation_id = "getStream",
    params(("uuid" = String, Path, description = "The stream's uuid")),
    responses((status = 200, body = Resource)))]
async fn get(state: Data<State>, who: Who, uuid: Path<String>) -> Reply<HttpResponse> {
    let found = app::stream::get(&state.app, &who, named("stream", &uuid)?).await?;
    Ok(answer::tagged(found.revision, &shown(found.into_inner())))
}

/// Save a stream. Deployments made from it are out of sync until they are updated.
#[utoipa::path(put, path = "/streams/{uuid}", tag = "streams", operation_id = "saveStream",
    params(("uuid" = String, Path, description = "The stream's uuid"),
        ("If-Match" = Option<String>, Header, description = "The ETag of what was read")),
    request_body(content((StreamRequest = "application/json"), (StreamRequest = "application/yaml"))),
    responses((status = 200, body = Resource)))]
async fn save(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    uuid: Path<String>,
    body: Body<Fetched>,
) -> Reply<HttpResponse> {
    let (uuid, revision): (Uuid, _) = (named("stream", &uuid)?, answer::if_match(&request)?);
    let saved = app::stream::save(
        &state.app,
        &who,
        uuid,
        body.value.read::<StreamRequest>()?.into_draft()?,
        revision,
    )
    .await?;
    Ok(answer::tagged(saved.revision, &shown(saved.into_inner())))
}

/// Delete a stream that neither a pipeline nor a deployment uses.
#[utoipa::path(delete, path = "/streams/{uuid}", tag = "streams", operation_id = "deleteStream",
    params(("uuid" = String, Path, description = "The stream's uuid")),
    responses((status = 200, body = Resource)))]
async fn delete(state: Data<State>, who: Who, uuid: Path<String>) -> Reply<Json<Resource>> {
    let last = app::stream::delete(&state.app, &who, named("stream", &uuid)?).await?;
    Ok(Json(shown(last)))
}
