//! What an API server's refusals mean.

use std::time::Duration;

use crate::engine::EngineError;

/// A failed call as an engine's error; `what` says what was asked.
pub(super) fn refused(what: &str, error: kube::Error) -> EngineError {
    match error {
        kube::Error::Api(status) if status.code == 429 || status.code >= 500 => {
            EngineError::Unreachable(format!("{what}: {}", status.message))
        }
        kube::Error::Api(status) if status.code == 401 => EngineError::Refused(format!(
            "{what}: the cluster does not accept the credential; give the infrastructure a fresh kubeconfig"
        )),
        kube::Error::Api(status) if status.code == 403 => EngineError::Refused(format!(
            "{what}: {}; the connection test of the infrastructure lists the rights that are missing",
            status.message
        )),
        kube::Error::Api(status) => EngineError::Refused(format!("{what}: {}", status.message)),
        other => EngineError::Unreachable(format!("{what}: {}", innermost(&other))),
    }
}

/// Whether the object is not there.
pub(super) fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// How long to wait before the same call is worth another try: as long as an overloaded server asks for, and not at all
/// long where somebody else changed the object meanwhile. `None`: it is not.
pub(super) fn again_after(error: &kube::Error) -> Option<Duration> {
    let kube::Error::Api(status) = error else {
        return None;
    };
    let asked = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    match status.code {
        429 => Some(Duration::from_secs(u64::from(asked.max(1)))),
        500..=599 if asked > 0 => Some(Duration::from_secs(u64::from(asked))),
        409 if status.reason == "Conflict" => Some(Duration::from_millis(50)),
        _ => None,
    }
}

/// The cause that says most.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
