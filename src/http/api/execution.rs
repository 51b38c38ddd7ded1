//! Executions: runs of contexts. Their output, updates and events are those of the deployment of the same uuid.

use std::collections::BTreeMap;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::execution::{self, Filter, Hosts};
use crate::domain::clock::Timestamp;
use crate::domain::context::Order;
use crate::domain::name::{InfrastructureId, Label};
use crate::domain::page::PageRequest;
use crate::domain::workload::Protocol;
use crate::http::State;
use crate::http::api::body::{Body, Fetched};
use crate::http::api::query::Query;
use crate::http::api::{Reply, answer, named, query};
use crate::http::identity::Who;

noun! {
    get "/executions" => list,
    post "/executions" => create,
    get "/executions/{uuid}" => get,
    get "/executions/{uuid}/environment" => environment,
    post "/executions/{uuid}/stop" => stop,
    post "/executions/{uuid}/remove" => remove,
    delete "/executions/{uuid}" => delete,
}

/// A run of a context that is asked for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecutionRequest {
    pub spec: ExecutionSpecRequest,
    /// Do it in spite of what governance warns of.
    #[serde(default, rename = "ignoreWarnings")]
    #[schema(required = false)]
    pub ignore_warnings: bool,
}

/// What is run, where, and with what.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecutionSpecRequest {
    /// The context's uuid.
    pub context: Uuid,
    /// An infrastructure, or what the configuration calls `docker` and `k8s`.
    pub engine: String,
    /// `default` where none is named.
    pub namespace: Option<String>,
    /// Wins over the context's; secrets are kept sealed and answered as `********`.
    #[serde(default)]
    #[schema(required = false, value_type = BTreeMap<String, String>)]
    pub environment: Option<Value>,
}

impl ExecutionSpecRequest {
    fn order(&self) -> crate::domain::Result<Order> {
        let mut order = json!({ "engine": self.engine });
        if let Some(namespace) = &self.namespace {
            order["namespace"] = json!(namespace);
        }
        if let Some(environment) = &self.environment {
            order["environment"] = environment.clone();
        }
        Order::parse(&order)
    }
}

/// A run of a context.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    pub uuid: Uuid,
    pub name: Label,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    pub created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    pub spec: ExecutionSpec,
    pub status: ExecutionStatus,
}

/// As it was asked for, secrets masked.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExecutionSpec {
    pub context: Uuid,
    pub engine: String,
    pub namespace: String,
    pub environment: BTreeMap<String, String>,
    /// What engine and namespace mean.
    pub infrastructure: InfrastructureId,
}

/// As it was last observed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionStatus {
    /// `running`, `exited` or `unavailable`.
    pub state: &'static str,
    /// Whether it was stopped and removed.
    pub removed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// Where it ended because it used up its memory.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub out_of_memory: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    pub ports: Vec<ExecutionPort>,
}

/// A port that is reached from outside.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExecutionPort {
    /// Of the container.
    pub specified: u16,
    pub host: String,
    /// Of the host.
    pub exposed: u16,
    pub protocol: Protocol,
    /// Below which an Ingress serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl From<execution::ExposedPort> for ExecutionPort {
    fn from(port: execution::ExposedPort) -> Self {
        let execution::ExposedPort { specified, host, exposed, protocol, path } = port;
        Self { specified, host, exposed, protocol, path }
    }
}

impl Execution {
    fn new(execution: execution::Execution, hosts: Hosts<'_>) -> Self {
        let exit = execution.exit();
        let status = ExecutionStatus {
            state: execution.state().word(),
            removed: execution.is_removed(),
            exit_code: exit.and_then(|exit| exit.code),
            out_of_memory: exit.is_some_and(|exit| exit.out_of_memory),
            ended_at: exit.and_then(|exit| exit.at),
            ports: execution.ports(hosts).into_iter().map(ExecutionPort::from).collect(),
        };
        let (of, deployment) = (execution.of, execution.deployment);
        Self {
            uuid: deployment.uuid,
            name: of.name,
            created_at: deployment.created_at,
            created_by: deployment.created_by,
            updated_at: deployment.updated_at,
            spec: ExecutionSpec {
                context: of.context,
                engine: of.engine,
                namespace: of.namespace,
                environment: of.environment,
                infrastructure: deployment.infrastructure,
            },
            status,
        }
    }

    fn shown(state: &State, execution: execution::Execution) -> Self {
        Self::new(execution, state.settings.renga.hosts(state.settings.base_url.host_str()))
    }
}

/// Which are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listed {
    /// Only this context's.
    #[param(value_type = Option<String>)]
    context: Option<Uuid>,
    /// Part of its name, of its uuid, or of what its infrastructure or its maker is called.
    q: Option<String>,
    /// At most this many entries, 1 to 500. Without it all come.
    limit: Option<u32>,
    /// The cursor of the page before, from its `Link` header.
    after: Option<String>,
}

/// List the executions that the caller may see, newest first.
#[utoipa::path(get, path = "/executions", tag = "executions", operation_id = "listExecutions", params(Listed),
    responses((status = 200, body = [Execution])))]
async fn list(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    query: Query<Listed>,
) -> Reply<HttpResponse> {
    let Listed { context, q, limit, after } = query.0;
    let filter = Filter { context, text: q };
    let fetch = move |page: PageRequest| {
        let (state, who, filter) = (state.clone(), who.clone(), filter.clone());
        async move {
            let found = execution::list(&state.app, &who, filter, page).await?;
            Ok(found.map(|one| Execution::shown(&state, one)))
        }
    };
    answer::list(&request, query::page(limit, after)?, fetch).await
}

/// Run a context.
#[utoipa::path(post, path = "/executions", tag = "executions", operation_id = "createExecution",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content((ExecutionRequest = "application/json", example = json!({ "spec": {
        "context": "dc161a69-fa49-4b1a-b1b1-6d8246d50d71", "engine": "docker", "environment": { "DEPTH": "3" } } })), (ExecutionRequest = "application/yaml"))),
    responses((status = 200, body = Execution)))]
async fn create(state: Data<State>, who: Who, body: Body<Fetched>) -> Reply<Json<Execution>> {
    let ExecutionRequest { spec, ignore_warnings } = body.value.read()?;
    let new = state.settings.renga.execution(spec.context, spec.order()?, ignore_warnings)?;
    let made = execution::create(&state.app, &who, new, body.once).await?;
    Ok(Json(Execution::shown(&state, made)))
}

/// Get an execution.
#[utoipa::path(get, path = "/executions/{uuid}", tag = "executions", operation_id = "getExecution",
    params(("uuid" = String, Path, description = "The execution's uuid")),
    responses((status = 200, body = Execution)))]
async fn get(state: Data<State>, who: Who, uuid: Path<String>) -> Reply<Json<Execution>> {
    let found = execution::get(&state.app, &who, None, named("execution", &uuid)?).await?;
    Ok(Json(Execution::shown(&state, found)))
}

/// Get the environment that an execution's container has, secrets masked.
#[utoipa::path(get, path = "/executions/{uuid}/environment", tag = "executions", operation_id = "getExecutionEnvironment",
    params(("uuid" = String, Path, description = "The execution's uuid")),
    responses((status = 200, body = BTreeMap<String, String>)))]
async fn environment(
    state: Data<State>,
    who: Who,
    uuid: Path<String>,
) -> Reply<Json<BTreeMap<String, String>>> {
    Ok(Json(execution::environment(&state.app, &who, named("execution", &uuid)?).await?))
}

/// Stop an execution; its container and its output stay. Asking again is no error.
#[utoipa::path(post, path = "/executions/{uuid}/stop", tag = "executions", operation_id = "stopExecution",
    params(("uuid" = String, Path, description = "The execution's uuid")),
    responses((status = 200, body = Execution)))]
async fn stop(state: Data<State>, who: Who, uuid: Path<String>) -> Reply<Json<Execution>> {
    let stopped = execution::stop(&state.app, &who, named("execution", &uuid)?).await?;
    Ok(Json(Execution::shown(&state, stopped)))
}

/// Stop an execution and remove its container; the execution stays listed. Asking again is no error.
#[utoipa::path(post, path = "/executions/{uuid}/remove", tag = "executions", operation_id = "removeExecution",
    params(("uuid" = String, Path, description = "The execution's uuid")),
    responses((status = 200, body = Execution)))]
async fn remove(state: Data<State>, who: Who, uuid: Path<String>) -> Reply<Json<Execution>> {
    let removed = execution::remove(&state.app, &who, None, named("execution", &uuid)?).await?;
    Ok(Json(Execution::shown(&state, removed)))
}

/// Delete an execution for good, with its volumes: it is stopped first, and goes once nothing of it runs.
#[utoipa::path(delete, path = "/executions/{uuid}", tag = "executions", operation_id = "deleteExecution",
    params(("uuid" = String, Path, description = "The execution's uuid")),
    responses((status = 200, body = Execution)))]
async fn delete(state: Data<State>, who: Who, uuid: Path<String>) -> Reply<Json<Execution>> {
    let last = execution::delete(&state.app, &who, named("execution", &uuid)?).await?;
    Ok(Json(Execution::shown(&state, last)))
}
