//! Tests: run on request against what a deployment runs, and what they came to. The run itself is the reconciler's.

use rusqlite::Connection;
use serde_json::json;

use super::deployment::running_plan;
use super::update::{asked_before, queued, told};
use super::{App, Idempotency, Note, load, remember};
use crate::domain::access::{Authorized, Caller, ProjectRight, Subject};
use crate::domain::bundle::{Bundle, Digest};
use crate::domain::deployment::{Deployment, DeploymentRight};
use crate::domain::name::{DeploymentId, ProjectKey, ServiceName, Version};
use crate::domain::plan::Plan;
pub use crate::domain::test::{TestOutcome, TestPlace, TestResult, TestState, TestedBundle};
use crate::domain::update::{Update, UpdateKind};
use crate::domain::{Error, Result};
use crate::store;

/// The tests of one bundle on one deployment.
#[derive(Debug)]
pub struct TestStatus {
    pub deployment: Authorized<Deployment>,
    pub version: Version,
    /// Of the bundle's archive.
    pub digest: Digest,
    /// Every test of the bundle by name, with its newest result on this deployment.
    pub tests: Vec<TestState>,
    /// The run that is queued or under way, whatever bundle it is of.
    pub open: Option<Update>,
    /// The newest run that has ended, whatever bundle it was of.
    pub last: Option<Update>,
    /// Why a run can't be asked for now, rights apart; `None`: it can.
    pub refusal: Option<Error>,
}

/// The tests of one bundle wherever they ran.
#[derive(Debug)]
pub struct BundleTests {
    pub project: ProjectKey,
    pub version: Version,
    pub digest: Digest,
    /// Every test by name, with its newest result on any deployment of the project. A reader who may not see the place
    /// learns the outcome and the times alone.
    pub tests: Vec<TestState>,
}

/// Queues a run of the tests of the bundle that runs, with the settings that it runs with.
///
/// # Errors
/// Without `deploy` on both; `nothing_runs`; `no_tests`; `tests_running`; `deployment_updating`.
pub async fn run(
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
            let plan = runnable(tx, &held)??;
            let update = queued(&app_, &caller, &plan, UpdateKind::Test, reason);
            let number = store::update::enqueue(tx, &update, &plan, &[])?;
            let detail = json!({ "number": number, "kind": update.kind, "version": update.version,
                "plan": update.plan_digest, "tests": plan.testing });
            let note = Note { reason: update.reason.as_deref(), detail };
            app_.journal(tx, &caller, "tests.requested", ("deployment", id.as_str()), note)?;
            remember(tx, &caller, once.as_ref(), &number.to_string(), app_.now())?;
            Ok(told(tx, update, number))
        })
        .await
}

/// The plan of a run of tests; the inner error says why there can be none now.
fn runnable(db: &Connection, deployment: &Deployment) -> Result<Result<Plan>> {
    let id = &deployment.id;
    let open = store::update::open_of(db, id)?;
    if let Some(run) = open.iter().find(|update| update.kind == UpdateKind::Test) {
        let words = format!("update {} runs the tests of {id} already", run.number);
        return Ok(Err(Error::conflict("tests_running", words).hint("Wait for its end, or cancel it.")));
    }
    if let Some(update) = open.first() {
        let words =
            format!("update {} of {id} has not ended, so what its tests would check changes", update.number);
        return Ok(Err(Error::conflict("deployment_updating", words).hint("Run them when it has ended.")));
    }
    let running = running_plan(db, deployment)?.filter(|plan| plan.enabled && deployment.enabled);
    let Some(running) = running else {
        let words = match deployment.enabled {
            true => format!("nothing of {id} runs that its tests could check"),
            false => format!("{id} is disabled, so there is nothing that its tests could check"),
        };
        return Ok(Err(
            Error::conflict("nothing_runs", words).hint("Update the deployment, then run its tests.")
        ));
    };
    Ok(running.for_tests().ok_or_else(|| {
        let words = format!("bundle {}, which {id} runs, has no tests", running.version);
        Error::conflict("no_tests", words).hint(
            "Mark a service of the compose file with `x-slipway: {kind: test}`, publish that and update.",
        )
    }))
}

/// The tests of the bundle that a deployment's settings want, or of another one, with what they came to there.
///
/// # Errors
/// Without `view`; not found, a bundle that is not there.
pub async fn status(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
    version: Option<Version>,
) -> Result<TestStatus> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let deployment = load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let version = version.unwrap_or_else(|| deployment.version.clone());
            let bundle = bundle(db, &deployment.project, &version)?;
            let open = store::update::open_of(db, &id)?;
            Ok(TestStatus {
                tests: states(db, &bundle, Some(deployment.uuid), &subject)?,
                open: open.into_iter().find(|update| update.kind == UpdateKind::Test),
                last: store::test::last_run(db, &id)?,
                refusal: runnable(db, &deployment)?.err(),
                digest: bundle.digest,
                version,
                deployment,
            })
        })
        .await
}

/// The tests of a bundle with what they came to on any deployment of its project.
///
/// # Errors
/// Without `view` on the project.
pub async fn of_bundle(
    app: &App,
    caller: &Caller,
    project: ProjectKey,
    version: Version,
) -> Result<BundleTests> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            load::project(db, &project, &subject, ProjectRight::View)?;
            let bundle = bundle(db, &project, &version)?;
            let tests = states(db, &bundle, None, &subject)?;
            Ok(BundleTests { tests, digest: bundle.digest, version, project })
        })
        .await
}

fn bundle(db: &Connection, project: &ProjectKey, version: &Version) -> Result<Bundle> {
    store::bundle::find(db, project, version)?
        .ok_or_else(|| Error::not_found("bundle", format!("{version} of project {project}")))
}

/// The tests of a run, with what each came to in it; none of an update that is no run of tests.
pub(super) fn of_run(db: &Connection, deployment: &Deployment, run: &Update) -> Result<Vec<TestState>> {
    if run.kind != UpdateKind::Test {
        return Ok(Vec::new());
    }
    let plan = store::update::plan(db, &deployment.id, run.number)?;
    let names = plan.into_iter().flat_map(|plan| plan.testing);
    Ok(joined(names, store::test::of_run(db, deployment.uuid, run.number)?))
}

fn states(
    db: &Connection,
    bundle: &Bundle,
    on: Option<uuid::Uuid>,
    subject: &Subject,
) -> Result<Vec<TestState>> {
    let tested = TestedBundle {
        project: bundle.project.clone(),
        version: bundle.version.clone(),
        digest: bundle.digest.clone(),
    };
    let names = bundle.manifest.workload.tests.keys().cloned();
    Ok(joined(names, store::test::newest(db, &tested, on, subject)?))
}

fn joined(names: impl Iterator<Item = ServiceName>, mut results: Vec<TestResult>) -> Vec<TestState> {
    let mut state = |service: ServiceName| {
        let at = results.iter().position(|one| one.service == service);
        TestState { newest: at.map(|at| results.swap_remove(at)), service }
    };
    names.map(&mut state).collect()
}
