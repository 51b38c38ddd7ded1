//! Updates with their steps and logs: the durable operations that the update reconciler works off.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use uuid::Uuid;

use crate::domain::Result;
use crate::domain::access::Subject;
use crate::domain::clock::Timestamp;
use crate::domain::deployment::Settings;
use crate::domain::diff::Change;
use crate::domain::name::{DeploymentId, VolumeName};
use crate::domain::plan::Plan;
use crate::domain::update::{LogLine, Outcome, Step, StepRecord, StepState, Update, UpdateState};
use crate::store::deployment::list::VISIBLE;
use crate::store::row::{self, Columns as _, millis};

const COLUMNS: &str = "deployment, number, kind, state, step, outcome, failure, cancelled_by, version, plan_digest,
    requester, origin, reason, rolls_back_to, created_at, started_at, ended_at, cancel_requested_by, switched, attempt";

fn read(row: &Row<'_>) -> rusqlite::Result<Update> {
    let kind: String = row.get("kind")?;
    Ok(Update {
        deployment: row.parsed("deployment")?,
        number: row.get("number")?,
        kind: serde_json::from_str(&kind).map_err(|error| conversion(error.into()))?,
        state: read_state(row)?,
        version: row.parsed("version")?,
        plan_digest: row.digest("plan_digest")?,
        requester: row.json("requester")?,
        origin: row.json("origin")?,
        reason: row.get("reason")?,
        rolls_back_to: row.get("rolls_back_to")?,
        created_at: row.time("created_at")?,
        cancel_requested_by: row.get("cancel_requested_by")?,
        switched: row.get("switched")?,
        attempt: row.get("attempt")?,
    })
}

fn conversion(error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error)
}

fn read_state(row: &Row<'_>) -> rusqlite::Result<UpdateState> {
    let started_at = row.time_opt("started_at")?;
    let state: String = row.get("state")?;
    Ok(match (state.as_str(), started_at) {
        ("running", Some(started_at)) => {
            let step: Option<String> = row.get("step")?;
            let step = step.as_deref().and_then(Step::parse).unwrap_or(Step::Plan);
            UpdateState::Running { step, started_at }
        }
        ("ended", started_at) => {
            let outcome = match row.get::<_, String>("outcome")?.as_str() {
                "succeeded" => Outcome::Succeeded,
                "cancelled" => Outcome::Cancelled {
                    by: row.get::<_, Option<String>>("cancelled_by")?.unwrap_or_default(),
                },
                _ => Outcome::Failed { failure: row.json("failure")? },
            };
            let ended_at = row.time_opt("ended_at")?.unwrap_or_default();
            UpdateState::Ended { outcome, started_at, ended_at }
        }
        _ => UpdateState::Queued,
    })
}

/// One update.
pub fn find(connection: &Connection, deployment: &DeploymentId, number: u32) -> Result<Option<Update>> {
    let sql = format!("SELECT {COLUMNS} FROM deployment_update WHERE deployment = ?1 AND number = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row((deployment.as_str(), number), read).optional()?)
}

/// The update of a deployment that was asked for at that moment.
pub fn at(connection: &Connection, deployment: &DeploymentId, asked: Timestamp) -> Result<Option<Update>> {
    let sql = format!("SELECT {COLUMNS} FROM deployment_update WHERE deployment = ?1 AND created_at = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row((deployment.as_str(), millis(asked)), read).optional()?)
}

/// A deployment's updates, newest first, below `before`.
pub fn list(
    connection: &Connection,
    deployment: &DeploymentId,
    before: Option<u32>,
    limit: u32,
) -> Result<Vec<Update>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deployment_update WHERE deployment = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let asked = limit.saturating_add(row::SPARE);
    let rows = statement.query_map((deployment.as_str(), before.unwrap_or(u32::MAX), asked), read)?;
    Ok(row::readable("update", rows, limit)?)
}

/// The newest update that has ended; a run of tests is none: how it went says nothing about what runs.
pub fn last_ended(connection: &Connection, deployment: &DeploymentId) -> Result<Option<Update>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deployment_update WHERE deployment = ?1 AND state = 'ended' AND kind <> '\"test\"'
          ORDER BY number DESC LIMIT 1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([deployment.as_str()], read).optional()?)
}

/// The update of a deployment that is queued or running, oldest first.
pub fn open_of(connection: &Connection, deployment: &DeploymentId) -> Result<Vec<Update>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deployment_update WHERE deployment = ?1 AND state <> 'ended' ORDER BY number"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([deployment.as_str()], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What `subject` sees of all that is queued or running on deployments of bundles, oldest first, each with its
/// deployment's uuid.
pub fn open(connection: &Connection, subject: &Subject) -> Result<Vec<(Uuid, Update)>> {
    let sql = format!(
        "SELECT {COLUMNS}, (SELECT d.uuid FROM deployment d WHERE d.id = deployment_update.deployment) AS uuid
           FROM deployment_update
          WHERE state <> 'ended' AND deployment IN (SELECT d.id FROM deployment d WHERE d.kind = 'bundle' AND {VISIBLE})
          ORDER BY seq"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let groups = row::groups(&subject.groups);
    let parameters: [(&str, &dyn rusqlite::ToSql); 2] = [(":admin", &subject.is_admin), (":groups", &groups)];
    let rows = statement.query_map(&parameters[..], |row| Ok((row.parsed("uuid")?, read(row)?)))?;
    Ok(row::readable("update", rows, u32::MAX)?)
}

/// The named volumes of every plan that a deployment was ever updated to: they outlive updates.
pub fn volumes(connection: &Connection, deployment: &DeploymentId) -> Result<Vec<VolumeName>> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT one.value AS volume FROM deployment_update,
                json_each(deployment_update.plan, '$.workload.volumes') AS one
          WHERE deployment = ?1 ORDER BY volume",
    )?;
    let rows = statement.query_map([deployment.as_str()], |row| row.parsed("volume"))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What is to be worked on now, oldest first: updates that a dead process left running, and queued ones whose
/// deployment has none running. A row that can't be read is told to the log and left out, so that it stops no other.
pub fn runnable(connection: &Connection, now: Timestamp, limit: u32) -> Result<Vec<Update>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deployment_update u
          WHERE state <> 'ended' AND not_before <= ?1
            AND (state = 'running' OR NOT EXISTS (SELECT 1 FROM deployment_update o
                  WHERE o.deployment = u.deployment AND o.state <> 'ended' AND o.number < u.number))
          ORDER BY seq"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([millis(now)], read)?;
    let readable = rows
        .filter_map(|row| row.inspect_err(|error| tracing::error!(%error, "an update can't be read")).ok());
    Ok(readable.take(limit as usize).collect())
}

/// Queues an update under the deployment's next number, which it answers. `update.number` is ignored. Its time is moved
/// on where the deployment was asked for another in the same millisecond: for Dataiku's clients it is what names it.
pub fn enqueue(connection: &Connection, update: &Update, plan: &Plan, diff: &[Change]) -> Result<u32> {
    let number: u32 = connection
        .prepare_cached(
            "UPDATE deployment SET last_update = last_update + 1 WHERE id = ?1 RETURNING last_update",
        )?
        .query_row([update.deployment.as_str()], |row| row.get(0))?;
    connection
        .prepare_cached(
            "INSERT INTO deployment_update (deployment, number, kind, state, version, plan, plan_digest, diff, requester,
                 origin, reason, rolls_back_to, created_at)
             VALUES (:deployment, :number, :kind, 'queued', :version, :plan, :plan_digest, :diff, :requester, :origin,
                 :reason, :rolls_back_to, max(:created_at, coalesce((SELECT max(created_at) + 1
                     FROM deployment_update WHERE deployment = :deployment), 0)))",
        )?
        .execute(named_params! {
            ":deployment": update.deployment.as_str(), ":number": number, ":kind": row::json(&update.kind),
            ":version": update.version.as_str(), ":plan": row::json(plan), ":plan_digest": update.plan_digest.as_str(),
            ":diff": row::json(&diff), ":requester": row::json(&update.requester), ":origin": row::json(&update.origin),
            ":reason": update.reason, ":rolls_back_to": update.rolls_back_to, ":created_at": millis(update.created_at),
        })?;
    Ok(number)
}

/// Saves an update's state, cancellation and attempt. A verdict that [`super::run::doom`] noted stays.
pub fn save(connection: &Connection, update: &Update) -> Result<()> {
    let (state, step, started_at, ended_at, outcome) = match &update.state {
        UpdateState::Queued => ("queued", None, None, None, None),
        UpdateState::Running { step, started_at } => {
            ("running", Some(step.word()), Some(*started_at), None, None)
        }
        UpdateState::Ended { outcome, started_at, ended_at } => {
            ("ended", None, *started_at, Some(*ended_at), Some(outcome))
        }
    };
    let (word, failure, by) = match outcome {
        None => (None, None, None),
        Some(Outcome::Succeeded) => (Some("succeeded"), None, None),
        Some(Outcome::Failed { failure }) => (Some("failed"), Some(row::json(failure)), None),
        Some(Outcome::Cancelled { by }) => (Some("cancelled"), None, Some(by)),
    };
    connection
        .prepare_cached(
            "UPDATE deployment_update SET state = :state, step = :step, started_at = :started_at, ended_at = :ended_at,
                 outcome = coalesce(:outcome, outcome), failure = coalesce(:failure, failure),
                 cancelled_by = coalesce(:by, cancelled_by), cancel_requested_by = :cancel,
                 switched = :switched, attempt = :attempt
              WHERE deployment = :deployment AND number = :number",
        )?
        .execute(named_params! {
            ":deployment": update.deployment.as_str(), ":number": update.number, ":state": state, ":step": step,
            ":started_at": started_at.map(millis), ":ended_at": ended_at.map(millis), ":outcome": word,
            ":failure": failure, ":by": by, ":cancel": update.cancel_requested_by, ":switched": update.switched,
            ":attempt": update.attempt,
        })?;
    Ok(())
}

/// The frozen plan of an update.
pub fn plan(connection: &Connection, deployment: &DeploymentId, number: u32) -> Result<Option<Plan>> {
    let mut statement = connection
        .prepare_cached("SELECT plan FROM deployment_update WHERE deployment = ?1 AND number = ?2")?;
    Ok(statement.query_row((deployment.as_str(), number), |row| row.json("plan")).optional()?)
}

/// What an update changed, as it was shown.
pub fn diff(connection: &Connection, deployment: &DeploymentId, number: u32) -> Result<Vec<Change>> {
    let mut statement = connection
        .prepare_cached("SELECT diff FROM deployment_update WHERE deployment = ?1 AND number = ?2")?;
    Ok(statement
        .query_row((deployment.as_str(), number), |row| row.json("diff"))
        .optional()?
        .unwrap_or_default())
}

/// Keeps the settings that an update was asked for with: what rolling back to it restores.
pub fn set_settings(
    connection: &Connection,
    deployment: &DeploymentId,
    number: u32,
    settings: &Settings,
) -> Result<()> {
    connection
        .prepare_cached("UPDATE deployment_update SET settings = ?3 WHERE deployment = ?1 AND number = ?2")?
        .execute((deployment.as_str(), number, row::json(settings)))?;
    Ok(())
}

/// The settings that an update was asked for with.
pub fn settings(connection: &Connection, deployment: &DeploymentId, number: u32) -> Result<Option<Settings>> {
    let mut statement = connection
        .prepare_cached("SELECT settings FROM deployment_update WHERE deployment = ?1 AND number = ?2")?;
    Ok(statement
        .query_row((deployment.as_str(), number), |row| row.json_opt("settings"))
        .optional()?
        .flatten())
}

/// What preparing found out, as the engine's own JSON; `None` before that.
pub fn resolution(connection: &Connection, deployment: &DeploymentId, number: u32) -> Result<Option<String>> {
    let mut statement = connection
        .prepare_cached("SELECT resolution FROM deployment_update WHERE deployment = ?1 AND number = ?2")?;
    Ok(statement.query_row((deployment.as_str(), number), |row| row.get(0)).optional()?.flatten())
}

/// Keeps what preparing found out.
pub fn set_resolution(
    connection: &Connection,
    deployment: &DeploymentId,
    number: u32,
    resolution: &str,
) -> Result<()> {
    connection
        .prepare_cached("UPDATE deployment_update SET resolution = ?3 WHERE deployment = ?1 AND number = ?2")?
        .execute((deployment.as_str(), number, resolution))?;
    Ok(())
}

/// Saves a step. Saving it again replaces what it said.
pub fn put_step(
    connection: &Connection,
    deployment: &DeploymentId,
    number: u32,
    record: &StepRecord,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO update_step (deployment, number, step, state, detail, started_at, ended_at)
             VALUES (:deployment, :number, :step, :state, :detail, :started_at, :ended_at)
             ON CONFLICT (deployment, number, step) DO UPDATE SET state = :state, detail = :detail, ended_at = :ended_at",
        )?
        .execute(named_params! {
            ":deployment": deployment.as_str(), ":number": number, ":step": record.step.word(),
            ":state": row::json(&record.state), ":detail": record.detail, ":started_at": millis(record.started_at),
            ":ended_at": record.ended_at.map(millis),
        })?;
    Ok(())
}

/// The steps that an update has begun, in order.
pub fn steps(connection: &Connection, deployment: &DeploymentId, number: u32) -> Result<Vec<StepRecord>> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM update_step WHERE deployment = ?1 AND number = ?2")?;
    let rows = statement.query_map((deployment.as_str(), number), |row| {
        let step: String = row.get("step")?;
        Ok(StepRecord {
            step: Step::parse(&step).unwrap_or(Step::Plan),
            state: row.json::<StepState>("state")?,
            detail: row.get("detail")?,
            started_at: row.time("started_at")?,
            ended_at: row.time_opt("ended_at")?,
        })
    })?;
    let mut steps = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    steps.sort_by_key(|record| record.step);
    Ok(steps)
}

/// Appends to an update's log.
pub fn append_log(
    connection: &Connection,
    deployment: &DeploymentId,
    number: u32,
    lines: &[(Timestamp, Step, bool, String)],
) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO update_log (deployment, number, seq, at, step, error, text)
         VALUES (?1, ?2, (SELECT coalesce(max(seq), 0) + 1 FROM update_log WHERE deployment = ?1 AND number = ?2),
                 ?3, ?4, ?5, ?6)",
    )?;
    for (at, step, error, text) in lines {
        statement.execute((deployment.as_str(), number, millis(*at), step.word(), error, text))?;
    }
    Ok(())
}

/// An update's log after the line `after`.
pub fn log(
    connection: &Connection,
    deployment: &DeploymentId,
    number: u32,
    after: i64,
    limit: u32,
) -> Result<Vec<LogLine>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, at, step, error, text FROM update_log
          WHERE deployment = ?1 AND number = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4",
    )?;
    let rows = statement.query_map((deployment.as_str(), number, after, limit), |row| {
        let step: String = row.get("step")?;
        Ok(LogLine {
            sequence: row.get("seq")?,
            at: row.time("at")?,
            step: Step::parse(&step).unwrap_or(Step::Plan),
            error: row.get("error")?,
            text: row.get("text")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
