//! What an observer has learned and not written yet.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::objects::Objects;
use crate::bus::Topic;
use crate::domain::clock::Timestamp;
use crate::domain::name::{DeploymentId, InfrastructureId};
use crate::engine::{EngineObject, SlotRef, SlotState};
use crate::reconcile::Shared;
use crate::store;
use crate::store::observation::EngineNote;

/// How long a change waits for company.
const GATHER: Duration = Duration::from_millis(4);

/// Pending changes of one infrastructure, and what the store holds already.
pub(super) struct Batch {
    infrastructure: InfrastructureId,
    written: HashMap<String, SlotState>,
    pending: HashMap<String, Option<SlotState>>,
    objects: Objects,
    notes: Vec<(DeploymentId, EngineNote)>,
    touched: BTreeSet<DeploymentId>,
    due: Option<Instant>,
    broken: bool,
}

impl Batch {
    /// Starts from what the store holds.
    pub fn new(
        infrastructure: InfrastructureId,
        written: Vec<(String, SlotState)>,
        objects: Objects,
    ) -> Self {
        Self {
            infrastructure,
            written: written.into_iter().collect(),
            pending: HashMap::new(),
            objects,
            notes: Vec::new(),
            touched: BTreeSet::new(),
            due: None,
            broken: false,
        }
    }

    /// When the batch is to be written.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a write failed, so that what the store holds is not known any more.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Replicas that the store holds and `present` does not.
    pub fn missing_from(&self, present: &[SlotState]) -> Vec<(DeploymentId, String)> {
        let present: HashSet<&str> = present.iter().map(|state| state.engine_id.as_str()).collect();
        let gone = self.written.iter().filter(|(id, _)| !present.contains(id.as_str()));
        gone.map(|(id, state)| (state.slot.workload.clone(), id.clone())).collect()
    }

    /// A replica is so.
    pub fn put(&mut self, state: &SlotState) {
        let known = match self.pending.get(&state.engine_id) {
            Some(pending) => pending.as_ref(),
            None => self.written.get(&state.engine_id),
        };
        if known != Some(state) {
            self.touch(&state.slot.workload);
            self.pending.insert(state.engine_id.clone(), Some(state.clone()));
        }
    }

    /// A replica is no more.
    pub fn gone(&mut self, engine_id: &str, workload: &DeploymentId) {
        self.touch(workload);
        self.pending.insert(engine_id.to_owned(), None);
        self.objects.gone(engine_id);
    }

    /// An object says this of itself.
    pub fn put_object(&mut self, workload: &DeploymentId, object: &EngineObject) {
        if self.objects.put(workload, object) {
            self.touch(workload);
        }
    }

    /// An object is no more.
    pub fn object_gone(&mut self, uid: &str, workload: &DeploymentId) {
        if self.objects.gone(uid) {
            self.touch(workload);
        }
    }

    /// Objects that the store holds and `present` does not.
    pub fn objects_missing_from(
        &self,
        present: &[(DeploymentId, EngineObject)],
    ) -> Vec<(DeploymentId, String)> {
        self.objects.missing_from(present)
    }

    /// Something happened to a replica.
    pub fn note(&mut self, slot: &SlotRef, what: String, detail: String, at: Timestamp) {
        let note = EngineNote {
            service: slot.service.clone(),
            slot: slot.index,
            what,
            detail: crate::domain::text::clean_line(&detail),
            at,
        };
        self.touch(&slot.workload);
        self.notes.push((slot.workload.clone(), note));
    }

    fn touch(&mut self, workload: &DeploymentId) {
        self.touched.insert(workload.clone());
        self.due.get_or_insert_with(|| Instant::now() + GATHER);
    }

    /// Writes what is pending. A failed write marks the batch as broken.
    pub async fn flush(&mut self, shared: &Shared) {
        self.due = None;
        let (pending, objects, notes, touched) = (
            std::mem::take(&mut self.pending),
            self.objects.take(),
            std::mem::take(&mut self.notes),
            std::mem::take(&mut self.touched),
        );
        if pending.is_empty() && objects.is_empty() && notes.is_empty() {
            return;
        }
        for (id, state) in &pending {
            match state {
                Some(state) => self.written.insert(id.clone(), state.clone()),
                None => self.written.remove(id),
            };
        }
        let (infrastructure, now) = (self.infrastructure.clone(), shared.clock.now());
        let write = shared.store.observe(move |tx| {
            for (id, state) in &pending {
                match state {
                    Some(state) => store::observation::put_slot(
                        tx,
                        &infrastructure,
                        id,
                        &state.slot.workload,
                        &state.slot.service,
                        state,
                        now,
                    )?,
                    None => store::observation::remove_slot(tx, &infrastructure, id)?,
                }
            }
            for (uid, change) in &objects {
                match change {
                    Some((deployment, state)) => {
                        store::observation::put_object(tx, &infrastructure, uid, deployment, state)?
                    }
                    None => store::observation::remove_object(tx, &infrastructure, uid)?,
                }
            }
            for (deployment, note) in &notes {
                store::observation::add_event(tx, &infrastructure, deployment, note)?;
            }
            for deployment in touched {
                tx.publish(Topic::Deployment(deployment));
            }
            Ok(())
        });
        if let Err(error) = write.await {
            tracing::warn!(infrastructure = %self.infrastructure, %error, "observations can't be written");
            self.broken = true;
        }
    }
}
