//! The API's own description: OpenAPI 3.1 made from the handlers, and a console to try it. Both are open to all.

use std::sync::{Arc, OnceLock};

use actix_web::http::header::{self, ContentType, HeaderValue};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, Server};
use utoipa::{Modify, OpenApi};

use crate::app::deployment::Sort;
use crate::domain::{Error, Result};
use crate::http::State;
use crate::http::api::Reply;
use crate::http::api::deployment::Order;
use crate::http::api::deployment_status::Details;
use crate::http::error::ErrorBody;
use crate::http::routes::Routes;

/// Stands in the document where the base path goes.
const BASE: &str = "{{base}}";

/// The try-out console is somebody else's: it sets styles from scripts, and nothing more than that is let through.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Slipway",
        description = "Publish bundles, deploy them, watch them run. Lists are bare arrays, paged on request with `limit` and the \
            `Link` header; writes answer 200 with the resource; errors are `{statusCode, status, message}` with `code`, `hint`, \
            `problems` and `requestId`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ErrorBody, Order, Sort, Details)),
    security(("bearer" = []), ("session" = [])),
    modifiers(&Schemes),
    tags(
        (name = "stages", description = "The lifecycle order of infrastructures"),
        (name = "infrastructures", description = "Engine connections, each in one stage"),
        (name = "projects", description = "The keys under which bundles are published"),
        (name = "bundles", description = "Immutable archives with a compose file"),
        (name = "deployments", description = "A project's bundle on an infrastructure, with settings"),
        (name = "streams", description = "Where pipelines read and write"),
        (name = "pipelines", description = "Images between two streams, of which deployments are made"),
        (name = "contexts", description = "What executions run"),
        (name = "executions", description = "Runs of contexts: a task each"),
        (name = "updates", description = "Runs that make the world match a deployment's settings"),
        (name = "tests", description = "Tasks of a bundle that check what runs, on request"),
        (name = "logs", description = "What replicas write"),
        (name = "api-keys", description = "Credentials for programs"),
        (name = "users", description = "Who has signed in"),
        (name = "groups", description = "Whom rights belong to"),
        (name = "journal", description = "What was done, by whom, chained"),
        (name = "me", description = "The caller itself"),
        (name = "description", description = "This document"),
    )
)]
struct Frame;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("An API key (`slw_…`) or a token of the identity provider".to_owned());
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let cookie = ApiKeyValue::with_description(
            "slipway",
            "A console session; unsafe requests need its page's `X-CSRF-Token` as well. Over TLS the name has a prefix.",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The routes of this file. The document's own path is described by hand: it is the one that needs no credentials.
pub(super) fn routes(routes: &mut Routes) {
    routes.get("/api/v1/openapi.json", document);
    routes.get("/api/docs", to_docs);
    routes.get("/api/docs/{file:.*}", docs);
}

#[derive(OpenApi)]
#[openapi(paths(document))]
struct Document;

/// The whole document.
pub fn whole() -> utoipa::openapi::OpenApi {
    use super::{
        api_key, approval, audit, bundle, bundle_upload, context, deployment, deployment_action,
        deployment_event, execution, group, infrastructure, log, me, pipeline, probe, project, stage, stats,
        stream, test, update, update_watch, user,
    };
    let mut document = Frame::openapi();
    for part in [
        stage::Document::openapi(),
        infrastructure::Document::openapi(),
        project::Document::openapi(),
        bundle::Document::openapi(),
        bundle_upload::Document::openapi(),
        deployment::Document::openapi(),
        deployment_action::Document::openapi(),
        deployment_event::Document::openapi(),
        log::Document::openapi(),
        stats::Document::openapi(),
        probe::Document::openapi(),
        stream::Document::openapi(),
        pipeline::Document::openapi(),
        context::Document::openapi(),
        execution::Document::openapi(),
        test::Document::openapi(),
        update::Document::openapi(),
        update_watch::Document::openapi(),
        api_key::Document::openapi(),
        approval::Document::openapi(),
        user::Document::openapi(),
        group::Document::openapi(),
        audit::Document::openapi(),
        me::Document::openapi(),
        Document::openapi(),
    ] {
        document.merge(part);
    }
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.servers = Some(vec![Server::new(format!("{BASE}/api/v1"))]);
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            describe_errors(operation);
        }
    }
    document
}

/// Every operation can be refused; all refusals have one shape.
fn describe_errors(operation: &mut Operation) {
    let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    let error = |words: &str| {
        ResponseBuilder::new().description(words).content("application/json", content()).build()
    };
    let responses = &mut operation.responses.responses;
    for response in responses.values_mut() {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description.push_str("Done");
        }
    }
    responses.insert("401".to_owned(), error("Nobody is signed in").into());
    responses.insert("404".to_owned(), error("Absent, or not to be seen by this caller").into());
    responses.insert("default".to_owned(), error("Refused; `code` and `hint` say why and what to do").into());
}

fn text() -> Result<&'static str> {
    static TEXT: OnceLock<String> = OnceLock::new();
    if let Some(text) = TEXT.get() {
        return Ok(text);
    }
    let text = serde_json::to_string_pretty(&whole()).map_err(Error::internal)?;
    Ok(TEXT.get_or_init(|| text))
}

/// Get this document.
#[utoipa::path(get, path = "/openapi.json", tag = "description", operation_id = "getOpenApi", security(()),
    responses((status = 200, description = "An OpenAPI 3.1 document", content_type = "application/json", body = Object)))]
async fn document(state: Data<State>) -> Reply<HttpResponse> {
    let text = text()?.replacen(BASE, state.settings.base_path(), 1);
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(text))
}

async fn to_docs(state: Data<State>) -> HttpResponse {
    let to = format!("{}/api/docs/", state.settings.base_path());
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, to)).finish()
}

/// The try-out console's files, which are part of the binary.
async fn docs(request: HttpRequest, state: Data<State>, file: Path<String>) -> HttpResponse {
    let source = format!("{}/api/v1/openapi.json", state.settings.base_path());
    console(&request, &file, source)
}

/// A file of the console that tries out what the description at `source` describes.
pub(in crate::http) fn console(request: &HttpRequest, file: &str, source: String) -> HttpResponse {
    let config = utoipa_swagger_ui::Config::from(source).try_it_out_enabled(true);
    match utoipa_swagger_ui::serve(file, Arc::new(config)) {
        Ok(Some(found)) => {
            let mut response = HttpResponse::Ok();
            if found.gzpipped {
                response.insert_header((header::CONTENT_ENCODING, "gzip"));
            }
            response
                .insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY)))
                .content_type(found.content_type)
                .body(found.bytes.to_vec())
        }
        Ok(None) => crate::http::error::respond(request, &Error::not_found("page", request.path())),
        Err(failure) => crate::http::error::respond(request, &Error::internal(failure.to_string())),
    }
}
