//! HTTP from outside, through the cluster's own ingress controller.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, IngressTLS, ServiceBackendPort,
};

use super::Setting;
use crate::domain::cluster::Publish;
use crate::domain::workload::{Port, Protocol};
use crate::engine::ServiceRequest;
use crate::engine::kubernetes::names;

/// The Ingress of a service's published TCP ports; `None` where the infrastructure has no Ingress, or nothing is
/// published.
pub(in crate::engine::kubernetes) fn ingress(
    request: &ServiceRequest,
    setting: &Setting<'_>,
) -> Option<Ingress> {
    let Publish::Ingress { class, host, path, tls_secret } = &setting.cluster.publish else {
        return None;
    };
    let ports: Vec<&Port> = published(request).collect();
    if ports.is_empty() {
        return None;
    }
    let path_of = |at: usize, port: &Port| match &request.service.ingress_path {
        Some(own) if at == 0 => own.clone(),
        Some(own) => format!("{own}/{}", port.container_port),
        None => filled(path, request, port),
    };
    let rule = |(at, port): (usize, &&Port)| {
        let host = filled(host, request, port);
        let backend = IngressServiceBackend {
            name: names::object(&request.workload, &request.name),
            port: Some(ServiceBackendPort { number: Some(i32::from(port.container_port)), name: None }),
        };
        let path = HTTPIngressPath {
            path: Some(path_of(at, port)),
            path_type: "Prefix".into(),
            backend: IngressBackend { service: Some(backend), resource: None },
        };
        IngressRule {
            host: Some(host).filter(|host| !host.is_empty()),
            http: Some(HTTPIngressRuleValue { paths: vec![path] }),
        }
    };
    let rules: Vec<IngressRule> = ports.iter().enumerate().map(rule).collect();
    let tls = tls_secret.as_ref().map(|secret| {
        let hosts: Vec<String> = rules.iter().filter_map(|rule| rule.host.clone()).collect();
        vec![IngressTLS { hosts: Some(hosts), secret_name: Some(secret.clone()) }]
    });
    Some(Ingress {
        metadata: setting.meta(request, names::public(&request.workload, &request.name)),
        spec: Some(IngressSpec {
            ingress_class_name: class.clone(),
            rules: Some(rules),
            tls,
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    })
}

fn published(request: &ServiceRequest) -> impl Iterator<Item = &Port> {
    request.service.ports.iter().filter(|port| port.protocol == Protocol::Tcp)
}

/// A template with the names in place; in a host each is a DNS label.
fn filled(template: &str, request: &ServiceRequest, port: &Port) -> String {
    let label = |text: &str| text.to_ascii_lowercase().replace(['_', '.'], "-");
    template
        .replace("{deployment}", &label(request.workload.as_str()))
        .replace("{service}", &label(request.name.as_str()))
        .replace("{port}", &port.container_port.to_string())
}
