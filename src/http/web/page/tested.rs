//! Tests and their results, as rows.

use super::State;
use super::words::took;
use crate::domain::clock::Timestamp;
use crate::domain::test::{TestOutcome, TestPlace, TestResult, TestState};
use crate::domain::text::capital;

/// One test with its newest result.
#[derive(Debug, Clone)]
pub struct TestRow {
    pub name: String,
    pub state: State,
    /// Why it did not pass.
    pub message: String,
    pub took: String,
    /// When it ended.
    pub at: Option<Timestamp>,
    /// Where it ran, for those who may see that.
    pub place: Option<TestPlace>,
}

impl TestRow {
    /// Of a run: what has no result has yet to come to its end, or its turn never came.
    pub fn of_run(test: &TestState, ended: bool) -> Self {
        let row = Self::from(test);
        let state = if ended { State::unknown("Not run") } else { State::wait("No result yet") };
        if test.newest.is_none() { Self { state, ..row } } else { row }
    }

    fn of(name: String, result: &TestResult) -> Self {
        Self {
            name,
            state: State::from(result.outcome),
            message: capital(&result.message),
            took: took(result.ended_at - result.started_at),
            at: Some(result.ended_at),
            place: result.place.clone(),
        }
    }
}

impl From<&TestState> for TestRow {
    fn from(test: &TestState) -> Self {
        let name = test.service.to_string();
        match &test.newest {
            Some(result) => Self::of(name, result),
            None => Self {
                name,
                state: State::unknown("Never run"),
                message: String::new(),
                took: String::new(),
                at: None,
                place: None,
            },
        }
    }
}

impl From<TestOutcome> for State {
    fn from(outcome: TestOutcome) -> Self {
        match outcome {
            TestOutcome::Passed => Self::ok("Passed"),
            TestOutcome::Failed => Self::error("Failed"),
            TestOutcome::Aborted => Self::cancelled("Aborted"),
        }
    }
}
