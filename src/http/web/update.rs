//! Updates: the list, the plan before one is asked for, and the run itself with its steps and log.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::deployment::{Frame, id_of, page, page_below, refusal};
use super::fields::Fields;
use super::page::{
    LogEntry, LogView, Note, Page, Pager, Query, State, StepView, TestRow, Tone, Trouble, blame, plural,
    progress, took,
};
use super::visit::{Answer, Visit};
use crate::app::update::{self, Detail, rollable};
use crate::domain::clock::Timestamp;
use crate::domain::deployment::DeploymentRight;
use crate::domain::diff::Change;
use crate::domain::name::DeploymentId;
use crate::domain::page::PageRequest;
use crate::domain::plan::Downtime;
use crate::domain::text::capital;
use crate::domain::update::{LogLine, Outcome, Update, UpdateKind, UpdateState};
use crate::domain::{Error, Kind, Result};
use crate::http::routes::Routes;

/// How many updates one page lists.
const ROWS: u32 = 50;
/// How many lines of its log an update's page holds; the rest is in the download.
const LINES: u32 = 2_000;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/deployments/{id}/updates", list);
    routes.get("/deployments/{id}/update", plan);
    routes.post("/deployments/{id}/update", start);
    routes.get("/deployments/{id}/updates/{number}", run);
    routes.post("/deployments/{id}/updates/{number}/cancel", cancel);
    routes.get("/deployments/{id}/updates/{number}/log.txt", download);
}

/// One row of a table of updates.
pub(super) struct UpdateRow {
    pub number: u32,
    pub state: State,
    pub what: String,
    pub version: String,
    pub by: String,
    pub origin: &'static str,
    pub took: String,
    pub at: Timestamp,
    pub rollable: bool,
    pub reason: String,
}

impl UpdateRow {
    /// Of an update as it stands at `now`.
    pub fn new(update: &Update, now: Timestamp) -> Self {
        Self {
            number: update.number,
            state: State::from(&update.state),
            what: what(update),
            version: update.version.to_string(),
            by: update.requester.name.clone(),
            origin: update.origin.word(),
            took: duration(update, now),
            at: update.created_at,
            rollable: rollable(update),
            reason: update.reason.clone().unwrap_or_default(),
        }
    }
}

/// What kind of update it is, in words.
pub(super) fn what(update: &Update) -> String {
    match (update.kind, update.rolls_back_to) {
        (UpdateKind::Update, _) => "Update".to_owned(),
        (UpdateKind::RollBack, Some(to)) => format!("Roll back to {to}"),
        (UpdateKind::RollBack, None) => "Roll back".to_owned(),
        (UpdateKind::Stop, _) => "Stop".to_owned(),
        (UpdateKind::Repair, _) => "Repair".to_owned(),
        (UpdateKind::Test, _) => "Tests".to_owned(),
        (UpdateKind::Halt, _) => "Stop and keep".to_owned(),
    }
}

fn duration(update: &Update, now: Timestamp) -> String {
    match &update.state {
        UpdateState::Queued => String::new(),
        UpdateState::Running { started_at, .. } => took(now - *started_at),
        UpdateState::Ended { started_at: Some(start), ended_at, .. } => took(*ended_at - *start),
        UpdateState::Ended { started_at: None, .. } => String::new(),
    }
}

#[derive(Debug, Deserialize)]
struct After {
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "deployment/updates.html", blocks = ["live"])]
struct List {
    page: Page,
    here: Query,
    frame: Frame,
    updates: Vec<UpdateRow>,
    pager: Pager,
}

async fn list(visit: Visit, path: web::Path<String>, asked: web::Query<After>) -> Answer {
    let id = id_of(&path)?;
    let (deployment, frame) = Frame::load(&visit, id.clone(), "Updates").await?;
    let request = PageRequest { limit: ROWS, after: asked.after.clone() };
    let found = update::list(&visit.app, &visit.caller, id.clone(), request).await?;
    let here = visit.here();
    let page = List {
        page: page(&visit, &deployment).live(&format!("/events?topics=updates:{id}")),
        pager: Pager::new(plural(found.items.len() as u64, "update"), &here, found.next.as_deref()),
        updates: found.items.iter().map(|update| UpdateRow::new(update, visit.now)).collect(),
        frame,
        here,
    };
    if visit.wants("live") {
        return visit.show_part(&page.as_live());
    }
    visit.show(&page)
}

#[derive(Template)]
#[template(path = "deployment/update.html")]
struct Plan {
    page: Page,
    id: String,
    trouble: Option<Trouble>,
    refusal: Option<String>,
    enabled: bool,
    changes: Vec<Change>,
    downtime: Vec<Downtime>,
    differences: Vec<String>,
    digest: String,
    lead: String,
    reason: String,
    nothing_runs: bool,
    /// What governance says of the plan.
    governance: Vec<Note>,
    /// Whether an approval of it can be asked for.
    askable: bool,
    /// The one that was asked for.
    pending: Option<uuid::Uuid>,
    /// Governance keeps it from running.
    prevented: bool,
}

/// What an update would do, before it is asked for.
async fn plan(visit: Visit, path: web::Path<String>) -> Answer {
    let id = id_of(&path)?;
    let page = planned(&visit, id, None, String::new()).await?;
    visit.show(&page)
}

async fn planned(visit: &Visit, id: DeploymentId, refused: Option<Error>, reason: String) -> Result<Plan> {
    let deployment = crate::app::deployment::get(&visit.app, &visit.caller, id.clone()).await?;
    let preview = update::preview(&visit.app, &visit.caller, id.clone()).await;
    let (preview, failure) = match preview {
        Ok(preview) => (Some(preview), refused),
        Err(error) if matches!(error.kind, Kind::Invalid | Kind::Conflict) => (None, Some(error)),
        Err(error) => return Err(error),
    };
    let changes = preview.as_ref().map(|preview| preview.changes.clone()).unwrap_or_default();
    let downtime = preview.as_ref().map(|preview| preview.downtime.clone()).unwrap_or_default();
    let differences = preview.as_ref().map(|preview| preview.differences.clone()).unwrap_or_default();
    let pending = preview.as_ref().and_then(|preview| preview.pending);
    let messages = preview.as_ref().map(|preview| preview.governance.clone()).unwrap_or_default();
    let lead = match (changes.len(), downtime.len()) {
        (0, _) => "What runs is what the settings say. An update checks that and changes nothing.".to_owned(),
        (count, 0) => format!("{}, no downtime.", plural(count as u64, "change")),
        (count, stopped) => format!(
            "{}; {} will be interrupted.",
            plural(count as u64, "change"),
            plural(stopped as u64, "service")
        ),
    };
    Ok(Plan {
        page: page_below(visit, &deployment, "Update"),
        id: id.to_string(),
        trouble: failure.as_ref().map(|error| blame(&mut [], error)),
        refusal: (!deployment.may(DeploymentRight::Deploy)).then(|| refusal(&deployment)),
        enabled: deployment.enabled,
        digest: preview.map(|preview| preview.plan.digest().to_string()).unwrap_or_default(),
        nothing_runs: deployment.running_update.is_none(),
        governance: messages.iter().map(Note::from).collect(),
        askable: pending.is_none() && messages.iter().any(|message| message.code == "NOT_APPROVED"),
        pending: pending.filter(|_| !messages.is_empty()),
        prevented: messages.iter().any(|message| message.is_fatal),
        changes,
        downtime,
        differences,
        lead,
        reason,
    })
}

async fn start(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let id = id_of(&path)?;
    let reason = fields.optional("reason").map(ToOwned::to_owned);
    let shown = fields.get("plan");
    if !shown.is_empty() {
        let now = update::preview(&visit.app, &visit.caller, id.clone()).await;
        if now.is_ok_and(|preview| preview.plan.digest().as_str() != shown) {
            let error = Error::new(Kind::Stale, "plan_changed", "the plan changed while you were reading it")
                .hint("Below is what an update would do now. Read it, and ask for the update again.");
            let page = planned(&visit, id, Some(error), reason.unwrap_or_default()).await?;
            return visit.show_as(actix_web::http::StatusCode::CONFLICT, &page);
        }
    }
    match update::start(&visit.app, &visit.caller, id.clone(), reason.clone(), None).await {
        Ok(update) => Ok(visit.leave(&format!("/deployments/{id}/updates/{}", update.number))),
        Err(error) if matches!(error.kind, Kind::Invalid | Kind::Conflict | Kind::Warned) => {
            let status = crate::http::error::status(error.kind);
            let page = planned(&visit, id, Some(error), reason.unwrap_or_default()).await?;
            visit.show_as(status, &page)
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "deployment/run.html", blocks = ["pills", "buttons", "live"])]
struct Run {
    page: Page,
    here: Query,
    id: String,
    number: u32,
    state: State,
    by: String,
    at: Timestamp,
    took: String,
    what: String,
    reason: String,
    steps: Vec<StepView>,
    done: usize,
    total: usize,
    tone: &'static str,
    failure: Option<Note>,
    failed_service: Option<String>,
    cancelled: Option<String>,
    cancelling: Option<String>,
    cancellable: bool,
    ended: bool,
    rollable: bool,
    /// Whether it is of one run of a context, which never changes.
    is_run: bool,
    may_deploy: bool,
    refusal: String,
    changes: Vec<Change>,
    heading: &'static str,
    /// Whether it runs tests, and what they came to.
    is_test: bool,
    tests: Vec<TestRow>,
    log: LogView,
    attempt: u32,
    project: String,
    is_bundle: bool,
    version: String,
    digest: String,
}

/// The parts that change while it runs, in one answer.
#[derive(Template)]
#[template(source = "{{ self.0.as_pills() }}{{ self.0.as_buttons() }}{{ self.0.as_live() }}", ext = "txt")]
struct Parts<'a>(&'a Run);

async fn run(visit: Visit, path: web::Path<(String, u32)>) -> Answer {
    let (id, number) = path.into_inner();
    let id = id_of(&id)?;
    let (detail, lines) = update::detail_with_log(&visit.app, &visit.caller, id, number, LINES).await?;
    let page = Run::new(&visit, detail, lines);
    if visit.wants("live") {
        return visit.show_part(&Parts(&page));
    }
    visit.show(&page)
}

impl Run {
    fn new(visit: &Visit, detail: Detail, lines: Vec<LogLine>) -> Self {
        let Detail { deployment, update, steps, changes, tests } = detail;
        let (done, total) = progress(update.kind, &steps, &update.state);
        let (failure, failed_service, cancelled, tone) = outcome(&update);
        let (ended, is_run) = (update.is_ended(), deployment.source.execution().is_some());
        let mut page = page_below(visit, &deployment, format!("Update {}", update.number));
        if !ended {
            page = page.live(&format!("/events?topics=update:{}/{}", update.deployment, update.number));
        }
        let heading = match (&update.state, tone) {
            (UpdateState::Ended { .. }, "ok") => "What it changed",
            (UpdateState::Ended { .. }, _) => "What it would have changed",
            _ => "What it changes",
        };
        Self {
            here: visit.here(),
            id: update.deployment.to_string(),
            number: update.number,
            state: State::from(&update.state),
            by: format!("by {}{}", update.requester.name, super::journal::from(update.origin)),
            at: update.created_at,
            took: duration(&update, visit.now),
            what: what(&update),
            reason: update.reason.clone().unwrap_or_default(),
            steps: StepView::all(update.kind, &steps, &update.state, visit.now),
            cancelling: update.cancel_requested_by.clone().filter(|_| !ended),
            cancellable: !ended && !update.switched && update.cancel_requested_by.is_none(),
            rollable: rollable(&update) && !is_run && deployment.running_update != Some(update.number),
            is_run,
            may_deploy: deployment.may(DeploymentRight::Deploy),
            refusal: refusal(&deployment),
            log: log_view(visit, &update, &lines),
            project: deployment.project.to_string(),
            is_bundle: deployment.source.is_bundle(),
            version: update.version.to_string(),
            digest: update.plan_digest.to_string(),
            attempt: update.attempt,
            is_test: update.kind == UpdateKind::Test,
            tests: tests.iter().map(|test| TestRow::of_run(test, ended)).collect(),
            page,
            done,
            total,
            tone,
            failure,
            failed_service,
            cancelled,
            ended,
            changes,
            heading,
        }
    }
}

/// The update's log, with the stream that goes on from its last line while it runs.
fn log_view(visit: &Visit, update: &Update, lines: &[LogLine]) -> LogView {
    let base = visit.url(&format!("/deployments/{}/updates/{}", update.deployment, update.number));
    let here = visit.here();
    let after = lines.last().map_or(0, |line| line.sequence);
    let entry = |line: &LogLine| LogEntry {
        at: line.at,
        who: line.step.word().to_owned(),
        level: if line.error { "error" } else { "" },
        text: line.text.clone(),
        hidden: false,
    };
    let view = LogView {
        title: "Log of the update".to_owned(),
        source: (!update.is_ended()).then(|| format!("{base}/log?after={after}")),
        download: Some(format!("{base}/log.txt")),
        action: base,
        picks: Vec::new(),
        query: here.get("q").to_owned(),
        level: here.get("level").to_owned(),
        entries: lines.iter().map(entry).collect(),
        tall: false,
    };
    view.filtered()
}

type Outcomes = (Option<Note>, Option<String>, Option<String>, &'static str);

fn outcome(update: &Update) -> Outcomes {
    match &update.state {
        UpdateState::Ended { outcome: Outcome::Failed { failure }, .. } => {
            let mut note = Note::new(Tone::Bad, capital(&failure.message), failure.hint.clone());
            note.details.clone_from(&failure.serving);
            (Some(note), failure.service.clone(), None, "bad")
        }
        UpdateState::Ended { outcome: Outcome::Cancelled { by }, .. } => {
            (None, None, Some(by.clone()), "warn")
        }
        UpdateState::Ended { outcome: Outcome::Succeeded, .. } => (None, None, None, "ok"),
        _ => (None, None, None, ""),
    }
}

async fn cancel(visit: Visit, path: web::Path<(String, u32)>) -> Answer {
    let (id, number) = path.into_inner();
    let id = id_of(&id)?;
    let to = format!("/deployments/{id}/updates/{number}");
    match update::cancel(&visit.app, &visit.caller, id, number).await {
        Ok(update) if update.is_ended() => visit.go(&to, Tone::Ok, "Cancelled before it began."),
        Ok(_) => visit.go(&to, Tone::Info, "Cancelling: what it did is being undone."),
        Err(error) if error.kind == Kind::Conflict => visit.go(&to, Tone::Warn, &capital(&error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// The whole log as text.
async fn download(visit: Visit, path: web::Path<(String, u32)>) -> Answer {
    let (id, number) = path.into_inner();
    let id = id_of(&id)?;
    let mut text = String::new();
    let mut after = 0;
    loop {
        let lines = update::log(&visit.app, &visit.caller, id.clone(), number, after, LINES).await?;
        let Some(last) = lines.last() else { break };
        after = last.sequence;
        for line in &lines {
            use std::fmt::Write as _;
            let at = super::page::iso(line.at);
            let _ = writeln!(
                text,
                "{at} {:<8} {}{}",
                line.step.word(),
                if line.error { "ERROR " } else { "" },
                line.text
            );
        }
    }
    let name = format!("attachment; filename=\"{id}-update-{number}.log\"");
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, name))
        .body(text))
}
