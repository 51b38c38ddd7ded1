//! Everything of ours in the namespace, by service, fed by one list and one watch of each kind.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v1::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt as _;

use super::autoscale::Scalers;
use super::group::Group;
use super::names::{self, Map};
use super::object::Owned;
use crate::domain::clock::Timestamp;
use crate::engine::{EngineEvent, EngineObject, Phase, SlotState, label};

/// The labels of workload and service.
type Key = (String, String);

/// One object that came, changed or went.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Pod(Box<Pod>, bool),
    Deployment(Box<Deployment>, bool),
    Job(Box<Job>, bool),
    Service(Box<Service>, bool),
    Ingress(Box<Ingress>, bool),
    /// Somebody's autoscaler.
    Scaler(Box<HorizontalPodAutoscaler>, bool),
    /// A warning about anything: those about pods and jobs are kept.
    Warning(Box<Event>),
}

#[derive(Debug, Clone, Default)]
pub(super) struct View {
    instance: String,
    groups: HashMap<Key, Group>,
    scalers: Scalers,
    /// By the uid of a pod or a job: whose it is.
    owners: HashMap<String, Key>,
    /// What was told last, by the engine's id.
    told: BTreeMap<Key, HashMap<String, SlotState>>,
    /// Digests of what was told of objects, by their ids.
    said: HashMap<Key, HashMap<String, u64>>,
    /// Services with replicas whose state changes as time passes.
    ticking: HashSet<Key>,
}

impl View {
    pub(super) fn new(instance: &str, scalers: Scalers) -> Self {
        Self { instance: instance.to_owned(), scalers, ..Self::default() }
    }

    /// Takes a change in; says which service it is of, if any of ours.
    pub(super) fn take(&mut self, change: Change) -> Option<Key> {
        match change {
            Change::Pod(mut pod, gone) => {
                // Who set which field is half of a pod, and nobody asks it here.
                pod.metadata.managed_fields = None;
                let (key, uid) = (self.key(pod.metadata.labels.as_ref())?, pod.metadata.uid.clone()?);
                if gone {
                    self.owners.remove(&uid);
                    let group = self.groups.get_mut(&key)?;
                    group.pods.remove(&uid);
                    group.said.remove(&uid);
                } else {
                    self.owners.insert(uid.clone(), key.clone());
                    self.groups.entry(key.clone()).or_default().pods.insert(uid, *pod);
                }
                Some(key)
            }
            Change::Deployment(deployment, gone) => {
                let key = self.key(deployment.metadata.labels.as_ref())?;
                let group = self.groups.entry(key.clone()).or_default();
                group.autoscaled = self.scalers.scale(&deployment.name_any());
                group.deployment = (!gone).then_some(*deployment);
                Some(key)
            }
            Change::Job(mut job, gone) => {
                job.metadata.managed_fields = None;
                let (key, uid) = (self.key(job.metadata.labels.as_ref())?, job.metadata.uid.clone()?);
                if gone {
                    self.owners.remove(&uid);
                    let group = self.groups.get_mut(&key)?;
                    group.jobs.remove(&uid);
                    group.said.remove(&uid);
                } else {
                    self.owners.insert(uid.clone(), key.clone());
                    self.groups.entry(key.clone()).or_default().jobs.insert(uid, *job);
                }
                Some(key)
            }
            Change::Service(mut service, gone) => {
                service.metadata.managed_fields = None;
                let key = self.key(service.metadata.labels.as_ref())?;
                let services = &mut self.groups.entry(key.clone()).or_default().services;
                keep(services, service.name_any(), *service, gone);
                Some(key)
            }
            Change::Ingress(mut ingress, gone) => {
                ingress.metadata.managed_fields = None;
                let key = self.key(ingress.metadata.labels.as_ref())?;
                let ingresses = &mut self.groups.entry(key.clone()).or_default().ingresses;
                keep(ingresses, ingress.name_any(), *ingress, gone);
                Some(key)
            }
            Change::Scaler(scaler, gone) => {
                // One autoscaler is one Deployment's, but for the moment in which it changes hands.
                let changed = self.scalers.take(&scaler, gone);
                changed.iter().filter_map(|name| self.scaled(name)).next_back()
            }
            Change::Warning(event) => {
                let uid = event.involved_object.uid.clone()?;
                let key = self.owners.get(&uid)?.clone();
                let said = &mut self.groups.get_mut(&key)?.said;
                said.insert(uid, event.message.clone().unwrap_or_default());
                Some(key)
            }
        }
    }

    /// Notes who scales the Deployment of this name, if it is ours.
    fn scaled(&mut self, name: &str) -> Option<Key> {
        let is = |group: &Group| group.deployment.as_ref().is_some_and(|one| one.name_any() == name);
        let (key, group) = self.groups.iter_mut().find(|(_, group)| is(group))?;
        group.autoscaled = self.scalers.scale(name);
        Some(key.clone())
    }

    fn key(&self, labels: Option<&Map>) -> Option<Key> {
        names::is_ours(&self.instance, labels).then_some(())?;
        let labels = labels?;
        Some((labels.get(label::WORKLOAD)?.clone(), labels.get(label::SERVICE)?.clone()))
    }

    /// What became different of a service's replicas since it was last told.
    pub(super) fn tell(&mut self, key: &Key, now: Timestamp) -> Vec<EngineEvent> {
        let group = self.groups.get(key);
        let states = group.map(|group| group.states(now)).unwrap_or_default();
        let objects = group.map(Group::objects).unwrap_or_default();
        if states.iter().any(|state| state.phase == Phase::Starting) {
            self.ticking.insert(key.clone());
        } else {
            self.ticking.remove(key);
        }
        if self.groups.get(key).is_some_and(Group::is_empty) {
            self.groups.remove(key);
        }
        let before = self.told.remove(key).unwrap_or_default();
        let mut events = Vec::new();
        for (engine_id, old) in &before {
            if !states.iter().any(|state| state.engine_id == *engine_id) {
                events.push(EngineEvent::Gone {
                    slot: old.slot.clone(),
                    engine_id: engine_id.clone(),
                    at: now,
                });
            }
        }
        for state in &states {
            let old = before.get(&state.engine_id);
            if old != Some(state) {
                let what = what_happened(old, state);
                events.push(EngineEvent::Slot { state: Box::new(state.clone()), what: what.into(), at: now });
            }
        }
        if !states.is_empty() {
            let states = states.into_iter().map(|state| (state.engine_id.clone(), state)).collect();
            self.told.insert(key.clone(), states);
        }
        events.extend(self.say(key, objects));
        events
    }

    /// What became different of a service's objects since it was last told.
    fn say(&mut self, key: &Key, objects: Vec<Owned>) -> Vec<EngineEvent> {
        let mut before = self.said.remove(key).unwrap_or_default();
        let workload = objects.first().map(|(workload, _)| workload.clone()).or_else(|| key.0.parse().ok());
        let (mut events, mut now) = (Vec::new(), HashMap::new());
        for (workload, object) in objects {
            let digest = digest(&object);
            if before.remove(&object.uid) != Some(digest) {
                events.push(EngineEvent::Object { workload, object: Box::new(object.clone()) });
            }
            now.insert(object.uid, digest);
        }
        if let Some(workload) = workload {
            let gone = |uid| EngineEvent::ObjectGone { workload: workload.clone(), uid };
            events.extend(before.into_keys().map(gone));
        }
        if !now.is_empty() {
            self.said.insert(key.clone(), now);
        }
        events
    }

    /// Services that have to be looked at again because time passes.
    pub(super) fn ticking(&self) -> Vec<Key> {
        self.ticking.iter().cloned().collect()
    }

    /// All replicas and objects; they count as told.
    pub(super) fn all(&mut self, now: Timestamp) -> (Vec<SlotState>, Vec<Owned>) {
        let keys: Vec<Key> = self.groups.keys().cloned().collect();
        for key in &keys {
            self.tell(key, now);
        }
        let mut states: Vec<SlotState> = self.told.values().flat_map(HashMap::values).cloned().collect();
        states.sort_by(|a, b| (&a.slot, &a.engine_id).cmp(&(&b.slot, &b.engine_id)));
        (states, self.groups.values().flat_map(Group::objects).collect())
    }
}

/// Notes that an object is there, or is not.
fn keep<T>(known: &mut BTreeMap<String, T>, name: String, object: T, gone: bool) {
    if gone {
        known.remove(&name);
    } else {
        known.insert(name, object);
    }
}

fn digest(object: &EngineObject) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.hash(&mut hasher);
    hasher.finish()
}

/// A word for people.
fn what_happened(old: Option<&SlotState>, new: &SlotState) -> &'static str {
    let Some(old) = old else { return "create" };
    if old.restarts < new.restarts {
        return "restart";
    }
    match (&old.phase, &new.phase) {
        (before, after) if before == after => "update",
        (_, Phase::Running) => "ready",
        (_, Phase::Starting) => "start",
        (_, Phase::Unhealthy) => "health_status",
        (_, Phase::Blocked) => "blocked",
        (_, Phase::Restarting | Phase::Exited { .. } | Phase::Dead) => "die",
        _ => "update",
    }
}
