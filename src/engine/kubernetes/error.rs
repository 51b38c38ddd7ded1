//! What an API server's refusals mean.

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

/// Whether somebody else changed or made it meanwhile.
pub(super) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// The cause that says most.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
