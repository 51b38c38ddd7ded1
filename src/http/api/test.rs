//! Tests: started on a deployment, and what those of a bundle came to, there or anywhere.

use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};

use crate::app;
use crate::app::test::{BundleTests, TestOutcome, TestResult, TestState, TestStatus};
use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, ServiceName, Version};
use crate::http::State;
use crate::http::api::body::Body;
use crate::http::api::deployment_body::Reason;
use crate::http::api::query::Query;
use crate::http::api::update::Update;
use crate::http::api::{Reply, named};
use crate::http::identity::Who;

noun! {
    get "/deployments/{id}/tests" => status,
    post "/deployments/{id}/tests" => run,
    get "/projects/{key}/bundles/{version}/tests" => of_bundle,
}

/// The tests of a bundle on a deployment.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentTests {
    pub deployment: DeploymentId,
    /// Whose tests these are.
    pub bundle: Version,
    pub sha256: Digest,
    /// By name, each with its newest result on this deployment.
    pub tests: Vec<Test>,
    /// The run that is queued or under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<Update>,
    /// The newest run that has ended, of whatever bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Update>,
    /// Why none can be started now; absent: the tests can be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// The tests of a bundle wherever they ran.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TestsOfBundle {
    pub project: ProjectKey,
    pub bundle: Version,
    pub sha256: Digest,
    /// By name, each with its newest result on any deployment of the project.
    pub tests: Vec<Test>,
}

/// A test with the newest that is known of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Test {
    pub service: ServiceName,
    /// Absent: it never ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Result>,
}

/// What a test came to. Where it ran, for whom and why it did not pass are absent for those who may not see the place.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TestResult)]
pub struct Result {
    pub outcome: TestOutcome,
    /// Where it ended by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// Why it did not pass.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infrastructure: Option<InfrastructureId>,
    /// The number of its run among the deployment's updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
}

impl From<TestResult> for Result {
    fn from(result: TestResult) -> Self {
        let place = result.place.as_ref();
        Self {
            deployment: place.map(|place| place.deployment.clone()),
            infrastructure: place.map(|place| place.infrastructure.clone()),
            number: place.map(|place| place.number),
            requester: place.map(|place| place.requester.clone()),
            outcome: result.outcome,
            exit_code: result.exit_code,
            message: result.message,
            started_at: result.started_at,
            ended_at: result.ended_at,
        }
    }
}

fn tests(states: Vec<TestState>) -> Vec<Test> {
    states
        .into_iter()
        .map(|state| Test { service: state.service, result: state.newest.map(Result::from) })
        .collect()
}

impl From<TestStatus> for DeploymentTests {
    fn from(status: TestStatus) -> Self {
        Self {
            deployment: status.deployment.id.clone(),
            bundle: status.version,
            sha256: status.digest,
            tests: tests(status.tests),
            running: status.open.map(Update::from),
            last: status.last.map(Update::from),
            refusal: status.refusal.map(|error| error.message),
        }
    }
}

impl From<BundleTests> for TestsOfBundle {
    fn from(of: BundleTests) -> Self {
        Self { project: of.project, bundle: of.version, sha256: of.digest, tests: tests(of.tests) }
    }
}

/// Which bundle's tests.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Of {
    /// Another bundle of the project, in place of the one that is set.
    bundle: Option<Version>,
}

/// Show a bundle's tests with their newest results on a deployment.
#[utoipa::path(get, path = "/deployments/{id}/tests", tag = "tests", operation_id = "getTests",
    params(("id" = String, Path, description = "The deployment's id or uuid"), Of),
    responses((status = 200, body = DeploymentTests)))]
async fn status(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    query: Query<Of>,
) -> Reply<Json<DeploymentTests>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    Ok(Json(app::test::status(&state.app, &who, id, query.0.bundle).await?.into()))
}

/// Run the tests of the bundle that a deployment runs.
///
/// Takes `deploy` on its project and its infrastructure. Nothing that runs is touched. It answers with the update that
/// runs them, which is followed and cancelled as any other.
#[utoipa::path(post, path = "/deployments/{id}/tests", tag = "tests", operation_id = "runTests",
    params(("id" = String, Path, description = "The deployment's id or uuid"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content = Option<Reason>, example = json!({ "reason": "before the release" })),
    responses((status = 200, body = Update)))]
async fn run(state: Data<State>, who: Who, id: Path<String>, body: Body<Reason>) -> Reply<Json<Update>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let update = app::test::run(&state.app, &who, id, body.value.reason, body.once).await?;
    Ok(Json(update.into()))
}

/// Show a bundle's tests with their newest results on any deployment.
#[utoipa::path(get, path = "/projects/{key}/bundles/{version}/tests", tag = "tests", operation_id = "getBundleTests",
    params(("key" = String, Path, description = "The project's key"), ("version" = String, Path, description = "The bundle's version")),
    responses((status = 200, body = TestsOfBundle)))]
async fn of_bundle(state: Data<State>, who: Who, path: Path<(String, String)>) -> Reply<Json<TestsOfBundle>> {
    let (key, version) = (named("project", &path.0)?, named("bundle", &path.1)?);
    Ok(Json(app::test::of_bundle(&state.app, &who, key, version).await?.into()))
}
