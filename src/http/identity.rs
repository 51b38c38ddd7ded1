//! The one authentication layer: it stands before routing, and lets through only who is known or what is [`OPEN`].

use std::net::IpAddr;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, web};
use secrecy::{ExposeSecret as _, SecretString};

use crate::auth::{Credential, Identity};
use crate::domain::access::{Caller, Origin};
use crate::domain::{Error, Kind, Result};
use crate::http::compat::Front;
use crate::http::error::{self, ApiError};
use crate::http::trace::RequestId;
use crate::http::unread::{Cut, Unread};
use crate::http::{State, proxy};

/// What is open to all, as path prefixes under the base path. This list may only shrink.
pub const OPEN: &[&str] = &[
    "/healthz",
    "/readyz",
    "/metrics",
    "/static/",
    "/login",
    "/setup",
    "/auth/",
    "/api/docs",
    "/api/v1/openapi.json",
    // The same of renga-deployer's API, open at upstream, too; the console only where it is configured.
    "/v1/swagger.json",
    "/v1/ui",
];

/// Whether `path`, below the base path, is open to all.
pub fn is_open(path: &str) -> bool {
    OPEN.iter().any(|open| match open.strip_suffix('/') {
        Some(_) => path.starts_with(open),
        None => path == *open || path.strip_prefix(open).is_some_and(|rest| rest.starts_with('/')),
    })
}

/// Finds out who asks, and refuses who is nobody.
pub async fn layer<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, actix_web::Error> {
    let Some(state) = request.app_data::<web::Data<State>>().cloned() else {
        return Err(ApiError(Error::internal("no state")).into());
    };
    let refusal = match identify(&request, &state).await {
        Ok(Some(identity)) => {
            if is_use(&request) {
                // Reading goes on where nothing can be written.
                if let Err(error) = state.auth.note_use(&identity).await {
                    tracing::warn!(%error, "a session's use was not written down");
                }
            }
            let caller = caller(&request, &state, &identity);
            request.extensions_mut().insert(identity);
            request.extensions_mut().insert(caller);
            return Ok(next.call(request).await?.map_into_left_body());
        }
        Ok(None) if is_open(below_base(&request, &state)) => {
            too_long(&request, &state).map(|failure| error::respond(request.request(), &failure))
        }
        Ok(None) => Some(refuse(request.request(), &state)),
        Err(failure) => Some(error::respond(request.request(), &failure)),
    };
    let unread = Unread::take(&mut request);
    let answer = match refusal {
        Some(refusal) => request.into_response(refusal),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    Ok(answer.map_body(|_, body| BoxBody::new(Cut { body, _unread: unread })).map_into_right_body())
}

fn below_base<'a>(request: &'a ServiceRequest, state: &State) -> &'a str {
    request.path().strip_prefix(state.settings.base_path()).unwrap_or_default()
}

/// Nobody's body that is too long by its own account is refused before any of it is read.
fn too_long(request: &ServiceRequest, state: &State) -> Option<Error> {
    let declared = request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok()?;
    let limit = state.settings.body_limit;
    (declared > limit as u64).then(|| {
        let words = format!("the body is larger than the {limit} bytes that this server takes");
        Error::new(Kind::TooLarge, "body_too_large", words).hint("Send less.")
    })
}

async fn identify(request: &ServiceRequest, state: &State) -> Result<Option<Identity>> {
    if let Some(front) = Front::of(request.request()) {
        return match front.credential(request.headers()) {
            Some(shown) => front.holder(&state.auth, &shown).await,
            None => Ok(None),
        };
    }
    if let Some(token) = request.headers().get(header::AUTHORIZATION).and_then(bearer) {
        return state.auth.by_bearer(token).await;
    }
    match request.cookie(state.settings.cookie_name()) {
        Some(cookie) => state.auth.by_session(cookie.value()).await,
        None => Ok(None),
    }
}

/// Whether somebody did something. What a page asks for by itself, its streams and its live parts, is none.
fn is_use(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    let streams = headers.get_all(header::ACCEPT).any(|accept| accept == "text/event-stream");
    !(request.method().is_safe() && (streams || headers.contains_key("hx-request")))
}

/// The token of `Authorization: Bearer …`.
pub fn bearer(value: &header::HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn caller(request: &ServiceRequest, state: &State, identity: &Identity) -> Caller {
    let origin = match (Front::of(request.request()), &identity.credential) {
        (Some(front), _) => front.origin(),
        (None, Credential::Session(_)) => Origin::Console,
        (None, Credential::ApiKey(_) | Credential::Token(_)) => Origin::Api,
    };
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let address = proxy::client_address(request.head(), &state.settings.trusted_proxies);
    Caller { subject: identity.subject.clone(), origin, request_id, address }
}

fn refuse(request: &HttpRequest, state: &State) -> HttpResponse {
    let front = Front::of(request);
    let way_in = front
        .map_or("Sign in to the console, or send an API key as `Authorization: Bearer …`.", Front::way_in);
    let failure = Error::new(Kind::Unauthenticated, "unauthenticated", "you are not signed in").hint(way_in);
    if front.is_none() && request.method().is_safe() && error::wants_page(request) {
        let to = crate::http::login::location(state, request);
        return HttpResponse::SeeOther().insert_header((header::LOCATION, to)).finish();
    }
    error::respond(request, &failure)
}

/// Who asks: the extractor of every handler behind the layer.
#[derive(Debug, Clone)]
pub struct Who(pub Caller);

impl std::ops::Deref for Who {
    type Target = Caller;
    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl FromRequest for Who {
    type Error = ApiError;
    type Future = std::future::Ready<std::result::Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Caller>().cloned();
        let nobody =
            || ApiError(Error::new(Kind::Unauthenticated, "unauthenticated", "you are not signed in"));
        std::future::ready(caller.map(Self).ok_or_else(nobody))
    }
}

/// The credential that a long answer began with: asked again and again whether it still opens anything.
pub struct Standing {
    shown: Shown,
    /// What the request said of itself; its subject is as old as the request.
    caller: Option<Caller>,
}

enum Shown {
    /// At another system's front, in its manner.
    Front(Front, SecretString),
    Bearer(SecretString),
    Session(SecretString),
    Nothing,
}

impl Standing {
    /// What `request` shows.
    pub fn of(request: &HttpRequest) -> Self {
        let state = request.app_data::<web::Data<State>>();
        let cookie = state.and_then(|state| request.cookie(state.settings.cookie_name()));
        let bearer = request.headers().get(header::AUTHORIZATION).and_then(bearer);
        let shown = match (Front::of(request), bearer, cookie) {
            (Some(front), _, _) => {
                let credential = front.credential(request.headers());
                credential.map_or(Shown::Nothing, |credential| Shown::Front(front, credential))
            }
            (None, Some(token), _) => Shown::Bearer(SecretString::from(token.to_owned())),
            (None, None, Some(cookie)) => Shown::Session(SecretString::from(cookie.value().to_owned())),
            (None, None, None) => Shown::Nothing,
        };
        let caller = request.extensions().get::<Caller>().cloned();
        Self { shown, caller }
    }

    /// The caller as it is now, with its groups of now; `None` once the credential opens nothing any more.
    ///
    /// # Errors
    /// Internal ones only.
    pub async fn caller(&self, state: &State) -> Result<Option<Caller>> {
        let identity = match &self.shown {
            Shown::Front(front, credential) => front.holder(&state.auth, credential).await?,
            Shown::Bearer(token) => state.auth.by_bearer(token.expose_secret()).await?,
            Shown::Session(cookie) => state.auth.by_session(cookie.expose_secret()).await?,
            Shown::Nothing => None,
        };
        let known = identity.zip(self.caller.clone());
        Ok(known.map(|(identity, caller)| Caller { subject: identity.subject, ..caller }))
    }
}

/// The client's address behind trusted proxies.
pub fn address(request: &HttpRequest, state: &State) -> Option<IpAddr> {
    proxy::client_address(request.head(), &state.settings.trusted_proxies)
}
