//! An update: one durable run that makes the world match a deployment's settings.
//!
//! The state is an enum that carries its data. One update of a deployment is active at a time, the others wait
//! in order. The target, a frozen [`Plan`](crate::domain::plan::Plan), is fixed when the update is asked for.

use serde::{Deserialize, Serialize};

use crate::domain::access::{Origin, Subject};
use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;
use crate::domain::name::{DeploymentId, Version};
use crate::domain::{Error, Result};

/// Why an update runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpdateKind {
    /// Make it match the settings.
    Update,
    /// Make it match what an earlier update had.
    RollBack,
    /// Stop everything: the deployment is disabled.
    Stop,
    /// Put right what drifted, on the deployment's standing consent.
    Repair,
    /// Run the tests of what runs; nothing that runs is changed.
    Test,
    /// Stop what runs where it is: nothing is removed, so that its output stays.
    Halt,
}

impl UpdateKind {
    /// What the journal calls it: `update.failed` says that a deployment's update did.
    pub fn noun(self) -> &'static str {
        if self == Self::Test { "tests" } else { "update" }
    }
}

/// Where an update stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum UpdateState {
    /// Accepted and durable; waits for its turn.
    Queued,
    /// Being worked on.
    Running { step: Step, started_at: Timestamp },
    /// Ended.
    Ended { outcome: Outcome, started_at: Option<Timestamp>, ended_at: Timestamp },
}

/// How an update ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    Succeeded,
    Failed { failure: Failure },
    Cancelled { by: String },
}

/// A failure in three parts: what happened, to what, what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Failure {
    /// Stable, e.g. `image_not_found`.
    pub code: String,
    /// What happened, to what.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// The step in which it happened.
    pub step: Step,
    /// The service concerned, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What serves now, in words.
    #[serde(default)]
    pub serving: String,
}

/// The steps of an update, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Plan,
    Check,
    Prepare,
    Start,
    Verify,
    Switch,
    CleanUp,
    /// Stopping what stays.
    Halt,
    /// Taking back what a failed or cancelled update did.
    Undo,
}

impl Step {
    /// Every step of a run that goes well.
    pub const ALL: [Self; 7] =
        [Self::Plan, Self::Check, Self::Prepare, Self::Start, Self::Verify, Self::Switch, Self::CleanUp];

    /// Those of a run of tests, which switches nothing.
    const OF_TESTS: [Self; 6] =
        [Self::Plan, Self::Check, Self::Prepare, Self::Start, Self::Verify, Self::CleanUp];

    /// Those of a run that stops what runs, and keeps it.
    const OF_HALTS: [Self; 3] = [Self::Plan, Self::Check, Self::Halt];

    /// The steps of an update of this kind that goes well.
    pub fn of(kind: UpdateKind) -> &'static [Self] {
        match kind {
            UpdateKind::Test => &Self::OF_TESTS,
            UpdateKind::Halt => &Self::OF_HALTS,
            _ => &Self::ALL,
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Plan => "Plan",
            Self::Check => "Check rights and policy",
            Self::Prepare => "Prepare images, network and volumes",
            Self::Start => "Start",
            Self::Verify => "Verify",
            Self::Switch => "Switch",
            Self::CleanUp => "Clean up",
            Self::Halt => "Stop",
            Self::Undo => "Undo",
        }
    }

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Check => "check",
            Self::Prepare => "prepare",
            Self::Start => "start",
            Self::Verify => "verify",
            Self::Switch => "switch",
            Self::CleanUp => "clean_up",
            Self::Halt => "halt",
            Self::Undo => "undo",
        }
    }

    /// From the stable word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::Halt, Self::Undo]).find(|step| step.word() == word)
    }
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    Running,
    Done,
    Failed,
}

/// One step as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepRecord {
    pub step: Step,
    pub state: StepState,
    /// One line of what it did.
    pub detail: String,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// One line of an update's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogLine {
    pub sequence: i64,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub step: Step,
    /// `true` for what went wrong.
    pub error: bool,
    pub text: String,
}

/// An update as it is stored, without its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    pub deployment: DeploymentId,
    pub number: u32,
    pub kind: UpdateKind,
    pub state: UpdateState,
    /// The bundle of its plan.
    pub version: Version,
    pub plan_digest: Digest,
    /// Whose stored rights every step checks again.
    pub requester: Subject,
    pub origin: Origin,
    pub reason: Option<String>,
    /// The update rolled back to.
    pub rolls_back_to: Option<u32>,
    pub created_at: Timestamp,
    /// Who asked to cancel it, while that is not done yet.
    pub cancel_requested_by: Option<String>,
    /// Past the switch it can't be cancelled.
    pub switched: bool,
    /// How often a process began on it: more than one after a crash.
    pub attempt: u32,
}

impl Update {
    /// Whether it has ended.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, UpdateState::Ended { .. })
    }

    /// Whether it stops everything.
    pub fn is_stop(&self) -> bool {
        self.kind == UpdateKind::Stop
    }

    /// Takes it from the queue.
    pub fn begin(self, now: Timestamp) -> Result<Self> {
        match self.state {
            UpdateState::Ended { .. } => Err(self.illegal("begin")),
            UpdateState::Queued => Ok(Self {
                state: UpdateState::Running { step: Step::Plan, started_at: now },
                attempt: self.attempt + 1,
                ..self
            }),
            UpdateState::Running { .. } => Ok(Self { attempt: self.attempt + 1, ..self }),
        }
    }

    /// Ends it.
    pub fn end(self, outcome: Outcome, now: Timestamp) -> Result<Self> {
        let started_at = match self.state {
            UpdateState::Ended { .. } => return Err(self.illegal("end")),
            UpdateState::Queued => None,
            UpdateState::Running { started_at, .. } => Some(started_at),
        };
        Ok(Self { state: UpdateState::Ended { outcome, started_at, ended_at: now }, ..self })
    }

    /// Notes that `by` wants it cancelled; refused once it has switched or ended.
    pub fn request_cancel(self, by: &str) -> Result<Self> {
        if self.is_ended() {
            return Err(self.illegal("cancel"));
        }
        if self.switched {
            return Err(Error::conflict(
                "already_switched",
                format!("update {} of {} has switched already", self.number, self.deployment),
            )
            .hint("Roll back to an earlier update once it has ended."));
        }
        Ok(Self { cancel_requested_by: Some(by.to_owned()), ..self })
    }

    fn illegal(&self, verb: &str) -> Error {
        let text = format!("update {} of {} has ended; it can't {verb}", self.number, self.deployment);
        Error::conflict("update_ended", text)
    }
}
