//! Tests: tasks of a bundle that check a deployment of it that runs. They run when somebody asks, never with an update.
//!
//! A result comes from a container that was started, and from nothing else: a test whose turn did not come has none. It
//! says something about the bundle, so it outlives the deployment and goes with the bundle.

use serde::{Deserialize, Serialize};

use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, ServiceName, Version};

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TestOutcome {
    /// It ended with exit code 0.
    Passed,
    /// It ended with another one, could not be started, or took longer than it may.
    Failed,
    /// Something else ended it: its run was cancelled, its container was removed.
    Aborted,
}

impl TestOutcome {
    /// The stable word, as in APIs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::Failed => "FAILED",
            Self::Aborted => "ABORTED",
        }
    }

    /// From the stable word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Passed, Self::Failed, Self::Aborted].into_iter().find(|outcome| outcome.word() == word)
    }
}

/// What one test came to in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    pub service: ServiceName,
    pub outcome: TestOutcome,
    /// Where it ended by itself.
    pub exit_code: Option<i64>,
    /// Why it did not pass, in words; empty when it did.
    pub message: String,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    /// Where it ran; `None` for a reader who may not see that place, who then gets no message either.
    pub place: Option<TestPlace>,
}

/// Where a test ran, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestPlace {
    /// Its name then; it may be gone.
    pub deployment: DeploymentId,
    pub infrastructure: InfrastructureId,
    /// The number of the run among the deployment's updates.
    pub number: u32,
    /// Who asked for the run.
    pub requester: String,
    /// Whether the deployment is still there, and the run's page with it.
    pub is_there: bool,
}

/// A test of a bundle with the newest that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestState {
    pub service: ServiceName,
    /// `None`: it never ran.
    pub newest: Option<TestResult>,
}

/// Whose tests are meant: a bundle, by its content within its project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestedBundle {
    pub project: ProjectKey,
    pub version: Version,
    pub digest: Digest,
}
