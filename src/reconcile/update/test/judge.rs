//! What the container of a test says of it: pure.

use tokio::time::Instant;

use crate::domain::test::TestOutcome;
use crate::domain::text::clean_line;
use crate::engine::Phase;
use crate::reconcile::table::Seen;
use crate::reconcile::update::verify::BLOCKED_FOR;

/// How a test came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub outcome: TestOutcome,
    pub exit_code: Option<i64>,
    /// Empty where it passed.
    pub message: String,
}

impl Verdict {
    pub fn failed(exit_code: Option<i64>, message: String) -> Self {
        Self { outcome: TestOutcome::Failed, exit_code, message }
    }

    pub fn aborted(message: impl Into<String>) -> Self {
        Self { outcome: TestOutcome::Aborted, exit_code: None, message: message.into() }
    }
}

/// What one look amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    Ended(Verdict),
    /// Look again when something changes, or at that moment.
    Wait(Option<Instant>),
}

/// Judges the container of a test. It is judged by its exit code alone: a health check that its image brings does not
/// count.
pub(super) fn judge(seen: &Seen, now: Instant) -> Look {
    let detail = clean_line(&seen.state.detail);
    let because = if detail.is_empty() { String::new() } else { format!(": {detail}") };
    match seen.state.phase {
        Phase::Exited { code: 0, .. } => {
            Look::Ended(Verdict { outcome: TestOutcome::Passed, exit_code: Some(0), message: String::new() })
        }
        Phase::Exited { code, oom_killed: true } => Look::Ended(Verdict::failed(
            Some(code),
            "it was stopped because it used up its memory limit".into(),
        )),
        Phase::Exited { code, .. } => {
            Look::Ended(Verdict::failed(Some(code), format!("it exited with code {code}{because}")))
        }
        Phase::Dead => Look::Ended(Verdict::aborted(format!("its engine can't run it{because}"))),
        Phase::Blocked if now >= seen.since + BLOCKED_FOR => {
            Look::Ended(Verdict::failed(None, format!("it can't be started{because}")))
        }
        Phase::Blocked => Look::Wait(Some(seen.since + BLOCKED_FOR)),
        Phase::Created
        | Phase::Pending
        | Phase::Starting
        | Phase::Running
        | Phase::Unhealthy
        | Phase::Restarting
        | Phase::Paused => Look::Wait(None),
    }
}
