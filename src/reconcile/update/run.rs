//! One run of an update: plan, check, prepare, start, verify, switch, clean up; or, when it can't get through, undo.
//!
//! What is waited for on the way to the first container is one commit, the claim, and that goes on while images are
//! prepared. Everything else is written behind the run, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::journal::Journal;
use super::load::{Loaded, Work, load};
use super::{check, words};
use crate::bus::Topic;
use crate::domain::plan::Plan;
use crate::domain::update::{Failure, Outcome, Step, Update, UpdateKind, UpdateState};
use crate::domain::{Error, Kind, Result};
use crate::engine::EngineError;
use crate::reconcile::Shared;
use crate::reconcile::definition::Definition;
use crate::store;

/// How a run came to its end.
pub(super) enum Ended {
    /// The update has ended; or somebody else ended it.
    Done,
    /// Cut short by something that may pass; in words.
    Later(String),
    /// The process is stopping: the next one goes on.
    Left,
}

/// Why a run does not go on.
#[derive(Debug)]
pub(super) enum Halt {
    Failed(Failure),
    Cancelled {
        by: String,
    },
    /// An engine or registry that does not answer.
    Silent(EngineError),
    Store(Error),
    /// The process is stopping.
    Stopping,
    /// The update has ended already.
    Gone,
    /// Another service of the same run failed.
    Aside,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// One run under way.
pub(super) struct Run {
    pub shared: Arc<Shared>,
    pub update: Update,
    pub journal: Journal,
    cancelled: watch::Receiver<Option<String>>,
    /// Since when an engine's silence has kept it from going on.
    pub trouble: Option<Instant>,
    /// Whether an engine was asked to start anything.
    pub touched: AtomicBool,
    /// Whether anything was prepared.
    pub prepared: AtomicBool,
    /// Whether traffic may have been moved.
    pub moved: AtomicBool,
}

pub(super) type Claim = JoinHandle<Result<Option<Update>>>;

impl Run {
    pub fn new(
        shared: Arc<Shared>,
        update: Update,
        cancelled: watch::Receiver<Option<String>>,
        trouble: Option<Instant>,
    ) -> Self {
        let clock = Arc::clone(&shared.clock);
        let journal = Journal::new(&shared.store, clock, update.deployment.clone(), update.number);
        // A process that takes over can't know how far the one before it came.
        let resumed = matches!(update.state, UpdateState::Running { .. });
        Self {
            shared,
            update,
            journal,
            cancelled,
            trouble,
            touched: AtomicBool::new(false),
            prepared: AtomicBool::new(resumed),
            moved: AtomicBool::new(resumed),
        }
    }

    /// Runs to an end, or as far as it goes now.
    pub async fn run(self) -> Ended {
        let claim = self.claim();
        let ended = match self.load().await {
            Ok((work, checked)) => self.with(&work, checked, claim).await,
            Err(halt) => match self.claimed(claim).await.err().unwrap_or(halt) {
                Halt::Failed(failure) => self.give_up(Outcome::Failed { failure }).await,
                other => self.later(other),
            },
        };
        self.leave().await;
        ended
    }

    /// Takes the update up, in the store; the write is under way when this returns.
    fn claim(&self) -> Claim {
        let (id, number) = (self.update.deployment.clone(), self.update.number);
        let now = self.shared.clock.now();
        tokio::spawn(self.shared.store.write(move |tx| {
            let begun = store::run::begin(tx, &id, number, now)?;
            tx.publish(Topic::Update(id.clone(), number));
            tx.publish(Topic::Deployment(id));
            Ok(begun)
        }))
    }

    pub(super) async fn claimed(&self, claim: Claim) -> Result<Update, Halt> {
        match claim.await.map_err(Error::internal)?? {
            Some(update) => Ok(update),
            None => Err(Halt::Gone),
        }
    }

    async fn load(&self) -> Result<(Work, Result<(), Failure>), Halt> {
        let (update, admins) = (self.update.clone(), self.shared.settings.admin_groups.clone());
        let now = self.shared.clock.now();
        let loaded = self.shared.store.read(move |db| load(db, &update, &admins, now)).await??;
        let engine = self.shared.engines.get(&loaded.infrastructure);
        let builder = loaded.builder.as_ref().map(|builder| self.shared.engines.get(builder));
        let Loaded {
            deployment,
            infrastructure,
            builder: _,
            plan,
            running,
            own,
            pinned,
            doomed,
            sealed,
            ports_held,
            checked,
        } = loaded;
        let work = Work {
            deployment,
            infrastructure,
            engine,
            builder,
            plan,
            running,
            own,
            pinned,
            doomed,
            sealed,
            ports_held,
        };
        Ok((work, checked))
    }

    async fn with(&self, work: &Work, checked: Result<(), Failure>, claim: Claim) -> Ended {
        if self.update.kind == UpdateKind::Test {
            return self.run_tests(work, checked, claim).await;
        }
        if self.update.kind == UpdateKind::Halt {
            return self.run_halt(work, checked, claim).await;
        }
        // What was resolved may have been started: a resolution is written before anything is.
        self.touched.store(work.own.is_some(), Ordering::Relaxed);
        let result = match &work.doomed {
            Some(verdict) => match self.claimed(claim).await {
                Ok(_) => return self.undo(work, work.own.as_ref(), verdict.clone()).await,
                Err(halt) => Err((None, halt)),
            },
            None => self.forward(work, checked, claim).await,
        };
        let (definition, halt) = match result {
            Ok(definition) => return self.succeed(work, definition).await,
            Err(stopped) => stopped,
        };
        let definition = definition.or_else(|| work.own.clone());
        match halt {
            Halt::Failed(failure) if self.update.switched => {
                self.fail_switched(work, definition, failure).await
            }
            Halt::Failed(failure) => self.undo(work, definition.as_ref(), Outcome::Failed { failure }).await,
            Halt::Cancelled { by } => self.undo(work, definition.as_ref(), Outcome::Cancelled { by }).await,
            other => self.later(other),
        }
    }

    /// Every step of a run that goes well. What stops it comes with the definition, if it was known by then.
    async fn forward(
        &self,
        work: &Work,
        checked: Result<(), Failure>,
        claim: Claim,
    ) -> Result<Option<Definition>, (Option<Definition>, Halt)> {
        self.tell_plan(work);
        let begun = self.begin_check(work, checked).await;
        if !work.plan.enabled {
            let claimed = self.claimed(claim).await;
            claimed.and(begun).map_err(|halt| (None, halt))?;
            self.stop_all(work).await.map_err(|halt| (None, halt))?;
            return Ok(None);
        }
        let prepared = match begun {
            Ok(()) => self.prepare(work).await,
            Err(halt) => Err(halt),
        };
        self.claimed(claim).await.map_err(|halt| (None, halt))?;
        let definition = prepared.map_err(|halt| (None, halt))?;
        match self.carry_out(work, &definition).await {
            Ok(()) => Ok(Some(definition)),
            Err(halt) => Err((Some(definition), halt)),
        }
    }

    async fn carry_out(&self, work: &Work, definition: &Definition) -> Result<(), Halt> {
        let started = self.start(work, definition).await?;
        // A process that died after the switch had verified before it.
        if !self.update.switched {
            self.verify(work, definition).await?;
        }
        self.switch(work, definition, &started).await?;
        self.clean_up(work, definition, &started).await
    }

    fn tell_plan(&self, work: &Work) {
        self.journal.begin(Step::Plan);
        if self.update.attempt > 0 && self.trouble.is_none() {
            self.journal.say("Going on with an update that was cut off.");
        }
        let running = work.running.as_ref().map(|running| running.plan.as_ref());
        for downtime in work.plan.downtime(running, work.infrastructure.engine.host_ports()) {
            self.journal.say(format!(
                "Service {} stops before its successor starts, because {}.",
                downtime.service, downtime.because
            ));
        }
        self.journal.done(plan_line(&work.plan, running, self.update.kind));
    }

    async fn begin_check(&self, work: &Work, checked: Result<(), Failure>) -> Result<(), Halt> {
        self.journal.begin(Step::Check);
        if self.update.switched {
            self.journal.done("Past the switch: going on in the system's name.");
            return Ok(());
        }
        self.interrupted()?;
        checked.map_err(Halt::Failed)?;
        let running = work.running.as_ref().map(|running| running.plan.as_ref());
        let ports = check::fixed_ports(running.into_iter().chain([work.plan.as_ref()]), &work.infrastructure);
        if !ports.is_empty() {
            self.reserve(work, ports).await?;
        }
        self.journal.done("The requester may deploy here, and the policy allows it.");
        Ok(())
    }

    /// Holds fixed host ports for what runs and what shall run.
    async fn reserve(&self, work: &Work, ports: Vec<(String, u16, &'static str)>) -> Result<(), Halt> {
        let deployment = work.deployment.clone();
        let write =
            self.shared.store.write(move |tx| store::deployment::port::reserve(tx, &deployment, &ports));
        write.await.map_err(|error| match error.kind {
            Kind::Conflict => {
                let hint = error.hint.clone().unwrap_or_default();
                Halt::Failed(words::failure(error.code, Step::Check, &error.message, hint))
            }
            _ => Halt::Store(error),
        })
    }

    /// Asks again whether this may be done, of what is stored now; and whether anybody wants it stopped.
    pub async fn recheck(&self, work: &Work) -> Result<(), Halt> {
        self.interrupted()?;
        if self.update.switched {
            return Ok(());
        }
        let (update, plan) = (self.update.clone(), Arc::clone(&work.plan));
        let (admins, now) = (self.shared.settings.admin_groups.clone(), self.shared.clock.now());
        let checked =
            self.shared.store.read(move |db| check::check(db, &update, &plan, &admins, now)).await?;
        checked.map_err(Halt::Failed)
    }

    /// Whether somebody wants it cancelled, or the process is stopping.
    pub fn interrupted(&self) -> Result<(), Halt> {
        if let Some(by) = self.cancelled.borrow().clone() {
            return Err(Halt::Cancelled { by });
        }
        if self.shared.stop.is_cancelled() {
            return Err(Halt::Stopping);
        }
        Ok(())
    }

    /// Waits until somebody wants it cancelled, or the process is stopping.
    pub async fn interruption(&self) -> Halt {
        let mut cancelled = self.cancelled.clone();
        let asked = async {
            loop {
                if let Some(by) = cancelled.borrow_and_update().clone() {
                    return by;
                }
                if cancelled.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            by = asked => Halt::Cancelled { by },
            () = self.shared.stop.cancelled() => Halt::Stopping,
        }
    }

    /// What an engine's error means for the run.
    pub fn engine_halt(&self, error: EngineError) -> Halt {
        if let EngineError::BuildFailed { tail, .. } = &error {
            tail.iter().for_each(|line| self.journal.complain(line));
        }
        if error.is_transient()
            && self.trouble.is_none_or(|since| since.elapsed() < self.shared.settings.patience)
        {
            return Halt::Silent(error);
        }
        Halt::Failed(words::engine(&error, self.journal.step()))
    }

    /// Whether another process, or an earlier attempt of this one, began on it.
    pub fn is_resumed(&self) -> bool {
        matches!(self.update.state, UpdateState::Running { .. })
    }

    /// Whether anything was asked of the engine that has to be taken back.
    pub fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }
}

/// One line of what an update is about.
fn plan_line(plan: &Plan, running: Option<&Plan>, kind: UpdateKind) -> String {
    if !plan.enabled {
        return "Everything stops.".to_owned();
    }
    let services = &plan.workload.services;
    let kept =
        |name: &&_| running.is_some_and(|running| running.template_hash(name) == plan.template_hash(name));
    let (same, changed): (Vec<_>, Vec<_>) = services.keys().partition(kept);
    let what = match (kind, running) {
        (UpdateKind::Repair, _) => format!("Repairing bundle {}", plan.version),
        (UpdateKind::RollBack, _) => format!("Rolling back to bundle {}", plan.version),
        (_, Some(running)) if running.version != plan.version => {
            format!("Bundle {} replaces {}", plan.version, running.version)
        }
        _ => format!("Bundle {}", plan.version),
    };
    let mut line = format!(
        "{what}. To start: {}.",
        if changed.is_empty() { "nothing".to_owned() } else { words::names(changed) }
    );
    if !same.is_empty() {
        line.push_str(&format!(" Unchanged: {}.", words::names(same)));
    }
    line
}
