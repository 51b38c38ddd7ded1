//! A store with a project on a fake engine, and reconcilers on a runtime of their own that a test can kill.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slipway::app::{self, App, Rules};
use slipway::auth::Lifetimes;
use slipway::blob;
use slipway::domain::access::{Caller, InfrastructureRight, Origin, ProjectRight, Subject, SubjectKind};
use slipway::domain::bundle::{Bundle, Digest, Manifest};
use slipway::domain::clock::{Clock as _, SystemClock};
use slipway::domain::deployment::{Deployment, DeploymentRight, Settings as Overrides};
use slipway::domain::health::Health;
use slipway::domain::infrastructure::{EngineConnection, GovernPolicy, Infrastructure};
use slipway::domain::name::{DeploymentId, ServiceName};
use slipway::domain::policy::Policy;
use slipway::domain::project::Project;
use slipway::domain::random;
use slipway::domain::update::{Failure, LogLine, Outcome, StepRecord, Update, UpdateState};
use slipway::domain::user::User;
use slipway::domain::workload::{Image, Restart, Service, Workload};
use slipway::engine::Engine;
use slipway::engine::fake::{Controls, FakeEngine};
use slipway::instance::{Instance, Options};
use slipway::reconcile::{self, Dependencies, Handle, Settings};
use slipway::store::{self, Mode};

use super::probe::Probe;
use crate::harness::groups;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(15);

/// Everything that outlives a killed reconciler.
pub struct World {
    pub app: App,
    pub fake: Controls,
    pub probe: Arc<Probe>,
    pub settings: Settings,
    /// A user in the group `team`, which may deploy.
    pub bob: User,
    _instance: Instance,
    _dir: tempfile::TempDir,
}

/// Reconcilers on a runtime of their own.
pub struct Running {
    runtime: Option<tokio::runtime::Runtime>,
    handle: Option<Handle>,
}

impl Running {
    /// Ends everything at once, as `kill -9` would: no destructor of a run finishes anything.
    pub fn kill(mut self) {
        self.handle.take();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Stops as SIGTERM does.
    pub async fn drain(mut self, grace: Duration) {
        let handle = self.handle.take().unwrap();
        let runtime = self.runtime.take().unwrap();
        runtime.spawn(handle.drain(grace)).await.unwrap();
        runtime.shutdown_background();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A replicated service of the image `img`, never started again by the engine.
pub fn service() -> Service {
    Service { restart: Restart::No, ..Service::new(Image::Reference("img:1".into())) }
}

/// The same from another image, so that its replicas have to be replaced.
pub fn other() -> Service {
    Service { image: Image::Reference("img:2".into()), ..service() }
}

/// The same whose program ends at once with code 3.
pub fn ends_at_once() -> Service {
    let script = ["sh", "-c", "exit 3"].map(str::to_owned).to_vec();
    Service { command: Some(script), ..service() }
}

pub fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

pub fn id(text: &str) -> DeploymentId {
    text.parse().unwrap()
}

impl World {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fake = FakeEngine::new(Arc::new(SystemClock));
        let (controls, probe) = (fake.controls(), Arc::new(Probe::new(fake)));
        let engine = Arc::clone(&probe);
        let instance = Instance::open(Options {
            dir: dir.path(),
            mode: Mode::Lead,
            clock: Arc::new(SystemClock),
            rules: Rules { admin_groups: groups(&["admins"]), ..Rules::default() },
            lifetimes: Lifetimes::default(),
            archive_limits: blob::Limits::default(),
            local_engine: EngineConnection::Fake {},
            engines: Box::new(move |_, _| {
                Box::new(move |_: &Infrastructure| Arc::clone(&engine) as Arc<dyn Engine>)
            }),
        })
        .await
        .unwrap();
        let settings = Settings {
            settle: Duration::from_millis(10),
            ready_within: (Duration::from_secs(3), Duration::from_secs(3)),
            patience: Duration::from_secs(10),
            orphan_grace: Duration::from_millis(150),
            admin_groups: groups(&["admins"]),
            ..Settings::default()
        };
        let world = Self {
            app: instance.app.clone(),
            fake: controls,
            probe,
            settings,
            bob: user("bob", &["team"]),
            _instance: instance,
            _dir: dir,
        };
        world.fill().await;
        world
    }

    async fn fill(&self) {
        let (bob, now) = (self.bob.clone(), SystemClock.now());
        let project = Project {
            key: "iris".parse().unwrap(),
            description: String::new(),
            tags: BTreeSet::new().into_iter().collect(),
            created_at: now,
            created_by: "test".into(),
            updated_at: now,
            revision: 1,
        };
        let team = "team".parse().unwrap();
        self.app
            .store
            .write(move |tx| {
                store::user::put(tx, &bob)?;
                store::project::insert(tx, &project)?;
                store::project::grant(tx, &project.key, &team, Some(ProjectRight::Deploy))?;
                let local = "local".parse().unwrap();
                store::infrastructure::grant(tx, &local, &team, Some(InfrastructureRight::Deploy))
            })
            .await
            .unwrap();
    }

    /// Starts reconcilers on a runtime of their own.
    pub async fn start(&self) -> Running {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let dependencies = Dependencies {
            store: self.app.store.clone(),
            clock: Arc::clone(&self.app.clock),
            engines: Arc::clone(&self.app.engines),
            blobs: Arc::clone(&self.app.blobs),
            keys: Arc::clone(&self.app.keys),
            settings: self.settings.clone(),
        };
        let handle = runtime.spawn(async move { reconcile::start(dependencies) });
        Running { handle: Some(handle.await.unwrap()), runtime: Some(runtime) }
    }

    /// Bob through the API.
    pub fn caller(&self) -> Caller {
        Caller {
            subject: Subject {
                kind: SubjectKind::User(self.bob.id),
                name: self.bob.name.clone(),
                groups: self.bob.groups.clone(),
                is_admin: false,
            },
            origin: Origin::Api,
            request_id: "test".into(),
            address: None,
        }
    }

    /// Publishes a bundle of these services.
    pub async fn bundle<const N: usize>(&self, version: &str, services: [(&str, Service); N]) {
        self.tested_bundle(version, services, []).await;
    }

    /// Publishes a bundle of these services and tests.
    pub async fn tested_bundle<const N: usize, const M: usize>(
        &self,
        version: &str,
        services: [(&str, Service); N],
        tests: [(&str, Service); M],
    ) {
        let services = services.into_iter().map(|(key, service)| (name(key), service)).collect();
        let tests = tests.into_iter().map(|(key, service)| (name(key), service)).collect();
        let bundle = Bundle {
            project: "iris".parse().unwrap(),
            version: version.parse().unwrap(),
            digest: Digest::of(version.as_bytes()),
            size: 1,
            manifest: Manifest {
                name: None,
                version: None,
                workload: Workload { services, tests, ..Workload::default() },
                made_of: None,
                warnings: Vec::new(),
            },
            files: Vec::new(),
            uploader: "bob".into(),
            created_at: SystemClock.now(),
        };
        let write = self.app.store.write(move |tx| store::bundle::insert(tx, &bundle));
        write.await.unwrap();
    }

    /// Makes a deployment of a version.
    pub async fn deployment(&self, deployment: &str, version: &str, auto_repair: bool) {
        self.try_deployment(deployment, version, auto_repair).await.unwrap();
    }

    /// The same, which may be refused.
    pub async fn try_deployment(
        &self,
        deployment: &str,
        version: &str,
        auto_repair: bool,
    ) -> Result<(), slipway::domain::Error> {
        let new = app::deployment::NewDeployment {
            id: Some(id(deployment)),
            project: "iris".parse().unwrap(),
            version: version.parse().unwrap(),
            infrastructure: "local".parse().unwrap(),
            settings: Overrides::default(),
            secrets: BTreeMap::new(),
            auto_repair,
            folder: String::new(),
            deployed_project: None,
            ignore_warnings: false,
        };
        app::deployment::create(&self.app, &self.caller(), new, None).await.map(drop)
    }

    /// Saves that the deployment wants another version.
    pub async fn want(&self, deployment: &str, version: &str) {
        let changes = app::deployment::Changes {
            version: Some(version.parse().unwrap()),
            ..app::deployment::Changes::default()
        };
        app::deployment::save(&self.app, &self.caller(), id(deployment), changes).await.unwrap();
    }

    /// Asks for an update.
    pub async fn ask(&self, deployment: &str) -> u32 {
        let asked = app::update::start(&self.app, &self.caller(), id(deployment), None, None).await;
        asked.unwrap().number
    }

    /// Asks for an update to a version, and waits for its end.
    pub async fn update_to(&self, deployment: &str, version: &str) -> Outcome {
        self.want(deployment, version).await;
        let number = self.ask(deployment).await;
        self.ended(deployment, number).await
    }

    /// Makes a deployment and waits until its first update has succeeded.
    pub async fn deployed(&self, deployment: &str, version: &str) {
        self.deployment(deployment, version, false).await;
        let number = self.ask(deployment).await;
        assert_eq!(self.ended(deployment, number).await, Outcome::Succeeded);
    }

    pub async fn update(&self, deployment: &str, number: u32) -> Update {
        let deployment = id(deployment);
        let read = self.app.store.read(move |db| store::update::find(db, &deployment, number));
        read.await.unwrap().unwrap()
    }

    /// Waits for an update's end.
    pub async fn ended(&self, deployment: &str, number: u32) -> Outcome {
        let what = format!("update {number} of {deployment} to end");
        self.until(&what, async || match self.update(deployment, number).await.state {
            UpdateState::Ended { outcome, .. } => Some(outcome),
            _ => None,
        })
        .await
    }

    /// Waits until an update is no longer queued.
    pub async fn taken_up(&self, deployment: &str, number: u32) {
        let what = format!("update {number} of {deployment} to be taken up");
        self.until(&what, async || {
            (self.update(deployment, number).await.state != UpdateState::Queued).then_some(())
        })
        .await;
    }

    /// Waits for an update's failure.
    pub async fn failed(&self, deployment: &str, number: u32) -> Failure {
        match self.ended(deployment, number).await {
            Outcome::Failed { failure } => failure,
            other => panic!("it ended otherwise: {other:?}"),
        }
    }

    pub async fn row(&self, deployment: &str) -> Deployment {
        let deployment = id(deployment);
        let system = Subject::system();
        let read = self.app.store.read(move |db| store::deployment::find(db, &deployment, &system));
        let found = read.await.unwrap().unwrap();
        found.authorize(&Subject::system(), DeploymentRight::View).unwrap().into_inner()
    }

    pub async fn state(&self, deployment: &str) -> store::deployment::list::State {
        let deployment = id(deployment);
        let read = self.app.store.read(move |db| store::deployment::list::summary(db, &deployment));
        read.await.unwrap().unwrap().state
    }

    /// Waits until a deployment is so, and answers its messages' codes.
    pub async fn health(&self, deployment: &str, health: Health) -> Vec<String> {
        self.until(&format!("{deployment} to be {}", health.word()), async || {
            let state = self.state(deployment).await;
            let codes = state.messages.into_iter().map(|message| message.code).collect();
            (state.health == health).then_some(codes)
        })
        .await
    }

    pub async fn steps(&self, deployment: &str, number: u32) -> Vec<StepRecord> {
        let deployment = id(deployment);
        self.app.store.read(move |db| store::update::steps(db, &deployment, number)).await.unwrap()
    }

    pub async fn log(&self, deployment: &str, number: u32) -> Vec<LogLine> {
        let deployment = id(deployment);
        self.app.store.read(move |db| store::update::log(db, &deployment, number, 0, 1_000)).await.unwrap()
    }

    /// Waits until `look` finds something.
    pub async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            if began.elapsed() > PATIENCE {
                let calls = self.fake.calls();
                panic!("waited in vain for {what}; calls: {calls:?}; slots: {:?}", self.fake.slots());
            }
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    }

    /// Waits until the fake engine's replicas of a service are so many, all running; answers their image ids.
    pub async fn runs(&self, deployment: &str, service: &str, replicas: usize) {
        self.until(&format!("{replicas} replicas of {deployment}/{service}"), async || {
            let serving = self.fake.serving(&id(deployment), &name(service));
            let all = self.fake.slots();
            let of = all
                .iter()
                .filter(|state| state.slot.workload == id(deployment) && state.slot.service == name(service));
            (serving.len() == replicas && of.count() == replicas).then_some(())
        })
        .await;
    }

    /// The revisions of a workload's replicas, by service.
    pub fn revisions(&self, deployment: &str) -> Vec<(String, u32)> {
        let ours = self.fake.slots().into_iter().filter(|state| state.slot.workload == id(deployment));
        let mut all: Vec<_> = ours.map(|state| (state.slot.service.to_string(), state.revision)).collect();
        all.sort();
        all
    }

    /// Calls so far that start with `what`.
    pub fn calls(&self, what: &str) -> usize {
        self.fake.calls().iter().filter(|call| call.starts_with(what)).count()
    }

    /// The infrastructure `local`.
    pub async fn infrastructure(&self) -> Infrastructure {
        self.app.store.read(store::infrastructure::all).await.unwrap().remove(0)
    }

    /// Takes the team's rights away.
    pub async fn revoke(&self) {
        let revoke = self.app.store.write(|tx| {
            let (project, team) = ("iris".parse().unwrap(), "team".parse().unwrap());
            store::project::grant(tx, &project, &team, None)
        });
        revoke.await.unwrap();
    }

    /// Changes the policy of `local`.
    pub async fn policy(&self, policy: Policy) {
        let write = self.app.store.write(move |tx| {
            let mut local = store::infrastructure::all(tx)?.remove(0);
            local.policy = policy;
            local.govern_policy = GovernPolicy::NoCheck;
            store::infrastructure::put(tx, &local)
        });
        write.await.unwrap();
    }
}

fn user(name: &str, names: &[&str]) -> User {
    User {
        id: random::uuid(),
        issuer: "https://issuer.example.test".into(),
        subject: name.to_owned(),
        name: name.to_owned(),
        email: None,
        groups: groups(names),
        disabled: false,
        created_at: SystemClock.now(),
        last_login_at: None,
        preferences: slipway::domain::user::Preferences::default(),
    }
}
