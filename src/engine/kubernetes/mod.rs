//! Workloads in one namespace of a Kubernetes cluster, spoken to through kube-rs.
//!
//! A service is one Deployment, named by workload and service; its revision is a label of the pods. A new revision is
//! applied with a hold (`minReadySeconds` of a day, all surge): its pods start and get ready while the old ones go on
//! serving. The switch moves the Service's selector to the new hash and releases the hold, whereupon the controller
//! takes the old pods away. A task is a Job. Everything is applied server-side under one field manager, and only what
//! bears this instance's label is ever touched.

mod address;
mod apply;
mod autoscale;
mod check;
mod client;
mod ensure;
mod error;
mod group;
mod halt;
pub mod images;
pub mod kubeconfig;
mod logs;
mod names;
mod object;
mod pod;
mod prepare;
mod quantity;
mod retire;
mod spec;
mod standing;
mod usage;
mod verify;
mod view;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use secrecy::SecretString;

use crate::domain::clock::SharedClock;
use crate::domain::cluster::Cluster;
use crate::domain::name::DeploymentId;
use crate::engine::{
    ContainerLine, Cursor, Engine, EngineEvent, EngineReport, EngineResult, Ensured, LogOptions,
    PrepareRequest, Progress, RegistryCredentials, Resolution, ServiceRequest, SlotRef, Snapshot, Stats,
};
pub use check::role;
use client::Client;
use watch::Places;

/// A namespace of a cluster.
pub struct KubernetesEngine {
    core: Arc<Core>,
}

/// What the engine's own tasks hold on to as well.
struct Core {
    client: Client,
    cluster: Cluster,
    instance: String,
    clock: SharedClock,
    places: Places,
    registries: Mutex<BTreeMap<String, RegistryCredentials>>,
}

impl KubernetesEngine {
    /// The engine of a cluster for the instance with the id `instance`. Nothing is connected yet: a cluster that is down
    /// answers `Unreachable` when called.
    ///
    /// # Errors
    /// `Unsupported` when the connection can't be used at all.
    pub fn connect(
        cluster: &Cluster,
        credential: Option<&SecretString>,
        instance: &str,
        clock: SharedClock,
    ) -> EngineResult<Self> {
        let core = Core {
            client: Client::new(cluster, credential)?,
            cluster: cluster.clone(),
            instance: instance.to_owned(),
            clock,
            places: Places::default(),
            registries: Mutex::default(),
        };
        Ok(Self { core: Arc::new(core) })
    }
}

#[async_trait]
impl Engine for KubernetesEngine {
    async fn check(&self) -> EngineResult<EngineReport> {
        self.core.report().await
    }

    async fn prepare(&self, request: &PrepareRequest, progress: &dyn Progress) -> EngineResult<Resolution> {
        self.core.prepare_workload(request, progress).await
    }

    async fn ensure(&self, request: &ServiceRequest) -> EngineResult<Ensured> {
        self.core.ensure_service(request).await
    }

    async fn switch(&self, request: &ServiceRequest) -> EngineResult<()> {
        self.core.switch_service(request).await
    }

    async fn revive(&self, slots: &[SlotRef]) -> EngineResult<()> {
        self.core.revive_slots(slots).await
    }

    async fn halt(&self, slot: &SlotRef) -> EngineResult<()> {
        self.core.halt_slot(slot).await
    }

    async fn retire(&self, slot: &SlotRef) -> EngineResult<()> {
        self.core.retire_slot(slot).await
    }

    async fn release(&self, workload: &DeploymentId, volumes: bool) -> EngineResult<()> {
        self.core.release_workload(workload, volumes).await
    }

    async fn forget_images(&self, workload: &DeploymentId, keep: &BTreeSet<String>) -> EngineResult<()> {
        self.core.forget(workload, keep).await
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
