//! What the engines have, in memory: fed by the observers alone, read by everybody else, awaited without polling.
//!
//! An infrastructure that was not seen since the start is *unseen*: nobody may conclude from a missing slot then.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::domain::name::{DeploymentId, InfrastructureId, ServiceName};
use crate::engine::{SlotRef, SlotState};

/// One replica as it was last seen.
#[derive(Debug, Clone)]
pub struct Seen {
    pub state: SlotState,
    /// Since when it is the same container in the same phase.
    pub since: Instant,
}

/// The replicas of one workload.
pub type Slots = Arc<Vec<Arc<Seen>>>;

/// The replica in a slot: of several containers the one that is furthest from its end, then the newest.
pub fn find<'a>(slots: &'a [Arc<Seen>], wanted: &SlotRef) -> Option<&'a Arc<Seen>> {
    let ended = |seen: &Seen| {
        matches!(seen.state.phase, crate::engine::Phase::Exited { .. } | crate::engine::Phase::Dead)
    };
    slots
        .iter()
        .filter(|seen| seen.state.slot == *wanted)
        .max_by_key(|seen| (!ended(seen), seen.state.started_at))
}

/// How many replicas of a service's hash an autoscaler wants, where one sets the number.
pub fn autoscaled(slots: &[Arc<Seen>], service: &ServiceName, hash: &str) -> Option<u32> {
    let of = |state: &&SlotState| state.slot.service == *service && state.slot.hash == hash;
    slots.iter().map(|seen| &seen.state).filter(of).find_map(|state| state.autoscaled)
}

/// Whether an engine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Nothing was heard since the start.
    Unseen,
    Reachable,
    /// With the reason in words.
    Unreachable(String),
}

/// Deployments that something has to look at again.
#[derive(Debug, Default)]
pub struct Marks {
    marked: Mutex<BTreeSet<DeploymentId>>,
    wake: Notify,
}

impl Marks {
    /// Marks one.
    pub fn add(&self, deployment: DeploymentId) {
        self.marked.lock().unwrap_or_else(PoisonError::into_inner).insert(deployment);
        self.wake.notify_one();
    }

    /// Takes up to `most` of them.
    pub fn take(&self, most: usize) -> Vec<DeploymentId> {
        let mut marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        let taken: Vec<_> = std::iter::from_fn(|| marked.pop_first()).take(most).collect();
        if !marked.is_empty() {
            self.wake.notify_one();
        }
        taken
    }

    /// Waits until there is one.
    pub async fn wait(&self) {
        self.wake.notified().await;
    }
}

type Key = (InfrastructureId, DeploymentId);

/// All slots of all infrastructures.
#[derive(Debug)]
pub struct Table {
    workloads: Mutex<HashMap<Key, watch::Sender<Slots>>>,
    engines: Mutex<HashMap<InfrastructureId, watch::Sender<Reach>>>,
    /// Told of every change.
    changed: Arc<Marks>,
}

impl Table {
    /// An empty table that tells `changed`.
    pub fn new(changed: Arc<Marks>) -> Self {
        Self { workloads: Mutex::default(), engines: Mutex::default(), changed }
    }

    /// The replicas of a workload now.
    pub fn slots(&self, infrastructure: &InfrastructureId, workload: &DeploymentId) -> Slots {
        let workloads = self.workloads.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (infrastructure.clone(), workload.clone());
        workloads.get(&key).map(|slots| slots.borrow().clone()).unwrap_or_default()
    }

    /// The replicas of a workload, now and as they change.
    pub fn follow(
        &self,
        infrastructure: &InfrastructureId,
        workload: &DeploymentId,
    ) -> watch::Receiver<Slots> {
        let mut workloads = self.workloads.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (infrastructure.clone(), workload.clone());
        workloads.entry(key).or_insert_with(|| watch::channel(Slots::default()).0).subscribe()
    }

    /// Workloads with replicas on an infrastructure.
    pub fn workloads(&self, infrastructure: &InfrastructureId) -> Vec<DeploymentId> {
        let workloads = self.workloads.lock().unwrap_or_else(PoisonError::into_inner);
        let on = |((there, workload), slots): (&Key, &watch::Sender<Slots>)| {
            (there == infrastructure && !slots.borrow().is_empty()).then(|| workload.clone())
        };
        workloads.iter().filter_map(on).collect()
    }

    /// Engine ids of all replicas on an infrastructure, with their workloads.
    pub fn ids(&self, infrastructure: &InfrastructureId) -> Vec<(DeploymentId, String)> {
        let workloads = self.workloads.lock().unwrap_or_else(PoisonError::into_inner);
        let here = workloads.iter().filter(|((there, _), _)| there == infrastructure);
        let ids = |((_, workload), slots): (&Key, &watch::Sender<Slots>)| {
            let id = |seen: &Arc<Seen>| (workload.clone(), seen.state.engine_id.clone());
            slots.borrow().iter().map(id).collect::<Vec<_>>()
        };
        here.flat_map(ids).collect()
    }

    /// Whether an engine answers, now and as it changes.
    pub fn reach(&self, infrastructure: &InfrastructureId) -> watch::Receiver<Reach> {
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = engines.entry(infrastructure.clone());
        entry.or_insert_with(|| watch::channel(Reach::Unseen).0).subscribe()
    }

    /// Notes whether an engine answers; says whether that is news.
    pub fn set_reach(&self, infrastructure: &InfrastructureId, reach: Reach) -> bool {
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = engines.entry(infrastructure.clone());
        let sender = entry.or_insert_with(|| watch::channel(Reach::Unseen).0);
        sender.send_if_modified(|old| {
            let news = std::mem::discriminant(old) != std::mem::discriminant(&reach);
            *old = reach;
            news
        })
    }

    /// Forgets an infrastructure.
    pub fn forget(&self, infrastructure: &InfrastructureId) {
        self.engines.lock().unwrap_or_else(PoisonError::into_inner).remove(infrastructure);
        let mut workloads = self.workloads.lock().unwrap_or_else(PoisonError::into_inner);
        workloads.retain(|(there, _), _| there != infrastructure);
    }

    /// Takes in one replica.
    pub fn put(&self, infrastructure: &InfrastructureId, state: SlotState) {
        let workload = state.slot.workload.clone();
        self.change(infrastructure, &workload, |slots| {
            let at = slots.iter().position(|seen| seen.state.engine_id == state.engine_id);
            let before = at.map(|at| slots.remove(at));
            let same = before.as_ref().is_some_and(|seen| {
                seen.state.phase == state.phase && seen.state.started_at == state.started_at
            });
            let since = before.filter(|_| same).map_or_else(Instant::now, |seen| seen.since);
            slots.push(Arc::new(Seen { state, since }));
        });
    }

    /// Takes out one replica.
    pub fn remove(&self, infrastructure: &InfrastructureId, workload: &DeploymentId, engine_id: &str) {
        self.change(infrastructure, workload, |slots| {
            slots.retain(|seen| seen.state.engine_id != engine_id);
        });
    }

    /// Changes a workload's replicas and tells everyone, unless nothing became different.
    fn change(
        &self,
        infrastructure: &InfrastructureId,
        workload: &DeploymentId,
        change: impl FnOnce(&mut Vec<Arc<Seen>>),
    ) {
        let mut workloads = self.workloads.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (infrastructure.clone(), workload.clone());
        let sender = workloads.entry(key.clone()).or_insert_with(|| watch::channel(Slots::default()).0);
        let changed = sender.send_if_modified(|slots| {
            let mut after = slots.as_ref().clone();
            change(&mut after);
            let same = after.len() == slots.len()
                && after.iter().all(|new| slots.iter().any(|old| old.state == new.state));
            if !same {
                *slots = Arc::new(after);
            }
            !same
        });
        if sender.receiver_count() == 0 && sender.borrow().is_empty() {
            workloads.remove(&key);
        }
        drop(workloads);
        if changed {
            self.changed.add(workload.clone());
        }
    }
}
