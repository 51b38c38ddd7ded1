//! Unsafe requests of a browser session need same-origin metadata and a token; keys and tokens need neither.
//!
//! The token is a keyed hash of the session's id. It comes in the header `X-CSRF-Token`, or in the field `csrf` of a
//! form: of an urlencoded one anywhere, of a multipart one as its first part, so that an upload is refused before it
//! is read. The layer looks into the body itself and hands it on whole, so that no handler can forget the check.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, web};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};

use crate::auth::{Credential, Identity};
use crate::domain::{Error, Kind};
use crate::http::error::{self, ApiError};
use crate::http::{Settings, State};

/// How far into a multipart body its first part is looked for.
const FIRST_PART: usize = 4 * 1024;

/// Refuses an unsafe request of a session that does not prove where it comes from.
pub async fn layer<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, actix_web::Error> {
    if let Err(failure) = check(&mut request).await {
        let answer = error::respond(request.request(), &failure);
        return Ok(request.into_response(answer).map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

async fn check(request: &mut ServiceRequest) -> Result<(), Error> {
    if request.method().is_safe() {
        return Ok(());
    }
    let session = match request.extensions().get::<Identity>() {
        Some(Identity { credential: Credential::Session(session), .. }) => Some(session.clone()),
        Some(_) => return Ok(()),
        // The provider's own message: it proves itself by its signature.
        None if request.path().ends_with("/auth/backchannel-logout") => return Ok(()),
        None => None,
    };
    let Some(state) = request.app_data::<web::Data<State>>().cloned() else {
        return Err(Error::internal("no state"));
    };
    if !same_origin(request.headers(), &state.settings) {
        return Err(refused("the request does not come from this console"));
    }
    // Before login there is no token to show, and nothing but login and setup is open.
    let Some(session) = session else { return Ok(()) };
    let shown = shown_token(request, state.settings.body_limit).await?;
    match shown {
        Some(shown) if state.app.keys.csrf_matches(session.as_str(), &shown) => Ok(()),
        _ => Err(refused("the form's token is missing or old")),
    }
}

fn refused(why: &str) -> Error {
    Error::new(Kind::Forbidden, "csrf", why)
        .hint("Load the page again and repeat what you did; nothing was changed.")
}

/// Whether fetch metadata, else `Origin`, else `Referer` say that our own page sent it. Saying nothing is refused.
pub fn same_origin(headers: &HeaderMap, settings: &Settings) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let ours = settings.base_url.origin();
    let is_ours = |url: &str| url::Url::parse(url).is_ok_and(|url| url.origin() == ours);
    match (text("sec-fetch-site"), text("origin"), text("referer")) {
        (Some(site), origin, _) => site == "same-origin" && origin.is_none_or(is_ours),
        (None, Some(origin), _) => is_ours(origin),
        (None, None, Some(referer)) => is_ours(referer),
        (None, None, None) => false,
    }
}

async fn shown_token(request: &mut ServiceRequest, limit: usize) -> Result<Option<String>, Error> {
    if let Some(value) = request.headers().get("x-csrf-token") {
        return Ok(value.to_str().ok().map(ToOwned::to_owned));
    }
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    let payload = request.take_payload();
    if content_type.starts_with("application/x-www-form-urlencoded") {
        let (head, rest) = read_head(payload, limit).await?;
        let found = form_field(&head);
        request.set_payload(put_back(head, rest));
        return Ok(found);
    }
    if content_type.starts_with("multipart/form-data") {
        let (head, rest) = read_head(payload, FIRST_PART).await?;
        let found = first_part(&head);
        request.set_payload(put_back(head, rest));
        return Ok(found);
    }
    request.set_payload(payload);
    Ok(None)
}

/// Reads until `enough` bytes are there or the body ends; nothing is lost.
async fn read_head(mut payload: Payload, enough: usize) -> Result<(Bytes, Payload), Error> {
    let mut head = BytesMut::new();
    while head.len() < enough {
        match payload.next().await {
            None => break,
            Some(Ok(chunk)) => head.extend_from_slice(&chunk),
            Some(Err(failure)) => {
                return Err(Error::invalid("body_broken", "the request's body broke off")
                    .because(failure.to_string()));
            }
        }
    }
    Ok((head.freeze(), payload))
}

fn put_back(head: Bytes, rest: Payload) -> Payload {
    let whole = stream::once(async move { Ok(head) }).chain(rest);
    let boxed: std::pin::Pin<Box<dyn Stream<Item = _>>> = Box::pin(whole);
    Payload::from(boxed)
}

fn form_field(body: &[u8]) -> Option<String> {
    url::form_urlencoded::parse(body).find(|(name, _)| name == "csrf").map(|(_, value)| value.into_owned())
}

/// The value of the first part when that is the field `csrf`.
fn first_part(head: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    let (headers, after) = text.split_once("\r\n\r\n")?;
    let named = headers.lines().any(|line| {
        line.to_ascii_lowercase().starts_with("content-disposition:") && line.contains("name=\"csrf\"")
    });
    let value = after.split("\r\n").next()?;
    named.then(|| value.to_owned())
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        error.0
    }
}
