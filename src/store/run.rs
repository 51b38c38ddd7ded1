//! What an update's run writes as it goes: one row's worth of progress at a time, so that a use case that saves the
//! same update in between loses nothing.

use rusqlite::{Connection, OptionalExtension as _};

use crate::domain::Result;
use crate::domain::clock::Timestamp;
use crate::domain::name::DeploymentId;
use crate::domain::update::{Outcome, Step, Update};
use crate::store::row::{self, Columns as _, millis};
use crate::store::update;

/// Takes an update up: from the queue, or from a process that died over it. `None` when it has ended meanwhile.
pub fn begin(
    connection: &Connection,
    deployment: &DeploymentId,
    number: u32,
    now: Timestamp,
) -> Result<Option<Update>> {
    let Some(found) = update::find(connection, deployment, number)?.filter(|found| !found.is_ended()) else {
        return Ok(None);
    };
    let begun = found.begin(now)?;
    update::save(connection, &begun)?;
    Ok(Some(begun))
}

/// Notes which step is being worked on.
pub fn set_step(connection: &Connection, deployment: &DeploymentId, number: u32, step: Step) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE deployment_update SET step = ?3 WHERE deployment = ?1 AND number = ?2 AND state = 'running'",
        )?
        .execute((deployment.as_str(), number, step.word()))?;
    Ok(())
}

/// Passes the point after which an update can't be cancelled; answers who cancelled it just before, and then does
/// nothing.
pub fn switch(connection: &Connection, deployment: &DeploymentId, number: u32) -> Result<Option<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT cancel_requested_by FROM deployment_update WHERE deployment = ?1 AND number = ?2 AND NOT switched",
    )?;
    let cancelled: Option<String> =
        statement.query_row((deployment.as_str(), number), |row| row.get(0)).optional()?.flatten();
    if cancelled.is_none() {
        connection
            .prepare_cached(
                "UPDATE deployment_update SET switched = 1 WHERE deployment = ?1 AND number = ?2",
            )?
            .execute((deployment.as_str(), number))?;
    }
    Ok(cancelled)
}

/// Notes how an update will end once it is undone, so that a process that takes over the undoing knows.
pub fn doom(
    connection: &Connection,
    deployment: &DeploymentId,
    number: u32,
    outcome: &Outcome,
) -> Result<()> {
    let (word, failure, by) = match outcome {
        Outcome::Succeeded => return Ok(()),
        Outcome::Failed { failure } => ("failed", Some(row::json(failure)), None),
        Outcome::Cancelled { by } => ("cancelled", None, Some(by)),
    };
    connection
        .prepare_cached(
            "UPDATE deployment_update SET outcome = ?3, failure = ?4, cancelled_by = ?5, step = 'undo'
              WHERE deployment = ?1 AND number = ?2 AND state = 'running'",
        )?
        .execute((deployment.as_str(), number, word, failure, by))?;
    Ok(())
}

/// How an update that is being undone will end.
pub fn doomed(connection: &Connection, deployment: &DeploymentId, number: u32) -> Result<Option<Outcome>> {
    let mut statement = connection.prepare_cached(
        "SELECT outcome, failure, cancelled_by FROM deployment_update
          WHERE deployment = ?1 AND number = ?2 AND state = 'running' AND outcome IS NOT NULL",
    )?;
    let outcome = statement.query_row((deployment.as_str(), number), |row| {
        Ok(match row.get::<_, String>("outcome")?.as_str() {
            "cancelled" => {
                Outcome::Cancelled { by: row.get::<_, Option<String>>("cancelled_by")?.unwrap_or_default() }
            }
            _ => Outcome::Failed { failure: row.json("failure")? },
        })
    });
    Ok(outcome.optional()?)
}

/// Ends an update. One that has ended already stays as it is.
pub fn end(
    connection: &Connection,
    deployment: &DeploymentId,
    number: u32,
    outcome: Outcome,
    now: Timestamp,
) -> Result<Option<Update>> {
    let Some(found) = update::find(connection, deployment, number)?.filter(|found| !found.is_ended()) else {
        return Ok(None);
    };
    let ended = found.end(outcome, now)?;
    update::save(connection, &ended)?;
    connection
        .prepare_cached("UPDATE deployment_update SET not_before = 0 WHERE deployment = ?1 AND number = ?2")?
        .execute((deployment.as_str(), number))?;
    Ok(Some(ended))
}

/// Running updates that somebody wants cancelled, with who.
pub fn cancel_requests(connection: &Connection) -> Result<Vec<(DeploymentId, u32, String)>> {
    let mut statement = connection.prepare_cached(
        "SELECT deployment, number, cancel_requested_by FROM deployment_update
          WHERE state <> 'ended' AND cancel_requested_by IS NOT NULL",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((row.parsed("deployment")?, row.get("number")?, row.get("cancel_requested_by")?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Resolutions of a deployment's newest updates that ended well, runs of tests apart, newest first, as they were written.
pub fn kept_resolutions(
    connection: &Connection,
    deployment: &DeploymentId,
    limit: u32,
) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT resolution FROM deployment_update
          WHERE deployment = ?1 AND outcome = 'succeeded' AND resolution IS NOT NULL AND kind <> '\"test\"'
          ORDER BY number DESC LIMIT ?2",
    )?;
    let rows = statement.query_map((deployment.as_str(), limit), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// When a deployment's system repairs since `since` were asked for, newest first: what the next one's wait follows from.
pub fn repairs_since(
    connection: &Connection,
    deployment: &DeploymentId,
    since: Timestamp,
) -> Result<Vec<Timestamp>> {
    let mut statement = connection.prepare_cached(
        "SELECT created_at FROM deployment_update
          WHERE deployment = ?1 AND kind = '\"repair\"' AND created_at >= ?2 ORDER BY number DESC LIMIT 50",
    )?;
    let rows = statement.query_map((deployment.as_str(), millis(since)), |row| row.time("created_at"))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Deployments of the newest updates: whose fold a dead process may have missed.
pub fn recently_updated(connection: &Connection, limit: u32) -> Result<Vec<DeploymentId>> {
    let mut statement =
        connection.prepare_cached("SELECT deployment FROM deployment_update ORDER BY seq DESC LIMIT ?1")?;
    let rows = statement.query_map([limit], |row| row.parsed("deployment"))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
