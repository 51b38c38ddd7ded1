//! A context as it is kept: what was sent, its secrets taken out; and how a run of it sees them again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Specification;
use crate::domain::name::{Label, SecretName, ServiceName};
use crate::domain::resource::{Noun, Resource};
use crate::domain::stream::{MASK, is_secret};
use crate::domain::workload::{EnvValue, Service};
use crate::domain::{Error, Problem, Result};

/// The one service of an execution.
pub const SERVICE: &str = "execution";

/// A context as it is stored.
pub type Context = Resource<ContextSpec>;

/// What a context is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContextSpec {
    pub specification: Specification,
    /// The Renga project that it belongs to, by the header `Renga-Projects-Project`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Label>,
}

impl Noun for ContextSpec {
    const NOUN: &'static str = "context";

    fn take_secrets(&mut self) -> BTreeMap<String, String> {
        self.specification.take_secrets()
    }

    fn secrets(&self) -> BTreeMap<String, String> {
        let masked = self.specification.environment.iter().filter(|(name, value)| hidden(name, value));
        masked.map(|(name, _)| (name.clone(), format!("env.{name}"))).collect()
    }
}

impl ContextSpec {
    /// Refuses variables that hold secrets under names that no secret can have.
    ///
    /// # Errors
    /// `context_refused`.
    pub fn check(&self) -> Result<()> {
        check_names("context_refused", "env", self.specification.environment.keys())
    }

    /// What it is called in lists: its image, as far as a name goes.
    pub fn label(&self) -> Result<Label> {
        label("", &self.specification.image)
    }

    /// What an execution of it is called.
    pub fn label_of_execution(&self) -> Result<Label> {
        label("execution of ", &self.specification.image)
    }
}

fn label(before: &str, image: &str) -> Result<Label> {
    const LONGEST: usize = 120;
    let whole = format!("{before}{image}");
    if whole.len() <= LONGEST {
        return Label::parse(whole);
    }
    // Images are ASCII.
    let shown: String = whole.chars().take(LONGEST - "…".len()).collect();
    Label::parse(format!("{shown}…"))
}

/// Whether a variable's value is one that nobody may read, and stands masked.
fn hidden(name: &str, value: &str) -> bool {
    is_secret(name) && value == MASK
}

/// Refuses variables of an execution that hold secrets under names that no secret can have.
///
/// # Errors
/// `execution_refused`.
pub(super) fn check_names<'a>(
    code: &'static str,
    place: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<()> {
    let wrong = |name: &&String| is_secret(name) && SecretName::parse(name.as_str()).is_err();
    let problem = |name: &String| {
        Problem::new(
            format!("{place}.{name}"),
            "its name says that it holds a secret, and no secret can be called so",
        )
        .hint("Use up to 128 letters, digits, '_', '-' or '.', starting with a letter or '_', without '..'.")
    };
    let problems: Vec<Problem> = names.filter(wrong).map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::problems(code, problems)) }
}

impl Specification {
    /// Takes the values of secret variables out, leaving the mask in their places, in what was sent as well.
    fn take_secrets(&mut self) -> BTreeMap<String, String> {
        let secret =
            |(name, value): &(&String, &mut String)| is_secret(name) && !value.is_empty() && *value != MASK;
        let taken = self.environment.iter_mut().filter(secret);
        let taken: BTreeMap<String, String> =
            taken.map(|(name, value)| (name.clone(), std::mem::replace(value, MASK.to_owned()))).collect();
        let sent = self.sent.get_mut("env").and_then(Value::as_array_mut);
        for entry in sent.into_iter().flatten() {
            let named =
                entry.get("name").and_then(Value::as_str).is_some_and(|name| taken.contains_key(name));
            if named && let Some(value) = entry.get_mut("value") {
                *value = Value::String(MASK.to_owned());
            }
        }
        taken
    }
}

/// The name of an execution's one service.
pub fn execution_service() -> ServiceName {
    SERVICE.parse().expect("the name written here is a name")
}

/// What an execution's container has as environment, with the names of the secrets that it has: those masked.
pub fn effective<'a>(
    service: &Service,
    secrets: impl Iterator<Item = &'a SecretName>,
) -> BTreeMap<String, String> {
    let plain = service.environment.iter().map(|(name, value)| {
        let shown = match value {
            EnvValue::Plain(value) => value.clone(),
            EnvValue::Secret { .. } | EnvValue::Json(_) | EnvValue::Required => MASK.to_owned(),
        };
        (name.clone(), shown)
    });
    let secrets: BTreeSet<String> = secrets.map(ToString::to_string).collect();
    plain.chain(secrets.into_iter().map(|name| (name, MASK.to_owned()))).collect()
}
