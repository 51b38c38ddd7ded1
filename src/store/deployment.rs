//! Deployments, and the lists that join them with what was last observed.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use uuid::Uuid;

use crate::domain::access::{Subject, Unchecked};
use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;
use crate::domain::deployment::{Deployment, DeploymentRight};
use crate::domain::health::{Health, Message, Sync};
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, StageId, Version};
use crate::domain::{Result, health};
use crate::store::row::{self, Columns as _, millis};
use crate::store::{infrastructure, project};

/// Reads the columns of `deployment`.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Deployment> {
    Ok(Deployment {
        id: row.parsed("id")?,
        uuid: row.parsed("uuid")?,
        project: row.parsed("project")?,
        infrastructure: row.parsed("infrastructure")?,
        version: row.parsed("version")?,
        enabled: row.get("enabled")?,
        settings: row.json("settings")?,
        auto_repair: row.get("auto_repair")?,
        folder: row.get("folder")?,
        created_at: row.time("created_at")?,
        created_by: row.get("created_by")?,
        updated_at: row.time("updated_at")?,
        revision: row.get("revision")?,
        last_update: row.get("last_update")?,
        running_update: row.get("running_update")?,
    })
}

/// By id, with the right that `subject` holds on it.
pub fn find(
    connection: &Connection,
    id: &DeploymentId,
    subject: &Subject,
) -> Result<Option<Unchecked<Deployment>>> {
    let mut statement = connection.prepare_cached("SELECT * FROM deployment WHERE id = ?1")?;
    let found = statement.query_row([id.as_str()], read).optional()?;
    found.map(|deployment| with_right(connection, deployment, subject)).transpose()
}

/// By uuid, with the right that `subject` holds on it.
pub fn find_uuid(
    connection: &Connection,
    uuid: Uuid,
    subject: &Subject,
) -> Result<Option<Unchecked<Deployment>>> {
    let mut statement = connection.prepare_cached("SELECT * FROM deployment WHERE uuid = ?1")?;
    let found = statement.query_row([uuid.to_string()], read).optional()?;
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
            "INSERT INTO deployment (id, uuid, project, infrastructure, version, enabled, settings, auto_repair, folder,
                 created_at, created_by, updated_at, revision, wanted_digest)
             VALUES (:id, :uuid, :project, :infrastructure, :version, :enabled, :settings, :auto_repair, :folder,
                 :created_at, :created_by, :updated_at, :revision, :wanted)",
        )?
        .execute(named_params! {
            ":id": deployment.id.as_str(), ":uuid": deployment.uuid.to_string(),
            ":project": deployment.project.as_str(), ":infrastructure": deployment.infrastructure.as_str(),
            ":version": deployment.version.as_str(), ":enabled": deployment.enabled,
            ":settings": row::json(&deployment.settings), ":auto_repair": deployment.auto_repair,
            ":folder": deployment.folder, ":created_at": millis(deployment.created_at),
            ":created_by": deployment.created_by, ":updated_at": millis(deployment.updated_at),
            ":revision": deployment.revision, ":wanted": wanted.as_str(),
        })?;
    Ok(())
}

/// Saves version, settings, enabled, repair and folder.
pub fn save(connection: &Connection, deployment: &Deployment, wanted: &Digest) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE deployment SET version = :version, enabled = :enabled, settings = :settings,
                 auto_repair = :auto_repair, folder = :folder, updated_at = :updated_at, revision = :revision,
                 wanted_digest = :wanted, wanted_refusal = NULL
              WHERE id = :id",
        )?
        .execute(named_params! {
            ":id": deployment.id.as_str(), ":version": deployment.version.as_str(), ":enabled": deployment.enabled,
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

/// What a list is sorted by; the id breaks ties.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    #[default]
    Id,
    Project,
    Infrastructure,
    /// Worst first.
    Health,
    Updated,
}

/// Which deployments are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub project: Option<ProjectKey>,
    pub infrastructure: Option<InfrastructureId>,
    pub stage: Option<StageId>,
    pub health: Option<Health>,
    /// Everything but `HEALTHY` and what was never deployed or is stopped.
    pub attention: bool,
    /// Part of the id.
    pub text: Option<String>,
    pub sort: Sort,
    pub descending: bool,
}

/// What lists show of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub deployment: Deployment,
    pub stage: StageId,
    pub state: State,
}

/// What was last observed and folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub health: Health,
    pub sync: Sync,
    pub ready: u32,
    pub wanted: u32,
    pub messages: Vec<Message>,
    /// When the fold last changed.
    pub changed_at: Option<Timestamp>,
}

impl State {
    /// Before anything was observed.
    pub const fn unknown() -> Self {
        Self {
            health: Health::Unknown,
            sync: Sync::Unknown,
            ready: 0,
            wanted: 0,
            messages: Vec::new(),
            changed_at: None,
        }
    }
}

pub(super) fn read_state(row: &Row<'_>) -> rusqlite::Result<State> {
    let Some(word) = row.get::<_, Option<String>>("s_health")? else {
        return Ok(State::unknown());
    };
    Ok(State {
        health: Health::parse(&word).unwrap_or(Health::Unknown),
        sync: row.json("s_sync")?,
        ready: row.get("s_ready")?,
        wanted: row.get("s_wanted")?,
        messages: row.json("s_messages")?,
        changed_at: row.time_opt("s_changed_at")?,
    })
}

const COLUMNS: &str = "d.*, i.stage AS stage, s.health AS s_health, s.sync AS s_sync, s.ready AS s_ready,
    s.wanted AS s_wanted, s.messages AS s_messages, s.changed_at AS s_changed_at";

pub(super) const VISIBLE: &str =
    "(:admin OR (EXISTS (SELECT 1 FROM project_grant g WHERE g.project = d.project
        AND g.grp IN (SELECT value FROM json_each(:groups)))
    AND EXISTS (SELECT 1 FROM infrastructure_grant g WHERE g.infrastructure = d.infrastructure
        AND g.grp IN (SELECT value FROM json_each(:groups)))))";

/// Where a page goes on: the sort value and id of the last row before it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct After {
    pub value: rusqlite_value::Value,
    pub id: String,
}

/// A sort value that travels in a cursor.
pub mod rusqlite_value {
    use rusqlite::ToSql;
    use rusqlite::types::ToSqlOutput;

    /// Text or a number.
    #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(untagged)]
    pub enum Value {
        Number(i64),
        Text(String),
    }

    impl ToSql for Value {
        fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
            match self {
                Self::Number(number) => number.to_sql(),
                Self::Text(text) => text.to_sql(),
            }
        }
    }
}

/// Deployments that `subject` may see, sorted, after `after`.
pub fn list(
    connection: &Connection,
    subject: &Subject,
    filter: &Filter,
    after: Option<&After>,
    limit: u32,
) -> Result<Vec<Summary>> {
    let sql = list_sql(filter, after.is_some());
    let mut statement = connection.prepare_cached(&sql)?;
    let groups = row::groups(&subject.groups);
    let text = filter.text.as_ref().map(|text| text.to_lowercase());
    let mut parameters: Vec<(&str, &dyn rusqlite::ToSql)> =
        vec![(":admin", &subject.is_admin), (":groups", &groups), (":limit", &limit)];
    let (project, infrastructure) =
        (filter.project.as_ref().map(ProjectKey::as_str), filter.infrastructure.as_ref());
    let (infrastructure, stage) =
        (infrastructure.map(InfrastructureId::as_str), filter.stage.as_ref().map(StageId::as_str));
    let health = filter.health.map(Health::word);
    if project.is_some() {
        parameters.push((":project", &project));
    }
    if infrastructure.is_some() {
        parameters.push((":infrastructure", &infrastructure));
    }
    if stage.is_some() {
        parameters.push((":stage", &stage));
    }
    if health.is_some() {
        parameters.push((":health", &health));
    }
    if text.is_some() {
        parameters.push((":text", &text));
    }
    if let Some(after) = after {
        parameters.push((":value", &after.value));
        parameters.push((":id", &after.id));
    }
    let rows = statement.query_map(parameters.as_slice(), |row| {
        Ok(Summary { deployment: read(row)?, stage: row.parsed("stage")?, state: read_state(row)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The statement for a filter: only the clauses that it needs, so that the planner uses the index of the sort.
fn list_sql(filter: &Filter, paged: bool) -> String {
    let key = sort_column(filter.sort);
    let (direction, beyond) = if filter.descending { ("DESC", "<") } else { ("ASC", ">") };
    let mut wheres = vec![VISIBLE.to_owned()];
    let mut also = |wanted: bool, clause: &str| {
        if wanted {
            wheres.push(clause.to_owned());
        }
    };
    also(filter.project.is_some(), "d.project = :project");
    also(filter.infrastructure.is_some(), "d.infrastructure = :infrastructure");
    also(filter.stage.is_some(), "i.stage = :stage");
    also(filter.health.is_some(), "coalesce(s.health, 'UNKNOWN') = :health");
    also(filter.attention, "s.health IN ('ERROR', 'OUT_OF_SYNC', 'UNHEALTHY', 'WARNING')");
    also(filter.text.is_some(), "instr(lower(d.id), :text)");
    if paged && filter.sort == Sort::Id {
        also(true, &format!("d.id {beyond} :id AND :value IS NOT NULL"));
    } else if paged {
        also(true, &format!("({key}, d.id) {beyond} (:value, :id)"));
    }
    let tables = if filter.sort == Sort::Health || filter.attention {
        "observed.deployment_state s CROSS JOIN deployment d ON d.id = s.deployment"
    } else {
        "deployment d LEFT JOIN observed.deployment_state s ON s.deployment = d.id"
    };
    let id = if filter.sort == Sort::Health { "s.deployment" } else { "d.id" };
    let order = if filter.sort == Sort::Id { String::new() } else { format!("{key} {direction}, ") };
    format!(
        "SELECT {COLUMNS} FROM {tables} JOIN infrastructure i ON i.id = d.infrastructure
          WHERE {} ORDER BY {order}{id} {direction} LIMIT :limit",
        wheres.join(" AND "),
    )
}

fn sort_column(sort: Sort) -> &'static str {
    match sort {
        Sort::Id => "d.id",
        Sort::Project => "d.project",
        Sort::Infrastructure => "d.infrastructure",
        Sort::Health => "s.rank",
        Sort::Updated => "d.updated_at",
    }
}

/// The sort value of a row under `sort`: what a cursor holds.
pub fn sort_value(summary: &Summary, sort: Sort) -> rusqlite_value::Value {
    use rusqlite_value::Value;
    match sort {
        Sort::Id => Value::Text(summary.deployment.id.to_string()),
        Sort::Project => Value::Text(summary.deployment.project.to_string()),
        Sort::Infrastructure => Value::Text(summary.deployment.infrastructure.to_string()),
        Sort::Health => Value::Number(health_rank(summary.state.health)),
        Sort::Updated => Value::Number(millis(summary.deployment.updated_at)),
    }
}

/// Worst first.
pub(super) fn health_rank(health: health::Health) -> i64 {
    match health {
        Health::Error => 0,
        Health::Unhealthy => 1,
        Health::OutOfSync => 2,
        Health::Warning => 3,
        Health::Unknown => 4,
        Health::Healthy => 5,
    }
}

/// One deployment's summary, without asking who wants it: the caller was let through.
pub fn summary(connection: &Connection, id: &DeploymentId) -> Result<Option<Summary>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deployment d LEFT JOIN observed.deployment_state s ON s.deployment = d.id
           JOIN infrastructure i ON i.id = d.infrastructure WHERE d.id = ?1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row([id.as_str()], |row| {
        Ok(Summary { deployment: read(row)?, stage: row.parsed("stage")?, state: read_state(row)? })
    });
    Ok(found.optional()?)
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

/// How many deployments want a bundle's version on each stage: where it runs.
pub fn places(
    connection: &Connection,
    project: &ProjectKey,
    version: Option<&Version>,
    subject: &Subject,
) -> Result<Vec<Summary>> {
    let filter = Filter { project: Some(project.clone()), ..Filter::default() };
    let all = list(connection, subject, &filter, None, 500)?;
    Ok(all
        .into_iter()
        .filter(|summary| version.is_none_or(|version| summary.deployment.version == *version))
        .collect())
}

/// How many fixed host ports a deployment holds.
pub fn reserved_ports(connection: &Connection, id: &DeploymentId) -> Result<usize> {
    let mut statement =
        connection.prepare_cached("SELECT count(*) FROM port_reservation WHERE deployment = ?1")?;
    let held: i64 = statement.query_row([id.as_str()], |row| row.get(0))?;
    Ok(usize::try_from(held).unwrap_or_default())
}

/// Reserves fixed host ports for a deployment, giving up those it no longer wants.
///
/// # Errors
/// `port_reserved`, naming the port and the deployment that holds it.
pub fn reserve_ports(
    connection: &Connection,
    deployment: &Deployment,
    ports: &[(String, u16, &'static str)],
) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM port_reservation WHERE deployment = ?1")?
        .execute([deployment.id.as_str()])?;
    for (ip, port, protocol) in ports {
        let mut statement = connection.prepare_cached(
            "SELECT deployment FROM port_reservation WHERE infrastructure = ?1 AND port = ?2 AND protocol = ?3
                AND (host_ip = ?4 OR ?4 IN ('0.0.0.0', '::') OR host_ip IN ('0.0.0.0', '::'))",
        )?;
        let key = (deployment.infrastructure.as_str(), port, protocol, ip);
        let holder: Option<String> = statement.query_row(key, |row| row.get(0)).optional()?;
        if let Some(holder) = holder {
            return Err(crate::domain::Error::conflict(
                "port_reserved",
                format!(
                    "host port {port} on {} is reserved by deployment {holder}",
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
