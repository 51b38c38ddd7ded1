//! What a registry's refusals mean.

use crate::engine::EngineError;

/// Why a registry did not do what was asked, before it is known for which image.
#[derive(Debug)]
pub(super) enum Failure {
    /// It has no such thing.
    Missing(String),
    /// It does not let us.
    Denied(String),
    /// It gives no answer, or none now.
    Away(String),
    /// Anything else.
    Refused(String),
}

/// Result of a registry's call.
pub(super) type Asked<T> = Result<T, Failure>;

impl Failure {
    /// The same for people, about an image.
    pub(super) fn about(self, image: &str) -> EngineError {
        let image = image.to_owned();
        match self {
            Self::Missing(detail) => EngineError::ImageNotFound { image, detail },
            Self::Denied(detail) => {
                let detail =
                    format!("{detail} — check the name, and the registry's credentials in the configuration");
                EngineError::ImageDenied { image, detail }
            }
            Self::Away(detail) => EngineError::RegistryUnreachable { image, detail },
            Self::Refused(detail) => EngineError::Refused(format!("image {image}: {detail}")),
        }
    }

    /// From an answer's status and what its body says in the specification's words; other bodies are not passed on.
    pub(super) fn of(host: &str, status: u16, body: &[u8]) -> Self {
        let said = said(body).map_or_else(|| format!("status {status}"), |said| plain(&said));
        let detail = format!("{host} answered: {said}");
        match status {
            404 => Self::Missing(detail),
            401 | 403 => Self::Denied(detail),
            408 | 429 | 500.. => Self::Away(detail),
            _ => Self::Refused(detail),
        }
    }

    /// From a request that got no answer.
    pub(super) fn unanswered(host: &str, error: &reqwest::Error) -> Self {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Self::Away(format!("{host}: {}", plain(&cause.to_string())))
    }
}

/// `code: message` of the first error that a registry names.
fn said(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let first = value.get("errors")?.get(0)?;
    let word = |key: &str| first.get(key).and_then(|word| word.as_str()).filter(|word| !word.is_empty());
    Some([word("code")?, word("message").unwrap_or("no reason given")].join(": "))
}

/// Without control characters and of a bounded length.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_and_foreign_bodies_are_not_passed_on() {
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest\r\nunknown"}]}"#;
        let about = |status, body: &[u8]| Failure::of("h", status, body).about("h/a:1");
        let missing = about(404, body);
        assert!(matches!(missing, EngineError::ImageNotFound { .. }));
        assert!(
            missing.to_string().ends_with("h answered: MANIFEST_UNKNOWN: manifest  unknown"),
            "{missing}"
        );
        let denied = about(403, b"<html>token=abc</html>");
        assert!(matches!(denied, EngineError::ImageDenied { .. }) && !denied.to_string().contains("abc"));
        assert!(about(429, b"").is_transient() && about(502, b"").is_transient());
        assert!(matches!(about(400, b""), EngineError::Refused(_)));
    }
}
