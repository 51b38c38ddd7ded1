//! Signing in through the identity provider: the way there, the way back, and the provider's own word to sign out.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use crate::auth::oidc::Callback;
use crate::domain::{Error, Result};
use crate::http::error;
use crate::http::routes::Routes;
use crate::http::{State, identity, login};

/// The routes of this file. All are open: nobody has a session yet, and the provider proves itself by its signature.
pub fn routes(routes: &mut Routes) {
    routes.get("/auth/login", depart);
    routes.get("/auth/callback", arrive);
    routes.post("/auth/backchannel-logout", back_channel_logout);
}

/// Where the sign-in page's button leads.
pub fn location(state: &State, to: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
    format!("{}/auth/login?to={encoded}", state.settings.base_path())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    to: String,
}

async fn depart(request: HttpRequest, state: web::Data<State>, asked: web::Query<Asked>) -> HttpResponse {
    leave(&request, &state, &asked.to).await.unwrap_or_else(|failure| error::respond(&request, &failure))
}

async fn leave(request: &HttpRequest, state: &State, to: &str) -> Result<HttpResponse> {
    let to = login::own_path(&state.settings, Some(to));
    let shown = request.cookie(&login::departure_cookie_name(&state.settings));
    let address = identity::address(request, state);
    let departure = state.auth.depart(to, shown.as_ref().map(|cookie| cookie.value()), address).await?;
    Ok(HttpResponse::SeeOther()
        .cookie(login::departure(&state.settings, departure.browser.expose_secret()))
        .insert_header((header::LOCATION, departure.url))
        .finish())
}

/// What the provider's redirect carries.
#[derive(Debug, Deserialize)]
struct Brought {
    #[serde(default)]
    state: String,
    #[serde(flatten)]
    callback: Callback,
}

async fn arrive(request: HttpRequest, state: web::Data<State>, brought: web::Query<Brought>) -> HttpResponse {
    let arrived = come_back(&request, &state, brought.into_inner()).await;
    arrived.unwrap_or_else(|failure| error::respond(&request, &failure))
}

async fn come_back(request: &HttpRequest, state: &State, brought: Brought) -> Result<HttpResponse> {
    let shown = request.cookie(&login::departure_cookie_name(&state.settings));
    let shown = shown.as_ref().map(|cookie| cookie.value());
    let address = identity::address(request, state);
    let arrival = state.auth.arrive(&brought.state, shown, brought.callback, address).await?;
    // The path was checked when the browser left; it is checked again, for the configuration may have changed.
    let to = login::own_path(&state.settings, Some(&arrival.return_to));
    login::sign_in(state, request, &arrival.user, Some(arrival.provider), &to).await
}

#[derive(Deserialize)]
struct Logout {
    #[serde(default)]
    logout_token: String,
}

/// What Back-Channel Logout 1.0, section 2.8, answers a refused token with.
#[derive(Serialize)]
struct Refused {
    error: &'static str,
    error_description: String,
}

async fn back_channel_logout(state: web::Data<State>, form: web::Form<Logout>) -> HttpResponse {
    let done = state.auth.back_channel_logout(&form.logout_token).await;
    let mut answer = match done {
        Ok(_) => HttpResponse::Ok().finish(),
        Err(failure) => {
            error::log(&failure);
            tracing::warn!(code = failure.code, "a back-channel logout was refused: {}", failure.message);
            refuse(&failure)
        }
    };
    answer.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    answer
}

fn refuse(failure: &Error) -> HttpResponse {
    match error::status(failure.kind) {
        status if status.is_server_error() => HttpResponse::build(status).finish(),
        _ => HttpResponse::BadRequest()
            .json(Refused { error: "invalid_request", error_description: failure.message.clone() }),
    }
}
