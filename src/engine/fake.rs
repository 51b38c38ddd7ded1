//! A stateful engine in memory, for fast tests and for trying the console without Docker.
//!
//! It keeps to the same contract as the real engines and runs under the same conformance suite. Nothing waits: a
//! health check settles at once, a task ends at once. Clones share one world, as two processes share one engine, so
//! that a test can throw one reconciler away and start another. [`Controls`] makes it misbehave.

mod controls;
mod prepare;
mod program;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::domain::clock::SharedClock;
use crate::domain::name::DeploymentId;
use crate::domain::workload::ServiceKind;
use crate::engine::slots::{self, Found};
use crate::engine::{
    ContainerLine, Cursor, Engine, EngineError, EngineEvent, EngineReport, EngineResult, Ensured, LogOptions,
    Phase, PrepareRequest, Progress, Resolution, ServiceRequest, SlotRef, Snapshot, Stats,
};
pub use controls::{Controls, Faults};
use world::{Shared, World};

/// The engine. Clones share one world.
#[derive(Clone)]
pub struct FakeEngine {
    shared: Arc<Shared>,
}

impl FakeEngine {
    /// An empty world whose times come from `clock`.
    pub fn new(clock: SharedClock) -> Self {
        let shared = Arc::new(Shared::new(clock));
        Self { shared }
    }

    /// The handle for tests.
    pub fn controls(&self) -> Controls {
        let shared = Arc::clone(&self.shared);
        Controls { shared }
    }

    /// Notes a call, waits as long as calls take, and goes on where the engine is up.
    async fn call(&self, what: impl FnOnce() -> Option<String>) -> EngineResult<()> {
        let delay = self.shared.world().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut world = self.shared.world();
        world.calls.extend(what());
        world.up()
    }

    /// Changes the world and rings the bell.
    fn change<T>(&self, change: impl FnOnce(&mut World) -> EngineResult<T>) -> EngineResult<T> {
        let changed = change(&mut self.shared.world());
        self.shared.wake();
        changed
    }
}

#[async_trait]
impl Engine for FakeEngine {
    async fn check(&self) -> EngineResult<EngineReport> {
        self.call(|| None).await?;
        Ok(EngineReport {
            version: "Fake 1".into(),
            api_version: "1".into(),
            cpus: 4,
            memory_bytes: 8 << 30,
            missing: Vec::new(),
            warnings: Vec::new(),
        })
    }

    async fn prepare(&self, request: &PrepareRequest, progress: &dyn Progress) -> EngineResult<Resolution> {
        self.call(|| Some(format!("prepare {}", request.plan.deployment))).await?;
        self.change(|world| prepare::prepare(world, request, progress))
    }

    async fn ensure(&self, request: &ServiceRequest) -> EngineResult<Ensured> {
        self.call(|| Some(format!("ensure {}/{}", request.workload, request.name))).await?;
        self.change(|world| ensure(world, request))
    }

    async fn switch(&self, request: &ServiceRequest) -> EngineResult<()> {
        self.call(|| Some(format!("switch {}/{}", request.workload, request.name))).await?;
        self.change(|world| switch(world, request))
    }

    async fn revive(&self, slots: &[SlotRef]) -> EngineResult<()> {
        self.call(|| Some(format!("revive {}", slots.len()))).await?;
        self.change(|world| {
            for slot in slots {
                let stands = world
                    .state(slot)
                    .is_ok_and(|state| matches!(state.phase, Phase::Exited { .. } | Phase::Created));
                if stands {
                    world.start(slot)?;
                }
            }
            Ok(())
        })
    }

    async fn halt(&self, slot: &SlotRef) -> EngineResult<()> {
        self.call(|| Some(format!("halt {}/{}/{}", slot.workload, slot.service, slot.index))).await?;
        self.change(|world| {
            if let Some(error) = world.faults(&slot.service).retire {
                return Err(error);
            }
            world.halt(slot);
            Ok(())
        })
    }

    async fn retire(&self, slot: &SlotRef) -> EngineResult<()> {
        self.call(|| Some(format!("retire {}/{}/{}", slot.workload, slot.service, slot.index))).await?;
        self.change(|world| {
            if let Some(error) = world.faults(&slot.service).retire {
                return Err(error);
            }
            world.remove(slot);
            Ok(())
        })
    }

    async fn release(&self, workload: &DeploymentId, volumes: bool) -> EngineResult<()> {
        self.call(|| Some(format!("release {workload}"))).await?;
        self.change(|world| {
            let left = world.states().iter().filter(|state| state.slot.workload == *workload).count();
            if left > 0 {
                return Err(EngineError::Refused(format!("{left} replicas of {workload} are left")));
            }
            world.networks.remove(workload);
            world.tags.remove(workload);
            world.volumes.retain(|(owner, _)| owner != workload || !volumes);
            Ok(())
        })
    }

    async fn forget_images(&self, workload: &DeploymentId, keep: &BTreeSet<String>) -> EngineResult<()> {
        self.call(|| Some(format!("forget_images {workload}"))).await?;
        self.change(|world| {
            if let Some(tags) = world.tags.get_mut(workload) {
                tags.retain(|id| keep.contains(id));
            }
            Ok(())
        })
    }

    async fn snapshot(&self) -> EngineResult<Snapshot> {
        self.call(|| None).await?;
        let world = self.shared.world();
        Ok(Snapshot {
            slots: world.states(),
            objects: world.objects(),
            cursor: Cursor(format!("{}.{}", world.epoch, world.events.len())),
        })
    }

    async fn watch(&self, cursor: &Cursor) -> EngineResult<BoxStream<'static, EngineResult<EngineEvent>>> {
        self.call(|| None).await?;
        let place =
            cursor.0.split_once('.').and_then(|(epoch, at)| Some((epoch.parse().ok()?, at.parse().ok()?)));
        let Some((epoch, at)) = place else {
            return Err(EngineError::Unreachable(format!("{:?} is no place in the events", cursor.0)));
        };
        Ok(events(Arc::clone(&self.shared), epoch, at))
    }

    async fn logs(
        &self,
        slot: &SlotRef,
        options: &LogOptions,
    ) -> EngineResult<BoxStream<'static, EngineResult<Vec<ContainerLine>>>> {
        self.call(|| None).await?;
        self.shared.world().state(slot)?;
        Ok(lines(Arc::clone(&self.shared), slot.clone(), options.clone()))
    }

    async fn stats(&self, slot: &SlotRef) -> EngineResult<Stats> {
        self.call(|| None).await?;
        let world = self.shared.world();
        let request = world.request(slot).ok_or(EngineError::NoSuchSlot)?;
        Ok(Stats {
            cpus: 0.1,
            memory_bytes: 16 << 20,
            memory_limit_bytes: request.service.resources.memory_limit_bytes.unwrap_or(0),
            pids: 1,
        })
    }

    async fn connect(&self, slot: &SlotRef, port: u16) -> EngineResult<std::net::SocketAddr> {
        self.call(|| None).await?;
        let world = self.shared.world();
        world.state(slot)?;
        let refused = || EngineError::Unreachable(format!("nothing listens on port {port}"));
        world.faults(&slot.service).answers_at.ok_or_else(refused)
    }
}

fn ensure(world: &mut World, request: &ServiceRequest) -> EngineResult<Ensured> {
    let faults = world.faults(&request.name);
    let of_service = |slot: &SlotRef| slot.workload == request.workload && slot.service == request.name;
    let states = world.states().into_iter().filter(|state| of_service(&state.slot));
    let found: Vec<Found> =
        states.map(|state| Found { slot: state.slot, phase: state.phase, serving: state.serving }).collect();
    let steps = slots::decide(request, &found);
    for slot in &steps.stop {
        let code = 143;
        world.set_phase(slot, Phase::Exited { code, oom_killed: false }, "die");
    }
    let replaced = steps.replace.iter().filter(|slot| world.remove(slot)).count();
    debug_assert_eq!(replaced, steps.replace.len(), "what was found is there");
    let mut fresh = Vec::new();
    for slot in steps.start.iter().chain(&steps.replace).chain(&steps.make) {
        if let Some(error) = faults.ensure.as_ref().filter(|_| fresh.len() >= faults.ensure_after as usize) {
            return Err(error.clone());
        }
        if world.state(slot).is_err() {
            world.make(request, slot, steps.serve_at_once)?;
        }
        world.start(slot)?;
        fresh.push(slot.clone());
    }
    for slot in &steps.keep {
        world.set_drift_away(slot);
    }
    let mut slots: Vec<SlotRef> = steps.keep.into_iter().chain(fresh.iter().cloned()).collect();
    slots.sort();
    fresh.sort();
    Ok(Ensured {
        slots,
        fresh,
        stopped: steps.stop.into_iter().chain(steps.stopped).collect(),
        superseded: steps.superseded,
    })
}

fn switch(world: &mut World, request: &ServiceRequest) -> EngineResult<()> {
    if let Some(error) = world.faults(&request.name).switch {
        return Err(error);
    }
    let replicas = if request.service.kind == ServiceKind::Task { 1 } else { request.service.replicas };
    let wanted: BTreeSet<SlotRef> = (0..replicas).map(|index| slots::slot(request, index)).collect();
    for slot in &wanted {
        world.state(slot)?;
    }
    let all: BTreeMap<SlotRef, bool> = world
        .states()
        .into_iter()
        .filter(|state| state.slot.workload == request.workload && state.slot.service == request.name)
        .map(|state| (state.slot.clone(), wanted.contains(&state.slot)))
        .collect();
    for (slot, serving) in all {
        world.set_serving(&slot, serving);
    }
    Ok(())
}

fn events(shared: Arc<Shared>, epoch: u64, at: usize) -> BoxStream<'static, EngineResult<EngineEvent>> {
    let bell = shared.bell();
    let state = Some((shared, bell, at));
    stream::unfold(state, move |state| async move {
        let (shared, mut bell, at) = state?;
        loop {
            bell.mark_unchanged();
            {
                let world = shared.world();
                if let Err(error) = world.up() {
                    return Some((Err(error), None));
                }
                if world.epoch != epoch {
                    let error = EngineError::Unreachable("events were lost".into());
                    return Some((Err(error), None));
                }
                if let Some(event) = world.events.get(at).cloned() {
                    drop(world);
                    return Some((Ok(event), Some((shared, bell, at + 1))));
                }
            }
            bell.changed().await.ok()?;
        }
    })
    .boxed()
}

fn lines(
    shared: Arc<Shared>,
    slot: SlotRef,
    options: LogOptions,
) -> BoxStream<'static, EngineResult<Vec<ContainerLine>>> {
    let bell = shared.bell();
    let start = {
        let world = shared.world();
        let there = world.lines(&slot).map_or(0, <[_]>::len);
        options.tail.map_or(0, |tail| there.saturating_sub(tail as usize))
    };
    let state = Some((shared, bell, slot, options, start));
    stream::unfold(state, move |state| async move {
        let (shared, mut bell, slot, options, at) = state?;
        let nanos = |time: chrono::DateTime<chrono::Utc>| time.timestamp_nanos_opt().unwrap_or(0);
        loop {
            bell.mark_unchanged();
            let (new, ended) = {
                let world = shared.world();
                let all = world.lines(&slot).unwrap_or_default();
                let new = all.get(at..).unwrap_or_default().to_vec();
                let ended = world.state(&slot).map_or(true, |state| state.ended_at.is_some());
                (new, ended)
            };
            let next = at + new.len();
            let after =
                |line: &ContainerLine| options.since.is_none_or(|since| line.at_nanos >= nanos(since));
            let before =
                |line: &ContainerLine| options.until.is_none_or(|until| line.at_nanos < nanos(until));
            let batch: Vec<ContainerLine> =
                new.into_iter().filter(|line| after(line) && before(line)).collect();
            let over = !options.follow || ended;
            if !batch.is_empty() {
                let state = (!over).then_some((shared, bell, slot, options, next));
                return Some((Ok(batch), state));
            }
            if over {
                return None;
            }
            bell.changed().await.ok()?;
        }
    })
    .boxed()
}
