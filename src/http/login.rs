//! The cookie that a login sets and a logout clears, and where a browser is sent before and after.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use secrecy::{ExposeSecret as _, SecretString};

use crate::auth::login::FLOW_LIFE;
use crate::auth::session::Begin;
use crate::domain::Result;
use crate::domain::bundle::Digest;
use crate::domain::user::User;
use crate::http::{Settings, State, identity};

/// The login page's address for a visitor who is not signed in. The wanted path is checked again by [`own_path`].
pub fn location(state: &State, request: &HttpRequest) -> String {
    let wanted = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let base = state.settings.base_path();
    let encoded: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    format!("{base}/login?to={encoded}")
}

/// `wanted` when it is a path of ours, else the home page: a login never leads elsewhere.
pub fn own_path(settings: &Settings, wanted: Option<&str>) -> String {
    let base = settings.base_path();
    let home = format!("{base}/");
    let Some(wanted) = wanted else { return home };
    let plain = wanted.starts_with('/')
        && !wanted.starts_with("//")
        && !wanted.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace());
    let resolved = plain.then(|| settings.base_url.join(wanted).ok()).flatten();
    match resolved {
        // As a browser reads it: `..` must not lead out of the base path.
        Some(url) if url.origin() == settings.base_url.origin() && url.path().starts_with(&home) => {
            wanted.to_owned()
        }
        _ => home,
    }
}

fn cookie(settings: &Settings, name: String, value: String, life: Option<Duration>) -> Cookie<'static> {
    let path =
        if name.starts_with("__Host-") { "/".to_owned() } else { format!("{}/", settings.base_path()) };
    let builder = Cookie::build(name, value)
        .path(path)
        .http_only(true)
        .secure(settings.is_https())
        .same_site(SameSite::Lax);
    match life {
        Some(life) => builder.max_age(life).finish(),
        None => builder.finish(),
    }
}

/// The name of the cookie that a browser shows when it comes back from the provider.
pub fn departure_cookie_name(settings: &Settings) -> String {
    format!("{}-login", settings.cookie_name())
}

/// What a browser keeps while it is at the provider.
pub fn departure(settings: &Settings, value: &str) -> Cookie<'static> {
    let life = Duration::seconds(FLOW_LIFE.num_seconds());
    cookie(settings, departure_cookie_name(settings), value.to_owned(), Some(life))
}

/// The session that a request carries, live or not, by the hash of its cookie.
pub fn carried(settings: &Settings, request: &HttpRequest) -> Option<Digest> {
    request.cookie(settings.cookie_name()).map(|cookie| Digest::of(cookie.value().as_bytes()))
}

/// Begins a session for `user` and sends the browser to `to`, a path of ours.
///
/// # Errors
/// Internal ones only.
pub async fn sign_in(
    state: &State,
    request: &HttpRequest,
    user: &User,
    provider: Option<(Option<String>, SecretString)>,
    to: &str,
) -> Result<HttpResponse> {
    let user_agent = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let begin = Begin {
        user: user.id,
        provider,
        user_agent: user_agent.unwrap_or_default().to_owned(),
        address: identity::address(request, state).map(|address| address.to_string()).unwrap_or_default(),
        replaces: carried(&state.settings, request),
    };
    let value = state.auth.begin_session(begin).await?;
    let name = state.settings.cookie_name().to_owned();
    let cookie = cookie(&state.settings, name, value.expose_secret().to_owned(), None);
    Ok(HttpResponse::SeeOther().cookie(cookie).insert_header((header::LOCATION, to)).finish())
}

/// A cookie that makes the browser forget its session.
pub fn cleared(settings: &Settings) -> Cookie<'static> {
    let name = settings.cookie_name().to_owned();
    cookie(settings, name, String::new(), Some(Duration::ZERO))
}
