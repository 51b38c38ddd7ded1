//! Bundles' rows; their archives are blobs.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::domain::Result;
use crate::domain::bundle::{Bundle, Digest};
use crate::domain::clock::Timestamp;
use crate::domain::name::{ProjectKey, Version};
use crate::store::row::{self, Columns as _, millis};

fn read(row: &Row<'_>) -> rusqlite::Result<Bundle> {
    let size: i64 = row.get("size")?;
    Ok(Bundle {
        project: row.parsed("project")?,
        version: row.parsed("version")?,
        digest: row.digest("digest")?,
        size: u64::try_from(size).unwrap_or_default(),
        manifest: row.json("manifest")?,
        files: row.json("files")?,
        uploader: row.get("uploader")?,
        created_at: row.time("created_at")?,
    })
}

/// One bundle; the caller was let through to its project.
pub fn find(connection: &Connection, project: &ProjectKey, version: &Version) -> Result<Option<Bundle>> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM bundle WHERE project = ?1 AND version = ?2")?;
    Ok(statement.query_row([project.as_str(), version.as_str()], read).optional()?)
}

/// What lists show of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub version: Version,
    pub digest: Digest,
    pub size: u64,
    pub uploader: String,
    pub created_at: Timestamp,
    /// Names of its services.
    pub services: Vec<String>,
    /// How many deployments want it.
    pub deployments: u32,
}

/// A project's bundles, newest first, after the bundle that `after` names (its time and version).
pub fn list(
    connection: &Connection,
    project: &ProjectKey,
    after: Option<(i64, &str)>,
    limit: u32,
) -> Result<Vec<Summary>> {
    let mut statement = connection.prepare_cached(
        "SELECT b.version, b.digest, b.size, b.uploader, b.created_at,
                (SELECT json_group_array(key) FROM json_each(iif(json_valid(b.manifest), b.manifest, '{}'), '$.workload.services')) AS services,
                (SELECT count(*) FROM deployment d WHERE d.project = b.project AND d.version = b.version) AS deployments
           FROM bundle b
          WHERE b.project = :project
            AND (:at IS NULL OR b.created_at < :at OR (b.created_at = :at AND b.version > :version))
          ORDER BY b.created_at DESC, b.version LIMIT :limit",
    )?;
    let parameters = named_params! {
        ":project": project.as_str(), ":at": after.map(|(at, _)| at), ":version": after.map(|(_, version)| version),
        ":limit": limit.saturating_add(row::SPARE),
    };
    let rows = statement.query_map(parameters, |row| {
        let size: i64 = row.get("size")?;
        Ok(Summary {
            version: row.parsed("version")?,
            digest: row.digest("digest")?,
            size: u64::try_from(size).unwrap_or_default(),
            uploader: row.get("uploader")?,
            created_at: row.time("created_at")?,
            services: row.json("services")?,
            deployments: row.get("deployments")?,
        })
    })?;
    Ok(row::readable("bundle", rows, limit)?)
}

/// Adds a bundle.
pub fn insert(connection: &Connection, bundle: &Bundle) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO bundle (project, version, digest, size, manifest, files, uploader, created_at)
             VALUES (:project, :version, :digest, :size, :manifest, :files, :uploader, :created_at)",
        )?
        .execute(named_params! {
            ":project": bundle.project.as_str(), ":version": bundle.version.as_str(),
            ":digest": bundle.digest.as_str(), ":size": i64::try_from(bundle.size).unwrap_or(i64::MAX),
            ":manifest": row::json(&bundle.manifest), ":files": row::json(&bundle.files),
            ":uploader": bundle.uploader, ":created_at": millis(bundle.created_at),
        })?;
    Ok(())
}

/// The highest number among a project's versions, 0 where none is one: definitions are counted so.
pub fn last_number(connection: &Connection, project: &ProjectKey) -> Result<u32> {
    let mut statement = connection
        .prepare_cached("SELECT coalesce(max(CAST(version AS INTEGER)), 0) FROM bundle WHERE project = ?1")?;
    Ok(statement.query_row([project.as_str()], |row| row.get(0))?)
}

/// Removes a bundle's row.
pub fn delete(connection: &Connection, project: &ProjectKey, version: &Version) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM bundle WHERE project = ?1 AND version = ?2")?
        .execute([project.as_str(), version.as_str()])?;
    Ok(())
}

/// Whether any bundle or kept update still needs the archive `digest`.
pub fn digest_in_use(connection: &Connection, digest: &Digest) -> Result<bool> {
    let mut statement =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM bundle WHERE digest = ?1)")?;
    Ok(statement.query_row([digest.as_str()], |row| row.get(0))?)
}

/// Ids of the deployments that want the bundle or may roll back to it.
pub fn used_by(connection: &Connection, project: &ProjectKey, version: &Version) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM deployment WHERE project = ?1 AND version = ?2
         UNION
         SELECT d.id FROM deployment d
           JOIN deployment_update u ON u.deployment = d.id AND u.number = d.running_update
          WHERE d.project = ?1 AND u.version = ?2
         ORDER BY 1 LIMIT 20",
    )?;
    let rows = statement.query_map([project.as_str(), version.as_str()], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
