//! One error without transport: each dialect renders it at its own edge.
//!
//! `message`, `hint` and `problems` are for the caller; `cause` is for the log alone and never leaves the process.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, as far as the caller's next move goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request itself is wrong; sending it again cannot help.
    Invalid,
    /// Nobody is signed in, or what was shown is not accepted.
    Unauthenticated,
    /// Signed in, sees the object, lacks the right.
    Forbidden,
    /// Absent, or not to be seen by this caller: the two are never told apart.
    NotFound,
    /// The object's present state does not allow it.
    Conflict,
    /// Somebody else changed it since the caller read it.
    Stale,
    /// Governance warned, and the caller did not ask to ignore warnings.
    Warned,
    /// Larger than this server takes.
    TooLarge,
    /// Too often.
    TooMany,
    /// Known, but not supported here.
    Unsupported,
    /// An engine or another part that is needed does not answer now.
    Unavailable,
    /// Our fault.
    Internal,
}

/// One thing that is wrong at one place of the input.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// Where: a field's name, or `compose.yaml:12:5`.
    pub place: String,
    /// What is wrong there.
    pub message: String,
    /// What to do instead.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at `place`.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into(), hint: None }
    }

    /// The same with a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The error of every use case.
#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    /// A stable word for programs, e.g. `deployment_in_use`.
    pub code: &'static str,
    /// What happened, to what.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// One entry for each wrong place of the input.
    pub problems: Vec<Problem>,
    /// For the log alone.
    pub cause: Option<Box<dyn StdError + Send + Sync>>,
}

/// Result of every use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` with a stable `code` and a message for the caller.
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), hint: None, problems: Vec::new(), cause: None }
    }

    /// The input is wrong as a whole.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, code, message)
    }

    /// One field of the input is wrong.
    pub fn field(place: impl Into<String>, message: impl Into<String>) -> Self {
        let problem = Problem::new(place, message);
        Self::problems("invalid_input", vec![problem])
    }

    /// Several places of the input are wrong; the message sums them up.
    pub fn problems(code: &'static str, problems: Vec<Problem>) -> Self {
        let message = match problems.as_slice() {
            [one] => format!("{}: {}", one.place, one.message),
            many => {
                format!("{} problems; the first: {}", many.len(), many.first().map_or("", |p| &p.message))
            }
        };
        let hint = match problems.as_slice() {
            [one] => one.hint.clone(),
            _ => None,
        };
        Self { problems, hint, ..Self::new(Kind::Invalid, code, message) }
    }

    /// The object is absent, or this caller may not see it: the same words for both.
    pub fn not_found(noun: &'static str, id: impl fmt::Display) -> Self {
        Self::new(Kind::NotFound, "not_found", format!("there is no {noun} {id}, or you may not see it"))
    }

    /// The caller sees the object and lacks `right`, which `who` can give.
    pub fn forbidden(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, "forbidden", message).hint(hint)
    }

    /// The state of the object does not allow it.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, code, message)
    }

    /// Our fault; `cause` goes to the log.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(Kind::Internal, "internal", "something failed inside Slipway")
        }
        .hint("Try again; if it stays, the server's log says more under this request's id.")
    }

    /// The same error with a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with what the log should know.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " {hint}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
