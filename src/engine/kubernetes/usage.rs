//! What a pod uses, where the cluster measures it; and a way to it from wherever Slipway runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::quantity::amount;
use super::{Core, error, names, pod};
use crate::domain::cluster::ClusterAccess;
use crate::engine::{EngineError, EngineResult, SlotRef, Stats, label};

/// How long a way to a pod stays open without anybody taking it.
const IDLE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct PodMetrics {
    containers: Vec<ContainerMetrics>,
}

#[derive(Deserialize)]
struct ContainerMetrics {
    usage: Usage,
}

#[derive(Deserialize)]
struct Usage {
    cpu: String,
    memory: String,
}

impl Core {
    /// The pod in a slot.
    pub(super) async fn find_pod(&self, slot: &SlotRef) -> EngineResult<Pod> {
        let mut labels = names::service_labels(&self.instance, &slot.workload, &slot.service);
        labels.insert(label::HASH.into(), slot.hash.clone());
        let (pods, _) = self.list::<Pod>(&labels).await?;
        let mut pods: Vec<Pod> = pods.into_iter().filter(|pod| !pod::is_leaving(pod)).collect();
        pod::sort_by_age(&mut pods);
        pods.into_iter().nth(slot.index as usize).ok_or(EngineError::NoSuchSlot)
    }

    pub(super) async fn slot_stats(&self, slot: &SlotRef) -> EngineResult<Stats> {
        let found = self.find_pod(slot).await?;
        let name = found.metadata.name.clone().unwrap_or_default();
        let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods/{name}", self.cluster.namespace);
        let api = self.client.api().await?;
        let request = http_get(&path)?;
        let answer = match api.request::<PodMetrics>(request).await {
            Ok(answer) => answer,
            Err(failed) if error::is_missing(&failed) => {
                return Err(EngineError::Unsupported(
                    "measuring what pods use: it has no metrics API".into(),
                ));
            }
            Err(failed) => return Err(error::refused("asking what a pod uses", failed)),
        };
        let usages = || answer.containers.iter().map(|container| &container.usage);
        let limit = found.spec.as_ref().and_then(|spec| {
            let limits = spec.containers.first()?.resources.as_ref()?.limits.as_ref()?;
            amount(&limits.get("memory")?.0)
        });
        Ok(Stats {
            cpus: usages().filter_map(|usage| amount(&usage.cpu)).sum(),
            memory_bytes: usages().filter_map(|usage| amount(&usage.memory)).sum::<f64>() as u64,
            memory_limit_bytes: limit.unwrap_or(0.0) as u64,
            pids: 0,
        })
    }

    /// Inside the cluster the pod's own address; from outside a port of this host's loopback that leads there.
    pub(super) async fn slot_address(
        self: &Arc<Self>,
        slot: &SlotRef,
        port: u16,
    ) -> EngineResult<SocketAddr> {
        let found = self.find_pod(slot).await?;
        if matches!(self.cluster.access, ClusterAccess::InCluster {}) {
            let address = found.status.and_then(|status| status.pod_ip?.parse().ok());
            return address.map(|ip| SocketAddr::new(ip, port)).ok_or(EngineError::NoSuchSlot);
        }
        let name = found.metadata.name.unwrap_or_default();
        let unreachable = |failed: std::io::Error| EngineError::Unreachable(failed.to_string());
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.map_err(unreachable)?;
        let address = listener.local_addr().map_err(unreachable)?;
        let core = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok(Ok((stream, _))) = tokio::time::timeout(IDLE, listener.accept()).await {
                let (core, name) = (Arc::clone(&core), name.clone());
                tokio::spawn(async move {
                    if let Err(failed) = core.carry(stream, &name, port).await {
                        tracing::debug!(pod = name, port, %failed, "a connection to a pod ended");
                    }
                });
            }
        });
        Ok(address)
    }

    async fn carry(&self, mut stream: TcpStream, name: &str, port: u16) -> EngineResult<()> {
        let api = self.objects::<Pod>().await?;
        let ports = [port];
        let mut forwarder = self.client.call("forwarding a port", || api.portforward(name, &ports)).await?;
        let mut inner = forwarder.take_stream(port).ok_or(EngineError::NoSuchSlot)?;
        let carried = copy_bidirectional(&mut stream, &mut inner).await;
        carried.map(drop).map_err(|failed| EngineError::Unreachable(failed.to_string()))
    }
}

fn http_get(path: &str) -> EngineResult<http::Request<Vec<u8>>> {
    http::Request::get(path).body(Vec::new()).map_err(|error| EngineError::Refused(error.to_string()))
}
