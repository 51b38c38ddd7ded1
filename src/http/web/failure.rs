//! Errors as pages: in the console's frame for who is signed in, by themselves for who is not.
//!
//! A handler answers [`PageError`]; the layer below, which has the request, turns it and whatever actix refuses by
//! itself (an unreadable path, query or form) into the page.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;

use super::page::{Note, Page, Section};
use super::visit::{self, Visit};
use crate::domain::{Error, Kind, Problem};
use crate::http::State;
use crate::http::compat::Front;
use crate::http::error::{self, ApiError};
use crate::http::trace::{self, RequestId};

/// An error on its way to being a page.
#[derive(Debug)]
pub struct PageError(pub Error);

impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl std::fmt::Display for PageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        error::status(self.0.kind)
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

/// Renders what handlers and extractors refused.
pub async fn layer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, actix_web::Error> {
    let response = next.call(request).await?;
    let answer = match of_a_front(&response) {
        Some(answer) => answer,
        None => match refusal(&response) {
            Some(refusal) => error::respond(response.request(), &refusal),
            None => return Ok(response.map_into_left_body()),
        },
    };
    let (request, _) = response.into_parts();
    Ok(ServiceResponse::new(request, answer).map_into_right_body())
}

/// What the API refused, in the form of another system's front. The log heard of it when its own form was made.
fn of_a_front<B>(response: &ServiceResponse<B>) -> Option<HttpResponse> {
    let front = Front::of(response.request())?;
    let ApiError(refused) = response.response().error()?.as_error()?;
    Some(front.failure(refused, error::status(refused.kind), trace::current()))
}

fn refusal<B>(response: &ServiceResponse<B>) -> Option<Error> {
    let failure = response.response().error()?;
    if let Some(PageError(error)) = failure.as_error() {
        return Some(copy(error));
    }
    let is_known = failure.as_error::<ApiError>().is_some();
    let of_front = Front::of(response.request()).is_some();
    if is_known || !(of_front || error::wants_page(response.request())) {
        return None;
    }
    Some(match response.status() {
        StatusCode::NOT_FOUND => Error::not_found("page", response.request().path()),
        StatusCode::PAYLOAD_TOO_LARGE => {
            Error::new(Kind::TooLarge, "body_too_large", "the request is too large")
        }
        status if status.is_client_error() => {
            Error::invalid("bad_request", "the address or the form could not be read")
                .hint("Go back and try again.")
        }
        _ => Error::internal(failure.to_string()),
    })
}

/// What of an error goes to a page; its cause, which cannot be copied, goes to the log here.
fn copy(error: &Error) -> Error {
    error::log(error);
    let shown = Error::new(error.kind, error.code, error.message.clone());
    Error { hint: error.hint.clone(), problems: error.problems.clone(), ..shown }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    page: Page,
    title: &'static str,
    note: Note,
    problems: &'a [Problem],
    status: u16,
    request_id: String,
}

/// An error as a page.
pub fn page(request: &HttpRequest, failure: &Error) -> HttpResponse {
    let status = error::status(failure.kind);
    let title = title(failure.kind);
    let frame = match Visit::of(request) {
        Some(visit) => visit.page(title, Section::Outside),
        None => outside(request, title),
    };
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let page = ErrorPage {
        page: frame,
        title,
        note: Note::from(failure),
        problems: &failure.problems,
        status: status.as_u16(),
        request_id,
    };
    let mut response = visit::html(status, &page).unwrap_or_else(|_| HttpResponse::new(status));
    if let Ok(words) = HeaderValue::from_str(&ascii(&failure.to_string())) {
        response.headers_mut().insert(actix_web::http::header::HeaderName::from_static("x-message"), words);
    }
    response
}

/// The frame of a page before login.
pub fn outside(request: &HttpRequest, title: &str) -> Page {
    let state = request.app_data::<web::Data<State>>();
    let base = state.map_or("", |state| state.settings.base_path());
    let now = state.map_or_else(Default::default, |state| state.app.now());
    Page::new(title, Section::Outside, base, &visit::asset(base), now)
}

/// A header's value holds visible ASCII only.
fn ascii(text: &str) -> String {
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).take(400).collect()
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "This request is wrong",
        Kind::Unauthenticated => "Sign in",
        Kind::Forbidden => "Not allowed",
        Kind::NotFound => "Not here",
        Kind::Conflict | Kind::Warned => "Not possible now",
        Kind::Stale => "Changed meanwhile",
        Kind::TooLarge => "Too large",
        Kind::TooMany => "Too often",
        Kind::Unsupported => "Not supported",
        Kind::Unavailable => "Not available now",
        Kind::Internal => "Something failed",
    }
}
