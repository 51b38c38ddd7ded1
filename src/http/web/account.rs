//! My account: how I like the console, my keys, my sessions.

pub(super) mod keys;

use actix_web::HttpMessage as _;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::fields::Fields;
use super::page::{Choice, Field, Page, Section, Tab, Tone};
use super::visit::{Answer, Visit};
use crate::app::user;
use crate::auth::{Credential, Identity};
use crate::domain::access::SubjectKind;
use crate::domain::clock::Timestamp;
use crate::domain::user::{Preferences, Theme};
use crate::domain::{Error, Result};
use crate::http::routes::Routes;

/// The routes of this file and those below it.
pub fn routes(routes: &mut Routes) {
    routes.get("/account", show);
    routes.post("/account", save);
    routes.post("/account/theme", theme);
    routes.get("/account/sessions", sessions);
    routes.post("/account/sessions", end_sessions);
    keys::routes(routes);
}

fn tabs(visit: &Visit, current: &str) -> Vec<Tab> {
    let tabs = [
        ("Preferences", visit.url("/account")),
        ("API keys", visit.url("/account/keys")),
        ("Sessions", visit.url("/account/sessions")),
    ];
    Tab::all(current, tabs)
}

fn page(visit: &Visit) -> Page {
    visit.page("My account", Section::Account)
}

#[derive(Template)]
#[template(path = "account/show.html")]
struct Account {
    page: Page,
    tabs: Vec<Tab>,
    theme: Field,
    keys: Field,
    name: String,
    groups: Vec<String>,
    is_admin: bool,
}

async fn show(visit: Visit) -> Answer {
    let themes = vec![
        Choice::new("system", "as the system says"),
        Choice::new("light", "light"),
        Choice::new("dark", "dark"),
    ];
    let subject = &visit.caller.subject;
    let page = Account {
        page: page(&visit),
        tabs: tabs(&visit, "Preferences"),
        theme: Field::radio("theme", "Theme", themes).value(theme_word(visit.preferences.theme)),
        keys: Field::check("keys", "Single-key shortcuts", visit.preferences.keys)
            .hint("/ finds, g then a letter goes somewhere, ? lists them. Switch them off where they get in the way."),
        name: subject.name.clone(),
        groups: subject.groups.iter().map(ToString::to_string).collect(),
        is_admin: subject.is_admin,
    };
    visit.show(&page)
}

fn theme_word(theme: Theme) -> &'static str {
    match theme {
        Theme::System => "system",
        Theme::Light => "light",
        Theme::Dark => "dark",
    }
}

fn theme_of(word: &str) -> Result<Theme> {
    match word {
        "system" => Ok(Theme::System),
        "light" => Ok(Theme::Light),
        "dark" => Ok(Theme::Dark),
        other => {
            Err(Error::field("theme", format!("{other:?} is no theme; it is one of system, light, dark")))
        }
    }
}

async fn save(visit: Visit, fields: Fields) -> Answer {
    let preferences = Preferences { theme: theme_of(fields.get("theme"))?, keys: fields.is_checked("keys") };
    user::set_preferences(&visit.app, &visit.caller, preferences).await?;
    visit.go("/account", Tone::Ok, "Saved.")
}

/// The theme alone, from the menu of every page: back to where one was.
async fn theme(visit: Visit, request: HttpRequest, fields: Fields) -> Answer {
    let preferences = Preferences { theme: theme_of(fields.get("theme"))?, ..visit.preferences.clone() };
    user::set_preferences(&visit.app, &visit.caller, preferences).await?;
    Ok(back(&visit, &request))
}

/// A redirect to the page that the request came from, when it is one of ours, else home.
fn back(visit: &Visit, request: &HttpRequest) -> HttpResponse {
    let referer = request.headers().get("referer").and_then(|value| value.to_str().ok());
    let settings = &visit.state().settings;
    let path = referer
        .and_then(|text| url::Url::parse(text).ok())
        .filter(|url| url.origin() == settings.base_url.origin());
    let path = path.map(|url| match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    });
    let to = crate::http::login::own_path(settings, path.as_deref());
    HttpResponse::SeeOther().insert_header(("location", to)).finish()
}

#[derive(Template)]
#[template(path = "account/sessions.html")]
struct Sessions {
    page: Page,
    tabs: Vec<Tab>,
    rows: Vec<Row>,
}

struct Row {
    agent: String,
    address: String,
    created_at: Timestamp,
    last_seen_at: Timestamp,
    expires_at: Timestamp,
    current: bool,
}

async fn sessions(visit: Visit, request: HttpRequest) -> Answer {
    let own = match request.extensions().get::<Identity>().map(|identity| identity.credential.clone()) {
        Some(Credential::Session(id)) => Some(id),
        _ => None,
    };
    let found = user::own_sessions(&visit.app, &visit.caller).await?;
    let rows = found.into_iter().map(|session| Row {
        current: own.as_ref() == Some(&session.id),
        agent: session.user_agent,
        address: session.address,
        created_at: session.created_at,
        last_seen_at: session.last_seen_at,
        expires_at: session.expires_at,
    });
    visit.show(&Sessions { page: page(&visit), tabs: tabs(&visit, "Sessions"), rows: rows.collect() })
}

async fn end_sessions(visit: Visit) -> Answer {
    if let SubjectKind::User(id) = visit.caller.subject.kind {
        user::revoke_sessions(&visit.app, &visit.caller, id).await?;
    }
    Ok(visit.leave("/login?after=signed-out"))
}
