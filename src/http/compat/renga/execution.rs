//! Executions, in upstream's words.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::asking::{Asking, identifier};
use super::wire;
use crate::app;
use crate::app::execution::{self, Filter, State as Stands};
use crate::auth::scope::Scope::{ContextsRead, ExecutionsRead, ExecutionsWrite};
use crate::domain::Result;
use crate::domain::context::Order;
use crate::domain::page::PageRequest;
use crate::http::State;
use crate::http::api::Reply;
use crate::http::api::body::Body;
use crate::http::api::log::gathered;
use crate::http::api::log_text::{Style, push};
use crate::http::api::query::Query;
use crate::http::routes::Routes;

/// The routes of this file.
pub(super) fn routes(routes: &mut Routes) {
    routes.get("/v1/contexts/{context_id}/executions", list);
    routes.post("/v1/contexts/{context_id}/executions", create);
    routes.get("/v1/contexts/{context_id}/executions/{execution_id}", get);
    routes.delete("/v1/contexts/{context_id}/executions/{execution_id}", remove);
    routes.get("/v1/contexts/{context_id}/executions/{execution_id}/logs", logs);
    routes.get("/v1/contexts/{context_id}/executions/{execution_id}/ports", ports);
}

impl From<execution::Execution> for wire::Execution {
    fn from(execution: execution::Execution) -> Self {
        let state = match execution.state() {
            Stands::Running => wire::ExecutionState::Running,
            Stands::Exited => wire::ExecutionState::Exited,
            Stands::Unavailable => wire::ExecutionState::Unavailable,
        };
        Self {
            identifier: execution.uuid(),
            engine: execution.of.engine,
            namespace: execution.of.namespace,
            environment: execution.of.environment,
            created: execution.deployment.created_at,
            state,
        }
    }
}

impl From<execution::ExposedPort> for wire::ExposedPort {
    fn from(port: execution::ExposedPort) -> Self {
        Self {
            specified: port.specified.to_string(),
            host: port.host,
            exposed: port.exposed.to_string(),
            protocol: wire::protocol(port.protocol),
            path: port.path,
        }
    }
}

/// Both identifiers of a path.
fn both(path: &(String, String)) -> Result<(Uuid, Uuid)> {
    Ok((identifier("context_id", &path.0)?, identifier("execution_id", &path.1)?))
}

async fn list(state: Data<State>, asking: Asking, path: Path<String>) -> Reply<HttpResponse> {
    let caller = asking.with(&[ContextsRead, ExecutionsRead])?;
    let of = Filter { context: Some(identifier("context_id", &path)?), ..Filter::default() };
    let (mut executions, mut page) = (Vec::new(), PageRequest::first(PageRequest::MOST));
    loop {
        let found = execution::list(&state.app, caller, of.clone(), page).await?;
        executions.extend(found.items.into_iter().map(wire::Execution::from));
        match found.next {
            Some(next) => page = PageRequest { limit: PageRequest::MOST, after: Some(next) },
            None => return Ok(HttpResponse::Ok().json(wire::Executions { executions })),
        }
    }
}

/// What upstream does not know of.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct How {
    /// Run it in spite of what governance warns of.
    #[serde(default)]
    ignore_warnings: bool,
}

async fn create(
    state: Data<State>,
    asking: Asking,
    path: Path<String>,
    how: Query<How>,
    body: Body<Value>,
) -> Reply<HttpResponse> {
    let caller = asking.with(&[ContextsRead, ExecutionsWrite])?;
    let context = identifier("context_id", &path)?;
    let new = state.settings.renga.execution(context, Order::parse(&body.value)?, how.0.ignore_warnings)?;
    let made = execution::create(&state.app, caller, new, body.once).await?;
    Ok(HttpResponse::Created().json(wire::Execution::from(made)))
}

async fn get(state: Data<State>, asking: Asking, path: Path<(String, String)>) -> Reply<HttpResponse> {
    let caller = asking.with(&[ContextsRead, ExecutionsRead])?;
    let (context, uuid) = both(&path)?;
    let found = execution::get(&state.app, caller, Some(context), uuid).await?;
    Ok(HttpResponse::Ok().json(wire::Execution::from(found)))
}

async fn remove(state: Data<State>, asking: Asking, path: Path<(String, String)>) -> Reply<HttpResponse> {
    let caller = asking.with(&[ExecutionsRead, ExecutionsWrite])?;
    let (context, uuid) = both(&path)?;
    let removed = execution::remove(&state.app, caller, Some(context), uuid).await?;
    Ok(HttpResponse::Ok().json(wire::Execution::from(removed)))
}

async fn logs(state: Data<State>, asking: Asking, path: Path<(String, String)>) -> Reply<HttpResponse> {
    let caller = asking.with(&[ExecutionsRead])?;
    let (context, uuid) = both(&path)?;
    let lines = app::execution::logs(&state.app, caller, context, uuid).await?;
    let style = Style { timestamps: false, places: false };
    let chunks = gathered(lines, move |out, batch| push(out, batch, style, b"", b"\n"));
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").streaming(chunks))
}

async fn ports(state: Data<State>, asking: Asking, path: Path<(String, String)>) -> Reply<HttpResponse> {
    let caller = asking.with(&[ExecutionsRead])?;
    let (context, uuid) = both(&path)?;
    let found = execution::get(&state.app, caller, Some(context), uuid).await?;
    let hosts = state.settings.renga.hosts(state.settings.base_url.host_str());
    let ports = found.ports(hosts).into_iter().map(wire::ExposedPort::from).collect();
    Ok(HttpResponse::Ok().json(wire::Ports { ports }))
}
