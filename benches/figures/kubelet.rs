//! A node whose pods only say that they run, as KWOK's do: the API server, scheduler and controllers around it are real.
//! A real node takes 110 pods.

use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tokio::task::JoinHandle;

/// Pods that are served at once.
const AT_ONCE: usize = 32;
/// Below the 40 s after which a node counts as lost.
const BEAT: Duration = Duration::from_secs(10);

/// The node; [`Kubelet::leave`] takes it away.
pub struct Kubelet {
    name: String,
    nodes: Api<Node>,
    tasks: [JoinHandle<()>; 2],
}

impl Kubelet {
    /// Joins the cluster, with room for everything.
    pub async fn join(client: Client, name: &str) -> Self {
        let nodes: Api<Node> = Api::all(client.clone());
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } });
        let node = serde_json::from_value(node).unwrap();
        nodes.create(&PostParams::default(), &node).await.expect("the node can be made");
        beat(&nodes, name).await;
        let (beating, called) = (nodes.clone(), name.to_owned());
        let heart = tokio::spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                beat(&beating, &called).await;
            }
        });
        let work = tokio::spawn(serve(client, name.to_owned()));
        Self { name: name.to_owned(), nodes, tasks: [heart, work] }
    }

    /// Leaves the cluster.
    pub async fn leave(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.nodes.delete(&self.name, &DeleteParams::default()).await.expect("the node can be removed");
    }
}

async fn beat(nodes: &Api<Node>, name: &str) {
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    let room = json!({ "cpu": "100000", "memory": "100000Gi", "pods": "100000" });
    let ready = json!({ "type": "Ready", "status": "True", "reason": "Bench", "message": "",
        "lastHeartbeatTime": now, "lastTransitionTime": now });
    let status = json!({ "status": { "capacity": room, "allocatable": room, "conditions": [ready] } });
    nodes
        .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await
        .expect("the node can speak");
}

async fn serve(client: Client, name: String) {
    let all: Api<Pod> = Api::all(client.clone());
    let here = watcher::Config::default().fields(&format!("spec.nodeName={name}"));
    let events = watcher(all, here).filter_map(|event| async move {
        match event.expect("the cluster tells of pods") {
            Event::Apply(pod) | Event::InitApply(pod) => Some(pod),
            Event::Delete(_) | Event::Init | Event::InitDone => None,
        }
    });
    events
        .for_each_concurrent(AT_ONCE, |pod| {
            let pods = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
            async move { take(&pods, &pod).await }
        })
        .await;
}

async fn take(pods: &Api<Pod>, pod: &Pod) {
    let (name, phase) = (pod.name_any(), pod.status.as_ref().and_then(|status| status.phase.as_deref()));
    if pod.metadata.deletion_timestamp.is_some() {
        let _ = pods.delete(&name, &DeleteParams::default().grace_period(0)).await;
    } else if phase != Some("Running") {
        let _ = say(pods, pod, true).await;
    }
}

/// Says of a pod that its containers run, and whether they are ready.
pub async fn say(pods: &Api<Pod>, pod: &Pod, ready: bool) -> kube::Result<Pod> {
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    let condition = |kind: &str, ready: bool| json!({ "type": kind, "status": if ready { "True" } else { "False" }, "lastTransitionTime": now });
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let containers: Vec<_> = containers
        .map(|container| {
            json!({ "name": container.name, "image": container.image, "imageID": "", "ready": ready, "started": true,
                "restartCount": 0, "state": { "running": { "startedAt": now } } })
        })
        .collect();
    let conditions =
        [("Initialized", true), ("PodScheduled", true), ("ContainersReady", ready), ("Ready", ready)];
    let status = json!({ "status": { "phase": "Running", "podIP": "192.0.2.1", "startTime": now,
        "conditions": conditions.map(|(kind, is)| condition(kind, is)), "containerStatuses": containers } });
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await
}
