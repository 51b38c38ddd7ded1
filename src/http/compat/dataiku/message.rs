//! Typed messages in their envelope.

use serde::Serialize;

use crate::domain::health::{Message, Severity};

/// Messages and what they amount to, as `dataikuapi.dss.utils.DSSInfoMessages` reads them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InfoMessages {
    messages: Vec<Message>,
    any_message: bool,
    success: bool,
    warning: bool,
    error: bool,
    fatal: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_severity: Option<Severity>,
}

impl From<Vec<Message>> for InfoMessages {
    fn from(messages: Vec<Message>) -> Self {
        let has = |severity: Severity| messages.iter().any(|message| message.severity == severity);
        let by_gravity = [Severity::Error, Severity::Warning, Severity::Success, Severity::Info];
        Self {
            any_message: !messages.is_empty(),
            success: has(Severity::Success),
            warning: has(Severity::Warning),
            error: has(Severity::Error),
            fatal: messages.iter().any(|message| message.is_fatal),
            max_severity: by_gravity.into_iter().find(|severity| has(*severity)),
            messages,
        }
    }
}
