//! Starts services as soon as what they depend on allows, independent ones at once.
//!
//! A call that makes an engine start something is never dropped half-way: when one service fails, the others stop
//! waiting, but calls under way are let finish, so that what has to be undone is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::load::Work;
use super::run::{Halt, Run};
use super::verify::{Aim, Slot};
use super::words;
use crate::domain::Error;
use crate::domain::name::ServiceName;
use crate::domain::update::Step;
use crate::domain::workload::Condition;
use crate::engine::{Ensured, Phase};
use crate::reconcile::definition::Definition;

/// What starting each service found and did.
pub(super) type Started = BTreeMap<ServiceName, Ensured>;

/// What the services of one run tell each other.
struct Together<'a> {
    work: &'a Work,
    definition: &'a Definition,
    /// Services whose replicas were all started.
    started: watch::Sender<BTreeSet<ServiceName>>,
    /// Set when one has failed.
    over: CancellationToken,
}

impl Run {
    /// Starts every service of the definition in the order of `depends_on`.
    pub(super) async fn start(&self, work: &Work, definition: &Definition) -> Result<Started, Halt> {
        self.journal.begin(Step::Start);
        let together =
            Together { work, definition, started: watch::Sender::default(), over: CancellationToken::new() };
        let services = definition.plan.workload.services.keys();
        let mut running: FuturesUnordered<_> =
            services.map(|name| self.start_service(&together, name)).collect();
        let (mut started, mut halt) = (Started::new(), None);
        while let Some(result) = running.next().await {
            match result {
                Ok((name, ensured)) => {
                    started.insert(name, ensured);
                }
                Err(stopped) => {
                    together.over.cancel();
                    if !matches!(stopped, Halt::Aside) {
                        halt.get_or_insert(stopped);
                    }
                }
            }
        }
        if let Some(halt) = halt {
            return Err(halt);
        }
        let fresh: usize = started.values().map(|ensured| ensured.fresh.len()).sum();
        let slots: usize = started.values().map(|ensured| ensured.slots.len()).sum();
        self.journal.done(match fresh {
            0 => format!("{} run already; nothing to start.", words::count(slots, "replica")),
            _ => format!("{} started, {} kept.", words::count(fresh, "replica"), slots.saturating_sub(fresh)),
        });
        Ok(started)
    }

    async fn start_service(
        &self,
        together: &Together<'_>,
        name: &ServiceName,
    ) -> Result<(ServiceName, Ensured), Halt> {
        let ready = tokio::select! {
            ready = self.dependencies(together, name) => ready,
            halt = self.interruption() => Err(halt),
            () = together.over.cancelled() => Err(Halt::Aside),
        };
        ready?;
        self.clear_failed_task(together, name).await?;
        let request = self.request(together.work, together.definition, name).await?;
        let turn = self.shared.turns.acquire().await.map_err(Error::internal)?;
        if together.over.is_cancelled() {
            return Err(Halt::Aside);
        }
        self.recheck(together.work).await?;
        self.touched.store(true, Ordering::Relaxed);
        let ensured = together.work.engine.ensure(&request).await;
        drop(turn);
        let ensured = ensured.map_err(|error| self.service_halt(error, name))?;
        self.tell_ensured(name, &ensured);
        together.started.send_modify(|started| {
            started.insert(name.clone());
        });
        Ok((name.clone(), ensured))
    }

    /// An engine's error, of one service.
    pub(super) fn service_halt(&self, error: crate::engine::EngineError, name: &ServiceName) -> Halt {
        match self.engine_halt(error) {
            Halt::Failed(failure) => Halt::Failed(words::of_service(failure, name)),
            other => other,
        }
    }

    fn tell_ensured(&self, name: &ServiceName, ensured: &Ensured) {
        if !ensured.stopped.is_empty() {
            let stopped = words::count(ensured.stopped.len(), "replica");
            self.journal.say(format!("{name}: {stopped} stopped first, kept to be started again on failure"));
        }
        if ensured.fresh.is_empty() {
            self.journal
                .say(format!("{name}: unchanged, {} kept", words::count(ensured.slots.len(), "replica")));
        } else {
            self.journal.say(format!("{name}: {} started", words::count(ensured.fresh.len(), "replica")));
        }
    }

    /// Waits until every condition of the service's `depends_on` holds.
    async fn dependencies(&self, together: &Together<'_>, name: &ServiceName) -> Result<(), Halt> {
        let Some(service) = together.definition.plan.workload.services.get(name) else {
            return Ok(());
        };
        for (on, dependency) in &service.depends_on {
            if !together.definition.plan.workload.services.contains_key(on) {
                continue;
            }
            let held = self.dependency(together, on, dependency.condition).await;
            match held {
                Err(Halt::Failed(failure)) if !dependency.required => {
                    self.journal.complain(format!("{name} starts without {on}: {}", failure.message));
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn dependency(
        &self,
        together: &Together<'_>,
        on: &ServiceName,
        condition: Condition,
    ) -> Result<(), Halt> {
        let mut started = together.started.subscribe();
        if started.wait_for(|started| started.contains(on)).await.is_err() {
            return Err(Halt::Aside);
        }
        let aim = match condition {
            Condition::Started => return Ok(()),
            Condition::Healthy => Aim::Ready,
            Condition::CompletedSuccessfully => Aim::Completed,
        };
        let wanted = Slot::of_service(together.definition, on, &self.shared.settings);
        self.await_slots(together.work, &wanted, aim).await
    }

    /// Removes a task that an earlier update left failed: `ensure` leaves a task that has ended as it is, so that this
    /// update's own is never run twice, and an update that is tried again would fail for ever. One that may end as it likes
    /// has not failed.
    async fn clear_failed_task(&self, together: &Together<'_>, name: &ServiceName) -> Result<(), Halt> {
        let (work, definition) = (together.work, together.definition);
        let service = definition.plan.workload.services.get(name);
        if !definition.is_task(name) || service.is_some_and(|service| service.any_end) {
            return Ok(());
        }
        let slots = self.shared.table.slots(&work.infrastructure.id, &work.deployment.id);
        let failed = slots.iter().map(|seen| &seen.state).filter(|state| {
            let ended_badly = matches!(state.phase, Phase::Exited { code, .. } if code != 0);
            ended_badly && state.revision != definition.number && definition.wants(&state.slot)
        });
        for state in failed.filter(|state| state.slot.service == *name) {
            self.journal.say(format!("{name}: it failed before, and is run again"));
            let _turn = self.shared.turns.acquire().await.map_err(Error::internal)?;
            self.recheck(work).await?;
            self.touched.store(true, Ordering::Relaxed);
            let retired = work.engine.retire(&state.slot).await;
            retired.map_err(|error| self.service_halt(error, name))?;
        }
        Ok(())
    }
}
