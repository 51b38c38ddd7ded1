//! The error envelope: a problem (RFC 7807), as upstream's framework sends it, with Slipway's own fields beside.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use serde::Serialize;

use crate::domain::{Error, Kind, Problem};

/// What errors are written in.
pub const MEDIA_TYPE: &str = "application/problem+json";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    /// Slipway's own stable word.
    code: &'static str,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// One entry for each wrong place of the input.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [Problem],
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// The answer to a request that failed.
pub fn answer(error: &Error, status: StatusCode, request_id: Option<String>) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    match error.kind {
        Kind::Unauthenticated => {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"slipway\""));
        }
        Kind::TooMany | Kind::Unavailable => {
            response.insert_header((header::RETRY_AFTER, HeaderValue::from_static("5")));
        }
        _ => {}
    }
    let envelope = Envelope {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        detail: &error.message,
        code: error.code,
        hint: error.hint.as_deref(),
        problems: &error.problems,
        request_id,
    };
    response.content_type(MEDIA_TYPE).json(envelope)
}
