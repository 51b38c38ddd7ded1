//! Test scenarios and the project standards report: the tests of a bundle, and what they came to where they really ran.

use std::collections::BTreeMap;

use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::operations;
use crate::app;
use crate::app::test::{TestOutcome, TestResult, TestState, TestStatus};
use crate::bus::Topic;
use crate::domain::deployment::Deployment;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, ServiceName, Version};
use crate::domain::{Error, Kind, Result};
use crate::http::State;
use crate::http::api::Reply;
use crate::http::api::bundle::located;
use crate::http::api::query::Query;
use crate::http::identity::Who;

operations! {
    get "/project-deployer/deployments/{id}/testing-status" => testing_status,
    post "/project-deployer/deployments/{id}/run-test-scenarios" => run,
    get "/project-deployer/projects/{key}/bundles/{version}/project-standards-report" => report,
}

/// How many tests came to what.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TestingStatus {
    deployment_id: DeploymentId,
    bundle_id: Version,
    nb_total_ran_scenarios: usize,
    nb_scenarios_per_outcome: BTreeMap<&'static str, usize>,
    /// Slipway's own: each test that ran.
    scenarios: Vec<Scenario>,
    /// Slipway's own: the newest run that has ended, whose log `get_update` gives by this time.
    last_run_timestamp: Option<i64>,
}

/// What a test came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Scenario {
    id: ServiceName,
    outcome: &'static str,
    message: String,
    start_timestamp: i64,
    end_timestamp: i64,
}

/// Dataiku's words for it; a test has no warnings.
fn outcome(outcome: TestOutcome) -> &'static str {
    match outcome {
        TestOutcome::Passed => "SUCCESS",
        TestOutcome::Failed => "FAILED",
        TestOutcome::Aborted => "ABORTED",
    }
}

fn ran(tests: &[TestState]) -> impl Iterator<Item = &TestResult> {
    tests.iter().filter_map(|test| test.newest.as_ref())
}

impl From<TestStatus> for TestingStatus {
    fn from(status: TestStatus) -> Self {
        let mut counts: BTreeMap<_, _> =
            ["SUCCESS", "WARNING", "FAILED", "ABORTED"].map(|word| (word, 0)).into();
        let mut scenarios = Vec::new();
        for result in ran(&status.tests) {
            *counts.entry(outcome(result.outcome)).or_default() += 1;
            scenarios.push(Scenario {
                id: result.service.clone(),
                outcome: outcome(result.outcome),
                message: result.message.clone(),
                start_timestamp: result.started_at.timestamp_millis(),
                end_timestamp: result.ended_at.timestamp_millis(),
            });
        }
        Self {
            deployment_id: status.deployment.id.clone(),
            bundle_id: status.version,
            nb_total_ran_scenarios: scenarios.len(),
            nb_scenarios_per_outcome: counts,
            scenarios,
            last_run_timestamp: status.last.map(|run| run.created_at.timestamp_millis()),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Which {
    bundle_id: Option<Version>,
    /// The infrastructure, which is the one node that there is.
    automation_node_id: Option<InfrastructureId>,
}

fn refuse_other_node(deployment: &Deployment, node: Option<&InfrastructureId>) -> Result<()> {
    match node {
        Some(node) if *node != deployment.infrastructure => {
            let words = format!("{} runs on {} alone", deployment.id, deployment.infrastructure);
            Err(Error::field("automationNodeId", words).hint("Leave it out."))
        }
        _ => Ok(()),
    }
}

async fn testing_status(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    query: Query<Which>,
) -> Reply<Json<TestingStatus>> {
    let id = super::deployment_of(&state.app, &who, &id).await?;
    let status = app::test::status(&state.app, &who, id, query.0.bundle_id).await?;
    refuse_other_node(&status.deployment, query.0.automation_node_id.as_ref())?;
    Ok(Json(status.into()))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Where {
    automation_node_id: Option<InfrastructureId>,
}

/// Runs them and waits for their end: the client has nothing to wait with. The run goes on where the client does not.
async fn run(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    query: Query<Where>,
) -> Reply<Json<TestingStatus>> {
    let id = super::deployment_of(&state.app, &who, &id).await?;
    let deployment = app::deployment::get(&state.app, &who, id.clone()).await?;
    refuse_other_node(&deployment, query.0.automation_node_id.as_ref())?;
    let mut topics = state.app.store.bus().subscribe();
    let run = app::test::run(&state.app, &who, id.clone(), None, None).await?;
    while !app::update::get(&state.app, &who, id.clone(), run.number).await?.is_ended() {
        loop {
            let heard = tokio::select! {
                heard = topics.recv() => heard,
                () = state.shutdown.cancelled() => Err(RecvError::Closed),
            };
            match heard {
                Ok(Topic::Update(of, number)) if of == id && number == run.number => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return Err(going_on(&id).into()),
            }
        }
    }
    Ok(Json(app::test::status(&state.app, &who, id, Some(run.version)).await?.into()))
}

fn going_on(id: &DeploymentId) -> Error {
    let words = format!("the server stops; the tests of {id} go on when it is back");
    Error::new(Kind::Unavailable, "stopping", words).hint("Ask for get_testing_status later.")
}

/// The newest results of a bundle's tests, wherever they ran.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    project_key: ProjectKey,
    bundle_id: Version,
    /// There are no scopes: every bundle says itself what is checked.
    scope: Option<String>,
    /// Who asked for the newest of them; `null` where the caller may not see where it ran.
    requester: Option<String>,
    start_time: i64,
    total_duration_ms: i64,
    bundle_checks_run_info: BTreeMap<ServiceName, CheckRun>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckRun {
    check: Value,
    result: CheckResult,
    duration_ms: i64,
    expanded_check_params: Value,
}

#[derive(Debug, Serialize)]
struct CheckResult {
    status: &'static str,
    /// 0: nothing was found, 5: critical; `null` where the test did not come to its end.
    severity: Option<u8>,
    message: String,
    details: Value,
}

impl From<&TestResult> for CheckRun {
    fn from(result: &TestResult) -> Self {
        let name = &result.service;
        let (status, severity) = match result.outcome {
            TestOutcome::Passed => ("RUN_SUCCESS", Some(0)),
            TestOutcome::Failed => ("RUN_SUCCESS", Some(5)),
            TestOutcome::Aborted => ("RUN_ERROR", None),
        };
        let place = result.place.as_ref();
        Self {
            check: json!({ "id": name, "name": name, "checkElementType": "slipway-test", "tags": [] }),
            result: CheckResult {
                status,
                severity,
                message: result.message.clone(),
                details: json!({ "exitCode": result.exit_code, "deployment": place.map(|place| &place.deployment),
                    "infrastructure": place.map(|place| &place.infrastructure) }),
            },
            duration_ms: (result.ended_at - result.started_at).num_milliseconds(),
            expanded_check_params: json!({}),
        }
    }
}

/// `null` where none ran.
async fn report(state: Data<State>, who: Who, path: Path<(String, String)>) -> Reply<Json<Option<Report>>> {
    let (key, version) = located(&path)?;
    let found = app::test::of_bundle(&state.app, &who, key, version).await?;
    let newest = ran(&found.tests).max_by_key(|result| result.ended_at);
    let Some(newest) = newest else { return Ok(Json(None)) };
    let runs: BTreeMap<_, _> =
        ran(&found.tests).map(|result| (result.service.clone(), CheckRun::from(result))).collect();
    let started = ran(&found.tests).map(|result| result.started_at).min().unwrap_or(newest.started_at);
    Ok(Json(Some(Report {
        project_key: found.project,
        bundle_id: found.version,
        scope: None,
        requester: newest.place.as_ref().map(|place| place.requester.clone()),
        start_time: started.timestamp_millis(),
        total_duration_ms: runs.values().map(|run| run.duration_ms).sum(),
        bundle_checks_run_info: runs,
    })))
}

/// Names of tests by what they came to, as the heavy status tells of scenarios.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Monitoring {
    has_scenarios: bool,
    /// Nothing starts them but somebody.
    has_active_scenarios: bool,
    failed: Vec<ServiceName>,
    warning: Vec<ServiceName>,
    successful: Vec<ServiceName>,
    aborted: Vec<ServiceName>,
    running: Vec<ServiceName>,
}

impl From<&TestStatus> for Monitoring {
    fn from(status: &TestStatus) -> Self {
        let of = |wanted: TestOutcome| {
            ran(&status.tests)
                .filter(|result| result.outcome == wanted)
                .map(|result| result.service.clone())
                .collect()
        };
        let running = status.open.iter().flat_map(|_| &status.tests).map(|test| test.service.clone());
        Self {
            has_scenarios: !status.tests.is_empty(),
            has_active_scenarios: false,
            failed: of(TestOutcome::Failed),
            warning: Vec::new(),
            successful: of(TestOutcome::Passed),
            aborted: of(TestOutcome::Aborted),
            running: running.collect(),
        }
    }
}
