//! Futures: an update seen as a long task. They survive a restart, and reading one does not consume it.
//!
//! The client polls for ever unless a future that failed, was cancelled or never was answers an error.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::message::InfoMessages;
use super::{operations, python_bool};
use crate::app;
use crate::domain::clock::Timestamp;
use crate::domain::health::{Message, Severity};
use crate::domain::name::DeploymentId;
use crate::domain::update::{Failure, Outcome, Update, UpdateKind, UpdateState};
use crate::domain::{Error, Kind, Problem, Result};
use crate::http::State;
use crate::http::api::Reply;
use crate::http::api::query::Query;
use crate::http::identity::Who;

operations! {
    get "/futures/" => list,
    get "/futures/{job}" => get,
    delete "/futures/{job}" => abort,
}

/// Which update a future is: names it for good, also where a deployment's id is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobId {
    pub deployment: Uuid,
    pub number: u32,
}

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.deployment.simple(), self.number)
    }
}

impl JobId {
    fn parse(text: &str) -> Option<Self> {
        let (deployment, number) = text.split_once('-')?;
        Some(Self { deployment: Uuid::try_parse(deployment).ok()?, number: number.parse().ok()? })
    }
}

/// A long task's state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Future {
    job_id: String,
    job_display_name: String,
    owner: String,
    alive: bool,
    aborted: bool,
    unknown: bool,
    has_result: bool,
    start_time: i64,
    /// Milliseconds.
    running_time: i64,
    payload: Payload,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Done>,
}

/// What it is about.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    deployment_id: DeploymentId,
    update_number: u32,
    update_timestamp: i64,
}

/// What an update that went well leaves.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    deployment_id: DeploymentId,
    update_timestamp: i64,
    info_messages: InfoMessages,
}

impl Future {
    /// As it stands, without its result.
    pub fn of(job: &JobId, update: &Update, now: Timestamp) -> Self {
        let ended = match &update.state {
            UpdateState::Ended { ended_at, .. } => Some(*ended_at),
            _ => None,
        };
        let asked = update.created_at.timestamp_millis();
        Self {
            job_id: job.to_string(),
            job_display_name: format!("Update {} of deployment {}", update.number, update.deployment),
            owner: update.requester.name.clone(),
            alive: ended.is_none(),
            aborted: false,
            unknown: false,
            has_result: ended.is_some(),
            start_time: asked,
            running_time: ended.unwrap_or(now).timestamp_millis() - asked,
            payload: Payload {
                deployment_id: update.deployment.clone(),
                update_number: update.number,
                update_timestamp: asked,
            },
            result: None,
        }
    }

    fn with_result(mut self, update: &Update) -> Self {
        self.result = Some(Done {
            deployment_id: update.deployment.clone(),
            update_timestamp: update.created_at.timestamp_millis(),
            info_messages: vec![Message {
                severity: Severity::Success,
                code: "UPDATED".to_owned(),
                title: "Updated".to_owned(),
                message: format!("Update {} of {} ended well.", update.number, update.deployment),
                details: String::new(),
                is_fatal: false,
            }]
            .into(),
        });
        self
    }
}

async fn found(state: &State, who: &Who, job: &str) -> Result<(JobId, Update)> {
    let absent = || {
        let shown: String = job.chars().take(80).collect();
        Error::not_found("future", shown)
            .hint("Its deployment may be gone; list_updates names those there are.")
    };
    let job = JobId::parse(job).ok_or_else(absent)?;
    let found = async {
        let id = super::deployment_of(&state.app, who, &job.deployment.to_string()).await?;
        app::update::get(&state.app, who, id, job.number).await
    };
    match found.await {
        Ok(update) => Ok((job, update)),
        Err(error) if error.kind == Kind::NotFound => Err(absent()),
        Err(error) => Err(error),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Peek {
    #[serde(default, deserialize_with = "python_bool")]
    peek: bool,
}

async fn get(state: Data<State>, who: Who, job: Path<String>, query: Query<Peek>) -> Reply<Json<Future>> {
    let (job, update) = found(&state, &who, &job).await?;
    match &update.state {
        UpdateState::Ended { outcome: Outcome::Failed { failure }, .. } => {
            Err(failed(&update, failure).into())
        }
        UpdateState::Ended { outcome: Outcome::Cancelled { by }, .. } => {
            let words = format!("update {} of {} was cancelled by {by}", update.number, update.deployment);
            Err(Error::conflict("update_cancelled", words).into())
        }
        UpdateState::Ended { outcome: Outcome::Succeeded, .. } if !query.0.peek => {
            Ok(Json(Future::of(&job, &update, state.app.now()).with_result(&update)))
        }
        _ => Ok(Json(Future::of(&job, &update, state.app.now()))),
    }
}

fn failed(update: &Update, failure: &Failure) -> Error {
    let words = format!("update {} of {} failed: {}", update.number, update.deployment, failure.message);
    let place = failure.service.as_ref().map_or_else(
        || format!("step {}", failure.step.word()),
        |service| format!("step {}, service {service}", failure.step.word()),
    );
    let mut error = Error::conflict("update_failed", words).hint(failure.hint.clone());
    error.problems.push(Problem::new(place, &failure.message));
    if !failure.serving.is_empty() {
        error.problems.push(Problem::new("serving", &failure.serving));
    }
    error
}

/// Cancels the update. One that was cancelled already is no error; one that has switched or ended can't be.
async fn abort(state: Data<State>, who: Who, job: Path<String>) -> Reply<HttpResponse> {
    let (_, update) = found(&state, &who, &job).await?;
    let cancelled = matches!(update.state, UpdateState::Ended { outcome: Outcome::Cancelled { .. }, .. });
    if !cancelled {
        app::update::cancel(&state.app, &who, update.deployment, update.number).await?;
    }
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Which {
    #[serde(default, deserialize_with = "python_bool")]
    with_scenarios: bool,
    #[serde(default, deserialize_with = "python_bool")]
    with_not_scenarios: bool,
    #[serde(default, deserialize_with = "python_bool")]
    all_users: bool,
}

/// What is queued or running: the caller's own, or for an administrator everybody's.
async fn list(state: Data<State>, who: Who, query: Query<Which>) -> Reply<Json<Vec<Future>>> {
    if query.0.all_users {
        who.subject.demand_admin("listing everybody's futures")?;
    }
    let now = state.app.now();
    let open = app::update::open(&state.app, &who).await?.into_iter();
    let wanted = open.filter(|(_, update)| {
        let kind_wanted = match update.kind {
            UpdateKind::Test => query.0.with_scenarios,
            _ => query.0.with_not_scenarios,
        };
        kind_wanted && (query.0.all_users || update.requester.kind == who.subject.kind)
    });
    let futures = wanted
        .map(|(deployment, update)| Future::of(&JobId { deployment, number: update.number }, &update, now));
    Ok(Json(futures.collect()))
}
