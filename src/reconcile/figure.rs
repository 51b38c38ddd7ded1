//! How each reconciler is doing: what `/metrics` and the system page show.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::clock::Timestamp;

/// One reconciler's last run and totals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figure {
    pub runs: u64,
    pub errors: u64,
    pub last_run: Option<Timestamp>,
    pub last_duration: Duration,
    /// The last error's words; empty when the last run went well.
    pub last_error: String,
}

/// The figures of all reconcilers, by name.
#[derive(Debug, Default)]
pub struct Figures {
    by_name: Mutex<BTreeMap<String, Figure>>,
}

impl Figures {
    /// Notes a run of the reconciler `name`.
    pub fn note(&self, name: &str, at: Timestamp, took: Duration, error: Option<String>) {
        let mut figures = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let figure = figures.entry(name.to_owned()).or_default();
        figure.runs += 1;
        figure.errors += u64::from(error.is_some());
        figure.last_run = Some(at);
        figure.last_duration = took;
        figure.last_error = error.unwrap_or_default();
    }

    /// All of them now.
    pub fn all(&self) -> BTreeMap<String, Figure> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
