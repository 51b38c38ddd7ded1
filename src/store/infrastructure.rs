//! Infrastructures and their grants.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::domain::Result;
use crate::domain::access::{InfrastructureRight, Subject, Unchecked};
use crate::domain::group::Groups;
use crate::domain::infrastructure::{Infrastructure, SealedCredential};
use crate::domain::name::{GroupName, InfrastructureId, StageId};
use crate::domain::policy::Policy;
use crate::store::row::{self, Columns as _, millis};

fn read(row: &Row<'_>) -> rusqlite::Result<Infrastructure> {
    Ok(Infrastructure {
        id: row.parsed("id")?,
        stage: row.parsed("stage")?,
        engine: row.json("engine")?,
        credential: credential(row)?,
        govern_policy: row.json("govern_policy")?,
        policy: row.json("policy")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        revision: row.get("revision")?,
    })
}

fn credential(row: &Row<'_>) -> rusqlite::Result<Option<SealedCredential>> {
    let sealed: Option<Vec<u8>> = row.get("credential")?;
    sealed.map(|sealed| Ok(SealedCredential { version: row.get("credential_version")?, sealed })).transpose()
}

/// The infrastructure with the highest right that `subject` holds on it.
pub fn find(
    connection: &Connection,
    id: &InfrastructureId,
    subject: &Subject,
) -> Result<Option<Unchecked<Infrastructure>>> {
    let mut statement = connection.prepare_cached("SELECT * FROM infrastructure WHERE id = ?1")?;
    let Some(infrastructure) = statement.query_row([id.as_str()], read).optional()? else {
        return Ok(None);
    };
    let held = held(connection, id, &subject.groups)?;
    Ok(Some(Unchecked::new(infrastructure, held)))
}

/// The highest right that any of `groups` holds.
pub fn held(
    connection: &Connection,
    id: &InfrastructureId,
    groups: &Groups,
) -> Result<Option<InfrastructureRight>> {
    let mut statement = connection.prepare_cached(
        "SELECT max(held) FROM infrastructure_grant
          WHERE infrastructure = ?1 AND grp IN (SELECT value FROM json_each(?2))",
    )?;
    let rank: Option<u8> = statement.query_row([id.as_str(), &row::groups(groups)], |row| row.get(0))?;
    Ok(rank.and_then(InfrastructureRight::from_rank))
}

/// Infrastructures that `subject` may see, in the order of their stages, with the right it holds.
pub fn list(
    connection: &Connection,
    subject: &Subject,
) -> Result<Vec<(Infrastructure, InfrastructureRight)>> {
    let mut statement = connection.prepare_cached(
        "SELECT i.*, (SELECT max(g.held) FROM infrastructure_grant g
                       WHERE g.infrastructure = i.id AND g.grp IN (SELECT value FROM json_each(:groups))) AS held
           FROM infrastructure i JOIN stage s ON s.id = i.stage
          WHERE :admin OR EXISTS (SELECT 1 FROM infrastructure_grant g
                  WHERE g.infrastructure = i.id AND g.grp IN (SELECT value FROM json_each(:groups)))
          ORDER BY s.position, i.id",
    )?;
    let parameters = named_params! { ":admin": subject.is_admin, ":groups": row::groups(&subject.groups) };
    let rows = statement.query_map(parameters, |row| {
        let held: Option<u8> = row.get("held")?;
        let held = if subject.is_admin {
            Some(InfrastructureRight::Admin)
        } else {
            held.and_then(InfrastructureRight::from_rank)
        };
        Ok((read(row)?, held.unwrap_or(InfrastructureRight::View)))
    })?;
    Ok(row::readable("infrastructure", rows, u32::MAX)?)
}

/// The ids and stages of the infrastructures that `subject` may see, in the order of their stages.
pub fn places(connection: &Connection, subject: &Subject) -> Result<Vec<(InfrastructureId, StageId)>> {
    let mut statement = connection.prepare_cached(
        "SELECT i.id, i.stage FROM infrastructure i JOIN stage s ON s.id = i.stage
          WHERE :admin OR EXISTS (SELECT 1 FROM infrastructure_grant g
                  WHERE g.infrastructure = i.id AND g.grp IN (SELECT value FROM json_each(:groups)))
          ORDER BY s.position, i.id",
    )?;
    let parameters = named_params! { ":admin": subject.is_admin, ":groups": row::groups(&subject.groups) };
    let rows = statement.query_map(parameters, |row| Ok((row.parsed("id")?, row.parsed("stage")?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Every infrastructure, for reconcilers.
pub fn all(connection: &Connection) -> Result<Vec<Infrastructure>> {
    let mut statement = connection.prepare_cached("SELECT * FROM infrastructure ORDER BY id")?;
    let rows = statement.query_map([], read)?;
    Ok(row::readable("infrastructure", rows, u32::MAX)?)
}

/// The policies of all infrastructures: what upload checks against.
pub fn policies(connection: &Connection) -> Result<Vec<Policy>> {
    Ok(all(connection)?.into_iter().map(|infrastructure| infrastructure.policy).collect())
}

/// Adds an infrastructure, or saves all of it.
pub fn put(connection: &Connection, infrastructure: &Infrastructure) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO infrastructure (id, stage, engine, credential, credential_version, govern_policy, policy,
                 created_at, updated_at, revision)
             VALUES (:id, :stage, :engine, :credential, :credential_version, :govern_policy, :policy,
                 :created_at, :updated_at, :revision)
             ON CONFLICT (id) DO UPDATE SET stage = :stage, engine = :engine, credential = :credential,
                 credential_version = :credential_version, govern_policy = :govern_policy, policy = :policy,
                 updated_at = :updated_at, revision = :revision",
        )?
        .execute(named_params! {
            ":id": infrastructure.id.as_str(), ":stage": infrastructure.stage.as_str(),
            ":engine": row::json(&infrastructure.engine),
            ":credential": infrastructure.credential.as_ref().map(|credential| &credential.sealed),
            ":credential_version": infrastructure.credential.as_ref().map_or(0, |credential| credential.version),
            ":govern_policy": row::json(&infrastructure.govern_policy),
            ":policy": row::json(&infrastructure.policy), ":created_at": millis(infrastructure.created_at),
            ":updated_at": millis(infrastructure.updated_at), ":revision": infrastructure.revision,
        })?;
    Ok(())
}

/// Every sealed credential there is.
pub fn credentials(connection: &Connection) -> Result<Vec<(InfrastructureId, SealedCredential)>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, credential, credential_version FROM infrastructure WHERE credential IS NOT NULL",
    )?;
    let rows = statement.query_map([], |row| {
        let sealed = row.get("credential")?;
        Ok((row.parsed("id")?, SealedCredential { version: row.get("credential_version")?, sealed }))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Exchanges the seal of a credential that stays what it is.
pub fn reseal(connection: &Connection, id: &InfrastructureId, sealed: &[u8]) -> Result<()> {
    connection
        .prepare_cached("UPDATE infrastructure SET credential = ?2 WHERE id = ?1")?
        .execute((id.as_str(), sealed))?;
    Ok(())
}

/// Removes an infrastructure; the caller made sure that nothing uses it.
pub fn delete(connection: &Connection, id: &InfrastructureId) -> Result<()> {
    connection.prepare_cached("DELETE FROM infrastructure WHERE id = ?1")?.execute([id.as_str()])?;
    Ok(())
}

/// The grants on an infrastructure, by group.
pub fn grants(
    connection: &Connection,
    id: &InfrastructureId,
) -> Result<Vec<(GroupName, InfrastructureRight)>> {
    let mut statement = connection.prepare_cached(
        "SELECT grp, held FROM infrastructure_grant WHERE infrastructure = ?1 ORDER BY grp",
    )?;
    let rows = statement.query_map([id.as_str()], |row| {
        Ok((
            row.parsed("grp")?,
            InfrastructureRight::from_rank(row.get("held")?).unwrap_or(InfrastructureRight::View),
        ))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Gives `group` a right, or takes it away with `None`.
pub fn grant(
    connection: &Connection,
    id: &InfrastructureId,
    group: &GroupName,
    right: Option<InfrastructureRight>,
) -> Result<()> {
    match right {
        Some(right) => connection
            .prepare_cached(
                "INSERT INTO infrastructure_grant (infrastructure, grp, held) VALUES (?1, ?2, ?3)
                 ON CONFLICT (infrastructure, grp) DO UPDATE SET held = ?3",
            )?
            .execute((id.as_str(), group.as_str(), right.rank()))?,
        None => connection
            .prepare_cached("DELETE FROM infrastructure_grant WHERE infrastructure = ?1 AND grp = ?2")?
            .execute((id.as_str(), group.as_str()))?,
    };
    Ok(())
}
