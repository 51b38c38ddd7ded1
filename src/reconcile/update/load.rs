//! Everything that a run starts from, read in one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;

use super::check;
use super::run::Halt;
use super::words::failure;
use crate::domain::access::{Authorized, InfrastructureRight, Subject};
use crate::domain::clock::Timestamp;
use crate::domain::deployment::{Deployment, DeploymentRight};
use crate::domain::group::Groups;
use crate::domain::infrastructure::{EngineConnection, Infrastructure};
use crate::domain::name::{SecretName, ServiceName};
use crate::domain::plan::Plan;
use crate::domain::update::{Failure, Outcome, Step, Update, UpdateKind};
use crate::domain::{Error, Result};
use crate::engine::{Engine, ResolvedImage};
use crate::reconcile::definition::Definition;
use crate::store;

/// What a run works with; frozen at its start, rights and policy apart, which are read again before each side effect.
pub(super) struct Work {
    pub deployment: Deployment,
    pub infrastructure: Infrastructure,
    pub engine: Arc<dyn Engine>,
    /// Who builds images for that engine, where its connection names somebody.
    pub builder: Option<Arc<dyn Engine>>,
    /// What shall run.
    pub plan: Arc<Plan>,
    /// What runs.
    pub running: Option<Definition>,
    /// What an earlier process got this very update to.
    pub own: Option<Definition>,
    /// Images that must be the ones of then.
    pub pinned: BTreeMap<ServiceName, ResolvedImage>,
    /// How it will end: an earlier process was undoing it.
    pub doomed: Option<Outcome>,
    /// The deployment's secrets with their versions, sealed.
    pub sealed: BTreeMap<SecretName, (u32, Vec<u8>)>,
    /// Fixed host ports that the store holds for the deployment.
    pub ports_held: usize,
}

/// [`Work`] before its engine is known, and whether it may be done.
pub(super) struct Loaded {
    pub deployment: Deployment,
    pub infrastructure: Infrastructure,
    pub builder: Option<Infrastructure>,
    pub plan: Arc<Plan>,
    pub running: Option<Definition>,
    pub own: Option<Definition>,
    pub pinned: BTreeMap<ServiceName, ResolvedImage>,
    pub doomed: Option<Outcome>,
    pub sealed: BTreeMap<SecretName, (u32, Vec<u8>)>,
    pub ports_held: usize,
    pub checked: Result<(), Failure>,
}

/// Reads it all.
///
/// # Errors
/// Of the store; `Halt::Failed` when the frozen plan can't be read.
pub(super) fn load(
    db: &Connection,
    update: &Update,
    admins: &Groups,
    now: Timestamp,
) -> Result<Result<Loaded, Halt>> {
    let (id, number) = (&update.deployment, update.number);
    let plan = match store::update::plan(db, id, number) {
        Ok(Some(plan)) => Arc::new(plan),
        Ok(None) => return Ok(Err(Halt::Gone)),
        Err(error) => return Ok(Err(Halt::Failed(unreadable(&error)))),
    };
    let (deployment, infrastructure) = rows(db, update)?;
    let builder = builder(db, &infrastructure)?;
    let running = match deployment.running_update {
        Some(running) => Definition::load(db, id, running)?,
        None => None,
    };
    let own = Definition::load(db, id, number)?;
    let checked = check::check(db, update, &plan, admins, now)?;
    let sealed = store::secret::sealed(db, id)?;
    Ok(Ok(Loaded {
        pinned: pinned(db, update, &plan, running.as_ref(), own.as_ref())?,
        doomed: store::run::doomed(db, id, number)?,
        sealed: sealed.into_iter().map(|(name, version, value)| (name, (version, value))).collect(),
        ports_held: check::held_ports(db, id)?,
        deployment,
        infrastructure,
        builder,
        plan,
        running,
        own,
        checked,
    }))
}

fn rows(db: &Connection, update: &Update) -> Result<(Deployment, Infrastructure)> {
    let system = Subject::system();
    let deployment = store::deployment::find(db, &update.deployment, &system)?
        .ok_or_else(|| Error::not_found("deployment", &update.deployment))?
        .authorize(&system, DeploymentRight::View)?
        .into_inner();
    let infrastructure = store::infrastructure::find(db, &deployment.infrastructure, &system)?
        .ok_or_else(|| Error::not_found("infrastructure", &deployment.infrastructure))?
        .authorize(&system, InfrastructureRight::View)?
        .into_inner();
    Ok((deployment, infrastructure))
}

/// The infrastructure that builds images for this one; one that is gone counts as none.
fn builder(db: &Connection, infrastructure: &Infrastructure) -> Result<Option<Infrastructure>> {
    let EngineConnection::Kubernetes(cluster) = &infrastructure.engine else {
        return Ok(None);
    };
    let Some(named) = &cluster.builder else {
        return Ok(None);
    };
    let system = Subject::system();
    let found = store::infrastructure::find(db, named, &system)?;
    let held = found.map(|found| found.authorize(&system, InfrastructureRight::View)).transpose()?;
    Ok(held.map(Authorized::into_inner))
}

fn unreadable(error: &Error) -> Failure {
    tracing::error!(%error, cause = ?error.cause, "an update's plan can't be read");
    failure(
        "plan_unreadable",
        Step::Plan,
        "the plan of this update can't be read",
        "Ask for the update again. The server's log says what is wrong with it.",
    )
}

/// Images of then: of this update's own earlier attempt, of the update rolled back to, of what is repaired; each only
/// where the service is still made from the same.
fn pinned(
    db: &Connection,
    update: &Update,
    plan: &Plan,
    running: Option<&Definition>,
    own: Option<&Definition>,
) -> Result<BTreeMap<ServiceName, ResolvedImage>> {
    let earlier = match (own, update.kind, update.rolls_back_to) {
        (Some(own), _, _) => Some(own.clone()),
        (None, UpdateKind::Repair | UpdateKind::Test, _) => running.cloned(),
        (None, UpdateKind::RollBack, Some(to)) => Definition::load(db, &update.deployment, to)?,
        _ => None,
    };
    let Some(earlier) = earlier else {
        return Ok(BTreeMap::new());
    };
    let same = |name: &ServiceName| {
        let (then, now) = (earlier.plan.workload.services.get(name), plan.workload.services.get(name));
        let image = then.map(|service| &service.image) == now.map(|service| &service.image);
        image && earlier.plan.inputs.get(name) == plan.inputs.get(name)
    };
    let images = earlier.resolution.images.clone();
    Ok(images.into_iter().filter(|(name, _)| same(name)).collect())
}
