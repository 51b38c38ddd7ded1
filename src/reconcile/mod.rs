//! Reconcilers: the only code that changes the world.
//!
//! # One idea
//!
//! A use case writes *intent* (a row of `deployment_update`) and returns. Everything after that happens here, and
//! every reconciler keeps four rules:
//!
//! 1. **It takes no input.** It is fed by the store and by what it observes, never by the request that woke it. A wake
//!    is a hint: lost, doubled or late ones change nothing but the moment.
//! 2. **It may be killed anywhere.** What it is about to do is written before it is done, and every step may be done
//!    again: slots have derived names, so a step that is repeated finds its own work. A process that takes over reads
//!    the same rows and goes on.
//! 3. **It is woken three ways:** by a signal ([`Topic`](crate::bus::Topic)), by an engine's event, and by a period.
//!    The first two make it quick, the third makes it right when a signal was lost.
//! 4. **It says how it is doing:** last run, duration and error of each stand in [`Figures`].
//!
//! # Who does what
//!
//! | file | watches | changes |
//! | --- | --- | --- |
//! | [`observe`] | each engine: list, then events | the in-memory [`table`], `observed.db` |
//! | [`health`] | the table, the store | `observed.deployment_state`: the fold that pages show |
//! | `probe` | programs that say where they answer for their health | `observed.db`: what they answer |
//! | [`update`] | queued updates | **the engine**: one run at a time for each deployment |
//! | [`drift`] | what the fold found changed behind our back | queues repairs, where the deployment asks for it |
//! | [`orphan`] | slots of ours that nothing wants | **the engine**: retires them after a grace |
//! | [`release`] | what deleted deployments left | **the engine**: removes networks, tags and unwanted volumes |
//! | [`sweep`] | what has expired | removes it from the store and the disk |
//!
//! Only `update`, `orphan` and `release` touch an engine, and never the same workload at once: orphans are those of
//! workloads without an open update, and what is released belongs to no deployment any more.
//!
//! # Stopping
//!
//! [`Handle::drain`] stops taking work. A run that waits (for health, for a pull) is left as it is: its row says
//! `running`, and the next process goes on. A call that is changing an engine is let finish, up to the grace period.

pub mod definition;
pub mod drift;
pub mod figure;
pub mod health;
pub mod observe;
pub mod orphan;
mod probe;
pub mod release;
mod removal;
pub mod sweep;
pub mod table;
pub mod update;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use self::figure::{Figure, Figures};
use self::table::{Marks, Table};
use crate::blob;
use crate::crypto::KeyRing;
use crate::domain::Result;
use crate::domain::access::Caller;
use crate::domain::clock::{SharedClock, Timestamp};
use crate::domain::group::Groups;
use crate::domain::name::{DeploymentId, InfrastructureId};
use crate::engine::RegistryCredentials;
use crate::engine::registry::Engines;
use crate::store::audit::{self, JournalKey};
use crate::store::{Store, Tx};

/// What the reconcilers stand on.
#[derive(Clone)]
pub struct Dependencies {
    pub store: Store,
    pub clock: SharedClock,
    pub engines: Arc<Engines>,
    pub blobs: Arc<blob::Store>,
    pub keys: Arc<KeyRing>,
    pub settings: Settings,
}

/// What the configuration decides for reconcilers.
#[derive(Clone)]
pub struct Settings {
    /// How many engine calls that change something run at once.
    pub parallel: usize,
    /// How long a replica without a health check must stay up before it counts as ready.
    pub settle: Duration,
    /// The least and the most time that replicas get to become ready.
    pub ready_within: (Duration, Duration),
    /// How long an engine or registry may fail to answer before an update fails.
    pub patience: Duration,
    /// How long a slot of ours that nothing wants is left alone.
    pub orphan_grace: Duration,
    /// How often an engine is listed although its events come.
    pub relist: Duration,
    /// Bounds of a bundle's archive when it is unpacked.
    pub archive_limits: blob::Limits,
    /// How many updates that ended well keep their images.
    pub retained: u32,
    /// Per registry host: who pulls.
    pub registries: BTreeMap<String, RegistryCredentials>,
    /// Members may do all.
    pub admin_groups: Groups,
    /// The most time that a task gets on whose end another service waits.
    pub task_within: Duration,
    /// The most time that a test gets.
    pub test_within: Duration,
    /// How often running programs are asked for their health.
    pub probe_every: Duration,
    /// How long they may take to answer.
    pub probe_within: Duration,
    /// Sessions end when they are not used for this long.
    pub session_idle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallel: 8,
            settle: Duration::from_millis(500),
            ready_within: (Duration::from_secs(60), Duration::from_secs(1_800)),
            patience: Duration::from_secs(900),
            orphan_grace: Duration::from_secs(60),
            relist: Duration::from_secs(60),
            archive_limits: blob::Limits::default(),
            retained: 10,
            registries: BTreeMap::new(),
            admin_groups: Groups::new(),
            task_within: Duration::from_secs(6 * 3_600),
            test_within: Duration::from_secs(3_600),
            probe_every: Duration::from_secs(10),
            probe_within: Duration::from_secs(10),
            session_idle: Duration::from_secs(8 * 3_600),
        }
    }
}

type Relist = mpsc::Sender<oneshot::Sender<()>>;

/// What all reconcilers share.
pub(crate) struct Shared {
    store: Store,
    clock: SharedClock,
    engines: Arc<Engines>,
    blobs: Arc<blob::Store>,
    keys: Arc<KeyRing>,
    journal_key: JournalKey,
    settings: Settings,
    table: Table,
    /// Deployments whose slots changed.
    dirty: Arc<Marks>,
    /// Deployments that drifted and ask to be repaired.
    drifted: Marks,
    figures: Figures,
    relist: Mutex<HashMap<InfrastructureId, Relist>>,
    /// Engine calls that change something.
    turns: Semaphore,
    /// Images being pulled and built, which may take long and must not hold up the others.
    prepares: Semaphore,
    stop: CancellationToken,
}

impl Shared {
    fn new(dependencies: Dependencies) -> Self {
        let dirty = Arc::<Marks>::default();
        let parallel = dependencies.settings.parallel.max(1);
        Self {
            store: dependencies.store,
            clock: dependencies.clock,
            engines: dependencies.engines,
            blobs: dependencies.blobs,
            journal_key: JournalKey(dependencies.keys.journal_key()),
            keys: dependencies.keys,
            settings: dependencies.settings,
            table: Table::new(Arc::clone(&dirty)),
            dirty,
            drifted: Marks::default(),
            figures: Figures::default(),
            relist: Mutex::default(),
            turns: Semaphore::new(parallel),
            prepares: Semaphore::new(parallel),
            stop: CancellationToken::new(),
        }
    }

    fn set_relist(&self, id: InfrastructureId, sender: Relist) {
        self.relist.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
    }

    /// Has an engine listed anew, and waits until the table shows it, a few seconds at most.
    async fn look_again(&self, id: &InfrastructureId) {
        let relist = self.relist.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let Some(relist) = relist else { return };
        let (reply, done) = oneshot::channel();
        if relist.send(reply).await.is_ok() {
            let _ = timeout(Duration::from_secs(5), done).await;
        }
    }

    /// Starts the clock on a run of the reconciler `name`.
    fn timed(self: &Arc<Self>, name: &str) -> Timed {
        Timed { shared: Arc::clone(self), name: name.to_owned(), began: Instant::now() }
    }
}

/// Writes a line of a deployment's journal in Slipway's own name, in the transaction that does what it tells of.
fn note(
    tx: &Tx<'_>,
    key: &JournalKey,
    deployment: &DeploymentId,
    note: Note<'_>,
    now: Timestamp,
) -> Result<()> {
    let caller = Caller::system();
    let Note { action, reason, detail } = note;
    let entry = audit::Entry {
        caller: &caller,
        action,
        noun: "deployment",
        object: deployment.as_str(),
        reason,
        detail,
    };
    audit::append(tx, key, &entry, now)
}

/// What such a line says.
struct Note<'a> {
    action: &'a str,
    reason: Option<&'a str>,
    /// Without secrets.
    detail: serde_json::Value,
}

/// A run whose duration and end are noted.
struct Timed {
    shared: Arc<Shared>,
    name: String,
    began: Instant,
}

impl Timed {
    fn done(self, result: Result<()>) {
        if let Err(error) = &result {
            let cause = error.cause.as_ref().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(reconciler = self.name, %error, cause, "a run failed");
        }
        self.note(result.err().map(|error| error.to_string()));
    }

    fn failed(self, words: String) {
        self.note(Some(words));
    }

    fn note(self, error: Option<String>) {
        let (figures, now) = (&self.shared.figures, self.shared.clock.now());
        figures.note(&self.name, now, self.began.elapsed(), error);
    }
}

/// A task that ends with whoever holds it.
struct Child(JoinHandle<()>);

impl Drop for Child {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The running reconcilers.
pub struct Handle {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

/// Starts every reconciler on the runtime that this is called on.
pub fn start(dependencies: Dependencies) -> Handle {
    let shared = Arc::new(Shared::new(dependencies));
    let mut tasks = JoinSet::new();
    tasks.spawn(observe::supervise(Arc::clone(&shared)));
    tasks.spawn(update::work(Arc::clone(&shared)));
    tasks.spawn(health::work(Arc::clone(&shared)));
    tasks.spawn(probe::work(Arc::clone(&shared)));
    tasks.spawn(drift::work(Arc::clone(&shared)));
    tasks.spawn(orphan::work(Arc::clone(&shared)));
    tasks.spawn(release::work(Arc::clone(&shared)));
    tasks.spawn(sweep::work(Arc::clone(&shared)));
    Handle { shared, tasks }
}

impl Handle {
    /// How each reconciler is doing, by name.
    pub fn figures(&self) -> BTreeMap<String, Figure> {
        self.shared.figures.all()
    }

    /// The same for whoever outlives the call, e.g. the metrics.
    pub fn reader(&self) -> impl Fn() -> BTreeMap<String, Figure> + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.figures.all()
    }

    /// What the engines were last seen to have.
    pub fn table(&self) -> &Table {
        &self.shared.table
    }

    /// Stops taking work, lets engine calls that run finish, and returns when all is still, at the latest after `grace`.
    pub async fn drain(mut self, grace: Duration) {
        self.shared.stop.cancel();
        let still = timeout(grace, async { while self.tasks.join_next().await.is_some() {} });
        if still.await.is_err() {
            tracing::warn!("the grace period is over: what still runs goes on at the next start");
        }
        self.tasks.abort_all();
    }
}
