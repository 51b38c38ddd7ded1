//! Settings as they travel: camel case, strict, and turned into the domain's types at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::domain::deployment;
use crate::domain::policy::{Exception, Policy, Profile};
use crate::domain::workload::{self, Protocol};

/// What a deployment overrides of one service of its bundle.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceSpec {
    /// Added to, and winning over, the bundle's and the deployment's environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Each field that is set wins over the bundle's.
    #[serde(skip_serializing_if = "ResourcesSpec::is_empty")]
    pub resources: ResourcesSpec,
    /// Replaces the bundle's published ports when set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<PortSpec>>,
    /// Replaces the tag (or, as `sha256:…`, the digest) of an image reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_tag: Option<String>,
}

/// What one replica may use at most, and what is set aside for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourcesSpec {
    /// Thousandths of a CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_limit_milli: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<u32>,
    /// Thousandths of a CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_reservation_milli: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation_bytes: Option<u64>,
}

impl ResourcesSpec {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A published port.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortSpec {
    pub container_port: u16,
    #[serde(default)]
    #[schema(required = false)]
    pub protocol: Protocol,
    /// A fixed port of the host; without it the engine chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// An address of the host to bind; without it the infrastructure's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub host_ip: Option<IpAddr>,
}

/// What an infrastructure allows and imposes.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySpec {
    pub profile: Profile,
    /// Things beyond the policy, granted one by one by an administrator.
    #[schema(value_type = Vec<Exception>)]
    pub exceptions: BTreeSet<Exception>,
    /// Imposed where a service names none.
    pub default_limits: ResourcesSpec,
    /// The most that one replica may ask for.
    pub max_limits: ResourcesSpec,
    /// The most replicas of one service.
    pub max_replicas: u32,
}

impl Default for PolicySpec {
    fn default() -> Self {
        Policy::default().into()
    }
}

impl From<workload::Resources> for ResourcesSpec {
    fn from(resources: workload::Resources) -> Self {
        Self {
            cpu_limit_milli: resources.cpu_limit_milli,
            memory_limit_bytes: resources.memory_limit_bytes,
            pids_limit: resources.pids_limit,
            cpu_reservation_milli: resources.cpu_reservation_milli,
            memory_reservation_bytes: resources.memory_reservation_bytes,
        }
    }
}

impl From<ResourcesSpec> for workload::Resources {
    fn from(spec: ResourcesSpec) -> Self {
        Self {
            cpu_limit_milli: spec.cpu_limit_milli,
            memory_limit_bytes: spec.memory_limit_bytes,
            pids_limit: spec.pids_limit,
            cpu_reservation_milli: spec.cpu_reservation_milli,
            memory_reservation_bytes: spec.memory_reservation_bytes,
        }
    }
}

impl From<workload::Port> for PortSpec {
    fn from(port: workload::Port) -> Self {
        Self {
            container_port: port.container_port,
            protocol: port.protocol,
            host_port: port.host_port,
            host_ip: port.host_ip,
        }
    }
}

impl From<PortSpec> for workload::Port {
    fn from(spec: PortSpec) -> Self {
        Self {
            container_port: spec.container_port,
            protocol: spec.protocol,
            host_port: spec.host_port,
            host_ip: spec.host_ip,
        }
    }
}

impl From<deployment::ServiceSettings> for ServiceSpec {
    fn from(settings: deployment::ServiceSettings) -> Self {
        Self {
            environment: settings.environment,
            replicas: settings.replicas,
            resources: settings.resources.into(),
            ports: settings.ports.map(|ports| ports.into_iter().map(PortSpec::from).collect()),
            image_tag: settings.image_tag,
        }
    }
}

impl From<ServiceSpec> for deployment::ServiceSettings {
    fn from(spec: ServiceSpec) -> Self {
        Self {
            environment: spec.environment,
            replicas: spec.replicas,
            resources: spec.resources.into(),
            ports: spec.ports.map(|ports| ports.into_iter().map(workload::Port::from).collect()),
            image_tag: spec.image_tag,
        }
    }
}

impl From<Policy> for PolicySpec {
    fn from(policy: Policy) -> Self {
        Self {
            profile: policy.profile,
            exceptions: policy.exceptions,
            default_limits: policy.default_limits.into(),
            max_limits: policy.max_limits.into(),
            max_replicas: policy.max_replicas,
        }
    }
}

impl From<PolicySpec> for Policy {
    fn from(spec: PolicySpec) -> Self {
        Self {
            profile: spec.profile,
            exceptions: spec.exceptions,
            default_limits: spec.default_limits.into(),
            max_limits: spec.max_limits.into(),
            max_replicas: spec.max_replicas,
        }
    }
}
