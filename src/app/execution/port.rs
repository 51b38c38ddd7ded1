//! Where an execution's ports are reached, as it was last observed.

use url::Url;

use super::{Execution, State};
use crate::domain::workload::Protocol;
use crate::engine::Endpoint;

/// Hosts that ports are said to be at in place of what an engine says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hosts<'a> {
    pub docker: Option<&'a str>,
    pub kubernetes: Option<&'a str>,
    /// The name of this host, where every address of it is meant.
    pub here: Option<&'a str>,
}

/// A port of an execution that is reached from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposedPort {
    /// Of the container.
    pub specified: u16,
    pub host: String,
    /// Of the host.
    pub exposed: u16,
    pub protocol: Protocol,
    /// Below which an Ingress serves it.
    pub path: Option<String>,
}

impl Execution {
    /// Its ports while it runs, by their numbers; none of one that was removed.
    pub fn ports(&self, hosts: Hosts<'_>) -> Vec<ExposedPort> {
        let open = !self.is_removed() && self.state() == State::Running;
        let endpoints = self.slot.iter().filter(|_| open).flat_map(|slot| &slot.endpoints);
        let mut ports: Vec<ExposedPort> =
            endpoints.filter_map(|endpoint| exposed(endpoint, self.named(hosts), hosts.here)).collect();
        ports.sort_by_key(|port| (port.specified, port.protocol));
        // One for each, though Docker binds both families of addresses.
        ports.dedup_by_key(|port| (port.specified, port.protocol));
        ports
    }

    fn named<'a>(&self, hosts: Hosts<'a>) -> Option<&'a str> {
        if self.on_kubernetes { hosts.kubernetes } else { hosts.docker }
    }
}

fn exposed(endpoint: &Endpoint, named: Option<&str>, here: Option<&str>) -> Option<ExposedPort> {
    let (host, exposed, path) = match (endpoint.host_ip, endpoint.host_port, &endpoint.url) {
        (Some(ip), Some(port), _) => match here.filter(|_| ip.is_unspecified()) {
            Some(here) => (here.to_owned(), port, None),
            None => (ip.to_string(), port, None),
        },
        (_, _, Some(url)) => {
            let url = Url::parse(url).ok()?;
            (url.host_str()?.to_owned(), url.port_or_known_default()?, Some(url.path().to_owned()))
        }
        _ => return None,
    };
    Some(ExposedPort {
        specified: endpoint.container_port,
        host: named.map_or(host, str::to_owned),
        exposed,
        protocol: endpoint.protocol,
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_said_in_rengas_words() {
        let of_host = |ip: &str| Endpoint::of_host(80, Protocol::Tcp, ip.parse().unwrap(), 32_768);
        let host = |ip, named, here| exposed(&of_host(ip), named, here).unwrap().host;
        assert_eq!(host("127.0.0.1", None, Some("slipway.example.org")), "127.0.0.1");
        assert_eq!(host("0.0.0.0", None, Some("slipway.example.org")), "slipway.example.org");
        assert_eq!(host("0.0.0.0", None, None), "0.0.0.0");
        assert_eq!(host("0.0.0.0", Some("apps.example.org"), None), "apps.example.org");
        let url =
            |url: &str| Endpoint { host_ip: None, host_port: None, url: Some(url.into()), ..of_host("::1") };
        let port = exposed(&url("https://apps.example.org/interactive/x"), None, None).unwrap();
        assert_eq!((port.exposed, port.path.as_deref()), (443, Some("/interactive/x")));
        assert_eq!(exposed(&url("http://10.0.0.1:8080/"), Some("h"), None).unwrap().exposed, 8080);
    }
}
