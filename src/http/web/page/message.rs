//! Notes that stand on a page: what happened, to what, what to do.

use crate::domain::Error;
use crate::domain::health::{Message, Severity};
use crate::domain::text::capital;

/// How something sounds. It decides colour and shape together, so that colour never speaks alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Ok,
    Warn,
    Bad,
    Sync,
    Info,
}

impl Tone {
    /// The class.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Sync => "sync",
            Self::Info => "info",
        }
    }

    /// The symbol in the sprite.
    pub fn shape(self) -> &'static str {
        match self {
            Self::Ok => "state-ok",
            Self::Warn => "state-warn",
            Self::Bad => "state-error",
            Self::Sync => "state-sync",
            Self::Info => "state-info",
        }
    }

    /// What the shape says to those who can't see it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "Done",
            Self::Warn => "Warning",
            Self::Bad => "Error",
            Self::Sync => "Out of sync",
            Self::Info => "Note",
        }
    }
}

/// A note: a title that says what happened and to what, and a text that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub tone: Tone,
    pub title: String,
    pub text: String,
    /// More to read, below.
    pub details: String,
}

impl Note {
    /// A note without details.
    pub fn new(tone: Tone, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { tone, title: title.into(), text: text.into(), details: String::new() }
    }
}

impl From<&Message> for Note {
    fn from(message: &Message) -> Self {
        let tone = match message.severity {
            Severity::Success => Tone::Ok,
            Severity::Info => Tone::Info,
            Severity::Warning => Tone::Warn,
            Severity::Error => Tone::Bad,
        };
        Self { details: message.details.clone(), ..Self::new(tone, &message.title, &message.message) }
    }
}

impl From<&Error> for Note {
    fn from(error: &Error) -> Self {
        Self::new(Tone::Bad, capital(&error.message), error.hint.clone().unwrap_or_default())
    }
}

/// An error in one line: what happened, and what to do.
pub fn sentence(error: &Error) -> String {
    let said = capital(&error.message);
    match &error.hint {
        Some(hint) => format!("{said}. {hint}"),
        None => format!("{said}."),
    }
}
