//! What lists show of deployments: sorted, filtered, a page at a time, and only those that the asker may see.

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{COLUMNS, read};
use crate::domain::access::Subject;
use crate::domain::clock::Timestamp;
use crate::domain::deployment::Deployment;
use crate::domain::health::{Health, Message, Sync};
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, StageId};
use crate::domain::{Result, health};
use crate::store::row::{self, Cells, millis};

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
    /// Only those of which the engine holds something.
    pub in_cluster: bool,
    /// Only those that run a bundle.
    pub bundles: bool,
    /// Part of the id or of the name.
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

/// What [`read_state`] reads of `deployment_state s`, in its order; all are NULL before anything was observed.
pub(in crate::store) const STATE: &str = "s.health, s.sync, s.ready, s.wanted, s.messages, s.changed_at";

/// Reads the last columns of a row. What can't be read counts as not observed yet: it is written anew.
pub(in crate::store) fn read_state(cells: &mut Cells<'_, '_>) -> rusqlite::Result<State> {
    Ok(observed(cells).unwrap_or_else(|error| {
        tracing::error!(%error, "an observed state can't be read");
        State::unknown()
    }))
}

fn observed(cells: &mut Cells<'_, '_>) -> rusqlite::Result<State> {
    let Some(word) = cells.get::<Option<String>>()? else {
        return Ok(State::unknown());
    };
    Ok(State {
        health: Health::parse(&word).unwrap_or(Health::Unknown),
        sync: cells.json()?,
        ready: cells.get()?,
        wanted: cells.get()?,
        messages: cells.json()?,
        changed_at: Some(cells.time()?),
    })
}

fn read_summary(row: &Row<'_>) -> rusqlite::Result<Summary> {
    let cells = &mut Cells::new(row);
    Ok(Summary { deployment: read(cells)?, stage: cells.parsed()?, state: read_state(cells)? })
}

/// What needs attention: ranks before those of [`health_rank`] for `UNKNOWN` and `HEALTHY`, which lie behind in its index.
pub(in crate::store) const TROUBLED: &str = "s.rank < 4";

const IN_CLUSTER: &str = "(EXISTS (SELECT 1 FROM observed.slot e WHERE e.deployment = d.id)
    OR EXISTS (SELECT 1 FROM observed.object e WHERE e.deployment = d.id))";

pub(in crate::store) const VISIBLE: &str =
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
    let asked = limit.saturating_add(row::SPARE);
    let text = filter.text.as_ref().map(|text| text.to_lowercase());
    let mut parameters: Vec<(&str, &dyn rusqlite::ToSql)> =
        vec![(":admin", &subject.is_admin), (":groups", &groups), (":limit", &asked)];
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
    let rows = statement.query_map(parameters.as_slice(), read_summary)?;
    Ok(row::readable("deployment", rows, limit)?)
}

/// The statement for a filter: only the clauses that it needs, so that the planner uses the index of the sort.
fn list_sql(filter: &Filter, paged: bool) -> String {
    let key = sort_column(filter.sort);
    let (direction, beyond) = if filter.descending { ("DESC", "<") } else { ("ASC", ">") };
    let mut wheres = vec![VISIBLE.to_owned(), "d.kind <> 'execution'".to_owned()];
    let mut also = |wanted: bool, clause: &str| {
        if wanted {
            wheres.push(clause.to_owned());
        }
    };
    also(filter.project.is_some(), "d.project = :project");
    also(filter.infrastructure.is_some(), "d.infrastructure = :infrastructure");
    also(filter.stage.is_some(), "i.stage = :stage");
    also(filter.health.is_some(), "coalesce(s.health, 'UNKNOWN') = :health");
    also(filter.attention, TROUBLED);
    also(filter.in_cluster, IN_CLUSTER);
    also(filter.bundles, "d.kind = 'bundle'");
    also(
        filter.text.is_some(),
        "(instr(lower(d.id), :text) OR instr(lower(json_extract(d.source, '$.name')), :text))",
    );
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
        "SELECT {COLUMNS}, i.stage, {STATE} FROM {tables} JOIN infrastructure i ON i.id = d.infrastructure
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
pub(in crate::store) fn health_rank(health: health::Health) -> i64 {
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
        "SELECT {COLUMNS}, i.stage, {STATE} FROM deployment d LEFT JOIN observed.deployment_state s ON s.deployment = d.id
           JOIN infrastructure i ON i.id = d.infrastructure WHERE d.id = ?1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row([id.as_str()], read_summary);
    Ok(found.optional()?)
}

/// The deployments of a project that `subject` may see; the first 500.
pub fn places(connection: &Connection, project: &ProjectKey, subject: &Subject) -> Result<Vec<Summary>> {
    let filter = Filter { project: Some(project.clone()), ..Filter::default() };
    list(connection, subject, &filter, None, 500)
}
