//! Results of tests. They are kept beside the deployments they come from, and go with their bundle.

use rusqlite::{Connection, Row, named_params};
use uuid::Uuid;

use crate::domain::Result;
use crate::domain::access::Subject;
use crate::domain::deployment::Deployment;
use crate::domain::name::{DeploymentId, ProjectKey, ServiceName, Version};
use crate::domain::test::{TestOutcome, TestPlace, TestResult, TestedBundle};
use crate::domain::update::Update;
use crate::store::row::{self, Columns as _, millis};
use crate::store::update;

fn read(row: &Row<'_>) -> rusqlite::Result<TestResult> {
    let place = TestPlace {
        deployment: row.parsed("deployment")?,
        infrastructure: row.parsed("infrastructure")?,
        number: row.get("number")?,
        requester: row.get("requester")?,
        is_there: row.get("is_there")?,
    };
    let (is_seen, word): (bool, String) = (row.get("is_seen")?, row.get("outcome")?);
    Ok(TestResult {
        service: row.parsed("service")?,
        outcome: TestOutcome::parse(&word).unwrap_or(TestOutcome::Aborted),
        exit_code: row.get("exit_code")?,
        message: if is_seen { row.get("message")? } else { String::new() },
        started_at: row.time("started_at")?,
        ended_at: row.time("ended_at")?,
        place: is_seen.then_some(place),
    })
}

/// The newest result of each test of a bundle that has one: anywhere, or on one deployment. Where it ran is told to those
/// alone who may see that infrastructure; that they may see the project was asked before.
pub fn newest(
    connection: &Connection,
    bundle: &TestedBundle,
    on: Option<Uuid>,
    subject: &Subject,
) -> Result<Vec<TestResult>> {
    let mut statement = connection.prepare_cached(
        "SELECT t.*, max(t.seq), EXISTS (SELECT 1 FROM deployment d WHERE d.uuid = t.deployment_uuid) AS is_there,
                (:admin OR EXISTS (SELECT 1 FROM infrastructure_grant g WHERE g.infrastructure = t.infrastructure
                    AND g.grp IN (SELECT value FROM json_each(:groups)))) AS is_seen
           FROM test_result t
          WHERE t.project = :project AND t.digest = :digest AND (:on IS NULL OR t.deployment_uuid = :on)
          GROUP BY t.service",
    )?;
    let parameters = named_params! {
        ":project": bundle.project.as_str(), ":digest": bundle.digest.as_str(), ":on": on.map(|on| on.to_string()),
        ":admin": subject.is_admin, ":groups": row::groups(&subject.groups),
    };
    let rows = statement.query_map(parameters, read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The tests of a bundle, each with its newest outcome on any deployment of the project; a bundle that is gone has none.
pub fn outcomes(
    connection: &Connection,
    project: &ProjectKey,
    version: &Version,
) -> Result<Vec<(ServiceName, Option<TestOutcome>)>> {
    let mut statement = connection.prepare_cached(
        "SELECT j.key AS service, (SELECT t.outcome FROM test_result t
                   WHERE t.project = b.project AND t.digest = b.digest AND t.service = j.key
                   ORDER BY t.seq DESC LIMIT 1) AS outcome
           FROM bundle b, json_each(iif(json_valid(b.manifest), b.manifest, '{}'), '$.workload.tests') j
          WHERE b.project = ?1 AND b.version = ?2 ORDER BY j.key",
    )?;
    let rows = statement.query_map([project.as_str(), version.as_str()], |row| {
        let outcome: Option<String> = row.get("outcome")?;
        let outcome = outcome.map(|word| TestOutcome::parse(&word).unwrap_or(TestOutcome::Aborted));
        Ok((row.parsed("service")?, outcome))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What a run has come to so far, for who may see its deployment.
pub fn of_run(connection: &Connection, deployment: Uuid, number: u32) -> Result<Vec<TestResult>> {
    let mut statement = connection.prepare_cached(
        "SELECT *, 1 AS is_there, 1 AS is_seen FROM test_result
          WHERE deployment_uuid = ?1 AND number = ?2 ORDER BY service",
    )?;
    let rows = statement.query_map((deployment.to_string(), number), read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Keeps a result of the run `run`; one that it has already of the same test stays as it is.
pub fn insert(
    connection: &Connection,
    bundle: &TestedBundle,
    deployment: &Deployment,
    run: &Update,
    result: &TestResult,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO test_result (project, version, digest, service, outcome, exit_code, message, started_at,
                 ended_at, deployment, deployment_uuid, infrastructure, number, requester)
             VALUES (:project, :version, :digest, :service, :outcome, :exit_code, :message, :started_at,
                 :ended_at, :deployment, :uuid, :infrastructure, :number, :requester)
             ON CONFLICT (deployment_uuid, number, service) DO NOTHING",
        )?
        .execute(named_params! {
            ":project": bundle.project.as_str(), ":version": bundle.version.as_str(),
            ":digest": bundle.digest.as_str(), ":service": result.service.as_str(),
            ":outcome": result.outcome.word(), ":exit_code": result.exit_code, ":message": result.message,
            ":started_at": millis(result.started_at), ":ended_at": millis(result.ended_at),
            ":deployment": deployment.id.as_str(), ":uuid": deployment.uuid.to_string(),
            ":infrastructure": deployment.infrastructure.as_str(), ":number": run.number,
            ":requester": run.requester.name,
        })?;
    Ok(())
}

/// The deployments that want a bundle: governance may say something else of them once its tests have run.
pub fn concerned(connection: &Connection, bundle: &TestedBundle) -> Result<Vec<DeploymentId>> {
    let mut statement = connection.prepare_cached(
        "SELECT d.id FROM deployment d JOIN bundle b ON b.project = d.project AND b.version = d.version
          WHERE b.project = ?1 AND b.digest = ?2",
    )?;
    let rows =
        statement.query_map([bundle.project.as_str(), bundle.digest.as_str()], |row| row.parsed("id"))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A deployment's newest run of tests that has ended.
pub fn last_run(connection: &Connection, deployment: &DeploymentId) -> Result<Option<Update>> {
    let mut statement = connection.prepare_cached(
        "SELECT max(number) FROM deployment_update WHERE deployment = ?1 AND kind = '\"test\"' AND state = 'ended'",
    )?;
    let number: Option<u32> = statement.query_row([deployment.as_str()], |row| row.get(0))?;
    Ok(number.map(|number| update::find(connection, deployment, number)).transpose()?.flatten())
}
