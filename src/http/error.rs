//! The domain's error as HTTP: JSON for programs, a page for people. Causes go to the log alone.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;

use crate::domain::{Error, Kind, Problem};
use crate::http::compat::Front;
use crate::http::trace::{self, RequestId};

/// The status that an error's kind answers with.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict | Kind::Warned => StatusCode::CONFLICT,
        Kind::Stale => StatusCode::PRECONDITION_FAILED,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error body: DataCater's three fields and ours.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// The HTTP status, as a number.
    pub status_code: u16,
    /// Its reason phrase.
    pub status: String,
    /// What happened, to what.
    pub message: String,
    /// A stable word for programs.
    pub code: &'static str,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// One entry for each wrong place of the input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// As in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ErrorBody {
    /// The body of `error` in answer to the request `id`.
    pub fn new(error: &Error, id: Option<String>) -> Self {
        let status = status(error.kind);
        Self {
            status_code: status.as_u16(),
            status: status.canonical_reason().unwrap_or_default().to_owned(),
            message: error.message.clone(),
            code: error.code,
            hint: error.hint.clone(),
            problems: error.problems.clone(),
            request_id: id,
        }
    }
}

/// An error that answers as JSON.
#[derive(Debug)]
pub struct ApiError(pub Error);

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        status(self.0.kind)
    }

    fn error_response(&self) -> HttpResponse {
        json(&self.0, trace::current())
    }
}

/// Writes an error's cause to the log: at `error` where the fault is ours, at `debug` elsewhere.
pub fn log(error: &Error) {
    match (&error.cause, error.kind) {
        (Some(cause), Kind::Internal) => tracing::error!(code = error.code, %cause, "{}", error.message),
        (None, Kind::Internal) => tracing::error!(code = error.code, "{}", error.message),
        (Some(cause), _) => tracing::debug!(code = error.code, %cause, "{}", error.message),
        (None, _) => tracing::debug!(code = error.code, "{}", error.message),
    }
}

/// An error as JSON.
pub fn json(error: &Error, id: Option<String>) -> HttpResponse {
    log(error);
    let mut response = HttpResponse::build(status(error.kind));
    if error.kind == Kind::Unauthenticated {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"slipway\""));
    }
    if matches!(error.kind, Kind::TooMany | Kind::Unavailable) {
        response.insert_header((header::RETRY_AFTER, HeaderValue::from_static("5")));
    }
    response.json(ErrorBody::new(error, id))
}

/// Whether the request comes from a browser's page load or form, rather than from a program.
pub fn wants_page(request: &HttpRequest) -> bool {
    let accept =
        request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_api = request.path().contains("/api/") || request.path().contains("/v1/");
    !is_api && accept.contains("text/html")
}

/// An error in the form that suits the request.
pub fn respond(request: &HttpRequest, error: &Error) -> HttpResponse {
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    if let Some(front) = Front::of(request) {
        log(error);
        return front.failure(error, status(error.kind), id);
    }
    if !wants_page(request) {
        return json(error, id);
    }
    log(error);
    crate::http::web::failure::page(request, error)
}

/// A path that is there, asked with a method that is not.
pub fn wrong_method(request: &HttpRequest, allowed: &str) -> HttpResponse {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let error = Error::invalid("wrong_method", format!("{} takes {allowed}", request.path()));
    if let Some(front) = Front::of(request) {
        let mut response = front.failure(&error, status, trace::current());
        if let Ok(methods) = HeaderValue::from_str(allowed) {
            response.headers_mut().insert(header::ALLOW, methods);
        }
        return response;
    }
    let body = ErrorBody {
        status_code: status.as_u16(),
        status: status.canonical_reason().unwrap_or_default().to_owned(),
        ..ErrorBody::new(&error, trace::current())
    };
    HttpResponse::build(status).insert_header((header::ALLOW, allowed)).json(body)
}

/// What is not in the route table.
pub async fn no_such_page(request: HttpRequest) -> HttpResponse {
    let absent = match Front::of(&request) {
        Some(front) => front.no_such_operation(&request),
        None => Error::not_found("page", request.path()),
    };
    respond(&request, &absent)
}
