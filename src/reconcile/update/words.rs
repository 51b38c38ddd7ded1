//! Failures in words that a person can act on: what happened, to what, what to do.

use crate::domain::name::ServiceName;
use crate::domain::text::clean_line;
use crate::domain::update::{Failure, Step};
use crate::engine::EngineError;
use crate::reconcile::definition::Definition;

/// A failure in `step`; what serves is added when the run ends.
pub(super) fn failure(code: &str, step: Step, message: impl AsRef<str>, hint: impl Into<String>) -> Failure {
    Failure {
        code: code.to_owned(),
        message: clean_line(message.as_ref()),
        hint: hint.into(),
        step,
        service: None,
        serving: String::new(),
    }
}

/// The same failure, of one service.
pub(super) fn of_service(failure: Failure, service: &ServiceName) -> Failure {
    Failure { service: Some(service.to_string()), ..failure }
}

/// What an engine's refusal means, and what to do about it.
pub(super) fn engine(error: &EngineError, step: Step) -> Failure {
    let (code, hint) = match error {
        EngineError::Unreachable(_) => (
            "engine_unreachable",
            "Check that the engine runs and that its address in the infrastructure is right, then retry.".into(),
        ),
        EngineError::Timeout { .. } => (
            "engine_timeout",
            "Look at the engine's load and its own log, then retry.".into(),
        ),
        EngineError::ImageNotFound { image, .. } => (
            "image_not_found",
            format!("Check the name and tag of {image}, push it to its registry, or set another tag in the settings."),
        ),
        EngineError::ImageDenied { image, .. } => (
            "image_denied",
            format!("Have an administrator add credentials for the registry of {image} to the configuration."),
        ),
        EngineError::RegistryUnreachable { .. } => (
            "registry_unreachable",
            "Check the network between the engine and the registry, then retry.".into(),
        ),
        EngineError::BuildFailed { .. } => (
            "build_failed",
            "The end of the build's output is in the log below. Mend the Dockerfile or its files and publish a new bundle."
                .into(),
        ),
        EngineError::PortTaken { port, .. } => (
            "port_taken",
            format!("Free port {port} on the engine's host, or choose another port in the settings."),
        ),
        EngineError::NoNetworkLeft { .. } => (
            "no_network_left",
            "Stop deployments that are not needed, or have an administrator widen the infrastructure's network pool."
                .into(),
        ),
        EngineError::NameTaken { name } => (
            "name_taken",
            format!("Remove or rename {name} on the engine, then retry."),
        ),
        EngineError::StartFailed { .. } => (
            "start_failed",
            "Check the service's command, entrypoint, user and mounts in the bundle.".into(),
        ),
        EngineError::NoSuchSlot => (
            "replica_gone",
            "Somebody removed it from the engine meanwhile. Retry.".into(),
        ),
        EngineError::Unsupported(_) => (
            "unsupported",
            "Use an infrastructure whose engine supports it, or change the bundle.".into(),
        ),
        EngineError::Refused(_) => (
            "engine_refused",
            "The engine's own words are above; mend what it names, then retry.".into(),
        ),
    };
    let plain = failure(code, step, error.to_string(), hint);
    match error {
        EngineError::BuildFailed { service, .. } | EngineError::StartFailed { service, .. } => {
            Failure { service: Some(service.clone()), ..plain }
        }
        _ => plain,
    }
}

/// What serves after an update did not get through.
pub(super) fn serving(running: Option<&Definition>) -> String {
    match running {
        Some(running) if running.plan.enabled => {
            format!("Update {} (bundle {}) goes on serving, as before.", running.number, running.plan.version)
        }
        _ => "Nothing runs, as before.".to_owned(),
    }
}

/// `1 replica`, `2 replicas`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Names in a row, for people.
pub(super) fn names<'a>(names: impl IntoIterator<Item = &'a ServiceName>) -> String {
    names.into_iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ")
}
