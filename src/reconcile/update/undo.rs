//! Taking back what an update did that did not get through, in the system's name: what ran before goes on.
//!
//! What is to be taken back is derived, not remembered: every slot of the workload that what runs does not want. So a
//! process that takes over mid-way does the same.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::load::Work;
use super::run::{Ended, Halt, Run};
use super::words;
use crate::domain::Result;
use crate::domain::name::ServiceName;
use crate::domain::update::{Failure, Outcome, Step};
use crate::engine::{EngineResult, SlotRef};
use crate::reconcile::definition::Definition;
use crate::store;

impl Run {
    /// Undoes the update and ends it with `verdict`.
    pub(super) async fn undo(&self, work: &Work, definition: Option<&Definition>, verdict: Outcome) -> Ended {
        self.tell_verdict(&verdict);
        let mut serving = words::serving(work.running.as_ref());
        if !self.is_touched() {
            self.release_unused(work).await;
        } else {
            if let Err(halt) = self.doom(&verdict).await {
                return self.later(halt);
            }
            self.journal.begin(Step::Undo);
            match self.take_back(work, definition).await {
                Ok(None) => self.journal.done(&serving),
                Ok(Some(wrong)) => {
                    self.journal.failed(&wrong);
                    serving = wrong;
                }
                Err(halt) => return self.later(halt),
            }
        }
        let verdict = match verdict {
            Outcome::Failed { failure } => Outcome::Failed { failure: Failure { serving, ..failure } },
            other => other,
        };
        let running = work.running.as_ref().map(|running| running.plan.as_ref());
        let ports = super::check::fixed_ports(running, &work.infrastructure);
        let reserve = !ports.is_empty() || work.ports_held > 0 || self.has_fixed_ports(work);
        let deployment = work.deployment.clone();
        self.end(verdict, move |tx| {
            if reserve {
                store::deployment::port::reserve(tx, &deployment, &ports)?;
            }
            Ok(())
        })
        .await
    }

    fn has_fixed_ports(&self, work: &Work) -> bool {
        !super::check::fixed_ports([work.plan.as_ref()], &work.infrastructure).is_empty()
    }

    pub(super) fn tell_verdict(&self, verdict: &Outcome) {
        match verdict {
            Outcome::Failed { failure } => {
                self.journal.complain(format!("{} {}", failure.message, failure.hint));
                self.journal.failed(&failure.message);
            }
            Outcome::Cancelled { by } => {
                self.journal.say(format!("Cancelled by {by}."));
                self.journal.failed("Cancelled.");
            }
            Outcome::Succeeded => {}
        }
    }

    /// Writes how the update will end before anything is taken back.
    pub(super) async fn doom(&self, verdict: &Outcome) -> Result<(), Halt> {
        let (id, number, verdict) = (self.update.deployment.clone(), self.update.number, verdict.clone());
        let entries = self.journal.take();
        let write = self.shared.store.write(move |tx| {
            entries.write(tx, &id, number)?;
            store::run::doom(tx, &id, number, &verdict)
        });
        Ok(write.await?)
    }

    /// Brings back what ran; answers what could not be brought back, in words.
    async fn take_back(&self, work: &Work, definition: Option<&Definition>) -> Result<Option<String>, Halt> {
        let fresh = self.fresh(work, definition).await?;
        let retired = self.retire_all(work, fresh).await?;
        if retired > 0 {
            self.journal.say(format!("{} of this update removed", words::count(retired, "replica")));
        }
        let Some(running) = &work.running else {
            self.release(work).await?;
            return Ok(None);
        };
        if let Err(error) = self.revive(work, running).await {
            if error.is_transient() {
                return Err(Halt::Silent(error));
            }
            let wrong = format!("Update {} could not be started again: {error}.", running.number);
            self.journal.complain(&wrong);
            return Ok(Some(wrong));
        }
        self.switch_back(work, running).await?;
        Ok(None)
    }

    /// Slots that this update brought: those it wants and what runs does not, seen or not, and any other of the
    /// workload that what runs does not want.
    async fn fresh(&self, work: &Work, definition: Option<&Definition>) -> Result<BTreeSet<SlotRef>, Halt> {
        let wanted: BTreeSet<SlotRef> = match definition.filter(|_| self.is_touched()) {
            Some(definition) => definition.slots().collect(),
            None => BTreeSet::new(),
        };
        let observed = self.observed(work).await?;
        let slots = self.shared.table.slots(&work.infrastructure.id, &work.deployment.id);
        let kept =
            |slot: &SlotRef| work.running.as_ref().is_some_and(|running| running.wants_now(slot, &slots));
        Ok(wanted.into_iter().chain(observed).filter(|slot| !kept(slot)).collect())
    }

    /// Starts replicas again that were stopped for their successors; those that run are left as they are.
    async fn revive(&self, work: &Work, running: &Definition) -> EngineResult<()> {
        let slots: Vec<SlotRef> = running.slots().filter(|slot| !running.is_task(&slot.service)).collect();
        work.engine.revive(&slots).await
    }

    /// Gives back the network that was prepared for a first deployment, if the engine answers: an empty network does
    /// no harm.
    async fn release_unused(&self, work: &Work) {
        if work.running.is_some() || !self.prepared.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = work.engine.release(&work.deployment.id, false).await {
            self.journal.say(format!("The prepared network stays for now: {error}"));
        }
    }

    /// Gives what ran its traffic back, where the switch may have begun to move it.
    async fn switch_back(&self, work: &Work, running: &Definition) -> Result<(), Halt> {
        if !self.moved.load(Ordering::Relaxed) {
            return Ok(());
        }
        let replicated = |name: &&ServiceName| !running.is_task(name);
        for name in running.plan.workload.services.keys().filter(replicated) {
            let request = self.bare_request(running, name)?;
            match work.engine.switch(&request).await {
                Err(error) if error.is_transient() => return Err(Halt::Silent(error)),
                Err(error) => {
                    self.journal.complain(format!("{name}: traffic could not be given back: {error}"))
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }
}
