//! The objects of a service, built from closed types after policy decided: nothing that a user wrote becomes an object but
//! through a field that is named here.

pub(super) mod container;
mod contents;
mod ingress;
mod network;
mod pod;
mod rollout;
#[cfg(test)]
mod tests;

pub(super) use contents::{Contents, contents};
pub(super) use ingress::ingress;
pub(super) use network::{claim, node_ports, of_workload, policy, service};
pub(super) use pod::template;
pub(super) use rollout::{PROGRESS_SECONDS, Rollout, again, deployment, job};

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::domain::cluster::{Cluster, is_key};
use crate::domain::name::ServiceName;
use crate::engine::ServiceRequest;
use crate::engine::kubernetes::names::{self, Map};

/// Of each key of a ConfigMap its path in the container, and whether that can be run.
pub(super) type Paths = BTreeMap<String, (String, bool)>;

/// What is known of the surroundings when a service's objects are built.
pub(super) struct Setting<'a> {
    pub instance: &'a str,
    pub cluster: &'a Cluster,
    /// Where peers are reached, by the names that they are known by.
    pub peers: &'a BTreeMap<ServiceName, IpAddr>,
    /// The Secret that images are pulled with.
    pub pull_secret: Option<&'a str>,
    /// Files of the bundle that come from a ConfigMap: its name, and where each of its keys goes.
    pub files: Option<(&'a str, &'a Paths)>,
}

impl Setting<'_> {
    /// The metadata of an object of a service.
    pub(super) fn meta(&self, request: &ServiceRequest, name: String) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            labels: Some(labels(self.instance, request)),
            annotations: Some(names::whole(&request.workload, &request.name)),
            ..ObjectMeta::default()
        }
    }
}

/// The labels of an object of a service: ours, which nothing overrides, and those that the service asks for.
fn labels(instance: &str, request: &ServiceRequest) -> Map {
    let mut labels = request.service.object_labels.clone();
    labels.extend(names::service_labels(instance, &request.workload, &request.name));
    labels
}

fn quantity(number: u64) -> Quantity {
    Quantity(number.to_string())
}

fn milli(number: u32) -> Quantity {
    Quantity(format!("{number}m"))
}

/// Labels of the bundle that Kubernetes takes as annotations; the plan names the others.
pub(super) fn annotations(labels: &Map) -> Map {
    let taken = |key: &str| !key.starts_with("io.slipway.") && is_key(key);
    labels.iter().filter(|(key, _)| taken(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}
