//! Executions: runs of a context. Each is a deployment of one task, which appears in no list of deployments.

mod halt;
mod order;
mod port;

use std::collections::BTreeMap;

use rusqlite::Connection;
use uuid::Uuid;

use super::deployment::{self, Changes, made};
use super::log::{Lines, Wanted};
use super::{App, load, update};
use crate::domain::access::{Authorized, Caller, InfrastructureRight, Subject};
use crate::domain::clock::Timestamp;
use crate::domain::context::{self, ContextSpec, effective, execution_service};
use crate::domain::deployment::{Deployment, DeploymentRight, ExecutionOf};
use crate::domain::name::DeploymentId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::update::Update;
use crate::domain::{Error, Result};
use crate::engine::{Phase, SlotState};
use crate::store;
pub use crate::store::execution::Filter;
pub use halt::stop;
pub use order::{NewExecution, create};
pub use port::{ExposedPort, Hosts};

const NOUN: &str = "execution";

/// An execution with what was last observed of it.
#[derive(Debug, Clone)]
pub struct Execution {
    pub deployment: Deployment,
    pub of: ExecutionOf,
    /// Whether it runs on Kubernetes.
    pub on_kubernetes: bool,
    /// Its container, where there is one.
    pub slot: Option<SlotState>,
    /// Whether its engine answers: if not, what was observed may be long past.
    pub reachable: bool,
    /// What was last asked for: its start, its stop, its removal.
    pub update: Option<Update>,
}

/// Where an execution stands, as renga has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Running,
    Exited,
    /// Waiting, restarting, paused, gone, or not to be found out.
    Unavailable,
}

impl State {
    /// As it stands on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Unavailable => "unavailable",
        }
    }
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// `None` where the engine does not know it.
    pub code: Option<i64>,
    pub out_of_memory: bool,
    pub at: Option<Timestamp>,
}

impl Execution {
    /// Its identifier.
    pub fn uuid(&self) -> Uuid {
        self.deployment.uuid
    }

    /// Where it stands. What has ended has, also where its engine does not answer.
    pub fn state(&self) -> State {
        match self.slot.as_ref().map(|slot| &slot.phase) {
            Some(Phase::Starting | Phase::Running | Phase::Unhealthy) if self.reachable => State::Running,
            Some(Phase::Exited { .. }) => State::Exited,
            _ => State::Unavailable,
        }
    }

    /// How it ended, where it has.
    pub fn exit(&self) -> Option<Exit> {
        let slot = self.slot.as_ref()?;
        let Phase::Exited { code, oom_killed } = slot.phase else { return None };
        Some(Exit {
            code: Some(code).filter(|code| *code >= 0),
            out_of_memory: oom_killed,
            at: slot.ended_at,
        })
    }

    /// Whether somebody stopped and removed it.
    pub fn is_removed(&self) -> bool {
        !self.deployment.enabled
    }
}

/// One execution; where `of` names a context, only if it is that one's.
///
/// # Errors
/// Not found, for a foreign one and for another context's alike.
pub async fn get(app: &App, caller: &Caller, of: Option<Uuid>, uuid: Uuid) -> Result<Execution> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let held = load(db, &subject, of, uuid, DeploymentRight::View)?;
            observed(db, held.into_inner())
        })
        .await
}

/// Checks that the caller may stop and remove it, before a page offers to.
///
/// # Errors
/// Not found; without `deploy` on its infrastructure.
pub async fn may_act(app: &App, caller: &Caller, uuid: Uuid) -> Result<()> {
    let subject = caller.subject.clone();
    app.store.read(move |db| load(db, &subject, None, uuid, DeploymentRight::Deploy).map(drop)).await
}

fn load(
    db: &Connection,
    who: &Subject,
    of: Option<Uuid>,
    uuid: Uuid,
    needed: DeploymentRight,
) -> Result<Authorized<Deployment>> {
    let absent = || Error::not_found(NOUN, uuid);
    if let Some(context) = of {
        load::resource::<ContextSpec>(db, context, who)?;
    }
    let found = store::deployment::find(db, &DeploymentId::of_uuid(uuid), who)?.ok_or_else(absent)?;
    // First whether it is there for this caller at all: the words are the same.
    let found = found.authorize(who, needed).map_err(|error| match error.kind {
        crate::domain::Kind::NotFound => absent(),
        _ => error,
    })?;
    match found.source.execution() {
        Some(execution) if of.is_none_or(|context| context == execution.context) => Ok(found),
        _ => Err(absent()),
    }
}

fn observed(db: &Connection, deployment: Deployment) -> Result<Execution> {
    let Some(of) = deployment.source.execution().cloned() else {
        return Err(Error::internal("a deployment of something else was taken for an execution"));
    };
    let slots: Vec<SlotState> = store::observation::slots(db, &deployment.infrastructure, &deployment.id)?;
    let own = execution_service();
    // After a retry there may be an older one that is on its way out.
    let slot = slots.into_iter().filter(|slot| slot.slot.service == own).max_by_key(|slot| slot.revision);
    let on_kubernetes = load::engine(db, &deployment.infrastructure)?.kind() == "kubernetes";
    let update = store::update::find(db, &deployment.id, deployment.last_update)?;
    let engine = store::observation::engine(db, &deployment.infrastructure)?;
    let reachable = engine.is_none_or(|engine| engine.reachable);
    Ok(Execution { deployment, of, on_kubernetes, slot, reachable, update })
}

/// Executions that the caller may see, newest first.
///
/// # Errors
/// Not found for a context that the caller may not see; `invalid_input` for a cursor that is none.
pub async fn list(app: &App, caller: &Caller, filter: Filter, page: PageRequest) -> Result<Page<Execution>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            if let Some(context) = filter.context {
                load::resource::<ContextSpec>(db, context, &subject)?;
            }
            let after = page.after.as_deref().map(cursor).transpose()?;
            let mut found = store::execution::list(db, &subject, &filter, after, page.limit + 1)?;
            let more = found.len() > page.limit as usize;
            found.truncate(page.limit as usize);
            let next = found.last().filter(|_| more);
            let next = next.map(|last| format!("{}.{}", last.created_at.timestamp_millis(), last.id));
            let items: Result<Vec<_>> = found.into_iter().map(|one| observed(db, one)).collect();
            Ok(Page { items: items?, next })
        })
        .await
}

fn cursor(text: &str) -> Result<store::execution::After<'_>> {
    let parts = text.split_once('.').and_then(|(made, id)| Some((made.parse().ok()?, id)));
    parts.ok_or_else(|| {
        Error::field("after", "this is no cursor of this list").hint("Start from the first page.")
    })
}

/// What an execution's container has as environment; secrets masked.
///
/// # Errors
/// Not found.
pub async fn environment(app: &App, caller: &Caller, uuid: Uuid) -> Result<BTreeMap<String, String>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let held = load(db, &subject, None, uuid, DeploymentRight::View)?;
            let definition = made::current(db, &held)?;
            let secrets = store::secret::list(db, &held.id)?;
            let own = definition.workload.services.get(context::SERVICE);
            let names = secrets.iter().map(|secret| &secret.name);
            Ok(own.map(|service| effective(service, names)).unwrap_or_default())
        })
        .await
}

/// What an execution has written.
///
/// # Errors
/// Not found, also before anything was started and after it was removed; `engine_unreachable`.
pub async fn logs(app: &App, caller: &Caller, of: Uuid, uuid: Uuid) -> Result<Lines> {
    let execution = get(app, caller, Some(of), uuid).await?;
    if execution.is_removed() || execution.slot.is_none() {
        let words = format!("execution {uuid} has no logs");
        let ended = execution.update.as_ref().is_none_or(Update::is_ended);
        let hint = match (execution.is_removed(), ended) {
            (true, _) => "It was stopped and removed, and they went with it.",
            (false, true) => {
                "Nothing of it runs: its page in the console, and the log of its update, say why."
            }
            (false, false) => "Nothing of it was started yet. Ask again in a moment.",
        };
        return Err(Error { message: words, ..Error::not_found(NOUN, uuid) }.hint(hint));
    }
    super::log::history(app, caller, execution.deployment.id, Wanted::default()).await
}

/// Stops an execution and removes what ran, and keeps that it was. Asking again is no error.
///
/// # Errors
/// Not found; without `deploy` on its infrastructure.
pub async fn remove(app: &App, caller: &Caller, of: Option<Uuid>, uuid: Uuid) -> Result<Execution> {
    let (app_, who) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let held = load(tx, &who.subject, of, uuid, DeploymentRight::Deploy)?;
            if !held.enabled && is_stopped(tx, &held)? {
                return Ok(());
            }
            let id = held.id.clone();
            cancel_open(&app_, tx, &who, &held)?;
            let reason = Some("removed".to_owned());
            let changes = Changes {
                enabled: Some(false),
                reason: reason.clone(),
                ignore_warnings: true,
                ..Changes::default()
            };
            deployment::apply(&app_, tx, &who, held.into_inner(), &changes)?;
            update::start_made(&app_, tx, &who, &id, reason)
        })
        .await?;
    get(app, caller, of, uuid).await
}

/// Whether nothing of a disabled execution runs any more, or soon will: a stop may have failed, or been cancelled.
fn is_stopped(db: &Connection, held: &Deployment) -> Result<bool> {
    let stopping = store::update::open_of(db, &held.id)?.iter().any(Update::is_stop);
    Ok(stopping || held.running_update.is_none())
}

/// Asks for the end of whatever is queued or under way and not past its switch.
fn cancel_open(app: &App, tx: &store::Tx<'_>, caller: &Caller, held: &Deployment) -> Result<()> {
    for run in store::update::open_of(tx, &held.id)? {
        if !run.switched && run.cancel_requested_by.is_none() {
            update::cancel_one(app, tx, caller, run)?;
        }
    }
    Ok(())
}

/// Removes an execution for good, with its volumes: it goes once nothing of it runs.
///
/// # Errors
/// Not found; without `deploy` on its infrastructure.
pub async fn delete(app: &App, caller: &Caller, uuid: Uuid) -> Result<Execution> {
    let last = get(app, caller, None, uuid).await?;
    deployment::remove(app, caller, last.deployment.id.clone(), true).await?;
    Ok(last)
}

/// The infrastructures on which somebody may run something.
fn may_run(db: &Connection, who: &Subject, id: &crate::domain::name::InfrastructureId) -> bool {
    load::infrastructure(db, id, who, InfrastructureRight::Deploy).is_ok()
}
