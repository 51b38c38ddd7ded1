//! Deployments' secrets, sealed by the caller.

use rusqlite::Connection;

use crate::domain::Result;
use crate::domain::clock::Timestamp;
use crate::domain::name::{DeploymentId, SecretName};
use crate::domain::secret::SecretInfo;
use crate::store::row::{Columns as _, millis};

/// Names and versions, which may be shown.
pub fn list(connection: &Connection, deployment: &DeploymentId) -> Result<Vec<SecretInfo>> {
    let mut statement = connection
        .prepare_cached("SELECT name, version, updated_at FROM secret WHERE deployment = ?1 ORDER BY name")?;
    let rows = statement.query_map([deployment.as_str()], |row| {
        Ok(SecretInfo {
            name: row.parsed("name")?,
            version: row.get("version")?,
            updated_at: row.time("updated_at")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Every sealed value of a deployment with its name and version.
pub fn sealed(connection: &Connection, deployment: &DeploymentId) -> Result<Vec<(SecretName, u32, Vec<u8>)>> {
    let mut statement =
        connection.prepare_cached("SELECT name, version, sealed FROM secret WHERE deployment = ?1")?;
    let rows = statement.query_map([deployment.as_str()], |row| {
        Ok((row.parsed("name")?, row.get("version")?, row.get("sealed")?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Sets a value, sealed for exactly this deployment, name and version.
pub fn put(
    connection: &Connection,
    deployment: &DeploymentId,
    name: &SecretName,
    version: u32,
    sealed: &[u8],
    now: Timestamp,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO secret (deployment, name, version, sealed, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (deployment, name) DO UPDATE SET version = ?3, sealed = ?4, updated_at = ?5",
        )?
        .execute((deployment.as_str(), name.as_str(), version, sealed, millis(now)))?;
    Ok(())
}

/// Every sealed value there is.
pub fn all(connection: &Connection) -> Result<Vec<(DeploymentId, SecretName, u32, Vec<u8>)>> {
    let mut statement = connection.prepare_cached("SELECT deployment, name, version, sealed FROM secret")?;
    let rows = statement.query_map([], |row| {
        Ok((row.parsed("deployment")?, row.parsed("name")?, row.get("version")?, row.get("sealed")?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Exchanges the seal of a value that stays what it is.
pub fn reseal(
    connection: &Connection,
    deployment: &DeploymentId,
    name: &SecretName,
    sealed: &[u8],
) -> Result<()> {
    connection
        .prepare_cached("UPDATE secret SET sealed = ?3 WHERE deployment = ?1 AND name = ?2")?
        .execute((deployment.as_str(), name.as_str(), sealed))?;
    Ok(())
}

/// Removes a value.
pub fn remove(connection: &Connection, deployment: &DeploymentId, name: &SecretName) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM secret WHERE deployment = ?1 AND name = ?2")?
        .execute([deployment.as_str(), name.as_str()])?;
    Ok(())
}
