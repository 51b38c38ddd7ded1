//! The matrix of the home page: projects by stages, with what runs in each place.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, named_params};

use crate::domain::Result;
use crate::domain::access::Subject;
use crate::domain::clock::Timestamp;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, StageId, Version};
use crate::domain::update::Step;
use crate::store::deployment::list::{STATE, State, TROUBLED, VISIBLE, read_state};
use crate::store::row::{self, Cells, Columns as _};

/// One deployment's place in the matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub id: DeploymentId,
    pub project: ProjectKey,
    pub stage: StageId,
    pub infrastructure: InfrastructureId,
    /// The bundle that runs; the wanted one while nothing does.
    pub version: Version,
    pub enabled: bool,
    /// The number of the newest update, 0 before the first.
    pub last_update: u32,
    pub running_update: Option<u32>,
    pub updated_at: Timestamp,
    pub state: State,
    /// The update that is queued (`None`) or at a step now, runs of tests apart.
    pub open: Option<(u32, Option<Step>)>,
}

/// The places of some projects that `subject` may see, by project and id: of each project the first `most` on each
/// infrastructure.
pub fn places(
    connection: &Connection,
    subject: &Subject,
    projects: &[ProjectKey],
    most: u32,
) -> Result<Vec<Place>> {
    let sql = format!(
        "SELECT d.id, d.project, i.stage, d.infrastructure, coalesce(r.version, d.version), d.enabled, d.last_update,
                d.running_update, d.updated_at, o.number, o.step, {STATE}
           FROM json_each(:projects) p CROSS JOIN infrastructure i
           CROSS JOIN deployment d ON d.id IN (SELECT id FROM deployment
                 WHERE project = p.value AND infrastructure = i.id ORDER BY id LIMIT :most)
           LEFT JOIN observed.deployment_state s ON s.deployment = d.id
           LEFT JOIN deployment_update r ON r.deployment = d.id AND r.number = d.running_update
           LEFT JOIN (SELECT deployment, min(number) AS number, step FROM deployment_update
                       WHERE state <> 'ended' AND kind <> '\"test\"' GROUP BY deployment) o ON o.deployment = d.id
          WHERE {VISIBLE}
          ORDER BY d.project, d.id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let parameters = named_params! {
        ":projects": row::json(&projects), ":admin": subject.is_admin, ":groups": row::groups(&subject.groups),
        ":most": most,
    };
    let rows = statement.query_map(parameters, |row| {
        let cells = &mut Cells::new(row);
        Ok(Place {
            id: cells.parsed()?,
            project: cells.parsed()?,
            stage: cells.parsed()?,
            infrastructure: cells.parsed()?,
            version: cells.parsed()?,
            enabled: cells.get()?,
            last_update: cells.get()?,
            running_update: cells.get()?,
            updated_at: cells.time()?,
            open: read_open(cells)?,
            state: read_state(cells)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The deployments that [`VISIBLE`] lets groups see, found from their grants.
const GRANTED: &str =
    "(SELECT DISTINCT project FROM project_grant WHERE grp IN (SELECT value FROM json_each(:groups))) p
    CROSS JOIN (SELECT DISTINCT infrastructure FROM infrastructure_grant
                 WHERE grp IN (SELECT value FROM json_each(:groups))) i
    CROSS JOIN deployment d ON d.project = p.project AND d.infrastructure = i.infrastructure";

fn read_open(cells: &mut Cells<'_, '_>) -> rusqlite::Result<Option<(u32, Option<Step>)>> {
    let (number, step) = (cells.get::<Option<u32>>()?, cells.get::<Option<String>>()?);
    Ok(number.map(|number| (number, step.as_deref().and_then(Step::parse))))
}

/// How many deployments `subject` may see, and how many of them need attention, both counted up to `most`.
pub fn counts(connection: &Connection, subject: &Subject, most: u32) -> Result<(u64, u64)> {
    let seen = if subject.is_admin { "deployment d" } else { GRANTED };
    let sql = format!(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM {seen} WHERE d.kind <> 'execution' LIMIT :most)),
                (SELECT count(*) FROM (SELECT 1 FROM observed.deployment_state s CROSS JOIN deployment d ON d.id = s.deployment
                  WHERE {TROUBLED} AND d.kind <> 'execution' AND {VISIBLE} LIMIT :most))"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let parameters = named_params! {
        ":admin": subject.is_admin, ":groups": row::groups(&subject.groups), ":most": most,
    };
    let (all, troubled): (i64, i64) =
        statement.query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((all.unsigned_abs(), troubled.unsigned_abs()))
}

/// The update that each of `deployments` has open now, runs of tests apart: its number, and its step once it runs.
pub fn open_updates(
    connection: &Connection,
    deployments: &[&str],
) -> Result<HashMap<DeploymentId, (u32, Option<Step>)>> {
    let mut statement = connection.prepare_cached(
        "SELECT deployment, min(number) AS number, step FROM deployment_update INDEXED BY update_open
          WHERE state <> 'ended' AND kind <> '\"test\"' AND deployment IN (SELECT value FROM json_each(?1))
          GROUP BY deployment",
    )?;
    let rows = statement.query_map([row::json(&deployments)], |row| {
        let step: Option<String> = row.get("step")?;
        Ok((row.parsed("deployment")?, (row.get("number")?, step.as_deref().and_then(Step::parse))))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The newest bundle of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastBundle {
    pub version: Version,
    pub uploader: String,
    pub at: Timestamp,
    /// How many bundles the project has.
    pub count: u32,
}

/// The newest bundle of each project that has one.
pub fn last_bundles(
    connection: &Connection,
    projects: &[ProjectKey],
) -> Result<HashMap<ProjectKey, LastBundle>> {
    let mut statement = connection.prepare_cached(
        "SELECT project, version, uploader, max(created_at) AS created_at, count(*) AS bundles FROM bundle
          WHERE project IN (SELECT value FROM json_each(?1)) GROUP BY project",
    )?;
    let rows = statement.query_map([row::json(&projects)], |row| {
        let last = LastBundle {
            version: row.parsed("version")?,
            uploader: row.get("uploader")?,
            at: row.time("created_at")?,
            count: row.get("bundles")?,
        };
        Ok((row.parsed("project")?, last))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether `subject` may see any of these deployments, or one of them is no more.
pub fn sees_deployment(connection: &Connection, subject: &Subject, ids: &BTreeSet<String>) -> Result<bool> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM json_each(:ids) j LEFT JOIN deployment d ON d.id = j.value
          WHERE d.id IS NULL OR {VISIBLE})"
    );
    sees(connection, &sql, subject, ids)
}

/// Whether `subject` may see any of these projects, or one of them is no more.
pub fn sees_project(connection: &Connection, subject: &Subject, keys: &BTreeSet<String>) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM json_each(:ids) j LEFT JOIN project p ON p.key = j.value
          WHERE p.key IS NULL OR :admin OR EXISTS (SELECT 1 FROM project_grant g WHERE g.project = p.key
            AND g.grp IN (SELECT value FROM json_each(:groups))))";
    sees(connection, sql, subject, keys)
}

/// Whether `subject` may see any of these infrastructures, or one of them is no more.
pub fn sees_infrastructure(
    connection: &Connection,
    subject: &Subject,
    ids: &BTreeSet<String>,
) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM json_each(:ids) j LEFT JOIN infrastructure i ON i.id = j.value
          WHERE i.id IS NULL OR :admin OR EXISTS (SELECT 1 FROM infrastructure_grant g WHERE g.infrastructure = i.id
            AND g.grp IN (SELECT value FROM json_each(:groups))))";
    sees(connection, sql, subject, ids)
}

/// Whether `subject` may see any of these resources, or one of them is no more.
pub fn sees_resource(connection: &Connection, subject: &Subject, ids: &BTreeSet<String>) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM json_each(:ids) j LEFT JOIN resource r ON r.uuid = j.value
          WHERE r.uuid IS NULL OR :admin OR r.grp IN (SELECT value FROM json_each(:groups)))";
    sees(connection, sql, subject, ids)
}

fn sees(connection: &Connection, sql: &str, subject: &Subject, ids: &BTreeSet<String>) -> Result<bool> {
    if ids.is_empty() {
        return Ok(false);
    }
    let mut statement = connection.prepare_cached(sql)?;
    let parameters = named_params! {
        ":ids": row::json(ids), ":admin": subject.is_admin, ":groups": row::groups(&subject.groups),
    };
    Ok(statement.query_row(parameters, |row| row.get(0))?)
}

/// Bundles whose version holds `text`, of the projects that `subject` may see, newest first.
pub fn bundles_like(
    connection: &Connection,
    subject: &Subject,
    text: &str,
    limit: u32,
) -> Result<Vec<(ProjectKey, Version)>> {
    let mut statement = connection.prepare_cached(
        "SELECT b.project, b.version FROM bundle b
          WHERE instr(lower(b.version), :text) AND NOT EXISTS (SELECT 1 FROM project p WHERE p.key = b.project AND p.hidden)
            AND (:admin OR EXISTS (SELECT 1 FROM project_grant g
                WHERE g.project = b.project AND g.grp IN (SELECT value FROM json_each(:groups))))
          ORDER BY b.created_at DESC LIMIT :limit",
    )?;
    let parameters = named_params! {
        ":text": text.to_lowercase(), ":admin": subject.is_admin, ":groups": row::groups(&subject.groups), ":limit": limit,
    };
    let rows = statement.query_map(parameters, |row| Ok((row.parsed("project")?, row.parsed("version")?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
