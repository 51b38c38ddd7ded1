//! Health: six values, first match wins, with typed messages. Sync and health of the replicas are stored apart;
//! this is their fold.

use serde::{Deserialize, Serialize};

/// The six values, which are also Dataiku's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Health {
    Unknown,
    Error,
    OutOfSync,
    Unhealthy,
    Warning,
    Healthy,
}

impl Health {
    /// The stable word, as in APIs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Error => "ERROR",
            Self::OutOfSync => "OUT_OF_SYNC",
            Self::Unhealthy => "UNHEALTHY",
            Self::Warning => "WARNING",
            Self::Healthy => "HEALTHY",
        }
    }

    /// From the stable word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Unknown, Self::Error, Self::OutOfSync, Self::Unhealthy, Self::Warning, Self::Healthy]
            .into_iter()
            .find(|health| health.word() == word)
    }
}

/// How grave a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    Success,
    Info,
    Warning,
    Error,
}

/// One typed message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Message {
    pub severity: Severity,
    /// Stable, e.g. `UPDATE_FAILED`.
    pub code: String,
    pub title: String,
    /// What happened, to what.
    pub message: String,
    /// What to do, or more to read.
    pub details: String,
    /// For errors: whether nothing can go on before it is mended.
    #[serde(rename = "isFatal")]
    pub is_fatal: bool,
}

/// How the last ended update went, as far as health goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastUpdate {
    /// None has ended yet.
    None,
    Succeeded,
    /// Cancelling is not failing.
    Cancelled,
    Failed,
}

/// Whether what runs is what the settings give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    /// Nothing runs, or nothing is known.
    Unknown,
    InSync,
    OutOfSync,
}

/// What a replica's own program last answered for its health. One that never answered has none: its image may have
/// nothing that would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Answer {
    Well,
    /// With 500 or more (DataCater's rule).
    Unwell {
        status: u16,
    },
    /// It has answered before, and does so no more.
    Silent {
        why: String,
    },
}

impl Answer {
    /// What is wrong, for people: "answers 503"; `None` where it is well.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Well => None,
            Self::Unwell { status } => Some(format!("answers {status}")),
            Self::Silent { why } => Some(format!("answers no more ({why})")),
        }
    }
}

/// Everything that the fold looks at.
#[derive(Debug, Clone)]
pub struct Facts {
    pub last_update: LastUpdate,
    /// Disabled, and updated since.
    pub disabled_and_updated: bool,
    /// `false` when the engine can't be reached.
    pub reachable: bool,
    pub sync: Sync,
    /// Ready replicas against asked ones; a finished task counts as ready.
    pub ready: u32,
    pub wanted: u32,
    /// A program answers that it is not well, or answers no more.
    pub probe_failing: bool,
    /// Degraded or warned: restarts, governance `WARN`, an optional dependency missing.
    pub warned: bool,
    /// A fatal governance message.
    pub fatal_governance: bool,
}

/// The fold; first match wins.
pub fn fold(facts: &Facts) -> Health {
    if facts.last_update == LastUpdate::None || facts.disabled_and_updated || !facts.reachable {
        Health::Unknown
    } else if facts.last_update == LastUpdate::Failed || facts.fatal_governance {
        Health::Error
    } else if facts.sync == Sync::OutOfSync {
        Health::OutOfSync
    } else if facts.ready < facts.wanted || facts.probe_failing {
        Health::Unhealthy
    } else if facts.warned {
        Health::Warning
    } else {
        Health::Healthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> Facts {
        Facts {
            last_update: LastUpdate::Succeeded,
            disabled_and_updated: false,
            reachable: true,
            sync: Sync::InSync,
            ready: 2,
            wanted: 2,
            probe_failing: false,
            warned: false,
            fatal_governance: false,
        }
    }

    #[test]
    fn first_match_wins() {
        let all_wrong = Facts {
            last_update: LastUpdate::Failed,
            reachable: false,
            sync: Sync::OutOfSync,
            ready: 0,
            warned: true,
            ..fine()
        };
        assert_eq!(fold(&all_wrong), Health::Unknown);
        assert_eq!(fold(&Facts { reachable: true, ..all_wrong.clone() }), Health::Error);
        let cancelled = Facts { last_update: LastUpdate::Cancelled, reachable: true, ..all_wrong };
        assert_eq!(fold(&cancelled), Health::OutOfSync);
        let synced = Facts { sync: Sync::InSync, ..cancelled };
        assert_eq!(fold(&synced), Health::Unhealthy);
        assert_eq!(fold(&Facts { ready: 2, ..synced }), Health::Warning);
        assert_eq!(fold(&fine()), Health::Healthy);
        assert_eq!(fold(&Facts { last_update: LastUpdate::None, ..fine() }), Health::Unknown);
    }
}
