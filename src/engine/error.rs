//! What engines fail with.

/// Why an engine could not do what was asked. Messages are for people and carry no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Nothing answers: the engine is down, hangs, or the address is wrong. Worth another try.
    #[error("the engine can't be reached: {0}")]
    Unreachable(String),
    /// It did not answer in time. Worth another try.
    #[error("the engine did not answer within {seconds} s: {what}")]
    Timeout { what: String, seconds: u64 },
    /// Neither the engine nor the registry has the image.
    #[error("image {image} was not found: {detail}")]
    ImageNotFound { image: String, detail: String },
    /// The registry refused.
    #[error("the registry refused image {image}: {detail}")]
    ImageDenied { image: String, detail: String },
    /// The registry can't be reached. Worth another try.
    #[error("the registry of image {image} can't be reached: {detail}")]
    RegistryUnreachable { image: String, detail: String },
    /// A `build:` failed; `tail` is the end of its output.
    #[error("the image of service {service} could not be built: {detail}")]
    BuildFailed { service: String, detail: String, tail: Vec<String> },
    /// A fixed host port is held by something else.
    #[error("host port {port} is already in use: {detail}")]
    PortTaken { port: u16, detail: String },
    /// The pool has no free network.
    #[error("no free network is left in the pool {pool}")]
    NoNetworkLeft { pool: String },
    /// A name that we derive is held by something that is not ours.
    #[error("the name {name} is taken by something that Slipway did not make")]
    NameTaken { name: String },
    /// The engine made the container, and it could not start (e.g. its command does not exist).
    #[error("service {service} could not start: {detail}")]
    StartFailed { service: String, detail: String },
    /// No such slot, for logs, stats and connections.
    #[error("there is no such replica")]
    NoSuchSlot,
    /// The engine can't do this at all.
    #[error("this engine does not support {0}")]
    Unsupported(String),
    /// Anything else that the engine said.
    #[error("the engine refused: {0}")]
    Refused(String),
}

impl EngineError {
    /// Whether the same call may succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Timeout { .. } | Self::RegistryUnreachable { .. })
    }
}

/// Result of an engine's call.
pub type EngineResult<T> = Result<T, EngineError>;
