//! Contexts, in upstream's words.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::asking::{Asking, identifier};
use super::wire;
use crate::app;
use crate::auth::scope::Scope::{ContextsRead, ContextsWrite};
use crate::domain::context::{self, ContextSpec, Specification};
use crate::domain::name::Label;
use crate::domain::page::PageRequest;
use crate::domain::{Error, Result};
use crate::http::State;
use crate::http::api::Reply;
use crate::http::api::body::Body;
use crate::http::routes::Routes;

/// Names the project that a context belongs to.
pub const PROJECT: &str = "Renga-Projects-Project";

/// The routes of this file.
pub(super) fn routes(routes: &mut Routes) {
    routes.get("/v1/contexts", list);
    routes.post("/v1/contexts", create);
    routes.get("/v1/contexts/{context_id}", get);
}

impl From<context::Context> for wire::Context {
    fn from(context: context::Context) -> Self {
        let spec = context.spec.specification.into();
        Self { identifier: context.uuid, spec, created: context.created_at }
    }
}

async fn list(state: Data<State>, asking: Asking) -> Reply<HttpResponse> {
    let caller = asking.with(&[ContextsRead])?;
    let (mut contexts, mut page) = (Vec::new(), PageRequest::first(PageRequest::MOST));
    loop {
        let found = app::context::list(&state.app, caller, None, page).await?;
        contexts.extend(found.items.into_iter().map(|(context, _)| wire::Context::from(context)));
        match found.next {
            Some(next) => page = PageRequest { limit: PageRequest::MOST, after: Some(next) },
            None => return Ok(HttpResponse::Ok().json(wire::Contexts { contexts })),
        }
    }
}

async fn create(
    request: HttpRequest,
    state: Data<State>,
    asking: Asking,
    body: Body<Value>,
) -> Reply<HttpResponse> {
    let caller = asking.with(&[ContextsRead, ContextsWrite])?;
    let spec = ContextSpec { specification: Specification::parse(body.value)?, project: project(&request)? };
    let made = app::context::create(&state.app, caller, spec, None, body.once).await?;
    Ok(HttpResponse::Created().json(wire::Context::from(made.into_inner())))
}

fn project(request: &HttpRequest) -> Result<Option<Label>> {
    let Some(value) = request.headers().get(PROJECT) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    Label::parse(text).map(Some).map_err(|_| {
        Error::field(PROJECT, "it is 1 to 120 visible ASCII characters")
            .hint("Name the project, or leave the header out.")
    })
}

async fn get(state: Data<State>, asking: Asking, path: Path<String>) -> Reply<HttpResponse> {
    let caller = asking.with(&[ContextsRead])?;
    let found = app::context::get(&state.app, caller, identifier("context_id", &path)?).await?;
    Ok(HttpResponse::Ok().json(wire::Context::from(found.into_inner())))
}
