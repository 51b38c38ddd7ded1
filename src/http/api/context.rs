//! Contexts: what executions run. In Slipway's shapes; renga's own are answered below `/v1`.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::Value;

use crate::app;
use crate::domain::Result;
use crate::domain::context::{Context, ContextSpec, Specification};
use crate::domain::name::{GroupName, Label};
use crate::domain::page::PageRequest;
use crate::http::State;
use crate::http::api::body::{Body, Fetched};
use crate::http::api::query::Query;
use crate::http::api::resource::{Listed, Resource};
use crate::http::api::{Reply, answer, named, query};
use crate::http::identity::Who;

noun! {
    get "/contexts" => list,
    post "/contexts" => create,
    get "/contexts/{uuid}" => get,
    delete "/contexts/{uuid}" => delete,
}

/// A context to be made. It is called like its image, and never changes.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextRequest {
    pub spec: ContextSpecRequest,
    /// Whose it is; the first of the caller's groups that is no admin group when none is named.
    pub group: Option<GroupName>,
}

/// What a context is made of.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextSpecRequest {
    /// `image`, and what it takes to run it: `command`, `ports`, `labels`, `env`, `volumes`, `volumeMounts`, `resources`.
    /// Variables that hold secrets are kept sealed and answered as `********`.
    #[schema(value_type = Object)]
    pub specification: Value,
    /// The Renga project that it belongs to.
    pub project: Option<Label>,
}

impl ContextSpecRequest {
    fn parse(self) -> Result<ContextSpec> {
        let specification = Specification::parse(self.specification)?;
        Ok(ContextSpec { specification, project: self.project })
    }
}

fn shown(context: Context) -> Resource {
    Resource::new(context, None)
}

/// List the contexts of the caller's groups.
#[utoipa::path(get, path = "/contexts", tag = "contexts", operation_id = "listContexts", params(Listed),
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
        async move { Ok(app::context::list(&state.app, &who, q, page).await?.map(|(one, _)| shown(one))) }
    };
    answer::list(&request, query::page(limit, after)?, fetch).await
}

/// Make a context.
#[utoipa::path(post, path = "/contexts", tag = "contexts", operation_id = "createContext",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content((ContextRequest = "application/json", example = json!({ "spec": { "specification": {
        "image": "python:3.11-slim", "command": "python -m http.server 8000", "ports": ["8000"] } } })), (ContextRequest = "application/yaml"))),
    responses((status = 200, body = Resource)))]
async fn create(state: Data<State>, who: Who, body: Body<Fetched>) -> Reply<HttpResponse> {
    let ContextRequest { spec, group } = body.value.read()?;
    let made = app::context::create(&state.app, &who, spec.parse()?, group, body.once).await?;
    Ok(answer::tagged(made.revision, &shown(made.into_inner())))
}

/// Get a context.
#[utoipa::path(get, path = "/contexts/{uuid}", tag = "contexts", operation_id = "getContext",
    params(("uuid" = String, Path, description = "The context's uuid")),
    responses((status = 200, body = Resource)))]
async fn get(state: Data<State>, who: Who, uuid: Path<String>) -> Reply<HttpResponse> {
    let found = app::context::get(&state.app, &who, named("context", &uuid)?).await?;
    Ok(answer::tagged(found.revision, &shown(found.into_inner())))
}

/// Delete a context that no execution is left of.
#[utoipa::path(delete, path = "/contexts/{uuid}", tag = "contexts", operation_id = "deleteContext",
    params(("uuid" = String, Path, description = "The context's uuid")),
    responses((status = 200, body = Resource)))]
async fn delete(state: Data<State>, who: Who, uuid: Path<String>) -> Reply<Json<Resource>> {
    let last = app::context::delete(&state.app, &who, named("context", &uuid)?).await?;
    Ok(Json(shown(last)))
}
