//! One infrastructure: its engine and the connection test, its policy with exceptions, who may do what, and its end.

pub(super) mod cluster;
mod grants;
mod policy;

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::deployment::actions::{ConfirmPage, refused};
use super::deployment::engine_word;
use super::fields::Fields;
use super::infrastructures::{govern_word, reached};
use super::journal::{self, Entry};
use super::page::{Confirm, Note, Page, Pager, Section, State, Tab, Tone, memory};
use super::visit::{Answer, Visit};
use crate::app::audit::{self, Of};
use crate::app::{deployment, infrastructure};
use crate::domain::access::{Authorized, InfrastructureRight};
use crate::domain::infrastructure::{EngineConnection, Infrastructure};
use crate::domain::name::InfrastructureId;
use crate::domain::page::PageRequest;
use crate::domain::{Error, Kind, Result};
use crate::engine::EngineReport;
use crate::http::routes::Routes;
use crate::store::observation::EngineState;

/// How many deployments the overview lists.
const DEPLOYMENTS: u32 = 50;
/// How many entries of the journal one page holds.
const ROWS: u32 = 50;

/// The routes of this file and those below it.
pub fn routes(routes: &mut Routes) {
    routes.get("/infrastructures/{id}", show);
    routes.post("/infrastructures/{id}/test", test);
    routes.get("/infrastructures/{id}/activity", activity);
    routes.get("/infrastructures/{id}/delete", ask_delete);
    routes.post("/infrastructures/{id}/delete", delete);
    policy::routes(routes);
    grants::routes(routes);
}

fn id_of(text: &str) -> Result<InfrastructureId> {
    InfrastructureId::parse(text).map_err(|_| Error::not_found("infrastructure", text))
}

/// What every tab shows.
struct Frame {
    id: String,
    tabs: Vec<Tab>,
    state: State,
    right: InfrastructureRight,
    is_admin: bool,
}

impl Frame {
    async fn load(
        visit: &Visit,
        id: InfrastructureId,
        current: &str,
    ) -> Result<(Authorized<Infrastructure>, Option<EngineState>, Self)> {
        let (found, engine) = infrastructure::get(&visit.app, &visit.caller, id).await?;
        let url = |tail: &str| visit.url(&format!("/infrastructures/{}{tail}", found.id));
        let tabs = [
            ("Overview", url("")),
            ("Settings", url("/settings")),
            ("Permissions", url("/permissions")),
            ("Activity", url("/activity")),
        ];
        let frame = Self {
            id: found.id.to_string(),
            tabs: Tab::all(current, tabs),
            state: reached(engine.as_ref()).0,
            right: found.held(),
            is_admin: visit.caller.subject.is_admin,
        };
        Ok((found, engine, frame))
    }

    /// Why administering is disabled; empty when it is not.
    fn refusal(&self) -> String {
        if self.right >= InfrastructureRight::Admin {
            return String::new();
        }
        format!(
            "This takes the right admin on infrastructure {}; your groups have {}. Somebody with admin on it, or an \
             administrator, can give it.",
            self.id, self.right
        )
    }
}

fn page(visit: &Visit, id: &str) -> Page {
    visit.page(id.to_owned(), Section::Infrastructures).below("Infrastructures", "/infrastructures")
}

#[derive(Template)]
#[template(path = "infrastructure/show.html")]
struct Show {
    page: Page,
    frame: Frame,
    of: Infrastructure,
    engine: &'static str,
    connection: Vec<(&'static str, String)>,
    govern: &'static str,
    said: String,
    asked: Option<crate::domain::clock::Timestamp>,
    report: Option<EngineReport>,
    /// What the test that was just asked for found.
    tested: Option<Note>,
    /// Of a Kubernetes cluster.
    role: Option<Role>,
    deployments: Vec<(String, String, State, String)>,
}

/// The Role to copy.
struct Role {
    text: String,
    /// Whether it is needed now: a right is missing.
    open: bool,
}

async fn show(visit: Visit, path: web::Path<String>) -> Answer {
    let page = overview(&visit, id_of(&path)?, None).await?;
    visit.show(&page)
}

async fn overview(visit: &Visit, id: InfrastructureId, fresh: Option<Result<EngineReport>>) -> Result<Show> {
    let (found, engine, frame) = Frame::load(visit, id.clone(), "Overview").await?;
    let filter = deployment::Filter { infrastructure: Some(id), ..deployment::Filter::default() };
    let here = deployment::list(&visit.app, &visit.caller, filter, PageRequest::first(DEPLOYMENTS)).await?;
    let tested = fresh.as_ref().and_then(|fresh| match fresh {
        Ok(report) if report.missing.is_empty() => Some(Note::new(
            Tone::Ok,
            "The engine answers, and lets Slipway do its work",
            report.version.clone(),
        )),
        // What is missing is listed.
        Ok(_) => None,
        Err(error) => Some(Note::from(error)),
    });
    let known = engine.as_ref().and_then(|engine| serde_json::from_value(engine.report.clone()?).ok());
    let answered = fresh.as_ref().is_some_and(Result::is_ok);
    let report: Option<EngineReport> = fresh.and_then(Result::ok).or(known);
    let role = match &found.engine {
        EngineConnection::Kubernetes(cluster) => Some(Role {
            text: crate::engine::kubernetes::role(&cluster.namespace),
            open: report.as_ref().is_some_and(|report| !report.missing.is_empty()),
        }),
        _ => None,
    };
    Ok(Show {
        page: page(visit, &frame.id),
        engine: engine_word(&found),
        connection: connection(&found.engine),
        govern: govern_word(found.govern_policy),
        said: if answered { String::new() } else { reached(engine.as_ref()).1 },
        asked: engine.as_ref().map(|engine| engine.at),
        report,
        tested,
        role,
        deployments: here
            .items
            .iter()
            .map(|summary| {
                let of = &summary.deployment;
                let state = super::home::Shown::of(summary).state();
                (of.id.to_string(), of.called().to_owned(), state, of.wants())
            })
            .collect(),
        frame,
        of: found.into_inner(),
    })
}

impl Show {
    fn size(&self, bytes: &u64) -> String {
        memory(*bytes)
    }
}

fn connection(engine: &EngineConnection) -> Vec<(&'static str, String)> {
    match engine {
        EngineConnection::Docker { host, publish_address, network_pool } => vec![
            ("Socket", host.clone()),
            ("Ports bind to", publish_address.to_string()),
            ("Network pool", network_pool.clone()),
        ],
        EngineConnection::Kubernetes(cluster) => cluster::facts(cluster),
        EngineConnection::Fake {} => Vec::new(),
    }
}

/// Asks the engine itself, now.
async fn test(visit: Visit, path: web::Path<String>) -> Answer {
    let id = id_of(&path)?;
    let fresh = match infrastructure::test(&visit.app, &visit.caller, id.clone()).await {
        Err(error) if error.kind != Kind::Unavailable => return Err(error.into()),
        answer => answer,
    };
    let page = overview(&visit, id, Some(fresh)).await?;
    visit.show(&page)
}

#[derive(Debug, Deserialize)]
struct After {
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "infrastructure/activity.html")]
struct Activity {
    page: Page,
    frame: Frame,
    entries: Vec<Entry>,
    pager: Pager,
}

async fn activity(visit: Visit, path: web::Path<String>, asked: web::Query<After>) -> Answer {
    let id = id_of(&path)?;
    let (_, _, frame) = Frame::load(&visit, id.clone(), "Activity").await?;
    let request = PageRequest { limit: ROWS, after: asked.after.clone() };
    let found = audit::list(&visit.app, &visit.caller, Of::Infrastructure(id), request).await?;
    let entries: Vec<Entry> = found.items.iter().map(Entry::new).collect();
    let pager = Pager::new(journal::counted(entries.len()), &visit.here(), found.next.as_deref());
    visit.show(&Activity { page: page(&visit, &frame.id), frame, entries, pager })
}

async fn confirm(visit: &Visit, id: &InfrastructureId) -> Result<ConfirmPage> {
    infrastructure::get(&visit.app, &visit.caller, id.clone()).await?;
    visit.caller.subject.demand_admin("deleting an infrastructure")?;
    let confirm = Confirm {
        action: visit.url(&format!("/infrastructures/{id}/delete")),
        verb: "Delete infrastructure".to_owned(),
        name: id.to_string(),
        consequences: vec![
            "Its settings and grants are gone for good. The engine itself is not touched.".to_owned(),
            "It can be deleted only when no deployment uses it.".to_owned(),
        ],
        also: None,
        back: visit.url(&format!("/infrastructures/{id}")),
        typed: None,
    };
    let page = page(visit, &format!("Delete {id}")).below(id.to_string(), &format!("/infrastructures/{id}"));
    Ok(ConfirmPage { page, confirm, trouble: None })
}

async fn ask_delete(visit: Visit, path: web::Path<String>) -> Answer {
    let page = confirm(&visit, &id_of(&path)?).await?;
    visit.show(&page)
}

async fn delete(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let id = id_of(&path)?;
    let mut page = confirm(&visit, &id).await?;
    if !page.confirm.accepts(fields.get(Confirm::FIELD)) {
        page.confirm.typed = Some(fields.get(Confirm::FIELD).to_owned());
        return visit.show_as(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    match infrastructure::delete(&visit.app, &visit.caller, id.clone()).await {
        Ok(()) => visit.go("/infrastructures", Tone::Ok, &format!("Infrastructure {id} is deleted.")),
        Err(error) => refused(&visit, page, error),
    }
}
