//! What an engine says, in words that a person can act on.
//!
//! The engine's messages are matched by the phrases that it has used from 20.10 on; what is not known is passed on as
//! it is, without control characters.

use bollard::errors::Error;

use crate::engine::EngineError;

/// Words for a failed call, before anything is known of what it was for.
pub(super) fn translate(socket: &str, error: Error) -> EngineError {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            EngineError::Refused(plain(if message.is_empty() {
                format!("it answered with status {status_code}")
            } else {
                message
            }))
        }
        Error::DockerStreamError { error } => EngineError::Refused(plain(error)),
        Error::SocketNotFoundError(path) => EngineError::Unreachable(format!(
            "there is no socket {path}; is the engine installed and running?"
        )),
        Error::RequestTimeoutError => EngineError::Unreachable(format!("{socket} does not answer")),
        Error::JsonDataError { message, .. } => {
            EngineError::Refused(format!("its answer can't be read: {}", plain(message)))
        }
        Error::JsonSerdeError { err } => EngineError::Refused(format!("its answer can't be read: {err}")),
        other => EngineError::Unreachable(connection_words(socket, &other)),
    }
}

/// Walks to the root of a connection's failure: that is where the words are.
fn connection_words(socket: &str, error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    match kind {
        Some(std::io::ErrorKind::PermissionDenied) => format!(
            "permission denied on {socket}; let the user that runs Slipway use it, e.g. by the group `docker`"
        ),
        Some(std::io::ErrorKind::ConnectionRefused) => {
            format!("nothing listens on {socket}; is the engine running?")
        }
        Some(std::io::ErrorKind::NotFound) => {
            format!("there is no socket {socket}; is the engine installed and running?")
        }
        _ => format!("{socket}: {}", plain(cause.to_string())),
    }
}

/// Whether the object that a call was about does not exist.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// Whether the engine answered that there is nothing to do, or that a name is taken.
pub(super) fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 409, .. })
}

/// Whether a message says that an image that a container was to be made of does not exist.
pub(super) fn names_missing_image(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused(message) if message.contains("No such image"))
}

/// Whether the engine speaks another API than was negotiated.
pub(super) fn is_version_mismatch(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 400, message }
        if message.starts_with("client version") && (message.contains("too new") || message.contains("too old")))
}

/// Whether a start failed because the container's fixed address went to another one while it was stopped.
pub(super) fn is_address_taken(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused(message) if message.contains("Address already in use"))
}

/// A failed start: a port, a command, or whatever the runtime says.
pub(super) fn start_failed(service: &str, error: EngineError) -> EngineError {
    let EngineError::Refused(message) = error else {
        return error;
    };
    if let Some(port) = taken_port(&message) {
        let detail =
            "another container or program of the host holds it; free it or publish another port".into();
        return EngineError::PortTaken { port, detail };
    }
    EngineError::StartFailed { service: service.to_owned(), detail: runtime_words(&message) }
}

/// The host port in the engine's two messages about ports that are held.
fn taken_port(message: &str) -> Option<u16> {
    let held = message.contains("port is already allocated") || message.contains("address already in use");
    if !held {
        return None;
    }
    let after = ["Bind for ", "listen tcp4 ", "listen tcp6 ", "listen tcp ", "listen udp4 ", "listen udp "]
        .iter()
        .find_map(|lead| message.split_once(lead))?
        .1;
    let address = after.split_whitespace().next()?;
    address.trim_end_matches(':').rsplit(':').next()?.parse().ok()
}

/// What the container runtime says, with a way out for its commonest complaints.
fn runtime_words(message: &str) -> String {
    let tail = |marker: &str| {
        message.split_once(marker).map(|(_, tail)| tail.trim_end_matches(": unknown").to_owned())
    };
    let what = tail("unable to start container process: ")
        .or_else(|| tail("starting container process caused: "))
        .or_else(|| tail("starting container process caused "))
        .or_else(|| tail("OCI runtime create failed: "))
        .unwrap_or_else(|| message.to_owned());
    let hint = if what.contains("executable file not found") || what.contains("no such file or directory") {
        " — check `command`, `entrypoint` and `working_dir` against what the image holds"
    } else if what.contains("permission denied") {
        " — the file is there but may not be run by the service's user"
    } else if what.contains("unable to find user") || what.contains("unable to find group") {
        " — the image does not know the service's `user`; name it by its number"
    } else {
        ""
    };
    format!("{what}{hint}")
}

/// A failed pull, whether the engine says so by its status or inside the stream of a good one.
pub(super) fn pull_failed(image: &str, error: EngineError) -> EngineError {
    let EngineError::Refused(message) = error else {
        return error;
    };
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    let image = image.to_owned();
    if has(&[
        "manifest unknown",
        "not found: does not exist",
        "no matching manifest",
        "invalid reference format",
        "name unknown",
        "repository name must be",
    ]) || (has(&["manifest for"]) && has(&["not found"]))
    {
        let detail = message;
        EngineError::ImageNotFound { image, detail }
    } else if has(&[
        "pull access denied",
        "unauthorized",
        "denied:",
        "no basic auth credentials",
        "authentication required",
        "incorrect username or password",
        "403 Forbidden",
    ]) {
        let detail =
            format!("{message} — check the name, and the registry's credentials in the configuration");
        EngineError::ImageDenied { image, detail }
    } else if has(&[
        "no such host",
        "connection refused",
        "i/o timeout",
        "deadline exceeded",
        "TLS handshake",
        "x509:",
        "network is unreachable",
        "no route to host",
        "server misbehaving",
        "Client.Timeout",
        "connection reset",
        "unexpected EOF",
        ": EOF",
        "toomanyrequests",
        "429",
        "500 Internal",
        "502",
        "503",
        "504",
        "server gave HTTP response to HTTPS client",
        "proxyconnect",
        "Temporary failure",
    ]) {
        EngineError::RegistryUnreachable { image, detail: message }
    } else {
        EngineError::Refused(format!("image {image}: {message}"))
    }
}

/// Without control characters and of a bounded length: it lands in logs and on pages.
pub(super) fn plain(text: impl Into<String>) -> String {
    let text: String = text.into();
    let mut clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(2_000).collect();
    clean.truncate(clean.trim_end().len());
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: &str) -> EngineError {
        EngineError::Refused(message.into())
    }

    #[test]
    fn a_held_port_is_named() {
        for (message, port) in [
            (
                "driver failed programming external connectivity on endpoint a (f55): Bind for 127.0.0.1:34567 failed: port is already allocated",
                34567,
            ),
            (
                "driver failed programming external connectivity on endpoint a (f55): Error starting userland proxy: listen tcp4 127.0.0.1:34568: bind: address already in use",
                34568,
            ),
            (
                "failed to set up container networking: driver failed programming external connectivity: failed to bind host port for 0.0.0.0:8080: Bind for :::8080 failed: port is already allocated",
                8080,
            ),
        ] {
            let error = start_failed("api", refused(message));
            assert!(matches!(error, EngineError::PortTaken { port: found, .. } if found == port), "{error}");
        }
    }

    #[test]
    fn a_missing_command_says_what_to_check() {
        let error = start_failed(
            "api",
            refused(
                r#"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory: unknown"#,
            ),
        );
        let EngineError::StartFailed { service, detail } = error else { panic!("{error}") };
        assert_eq!(service, "api");
        assert!(detail.starts_with(r#"exec: "/nope""#) && detail.contains("`command`"), "{detail}");
    }

    #[test]
    fn pulls_fail_in_three_ways() {
        let missing = pull_failed(
            "redis:99",
            refused("manifest for redis:99 not found: manifest unknown: manifest unknown"),
        );
        assert!(matches!(missing, EngineError::ImageNotFound { .. }), "{missing}");
        let denied = pull_failed(
            "x",
            refused(
                "pull access denied for x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
            ),
        );
        assert!(matches!(denied, EngineError::ImageDenied { .. }), "{denied}");
        let away = pull_failed(
            "x",
            refused(
                r#"Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on 10.0.0.2:53: no such host"#,
            ),
        );
        assert!(away.is_transient(), "{away}");
    }

    #[test]
    fn nothing_with_control_characters_gets_through() {
        assert_eq!(plain("a\r\nb\u{1b}[31m\n"), "a  b [31m");
    }
}
