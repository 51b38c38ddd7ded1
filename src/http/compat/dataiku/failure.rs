//! The error envelope: the client raises `DataikuException("<errorType>: <detailedMessage>")`, so those two say it all.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use serde::Serialize;

use crate::domain::{Error, Kind};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    error_type: &'static str,
    message: &'a str,
    detailed_message: String,
    /// Slipway's own stable word.
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// The type that scripts compare with: the names that Dataiku's own server sends.
fn error_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthenticated => "com.dataiku.dip.exceptions.NotAuthenticatedException",
        Kind::Forbidden => "com.dataiku.dip.exceptions.UnauthorizedException",
        Kind::NotFound => "com.dataiku.dip.server.controllers.NotFoundException",
        Kind::Invalid | Kind::TooLarge | Kind::Unsupported => "java.lang.IllegalArgumentException",
        Kind::Conflict | Kind::Stale | Kind::Warned | Kind::TooMany => {
            "com.dataiku.dip.exceptions.CodedException"
        }
        Kind::Unavailable => "java.io.IOException",
        Kind::Internal => "java.lang.RuntimeException",
    }
}

/// What happened, each wrong place with its way out, and what to do next, in one text.
fn detailed(error: &Error) -> String {
    let mut text = error.message.clone();
    for problem in &error.problems {
        let line = format!("{}: {}", problem.place, problem.message);
        if !text.contains(&line) {
            text.push_str(&format!("\n- {line}"));
        }
        if let Some(hint) = problem.hint.as_ref().filter(|hint| error.hint.as_ref() != Some(*hint)) {
            text.push_str(&format!(" ({hint})"));
        }
    }
    if let Some(hint) = &error.hint {
        text.push_str(if error.problems.len() > 1 { "\n" } else { ". " });
        text.push_str(hint);
    }
    text
}

/// The answer to a request that failed.
pub fn answer(error: &Error, status: StatusCode, request_id: Option<String>) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    match error.kind {
        Kind::Unauthenticated => {
            response.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"slipway\""));
        }
        Kind::TooMany | Kind::Unavailable => {
            response.insert_header((header::RETRY_AFTER, HeaderValue::from_static("5")));
        }
        _ => {}
    }
    response.json(Envelope {
        error_type: error_type(error.kind),
        message: &error.message,
        detailed_message: detailed(error),
        code: error.code,
        request_id,
    })
}
