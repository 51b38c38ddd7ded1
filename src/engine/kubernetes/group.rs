//! Everything of one service in the cluster, and the replicas that it comes to.
//!
//! A pod has a name of its own each time, so a replica's place is its pod's rank by age among the pods of its hash that
//! stay. Pods that have been asked to go are no replicas any more.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::address;
use super::names::{self, note};
use super::object::{self, Owned};
use super::pod;
use super::standing::Standing;
use crate::domain::clock::Timestamp;
use crate::engine::{Endpoint, Phase, SlotState, label};

/// The objects of one service; keyed by name, pods by uid.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub pods: BTreeMap<String, Pod>,
    pub deployment: Option<Deployment>,
    pub jobs: BTreeMap<String, Job>,
    pub services: BTreeMap<String, Service>,
    pub ingresses: BTreeMap<String, Ingress>,
    /// Whether an autoscaler names the Deployment, where that is known.
    pub autoscaled: Option<bool>,
    /// The newest warning about each pod and each job, by uid.
    pub said: HashMap<String, String>,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.deployment.is_none() && self.jobs.is_empty() && self.services.is_empty()
    }

    /// The objects that say something of the service.
    pub(super) fn objects(&self) -> Vec<Owned> {
        let deployments = self.deployment.iter().filter_map(object::deployment);
        let jobs = self.jobs.values().filter_map(object::job);
        deployments.chain(jobs).chain(self.pods.values().filter_map(object::pod)).collect()
    }

    /// The replicas at a moment.
    pub(super) fn states(&self, now: Timestamp) -> Vec<SlotState> {
        let standing = self.standing();
        let mut by_hash: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        for pod in self.pods.values().filter(|pod| !pod::is_leaving(pod)) {
            let hash = pod.metadata.labels.as_ref().and_then(|labels| labels.get(label::HASH));
            by_hash.entry(hash.map(String::as_str).unwrap_or_default()).or_default().push(pod);
        }
        let mut states = Vec::new();
        for mut pods in by_hash.into_values() {
            pod::sort_by_age(&mut pods);
            for (index, pod) in pods.into_iter().enumerate() {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                states.extend(self.state(pod, index, standing.as_ref(), now));
            }
        }
        let mut missing = self.missing(standing.as_ref(), &states);
        missing.extend(self.missing_tasks(&states));
        states.extend(missing);
        states
    }

    fn standing(&self) -> Option<Standing> {
        Standing::read(self.deployment.as_ref()?, self.autoscaled)
    }

    fn state(&self, of: &Pod, index: u32, standing: Option<&Standing>, now: Timestamp) -> Option<SlotState> {
        let (labels, notes) = pod::marks(of);
        let slot = names::slot(&labels, &notes, index)?;
        let uid = of.metadata.uid.clone()?;
        let (phase, detail) = pod::phase(of, self.said.get(&uid).map(String::as_str), now);
        let main = pod::main(of);
        let state = main.and_then(|main| main.state.as_ref());
        let (running, ended) = (
            state.and_then(|state| state.running.as_ref()),
            state.and_then(|state| state.terminated.as_ref()),
        );
        let last = main.and_then(|main| main.last_state.as_ref()?.terminated.as_ref());
        let started = running.and_then(|state| state.started_at.as_ref());
        let started = started.or_else(|| ended.or(last)?.started_at.as_ref());
        let is_served = standing.is_none_or(|standing| standing.serving == slot.hash);
        let serving = is_served && phase == Phase::Running;
        Some(SlotState {
            endpoints: if is_served { self.endpoints(of) } else { Vec::new() },
            drift: self.drift(&slot.hash, standing),
            autoscaled: standing.and_then(|standing| standing.autoscaled_to(&slot.hash)),
            slot,
            engine_id: uid,
            revision: labels.get(label::REVISION).and_then(|text| text.parse().ok()).unwrap_or(0),
            phase,
            started_at: started.map(pod::moment),
            ended_at: ended.and_then(|end| end.finished_at.as_ref()).map(pod::moment),
            restarts: main.and_then(|main| u32::try_from(main.restart_count).ok()).unwrap_or(0),
            detail,
            image_id: notes.get(note::IMAGE).cloned().unwrap_or_default(),
            serving,
        })
    }

    fn drift(&self, hash: &str, standing: Option<&Standing>) -> Option<String> {
        let standing = standing.filter(|standing| standing.hash == hash)?;
        if standing.drift.is_some() {
            return standing.drift.clone();
        }
        let spec = self.deployment.as_ref()?.spec.template.spec.as_ref()?;
        let listens =
            spec.containers.iter().any(|one| one.ports.as_ref().is_some_and(|ports| !ports.is_empty()));
        (listens && self.services.is_empty()).then(|| "its Service was removed".to_owned())
    }

    /// Where a pod answers from outside: at the node that it runs on, and by the service's Ingress.
    fn endpoints(&self, of: &Pod) -> Vec<Endpoint> {
        let node = of.status.as_ref().and_then(|status| status.host_ip.as_ref()?.parse().ok());
        let mut found: Vec<Endpoint> = self.ingresses.values().flat_map(address::of_ingress).collect();
        found.extend(node.into_iter().flat_map(|node| address::of_node(node, self.services.values())));
        found
    }

    /// Replicas that no pod is there for: yet, or because the cluster refuses them, with its words.
    fn missing(&self, standing: Option<&Standing>, states: &[SlotState]) -> Vec<SlotState> {
        let (Some(standing), Some(deployment)) = (standing, &self.deployment) else {
            return Vec::new();
        };
        let conditions = deployment.status.as_ref().and_then(|status| status.conditions.as_deref());
        let failure = conditions.unwrap_or_default().iter().find(|condition| {
            condition.type_.as_deref() == Some("ReplicaFailure")
                && condition.status.as_deref() == Some("True")
        });
        let refusal = failure.map(|failure| failure.message.as_deref().unwrap_or_default());
        // The labels of its pods, under its own notes.
        let mut marks = deployment.metadata.clone();
        let template = deployment.spec.template.metadata.as_ref();
        marks.labels = template.and_then(|metadata| metadata.labels.clone());
        let there = states.iter().filter(|state| state.slot.hash == standing.hash).count();
        let there = u32::try_from(there).unwrap_or(u32::MAX);
        let state = |index| {
            let (drift, autoscaled) = (standing.drift.clone(), standing.autoscaled_to(&standing.hash));
            Some(SlotState { drift, autoscaled, ..absent(&marks, index, refusal)? })
        };
        (there..standing.replicas).filter_map(state).collect()
    }

    /// Tasks whose one pod is not there. Their Jobs have no word for a refusal: it is a warning about them.
    fn missing_tasks(&self, states: &[SlotState]) -> Vec<SlotState> {
        let state = |job: &Job| {
            let metadata = &job.metadata;
            let refusal = self.said.get(metadata.uid.as_deref()?).map(String::as_str);
            absent(metadata, 0, refusal)
        };
        let waiting = self.jobs.values().filter(|job| waits_for_pod(job)).filter_map(state);
        waiting.filter(|task| states.iter().all(|state| state.slot.hash != task.slot.hash)).collect()
    }
}

/// Whether a Job is still to have a pod.
fn waits_for_pod(job: &Job) -> bool {
    let tried = job.status.as_ref().is_some_and(|status| {
        let counts = [status.active, status.succeeded, status.failed];
        let is_over = |condition: &JobCondition| {
            matches!(condition.type_.as_str(), "Complete" | "Failed") && condition.status == "True"
        };
        status.conditions.iter().flatten().any(is_over) || counts.into_iter().flatten().any(|count| count > 0)
    });
    !tried && job.metadata.deletion_timestamp.is_none()
}

/// A replica without a pod: yet, or because the cluster refuses it, in these words.
fn absent(marks: &ObjectMeta, index: u32, refusal: Option<&str>) -> Option<SlotState> {
    let (labels, notes) =
        (marks.labels.clone().unwrap_or_default(), marks.annotations.clone().unwrap_or_default());
    Some(SlotState {
        slot: names::slot(&labels, &notes, index)?,
        engine_id: format!("{}{MISSING}{index}", marks.uid.as_deref().unwrap_or_default()),
        revision: labels.get(label::REVISION).and_then(|text| text.parse().ok()).unwrap_or(0),
        phase: if refusal.is_some() { Phase::Blocked } else { Phase::Pending },
        started_at: None,
        ended_at: None,
        restarts: 0,
        detail: refusal.map_or_else(String::new, refused_words),
        image_id: String::new(),
        endpoints: Vec::new(),
        serving: false,
        drift: None,
        autoscaled: None,
    })
}

/// Between the uid of a Deployment or a Job and the index of a replica without a pod.
const MISSING: char = '/';

fn refused_words(message: &str) -> String {
    format!("the cluster refuses its pods: {}", crate::domain::text::clean_line(message))
}
