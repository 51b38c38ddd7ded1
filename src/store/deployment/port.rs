//! Fixed host ports: one deployment of an infrastructure holds each.

use rusqlite::Connection;

use crate::domain::deployment::Deployment;
use crate::domain::name::DeploymentId;
use crate::domain::{Error, Result};

/// How many fixed host ports a deployment holds.
pub fn reserved(connection: &Connection, id: &DeploymentId) -> Result<usize> {
    let mut statement =
        connection.prepare_cached("SELECT count(*) FROM port_reservation WHERE deployment = ?1")?;
    let held: i64 = statement.query_row([id.as_str()], |row| row.get(0))?;
    Ok(usize::try_from(held).unwrap_or_default())
}

/// Reserves fixed host ports for a deployment, giving up those it no longer wants.
///
/// # Errors
/// `port_reserved`, naming the port; not its holder, which may be hidden from who reads it.
pub fn reserve(
    connection: &Connection,
    deployment: &Deployment,
    ports: &[(String, u16, &'static str)],
) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM port_reservation WHERE deployment = ?1")?
        .execute([deployment.id.as_str()])?;
    for (ip, port, protocol) in ports {
        let mut statement = connection.prepare_cached(
            "SELECT 1 FROM port_reservation WHERE infrastructure = ?1 AND port = ?2 AND protocol = ?3
                AND (host_ip = ?4 OR ?4 IN ('0.0.0.0', '::') OR host_ip IN ('0.0.0.0', '::'))",
        )?;
        let key = (deployment.infrastructure.as_str(), port, protocol, ip);
        if statement.exists(key)? {
            return Err(Error::conflict(
                "port_reserved",
                format!(
                    "host port {port} on {} is reserved by another deployment",
                    deployment.infrastructure
                ),
            )
            .hint("Choose another port, or leave the host port out so that a free one is chosen."));
        }
        connection
            .prepare_cached(
                "INSERT INTO port_reservation (infrastructure, port, protocol, host_ip, deployment) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((deployment.infrastructure.as_str(), port, protocol, ip, deployment.id.as_str()))?;
    }
    Ok(())
}
