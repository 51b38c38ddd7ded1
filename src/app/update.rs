//! Updates: asked for, watched, cancelled, rolled back. The run itself is the reconciler's.

mod cancel;
mod roll_back;

use serde_json::json;
use uuid::Uuid;

use super::deployment::{running_plan, wanted_plan};
use super::{App, Idempotency, Note, load, remember, replayed};
use crate::bus::Topic;
use crate::domain::access::{Authorized, Caller};
use crate::domain::approval::ApprovalState;
use crate::domain::clock::Timestamp;
use crate::domain::deployment::{Deployment, DeploymentRight};
use crate::domain::diff::{self, Change};
use crate::domain::governance;
use crate::domain::health::Message;
use crate::domain::name::DeploymentId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::plan::{Downtime, Plan};
use crate::domain::test::TestState;
use crate::domain::update::{LogLine, Outcome, StepRecord, Update, UpdateKind, UpdateState};
use crate::domain::{Error, Result};
use crate::store;
use crate::store::Tx;
pub use cancel::cancel;
pub(super) use cancel::one as cancel_one;
pub use roll_back::{preview_roll_back, roll_back};

/// Queues an update that makes the world match the saved settings (or stops everything when disabled).
///
/// # Errors
/// Without `deploy` on both; `plan_refused`; `governance_prevents`; `one_run` for an execution that was started.
pub async fn start(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
    reason: Option<String>,
    once: Option<Idempotency>,
) -> Result<Update> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let held = load::deployment(tx, &id, &caller.subject, DeploymentRight::Deploy)?;
            if let Some(first) = asked_before(tx, &caller, &id, once.as_ref())? {
                return Ok(first);
            }
            if held.enabled && held.running_update.is_some() {
                super::deployment::refuse_run(&held)?;
            }
            let plan = wanted_plan(tx, &held)?;
            let kind = if held.enabled { UpdateKind::Update } else { UpdateKind::Stop };
            let update =
                enqueue(&app_, tx, &caller, &held, &plan, Request { kind, reason, rolls_back_to: None })?;
            remember(tx, &caller, once.as_ref(), &update.number.to_string(), app_.now())?;
            Ok(update)
        })
        .await
}

/// Queues what makes the world match the saved settings, inside somebody else's transaction. What governance prevents is
/// not queued, which is no error: the deployment says so itself.
pub(super) fn start_made(
    app: &App,
    tx: &Tx<'_>,
    caller: &Caller,
    id: &DeploymentId,
    reason: Option<String>,
) -> Result<()> {
    let held = load::deployment(tx, id, &caller.subject, DeploymentRight::Deploy)?;
    let plan = wanted_plan(tx, &held)?;
    let kind = if held.enabled { UpdateKind::Update } else { UpdateKind::Stop };
    match enqueue(app, tx, caller, &held, &plan, Request { kind, reason, rolls_back_to: None }) {
        Err(error) if error.code == governance::PREVENTS => Ok(()),
        queued => queued.map(drop),
    }
}

/// The update that the same request asked for when it came first.
pub(super) fn asked_before(
    tx: &Tx<'_>,
    caller: &Caller,
    id: &DeploymentId,
    once: Option<&Idempotency>,
) -> Result<Option<Update>> {
    let number = replayed(tx, caller, once)?;
    number.map(|number| one(tx, id, number.parse().unwrap_or_default())).transpose()
}

/// Disables a deployment and queues the update that stops it: one action.
///
/// # Errors
/// Without `deploy` on both.
pub async fn stop(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
    reason: Option<String>,
    once: Option<Idempotency>,
) -> Result<Update> {
    set_enabled(app, caller, id, false, reason, once).await
}

/// Enables a stopped deployment and queues the update that starts it: one action.
///
/// # Errors
/// Without `deploy` on both; `plan_refused`.
pub async fn resume(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
    reason: Option<String>,
    once: Option<Idempotency>,
) -> Result<Update> {
    set_enabled(app, caller, id, true, reason, once).await
}

async fn set_enabled(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
    enabled: bool,
    reason: Option<String>,
    once: Option<Idempotency>,
) -> Result<Update> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let held = load::deployment(tx, &id, &caller.subject, DeploymentRight::Deploy)?;
            if let Some(first) = asked_before(tx, &caller, &id, once.as_ref())? {
                return Ok(first);
            }
            super::deployment::refuse_fixed(&held)?;
            let changes = super::deployment::Changes {
                enabled: Some(enabled),
                reason: reason.clone(),
                // It was let through once, or ran: what is warned of now shows in its health.
                ignore_warnings: true,
                ..super::deployment::Changes::default()
            };
            let deployment = super::deployment::apply(&app_, tx, &caller, held.into_inner(), &changes)?;
            let held = load::deployment(tx, &deployment.id, &caller.subject, DeploymentRight::Deploy)?;
            let plan = wanted_plan(tx, &held)?;
            let kind = if enabled { UpdateKind::Update } else { UpdateKind::Stop };
            let request = Request { kind, reason, rolls_back_to: None };
            let update = enqueue(&app_, tx, &caller, &held, &plan, request)?;
            remember(tx, &caller, once.as_ref(), &update.number.to_string(), app_.now())?;
            Ok(update)
        })
        .await
}

/// Whether an update can be rolled back to.
pub fn rollable(update: &Update) -> bool {
    matches!(update.state, UpdateState::Ended { outcome: Outcome::Succeeded, .. })
        && !matches!(update.kind, UpdateKind::Stop | UpdateKind::Test | UpdateKind::Halt)
}

struct Request {
    kind: UpdateKind,
    reason: Option<String>,
    rolls_back_to: Option<u32>,
}

fn enqueue(
    app: &App,
    tx: &Tx<'_>,
    caller: &Caller,
    deployment: &Authorized<Deployment>,
    plan: &Plan,
    request: Request,
) -> Result<Update> {
    let id = &deployment.id;
    governance::refuse_prevented(&store::deployment::governance(tx, id)?)?;
    if request.kind == UpdateKind::Stop {
        // Whoever stops a deployment does not wait for its tests.
        let open = store::update::open_of(tx, id)?.into_iter();
        for run in open.filter(|run| run.kind == UpdateKind::Test && run.cancel_requested_by.is_none()) {
            cancel::one(app, tx, caller, run)?;
        }
    }
    let changes = diff::plans(running_plan(tx, deployment)?.as_ref(), plan);
    let update = Update {
        rolls_back_to: request.rolls_back_to,
        ..queued(app, caller, plan, request.kind, request.reason)
    };
    let number = store::update::enqueue(tx, &update, plan, &changes)?;
    store::update::set_settings(tx, id, number, &deployment.settings)?;
    let detail = json!({ "number": number, "kind": update.kind, "version": update.version,
        "plan": update.plan_digest, "changes": changes.len(), "rolls_back_to": update.rolls_back_to });
    let note = Note { reason: update.reason.as_deref(), detail };
    app.journal(tx, caller, "update.requested", ("deployment", id.as_str()), note)?;
    Ok(told(tx, update, number))
}

/// An update of that plan that the caller asks for now; it has no number yet.
pub(super) fn queued(
    app: &App,
    caller: &Caller,
    plan: &Plan,
    kind: UpdateKind,
    reason: Option<String>,
) -> Update {
    Update {
        deployment: plan.deployment.clone(),
        number: 0,
        kind,
        state: UpdateState::Queued,
        version: plan.version.clone(),
        plan_digest: plan.digest(),
        requester: caller.subject.clone(),
        origin: caller.origin,
        reason,
        rolls_back_to: None,
        created_at: app.now(),
        cancel_requested_by: None,
        switched: false,
        attempt: 0,
    }
}

/// Tells of an update that was queued under that number.
pub(super) fn told(tx: &Tx<'_>, update: Update, number: u32) -> Update {
    tx.publish(Topic::Work);
    tx.publish(Topic::Deployment(update.deployment.clone()));
    tx.publish(Topic::Update(update.deployment.clone(), number));
    Update { number, ..update }
}

fn one(db: &rusqlite::Connection, id: &DeploymentId, number: u32) -> Result<Update> {
    store::update::find(db, id, number)?
        .ok_or_else(|| Error::not_found("update", format!("{number} of {id}")))
}

/// What an update would do now, before it is asked for.
#[derive(Debug)]
pub struct Preview {
    pub plan: Plan,
    pub changes: Vec<Change>,
    pub downtime: Vec<Downtime>,
    /// What its engine does otherwise than the bundle says, a line for each.
    pub differences: Vec<String>,
    /// What governance says of it.
    pub governance: Vec<Message>,
    /// The approval that was asked for and is not decided.
    pub pending: Option<Uuid>,
}

/// The plan of the saved settings with its diff against what runs.
///
/// # Errors
/// Without `view`; `plan_refused`.
pub async fn preview(app: &App, caller: &Caller, id: DeploymentId) -> Result<Preview> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let deployment = load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let (plan, running) = (wanted_plan(db, &deployment)?, running_plan(db, &deployment)?);
            let changes = diff::plans(running.as_ref(), &plan);
            let engine = load::engine(db, &deployment.infrastructure)?;
            let downtime = plan.downtime(running.as_ref(), engine.host_ports());
            let differences = engine.differences(&plan.workload);
            let governance = store::deployment::governance(db, &id)?;
            let newest = store::approval::newest(db, &id, &plan.digest())?;
            let pending = newest.filter(|one| one.state == ApprovalState::Pending).map(|one| one.id);
            Ok(Preview { plan, changes, downtime, differences, governance, pending })
        })
        .await
}

/// One update.
pub async fn get(app: &App, caller: &Caller, id: DeploymentId, number: u32) -> Result<Update> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            load::deployment(db, &id, &subject, DeploymentRight::View)?;
            one(db, &id, number)
        })
        .await
}

/// The update that was asked for at that moment.
///
/// # Errors
/// Without `view`; not found.
pub async fn at(app: &App, caller: &Caller, id: DeploymentId, asked: Timestamp) -> Result<Update> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let found = store::update::at(db, &id, asked)?;
            found.ok_or_else(|| Error::not_found("update", format!("{} of {id}", asked.timestamp_millis())))
        })
        .await
}

/// Everything that is queued or running on deployments of bundles that the caller may see, oldest first, each with its
/// deployment's uuid.
pub async fn open(app: &App, caller: &Caller) -> Result<Vec<(Uuid, Update)>> {
    let subject = caller.subject.clone();
    app.store.read(move |db| store::update::open(db, &subject)).await
}

/// Everything that an update's page shows, its log apart.
#[derive(Debug)]
pub struct Detail {
    pub deployment: Authorized<Deployment>,
    pub update: Update,
    pub steps: Vec<StepRecord>,
    pub changes: Vec<Change>,
    /// Of a run of tests: each of them, with what it came to.
    pub tests: Vec<TestState>,
}

/// One update with its steps and what it changed.
pub async fn detail(app: &App, caller: &Caller, id: DeploymentId, number: u32) -> Result<Detail> {
    Ok(detail_with_log(app, caller, id, number, 0).await?.0)
}

/// The same with the first lines of its log, from one moment.
pub async fn detail_with_log(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
    number: u32,
    lines: u32,
) -> Result<(Detail, Vec<LogLine>)> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let deployment = load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let update = one(db, &id, number)?;
            let detail = Detail {
                tests: super::test::of_run(db, &deployment, &update)?,
                deployment,
                update,
                steps: store::update::steps(db, &id, number)?,
                changes: store::update::diff(db, &id, number)?,
            };
            Ok((detail, store::update::log(db, &id, number, 0, lines)?))
        })
        .await
}

/// A deployment's updates, newest first; the cursor is the last one's number.
pub async fn list(app: &App, caller: &Caller, id: DeploymentId, page: PageRequest) -> Result<Page<Update>> {
    let subject = caller.subject.clone();
    let before = page.after.as_deref().and_then(|after| after.parse().ok());
    app.store
        .read(move |db| {
            load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let mut items = store::update::list(db, &id, before, page.limit + 1)?;
            let more = items.len() > page.limit as usize;
            items.truncate(page.limit as usize);
            let next = if more { items.last().map(|update| update.number.to_string()) } else { None };
            Ok(Page { items, next })
        })
        .await
}

/// An update's log after the line `after`.
pub async fn log(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
    number: u32,
    after: i64,
    limit: u32,
) -> Result<Vec<LogLine>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            load::deployment(db, &id, &subject, DeploymentRight::View)?;
            store::update::log(db, &id, number, after, limit)
        })
        .await
}
