//! Administration: users and groups, everybody's keys, stages, the journal, the system. For administrators alone.

mod journal;
mod stages;

use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::account::keys::KeyRow;
use super::page::{Page, Section, State, Tab, Tone};
use super::visit::{Answer, Visit};
use crate::app::{api_key, user};
use crate::domain::Result;
use crate::domain::clock::Timestamp;
use crate::domain::user::{LOCAL_ISSUER, User};
use crate::http::routes::Routes;

/// How many users one page lists.
const ROWS: u32 = 100;

/// The routes of this file and those below it.
pub fn routes(routes: &mut Routes) {
    routes.get("/admin", users);
    routes.post("/admin/users/{id}/disable", disable);
    routes.post("/admin/users/{id}/enable", enable);
    routes.post("/admin/users/{id}/sign-out", sign_out);
    routes.get("/admin/keys", keys);
    routes.post("/admin/keys/{id}/revoke", revoke);
    routes.get("/admin/system", system);
    stages::routes(routes);
    journal::routes(routes);
}

fn page(visit: &Visit, current: &str) -> Result<(Page, Vec<Tab>)> {
    visit.caller.subject.demand_admin("administration")?;
    let tabs = [
        ("Users and groups", visit.url("/admin")),
        ("API keys", visit.url("/admin/keys")),
        ("Stages", visit.url("/admin/stages")),
        ("Journal", visit.url("/admin/journal")),
        ("System", visit.url("/admin/system")),
    ];
    Ok((visit.page("Administration", Section::Administration), Tab::all(current, tabs)))
}

#[derive(Debug, Deserialize)]
struct After {
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "administration/users.html")]
struct Users {
    page: Page,
    tabs: Vec<Tab>,
    rows: Vec<UserRow>,
    groups: Vec<String>,
    next: Option<String>,
}

struct UserRow {
    id: String,
    name: String,
    from: String,
    groups: String,
    state: State,
    disabled: bool,
    last_login_at: Option<Timestamp>,
}

impl UserRow {
    fn new(user: &User) -> Self {
        let groups: Vec<&str> = user.groups.iter().map(AsRef::as_ref).collect();
        let from = match user.issuer.as_str() {
            LOCAL_ISSUER => format!("{} (local)", user.subject),
            issuer => format!("{} at {issuer}", user.subject),
        };
        Self {
            id: user.id.to_string(),
            name: user.name.clone(),
            from,
            groups: groups.join(", "),
            state: if user.disabled { State::off("Disabled") } else { State::ok("Active") },
            disabled: user.disabled,
            last_login_at: user.last_login_at,
        }
    }
}

async fn users(visit: Visit, asked: web::Query<After>) -> Answer {
    let (page, tabs) = page(&visit, "Users and groups")?;
    let mut found = user::list(&visit.app, &visit.caller, asked.after.clone(), ROWS + 1).await?;
    let more = found.len() > ROWS as usize;
    found.truncate(ROWS as usize);
    let next =
        found.last().filter(|_| more).map(|last| visit.here().with("after", &last.id.to_string()).href());
    let groups = user::groups(&visit.app, &visit.caller).await?;
    let rows = found.iter().map(UserRow::new).collect();
    visit.show(&Users { page, tabs, rows, groups: groups.into_iter().map(String::from).collect(), next })
}

async fn disable(visit: Visit, path: web::Path<uuid::Uuid>) -> Answer {
    set_disabled(&visit, path.into_inner(), true).await
}

async fn enable(visit: Visit, path: web::Path<uuid::Uuid>) -> Answer {
    set_disabled(&visit, path.into_inner(), false).await
}

async fn set_disabled(visit: &Visit, id: uuid::Uuid, disabled: bool) -> Answer {
    match user::set_disabled(&visit.app, &visit.caller, id, disabled).await {
        Ok(user) if disabled => visit.go(
            "/admin",
            Tone::Ok,
            &format!("{} is disabled; sessions and keys open nothing any more.", user.name),
        ),
        Ok(user) => visit.go("/admin", Tone::Ok, &format!("{} is enabled.", user.name)),
        Err(error) if error.kind == crate::domain::Kind::Conflict => {
            visit.go("/admin", Tone::Warn, &crate::domain::text::capital(&error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

async fn sign_out(visit: Visit, path: web::Path<uuid::Uuid>) -> Answer {
    let ended = user::revoke_sessions(&visit.app, &visit.caller, path.into_inner()).await?;
    let text = match ended {
        0 => "There was no session.".to_owned(),
        1 => "One session was ended.".to_owned(),
        many => format!("{many} sessions were ended."),
    };
    visit.go("/admin", Tone::Ok, &text)
}

#[derive(Template)]
#[template(path = "administration/keys.html")]
struct Keys {
    page: Page,
    tabs: Vec<Tab>,
    rows: Vec<KeyRow>,
}

async fn keys(visit: Visit) -> Answer {
    let (page, tabs) = page(&visit, "API keys")?;
    let found = api_key::list_all(&visit.app, &visit.caller).await?;
    visit.show(&Keys { page, tabs, rows: found.iter().map(|key| KeyRow::new(key, visit.now)).collect() })
}

async fn revoke(visit: Visit, path: web::Path<uuid::Uuid>) -> Answer {
    visit.caller.subject.demand_admin("revoking somebody's key")?;
    api_key::revoke(&visit.app, &visit.caller, path.into_inner()).await?;
    visit.go("/admin/keys", Tone::Ok, "The key is revoked: it opens nothing any more.")
}

#[derive(Template)]
#[template(path = "administration/system.html")]
struct System {
    page: Page,
    tabs: Vec<Tab>,
    facts: Vec<(&'static str, String)>,
}

async fn system(visit: Visit) -> Answer {
    let (page, tabs) = page(&visit, "System")?;
    let settings = &visit.state().settings;
    let facts = vec![
        ("Version", env!("CARGO_PKG_VERSION").to_owned()),
        ("Address", settings.base_url.to_string()),
        ("Data directory", visit.app.store.dir().display().to_string()),
        ("Workers", settings.workers.to_string()),
        ("Upload limit", super::page::size(settings.upload_limit)),
        (
            "Groups that administer",
            visit.app.rules.admin_groups.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "),
        ),
        (
            "Groups that make projects",
            match visit.app.rules.project_makers.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ") {
                everyone if everyone.is_empty() => "everyone who is signed in".to_owned(),
                named => named,
            },
        ),
    ];
    visit.show(&System { page, tabs, facts })
}
