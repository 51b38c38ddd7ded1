//! Approvals: a second person's word on one exact plan, by its digest. Whatever would change what runs changes the
//! digest, and the approval is void.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::access::Subject;
use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, Version};
use crate::domain::{Error, Result};

/// How far one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    Pending,
    Approved,
    Rejected,
    /// By the one who asked.
    Withdrawn,
}

impl ApprovalState {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// From the stable word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Approved, Self::Rejected, Self::Withdrawn]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// What the approvals of one plan amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// None was asked for, or it was withdrawn.
    None,
    Pending,
    Approved,
    Rejected,
}

impl Standing {
    /// By the newest approval of a plan.
    pub fn of(newest: Option<ApprovalState>) -> Self {
        match newest {
            None | Some(ApprovalState::Withdrawn) => Self::None,
            Some(ApprovalState::Pending) => Self::Pending,
            Some(ApprovalState::Approved) => Self::Approved,
            Some(ApprovalState::Rejected) => Self::Rejected,
        }
    }
}

/// Who decided, when, and what was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub by: Subject,
    pub comment: String,
    pub at: Timestamp,
}

/// One question for approval, with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub id: Uuid,
    pub deployment: DeploymentId,
    pub project: ProjectKey,
    pub version: Version,
    pub infrastructure: InfrastructureId,
    /// The plan that is approved, and no other.
    pub plan: Digest,
    pub state: ApprovalState,
    pub requester: Subject,
    pub reason: Option<String>,
    pub created_at: Timestamp,
    pub decision: Option<Decision>,
}

impl Approval {
    /// The same, decided.
    ///
    /// # Errors
    /// `approval_decided` unless it is pending; `approval_void` when `wanted`, the plan of now, is another;
    /// a rejection without a comment.
    pub fn decide(self, approve: bool, decision: Decision, wanted: Option<&Digest>) -> Result<Self> {
        let open = self.open()?;
        if wanted != Some(&open.plan) {
            return Err(Error::conflict(
                "approval_void",
                format!(
                    "the plan of {} is not the one that approval was asked for any more",
                    open.deployment
                ),
            )
            .hint("Whoever deploys it asks again, for the plan of now."));
        }
        if !approve && decision.comment.trim().is_empty() {
            return Err(Error::field("comment", "say why it is rejected"));
        }
        let state = if approve { ApprovalState::Approved } else { ApprovalState::Rejected };
        Ok(Self { state, decision: Some(decision), ..open })
    }

    /// The same, taken back by the one who asked.
    ///
    /// # Errors
    /// `approval_decided` unless it is pending.
    pub fn withdraw(self) -> Result<Self> {
        Ok(Self { state: ApprovalState::Withdrawn, ..self.open()? })
    }

    fn open(self) -> Result<Self> {
        if self.state == ApprovalState::Pending {
            return Ok(self);
        }
        let message = format!("the approval of {} was {} already", self.deployment, self.state.word());
        Err(Error::conflict("approval_decided", message).hint("Ask for another one."))
    }
}
