//! The point of no return: written down first, then the traffic moves.

use std::sync::atomic::Ordering;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::load::Work;
use super::run::{Halt, Run};
use super::start::Started;
use super::words;
use crate::domain::name::ServiceName;
use crate::domain::update::Step;
use crate::domain::{Error, Result};
use crate::reconcile::definition::Definition;
use crate::store;

impl Run {
    /// Gives fresh replicas the traffic. Up to the commit at the start of this, the update can be cancelled.
    pub(super) async fn switch(
        &self,
        work: &Work,
        definition: &Definition,
        started: &Started,
    ) -> Result<(), Halt> {
        self.journal.begin(Step::Switch);
        self.recheck(work).await?;
        self.pass_the_point(Some(definition)).await?;
        let moving = self.moving(work, definition, started);
        self.moved.store(!moving.is_empty(), Ordering::Relaxed);
        let mut calls: FuturesUnordered<_> =
            moving.iter().map(|name| self.switch_service(work, definition, name)).collect();
        while let Some(result) = calls.next().await {
            result?;
        }
        self.journal.done(match moving.as_slice() {
            [] => "No traffic had to move.".to_owned(),
            names => format!("Traffic goes to the new replicas of {}.", words::names(names.iter().copied())),
        });
        Ok(())
    }

    /// Commits that there is no way back by cancelling, with the resolution and all that the journal holds.
    pub(super) async fn pass_the_point(&self, definition: Option<&Definition>) -> Result<(), Halt> {
        let (id, number) = (self.update.deployment.clone(), self.update.number);
        let resolution = definition.map(|definition| store::row::json(&definition.resolution));
        let entries = self.journal.take();
        let write = self.shared.store.write(move |tx| {
            entries.write(tx, &id, number)?;
            if let Some(resolution) = &resolution {
                store::update::set_resolution(tx, &id, number, resolution)?;
            }
            store::run::switch(tx, &id, number)
        });
        match write.await? {
            Some(by) => Err(Halt::Cancelled { by }),
            None => Ok(()),
        }
    }

    /// Services with replicas that do not have the traffic yet. In a first deployment they have it from the start.
    fn moving<'a>(&self, work: &Work, definition: &'a Definition, started: &Started) -> Vec<&'a ServiceName> {
        let first = work.running.is_none() && !self.is_resumed();
        let fresh = |name: &ServiceName| started.get(name).is_some_and(|ensured| !ensured.fresh.is_empty());
        let services = definition.plan.workload.services.keys();
        services
            .filter(|name| !definition.is_task(name) && !first && (self.is_resumed() || fresh(name)))
            .collect()
    }

    async fn switch_service(
        &self,
        work: &Work,
        definition: &Definition,
        name: &ServiceName,
    ) -> Result<(), Halt> {
        let request = self.bare_request(definition, name)?;
        let _turn = self.shared.turns.acquire().await.map_err(Error::internal)?;
        work.engine.switch(&request).await.map_err(|error| self.service_halt(error, name))
    }
}
