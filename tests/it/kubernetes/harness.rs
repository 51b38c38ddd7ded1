//! A namespace of its own for one test, a client beside Slipway's, and its cleaning up.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolume, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use slipway::domain::clock::SystemClock;
use slipway::domain::cluster::{Cluster, ClusterAccess, CredentialKind, Publish};
use slipway::engine::kubernetes::KubernetesEngine;
use slipway::engine::{Engine, SlotState};

use crate::conformance::{Harness, Lacks, Tamper};
use crate::docker::harness::aside;

/// One instance in a namespace of its own.
pub struct Kubernetes {
    pub namespace: String,
    engine: Arc<KubernetesEngine>,
}

/// The cluster's kubeconfig: a token is what it has.
pub fn kubeconfig() -> Kubeconfig {
    let lab = std::env::var("LAB_DIR").unwrap_or_else(|_| "/var/tmp/slipway-lab".into());
    let path = std::env::var("SLIPWAY_TEST_KUBECONFIG").map_or_else(|_| PathBuf::from(lab).join("k8s/kubeconfig"), PathBuf::from);
    Kubeconfig::read_from(&path).unwrap_or_else(|error| {
        panic!("no cluster: {} can't be read ({error}); `tests/lab/lab k8s` starts one", path.display())
    })
}

/// A client that is not Slipway's.
pub async fn by_hand() -> kube::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig(), &options).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

/// How Slipway reaches the cluster, and its credential.
pub fn cluster(namespace: &str) -> (Cluster, SecretString) {
    let config = kubeconfig();
    let cluster = config.clusters[0].cluster.as_ref().unwrap();
    let pem = cluster.certificate_authority_data.as_ref().map(|encoded| {
        use base64::Engine as _;
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()).unwrap()
    });
    let token = config.auth_infos[0].auth_info.as_ref().unwrap().token.clone();
    let access = ClusterAccess::Kubeconfig {
        server: cluster.server.clone().unwrap(),
        certificate_authority: pem,
        tls_server_name: None,
        credential: CredentialKind::Token,
    };
    let cluster = Cluster {
        access,
        namespace: namespace.to_owned(),
        registry: None,
        mirrors: Default::default(),
        builder: None,
        publish: Publish::NodePort,
        storage_class: None,
        volume_size: "64Mi".into(),
    };
    (cluster, token.expect("the tests' kubeconfig has a token").expose_secret().to_owned().into())
}

impl Kubernetes {
    pub fn new() -> Self {
        let namespace = format!("slipway-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let made = Namespace { metadata: kube::core::ObjectMeta { name: Some(namespace.clone()), ..Default::default() }, ..Default::default() };
        aside(async move {
            let api: Api<Namespace> = Api::all(by_hand().await);
            api.create(&PostParams::default(), &made).await.unwrap();
        });
        let (cluster, token) = cluster(&namespace);
        let engine = KubernetesEngine::connect(&cluster, Some(&token), &namespace, Arc::new(SystemClock)).unwrap();
        Self { namespace, engine: Arc::new(engine) }
    }
}

#[async_trait]
impl Harness for Kubernetes {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine) as Arc<dyn Engine>
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
            Lacks::DynamicVolumes,
        ]
    }

    /// A folder of the node for the claim of volume `data` of the suite's workload.
    async fn provide_volume(&self) {
        let volumes: Api<PersistentVolume> = Api::all(by_hand().await);
        let volume = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": self.namespace },
            "spec": {
                "capacity": { "storage": "64Mi" }, "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": { "path": format!("/var/tmp/slipway-volumes/{}", self.namespace), "type": "DirectoryOrCreate" },
                "claimRef": { "namespace": self.namespace, "name": "conformance-data-data-0703ccf8" },
            },
        });
        volumes.create(&PostParams::default(), &serde_json::from_value(volume).unwrap()).await.unwrap();
    }

    async fn tamper(&self, slot: &SlotState, how: Tamper) {
        let client = by_hand().await;
        match how {
            Tamper::Remove => {
                let pods: Api<Pod> = Api::namespaced(client, &self.namespace);
                let all = pods.list(&Default::default()).await.unwrap();
                let own = all.items.iter().find(|pod| pod.metadata.uid.as_ref() == Some(&slot.engine_id));
                let name = own.unwrap().metadata.name.clone().unwrap();
                pods.delete(&name, &DeleteParams::default().grace_period(0)).await.unwrap();
            }
            Tamper::Limits => {
                let deployments: Api<Deployment> = Api::namespaced(client, &self.namespace);
                let name = format!("{}-{}", slot.slot.workload, slot.slot.service);
                let limits = json!([{ "name": "main", "resources": { "limits": { "memory": "128Mi" } } }]);
                let patch = json!({ "spec": { "template": { "spec": { "containers": limits } } } });
                let hand = PatchParams { field_manager: Some("kubectl-set".into()), ..Default::default() };
                deployments.patch(&name, &hand, &Patch::Strategic(patch)).await.unwrap();
            }
            other => panic!("a cluster has no {other:?}"),
        }
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        let namespace = self.namespace.clone();
        aside(async move {
            let client = by_hand().await;
            let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
            let _ = Api::<Deployment>::namespaced(client.clone(), &namespace)
                .delete_collection(&DeleteParams::default(), &Default::default())
                .await;
            // Nobody waits out the grace of what a failed test left.
            let _ = pods.delete_collection(&DeleteParams::default().grace_period(0), &Default::default()).await;
            let api: Api<Namespace> = Api::all(client);
            let _ = api.delete(&namespace, &DeleteParams::default()).await;
        });
    }
}
