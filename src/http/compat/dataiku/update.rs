//! Updates of a deployment: asked for, listed, looked at with their logs. The time it was asked for names an update.
//! Runs of tests are none in Dataiku's sense: they are found by their time alone.

use actix_web::web::{Data, Json, Path};
use chrono::DateTime;
use serde::Serialize;

use super::future::{Future, JobId};
use super::operations;
use crate::app;
use crate::domain::name::{DeploymentId, Version};
use crate::domain::page::PageRequest;
use crate::domain::update::{self, Failure, LogLine, Outcome, StepState, UpdateKind, UpdateState};
use crate::domain::{Error, Result};
use crate::http::State;
use crate::http::api::Reply;
use crate::http::identity::Who;

operations! {
    post "/project-deployer/deployments/{id}/actions/update" => start,
    get "/project-deployer/deployments/{id}/update" => list,
    get "/project-deployer/deployments/{id}/update/{timestamp}" => get,
    get "/project-deployer/deployments/{id}/last-update" => last,
}

/// Lines of a log that are read at a time.
const LINES: u32 = 1_000;
/// Updates that are read at a time.
const UPDATES: u32 = 100;

/// How an update stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    Queued,
    Running,
    Success,
    Failed,
    Aborted,
}

impl From<&UpdateState> for Status {
    fn from(state: &UpdateState) -> Self {
        match state {
            UpdateState::Queued => Self::Queued,
            UpdateState::Running { .. } => Self::Running,
            UpdateState::Ended { outcome: Outcome::Succeeded, .. } => Self::Success,
            UpdateState::Ended { outcome: Outcome::Failed { .. }, .. } => Self::Failed,
            UpdateState::Ended { outcome: Outcome::Cancelled { .. }, .. } => Self::Aborted,
        }
    }
}

fn kind(kind: UpdateKind) -> &'static str {
    match kind {
        UpdateKind::Update => "UPDATE",
        UpdateKind::RollBack => "ROLL_BACK",
        UpdateKind::Stop => "STOP",
        UpdateKind::Repair => "REPAIR",
        UpdateKind::Test => "TEST",
        UpdateKind::Halt => "HALT",
    }
}

/// An update in short.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UpdateItem {
    start_timestamp: i64,
    /// `null` until it has ended.
    end_timestamp: Option<i64>,
    #[serde(rename = "type")]
    kind: &'static str,
    status: Status,
    requester: String,
    deployment_id: DeploymentId,
    bundle_id: Version,
    /// Slipway's own: counts from 1.
    number: u32,
}

impl From<update::Update> for UpdateItem {
    fn from(update: update::Update) -> Self {
        let end_timestamp = match &update.state {
            UpdateState::Ended { ended_at, .. } => Some(ended_at.timestamp_millis()),
            _ => None,
        };
        Self {
            start_timestamp: update.created_at.timestamp_millis(),
            end_timestamp,
            kind: kind(update.kind),
            status: (&update.state).into(),
            requester: update.requester.name,
            deployment_id: update.deployment,
            bundle_id: update.version,
            number: update.number,
        }
    }
}

/// An update with its log.
#[derive(Debug, Serialize)]
struct FullUpdate {
    #[serde(flatten)]
    item: UpdateItem,
    /// Slipway's own: why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    logs: Logs,
}

#[derive(Debug, Serialize)]
struct Logs {
    lines: Vec<String>,
}

async fn full(state: &State, who: &Who, found: update::Update) -> Result<FullUpdate> {
    let lines = lines(state, who, &found).await?;
    let failure = match &found.state {
        UpdateState::Ended { outcome: Outcome::Failed { failure }, .. } => Some(failure.clone()),
        _ => None,
    };
    Ok(FullUpdate { item: found.into(), failure, logs: Logs { lines } })
}

/// What each step came to and everything that was logged on the way, in the order of time.
async fn lines(state: &State, who: &Who, found: &update::Update) -> Result<Vec<String>> {
    let (id, number) = (found.deployment.clone(), found.number);
    let steps = app::update::detail(&state.app, who, id.clone(), number).await?.steps.into_iter();
    let told = steps.filter(|step| step.state != StepState::Running && !step.detail.is_empty());
    let mut lines: Vec<LogLine> = told
        .map(|step| LogLine {
            // After what was logged in the same millisecond.
            sequence: i64::MAX,
            at: step.ended_at.unwrap_or(step.started_at),
            step: step.step,
            error: step.state == StepState::Failed,
            text: step.detail,
        })
        .collect();
    let mut after = 0;
    loop {
        let page = app::update::log(&state.app, who, id.clone(), number, after, LINES).await?;
        let is_last = page.len() < LINES as usize;
        after = page.last().map_or(after, |line| line.sequence);
        lines.extend(page);
        if is_last {
            break;
        }
    }
    lines.sort_by_key(|line| (line.at, line.step, line.sequence));
    Ok(lines.iter().map(line).collect())
}

fn line(line: &LogLine) -> String {
    let at = line.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let level = if line.error { "ERROR" } else { "INFO" };
    format!("[{at}] [{level}] [{}] {}", line.step.word(), line.text)
}

async fn start(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<Future>> {
    let id = super::deployment_of(&state.app, &who, &id).await?;
    let deployment = app::deployment::get(&state.app, &who, id.clone()).await?;
    let started = app::update::start(&state.app, &who, id, None, None).await?;
    let job = JobId { deployment: deployment.uuid, number: started.number };
    Ok(Json(Future::of(&job, &started, state.app.now())))
}

/// At least `most` updates that are no runs of tests, newest first; fewer where there are no more.
async fn newest(state: &State, who: &Who, id: &DeploymentId, most: usize) -> Result<Vec<update::Update>> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest { limit: UPDATES, after };
        let found = app::update::list(&state.app, who, id.clone(), page).await?;
        all.extend(found.items.into_iter().filter(|update| update.kind != UpdateKind::Test));
        match found.next {
            Some(next) if all.len() < most => after = Some(next),
            _ => return Ok(all),
        }
    }
}

async fn list(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<Vec<UpdateItem>>> {
    let id = super::deployment_of(&state.app, &who, &id).await?;
    let all = newest(&state, &who, &id, usize::MAX).await?.into_iter();
    Ok(Json(all.map(UpdateItem::from).collect()))
}

async fn get(state: Data<State>, who: Who, path: Path<(String, String)>) -> Reply<Json<FullUpdate>> {
    let (id, timestamp) = path.into_inner();
    let id = super::deployment_of(&state.app, &who, &id).await?;
    let asked = timestamp.parse().ok().and_then(DateTime::from_timestamp_millis);
    let asked = asked.ok_or_else(|| {
        let shown: String = timestamp.chars().take(40).collect();
        Error::not_found("update", format!("{shown} of {id}"))
            .hint("An update is named by its start_time, in milliseconds, as list_updates gives it.")
    })?;
    let found = app::update::at(&state.app, &who, id, asked).await?;
    Ok(Json(full(&state, &who, found).await?))
}

async fn last(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<FullUpdate>> {
    let id = super::deployment_of(&state.app, &who, &id).await?;
    let found = newest(&state, &who, &id, 1).await?.into_iter().next().ok_or_else(|| {
        Error::not_found("update", format!("of {id}")).hint("It was never updated: call start_update first.")
    })?;
    Ok(Json(full(&state, &who, found).await?))
}
