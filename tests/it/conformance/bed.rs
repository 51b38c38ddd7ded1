//! What a case works with: an engine, a workload, and the way from a service to running replicas.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use slipway::domain::bundle::Digest;
use slipway::domain::name::{DeploymentId, ServiceName};
use slipway::domain::plan::Plan;
use slipway::domain::policy::Profile;
use slipway::domain::workload::{Image, Resources, Service, Workload};
use slipway::engine::{
    Contents, Engine, EngineError, Ensured, FileContent, LogOptions, Phase, PrepareRequest, Progress,
    RegistryCredentials, Resolution, ServiceRequest, SlotRef, SlotState, slot_hash,
};

/// What somebody does to a replica behind Slipway's back.
#[derive(Debug, Clone, Copy)]
pub enum Tamper {
    Stop,
    Remove,
    /// Raises its memory limit.
    Limits,
    /// Takes it off its network.
    Detach,
    Pause,
    Unpause,
}

/// What an engine may answer otherwise than the suite says; `docs/engines.md` lists who lacks what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacks {
    /// A replica that was stopped stays there, to be started again: the engine makes a new one by itself.
    StoppedReplicas,
    /// Replicas can be paused.
    Pause,
    /// A replica can be taken off its network.
    Detach,
    /// Both outputs are told apart.
    SeparateOutputs,
    /// A fresh replica of a hash that serves gets no traffic before the switch.
    HeldScaling,
    /// A service that ends is left ended where it asks for that.
    NoRestart,
    /// Limits of single processes are the service's own.
    Ulimits,
    /// Any free port of the host can be asked for.
    HostPorts,
    /// What a replica uses is measured.
    Stats,
    /// A named volume is there as soon as it is asked for: somebody has to provide it.
    DynamicVolumes,
}

/// One kind of engine under test.
#[async_trait]
pub trait Harness: Send + Sync {
    fn engine(&self) -> Arc<dyn Engine>;
    /// Who pulls, per registry host.
    fn registries(&self) -> BTreeMap<String, RegistryCredentials> {
        BTreeMap::new()
    }
    /// Who builds images, where the engine itself does not.
    fn builder(&self) -> Option<Arc<dyn Engine>> {
        None
    }
    /// What it answers otherwise.
    fn lacks(&self) -> &'static [Lacks] {
        &[]
    }
    /// Provides a volume for the next claim, where nobody else does.
    async fn provide_volume(&self) {}
    /// Meddles with a replica as a hand at the engine's own tools would.
    async fn tamper(&self, slot: &SlotState, how: Tamper);
}

/// An engine with one workload.
pub struct Bed<H> {
    pub harness: H,
    pub engine: Arc<dyn Engine>,
    pub workload: DeploymentId,
    pub service: ServiceName,
}

/// Collects progress.
#[derive(Default)]
pub struct Lines(pub Mutex<Vec<String>>);

impl Progress for Lines {
    fn line(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

/// A service of the small image that runs a line of shell.
pub fn sh(script: &str) -> Service {
    let mut service = Service::new(Image::Reference("busybox:lab".into()));
    service.command = Some(vec!["sh".into(), "-c".into(), script.into()]);
    service.stop_grace_seconds = 1;
    service.resources = Resources {
        cpu_limit_milli: Some(500),
        memory_limit_bytes: Some(64 << 20),
        pids_limit: Some(64),
        ..Resources::default()
    };
    service
}

/// Everything that an update of one service gave.
pub struct Up {
    pub resolution: Resolution,
    pub request: ServiceRequest,
    pub ensured: Ensured,
}

impl<H: Harness> Bed<H> {
    pub fn new(harness: H) -> Self {
        Self {
            engine: harness.engine(),
            harness,
            workload: "conformance".parse().unwrap(),
            service: "api".parse().unwrap(),
        }
    }

    pub fn lacks(&self, what: Lacks) -> bool {
        self.harness.lacks().contains(&what)
    }

    /// A plan of one service.
    pub fn plan(&self, service: Service) -> Plan {
        let mut workload = Workload::default();
        for mount in &service.volumes {
            workload.volumes.insert(mount.volume.clone());
        }
        workload.services.insert(self.service.clone(), service);
        Plan {
            deployment: self.workload.clone(),
            project: "project".parse().unwrap(),
            version: "1".parse().unwrap(),
            bundle: Digest::of(b"bundle"),
            infrastructure: "local".parse().unwrap(),
            enabled: true,
            profile: Profile::Baseline,
            workload,
            inputs: BTreeMap::new(),
            secrets: BTreeMap::new(),
            testing: Default::default(),
        }
    }

    pub async fn prepare(&self, plan: &Plan, files: Option<PathBuf>) -> (Resolution, Vec<String>) {
        let lines = Lines::default();
        let request = PrepareRequest {
            plan: Arc::new(plan.clone()),
            files,
            registries: self.harness.registries(),
            pinned: BTreeMap::new(),
            builder: self.harness.builder(),
        };
        let resolution = self.engine.prepare(&request, &lines).await.unwrap();
        (resolution, lines.0.into_inner().unwrap())
    }

    pub fn request(&self, plan: &Plan, resolution: &Resolution, revision: u32) -> ServiceRequest {
        let image = resolution.images[&self.service].clone();
        let template = plan.template_hash(&self.service).unwrap();
        ServiceRequest {
            workload: self.workload.clone(),
            name: self.service.clone(),
            revision,
            hash: slot_hash(&template, &image.id),
            service: Arc::new(plan.workload.services[&self.service].clone()),
            profile: plan.profile,
            image,
            network: resolution.network.clone(),
            has_peers: true,
            secrets: Arc::default(),
            contents: Arc::default(),
        }
    }

    /// Prepares and ensures.
    pub async fn up(&self, service: Service, revision: u32) -> Up {
        let plan = self.plan(service);
        let (resolution, _) = self.prepare(&plan, None).await;
        let request = self.request(&plan, &resolution, revision);
        let ensured = self.engine.ensure(&request).await.unwrap();
        Up { resolution, request, ensured }
    }

    pub async fn states(&self) -> Vec<SlotState> {
        self.engine.snapshot().await.unwrap().slots
    }

    pub async fn state(&self, slot: &SlotRef) -> Option<SlotState> {
        self.states().await.into_iter().find(|state| state.slot == *slot)
    }

    /// Waits until the slot is as asked.
    pub async fn until(&self, slot: &SlotRef, is: impl Fn(&SlotState) -> bool) -> SlotState {
        let began = Instant::now();
        loop {
            let state = self.state(slot).await;
            if let Some(state) = state.as_ref().filter(|state| is(state)) {
                return state.clone();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "still {state:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn running(&self, slot: &SlotRef) -> SlotState {
        self.until(slot, |state| state.phase == Phase::Running).await
    }

    /// Waits until it has run at all.
    pub async fn begun(&self, slot: &SlotRef) -> SlotState {
        self.until(slot, |state| state.started_at.is_some()).await
    }

    pub async fn exited(&self, slot: &SlotRef) -> SlotState {
        self.until(slot, |state| matches!(state.phase, Phase::Exited { .. })).await
    }

    /// What is said of a service that can't start, whether the engine refuses it or lets it end at once.
    pub async fn bad_start(&self, request: &ServiceRequest) -> String {
        match self.engine.ensure(request).await {
            Err(EngineError::StartFailed { service, detail }) => {
                assert_eq!(service, request.name.as_str());
                detail
            }
            Err(other) => panic!("{other}"),
            Ok(ensured) => {
                let ended = |state: &SlotState| {
                    matches!(state.phase, Phase::Exited { .. } | Phase::Restarting | Phase::Blocked)
                };
                self.until(&ensured.slots[0], ended).await.detail
            }
        }
    }

    /// All lines of a slot that has ended, as text.
    pub async fn output(&self, slot: &SlotRef) -> Vec<String> {
        self.exited(slot).await;
        self.printed(slot).await
    }

    /// What a slot has printed so far.
    pub async fn printed(&self, slot: &SlotRef) -> Vec<String> {
        use futures_util::TryStreamExt as _;
        let stream = self.engine.logs(slot, &LogOptions::default()).await.unwrap();
        let batches: Vec<_> = stream.try_collect().await.unwrap();
        let lines = batches.into_iter().flatten();
        lines.map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect()
    }
}

/// Contents of secret and of config files by the names of their mounts.
pub fn contents(secrets: &[(&str, FileContent)], configs: &[(&str, FileContent)]) -> Arc<Contents> {
    let one = |(name, content): &(&str, FileContent)| (name.parse().unwrap(), content.clone());
    Arc::new(Contents {
        secrets: secrets.iter().map(one).collect(),
        configs: configs.iter().map(one).collect(),
    })
}
