//! A state as people see it: a shape, a word and a colour, always all three.

use std::borrow::Cow;

use crate::domain::health::Health;
use crate::domain::update::{Outcome, StepState, UpdateState};

/// Shape + word + colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The class that gives the colour.
    pub tone: &'static str,
    /// The symbol in the sprite.
    pub shape: &'static str,
    pub word: Cow<'static, str>,
}

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident => $tone:literal, $shape:literal;)*) => {
        $($(#[$doc])*
        pub fn $name(word: impl Into<Cow<'static, str>>) -> Self {
            Self { tone: $tone, shape: $shape, word: word.into() }
        })*
    };
}

impl State {
    shapes! {
        /// Circle with a tick: as it should be.
        ok => "ok", "state-ok";
        /// Triangle: works, with something to know.
        warn => "warn", "state-warn";
        /// Diamond: runs, but not as asked.
        unhealthy => "bad", "state-unhealthy";
        /// Square with a cross: failed.
        error => "bad", "state-error";
        /// Two arrows: what runs is not what is wanted.
        sync => "sync", "state-sync";
        /// Dashed circle: not known, never deployed.
        unknown => "idle", "state-unknown";
        /// Spinner: being worked on.
        run => "run", "state-run";
        /// Empty circle: waits for its turn.
        wait => "idle", "state-wait";
        /// Circle with a square: stopped on purpose.
        off => "idle", "state-off";
        /// Struck circle: cancelled.
        cancelled => "idle", "state-cancelled";
    }

    /// The same state with another word, e.g. `1 of 3 ready` where `Unhealthy` would say less.
    #[must_use]
    pub fn saying(self, word: impl Into<Cow<'static, str>>) -> Self {
        Self { word: word.into(), ..self }
    }
}

impl From<Health> for State {
    fn from(health: Health) -> Self {
        match health {
            Health::Unknown => Self::unknown("Unknown"),
            Health::Error => Self::error("Error"),
            Health::OutOfSync => Self::sync("Out of sync"),
            Health::Unhealthy => Self::unhealthy("Unhealthy"),
            Health::Warning => Self::warn("Warning"),
            Health::Healthy => Self::ok("Healthy"),
        }
    }
}

impl From<&UpdateState> for State {
    fn from(state: &UpdateState) -> Self {
        match state {
            UpdateState::Queued => Self::wait("Queued"),
            UpdateState::Running { .. } => Self::run("Running"),
            UpdateState::Ended { outcome, .. } => match outcome {
                Outcome::Succeeded => Self::ok("Succeeded"),
                Outcome::Failed { .. } => Self::error("Failed"),
                Outcome::Cancelled { .. } => Self::cancelled("Cancelled"),
            },
        }
    }
}

impl From<StepState> for State {
    fn from(state: StepState) -> Self {
        match state {
            StepState::Running => Self::run("Running"),
            StepState::Done => Self::ok("Done"),
            StepState::Failed => Self::error("Failed"),
        }
    }
}
