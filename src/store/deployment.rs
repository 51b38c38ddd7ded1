//! Deployments as they were saved.

pub mod list;
pub mod port;

use rusqlite::{Connection, OptionalExtension as _, named_params};
use uuid::Uuid;

use crate::domain::Result;
use crate::domain::access::{Subject, Unchecked};
use crate::domain::approval::Standing;
use crate::domain::bundle::Digest;
use crate::domain::deployment::{Deployment, DeploymentRight, Source};
use crate::domain::governance::{self, Finding};
use crate::domain::health::Message;
use crate::domain::infrastructure::GovernPolicy;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey};
use crate::store::row::{self, Cells, Columns as _, millis};
use crate::store::{approval, infrastructure, project, test};

/// What [`read`] reads of `deployment d`, in its order.
pub(in crate::store) const COLUMNS: &str =
    "d.id, d.uuid, d.source, d.removal, d.project, d.infrastructure, d.version, d.enabled, d.settings, d.auto_repair, d.folder,
    d.deployed_project, d.created_at, d.created_by, d.updated_at, d.revision, d.last_update, d.running_update";

pub(in crate::store) fn read(cells: &mut Cells<'_, '_>) -> rusqlite::Result<Deployment> {
    Ok(Deployment {
        id: cells.parsed()?,
        uuid: cells.parsed()?,
        source: cells.json_opt()?.unwrap_or_default(),
        removal: cells.json_opt()?,
        project: cells.parsed()?,
        infrastructure: cells.parsed()?,
        version: cells.parsed()?,
        enabled: cells.get()?,
        settings: cells.json()?,
        auto_repair: cells.get()?,
        folder: cells.get()?,
        deployed_project: cells.parsed_opt()?,
        created_at: cells.time()?,
        created_by: cells.get()?,
        updated_at: cells.time()?,
        revision: cells.get()?,
        last_update: cells.get()?,
        running_update: cells.get()?,
    })
}

/// By id, with the right that `subject` holds on it.
pub fn find(
    connection: &Connection,
    id: &DeploymentId,
    subject: &Subject,
) -> Result<Option<Unchecked<Deployment>>> {
    let sql = format!("SELECT {COLUMNS} FROM deployment d WHERE d.id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row([id.as_str()], |row| read(&mut Cells::new(row))).optional()?;
    found.map(|deployment| with_right(connection, deployment, subject)).transpose()
}

/// By uuid, with the right that `subject` holds on it.
pub fn find_uuid(
    connection: &Connection,
    uuid: Uuid,
    subject: &Subject,
) -> Result<Option<Unchecked<Deployment>>> {
    let sql = format!("SELECT {COLUMNS} FROM deployment d WHERE d.uuid = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row([uuid.to_string()], |row| read(&mut Cells::new(row))).optional()?;
    found.map(|deployment| with_right(connection, deployment, subject)).transpose()
}

fn with_right(
    connection: &Connection,
    deployment: Deployment,
    subject: &Subject,
) -> Result<Unchecked<Deployment>> {
    let on_project = project::held(connection, &deployment.project, &subject.groups)?;
    let on_infrastructure = infrastructure::held(connection, &deployment.infrastructure, &subject.groups)?;
    Ok(Unchecked::new(deployment, DeploymentRight::from_parts(on_project, on_infrastructure)))
}

/// Adds a deployment.
pub fn insert(connection: &Connection, deployment: &Deployment, wanted: &Digest) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO deployment (id, uuid, kind, source, project, infrastructure, version, enabled, settings, auto_repair, folder,
                 deployed_project, created_at, created_by, updated_at, revision, wanted_digest)
             VALUES (:id, :uuid, :kind, :source, :project, :infrastructure, :version, :enabled, :settings, :auto_repair, :folder,
                 :deployed_project, :created_at, :created_by, :updated_at, :revision, :wanted)",
        )?
        .execute(named_params! {
            ":id": deployment.id.as_str(), ":uuid": deployment.uuid.to_string(),
            ":kind": kind(&deployment.source), ":source": source(&deployment.source),
            ":project": deployment.project.as_str(), ":infrastructure": deployment.infrastructure.as_str(),
            ":version": deployment.version.as_str(), ":enabled": deployment.enabled,
            ":settings": row::json(&deployment.settings), ":auto_repair": deployment.auto_repair,
            ":deployed_project": deployment.deployed_project.as_ref().map(ProjectKey::as_str),
            ":folder": deployment.folder, ":created_at": millis(deployment.created_at),
            ":created_by": deployment.created_by, ":updated_at": millis(deployment.updated_at),
            ":revision": deployment.revision, ":wanted": wanted.as_str(),
        })?;
    Ok(())
}

fn kind(source: &Source) -> &'static str {
    match source {
        Source::Bundle => "bundle",
        Source::Pipeline(_) => "pipeline",
        Source::Execution(_) => "execution",
    }
}

fn source(source: &Source) -> Option<String> {
    (!source.is_bundle()).then(|| row::json(source))
}

/// Deployments of pipelines of which something runs, with the infrastructure and the update that runs.
pub fn running_pipelines(connection: &Connection) -> Result<Vec<(DeploymentId, InfrastructureId, u32)>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, infrastructure, running_update FROM deployment
          WHERE kind = 'pipeline' AND running_update IS NOT NULL",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((row.parsed("id")?, row.parsed("infrastructure")?, row.get("running_update")?))
    })?;
    Ok(row::readable("deployment", rows, u32::MAX)?)
}

/// Saves source, removal, version, settings, enabled, repair and folder.
pub fn save(connection: &Connection, deployment: &Deployment, wanted: &Digest) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE deployment SET source = :source, removal = :removal, version = :version, enabled = :enabled, settings = :settings,
                 auto_repair = :auto_repair, folder = :folder, updated_at = :updated_at, revision = :revision,
                 wanted_digest = :wanted, wanted_refusal = NULL
              WHERE id = :id",
        )?
        .execute(named_params! {
            ":id": deployment.id.as_str(), ":version": deployment.version.as_str(), ":enabled": deployment.enabled,
            ":source": source(&deployment.source), ":removal": deployment.removal.as_ref().map(row::json),
            ":settings": row::json(&deployment.settings), ":auto_repair": deployment.auto_repair,
            ":folder": deployment.folder, ":updated_at": millis(deployment.updated_at),
            ":revision": deployment.revision, ":wanted": wanted.as_str(),
        })?;
    Ok(())
}

/// Notes what the settings give now, when something else than a save changed that (a policy): a plan's digest, or the
/// words of the refusal.
pub fn set_wanted(connection: &Connection, id: &DeploymentId, wanted: Result<&Digest, &str>) -> Result<()> {
    connection
        .prepare_cached("UPDATE deployment SET wanted_digest = ?2, wanted_refusal = ?3 WHERE id = ?1")?
        .execute((id.as_str(), wanted.ok().map(Digest::as_str), wanted.err()))?;
    Ok(())
}

/// Notes what governance finds in what the settings give now.
pub fn set_findings(connection: &Connection, id: &DeploymentId, findings: &[Finding]) -> Result<()> {
    connection
        .prepare_cached("UPDATE deployment SET findings = ?2 WHERE id = ?1")?
        .execute((id.as_str(), row::json(&findings)))?;
    Ok(())
}

/// What governance says of what the settings give now; nothing where their infrastructure checks nothing.
pub fn governance(connection: &Connection, id: &DeploymentId) -> Result<Vec<Message>> {
    let mut statement = connection.prepare_cached(
        "SELECT i.govern_policy, d.findings, d.wanted_digest, d.enabled, d.project, d.version
           FROM deployment d JOIN infrastructure i ON i.id = d.infrastructure WHERE d.id = ?1",
    )?;
    let found = statement.query_row([id.as_str()], |row| {
        let policy: GovernPolicy = row.json("govern_policy")?;
        if policy == GovernPolicy::NoCheck || !row.get::<_, bool>("enabled")? {
            return Ok(None);
        }
        let findings: Vec<Finding> = row.json("findings")?;
        let bundle = (row.parsed("project")?, row.parsed("version")?);
        Ok(Some((policy, findings, row.get::<_, Option<String>>("wanted_digest")?, bundle)))
    })?;
    let Some((policy, mut findings, wanted, (project, version))) = found else { return Ok(Vec::new()) };
    let plan = wanted.as_deref().and_then(Digest::parse);
    let standing = match plan {
        Some(plan) => approval::standing(connection, id, &plan)?,
        None => Standing::None,
    };
    if standing != Standing::Approved {
        findings.extend(governance::untested(&test::outcomes(connection, &project, &version)?));
    }
    Ok(governance::messages(policy, standing, &findings))
}

/// Notes what runs after an update ended well; `None`: nothing does.
pub fn set_running(
    connection: &Connection,
    id: &DeploymentId,
    running: Option<(u32, &Digest)>,
) -> Result<()> {
    connection
        .prepare_cached("UPDATE deployment SET running_update = ?2, running_digest = ?3 WHERE id = ?1")?
        .execute((
            id.as_str(),
            running.map(|(number, _)| number),
            running.map(|(_, digest)| digest.as_str()),
        ))?;
    Ok(())
}

/// What the settings give and what runs, by digest: the ground of *in sync*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    pub wanted: Option<String>,
    /// Why the settings give no plan now.
    pub refusal: Option<String>,
    pub running: Option<String>,
}

/// Both digests of a deployment.
pub fn digests(connection: &Connection, id: &DeploymentId) -> Result<Digests> {
    let mut statement = connection.prepare_cached(
        "SELECT wanted_digest, wanted_refusal, running_digest FROM deployment WHERE id = ?1",
    )?;
    Ok(statement.query_row([id.as_str()], |row| {
        Ok(Digests { wanted: row.get(0)?, refusal: row.get(1)?, running: row.get(2)? })
    })?)
}

/// Removes a deployment with its secrets and updates; the caller checked that it may go.
pub fn delete(connection: &Connection, id: &DeploymentId) -> Result<()> {
    connection.prepare_cached("DELETE FROM deployment WHERE id = ?1")?.execute([id.as_str()])?;
    Ok(())
}

/// Ids of the deployments on an infrastructure, or with `None` all: for reconcilers.
pub fn ids(connection: &Connection, infrastructure: Option<&InfrastructureId>) -> Result<Vec<DeploymentId>> {
    let mut statement = connection
        .prepare_cached("SELECT id FROM deployment WHERE ?1 IS NULL OR infrastructure = ?1 ORDER BY id")?;
    let rows = statement.query_map([infrastructure.map(InfrastructureId::as_str)], |row| row.parsed("id"))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The next `limit` ids after `after`, on one infrastructure or, with `None`, on all: for reconcilers' sweeps.
pub fn ids_after(
    connection: &Connection,
    infrastructure: Option<&InfrastructureId>,
    after: &str,
    limit: usize,
) -> Result<Vec<DeploymentId>> {
    let sql = match infrastructure {
        Some(_) => "SELECT id FROM deployment WHERE infrastructure = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        None => "SELECT id FROM deployment WHERE ?1 IS NULL AND id > ?2 ORDER BY id LIMIT ?3",
    };
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement
        .query_map((infrastructure.map(InfrastructureId::as_str), after, limit), |row| row.parsed("id"))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Deployments that are to go as soon as they have stopped.
pub fn to_remove(connection: &Connection) -> Result<Vec<DeploymentId>> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM deployment WHERE removal IS NOT NULL ORDER BY id")?;
    let rows = statement.query_map([], |row| row.parsed("id"))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Ids of the deployments that use an infrastructure or a project, at most 20: why it can't go.
pub fn users_of(
    connection: &Connection,
    infrastructure: Option<&InfrastructureId>,
    project: Option<&ProjectKey>,
) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM deployment WHERE infrastructure = ?1 OR project = ?2 ORDER BY id LIMIT 20",
    )?;
    let parameters = (infrastructure.map(InfrastructureId::as_str), project.map(ProjectKey::as_str));
    let rows = statement.query_map(parameters, |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
