//! Approvals: what waits for a second person, one of them with the changes that it is about, and the decision.

use actix_web::web;
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use super::fields::Fields;
use super::page::{Field, Note, Page, Pager, Section, State, Tab, Tone, Trouble, blame, plural};
use super::visit::{Answer, Visit};
use crate::app::approval::{self, Detail, Filter, Seen};
use crate::domain::approval::ApprovalState;
use crate::domain::clock::Timestamp;
use crate::domain::diff::Change;
use crate::domain::name::DeploymentId;
use crate::domain::page::PageRequest;
use crate::domain::{Error, Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;

/// How many approvals one page lists.
const ROWS: u32 = 50;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/approvals", list);
    routes.get("/approvals/{uuid}", show);
    routes.post("/approvals/{uuid}", decide);
    routes.post("/deployments/{id}/approvals", request);
}

/// One approval as a row or a page shows it.
struct Row {
    id: Uuid,
    deployment: String,
    project: String,
    version: String,
    infrastructure: String,
    digest: String,
    state: State,
    by: String,
    reason: String,
    at: Timestamp,
    decided: Option<(String, Timestamp, String)>,
    /// Whether it can still be decided by anybody.
    open: bool,
    refusal: Option<String>,
}

impl Row {
    /// Whether somebody published what it is about: the projects of other definitions bear their deployment's uuid.
    fn is_bundle(&self) -> bool {
        Uuid::try_parse(&self.project).is_err()
    }
}

impl From<Seen> for Row {
    fn from(seen: Seen) -> Self {
        let approval = seen.approval;
        let open = approval.state == ApprovalState::Pending && seen.current;
        let state = match approval.state {
            ApprovalState::Pending if !seen.current => State::cancelled("Void"),
            ApprovalState::Pending => State::wait("Waiting"),
            ApprovalState::Approved => State::ok("Approved"),
            ApprovalState::Rejected => State::error("Rejected"),
            ApprovalState::Withdrawn => State::cancelled("Withdrawn"),
        };
        Self {
            id: approval.id,
            deployment: approval.deployment.to_string(),
            project: approval.project.to_string(),
            version: approval.version.to_string(),
            infrastructure: approval.infrastructure.to_string(),
            digest: approval.plan.to_string(),
            state,
            by: approval.requester.name,
            reason: approval.reason.unwrap_or_default(),
            at: approval.created_at,
            decided: approval.decision.map(|decision| (decision.by.name, decision.at, decision.comment)),
            open,
            refusal: seen.refusal,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Asked {
    all: Option<String>,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "approvals.html")]
struct List {
    page: Page,
    tabs: Vec<Tab>,
    rows: Vec<Row>,
    /// What an empty list says.
    nothing: &'static str,
    pager: Pager,
}

async fn list(visit: Visit, asked: web::Query<Asked>) -> Answer {
    let waiting = asked.all.is_none();
    let filter =
        Filter { state: waiting.then_some(ApprovalState::Pending), current: waiting, ..Filter::default() };
    let request = PageRequest { limit: ROWS, after: asked.after.clone() };
    let found = approval::list(&visit.app, &visit.caller, filter, request).await?;
    let tab = |label, path: &str, current| Tab { label, href: visit.url(path), current, count: None };
    let page = List {
        page: visit.page("Approvals", Section::Approvals),
        tabs: vec![tab("Waiting", "/approvals", waiting), tab("All", "/approvals?all=1", !waiting)],
        pager: Pager::new(plural(found.items.len() as u64, "approval"), &visit.here(), found.next.as_deref()),
        rows: found.items.into_iter().map(Row::from).collect(),
        nothing: if waiting { "Nothing waits for approval" } else { "No approval yet" },
    };
    visit.show(&page)
}

#[derive(Template)]
#[template(path = "approval.html")]
struct One {
    page: Page,
    row: Row,
    changes: Vec<Change>,
    /// What was found in the plan, for which an approval answers.
    findings: Vec<Note>,
    comment: Field,
    /// Whether the reader asked for it, and may take it back.
    own: bool,
    trouble: Option<Trouble>,
}

fn id_of(text: &str) -> Result<Uuid> {
    Uuid::try_parse(text).map_err(|_| Error::not_found("approval", text.chars().take(40).collect::<String>()))
}

async fn load(visit: &Visit, id: Uuid, fields: &Fields) -> Result<One> {
    let Detail { seen, changes, findings } = approval::get(&visit.app, &visit.caller, id).await?;
    let own = seen.own;
    let row = Row::from(seen);
    let title = format!("Bundle {} of {}", row.version, row.deployment);
    Ok(One {
        page: visit.page(title, Section::Approvals).below("Approvals", "/approvals"),
        changes,
        findings: findings.iter().map(Note::from).collect(),
        comment: Field::area("comment", "Comment", 3)
            .hint("A rejection says why; with an approval it is optional.")
            .value(fields.get("comment")),
        own,
        trouble: None,
        row,
    })
}

async fn show(visit: Visit, path: web::Path<String>) -> Answer {
    let page = load(&visit, id_of(&path)?, &Fields::default()).await?;
    visit.show(&page)
}

/// Approves, rejects or withdraws, by the button that was pressed.
async fn decide(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let id = id_of(&path)?;
    let comment = fields.get("comment").to_owned();
    let (app, caller) = (&visit.app, &visit.caller);
    let decided = match fields.get("decision") {
        "withdraw" => approval::withdraw(app, caller, id).await,
        "approve" => approval::decide(app, caller, id, true, comment).await,
        "reject" => approval::decide(app, caller, id, false, comment).await,
        other => Err(Error::field("decision", format!("{other:?} is no decision"))),
    };
    match decided {
        Ok(seen) => {
            let text = match seen.approval.state {
                ApprovalState::Approved => "Approved: it can be deployed now.",
                ApprovalState::Rejected => "Rejected: who asked sees why.",
                ApprovalState::Withdrawn | ApprovalState::Pending => "Withdrawn.",
            };
            visit.go(&format!("/approvals/{id}"), Tone::Ok, text)
        }
        Err(error) if matches!(error.kind, Kind::Invalid | Kind::Conflict | Kind::Forbidden) => {
            let mut page = load(&visit, id, &fields).await?;
            page.trouble = Some(blame(&mut [&mut page.comment], &error));
            visit.show_as(status(error.kind), &page)
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks for an approval of what a deployment's settings give, and shows it.
async fn request(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let id: DeploymentId = super::deployment::id_of(&path)?;
    let reason = fields.optional("reason").map(ToOwned::to_owned);
    let seen = approval::request(&visit.app, &visit.caller, id, reason, None).await?;
    let text = "Asked for. Somebody else who may approve on the infrastructure decides.";
    visit.go(&format!("/approvals/{}", seen.approval.id), Tone::Ok, text)
}
