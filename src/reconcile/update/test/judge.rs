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
            let words = format!("it exited with code {code}");
            // Some engines say so themselves, and then what else they know.
            let more = detail.strip_prefix(&words).unwrap_or(&detail).trim();
            let message = if more.is_empty() { words } else { format!("{words}: {more}") };
            Look::Ended(Verdict::failed(Some(code), message))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::workload::{Image, Service};
    use crate::engine::SlotState;
    use crate::reconcile::definition::testing;

    fn look(phase: Phase, detail: &str, ago: std::time::Duration) -> Look {
        let definition = testing::definition(1, [("smoke", Service::new(Image::Reference("i".into())))]);
        let state = SlotState {
            engine_id: "1".into(),
            slot: definition.slots().next().unwrap(),
            revision: 1,
            phase,
            started_at: None,
            ended_at: None,
            restarts: 0,
            detail: detail.into(),
            image_id: String::new(),
            endpoints: Vec::new(),
            serving: true,
            drift: None,
            autoscaled: None,
        };
        let now = Instant::now();
        judge(&Arc::new(Seen { state, since: now }), now + ago)
    }

    fn failed(code: Option<i64>, words: &str) -> Look {
        Look::Ended(Verdict::failed(code, words.to_owned()))
    }

    #[test]
    fn its_exit_code_decides_and_what_the_engine_says_is_said_once() {
        let now = std::time::Duration::ZERO;
        let exited = |code| Phase::Exited { code, oom_killed: false };
        let passed = Verdict { outcome: TestOutcome::Passed, exit_code: Some(0), message: String::new() };
        assert_eq!(look(exited(0), "it exited with code 0", now), Look::Ended(passed));
        assert_eq!(look(exited(3), "", now), failed(Some(3), "it exited with code 3"));
        assert_eq!(look(exited(3), "it exited with code 3", now), failed(Some(3), "it exited with code 3"));
        let more = failed(Some(3), "it exited with code 3: no disk");
        assert_eq!(look(exited(3), "it exited with code 3 no disk", now), more);
        let memory = failed(Some(137), "it was stopped because it used up its memory limit");
        assert_eq!(look(Phase::Exited { code: 137, oom_killed: true }, "", now), memory);
    }

    #[test]
    fn a_health_check_counts_for_nothing_and_what_is_blocked_gets_its_time() {
        let now = std::time::Duration::ZERO;
        for phase in [Phase::Created, Phase::Pending, Phase::Starting, Phase::Running, Phase::Unhealthy] {
            assert_eq!(look(phase, "no route", now), Look::Wait(None));
        }
        assert!(matches!(look(Phase::Blocked, "no image", now), Look::Wait(Some(_))));
        assert_eq!(
            look(Phase::Blocked, "no image", BLOCKED_FOR),
            failed(None, "it can't be started: no image")
        );
        let dead = Look::Ended(Verdict::aborted("its engine can't run it: gone"));
        assert_eq!(look(Phase::Dead, "gone", now), dead);
    }
}
