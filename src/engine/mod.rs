//! What runs workloads: one trait in domain words, served by Docker, later Kubernetes, and a stateful in-memory fake.
//!
//! An engine knows nothing but workloads. Every call may be repeated: names are derived from instance, workload,
//! service, slot and hash, so a step that is done again finds its own work. An engine touches only what carries this
//! instance's labels. Order (`depends_on`) is the reconciler's, not the engine's.

pub mod broken;
pub mod docker;
pub mod fake;
pub mod registry;
mod slots;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::domain::clock::Timestamp;
use crate::domain::name::{DeploymentId, SecretName, ServiceName};
use crate::domain::plan::Plan;
use crate::domain::workload::{Protocol, Service};

/// Labels that mark what is ours.
pub mod label {
    /// The instance's id: never touch what carries another one or none.
    pub const INSTANCE: &str = "io.slipway.instance";
    /// The deployment's id.
    pub const WORKLOAD: &str = "io.slipway.workload";
    /// The service's name.
    pub const SERVICE: &str = "io.slipway.service";
    /// The number of the update that made it.
    pub const REVISION: &str = "io.slipway.revision";
    /// [`super::SlotRef::hash`].
    pub const HASH: &str = "io.slipway.hash";
    /// [`super::SlotRef::index`].
    pub const SLOT: &str = "io.slipway.slot";
}

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

/// One replica's place: what a container or pod is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SlotRef {
    pub workload: DeploymentId,
    pub service: ServiceName,
    /// Hash over the service's template and its resolved image: 16 hex digits.
    pub hash: String,
    /// Counted from 0.
    pub index: u32,
}

/// Where a replica stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum Phase {
    /// Made, not started.
    Created,
    /// Runs; its health check has not passed yet.
    Starting,
    /// Runs, and passes its health check where it has one.
    Running,
    /// Runs and fails its health check.
    Unhealthy,
    /// Between an end and the engine's own next start.
    Restarting,
    Paused,
    /// Ended.
    Exited {
        code: i64,
        oom_killed: bool,
    },
    /// The engine can't tell, or can't remove it.
    Dead,
}

impl Phase {
    /// In one word, for people.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Created => "made and not started",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Unhealthy => "unhealthy",
            Self::Restarting => "restarting",
            Self::Paused => "paused",
            Self::Exited { .. } => "stopped",
            Self::Dead => "dead",
        }
    }

    /// Whether it counts as ready: running and healthy, or a task that ended well.
    pub fn is_ready(&self, is_task: bool) -> bool {
        match self {
            Self::Running => !is_task,
            Self::Exited { code, .. } => is_task && *code == 0,
            _ => false,
        }
    }
}

/// Where a published port answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub container_port: u16,
    pub protocol: Protocol,
    #[schema(value_type = String)]
    pub host_ip: IpAddr,
    pub host_port: u16,
}

/// One replica as the engine has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotState {
    pub slot: SlotRef,
    /// The engine's own id of the container or pod.
    pub engine_id: String,
    /// The update that made it.
    pub revision: u32,
    pub phase: Phase,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// The engine's own restarts of it.
    pub restarts: u32,
    /// The last words of a failing health check or start, for people; empty when there are none.
    pub detail: String,
    pub image_id: String,
    pub endpoints: Vec<Endpoint>,
    /// Whether peers reach it by the service's name.
    pub serving: bool,
    /// What somebody changed behind our back, in words (limits, networks, image).
    pub drift: Option<String>,
}

/// Everything of ours at one moment, and where to go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub slots: Vec<SlotState>,
    pub cursor: Cursor,
}

/// A place in an engine's stream of events; opaque outside the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// Something changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineEvent {
    /// This replica is now so. `at` is the engine's own time of the event; `what` a word for people (`die`, `start`…).
    Slot { state: Box<SlotState>, what: String, at: Timestamp },
    /// This replica is no more.
    Gone { slot: SlotRef, engine_id: String, at: Timestamp },
}

/// What the engine is, and whether it lets us do our work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EngineReport {
    /// e.g. `Docker 20.10.24`
    pub version: String,
    /// e.g. `1.41`
    pub api_version: String,
    pub cpus: u32,
    pub memory_bytes: u64,
    /// Rights that are missing, in words; empty when all is well.
    pub missing: Vec<String>,
    /// What works but deserves a word.
    pub warnings: Vec<String>,
}

/// What `prepare` is asked: a whole plan and where its bundle's files lie.
#[derive(Debug, Clone)]
pub struct PrepareRequest {
    pub plan: Arc<Plan>,
    /// A folder with the bundle's files, unpacked; `None` when no service needs one.
    pub files: Option<PathBuf>,
    /// Per registry host: who pulls.
    pub registries: BTreeMap<String, RegistryCredentials>,
    /// Images that an earlier run found for this very plan (a roll back, a repair, a run that was cut off): exactly
    /// these are wanted, whatever their names mean today. One that is gone is pulled by its digest; one without a
    /// digest is `ImageNotFound`, or built again where the service is built.
    pub pinned: BTreeMap<ServiceName, ResolvedImage>,
}

/// Who pulls from a registry.
#[derive(Debug, Clone)]
pub struct RegistryCredentials {
    pub username: String,
    pub password: SecretString,
}

/// What only preparing can know; kept with the update.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resolution {
    pub images: BTreeMap<ServiceName, ResolvedImage>,
    /// The engine's name of the workload's network; empty where it has none.
    #[serde(default)]
    pub network: String,
}

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedImage {
    /// The engine's immutable id, e.g. `sha256:…`.
    pub id: String,
    /// What it was asked for as.
    pub reference: String,
    /// `host/name@sha256:…` where it came from a registry: how a roll back finds it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_digest: Option<String>,
}

/// Makes `hash` of a slot from the template's hash and the image in it.
pub fn slot_hash(template: &str, image_id: &str) -> String {
    crate::domain::bundle::Digest::of(format!("{template}\n{image_id}").as_bytes()).as_str()[..16].to_owned()
}

/// What `ensure` is asked: one service with everything resolved.
#[derive(Debug, Clone)]
pub struct ServiceRequest {
    pub workload: DeploymentId,
    pub name: ServiceName,
    /// The update that asks; a label, not part of the identity.
    pub revision: u32,
    pub hash: String,
    pub service: Arc<Service>,
    pub profile: crate::domain::policy::Profile,
    pub image: ResolvedImage,
    pub network: String,
    /// Values of the secrets that the service uses.
    pub secrets: Arc<BTreeMap<SecretName, SecretString>>,
    /// Contents of the files that the service's `secrets` and `configs` mounts name.
    pub contents: Arc<BTreeMap<SecretName, FileContent>>,
}

/// The content of a secret or config file.
#[derive(Clone)]
pub enum FileContent {
    Plain(Bytes),
    Secret(SecretString),
}

impl std::fmt::Debug for FileContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain(..)",
            Self::Secret(_) => "Secret(..)",
        })
    }
}

/// What `ensure` found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ensured {
    /// The wanted slots, one for each replica, all started.
    pub slots: Vec<SlotRef>,
    /// Those of them that had to be made or started now.
    pub fresh: Vec<SlotRef>,
    /// Slots of other hashes that were stopped first, by this call or by an earlier one that was cut off, kept to be
    /// started again on failure and to be retired after the switch.
    pub stopped: Vec<SlotRef>,
    /// Other slots of other hashes, or beyond the replicas: to be retired after the switch.
    pub superseded: Vec<SlotRef>,
}

/// Which lines of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogOptions {
    /// Only the last lines; `None` is all.
    pub tail: Option<u32>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Go on with what comes, until the replica ends.
    pub follow: bool,
}

/// Which of a container's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// One line of a container's output, without its line end; bytes as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerLine {
    /// Nanoseconds since the epoch, the engine's own.
    pub at_nanos: i64,
    pub stream: LogStream,
    pub text: Bytes,
}

/// What a replica uses right now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// CPUs in use, e.g. 0.31.
    pub cpus: f64,
    pub memory_bytes: u64,
    /// 0 when there is no limit.
    pub memory_limit_bytes: u64,
    pub pids: u64,
}

/// Receives lines of progress while an engine prepares; they land in the update's log.
pub trait Progress: Send + Sync {
    /// One line for people, without secrets.
    fn line(&self, text: &str);
}

/// Something that runs workloads. Every call has its own timeout inside and may be repeated.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Asks what the engine is and which rights are missing.
    ///
    /// # Errors
    /// `Unreachable`, `Timeout`.
    async fn check(&self) -> EngineResult<EngineReport>;

    /// Gets everything ready that replicas need: images pulled or built (with a tag of ours, so that rolling back
    /// finds them), the workload's network, its volumes. Starts nothing.
    ///
    /// # Errors
    /// `ImageNotFound`, `ImageDenied`, `RegistryUnreachable`, `BuildFailed`, `NoNetworkLeft`, `NameTaken`, and the
    /// transient ones.
    async fn prepare(&self, request: &PrepareRequest, progress: &dyn Progress) -> EngineResult<Resolution>;

    /// Makes the service's wanted replicas exist and run, by the slots' derived names. What runs already with the
    /// same hash is kept. Where the service must be replaced stop-first ([`Service::stop_first_because`]), replicas of
    /// other hashes are stopped (and kept) first; otherwise they go on serving, and fresh replicas get no traffic by
    /// the service's name before [`Engine::switch`]. Where nothing of the service serves yet, fresh replicas serve at
    /// once. A task that has ended is left as it is. Before a container is started, what the engine made is
    /// inspected against what was asked. A kept slot that somebody changed behind our back ([`SlotState::drift`]) is put
    /// right in place.
    ///
    /// # Errors
    /// `PortTaken`, `StartFailed`, `NameTaken`, `ImageNotFound` and the transient ones. Whatever was made stays; the
    /// caller undoes with [`Engine::retire`] and [`Engine::revive`].
    async fn ensure(&self, request: &ServiceRequest) -> EngineResult<Ensured>;

    /// Gives the wanted slots the service's traffic.
    ///
    /// # Errors
    /// The transient ones, `NoSuchSlot`.
    async fn switch(&self, request: &ServiceRequest) -> EngineResult<()>;

    /// Starts slots again that `ensure` stopped.
    ///
    /// # Errors
    /// `StartFailed`, `PortTaken`, and the transient ones. A slot that is gone is no error.
    async fn revive(&self, slots: &[SlotRef]) -> EngineResult<()>;

    /// Stops a slot within its grace period, and removes it. One that is gone is no error.
    ///
    /// # Errors
    /// The transient ones.
    async fn retire(&self, slot: &SlotRef) -> EngineResult<()>;

    /// Removes what a workload without slots leaves behind: its network and our image tags; its volumes as well when
    /// `volumes` is set. Nothing to remove is no error.
    ///
    /// # Errors
    /// `Refused` while slots are left, and the transient ones.
    async fn release(&self, workload: &DeploymentId, volumes: bool) -> EngineResult<()>;

    /// Takes our tags off the workload's images, except off those whose id is in `keep`: what no retained revision
    /// needs may then be collected. An image that something else uses stays. Nothing to do is no error.
    ///
    /// # Errors
    /// The transient ones.
    async fn forget_images(&self, workload: &DeploymentId, keep: &BTreeSet<String>) -> EngineResult<()>;

    /// All of this instance's slots, and a cursor from which [`Engine::watch`] misses nothing.
    ///
    /// # Errors
    /// `Unreachable`, `Timeout`.
    async fn snapshot(&self) -> EngineResult<Snapshot>;

    /// What changes from `cursor` on. The stream ends with an error when events may have been lost; the caller then
    /// takes a new snapshot.
    ///
    /// # Errors
    /// `Unreachable`.
    async fn watch(&self, cursor: &Cursor) -> EngineResult<BoxStream<'static, EngineResult<EngineEvent>>>;

    /// A slot's output in batches, oldest first.
    ///
    /// # Errors
    /// `NoSuchSlot`, `Unreachable`.
    async fn logs(
        &self,
        slot: &SlotRef,
        options: &LogOptions,
    ) -> EngineResult<BoxStream<'static, EngineResult<Vec<ContainerLine>>>>;

    /// What a slot uses now.
    ///
    /// # Errors
    /// `NoSuchSlot`, `Unreachable`.
    async fn stats(&self, slot: &SlotRef) -> EngineResult<Stats>;

    /// An address on which a slot's container answers `port`, for probes made by Slipway itself. The address is one
    /// of the slot's own, never one that a user named.
    ///
    /// # Errors
    /// `NoSuchSlot`, `Unsupported`, `Unreachable`.
    async fn connect(&self, slot: &SlotRef, port: u16) -> EngineResult<std::net::SocketAddr>;
}
