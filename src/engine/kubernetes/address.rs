//! Where a service answers from outside: ports of the nodes, and what its Ingress leads to it.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressRule, IngressSpec};

use crate::domain::workload::Protocol;
use crate::engine::Endpoint;

/// Ports of the node with this address that Services lead on.
pub(super) fn of_node<'a>(node: IpAddr, services: impl Iterator<Item = &'a Service>) -> Vec<Endpoint> {
    let ports =
        services.filter_map(|service| service.spec.as_ref()).flat_map(|spec| spec.ports.iter().flatten());
    let endpoint = |port: &ServicePort| {
        let protocol = if port.protocol.as_deref() == Some("UDP") { Protocol::Udp } else { Protocol::Tcp };
        let (own, of_node) = (u16::try_from(port.port).ok()?, u16::try_from(port.node_port?).ok()?);
        Some(Endpoint::of_host(own, protocol, node, of_node))
    };
    ports.filter_map(endpoint).collect()
}

/// What an Ingress leads on, by its own words: https for hosts that its `tls` names, where its rule names no host the
/// address that its controller gave it. A host with a `*` is no address.
pub(super) fn of_ingress(ingress: &Ingress) -> Vec<Endpoint> {
    let Some(spec) = &ingress.spec else { return Vec::new() };
    let own = given(ingress);
    let rules = spec.rules.iter().flatten().filter_map(|rule| {
        let host = rule.host.clone().filter(|host| !host.is_empty()).or_else(|| own.clone())?;
        (!host.contains('*')).then(|| of_rule(spec, rule, &host))
    });
    rules.flatten().collect()
}

fn of_rule(spec: &IngressSpec, rule: &IngressRule, host: &str) -> Vec<Endpoint> {
    let scheme = if is_encrypted(spec, rule.host.as_deref()) { "https" } else { "http" };
    let endpoint = |path: &HTTPIngressPath| {
        let port = path.backend.service.as_ref()?.port.as_ref()?.number?;
        Some(Endpoint {
            container_port: u16::try_from(port).ok()?,
            protocol: Protocol::Tcp,
            host_ip: None,
            host_port: None,
            url: Some(format!("{scheme}://{host}{}", path.path.as_deref().unwrap_or("/"))),
        })
    };
    rule.http.iter().flat_map(|http| &http.paths).filter_map(endpoint).collect()
}

/// A certificate without hosts is for all of them.
fn is_encrypted(spec: &IngressSpec, host: Option<&str>) -> bool {
    spec.tls.iter().flatten().any(|tls| match tls.hosts.as_deref().unwrap_or_default() {
        [] => true,
        hosts => hosts.iter().any(|named| Some(named.as_str()) == host),
    })
}

/// The address that the ingress controller gave it.
fn given(ingress: &Ingress) -> Option<String> {
    let addresses = ingress.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?;
    let first = addresses.first()?;
    let bracketed = |ip: &String| if ip.contains(':') { format!("[{ip}]") } else { ip.clone() };
    first.hostname.clone().or_else(|| first.ip.as_ref().map(bracketed))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn urls(spec: serde_json::Value, status: serde_json::Value) -> Vec<String> {
        let ingress = json!({ "metadata": {}, "spec": spec, "status": status });
        let endpoints = of_ingress(&serde_json::from_value(ingress).unwrap());
        endpoints.into_iter().filter_map(|endpoint| endpoint.url).collect()
    }

    fn rule(host: Option<&str>, path: &str) -> serde_json::Value {
        let backend = json!({ "service": { "name": "a", "port": { "number": 80 } } });
        let paths = [json!({ "path": path, "pathType": "Prefix", "backend": backend })];
        json!({ "host": host, "http": { "paths": paths } })
    }

    #[test]
    fn an_ingress_says_by_itself_where_it_answers() {
        let rules = [rule(Some("a.example.org"), "/"), rule(Some("b.example.org"), "/x")];
        let tls = [json!({ "hosts": ["b.example.org"], "secretName": "s" })];
        let some = urls(json!({ "rules": rules, "tls": tls }), json!({}));
        assert_eq!(some, ["http://a.example.org/", "https://b.example.org/x"]);
        let all = urls(json!({ "rules": rules, "tls": [{ "secretName": "s" }] }), json!({}));
        assert_eq!(all, ["https://a.example.org/", "https://b.example.org/x"]);
        let given = |address| json!({ "loadBalancer": { "ingress": [address] } });
        let any = || json!({ "rules": [rule(None, "/")] });
        assert_eq!(urls(any(), given(json!({ "ip": "192.0.2.7" }))), ["http://192.0.2.7/"]);
        assert_eq!(urls(any(), given(json!({ "ip": "2001:db8::7" }))), ["http://[2001:db8::7]/"]);
        assert_eq!(urls(any(), given(json!({ "hostname": "lb.example.org" }))), ["http://lb.example.org/"]);
        assert!(
            urls(any(), json!({})).is_empty()
                && urls(json!({ "rules": [rule(Some("*.org"), "/")] }), json!({})).is_empty()
        );
    }
}
