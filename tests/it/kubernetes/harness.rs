//! A namespace of its own for one test, reached by Slipway through a kubeconfig, and what somebody does to it by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use slipway::domain::clock::SystemClock;
use slipway::domain::cluster::{Cluster, Publish};
use slipway::engine::kubernetes::KubernetesEngine;
use slipway::engine::kubernetes::kubeconfig::sanitise;
use slipway::engine::{Engine, RegistryCredentials, SlotState};

use super::images::stage::{LAB, push};
use super::lab::{self, Namespace};
use crate::conformance::{Harness, Lacks, Tamper};
use crate::docker::harness::{Docker, aside};

/// Where images of the public registry are asked for: the lab's holds those that the tests use.
pub const MIRROR: &str = "127.0.0.1:5000/hub";

/// One instance in a namespace of its own.
pub struct Kubernetes {
    pub namespace: Namespace,
    pub engine: Arc<KubernetesEngine>,
    builder: Docker,
}

/// A cluster's connection to a namespace, and its credential.
pub fn cluster(namespace: &str) -> (Cluster, secrecy::SecretString) {
    let text = std::fs::read_to_string(lab::kubeconfig()).expect("`tests/lab/lab k8s` starts a cluster");
    let read = sanitise(&text, None).unwrap();
    let cluster = Cluster {
        access: read.access,
        namespace: namespace.to_owned(),
        registry: Some(format!("{LAB}/slwtest")),
        mirrors: BTreeMap::from([("docker.io".to_owned(), MIRROR.to_owned())]),
        builder: None,
        publish: Publish::NodePort,
        storage_class: None,
        volume_size: "64Mi".into(),
    };
    (cluster, read.credential)
}

/// Who pulls from and pushes to the lab's registry.
pub fn registries() -> BTreeMap<String, RegistryCredentials> {
    let lab = RegistryCredentials { username: "lab".into(), password: "lab-secret".into() };
    BTreeMap::from([(LAB.to_owned(), lab)])
}

/// Has the lab's registry hold the image `busybox:lab` as the public one would.
pub async fn mirror(image: &str, tag: &str) {
    let docker = Docker::by_hand();
    push(&docker, &format!("{image}:{tag}"), &format!("{MIRROR}/library/{image}"), tag).await;
}

impl Kubernetes {
    pub fn new() -> Self {
        slipway::tls::install();
        let namespace = Namespace::fresh();
        aside(mirror("busybox", "lab"));
        let (cluster, credential) = cluster(&namespace.name);
        let instance = uuid::Uuid::new_v4().simple().to_string();
        let engine =
            KubernetesEngine::connect(&cluster, Some(&credential), &instance, Arc::new(SystemClock)).unwrap();
        Self { namespace, engine: Arc::new(engine), builder: Docker::named(&instance) }
    }
}

#[async_trait]
impl Harness for Kubernetes {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine) as Arc<dyn Engine>
    }

    fn registries(&self) -> BTreeMap<String, RegistryCredentials> {
        registries()
    }

    fn builder(&self) -> Option<Arc<dyn Engine>> {
        Some(self.builder.engine())
    }

    fn lacks(&self) -> &'static [Lacks] {
        &[
            Lacks::StoppedReplicas,
            Lacks::Pause,
            Lacks::Detach,
            Lacks::SeparateOutputs,
            Lacks::HeldScaling,
            Lacks::NoRestart,
            Lacks::Ulimits,
            Lacks::HostPorts,
            Lacks::Stats,
            Lacks::DynamicVolumes,
        ]
    }

    /// A folder of the node for the claim of volume `data` of the suite's workload.
    async fn provide_volume(&self) {
        self.namespace.provide_volume("conformance-data-data-0703ccf8");
    }

    async fn tamper(&self, slot: &SlotState, how: Tamper) {
        let hand = |arguments: &[&str]| self.namespace.kubectl(arguments, "");
        match how {
            Tamper::Remove => {
                let uids = hand(&[
                    "get",
                    "pods",
                    "-o",
                    "jsonpath={range .items[*]}{.metadata.uid} {.metadata.name}{'\\n'}{end}",
                ]);
                let own = uids.lines().find_map(|line| line.strip_prefix(slot.engine_id.as_str()));
                hand(&["delete", "pod", own.unwrap().trim(), "--grace-period=0", "--force"]);
            }
            Tamper::Limits => {
                let deployment = format!("deployment/{}-{}", slot.slot.workload, slot.slot.service);
                hand(&["set", "resources", &deployment, "--limits=memory=128Mi"]);
            }
            other => panic!("a cluster has no {other:?}"),
        }
    }
}
