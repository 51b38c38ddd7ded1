//! What engines were last seen to have: `observed.db`. Written by the observer alone, on change, in batches.
//!
//! Functions that read expect the database attached as `observed` (a reader's connection); functions that write
//! expect it as the main one (the observer's).

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::Result;
use crate::domain::clock::Timestamp;
use crate::domain::health::Answer;
use crate::domain::name::{DeploymentId, InfrastructureId, ServiceName};
use crate::store::deployment::list::{State, health_rank};
use crate::store::row::{self, Columns as _, millis};

/// Saves one replica. `state` is the engine's `SlotState`; the store keeps it as it comes.
pub fn put_slot(
    connection: &Connection,
    infrastructure: &InfrastructureId,
    engine_id: &str,
    deployment: &DeploymentId,
    service: &ServiceName,
    state: &impl Serialize,
    at: Timestamp,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO slot (infrastructure, engine_id, deployment, service, state, at)
             VALUES (:infrastructure, :engine_id, :deployment, :service, :state, :at)
             ON CONFLICT (infrastructure, engine_id) DO UPDATE SET state = :state, at = :at",
        )?
        .execute(named_params! {
            ":infrastructure": infrastructure.as_str(), ":engine_id": engine_id, ":deployment": deployment.as_str(),
            ":service": service.as_str(), ":state": row::json(state), ":at": millis(at),
        })?;
    Ok(())
}

/// Forgets one replica.
pub fn remove_slot(
    connection: &Connection,
    infrastructure: &InfrastructureId,
    engine_id: &str,
) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM slot WHERE infrastructure = ?1 AND engine_id = ?2")?
        .execute([infrastructure.as_str(), engine_id])?;
    Ok(())
}

/// Forgets everything that was seen on an infrastructure.
pub fn clear(connection: &Connection, infrastructure: &InfrastructureId) -> Result<()> {
    for table in ["slot", "object"] {
        connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE infrastructure = ?1"))?
            .execute([infrastructure.as_str()])?;
    }
    Ok(())
}

/// Saves one of the engine's objects. `state` is its `EngineObject` as JSON.
pub fn put_object(
    connection: &Connection,
    infrastructure: &InfrastructureId,
    uid: &str,
    deployment: &DeploymentId,
    state: &str,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO object (infrastructure, uid, deployment, state) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (infrastructure, uid) DO UPDATE SET state = ?4",
        )?
        .execute([infrastructure.as_str(), uid, deployment.as_str(), state])?;
    Ok(())
}

/// Forgets one of the engine's objects.
pub fn remove_object(connection: &Connection, infrastructure: &InfrastructureId, uid: &str) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM object WHERE infrastructure = ?1 AND uid = ?2")?
        .execute([infrastructure.as_str(), uid])?;
    Ok(())
}

/// The engine's objects behind a deployment on its infrastructure, as they were written.
pub fn objects<T: DeserializeOwned>(
    connection: &Connection,
    infrastructure: &InfrastructureId,
    deployment: &DeploymentId,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(
        "SELECT state FROM observed.object WHERE deployment = ?1 AND infrastructure = ?2 ORDER BY uid",
    )?;
    let rows =
        statement.query_map([deployment.as_str(), infrastructure.as_str()], |row| row.json("state"))?;
    Ok(row::readable("object", rows, u32::MAX)?)
}

/// Every object of an infrastructure: its id, its deployment, and what `digest` makes of its JSON.
pub fn objects_on<T>(
    connection: &Connection,
    infrastructure: &InfrastructureId,
    digest: fn(&str) -> T,
) -> Result<Vec<(String, DeploymentId, T)>> {
    let mut statement = connection
        .prepare_cached("SELECT uid, deployment, state FROM observed.object WHERE infrastructure = ?1")?;
    let rows = statement.query_map([infrastructure.as_str()], |row| {
        Ok((row.get("uid")?, row.parsed("deployment")?, digest(row.get_ref("state")?.as_str()?)))
    })?;
    Ok(rows.filter_map(|row| row.ok()).collect())
}

/// The replicas of a deployment on its infrastructure, as they were written.
pub fn slots<T: DeserializeOwned>(
    connection: &Connection,
    infrastructure: &InfrastructureId,
    deployment: &DeploymentId,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(
        "SELECT state FROM observed.slot WHERE deployment = ?1 AND infrastructure = ?2 ORDER BY service, engine_id",
    )?;
    let rows =
        statement.query_map([deployment.as_str(), infrastructure.as_str()], |row| row.json("state"))?;
    Ok(crate::store::row::readable("slot", rows, u32::MAX)?)
}

/// Every replica of an infrastructure with its engine's id. One that can't be read is left out: it is written anew.
pub fn slots_on<T: DeserializeOwned>(
    connection: &Connection,
    infrastructure: &InfrastructureId,
) -> Result<Vec<(String, T)>> {
    let mut statement =
        connection.prepare_cached("SELECT engine_id, state FROM observed.slot WHERE infrastructure = ?1")?;
    let rows = statement
        .query_map([infrastructure.as_str()], |row| Ok((row.get("engine_id")?, row.json("state")?)))?;
    Ok(rows.filter_map(|row| row.ok()).collect())
}

/// Notes what the program of a replica answered for its health; nothing where the replica is not known, or no more.
pub fn put_answer(
    connection: &Connection,
    infrastructure: &InfrastructureId,
    engine_id: &str,
    answer: &Answer,
) -> Result<()> {
    connection
        .prepare_cached("UPDATE slot SET answer = ?3 WHERE infrastructure = ?1 AND engine_id = ?2")?
        .execute([infrastructure.as_str(), engine_id, &row::json(answer)])?;
    Ok(())
}

/// What the programs of a deployment's replicas last answered, by their engine's ids; only of those that ever did.
pub fn answers(
    connection: &Connection,
    infrastructure: &InfrastructureId,
    deployment: &DeploymentId,
) -> Result<HashMap<String, Answer>> {
    let mut statement = connection.prepare_cached(
        "SELECT engine_id, answer FROM observed.slot
          WHERE deployment = ?1 AND infrastructure = ?2 AND answer IS NOT NULL",
    )?;
    let rows = statement.query_map([deployment.as_str(), infrastructure.as_str()], |row| {
        Ok((row.get("engine_id")?, row.json("answer")?))
    })?;
    // What can't be read is asked anew.
    Ok(rows.filter_map(|row| row.ok()).collect())
}

/// Saves a deployment's fold; `false` when nothing changed, and then nothing was written.
pub fn put_state(
    connection: &Connection,
    deployment: &DeploymentId,
    state: &State,
    now: Timestamp,
) -> Result<bool> {
    let changed = connection
        .prepare_cached(
            "INSERT INTO deployment_state (deployment, rank, health, sync, ready, wanted, messages, changed_at)
             VALUES (:deployment, :rank, :health, :sync, :ready, :wanted, :messages, :now)
             ON CONFLICT (deployment) DO UPDATE SET rank = :rank, health = :health, sync = :sync, ready = :ready,
                 wanted = :wanted, messages = :messages,
                 changed_at = CASE WHEN health <> :health THEN :now ELSE changed_at END
              WHERE health <> :health OR sync <> :sync OR ready <> :ready OR wanted <> :wanted OR messages <> :messages",
        )?
        .execute(named_params! {
            ":deployment": deployment.as_str(), ":rank": health_rank(state.health), ":health": state.health.word(),
            ":sync": row::json(&state.sync), ":ready": state.ready, ":wanted": state.wanted,
            ":messages": row::json(&state.messages), ":now": millis(now),
        })?;
    Ok(changed > 0)
}

/// Forgets a deployment that is no more.
pub fn remove_deployment(connection: &Connection, deployment: &DeploymentId) -> Result<()> {
    for table in ["deployment_state", "slot", "object", "engine_event"] {
        connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE deployment = ?1"))?
            .execute([deployment.as_str()])?;
    }
    Ok(())
}

/// Whether an engine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineState {
    pub reachable: bool,
    /// Why not, in words.
    pub message: String,
    /// The engine's report of itself, as it was written.
    pub report: Option<serde_json::Value>,
    pub at: Timestamp,
}

/// Saves whether an engine answers.
pub fn put_engine(
    connection: &Connection,
    infrastructure: &InfrastructureId,
    state: &EngineState,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO engine_state (infrastructure, reachable, message, report, at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (infrastructure) DO UPDATE SET reachable = ?2, message = ?3, report = coalesce(?4, report), at = ?5",
        )?
        .execute((
            infrastructure.as_str(),
            state.reachable,
            &state.message,
            state.report.as_ref().map(ToString::to_string),
            millis(state.at),
        ))?;
    Ok(())
}

fn read_engine(row: &Row<'_>) -> rusqlite::Result<EngineState> {
    Ok(EngineState {
        reachable: row.get("reachable")?,
        message: row.get("message")?,
        // What can't be read is written anew with the next report.
        report: row.json_opt("report").unwrap_or_default(),
        at: row.time("at")?,
    })
}

/// Whether an engine answered when it was last asked; `None` before that.
pub fn engine(connection: &Connection, infrastructure: &InfrastructureId) -> Result<Option<EngineState>> {
    let mut statement = connection.prepare_cached(
        "SELECT reachable, message, report, at FROM observed.engine_state WHERE infrastructure = ?1",
    )?;
    Ok(statement.query_row([infrastructure.as_str()], read_engine).optional()?)
}

/// Something that happened to a replica, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct EngineNote {
    pub service: ServiceName,
    pub slot: u32,
    /// The engine's word, e.g. `die`.
    pub what: String,
    pub detail: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// Keeps an engine's event, and no more than the last 200 of a deployment.
pub fn add_event(
    connection: &Connection,
    infrastructure: &InfrastructureId,
    deployment: &DeploymentId,
    note: &EngineNote,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO engine_event (infrastructure, deployment, service, slot, what, detail, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            infrastructure.as_str(),
            deployment.as_str(),
            note.service.as_str(),
            note.slot,
            &note.what,
            &note.detail,
            millis(note.at),
        ))?;
    connection
        .prepare_cached(
            "DELETE FROM engine_event WHERE deployment = ?1 AND seq <= (
                SELECT seq FROM engine_event WHERE deployment = ?1 ORDER BY seq DESC LIMIT 1 OFFSET 200)",
        )?
        .execute([deployment.as_str()])?;
    Ok(())
}

/// A deployment's last events on its infrastructure, newest first.
pub fn events(connection: &Connection, deployment: &DeploymentId, limit: u32) -> Result<Vec<EngineNote>> {
    let mut statement = connection.prepare_cached(
        "SELECT service, slot, what, detail, at FROM observed.engine_event
          WHERE deployment = ?1 AND infrastructure = (SELECT infrastructure FROM deployment WHERE id = ?1)
          ORDER BY seq DESC LIMIT ?2",
    )?;
    let rows = statement.query_map((deployment.as_str(), limit), |row| {
        Ok(EngineNote {
            service: row.parsed("service")?,
            slot: row.get("slot")?,
            what: row.get("what")?,
            detail: row.get("detail")?,
            at: row.time("at")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
