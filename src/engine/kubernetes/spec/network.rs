//! How a service is reached, and what may reach it; and the claims of its volumes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, Service, ServicePort, ServiceSpec,
    VolumeResourceRequirements,
};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Setting;
use super::container::{all_ports, protocol};
use crate::domain::name::{DeploymentId, VolumeName};
use crate::domain::workload::{Protocol, Workload};
use crate::engine::kubernetes::names::{self, Map};
use crate::engine::{ServiceRequest, label};

/// The Service that peers reach a service by: every port that it has. `None` where it has none. Its traffic goes to the
/// pods of `serving`.
pub(in crate::engine::kubernetes) fn service(
    request: &ServiceRequest,
    setting: &Setting<'_>,
    serving: &str,
) -> Option<Service> {
    let ports: Vec<ServicePort> =
        all_ports(request).into_keys().map(|port| service_port(port, None)).collect();
    let name = names::object(&request.workload, &request.name);
    made(request, setting, serving, name, "ClusterIP", ports)
}

/// The Service that gives published ports a port of every node. `None` where nothing is published.
pub(in crate::engine::kubernetes) fn node_ports(
    request: &ServiceRequest,
    setting: &Setting<'_>,
    serving: &str,
) -> Option<Service> {
    let ports = &request.service.ports;
    let fixed = |port: Option<u16>| port.filter(|port| setting.cluster.takes_port(*port));
    let ports = ports
        .iter()
        .map(|port| service_port((port.container_port, port.protocol), fixed(port.host_port)))
        .collect();
    let name = names::public(&request.workload, &request.name);
    made(request, setting, serving, name, "NodePort", ports)
}

fn made(
    request: &ServiceRequest,
    setting: &Setting<'_>,
    serving: &str,
    name: String,
    kind: &str,
    ports: Vec<ServicePort>,
) -> Option<Service> {
    if ports.is_empty() {
        return None;
    }
    let mut selector = names::service_labels(setting.instance, &request.workload, &request.name);
    selector.insert(label::HASH.into(), serving.to_owned());
    Some(Service {
        metadata: setting.meta(request, name),
        spec: Some(ServiceSpec {
            type_: Some(kind.into()),
            selector: Some(selector),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    })
}

fn service_port((number, transport): (u16, Protocol), node_port: Option<u16>) -> ServicePort {
    let kind = protocol(transport);
    ServicePort {
        name: Some(format!("{}-{number}", kind.to_lowercase())),
        port: i32::from(number),
        target_port: Some(IntOrString::Int(i32::from(number))),
        protocol: Some(kind),
        node_port: node_port.map(i32::from),
        ..ServicePort::default()
    }
}

/// Keeps a workload to itself, as its own network does on Docker: its pods hear each other, and everybody on published
/// ports.
pub(in crate::engine::kubernetes) fn policy(
    instance: &str,
    id: &DeploymentId,
    workload: &Workload,
) -> NetworkPolicy {
    let own = names::workload_labels(instance, id);
    let selector = LabelSelector { match_labels: Some(own.clone()), ..LabelSelector::default() };
    let peers = NetworkPolicyIngressRule {
        from: Some(vec![NetworkPolicyPeer {
            pod_selector: Some(selector.clone()),
            ..NetworkPolicyPeer::default()
        }]),
        ports: None,
    };
    let published: BTreeMap<(u16, Protocol), ()> = workload
        .services
        .values()
        .flat_map(|service| &service.ports)
        .map(|port| ((port.container_port, port.protocol), ()))
        .collect();
    let port = |(number, transport): (u16, Protocol)| NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(number))),
        protocol: Some(protocol(transport)),
        ..NetworkPolicyPort::default()
    };
    let everybody = NetworkPolicyIngressRule {
        from: None,
        ports: Some(published.into_keys().map(port).collect::<Vec<_>>()),
    };
    let everybody = Some(everybody).filter(|rule| rule.ports.as_ref().is_some_and(|ports| !ports.is_empty()));
    NetworkPolicy {
        metadata: of_workload(own, id, names::of_workload(id, "network")),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: Some(std::iter::once(peers).chain(everybody).collect()),
            ..NetworkPolicySpec::default()
        }),
    }
}

/// The claim of a named volume: made once, and never changed.
pub(in crate::engine::kubernetes) fn claim(
    setting: &Setting<'_>,
    id: &DeploymentId,
    volume: &VolumeName,
) -> PersistentVolumeClaim {
    let cluster = setting.cluster;
    let requests = BTreeMap::from([("storage".to_owned(), Quantity(cluster.volume_size.clone()))]);
    PersistentVolumeClaim {
        metadata: of_workload(names::workload_labels(setting.instance, id), id, names::volume(id, volume)),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: cluster.storage_class.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some(requests),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

pub(in crate::engine::kubernetes) fn of_workload(labels: Map, id: &DeploymentId, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        labels: Some(labels),
        annotations: Some(Map::from([(names::note::WORKLOAD.to_owned(), id.to_string())])),
        ..ObjectMeta::default()
    }
}
