//! One update: what it is, its steps, its log, its cancelling. Following it live is [`super::update_watch`].

use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};

use crate::app;
use crate::domain::access::Origin;
use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;
use crate::domain::diff::Change;
use crate::domain::name::{DeploymentId, Version};
use crate::domain::update::{self, Failure, LogLine, Outcome, Step, StepRecord, UpdateKind, UpdateState};
use crate::domain::{Error, Result};
use crate::http::State;
use crate::http::api::Reply;
use crate::http::api::query::Query;
use crate::http::identity::Who;

noun! {
    get "/deployments/{id}/updates/{number}" => get,
    get "/deployments/{id}/updates/{number}/steps" => steps,
    get "/deployments/{id}/updates/{number}/log" => log,
    post "/deployments/{id}/updates/{number}/cancel" => cancel,
}

/// One run that makes the world match a deployment's settings.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// `<deployment>/<number>`.
    pub name: String,
    pub deployment: DeploymentId,
    pub number: u32,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    pub spec: UpdateSpec,
    pub status: UpdateStatus,
}

/// What was asked for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateSpec {
    pub kind: UpdateKind,
    pub bundle: Version,
    /// Of the plan, which is fixed when the update is asked for.
    pub plan_digest: Digest,
    pub requester: String,
    pub origin: Origin,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolls_back_to: Option<u32>,
}

/// Where an update stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpdatePhase {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// How an update goes, or went.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStatus {
    pub state: UpdatePhase,
    /// The step in hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<String>,
    /// Who asked to cancel it, while that is not done yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_requested_by: Option<String>,
    /// Past the switch it can't be cancelled.
    pub switched: bool,
    /// Whether it can be rolled back to.
    pub rollable: bool,
}

impl From<update::Update> for Update {
    fn from(update: update::Update) -> Self {
        let rollable = app::update::rollable(&update);
        Self {
            name: format!("{}/{}", update.deployment, update.number),
            number: update.number,
            created_at: update.created_at,
            spec: UpdateSpec {
                kind: update.kind,
                bundle: update.version,
                plan_digest: update.plan_digest,
                requester: update.requester.name,
                origin: update.origin,
                reason: update.reason,
                rolls_back_to: update.rolls_back_to,
            },
            status: UpdateStatus {
                cancel_requested_by: update.cancel_requested_by,
                switched: update.switched,
                rollable,
                ..UpdateStatus::of(update.state)
            },
            deployment: update.deployment,
        }
    }
}

impl UpdateStatus {
    fn at(state: UpdatePhase) -> Self {
        Self {
            state,
            step: None,
            started_at: None,
            ended_at: None,
            failure: None,
            cancelled_by: None,
            cancel_requested_by: None,
            switched: false,
            rollable: false,
        }
    }

    fn of(state: UpdateState) -> Self {
        match state {
            UpdateState::Queued => Self::at(UpdatePhase::Queued),
            UpdateState::Running { step, started_at } => {
                Self { step: Some(step), started_at: Some(started_at), ..Self::at(UpdatePhase::Running) }
            }
            UpdateState::Ended { outcome, started_at, ended_at } => {
                let (state, failure, cancelled_by) = match outcome {
                    Outcome::Succeeded => (UpdatePhase::Succeeded, None, None),
                    Outcome::Failed { failure } => (UpdatePhase::Failed, Some(failure), None),
                    Outcome::Cancelled { by } => (UpdatePhase::Cancelled, None, Some(by)),
                };
                Self { started_at, ended_at: Some(ended_at), failure, cancelled_by, ..Self::at(state) }
            }
        }
    }

    /// Whether nothing will change any more.
    pub fn is_ended(&self) -> bool {
        self.ended_at.is_some()
    }
}

/// An update with its steps and what it changed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UpdateDetail {
    #[serde(flatten)]
    pub update: Update,
    pub steps: Vec<StepRecord>,
    /// Against what ran before, place by place.
    pub changes: Vec<Change>,
}

/// Where one update is found.
pub(super) async fn located(
    state: &State,
    who: &Who,
    path: &(String, String),
) -> Result<(DeploymentId, u32)> {
    let id = app::deployment::id_of(&state.app, who, &path.0).await?;
    match path.1.parse() {
        Ok(number) => Ok((id, number)),
        Err(_) => {
            // Whoever may not see the deployment learns nothing about what numbers look like.
            app::deployment::get(&state.app, who, id.clone()).await?;
            let shown: String = path.1.chars().take(20).collect();
            Err(Error::not_found("update", format!("{shown} of {id}")))
        }
    }
}

/// Get an update with its steps and what it changed.
#[utoipa::path(get, path = "/deployments/{id}/updates/{number}", tag = "updates", operation_id = "getUpdate",
    params(("id" = String, Path, description = "The deployment's id or uuid"), ("number" = u32, Path, description = "The update's number")),
    responses((status = 200, body = UpdateDetail)))]
async fn get(state: Data<State>, who: Who, path: Path<(String, String)>) -> Reply<Json<UpdateDetail>> {
    let (id, number) = located(&state, &who, &path).await?;
    let detail = app::update::detail(&state.app, &who, id, number).await?;
    Ok(Json(UpdateDetail { update: detail.update.into(), steps: detail.steps, changes: detail.changes }))
}

/// List the steps that an update has begun, in order.
#[utoipa::path(get, path = "/deployments/{id}/updates/{number}/steps", tag = "updates", operation_id = "listSteps",
    params(("id" = String, Path, description = "The deployment's id or uuid"), ("number" = u32, Path, description = "The update's number")),
    responses((status = 200, body = [StepRecord])))]
async fn steps(state: Data<State>, who: Who, path: Path<(String, String)>) -> Reply<Json<Vec<StepRecord>>> {
    let (id, number) = located(&state, &who, &path).await?;
    let detail = app::update::detail(&state.app, &who, id, number).await?;
    Ok(Json(detail.steps))
}

/// Which lines of an update's log.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// Only lines after the one with this sequence.
    #[serde(default)]
    #[param(required = false)]
    after: i64,
    /// At most this many lines, 1 to 10000; 1000 where none is said.
    limit: Option<u32>,
}

/// Read an update's log, oldest first.
#[utoipa::path(get, path = "/deployments/{id}/updates/{number}/log", tag = "updates", operation_id = "getUpdateLog",
    params(("id" = String, Path, description = "The deployment's id or uuid"), ("number" = u32, Path, description = "The update's number"), LogQuery),
    responses((status = 200, body = [LogLine])))]
async fn log(
    state: Data<State>,
    who: Who,
    path: Path<(String, String)>,
    query: Query<LogQuery>,
) -> Reply<Json<Vec<LogLine>>> {
    let (id, number) = located(&state, &who, &path).await?;
    let limit = query.0.limit.unwrap_or(1_000).clamp(1, 10_000);
    app::update::get(&state.app, &who, id.clone(), number).await?;
    let lines = app::update::log(&state.app, &who, id, number, query.0.after, limit).await?;
    Ok(Json(lines))
}

/// Ask for an update's end before its switch: what it did is undone.
///
/// A queued one ends at once.
#[utoipa::path(post, path = "/deployments/{id}/updates/{number}/cancel", tag = "updates", operation_id = "cancelUpdate",
    params(("id" = String, Path, description = "The deployment's id or uuid"), ("number" = u32, Path, description = "The update's number")),
    responses((status = 200, body = Update)))]
async fn cancel(state: Data<State>, who: Who, path: Path<(String, String)>) -> Reply<Json<Update>> {
    let (id, number) = located(&state, &who, &path).await?;
    let update = app::update::cancel(&state.app, &who, id, number).await?;
    Ok(Json(update.into()))
}
