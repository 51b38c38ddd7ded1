//! An infrastructure: one engine connection in one stage, with its policy and grants.

use serde::{Deserialize, Serialize};

use crate::domain::access::{Guarded, InfrastructureRight};
use crate::domain::clock::Timestamp;
use crate::domain::cluster::Cluster;
use crate::domain::name::{InfrastructureId, StageId};
use crate::domain::policy::Policy;
use crate::domain::workload::Workload;

/// Which engine, and how it is reached. The connection is an administrator's; it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", rename_all_fields = "camelCase", tag = "kind", deny_unknown_fields)]
pub enum EngineConnection {
    /// A Docker engine on a unix socket of this host.
    Docker {
        /// `unix:///…`; the local engine's usual socket where none is named.
        #[serde(default = "default_socket")]
        host: String,
        /// The host address that published ports bind to where a service names none.
        #[serde(default = "default_publish")]
        #[schema(value_type = String)]
        publish_address: std::net::IpAddr,
        /// Each workload's network is a /26 of this pool.
        #[serde(default = "default_pool")]
        network_pool: String,
    },
    /// A namespace of a Kubernetes cluster.
    Kubernetes(Box<Cluster>),
    /// The stateful in-memory engine, for tests and for trying the console.
    Fake {},
}

fn default_socket() -> String {
    "unix:///var/run/docker.sock".into()
}
fn default_publish() -> std::net::IpAddr {
    std::net::Ipv4Addr::LOCALHOST.into()
}
fn default_pool() -> String {
    "10.201.0.0/16".into()
}

impl EngineConnection {
    /// The local Docker engine with every option at its default.
    pub fn local_docker() -> Self {
        Self::Docker {
            host: default_socket(),
            publish_address: default_publish(),
            network_pool: default_pool(),
        }
    }

    /// Who holds a fixed port of the host here: on a cluster a port of the nodes is its Service's.
    pub fn host_ports(&self) -> HostPorts {
        match self {
            Self::Docker { .. } | Self::Fake {} => HostPorts::OfReplicas,
            Self::Kubernetes(_) => HostPorts::OfTheService,
        }
    }

    /// What it does otherwise than the workload says, a line for each; none where it does all of it.
    pub fn differences(&self, workload: &Workload) -> Vec<String> {
        match self {
            Self::Kubernetes(cluster) => cluster.differences(workload),
            Self::Docker { .. } | Self::Fake {} => Vec::new(),
        }
    }

    /// The kind's word: `docker`, `kubernetes`, `fake`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Docker { .. } => "docker",
            Self::Kubernetes(_) => "kubernetes",
            Self::Fake {} => "fake",
        }
    }
}

/// Who holds a fixed port of the host, which is an engine's own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPorts {
    /// Each replica binds it, so that its successor has it only once it has ended.
    OfReplicas,
    /// Something that stays while replicas come and go, and leads to those that serve.
    OfTheService,
}

/// What governance does with a bundle that is not approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GovernPolicy {
    #[default]
    NoCheck,
    Warn,
    Prevent,
}

/// A credential under the instance's key ring, sealed for `(infrastructure, id, "credential", version)`.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedCredential {
    /// The revision of the save that set it.
    pub version: u32,
    pub sealed: Vec<u8>,
}

impl std::fmt::Debug for SealedCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedCredential {{ version: {} }}", self.version)
    }
}

/// An infrastructure as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Infrastructure {
    pub id: InfrastructureId,
    pub stage: StageId,
    pub engine: EngineConnection,
    /// What proves to the engine who we are, sealed; a new one has a new version.
    pub credential: Option<SealedCredential>,
    pub govern_policy: GovernPolicy,
    pub policy: Policy,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Counts every change: the settings' ETag.
    pub revision: u32,
}

impl Guarded for Infrastructure {
    type Right = InfrastructureRight;
    const NOUN: &'static str = "infrastructure";
    const SEE: InfrastructureRight = InfrastructureRight::View;
    const ALL: InfrastructureRight = InfrastructureRight::Admin;
    fn id(&self) -> String {
        self.id.to_string()
    }
}
