//! Before and after a session: login, the first run's setup link, logout.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;

use super::failure::{PageError, outside};
use super::fields::Fields;
use super::page::{Field, Page, Trouble, blame};
use super::visit::{Answer, html};
use crate::auth::local::NewLocal;
use crate::auth::{Credential, Identity};
use crate::domain::group::Groups;
use crate::domain::{Error, Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::{State, csrf, identity, login, sso};
use actix_web::HttpMessage as _;
use actix_web::http::StatusCode;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/login", ask);
    routes.post("/login", sign_in);
    routes.get("/setup", ask_setup);
    routes.post("/setup", set_up);
    routes.post("/logout", log_out);
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// Where the visitor wanted to go.
    to: String,
    /// What just happened: `signed-out`.
    after: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    page: Page,
    trouble: Option<Trouble>,
    /// What the provider's button says, and where it leads.
    sso: Option<(String, String)>,
    username: Field,
    password: Field,
    to: String,
    signed_out: bool,
}

impl Login {
    fn new(request: &HttpRequest, state: &State, to: &str) -> Self {
        Self {
            page: outside(request, "Sign in"),
            trouble: None,
            sso: sso(state, to),
            username: Field::text("username", "User name").required().autocomplete("username").focus(),
            password: Field::input("password", "password", "Password")
                .required()
                .autocomplete("current-password"),
            to: login::own_path(&state.settings, Some(to)),
            signed_out: false,
        }
    }
}

/// The button for the configured provider; `None` where there is none.
fn sso(state: &State, to: &str) -> Option<(String, String)> {
    let label = state.auth.provider_label()?;
    let to = login::own_path(&state.settings, Some(to));
    Some((label.to_owned(), sso::location(state, &to)))
}

async fn ask(request: HttpRequest, state: web::Data<State>, asked: web::Query<Asked>) -> Answer {
    if request.extensions().get::<Identity>().is_some() {
        let to = login::own_path(&state.settings, Some(&asked.to));
        return Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, to)).finish());
    }
    let mut page = Login::new(&request, &state, &asked.to);
    page.signed_out = asked.after == "signed-out";
    Ok(html(StatusCode::OK, &page)?)
}

/// A form that arrives without a session proves its page by same-origin metadata alone.
fn demand_same_origin(request: &HttpRequest, state: &State) -> Result<()> {
    if csrf::same_origin(request.headers(), &state.settings) {
        return Ok(());
    }
    Err(Error::new(Kind::Forbidden, "csrf", "the request does not come from this console")
        .hint("Load the page again and repeat what you did; nothing was changed."))
}

async fn sign_in(request: HttpRequest, state: web::Data<State>, fields: Fields) -> Answer {
    demand_same_origin(&request, &state)?;
    let username = fields.get("username").to_owned();
    let password = SecretString::from(fields.raw("password").to_owned());
    let address = identity::address(&request, &state);
    let to = login::own_path(&state.settings, Some(fields.get("to")));
    match state.auth.by_password(&username, password, address).await {
        Ok(user) => Ok(login::sign_in(&state, &request, &user, None, &to).await?),
        Err(error) if error.kind == Kind::Internal => Err(error.into()),
        Err(error) => {
            let mut page = Login::new(&request, &state, &to);
            page.trouble = Some(blame(&mut [], &error));
            // The name stays; the password is what is typed anew.
            page.username = Field { focus: false, ..page.username.value(username) };
            page.password = page.password.focus();
            Ok(html(status(error.kind), &page)?)
        }
    }
}

/// The one-time link.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Link {
    token: String,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct Setup {
    page: Page,
    trouble: Option<Trouble>,
    token: String,
    username: Field,
    name: Field,
    password: Field,
    again: Field,
}

impl Setup {
    fn new(request: &HttpRequest, token: &str, fields: &Fields) -> Self {
        let username = fields.optional("username").unwrap_or("admin");
        Self {
            page: outside(request, "First run"),
            trouble: None,
            token: token.to_owned(),
            username: Field::text("username", "User name")
                .value(username)
                .required()
                .mono()
                .autocomplete("username")
                .focus(),
            name: Field::text("name", "Your name")
                .hint("As others see it.")
                .value(fields.get("name"))
                .autocomplete("name"),
            password: Field::input("password", "password", "Password")
                .hint("12 characters or more.")
                .required()
                .autocomplete("new-password"),
            again: Field::input("password", "again", "The same again")
                .required()
                .autocomplete("new-password"),
        }
    }
}

async fn ask_setup(request: HttpRequest, state: web::Data<State>, asked: web::Query<Link>) -> Answer {
    let token = &asked.token;
    if !state.auth.setup_token_is_live(token).await? {
        return Err(PageError(dead_link()));
    }
    Ok(html(StatusCode::OK, &Setup::new(&request, token, &Fields::default()))?)
}

fn dead_link() -> Error {
    Error::new(Kind::NotFound, "setup_link_dead", "this setup link was used already, or is too old")
        .hint("Sign in if an administrator exists; else start Slipway again: it prints a fresh link.")
}

async fn set_up(request: HttpRequest, state: web::Data<State>, fields: Fields) -> Answer {
    let token = fields.get("token");
    demand_same_origin(&request, &state)?;
    let new = NewLocal {
        username: fields.get("username").to_owned(),
        name: fields.get("name").to_owned(),
        password: SecretString::from(fields.raw("password").to_owned()),
        groups: Groups::new(),
    };
    let made = if fields.raw("password") == fields.raw("again") {
        state.auth.set_up(token, new).await
    } else {
        Err(Error::field("again", "the two passwords differ"))
    };
    match made {
        Ok(user) => {
            let home = login::own_path(&state.settings, None);
            Ok(login::sign_in(&state, &request, &user, None, &home).await?)
        }
        Err(error) if matches!(error.kind, Kind::Invalid | Kind::Conflict) => {
            let mut page = Setup::new(&request, token, &fields);
            let all = &mut [&mut page.username, &mut page.name, &mut page.password, &mut page.again];
            page.trouble = Some(blame(all, &error));
            Ok(html(status(error.kind), &page)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// The page that hands the browser on to the provider's own sign-out.
#[derive(Template)]
#[template(path = "signing_out.html")]
struct SigningOut {
    page: Page,
    provider: String,
}

async fn log_out(request: HttpRequest, state: web::Data<State>) -> Answer {
    let session = request.extensions().get::<Identity>().map(|identity| identity.credential.clone());
    let id_token = match session {
        Some(Credential::Session(session)) => state.auth.end_session(session).await?,
        _ => None,
    };
    let cleared = login::cleared(&state.settings);
    let provider = match id_token {
        Some(token) => state.auth.provider_logout(Some(&token)).await,
        None => None,
    };
    if let Some(provider) = provider {
        let page = outside(&request, "Signed out");
        let mut answer = html(StatusCode::OK, &SigningOut { page, provider })?;
        answer.add_cookie(&cleared).map_err(Error::internal)?;
        return Ok(answer);
    }
    let to = format!("{}/login?after=signed-out", state.settings.base_path());
    Ok(HttpResponse::SeeOther().cookie(cleared).insert_header((header::LOCATION, to)).finish())
}
