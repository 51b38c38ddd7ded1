//! The fake engine's state and how it changes; no IO and no waiting here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use secrecy::ExposeSecret;

use crate::domain::clock::SharedClock;
use crate::domain::name::{DeploymentId, ServiceName, VolumeName};
use crate::domain::policy::Profile;
use crate::domain::workload::{EnvValue, HealthTest, Restart, ServiceKind};
use crate::engine::fake::controls::Faults;
use crate::engine::fake::program::{self, Surroundings};
use crate::engine::{
    Condition, ContainerLine, Endpoint, EngineError, EngineEvent, EngineObject, EngineResult, FileContent,
    LogStream, Phase, ServiceRequest, SlotRef, SlotState, label,
};

/// The world behind a lock, and a bell that rings on every change.
pub(super) struct Shared {
    world: Mutex<World>,
    bell: tokio::sync::watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { world: Mutex::new(World::new(clock)), bell: tokio::sync::watch::Sender::new(0) }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self) {
        self.bell.send_modify(|count| *count += 1);
    }

    pub(super) fn bell(&self) -> tokio::sync::watch::Receiver<u64> {
        self.bell.subscribe()
    }
}

/// Files that a service's image carries, by workload, service and absolute path.
pub(super) type ImageFiles = BTreeMap<(DeploymentId, ServiceName), BTreeMap<String, Bytes>>;

pub(super) struct World {
    clock: SharedClock,
    slots: BTreeMap<SlotRef, Slot>,
    pub(super) networks: BTreeSet<DeploymentId>,
    pub(super) volumes: BTreeSet<(DeploymentId, VolumeName)>,
    pub(super) tags: BTreeMap<DeploymentId, BTreeSet<String>>,
    pub(super) files: ImageFiles,
    pub(super) events: Vec<EngineEvent>,
    pub(super) faults: BTreeMap<ServiceName, Faults>,
    pub(super) calls: Vec<String>,
    pub(super) down: bool,
    /// Streams of an older epoch have lost events.
    pub(super) epoch: u64,
    pub(super) delay: Duration,
    made: u64,
}

struct Slot {
    request: ServiceRequest,
    /// Whether it joined its network with the service's name: it serves as long as it is up, too.
    named: bool,
    state: SlotState,
    lines: Vec<ContainerLine>,
}

impl World {
    fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            slots: BTreeMap::new(),
            networks: BTreeSet::new(),
            volumes: BTreeSet::new(),
            tags: BTreeMap::new(),
            files: BTreeMap::new(),
            events: Vec::new(),
            faults: BTreeMap::new(),
            calls: Vec::new(),
            down: false,
            epoch: 0,
            delay: Duration::ZERO,
            made: 0,
        }
    }

    /// `Unreachable` while the engine is down.
    pub(super) fn up(&self) -> EngineResult<()> {
        if self.down {
            return Err(EngineError::Unreachable("the fake engine was switched off".into()));
        }
        Ok(())
    }

    pub(super) fn faults(&self, service: &ServiceName) -> Faults {
        self.faults.get(service).cloned().unwrap_or_default()
    }

    pub(super) fn states(&self) -> Vec<SlotState> {
        self.slots.values().map(|slot| slot.state.clone()).collect()
    }

    /// The objects behind the slots, each with its workload.
    pub(super) fn objects(&self) -> Vec<(DeploymentId, EngineObject)> {
        let objects = self.slots.iter().map(|(slot, found)| (slot.workload.clone(), object(found)));
        objects.collect()
    }

    pub(super) fn state(&self, slot: &SlotRef) -> EngineResult<&SlotState> {
        let found = self.slots.get(slot).ok_or(EngineError::NoSuchSlot)?;
        Ok(&found.state)
    }

    pub(super) fn request(&self, slot: &SlotRef) -> Option<ServiceRequest> {
        Some(self.slots.get(slot)?.request.clone())
    }

    pub(super) fn lines(&self, slot: &SlotRef) -> Option<&[ContainerLine]> {
        Some(&self.slots.get(slot)?.lines)
    }

    /// Makes a slot that is not there yet.
    pub(super) fn make(&mut self, request: &ServiceRequest, slot: &SlotRef, named: bool) -> EngineResult<()> {
        let endpoints = self.endpoints(request)?;
        self.made += 1;
        let state = SlotState {
            slot: slot.clone(),
            engine_id: format!("{:064x}", self.made),
            revision: request.revision,
            phase: Phase::Created,
            started_at: None,
            ended_at: None,
            restarts: 0,
            detail: String::new(),
            image_id: request.image.id.clone(),
            endpoints,
            serving: false,
            drift: None,
            autoscaled: None,
        };
        let lines = Vec::new();
        let request = request.clone();
        self.slots.insert(slot.clone(), Slot { request, named, state, lines });
        Ok(())
    }

    /// Fixed ports as asked, others from 40000 on.
    fn endpoints(&self, request: &ServiceRequest) -> EngineResult<Vec<Endpoint>> {
        let running = self
            .slots
            .values()
            .filter(|slot| slot.state.started_at.is_some() && slot.state.ended_at.is_none());
        let mut taken: BTreeSet<u16> = running
            .flat_map(|slot| slot.state.endpoints.iter().filter_map(|endpoint| endpoint.host_port))
            .collect();
        let mut endpoints = Vec::new();
        for port in &request.service.ports {
            let host_port = match port.host_port {
                Some(fixed) if taken.contains(&fixed) => {
                    let detail = "another replica publishes it".to_owned();
                    return Err(EngineError::PortTaken { port: fixed, detail });
                }
                Some(fixed) => fixed,
                None => (40_000..=u16::MAX).find(|free| !taken.contains(free)).unwrap_or(40_000),
            };
            taken.insert(host_port);
            let ip = port.host_ip.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into());
            endpoints.push(Endpoint::of_host(port.container_port, port.protocol, ip, host_port));
        }
        Ok(endpoints)
    }

    /// Starts a slot: its program runs until it ends or waits, and its health check is settled.
    pub(super) fn start(&mut self, slot: &SlotRef) -> EngineResult<()> {
        let Some(found) = self.slots.get(slot) else {
            return Err(EngineError::NoSuchSlot);
        };
        let request = found.request.clone();
        let faults = self.faults(&slot.service);
        let around = self.surroundings(&request);
        let argv = [&request.service.entrypoint, &request.service.command];
        let argv: Vec<String> = argv.into_iter().flatten().flatten().cloned().collect();
        let outcome = program::run(&argv, &around)
            .map_err(|detail| EngineError::StartFailed { service: slot.service.to_string(), detail })?;
        let now = self.clock.now();
        if let Some(found) = self.slots.get_mut(slot) {
            found.state.started_at = Some(now);
            found.state.ended_at = None;
        }
        for (stream, text) in outcome.lines {
            self.push_line(slot, stream, text);
        }
        let end = match faults.exits {
            Some(code) => Some(code),
            None if faults.task_runs_on => None,
            None if request.service.kind == ServiceKind::Task => Some(outcome.end.unwrap_or(0)),
            None => outcome.end,
        };
        self.settle(slot, &request, &faults, end, &around);
        Ok(())
    }

    /// Walks a started slot through its phases, an event for each.
    fn settle(
        &mut self,
        slot: &SlotRef,
        request: &ServiceRequest,
        faults: &Faults,
        end: Option<i64>,
        around: &Surroundings,
    ) {
        let has_check = has_check(request) || faults.never_healthy || faults.held;
        let first = if has_check { Phase::Starting } else { Phase::Running };
        self.set_phase(slot, first, "start");
        if let Some(code) = end {
            let phase = if starts_again(request, code) {
                Phase::Restarting
            } else {
                Phase::Exited { code, oom_killed: false }
            };
            self.set_phase(slot, phase, "die");
        } else if has_check && !faults.held {
            let (phase, what) = if !faults.never_healthy && passes(request, around) {
                (Phase::Running, "health_status: healthy")
            } else {
                (Phase::Unhealthy, "health_status: unhealthy")
            };
            self.set_phase(slot, phase, what);
        }
    }

    /// Sets a phase and tells about it; `false` when there is no such slot.
    pub(super) fn set_phase(&mut self, slot: &SlotRef, phase: Phase, what: &str) -> bool {
        let now = self.clock.now();
        self.change(slot, what, |state| {
            state.restarts += u32::from(phase == Phase::Restarting);
            state.ended_at = matches!(phase, Phase::Exited { .. }).then_some(now);
            state.detail = match &phase {
                Phase::Unhealthy => "the health check failed".into(),
                _ => String::new(),
            };
            state.phase = phase;
        })
    }

    /// Stops a slot and keeps it; one that has ended stays as it is.
    pub(super) fn halt(&mut self, slot: &SlotRef) {
        let ended = |state: &SlotState| matches!(state.phase, Phase::Exited { .. });
        if self.slots.get(slot).is_some_and(|found| !ended(&found.state)) {
            self.set_phase(slot, Phase::Exited { code: 143, oom_killed: false }, "die");
        }
    }

    pub(super) fn set_serving(&mut self, slot: &SlotRef, serving: bool) -> bool {
        let Some(found) = self.slots.get_mut(slot).filter(|found| found.named != serving) else {
            return false;
        };
        found.named = serving;
        self.change(slot, "connect", |_| {})
    }

    pub(super) fn set_drift(&mut self, slot: &SlotRef, drift: Option<&str>) -> bool {
        self.change(slot, "update", |state| state.drift = drift.map(str::to_owned))
    }

    /// A kept slot is put right again; no event where nothing was wrong.
    pub(super) fn set_drift_away(&mut self, slot: &SlotRef) {
        if self.slots.get(slot).is_some_and(|found| found.state.drift.is_some()) {
            self.set_serving(slot, true);
            self.set_drift(slot, None);
        }
    }

    fn change(&mut self, slot: &SlotRef, what: &str, change: impl FnOnce(&mut SlotState)) -> bool {
        let at = self.clock.now();
        let Some(found) = self.slots.get_mut(slot) else {
            return false;
        };
        change(&mut found.state);
        let up = matches!(found.state.phase, Phase::Starting | Phase::Running | Phase::Unhealthy);
        found.state.serving = found.named && up;
        let state = Box::new(found.state.clone());
        let what = what.to_owned();
        let (workload, object) = (slot.workload.clone(), Box::new(object(found)));
        self.events.push(EngineEvent::Slot { state, what, at });
        self.events.push(EngineEvent::Object { workload, object });
        true
    }

    pub(super) fn remove(&mut self, slot: &SlotRef) -> bool {
        let Some(found) = self.slots.remove(slot) else {
            return false;
        };
        self.events.push(EngineEvent::Gone {
            slot: slot.clone(),
            engine_id: found.state.engine_id,
            at: self.clock.now(),
        });
        true
    }

    pub(super) fn print(&mut self, slot: &SlotRef, text: &str) -> bool {
        self.push_line(slot, LogStream::Stdout, Bytes::copy_from_slice(text.as_bytes()))
    }

    fn push_line(&mut self, slot: &SlotRef, stream: LogStream, text: Bytes) -> bool {
        let now = self.clock.now().timestamp_nanos_opt().unwrap_or(0);
        let Some(found) = self.slots.get_mut(slot) else {
            return false;
        };
        // Lines of one millisecond still differ: an engine's clock is finer than ours.
        let after = found.lines.last().map_or(0, |line| line.at_nanos + 1);
        let at_nanos = now.max(after);
        found.lines.push(ContainerLine { at_nanos, stream, text });
        true
    }

    fn surroundings(&self, request: &ServiceRequest) -> Surroundings {
        let value = |value: &EnvValue| match value {
            EnvValue::Plain(text) => Some(text.clone()),
            EnvValue::Secret { name, .. } => Some(request.secrets.get(name)?.expose_secret().to_owned()),
            EnvValue::Json(_) | EnvValue::Required => None,
        };
        let environment = request.service.environment.iter();
        let key = (request.workload.clone(), request.name.clone());
        let mut files = self.files.get(&key).cloned().unwrap_or_default();
        for (mount, content) in request.contents.of(&request.service) {
            let content = match content {
                Some(FileContent::Plain(bytes)) => bytes.clone(),
                Some(FileContent::Secret(text)) => Bytes::from(text.expose_secret().to_owned()),
                None => continue,
            };
            files.insert(mount.target.clone(), content);
        }
        Surroundings {
            environment: environment.filter_map(|(key, text)| Some((key.clone(), value(text)?))).collect(),
            files,
            read_only: request.service.read_only || request.profile == Profile::Restricted,
            writable: writable(request),
            limits: limits(request),
        }
    }
}

/// A slot as a container of its own, in the shape that every engine's objects have.
fn object(of: &Slot) -> EngineObject {
    let (slot, state) = (&of.state.slot, &of.state);
    let runs = matches!(state.phase, Phase::Starting | Phase::Running | Phase::Unhealthy);
    let since = if runs { state.started_at } else { state.ended_at.or(state.started_at) };
    let mut labels = of.request.service.labels.clone();
    labels.extend(of.request.service.object_labels.clone());
    labels.insert(label::WORKLOAD.to_owned(), slot.workload.to_string());
    labels.insert(label::SERVICE.to_owned(), slot.service.to_string());
    labels.insert(label::REVISION.to_owned(), state.revision.to_string());
    EngineObject {
        service: slot.service.clone(),
        kind: "Container".to_owned(),
        name: format!("{}-{}-{}", slot.workload, slot.service, slot.index),
        namespace: None,
        uid: state.engine_id.clone(),
        labels,
        annotations: BTreeMap::new(),
        conditions: vec![
            Condition::new("Running", runs, state.phase.reason()).saying(state.detail.clone()).since(since),
        ],
    }
}

/// Folders of a read-only container that can be written all the same.
fn writable(request: &ServiceRequest) -> Vec<String> {
    let service = &request.service;
    let volumes = service.volumes.iter().filter(|mount| !mount.read_only).map(|mount| mount.target.clone());
    volumes.chain(service.tmpfs.iter().map(|folder| folder.target.clone())).collect()
}

fn limits(request: &ServiceRequest) -> BTreeMap<String, String> {
    let files = request.service.ulimits.get("nofile");
    files.map(|limit| ("-n".to_owned(), limit.soft.to_string())).into_iter().collect()
}

fn has_check(request: &ServiceRequest) -> bool {
    let check = request.service.healthcheck.as_ref();
    check.is_some_and(|check| check.test != HealthTest::Disabled)
}

fn passes(request: &ServiceRequest, around: &Surroundings) -> bool {
    let argv = match request.service.healthcheck.as_ref().map(|check| &check.test) {
        Some(HealthTest::Exec(argv)) => argv.clone(),
        Some(HealthTest::Shell(line)) => vec!["sh".into(), "-c".into(), line.clone()],
        Some(HealthTest::Disabled) | None => return true,
    };
    program::run(&argv, around).is_ok_and(|outcome| outcome.end.unwrap_or(0) == 0)
}

fn starts_again(request: &ServiceRequest, code: i64) -> bool {
    request.service.kind == ServiceKind::Replicated
        && match request.service.restart {
            Restart::No => false,
            Restart::Always | Restart::UnlessStopped => true,
            Restart::OnFailure { .. } => code != 0,
        }
}
