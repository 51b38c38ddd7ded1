//! The connection to one engine: made when first needed, a limit on the time of every call, every failure in words.

use std::future::Future;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};

use crate::engine::docker::error;
use crate::engine::{EngineError, EngineResult};

/// Questions that an engine answers from memory.
pub(super) const ASK: Duration = Duration::from_secs(10);
/// Inspecting a container, which waits for the lock that its start holds. Whether the engine answers at all is told by
/// calls that wait for no container.
pub(super) const INSPECT: Duration = Duration::from_secs(60);
/// Calls that change something small: create, tag, network, remove.
pub(super) const CHANGE: Duration = Duration::from_secs(60);
/// Starting a container, which may wait for the disk and the firewall.
pub(super) const START: Duration = Duration::from_secs(120);
/// The longest silence of a pull or a build.
pub(super) const SILENCE: Duration = Duration::from_secs(600);

/// The oldest API that everything here works with: Debian 12's engine.
pub(super) const OLDEST_API: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };

/// One engine's socket.
pub(super) struct Client {
    socket: String,
    link: RwLock<Option<Docker>>,
}

impl Client {
    /// `host` is `unix:///path`; nothing is connected yet.
    pub(super) fn new(host: &str) -> EngineResult<Self> {
        let Some(socket) = host.strip_prefix("unix://").filter(|path| path.starts_with('/')) else {
            let what = format!("the address {host:?}: name a unix socket, e.g. unix:///var/run/docker.sock");
            return Err(EngineError::Unsupported(what));
        };
        Ok(Self { socket: socket.to_owned(), link: RwLock::new(None) })
    }

    /// The negotiated connection.
    pub(super) async fn docker(&self) -> EngineResult<Docker> {
        let link = self.link.read().unwrap_or_else(PoisonError::into_inner).clone();
        match link {
            Some(docker) => Ok(docker),
            None => self.negotiate().await,
        }
    }

    /// Asks the engine anew which API both sides speak.
    pub(super) async fn negotiate(&self) -> EngineResult<Docker> {
        let longest = SILENCE.as_secs();
        let docker = Docker::connect_with_unix(&self.socket, longest, API_DEFAULT_VERSION)
            .map_err(|error| self.failure(error))?;
        let docker = self.within("version", ASK, docker.negotiate_version()).await?;
        let mut link = self.link.write().unwrap_or_else(PoisonError::into_inner);
        *link = Some(docker.clone());
        Ok(docker)
    }

    /// Makes one call and waits for it at most `limit`; `what` names it in a timeout.
    pub(super) async fn call<T, F>(
        &self,
        what: &str,
        limit: Duration,
        call: impl FnOnce(Docker) -> F,
    ) -> EngineResult<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let docker = self.docker().await?;
        self.within(what, limit, call(docker)).await
    }

    async fn within<T>(
        &self,
        what: &str,
        limit: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> EngineResult<T> {
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => answer.map_err(|error| self.failure(error)),
            Err(_) => Err(timeout(what, limit)),
        }
    }

    /// Words for a failure; an engine that was exchanged for another version is negotiated with anew next time.
    pub(super) fn failure(&self, error: Error) -> EngineError {
        if error::is_version_mismatch(&error) {
            *self.link.write().unwrap_or_else(PoisonError::into_inner) = None;
            return EngineError::Unreachable("it was exchanged for another version just now".into());
        }
        error::translate(&self.socket, error)
    }
}

/// The error of a call that took too long.
pub(super) fn timeout(what: &str, limit: Duration) -> EngineError {
    EngineError::Timeout { what: what.to_owned(), seconds: limit.as_secs() }
}
