//! A workload's network: found by its name, made from a free part of the pool, and given to or taken from containers.
//!
//! The engine answers a service's name with every container that joined with that alias, so traffic is moved by joining
//! again with or without it. A container keeps its address over that, so that open connections live on.

use std::time::Duration;

use bollard::models::{
    EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, Network, NetworkConnectRequest,
    NetworkCreateRequest, NetworkDisconnectRequest,
};
use bollard::query_parameters::ListNetworksOptions;

use crate::domain::name::DeploymentId;
use crate::engine::docker::client::{ASK, CHANGE};
use crate::engine::docker::subnet::{Subnet, routes};
use crate::engine::docker::{Core, error};
use crate::engine::{EngineError, EngineResult, label};

/// The endpoint of a container that was just removed may outlive it by this much.
const LINGERING: Duration = Duration::from_secs(5);

impl Core {
    /// The name of the workload's network, which is made where it is not there.
    pub(super) async fn network(&self, workload: &DeploymentId) -> EngineResult<String> {
        let name = self.names.network(workload);
        // One at a time: this engine would make a second network of the same name.
        let _guard = self.making_networks.lock().await;
        if let Some(labels) = self.network_labels(&name).await? {
            let ours = self.names.is_ours(&labels)
                && labels.get(label::WORKLOAD).map(String::as_str) == Some(workload.as_str());
            return if ours { Ok(name) } else { Err(EngineError::NameTaken { name }) };
        }
        self.make_network(workload, &name).await?;
        Ok(name)
    }

    async fn network_labels(
        &self,
        name: &str,
    ) -> EngineResult<Option<std::collections::HashMap<String, String>>> {
        let docker = self.client.docker().await?;
        let found = tokio::time::timeout(ASK, docker.inspect_network(name, None)).await;
        match found {
            Ok(Ok(network)) => Ok(Some(network.labels.unwrap_or_default())),
            Ok(Err(missing)) if error::is_missing(&missing) => Ok(None),
            Ok(Err(other)) => Err(self.client.failure(other)),
            Err(_) => Err(super::client::timeout("the network", ASK)),
        }
    }

    async fn make_network(&self, workload: &DeploymentId, name: &str) -> EngineResult<()> {
        let all = self
            .client
            .call("the list of networks", ASK, |docker| async move {
                docker.list_networks(None::<ListNetworksOptions>).await
            })
            .await?;
        let mut taken: Vec<Subnet> = all.iter().flat_map(ranges).collect();
        // Where there is no such table the engine's own check has to do.
        taken.extend(routes(&std::fs::read_to_string("/proc/net/route").unwrap_or_default()));
        for part in self.pool.free(&taken) {
            let request = NetworkCreateRequest {
                name: name.to_owned(),
                driver: Some("bridge".into()),
                ipam: Some(Ipam {
                    config: Some(vec![IpamConfig { subnet: Some(part.to_string()), ..Default::default() }]),
                    ..Default::default()
                }),
                labels: Some(self.names.labels(workload)),
                ..Default::default()
            };
            let made = self
                .client
                .call(
                    "making a network",
                    CHANGE,
                    |docker| async move { docker.create_network(request).await },
                )
                .await;
            match made {
                Ok(_) => return Ok(()),
                // Somebody took it since the list was read.
                Err(EngineError::Refused(message)) if message.contains("overlap") => {}
                Err(other) => return Err(other),
            }
        }
        Err(EngineError::NoNetworkLeft { pool: self.pool.to_string() })
    }

    /// Removes a workload's network; one that is gone is no error.
    pub(super) async fn remove_network(&self, workload: &DeploymentId) -> EngineResult<()> {
        let name = self.names.network(workload);
        match self.network_labels(&name).await? {
            Some(labels) if self.names.is_ours(&labels) => {}
            _ => return Ok(()),
        }
        let deadline = tokio::time::Instant::now() + LINGERING;
        loop {
            let docker = self.client.docker().await?;
            let removed = match tokio::time::timeout(CHANGE, docker.remove_network(&name)).await {
                Ok(Err(missing)) if error::is_missing(&missing) => return Ok(()),
                Ok(done) => done.map_err(|error| self.client.failure(error)),
                Err(_) => Err(super::client::timeout("removing a network", CHANGE)),
            };
            match removed {
                Err(EngineError::Refused(message)) if message.contains("active endpoints") => {
                    if tokio::time::Instant::now() >= deadline {
                        return Err(self.still_used(&name, message).await);
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                other => return other,
            }
        }
    }

    /// Names whoever keeps a network in use: after the wait it is somebody else's container.
    async fn still_used(&self, name: &str, message: String) -> EngineError {
        let asked = self
            .client
            .call("the network", ASK, |docker| async move { docker.inspect_network(name, None).await });
        let containers = asked.await.ok().and_then(|network| network.containers).unwrap_or_default();
        let names: Vec<String> = containers.into_values().filter_map(|one| one.name).collect();
        if names.is_empty() {
            return EngineError::Refused(message);
        }
        EngineError::Refused(format!(
            "network {name} is still used by {}, which Slipway did not make; take it off the network",
            names.join(", ")
        ))
    }

    /// Joins a container to its network again, at its old address, with the aliases given.
    pub(super) async fn rejoin(
        &self,
        container: &str,
        network: &str,
        aliases: Vec<String>,
        address: Option<String>,
    ) -> EngineResult<()> {
        self.leave(container, network).await?;
        let joined = self.join(container, network, aliases.clone(), address.clone()).await;
        match joined {
            Err(EngineError::Refused(_)) if address.is_some() => {
                self.join(container, network, aliases, None).await
            }
            other => other,
        }
    }

    /// Takes a container off a network; one that is not on it is no error.
    pub(super) async fn leave(&self, container: &str, network: &str) -> EngineResult<()> {
        let request = NetworkDisconnectRequest { container: container.to_owned(), force: Some(false) };
        let left = self
            .client
            .call("leaving a network", CHANGE, |docker| async move {
                docker.disconnect_network(network, request).await
            })
            .await;
        match left {
            Err(EngineError::Refused(message)) if message.contains("is not connected to") => Ok(()),
            other => other,
        }
    }

    pub(super) async fn join(
        &self,
        container: &str,
        network: &str,
        aliases: Vec<String>,
        address: Option<String>,
    ) -> EngineResult<()> {
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(endpoint(aliases, address)),
        };
        self.client
            .call("joining a network", CHANGE, |docker| async move {
                docker.connect_network(network, request).await
            })
            .await
    }
}

/// How a container stands on a network.
pub(super) fn endpoint(aliases: Vec<String>, address: Option<String>) -> EndpointSettings {
    EndpointSettings {
        aliases: Some(aliases),
        ipam_config: address
            .map(|address| EndpointIpamConfig { ipv4_address: Some(address), ..Default::default() }),
        ..Default::default()
    }
}

fn ranges(network: &Network) -> Vec<Subnet> {
    let configs = network.ipam.iter().flat_map(|ipam| ipam.config.iter().flatten());
    configs.filter_map(|config| Subnet::parse(config.subnet.as_deref()?)).collect()
}
