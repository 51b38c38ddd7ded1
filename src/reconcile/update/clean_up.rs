//! Removing what the update replaced, and stopping everything. Nothing here takes the new revision back: what can't
//! be removed is said, and left to the orphan reconciler.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

use super::load::Work;
use super::run::{Halt, Run};
use super::start::Started;
use super::words;
use crate::domain::name::ServiceName;
use crate::domain::plan::Plan;
use crate::domain::update::Step;
use crate::domain::{Error, Result};
use crate::engine::{EngineError, Resolution, SlotRef};
use crate::reconcile::definition::Definition;
use crate::reconcile::table::Reach;
use crate::store;

/// How long a run waits for the observer's first list, which it needs to know what is there.
const FIRST_LIST: Duration = Duration::from_secs(10);

impl Run {
    /// Retires every replica of the workload that the definition does not want, then forgets old images.
    pub(super) async fn clean_up(
        &self,
        work: &Work,
        definition: &Definition,
        started: &Started,
    ) -> Result<(), Halt> {
        self.journal.begin(Step::CleanUp);
        let observed = self.observed(work).await?;
        let slots = self.shared.table.slots(&work.infrastructure.id, &work.deployment.id);
        let replaced = started.values().flat_map(|ensured| ensured.superseded.iter().chain(&ensured.stopped));
        let unwanted: BTreeSet<SlotRef> =
            replaced.cloned().chain(observed).filter(|slot| !definition.wants_now(slot, &slots)).collect();
        let retired = self.retire_all(work, unwanted).await?;
        self.forget_images(work).await;
        self.journal.done(match retired {
            0 => "Nothing to remove.".to_owned(),
            _ => format!("{} removed.", words::count(retired, "old replica")),
        });
        Ok(())
    }

    /// Stops and removes everything of the workload; volumes stay.
    pub(super) async fn stop_all(&self, work: &Work) -> Result<(), Halt> {
        self.journal.begin(Step::Switch);
        self.recheck(work).await?;
        self.pass_the_point(None).await?;
        self.journal.done("From here on it stops.");
        self.journal.begin(Step::CleanUp);
        let observed = self.observed(work).await?;
        let derived = work.running.iter().flat_map(Definition::slots);
        let all: BTreeSet<SlotRef> = observed.into_iter().chain(derived).collect();
        let plan = work.running.as_ref().map_or(&work.plan, |running| &running.plan);
        let mut retired = 0;
        for level in stop_order(plan, &all) {
            retired += self.retire_all(work, level).await?;
        }
        let volumes = if self.release(work).await? { "volumes too" } else { "volumes stay" };
        self.journal.done(format!("{} stopped and removed; {volumes}.", words::count(retired, "replica")));
        Ok(())
    }

    /// The workload's replicas, once the engine was listed since the start.
    pub(super) async fn observed(&self, work: &Work) -> Result<Vec<SlotRef>, Halt> {
        let mut reach = self.shared.table.reach(&work.infrastructure.id);
        let listed = timeout(FIRST_LIST, reach.wait_for(|reach| *reach == Reach::Reachable)).await.is_ok();
        if !listed {
            let error = EngineError::Unreachable("it was not listed yet".to_owned());
            return Err(Halt::Silent(error));
        }
        let slots = self.shared.table.slots(&work.infrastructure.id, &work.deployment.id);
        Ok(slots.iter().map(|seen| seen.state.slot.clone()).collect())
    }

    /// Retires slots, several at once; says how many. One that the engine refuses to remove is told and left.
    pub(super) async fn retire_all(
        &self,
        work: &Work,
        slots: impl IntoIterator<Item = SlotRef>,
    ) -> Result<usize, Halt> {
        let mut calls: FuturesUnordered<_> = slots.into_iter().map(|slot| self.retire(work, slot)).collect();
        let (mut retired, mut halt) = (0, None);
        while let Some(result) = calls.next().await {
            match result {
                Ok(true) => retired += 1,
                Ok(false) => {}
                Err(stopped) => {
                    halt.get_or_insert(stopped);
                }
            }
        }
        match halt {
            Some(halt) => Err(halt),
            None => Ok(retired),
        }
    }

    async fn retire(&self, work: &Work, slot: SlotRef) -> Result<bool, Halt> {
        let _turn = self.shared.turns.acquire().await.map_err(Error::internal)?;
        match work.engine.retire(&slot).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_transient() => Err(Halt::Silent(error)),
            Err(error) => {
                let (service, index) = (&slot.service, slot.index);
                self.journal.complain(format!("{service}: replica {index} could not be removed: {error}"));
                Ok(false)
            }
        }
    }

    /// Gives the workload's network back; with its volumes where it is an execution, which nothing starts again. Answers
    /// whether they went.
    pub(super) async fn release(&self, work: &Work) -> Result<bool, Halt> {
        let volumes = !work.deployment.enabled && work.deployment.source.execution().is_some();
        match work.engine.release(&work.deployment.id, volumes).await {
            Err(error) if error.is_transient() => Err(Halt::Silent(error)),
            Err(error) => {
                self.journal.complain(format!("The network could not be removed: {error}"));
                Ok(volumes)
            }
            Ok(()) => Ok(volumes),
        }
    }

    /// Takes our tags off images that no retained revision needs. It is housekeeping: no failure of it counts.
    async fn forget_images(&self, work: &Work) {
        let (id, retained) = (work.deployment.id.clone(), self.shared.settings.retained.max(1));
        let (update, number) = (id.clone(), self.update.number);
        let read = self.shared.store.read(move |db| {
            let mut kept = store::run::kept_resolutions(db, &id, retained)?;
            kept.extend(store::update::resolution(db, &update, number)?);
            Ok(kept)
        });
        let Ok(kept) = read.await else { return };
        if kept.len() <= retained as usize {
            return;
        }
        let images = |text: &String| serde_json::from_str::<Resolution>(text).map(|kept| kept.images);
        let Ok(images) = kept.iter().map(images).collect::<Result<Vec<_>, _>>() else {
            return;
        };
        let keep: BTreeSet<String> =
            images.into_iter().flat_map(|images| images.into_values().map(|image| image.id)).collect();
        if let Err(error) = work.engine.forget_images(&work.deployment.id, &keep).await {
            self.journal.say(format!("Old images stay for now: {error}"));
        }
    }
}

/// Slots in the order in which they stop: what depends on others first, each level at once.
fn stop_order(plan: &Plan, slots: &BTreeSet<SlotRef>) -> Vec<Vec<SlotRef>> {
    let services = &plan.workload.services;
    let mut left: BTreeSet<&ServiceName> = slots.iter().map(|slot| &slot.service).collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let needed = |name: &ServiceName| {
            left.iter().any(|other| {
                services.get(*other).is_some_and(|service| service.depends_on.contains_key(name))
            })
        };
        let free: BTreeSet<&ServiceName> = left.iter().copied().filter(|name| !needed(name)).collect();
        // A circle can't be planned; were there one, it stops at once.
        let level = if free.is_empty() { left.clone() } else { free };
        order.push(slots.iter().filter(|slot| level.contains(&slot.service)).cloned().collect());
        left.retain(|name| !level.contains(name));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::workload::{Condition, Dependency, Image, Service};
    use crate::reconcile::definition::testing;

    #[test]
    fn dependents_stop_first() {
        let started = Dependency { condition: Condition::Started, required: true };
        let service = |on: &[&str]| Service {
            depends_on: on.iter().map(|name| (name.parse().unwrap(), started)).collect(),
            ..Service::new(Image::Reference("i".into()))
        };
        let services =
            [("api", service(&["db", "queue"])), ("db", service(&[])), ("queue", service(&["db"]))];
        let definition = testing::definition(1, services);
        let order = stop_order(&definition.plan, &definition.slots().collect());
        let names: Vec<Vec<&str>> =
            order.iter().map(|level| level.iter().map(|slot| slot.service.as_str()).collect()).collect();
        assert_eq!(names, [vec!["api"], vec!["queue"], vec!["db"]]);
    }
}
