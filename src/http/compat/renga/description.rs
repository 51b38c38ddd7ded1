//! The API's description, Swagger 2.0 as upstream has it, and a console to try it where the configuration wants one.
//! Both are open to all.

use actix_web::http::header;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use url::Position;

use super::failure::MEDIA_TYPE;
use crate::auth::scope::Scope;
use crate::http::State;
use crate::http::api::openapi::console;
use crate::http::compat::Front;
use crate::http::error;
use crate::http::routes::Routes;

/// The routes of this file.
pub(super) fn routes(routes: &mut Routes) {
    routes.get("/v1/swagger.json", document);
    routes.get("/v1/ui", to_ui);
    routes.get("/v1/ui/{file:.*}", ui);
}

async fn document(state: Data<State>) -> HttpResponse {
    let base = &state.settings.base_url;
    let authorization = state.auth.renga_authorization_url().await;
    let securities = Securities { of_tokens: authorization.is_some() };
    let document = json!({
        "swagger": "2.0",
        "info": {
            "title": "Slipway as renga-deployer",
            "description": "Contexts and their executions, as renga-deployer serves them.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0" },
        },
        "host": &base[Position::BeforeHost..Position::AfterPort],
        "basePath": format!("{}/v1", state.settings.base_path()),
        "schemes": [base.scheme()],
        "tags": [
            { "name": "Deployer-Contexts", "description": "What can be run" },
            { "name": "Deployer-Executions", "description": "Runs of contexts" },
        ],
        "paths": paths(&securities),
        "securityDefinitions": definitions_of_security(authorization),
        "definitions": definitions(),
    });
    HttpResponse::Ok().json(document)
}

async fn to_ui(request: HttpRequest, state: Data<State>) -> HttpResponse {
    if !state.settings.renga.swagger_ui {
        return absent(&request);
    }
    let to = format!("{}/v1/ui/", state.settings.base_path());
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, to)).finish()
}

async fn ui(request: HttpRequest, state: Data<State>, file: Path<String>) -> HttpResponse {
    if !state.settings.renga.swagger_ui {
        return absent(&request);
    }
    console(&request, &file, format!("{}/v1/swagger.json", state.settings.base_path()))
}

fn absent(request: &HttpRequest) -> HttpResponse {
    error::respond(request, &Front::Renga.no_such_operation(request))
}

fn definitions_of_security(authorization: Option<String>) -> Value {
    let mut schemes = json!({
        "api_key": {
            "type": "apiKey",
            "name": "Authorization",
            "in": "header",
            "description": "`Bearer ` and an API key of this Slipway, or a token",
        },
    });
    if let Some(url) = authorization {
        let scope = |scope: Scope| {
            let about = match scope {
                Scope::ContextsRead => "read contexts",
                Scope::ContextsWrite => "modify contexts",
                Scope::ExecutionsRead => "read executions",
                Scope::ExecutionsWrite => "modify executions",
            };
            (scope.word().to_owned(), Value::from(about))
        };
        let scopes: serde_json::Map<String, Value> = Scope::ALL.map(scope).into_iter().collect();
        schemes["token_auth"] =
            json!({ "type": "oauth2", "flow": "implicit", "authorizationUrl": url, "scopes": scopes });
    }
    schemes
}

/// What an operation asks for: a token with these scopes where there is an issuer, or a key.
struct Securities {
    of_tokens: bool,
}

impl Securities {
    fn need(&self, scopes: &[Scope]) -> Value {
        let words: Vec<&str> = scopes.iter().map(|scope| scope.word()).collect();
        let key = json!({ "api_key": [] });
        if self.of_tokens { json!([{ "token_auth": words }, key]) } else { json!([key]) }
    }

    /// An operation of one tag that answers `good`, and everything else as a problem.
    fn operation(&self, name: &str, summary: &str, scopes: &[Scope], good: (&str, Value)) -> Value {
        let tag = if name.ends_with("Context") || name == "listContexts" { "Contexts" } else { "Executions" };
        let problem =
            |words: &str| json!({ "description": words, "schema": { "$ref": "#/definitions/Problem" } });
        let mut operation = json!({
            "tags": [format!("Deployer-{tag}")],
            "operationId": name,
            "summary": summary,
            "produces": ["application/json", MEDIA_TYPE],
            "security": self.need(scopes),
            "responses": {
                "400": problem("A malformed identifier or body"),
                "401": problem("Nobody is signed in"),
                "403": problem("A scope or a right is missing"),
                "404": problem("Absent, or not to be seen by this caller"),
                "default": problem("Refused; `code` and `hint` say why and what to do"),
            },
        });
        let (status, schema) = good;
        operation["responses"][status] = json!({ "description": "Done", "schema": schema });
        operation
    }
}

fn definition(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

fn in_path(name: &str, noun: &str) -> Value {
    let about = format!("Identifier of the {noun}");
    json!({ "name": name, "in": "path", "required": true, "type": "string", "format": "uuid", "description": about })
}

fn paths(security: &Securities) -> Value {
    use Scope::{ContextsRead, ContextsWrite, ExecutionsRead, ExecutionsWrite};
    let context = in_path("context_id", "context");
    let execution = in_path("execution_id", "execution");
    let body = |name: &str, of: &str| json!({ "name": name, "in": "body", "required": true, "schema": definition(of) });
    let with = |mut operation: Value, more: Value| {
        if let (Some(operation), Value::Object(more)) = (operation.as_object_mut(), more) {
            operation.extend(more);
        }
        operation
    };
    let op = |name, summary, scopes: &[Scope], status, schema| {
        security.operation(name, summary, scopes, (status, schema))
    };
    let both = [ContextsRead, ExecutionsRead];
    let project = json!({
        "name": "Renga-Projects-Project",
        "in": "header",
        "type": "string",
        "description": "The Renga project that the context belongs to",
    });
    let list = op("listContexts", "List contexts", &[ContextsRead], "200", definition("Contexts"));
    let create =
        op("createContext", "Create a context", &[ContextsRead, ContextsWrite], "201", definition("Context"));
    let create = with(
        create,
        json!({
            "consumes": ["application/json"], "parameters": [body("spec", "Specification"), project],
        }),
    );
    let get = op("getContext", "Get a context", &[ContextsRead], "200", definition("Context"));
    let runs = op("listExecutions", "List a context's executions", &both, "200", definition("Executions"));
    let run = op(
        "createExecution",
        "Run a context",
        &[ContextsRead, ExecutionsWrite],
        "201",
        definition("Execution"),
    );
    let ignoring = json!({ "name": "ignoreWarnings", "in": "query", "type": "boolean", "required": false,
        "description": "Run it in spite of what governance warns of" });
    let run = with(
        run,
        json!({ "consumes": ["application/json"], "parameters": [body("data", "NewExecution"), ignoring] }),
    );
    let one = op("getExecution", "Get an execution", &both, "200", definition("Execution"));
    let delete = op(
        "deleteExecution",
        "Stop and remove an execution",
        &[ExecutionsRead, ExecutionsWrite],
        "200",
        definition("Execution"),
    );
    let logs =
        op("getLogs", "Get what an execution wrote", &[ExecutionsRead], "200", json!({ "type": "string" }));
    let logs = with(logs, json!({ "produces": ["text/plain", MEDIA_TYPE] }));
    let ports = op(
        "getPorts",
        "Get where an execution's ports are reached",
        &[ExecutionsRead],
        "200",
        definition("Ports"),
    );
    json!({
        "/contexts": { "get": list, "post": create },
        "/contexts/{context_id}": { "parameters": [&context], "get": get },
        "/contexts/{context_id}/executions": { "parameters": [&context], "get": runs, "post": run },
        "/contexts/{context_id}/executions/{execution_id}": {
            "parameters": [&context, &execution], "get": one, "delete": delete,
        },
        "/contexts/{context_id}/executions/{execution_id}/logs": { "parameters": [&context, &execution], "get": logs },
        "/contexts/{context_id}/executions/{execution_id}/ports": { "parameters": [&context, &execution], "get": ports },
    })
}

fn definitions() -> Value {
    let text = json!({ "type": "string" });
    let uuid = json!({ "type": "string", "format": "uuid" });
    let time = json!({ "type": "string", "format": "date-time" });
    let object = |properties: Value| json!({ "type": "object", "properties": properties });
    let list = |items: &Value| json!({ "type": "array", "items": items });
    let any = json!({ "type": "object" });
    let mut specification = object(json!({
        "image": { "type": "string", "example": "hello-world" },
        "command": { "type": "string", "description": "Words, quoted as in a shell" },
        "ports": { "type": "array", "items": text, "example": ["9999"] },
        "labels": { "type": "array", "items": text, "example": ["team=data"] },
        "env": { "type": "array", "items": any, "example": [{ "name": "ENV_VAR", "value": "1234" }] },
        "volumes": list(&any),
        "volumeMounts": list(&any),
        "resources": any,
    }));
    specification["required"] = json!(["image"]);
    let run = json!({
        "engine": { "type": "string", "example": "docker", "description": "`docker`, `k8s` or an infrastructure" },
        "namespace": { "type": "string", "example": "default" },
        "environment": any,
    });
    let mut new_execution = object(run.clone());
    new_execution["required"] = json!(["engine"]);
    let state = json!({ "type": "string", "enum": ["running", "exited", "unavailable"] });
    let execution = json!({ "identifier": uuid, "created": time, "state": state });
    json!({
        "Specification": specification,
        "Context": object(json!({ "identifier": uuid, "spec": definition("Specification"), "created": time })),
        "Contexts": object(json!({ "contexts": list(&definition("Context")) })),
        "NewExecution": new_execution,
        "Execution": { "allOf": [object(run), object(execution)] },
        "Executions": object(json!({ "executions": list(&definition("Execution")) })),
        "Ports": object(json!({ "ports": list(&object(json!({
            "specified": text, "host": text, "exposed": text, "protocol": text, "path": text,
        }))) })),
        "Problem": object(json!({
            "type": text, "title": text, "status": { "type": "integer" }, "detail": text,
            "code": text, "hint": text, "problems": list(&any), "requestId": text,
        })),
    })
}
