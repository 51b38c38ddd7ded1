//! What runs workloads: one trait in domain words, served by Docker, later Kubernetes, and a stateful in-memory fake.
//!
//! An engine knows nothing but workloads. Every call may be repeated: names are derived from instance, workload,
//! service, slot and hash, so a step that is done again finds its own work. An engine touches only what carries this
//! instance's labels. Order (`depends_on`) is the reconciler's, not the engine's.

pub mod broken;
pub mod docker;
mod entry;
mod error;
pub mod fake;
pub mod kubernetes;
mod object;
mod observed;
pub mod probe;
pub mod registry;
mod slots;

use std::collections::{BTreeMap, BTreeSet};
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
use crate::domain::workload::{Protocol, SecretMount, Service};

pub use error::{EngineError, EngineResult};
pub use object::{Condition, EngineObject};
pub use observed::{
    ContainerLine, Cursor, Endpoint, EngineEvent, EngineReport, LogStream, Phase, SlotState, Snapshot, Stats,
};

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

/// What `prepare` is asked: a whole plan and where its bundle's files lie.
#[derive(Clone)]
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
    /// Who builds images for an engine that can't; `None` where its connection names nobody.
    pub builder: Option<Arc<dyn Engine>>,
}

/// What [`Engine::publish`] is asked: one service's `build:`, to be pushed.
#[derive(Debug, Clone)]
pub struct PublishRequest {
    pub workload: DeploymentId,
    pub service: ServiceName,
    pub build: crate::domain::workload::Build,
    /// The bundle's files, unpacked.
    pub files: PathBuf,
    /// Covers everything that goes in; the same inputs are built and pushed once.
    pub inputs: crate::domain::bundle::Digest,
    /// `host[:port]/name` that it is pushed to; the tag is derived from `inputs`.
    pub repository: String,
    /// Per registry host: who pulls and pushes.
    pub registries: BTreeMap<String, RegistryCredentials>,
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
    /// Ports that the image says it listens on, where the engine has to know them beforehand.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed: BTreeSet<(u16, Protocol)>,
    /// The engine's object that brings the bundle's files where the image does not hold them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_from: Option<String>,
}

impl ResolvedImage {
    /// An image of this immutable id, asked for as `reference`, that came from nowhere else.
    pub fn new(id: impl Into<String>, reference: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            reference: reference.into(),
            pull_digest: None,
            exposed: BTreeSet::new(),
            files_from: None,
        }
    }
}

/// A port that an image exposes, as its configuration writes it: `8080`, `8080/tcp`, `53/udp`.
pub(crate) fn exposed_port(text: &str) -> Option<(u16, Protocol)> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    Some((number.parse().ok()?, protocol))
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
    /// Whether the workload has other services, which may call this one by its name.
    pub has_peers: bool,
    /// Values of the secrets that the service uses.
    pub secrets: Arc<BTreeMap<SecretName, SecretString>>,
    /// Contents of the files that the service mounts.
    pub contents: Arc<Contents>,
}

/// Contents of the files that a service mounts; a secret and a config may bear the same name.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    pub secrets: BTreeMap<SecretName, FileContent>,
    pub configs: BTreeMap<SecretName, FileContent>,
}

impl Contents {
    /// Each file that `service` mounts, with its content where that is known.
    pub fn of<'a>(
        &'a self,
        service: &'a Service,
    ) -> impl Iterator<Item = (&'a SecretMount, Option<&'a FileContent>)> {
        let secrets = service.secrets.iter().map(|mount| (mount, self.secrets.get(&mount.source)));
        let configs = service.configs.iter().map(|mount| (mount, self.configs.get(&mount.source)));
        secrets.chain(configs)
    }
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

    /// Builds an image from a bundle's files and pushes it to a registry, for an engine that can't build. What was
    /// pushed before with the same inputs is found, not built again.
    ///
    /// # Errors
    /// `Unsupported` where it can't build; `BuildFailed`, `ImageDenied`, `RegistryUnreachable`, and the transient ones.
    async fn publish(
        &self,
        request: &PublishRequest,
        progress: &dyn Progress,
    ) -> EngineResult<ResolvedImage> {
        let _ = (request, progress);
        Err(EngineError::Unsupported("building images".into()))
    }

    /// Makes the service's wanted replicas exist and run, by the slots' derived names. What runs already with the
    /// same hash is kept. Where the service must be replaced stop-first ([`Service::stop_first_because`], by who holds
    /// fixed ports on this engine), replicas of other hashes are stopped (and kept) first; otherwise they go on serving,
    /// and fresh replicas get no traffic by the service's name before [`Engine::switch`]. Where nothing of the service
    /// serves yet, fresh replicas serve at once. A task that has ended is left as it is. Before a container is started,
    /// what the engine made is inspected against what was asked. A kept slot that somebody changed behind our back
    /// ([`SlotState::drift`]) is put right in place.
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

    /// Stops a task's slot within its grace period, and keeps it: its output can be read on. One that has ended or is gone is no
    /// error.
    ///
    /// # Errors
    /// The transient ones, `Refused`.
    async fn halt(&self, slot: &SlotRef) -> EngineResult<()>;

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

    /// All of this instance's slots and objects, and a cursor from which [`Engine::watch`] misses nothing.
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
    /// `NoSuchSlot`, `Unsupported` where the engine measures nothing, `Unreachable`.
    async fn stats(&self, slot: &SlotRef) -> EngineResult<Stats>;

    /// An address on which a slot's container answers `port`, for probes made by Slipway itself. The address is one
    /// of the slot's own, never one that a user named.
    ///
    /// # Errors
    /// `NoSuchSlot`, `Unsupported`, `Unreachable`.
    async fn connect(&self, slot: &SlotRef, port: u16) -> EngineResult<std::net::SocketAddr>;
}
