//! How a Kubernetes cluster is reached and used. It holds no secret: what proves who we are is sealed apart.

mod check;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::name::InfrastructureId;

pub use check::{is_dns_label, is_dns_name};

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
