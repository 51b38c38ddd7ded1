//! Workloads on a Docker engine, spoken to over its unix socket.
//!
//! What holds everywhere in here: names are derived, so that every step may be repeated; only what bears this
//! instance's label is changed; requests are built from closed types and the result is inspected before a start; every
//! call has a limit in time; and every failure is put in words that a person can act on.

mod build;
mod check;
mod client;
mod containers;
mod context;
mod ensure;
mod error;
mod files;
mod ignore;
mod images;
mod lines;
mod logs;
mod names;
mod network;
mod object;
mod observe;
mod places;
mod prepare;
mod publish;
mod pull;
mod release;
mod snapshot;
mod spec;
mod stats;
mod subnet;
mod unasked;
mod verify;
mod watch;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use bollard::ClientVersion;
use futures_util::stream::BoxStream;

use crate::domain::clock::SharedClock;
use crate::domain::infrastructure::EngineConnection;
use crate::domain::name::DeploymentId;
use crate::engine::{
    ContainerLine, Cursor, Engine, EngineError, EngineEvent, EngineReport, EngineResult, Ensured, LogOptions,
    PrepareRequest, Progress, PublishRequest, Resolution, ResolvedImage, ServiceRequest, SlotRef, Snapshot,
    Stats,
};
use client::Client;
use names::Names;
use places::Places;
use stats::Samples;
use subnet::Pool;

/// From here on the engine knows how often to check a container's health while it starts.
const START_INTERVAL_API: ClientVersion = ClientVersion { major_version: 1, minor_version: 44 };

/// A Docker engine.
pub struct DockerEngine {
    core: Arc<Core>,
}

/// What the engine's own tasks hold on to as well.
struct Core {
    client: Client,
    names: Names,
    publish: IpAddr,
    pool: Pool,
    clock: SharedClock,
    making_networks: tokio::sync::Mutex<()>,
    samples: Samples,
    places: Places,
}

impl DockerEngine {
    /// The engine of a connection for the instance with the id `instance`. Nothing is connected yet: an engine that is
    /// down answers `Unreachable` when called.
    ///
    /// # Errors
    /// `Unsupported` when the connection is no Docker engine's, names no unix socket, or has a pool that is no range.
    pub fn connect(connection: &EngineConnection, instance: &str, clock: SharedClock) -> EngineResult<Self> {
        let EngineConnection::Docker { host, publish_address, network_pool } = connection else {
            return Err(EngineError::Unsupported(format!("a connection of kind {}", connection.kind())));
        };
        Ok(Self {
            core: Arc::new(Core {
                client: Client::new(host)?,
                names: Names::new(instance),
                publish: *publish_address,
                pool: Pool::parse(network_pool)?,
                clock,
                making_networks: tokio::sync::Mutex::new(()),
                samples: Samples::default(),
                places: Places::default(),
            }),
        })
    }
}

impl Core {
    /// What of this engine decides about a container's configuration.
    async fn setting(&self) -> EngineResult<spec::Setting<'_>> {
        let docker = self.client.docker().await?;
        Ok(spec::Setting {
            names: &self.names,
            publish: self.publish,
            knows_start_interval: docker.client_version() >= START_INTERVAL_API,
        })
    }
}

#[async_trait]
impl Engine for DockerEngine {
    async fn check(&self) -> EngineResult<EngineReport> {
        self.core.report().await
    }

    async fn prepare(&self, request: &PrepareRequest, progress: &dyn Progress) -> EngineResult<Resolution> {
        self.core.prepare_workload(request, progress).await
    }

    async fn publish(
        &self,
        request: &PublishRequest,
        progress: &dyn Progress,
    ) -> EngineResult<ResolvedImage> {
        self.core.publish_image(request, progress).await
    }

    async fn ensure(&self, request: &ServiceRequest) -> EngineResult<Ensured> {
        self.core.ensure_service(request).await
    }

    async fn switch(&self, request: &ServiceRequest) -> EngineResult<()> {
        self.core.switch_service(request).await
    }

    async fn revive(&self, slots: &[SlotRef]) -> EngineResult<()> {
        ensure::all(slots.iter().map(|slot| self.core.revive_slot(slot)).collect()).await
    }

    async fn halt(&self, slot: &SlotRef) -> EngineResult<()> {
        self.core.stop_kept(slot).await
    }

    async fn retire(&self, slot: &SlotRef) -> EngineResult<()> {
        self.core.retire_slot(slot).await
    }

    async fn release(&self, workload: &DeploymentId, volumes: bool) -> EngineResult<()> {
        self.core.release_workload(workload, volumes).await
    }

    async fn forget_images(&self, workload: &DeploymentId, keep: &BTreeSet<String>) -> EngineResult<()> {
        self.core.untag(workload, keep).await
    }

    async fn snapshot(&self) -> EngineResult<Snapshot> {
        self.core.take_snapshot().await
    }

    async fn watch(&self, cursor: &Cursor) -> EngineResult<BoxStream<'static, EngineResult<EngineEvent>>> {
        self.core.watch_from(cursor).await
    }

    async fn logs(
        &self,
        slot: &SlotRef,
        options: &LogOptions,
    ) -> EngineResult<BoxStream<'static, EngineResult<Vec<ContainerLine>>>> {
        self.core.slot_logs(slot, options).await
    }

    async fn stats(&self, slot: &SlotRef) -> EngineResult<Stats> {
        self.core.slot_stats(slot).await
    }

    async fn connect(&self, slot: &SlotRef, port: u16) -> EngineResult<SocketAddr> {
        self.core.slot_address(slot, port).await
    }
}
