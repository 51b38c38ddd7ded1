//! How a Kubernetes cluster is reached and used. It holds no secret: what proves who we are is sealed apart.

mod check;
mod differences;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::Problem;
use crate::domain::name::InfrastructureId;
use crate::domain::policy::Exception;
use crate::domain::workload::{Service, Workload};

pub use check::{is_dns_label, is_dns_name, is_key};

/// A cluster as an infrastructure uses it: one namespace of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// May be left out where a kubeconfig comes with it, or where it stays what it is.
    #[serde(default)]
    pub access: ClusterAccess,
    /// Everything of ours lies here; it is not made by Slipway. Left out: the context's of the kubeconfig, or `default`.
    #[serde(default)]
    pub namespace: String,
    /// `host[:port]/path` under which images of bundles are pushed and pulled; without one, files of a bundle travel as
    /// ConfigMaps and nothing can be built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// Registry hosts that are asked elsewhere, e.g. `docker.io` at `mirror.example.org/hub`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mirrors: BTreeMap<String, String>,
    /// The Docker infrastructure that builds images for this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<InfrastructureId>,
    /// How published ports are reached from outside.
    #[serde(default)]
    pub publish: Publish,
    /// The class of the volumes that are claimed; the cluster's own default where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// What a volume claim asks for.
    #[serde(default = "default_volume_size")]
    pub volume_size: String,
}

/// Ports that a cluster gives out on its nodes, unless it is set otherwise.
pub const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;

impl Cluster {
    /// Whether a fixed port of the host is taken: by node port alone, and where the cluster has such a port.
    pub fn takes_port(&self, port: u16) -> bool {
        self.publish == Publish::NodePort && NODE_PORTS.contains(&port)
    }
}

fn default_volume_size() -> String {
    "1Gi".into()
}

/// Where the cluster is, and as whom it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", rename_all_fields = "camelCase", tag = "by", deny_unknown_fields)]
pub enum ClusterAccess {
    /// The service account of the pod that Slipway itself runs in.
    InCluster {},
    /// A kubeconfig file that the configuration names, under `[kubeconfig.NAME]`.
    Configured { name: String },
    /// What a kubeconfig held that was pasted or uploaded.
    Kubeconfig {
        /// `https://…`
        server: String,
        /// The certificates that the server's is checked against, as PEM; the system's where there are none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate_authority: Option<String>,
        /// The name that the server's certificate is checked for, where it is not the server's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls_server_name: Option<String>,
        credential: CredentialKind,
    },
}

/// Nothing said yet: what a request leaves out. No infrastructure is stored with it.
impl Default for ClusterAccess {
    fn default() -> Self {
        Self::Kubeconfig {
            server: String::new(),
            certificate_authority: None,
            tls_server_name: None,
            credential: CredentialKind::Token,
        }
    }
}

impl ClusterAccess {
    /// Whether a request left it out.
    pub fn is_unsaid(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a sealed credential goes with it.
    pub fn has_credential(&self) -> bool {
        matches!(self, Self::Kubeconfig { .. })
    }
}

/// What proves who we are; the thing itself is sealed with the infrastructure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    Token,
    Certificate,
}

/// How published ports are reached from outside.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", rename_all_fields = "camelCase", tag = "by", deny_unknown_fields)]
pub enum Publish {
    /// A port of every node, chosen by the cluster or, where the bundle names one that it may have, that one.
    #[default]
    NodePort,
    /// HTTP through an Ingress. In `host` and `path`, `{deployment}`, `{service}` and `{port}` stand for the names.
    Ingress {
        /// The ingress class; the cluster's default where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<String>,
        /// E.g. `{service}-{deployment}.apps.example.org`; every host where it is empty.
        #[serde(default)]
        host: String,
        /// E.g. `/` or `/{deployment}/{service}`.
        #[serde(default = "root")]
        path: String,
        /// The Secret with the host's certificate; plain http without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls_secret: Option<String>,
    },
    /// Not at all: peers of the same deployment alone reach it.
    Nowhere,
}

fn root() -> String {
    "/".into()
}

/// What no cluster can do of a workload, each with its place and the way out: refused when the plan is made, since
/// leaving it out would run something else.
pub fn refusals(workload: &Workload) -> Vec<Problem> {
    workload.all().flat_map(|(name, service)| service_refusals(name.as_str(), service)).collect()
}

fn service_refusals(name: &str, service: &Service) -> Vec<Problem> {
    let mut problems = Vec::new();
    let user = service.user.as_deref().unwrap_or_default();
    if user.split(':').any(|part| !part.is_empty() && part.parse::<u32>().is_err()) {
        let words = format!("Kubernetes takes users and groups by number alone, and this is {user:?}");
        let hint =
            "Set `user:` to numbers, e.g. `\"999:999\"`; `id` inside a container of the image tells them.";
        problems.push(Problem::new(format!("services.{name}.user"), words).hint(hint));
    }
    for exception in &service.exceptions {
        let (what, hint) = match exception {
            Exception::Device(path) => (
                format!("devices ({path})"),
                "Ask for the device as a host path with `privileged`, or use an infrastructure with Docker.",
            ),
            Exception::Unconfined(profile) if profile != "seccomp" => (
                format!("an unconfined {profile} profile"),
                "Remove it from `security_opt`, or use an infrastructure with Docker.",
            ),
            _ => continue,
        };
        let words = format!("Slipway asks no cluster for {what}");
        problems.push(Problem::new(format!("services.{name}"), words).hint(hint));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::workload::Image;

    fn refused(user: Option<&str>, exception: Option<Exception>) -> Vec<String> {
        let mut service = Service::new(Image::Reference("postgres:16".into()));
        service.user = user.map(ToOwned::to_owned);
        service.exceptions = exception.into_iter().collect();
        let services = [("db".parse().unwrap(), service)].into();
        let problems = refusals(&Workload { services, ..Workload::default() });
        problems.into_iter().map(|problem| problem.place).collect()
    }

    #[test]
    fn what_a_cluster_would_leave_out_is_refused() {
        for user in [None, Some("999"), Some("999:70")] {
            assert_eq!(refused(user, None), Vec::<String>::new(), "{user:?}");
        }
        for user in ["postgres", "999:postgres", "root:0"] {
            assert_eq!(refused(Some(user), None), ["services.db.user"], "{user}");
        }
        assert_eq!(refused(None, Some(Exception::Device("/dev/fuse".into()))), ["services.db"]);
        assert_eq!(refused(None, Some(Exception::Unconfined("apparmor".into()))), ["services.db"]);
        assert_eq!(refused(None, Some(Exception::Unconfined("seccomp".into()))), Vec::<String>::new());
    }
}
