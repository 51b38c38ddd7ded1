//! What deleted deployments left on engines and is still to be removed there: networks, image tags, and the volumes
//! that somebody asked to go as well.

use rusqlite::{Connection, OptionalExtension as _};

use crate::domain::Result;
use crate::domain::clock::Timestamp;
use crate::domain::deployment::Deployment;
use crate::domain::name::{DeploymentId, InfrastructureId, VolumeName};
use crate::store;
use crate::store::row::{Columns as _, millis};

/// One deleted deployment's remains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub workload: DeploymentId,
    pub infrastructure: InfrastructureId,
    /// Whether its named volumes go as well.
    pub volumes: bool,
}

/// Asks for it.
pub fn ask(connection: &Connection, release: &Release, now: Timestamp) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO release (workload, infrastructure, volumes, created_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET volumes = max(volumes, excluded.volumes)",
        )?
        .execute((
            release.workload.as_str(),
            release.infrastructure.as_str(),
            release.volumes,
            millis(now),
        ))?;
    Ok(())
}

/// Deletes a deployment's rows, with the hidden project of one that runs no bundle, and asks for the removal of what it
/// left on its engine. Answers the named volumes that it has made.
pub fn delete(
    connection: &Connection,
    deployment: &Deployment,
    volumes: bool,
    now: Timestamp,
) -> Result<Vec<VolumeName>> {
    let id = &deployment.id;
    let names = store::update::volumes(connection, id)?;
    if deployment.last_update > 0 {
        let infrastructure = deployment.infrastructure.clone();
        ask(connection, &Release { workload: id.clone(), infrastructure, volumes }, now)?;
    }
    store::deployment::delete(connection, id)?;
    if !deployment.source.is_bundle() {
        store::project::delete(connection, &deployment.project)?;
    }
    Ok(names)
}

/// All that is asked for, oldest first.
pub fn all(connection: &Connection) -> Result<Vec<Release>> {
    let mut statement = connection
        .prepare_cached("SELECT workload, infrastructure, volumes FROM release ORDER BY created_at")?;
    let rows = statement.query_map([], |row| {
        Ok(Release {
            workload: row.parsed("workload")?,
            infrastructure: row.parsed("infrastructure")?,
            volumes: row.get("volumes")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether volumes of a workload of this id are still to be removed from the infrastructure.
pub fn takes_volumes(
    connection: &Connection,
    workload: &DeploymentId,
    infrastructure: &InfrastructureId,
) -> Result<bool> {
    let mut statement = connection
        .prepare_cached("SELECT volumes FROM release WHERE workload = ?1 AND infrastructure = ?2")?;
    let found: Option<bool> =
        statement.query_row([workload.as_str(), infrastructure.as_str()], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(false))
}

/// It is done, or not wanted any more.
pub fn forget(
    connection: &Connection,
    workload: &DeploymentId,
    infrastructure: &InfrastructureId,
) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM release WHERE workload = ?1 AND infrastructure = ?2")?
        .execute([workload.as_str(), infrastructure.as_str()])?;
    Ok(())
}
