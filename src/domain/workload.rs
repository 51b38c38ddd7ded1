//! The one idea: everything that runs is a *workload*, a named set of *services* in the sense of the Compose
//! Specification. A service is *replicated* (kept running) or a *task* (runs to its end, never repaired).
//!
//! The same types hold what a bundle asks for and, after the plan has laid settings and policy over it, what an
//! engine is asked for. Engines know nothing but these.

mod mount;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::infrastructure::HostPorts;
use crate::domain::name::{SecretName, ServiceName, VolumeName};
use crate::domain::policy::Exception;
use crate::domain::template::Template;
pub use mount::{FileMount, HostMount, SecretMount, Tmpfs, VolumeMount};

/// A named set of services with the volumes, secrets and configs they share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Workload {
    pub services: BTreeMap<ServiceName, Service>,
    /// Tasks that check what runs, on request and never as part of an update ([`crate::domain::test`]). They lie apart, so
    /// that whatever keeps services running knows nothing of them; no name is among both.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tests: BTreeMap<ServiceName, Service>,
    /// Named volumes that the services mount; they outlive updates.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<VolumeName>,
    /// Compose `secrets:`: where each one's value comes from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<SecretName, Source>,
    /// Compose `configs:`: where each one's content comes from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configs: BTreeMap<SecretName, Source>,
}

impl Workload {
    /// Services and tests: everything that may ever run of it, for whoever asks what may run, of which images, with what.
    pub fn all(&self) -> impl Iterator<Item = (&ServiceName, &Service)> {
        self.services.iter().chain(&self.tests)
    }

    /// The same, to be changed.
    pub fn all_mut(&mut self) -> impl Iterator<Item = (&ServiceName, &mut Service)> {
        self.services.iter_mut().chain(&mut self.tests)
    }

    /// A service or a test.
    pub fn any(&self, name: &ServiceName) -> Option<&Service> {
        self.services.get(name).or_else(|| self.tests.get(name))
    }
}

/// Where a secret's or config's content comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A file of the bundle, by its path there.
    BundleFile(String),
    /// Text written in the compose file.
    Inline(String),
    /// A secret of the deployment's settings, by name (Compose: `environment:` or `external: true`).
    Setting(SecretName),
    /// A JSON object, some of whose values are secrets of the deployment's settings.
    Json(Template),
}

/// Whether a service is kept running or runs to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceKind {
    #[default]
    Replicated,
    Task,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub kind: ServiceKind,
    pub image: Image,
    /// How many of it shall run; a task has one. Not part of the service's template hash.
    pub replicas: u32,
    /// Replaces the image's entrypoint, as argv.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command, as argv.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, EnvValue>,
    /// Bundle files seen inside the container, read-only (Compose `./path:/target`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileMount>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeMount>,
    /// Folders in memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<Tmpfs>,
    /// Bytes of memory behind `/dev/shm`; `None` is the engine's 64 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shm_bytes: Option<u64>,
    /// Paths of the host; each needs an administrator's exception.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_mounts: Vec<HostMount>,
    /// Secrets and configs seen as files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretMount>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configs: Vec<SecretMount>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// Ports reached by peers only (Compose `expose`); documentation on Docker, Service ports on Kubernetes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub expose: BTreeSet<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub depends_on: BTreeMap<ServiceName, Dependency>,
    #[serde(default)]
    pub resources: Resources,
    #[serde(default)]
    pub restart: Restart,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// `uid[:gid]` or names that the image knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The container's own file system can't be written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Capabilities of the baseline that it gives up, without `CAP_`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub dropped_capabilities: BTreeSet<String>,
    /// Limits of single processes, by the kernel's names (`nofile`, `memlock`, …).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Asks the program to end: `SIGINT`, …; `None` is the image's, else SIGTERM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Seconds between the stop signal and the kill.
    pub stop_grace_seconds: u32,
    pub order: UpdateOrder,
    /// Where the service answers metrics (`x-slipway.metrics`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsEndpoint>,
    /// Where the service answers for its own health: Slipway asks there. No check of the engine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<MetricsEndpoint>,
    /// Labels of the engine's own objects, in Kubernetes' grammar.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub object_labels: BTreeMap<String, String>,
    /// Of a task: however it ends, that is its result, and no failure of the update that started it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_end: bool,
    /// The path of an Ingress, where the infrastructure has one, in place of the infrastructure's own template; of further
    /// ports it is followed by their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_path: Option<String>,
    /// Reachable from outside through Slipway (`x-slipway.expose`).
    #[serde(default)]
    pub exposed: bool,
    /// What it asks for beyond the workload policy; each needs an administrator's exception.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub exceptions: BTreeSet<Exception>,
}

impl Service {
    /// A replicated service of one replica that runs `image` as it is: every other field at its default.
    pub fn new(image: Image) -> Self {
        Self {
            kind: ServiceKind::Replicated,
            image,
            replicas: 1,
            entrypoint: None,
            command: None,
            environment: BTreeMap::new(),
            files: Vec::new(),
            volumes: Vec::new(),
            tmpfs: Vec::new(),
            shm_bytes: None,
            host_mounts: Vec::new(),
            secrets: Vec::new(),
            configs: Vec::new(),
            ports: Vec::new(),
            expose: BTreeSet::new(),
            healthcheck: None,
            depends_on: BTreeMap::new(),
            resources: Resources::default(),
            restart: Restart::default(),
            working_dir: None,
            user: None,
            labels: BTreeMap::new(),
            read_only: false,
            dropped_capabilities: BTreeSet::new(),
            ulimits: BTreeMap::new(),
            stop_signal: None,
            stop_grace_seconds: 10,
            order: UpdateOrder::StartFirst,
            metrics: None,
            health: None,
            object_labels: BTreeMap::new(),
            any_end: false,
            ingress_path: None,
            exposed: false,
            exceptions: BTreeSet::new(),
        }
    }

    /// Why the old replicas must stop before new ones start, whatever `order` says: a volume that both would write,
    /// or a host port that only one can hold, where replicas hold such ports themselves.
    pub fn stop_first_because(&self, ports: HostPorts) -> Option<String> {
        if let Some(mount) = self.volumes.iter().find(|mount| !mount.read_only) {
            return Some(format!("volume {} is writable", mount.volume));
        }
        if let Some(mount) = self.host_mounts.iter().find(|mount| !mount.read_only) {
            return Some(format!("host path {} is writable", mount.source));
        }
        let fixed = self.ports.iter().find_map(|port| port.host_port);
        if let Some(port) = fixed.filter(|_| ports == HostPorts::OfReplicas) {
            return Some(format!("host port {port} is fixed"));
        }
        (self.order == UpdateOrder::StopFirst).then(|| "its update order is stop-first".to_owned())
    }
}

/// What a service's containers are made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Image {
    /// An image reference as the engine takes it, e.g. `redis:7` or `host/name@sha256:…`.
    Reference(String),
    /// Built from a context inside the bundle.
    Build(Build),
}

/// Compose `build:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// A folder of the bundle, `""` for its root, without leading or trailing slash.
    pub context: String,
    /// Path of the Dockerfile inside the context.
    pub dockerfile: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvValue {
    Plain(String),
    /// The deployment's secret of that name and version; its value is read just before the container is made.
    Secret {
        name: SecretName,
        version: u32,
    },
    /// A JSON object, some of whose values are secrets of the deployment.
    Json(Template),
    /// Named without a value: the deployment's settings must give one, as environment or as a secret. No plan holds it.
    Required,
}

/// A limit of single processes; -1 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    pub soft: i64,
    pub hard: i64,
}

/// Transport of a port.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Default,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    pub container_port: u16,
    #[serde(default)]
    pub protocol: Protocol,
    /// A fixed port of the host; `None` lets the engine choose one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// An address of the host to bind; `None` is the infrastructure's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<std::net::IpAddr>,
}

/// Compose `healthcheck:`; times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthcheck {
    pub test: HealthTest,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub retries: u32,
    pub start_period_ms: u64,
    /// Between checks while starting; engines older than API 1.44 use `interval_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_interval_ms: Option<u64>,
}

/// What a health check runs inside the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthTest {
    /// argv
    Exec(Vec<String>),
    /// A line for the container's own shell.
    Shell(String),
    /// Switches off the check that the image brings.
    Disabled,
}

/// What must hold of a dependency before a service starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    pub condition: Condition,
    /// `false`: go on, with a warning, when it does not come.
    pub required: bool,
}

/// Compose's three conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    Started,
    Healthy,
    CompletedSuccessfully,
}

/// What a service may use at most, and what is set aside for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Resources {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit_milli: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_reservation_milli: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_reservation_bytes: Option<u64>,
}

/// When the engine starts a container again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    No,
    /// Compose's default for a deployed service, and ours.
    #[default]
    Always,
    OnFailure {
        attempts: Option<u32>,
    },
    UnlessStopped,
}

/// What comes first when a replica is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateOrder {
    #[default]
    StartFirst,
    StopFirst,
}

/// Where a service answers HTTP: `x-slipway.metrics`, a pipeline's `health` and `metrics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsEndpoint {
    pub port: u16,
    pub path: String,
}
