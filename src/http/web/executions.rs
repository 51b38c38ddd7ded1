//! Executions: the list, and what the pages that show some of them share.

use actix_web::web;
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use super::deployment::services::phase;
use super::page::{Page, Pager, Query, Section, State, Tab, plural};
use super::visit::{Answer, Visit};
use crate::app::execution::{self, Execution, Filter};
use crate::domain::clock::Timestamp;
use crate::domain::name::InfrastructureId;
use crate::domain::page::PageRequest;
use crate::domain::update::{Outcome, UpdateKind, UpdateState};
use crate::http::routes::Routes;

/// How many rows one page holds.
const ROWS: u32 = 50;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/executions", list);
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
    after: Option<String>,
}

/// The lists of the section.
pub(super) fn tabs(visit: &Visit, current: &str) -> Vec<Tab> {
    Tab::all(current, [("Executions", visit.url("/executions")), ("Contexts", visit.url("/contexts"))])
}

/// One execution as a table has it.
pub(super) struct Row {
    pub uuid: Uuid,
    pub name: String,
    pub state: State,
    pub infrastructure: InfrastructureId,
    pub by: String,
    pub at: Timestamp,
    /// When it ended, where that is known.
    pub ended: Option<Timestamp>,
}

impl Row {
    pub fn new(of: Execution) -> Self {
        Self {
            uuid: of.uuid(),
            state: state(&of),
            ended: of.exit().and_then(|exit| exit.at),
            name: of.of.name.to_string(),
            infrastructure: of.deployment.infrastructure,
            by: of.deployment.created_by,
            at: of.deployment.created_at,
        }
    }
}

/// Where an execution stands: what its container was seen to do, else what became of the wish to start it.
pub(super) fn state(of: &Execution) -> State {
    let open = of.update.as_ref().filter(|update| !update.is_ended());
    match (open.map(|update| update.kind), &of.slot) {
        (Some(UpdateKind::Halt), _) => State::run("Stopping"),
        (Some(UpdateKind::Stop), _) => State::run("Being removed"),
        (_, Some(_)) if !of.reachable && of.exit().is_none() => State::unknown("Not known"),
        (_, Some(slot)) => phase(&slot.phase, true),
        (_, None) if of.is_removed() => State::off("Removed"),
        (_, None) => match of.update.as_ref().map(|update| &update.state) {
            Some(UpdateState::Queued) => State::wait("Queued"),
            Some(UpdateState::Running { .. }) => State::run("Starting"),
            Some(UpdateState::Ended { outcome: Outcome::Failed { .. }, .. }) => State::error("Not started"),
            Some(UpdateState::Ended { outcome: Outcome::Cancelled { .. }, .. }) => {
                State::cancelled("Cancelled")
            }
            Some(UpdateState::Ended { outcome: Outcome::Succeeded, .. }) => State::unknown("Gone"),
            None => State::wait("Not let through"),
        },
    }
}

#[derive(Template)]
#[template(path = "execution/list.html", blocks = ["live"])]
struct List {
    page: Page,
    here: Query,
    tabs: Vec<Tab>,
    text: String,
    rows: Vec<Row>,
    pager: Pager,
    filtered: bool,
}

async fn list(visit: Visit, asked: web::Query<Asked>) -> Answer {
    let text = Some(asked.q.trim().to_owned()).filter(|text| !text.is_empty());
    let request = PageRequest { limit: ROWS, after: asked.after.clone() };
    let filter = Filter { text, ..Filter::default() };
    let found = execution::list(&visit.app, &visit.caller, filter, request).await?;
    let here = visit.here();
    let page = List {
        page: visit.page("Executions", Section::Jobs).live("/events?topics=deployments,updates"),
        tabs: tabs(&visit, "Executions"),
        text: asked.q.clone(),
        pager: Pager::new(plural(found.items.len() as u64, "execution"), &here, found.next.as_deref()),
        filtered: here.is_filtered(&["after"]),
        rows: found.items.into_iter().map(Row::new).collect(),
        here,
    };
    if visit.wants("live") {
        return visit.show_part(&page.as_live());
    }
    visit.show(&page)
}
