//! Time is a parameter: the one place that reads the machine's clock.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};

/// An instant in UTC, in milliseconds: what the store keeps and what people see.
pub type Timestamp = DateTime<Utc>;

/// Where the present moment comes from.
pub trait Clock: Send + Sync {
    /// Now, cut to milliseconds, so that what is stored and read back is equal.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Utc::now().trunc_subsecs(3)
    }
}

/// A clock to share.
pub type SharedClock = Arc<dyn Clock>;

/// A clock that tests set.
#[derive(Debug)]
pub struct ManualClock(std::sync::Mutex<Timestamp>);

impl ManualClock {
    /// Starts at `at`.
    pub fn new(at: Timestamp) -> Self {
        Self(std::sync::Mutex::new(at))
    }

    /// Moves on by `by`.
    pub fn advance(&self, by: chrono::TimeDelta) {
        let mut at = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *at += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
