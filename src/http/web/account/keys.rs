//! My API keys: made here, shown once.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use chrono::{NaiveTime, TimeZone as _, Utc};
use secrecy::ExposeSecret as _;

use super::{page, tabs};
use crate::app::api_key::{self, NewKey};
use crate::domain::api_key::ApiKey;
use crate::domain::clock::Timestamp;
use crate::domain::group::Groups;
use crate::domain::name::{GroupName, Label};
use crate::domain::{Error, Kind, Problem, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::web::fields::Fields;
use crate::http::web::page::{Field, Page, State, Tab, Tone, Trouble, blame};
use crate::http::web::visit::{Answer, Visit};

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/account/keys", list);
    routes.post("/account/keys", create);
    routes.post("/account/keys/{id}/revoke", revoke);
}

/// One key of a list.
pub(in crate::http::web) struct KeyRow {
    pub id: String,
    pub name: String,
    pub hint: String,
    pub groups: String,
    pub state: State,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub is_live: bool,
}

impl KeyRow {
    /// Of a key as it stands at `now`.
    pub fn new(key: &ApiKey, now: Timestamp) -> Self {
        let groups: Vec<&str> = key.groups.iter().map(AsRef::as_ref).collect();
        let state = match (key.revoked_at, key.is_live(now)) {
            (Some(_), _) => State::cancelled("Revoked"),
            (None, false) => State::off("Expired"),
            (None, true) => State::ok("Live"),
        };
        Self {
            id: key.id.to_string(),
            name: key.name.to_string(),
            hint: key.hint.clone(),
            groups: groups.join(", "),
            state,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            is_live: key.is_live(now),
        }
    }
}

#[derive(Template)]
#[template(path = "account/keys.html")]
struct Keys {
    page: Page,
    tabs: Vec<Tab>,
    trouble: Option<Trouble>,
    rows: Vec<KeyRow>,
    name: Field,
    expires: Field,
    /// Group, and whether the key shall have it.
    groups: Vec<(String, bool)>,
    groups_error: Option<String>,
    /// The secret of the key that was just made: shown here and never again.
    made: Option<(String, String)>,
}

async fn form(visit: &Visit, fields: &Fields) -> Result<Keys> {
    let keys = api_key::list_own(&visit.app, &visit.caller).await?;
    let chosen: Vec<&str> = fields.all("group").collect();
    let fresh = fields.get("name").is_empty();
    let groups = visit.caller.subject.groups.iter();
    Ok(Keys {
        page: page(visit),
        tabs: tabs(visit, "API keys"),
        trouble: None,
        rows: keys.iter().map(|key| KeyRow::new(key, visit.now)).collect(),
        name: Field::text("name", "Name").hint("What it is for.").value(fields.get("name")).required(),
        expires: Field::input("date", "expires", "Ends on")
            .hint("At the end of that day, UTC. Left empty, it lives until it is revoked.")
            .value(fields.get("expires")),
        groups: groups.map(|group| (group.to_string(), fresh || chosen.contains(&group.as_str()))).collect(),
        groups_error: None,
        made: None,
    })
}

async fn list(visit: Visit) -> Answer {
    let page = form(&visit, &Fields::default()).await?;
    visit.show(&page)
}

/// Answers with the page itself instead of a redirect: the secret is in this one answer and nowhere else.
async fn create(visit: Visit, fields: Fields) -> Answer {
    let made = match parse(&fields) {
        Ok(new) => api_key::create(&visit.app, &visit.caller, new).await,
        Err(error) => Err(error),
    };
    match made {
        Ok((key, secret)) => {
            let mut page = form(&visit, &Fields::default()).await?;
            page.made = Some((key.name.to_string(), secret.expose_secret().to_owned()));
            visit.show_as(StatusCode::OK, &page)
        }
        Err(error) if matches!(error.kind, Kind::Invalid | Kind::Conflict) => {
            let mut page = form(&visit, &fields).await?;
            page.groups_error = error
                .problems
                .iter()
                .find(|problem| matches!(problem.place.as_str(), "group" | "groups"))
                .map(|problem| problem.message.clone());
            let error = super::super::deployment::renamed(error, "expires_at", "expires");
            page.trouble = Some(blame(&mut [&mut page.name, &mut page.expires], &error));
            visit.show_as(status(error.kind), &page)
        }
        Err(error) => Err(error.into()),
    }
}

fn parse(fields: &Fields) -> Result<NewKey> {
    let mut problems: Vec<Problem> = Vec::new();
    let name = Label::parse(fields.get("name")).map_err(|error| problems.extend(error.problems)).ok();
    let groups: Result<Groups> = fields.all("group").map(GroupName::parse).collect();
    let groups = groups.map_err(|error| problems.extend(error.problems)).unwrap_or_default();
    let expires_at =
        end_of(fields.get("expires")).map_err(|error| problems.extend(error.problems)).unwrap_or_default();
    match name {
        Some(name) if problems.is_empty() => Ok(NewKey { name, groups, expires_at }),
        _ => Err(Error::problems("invalid_input", problems)),
    }
}

/// The end of a day in UTC.
fn end_of(day: &str) -> Result<Option<Timestamp>> {
    if day.is_empty() {
        return Ok(None);
    }
    let wrong = || Error::field("expires", format!("{day:?} is no day such as 2027-01-31"));
    let day: chrono::NaiveDate = day.parse().map_err(|_| wrong())?;
    let next = day.succ_opt().ok_or_else(wrong)?;
    Ok(Some(Utc.from_utc_datetime(&next.and_time(NaiveTime::MIN))))
}

async fn revoke(visit: Visit, path: web::Path<uuid::Uuid>) -> Answer {
    api_key::revoke(&visit.app, &visit.caller, path.into_inner()).await?;
    visit.go("/account/keys", Tone::Ok, "The key is revoked: it opens nothing any more.")
}
