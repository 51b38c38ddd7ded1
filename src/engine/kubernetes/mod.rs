//! Workloads in one namespace of a Kubernetes cluster, spoken to through kube-rs.
//!
//! A service is one Deployment, named by workload and service; its revision is a label of the pods. A new revision is
//! applied with a hold (`minReadySeconds` of a day, all surge): its pods start and get ready while the old ones go on
//! serving. The switch moves the Service's selector to the new hash and releases the hold, whereupon the controller
//! takes the old pods away. A task is a Job. Everything is applied server-side under one field manager, and only what
//! bears this instance's label is ever touched.

mod check;
mod client;
mod error;
pub mod kubeconfig;
mod provisional;

use std::sync::Arc;

use secrecy::SecretString;

use crate::domain::clock::SharedClock;
use crate::domain::cluster::Cluster;
use crate::engine::EngineResult;

pub use check::role;
use client::Client;

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
        let client = Client::new(cluster, credential)?;
        let core = Core { client, cluster: cluster.clone(), instance: instance.to_owned(), clock };
        Ok(Self { core: Arc::new(core) })
    }
}
