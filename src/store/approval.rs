//! Approvals of plans, and who may give them.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use uuid::Uuid;

use crate::domain::Result;
use crate::domain::access::Subject;
use crate::domain::approval::{Approval, ApprovalState, Decision, Standing};
use crate::domain::bundle::Digest;
use crate::domain::diff::Change;
use crate::domain::name::{DeploymentId, GroupName, InfrastructureId};
use crate::store::deployment::list::VISIBLE;
use crate::store::row::{self, Columns as _, millis};

/// What a list shows of an approval besides itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub seq: i64,
    pub approval: Approval,
    /// Whether the deployment's settings still give the plan that it is about.
    pub current: bool,
    /// Whether one of the asker's groups may decide on the infrastructure; whether the asker may is another question.
    pub approver: bool,
}

/// Which approvals are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub deployment: Option<DeploymentId>,
    pub state: Option<ApprovalState>,
    /// Only those of plans that the settings still give.
    pub current: bool,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Approval> {
    let word: String = row.get("state")?;
    let decided_at = row.time_opt("decided_at")?;
    let decider: Option<Subject> = row.json_opt("decider")?;
    let comment: Option<String> = row.get("comment")?;
    Ok(Approval {
        id: row.parsed("id")?,
        deployment: row.parsed("deployment")?,
        project: row.parsed("project")?,
        version: row.parsed("version")?,
        infrastructure: row.parsed("infrastructure")?,
        plan: row.digest("plan_digest")?,
        state: ApprovalState::parse(&word).unwrap_or(ApprovalState::Withdrawn),
        requester: row.json("requester")?,
        reason: row.get("reason")?,
        created_at: row.time("created_at")?,
        decision: decider.zip(decided_at).map(|(by, at)| Decision {
            by,
            comment: comment.unwrap_or_default(),
            at,
        }),
    })
}

fn read_listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    Ok(Listed {
        seq: row.get("seq")?,
        approval: read(row)?,
        current: row.get("current")?,
        approver: row.get("approver")?,
    })
}

/// What [`read_listed`] reads; `:admin` and `:groups` are the asker's.
const LISTED: &str = "SELECT a.*, coalesce(a.plan_digest = d.wanted_digest, 0) AS current,
        (:admin OR EXISTS (SELECT 1 FROM approver p WHERE p.infrastructure = a.infrastructure
            AND p.grp IN (SELECT value FROM json_each(:groups)))) AS approver
   FROM approval a JOIN deployment d ON d.id = a.deployment";

/// Those on deployments that `subject` may see, newest first, before the one of `before`.
pub fn list(
    connection: &Connection,
    subject: &Subject,
    filter: &Filter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Listed>> {
    let sql = format!(
        "{LISTED} WHERE {VISIBLE} AND (:before IS NULL OR a.seq < :before) AND (:state IS NULL OR a.state = :state)
            AND (:deployment IS NULL OR a.deployment = :deployment)
            AND (NOT :current OR a.plan_digest = d.wanted_digest)
          ORDER BY a.seq DESC LIMIT :limit"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(
        named_params! {
            ":admin": subject.is_admin, ":groups": row::groups(&subject.groups), ":before": before,
            ":state": filter.state.map(ApprovalState::word), ":current": filter.current,
            ":deployment": filter.deployment.as_ref().map(DeploymentId::as_str), ":limit": limit,
        },
        read_listed,
    )?;
    Ok(row::readable("approval", rows, limit)?)
}

/// One, if `subject` may see its deployment.
pub fn find(connection: &Connection, id: Uuid, subject: &Subject) -> Result<Option<Listed>> {
    let sql = format!("{LISTED} WHERE {VISIBLE} AND a.id = :id");
    let mut statement = connection.prepare_cached(&sql)?;
    let parameters = named_params! {
        ":admin": subject.is_admin, ":groups": row::groups(&subject.groups), ":id": id.to_string()
    };
    Ok(statement.query_row(parameters, read_listed).optional()?)
}

/// The changes that were to be approved, against what ran when that was asked for.
pub fn diff(connection: &Connection, id: Uuid) -> Result<Vec<Change>> {
    let mut statement = connection.prepare_cached("SELECT diff FROM approval WHERE id = ?1")?;
    Ok(statement.query_row([id.to_string()], |row| row.json("diff"))?)
}

/// What the approvals of a plan amount to.
pub fn standing(connection: &Connection, deployment: &DeploymentId, plan: &Digest) -> Result<Standing> {
    let mut statement = connection.prepare_cached(
        "SELECT state FROM approval WHERE deployment = ?1 AND plan_digest = ?2 ORDER BY seq DESC LIMIT 1",
    )?;
    let newest: Option<String> =
        statement.query_row([deployment.as_str(), plan.as_str()], |row| row.get(0)).optional()?;
    Ok(Standing::of(newest.as_deref().and_then(ApprovalState::parse)))
}

/// The newest of a plan.
pub fn newest(connection: &Connection, deployment: &DeploymentId, plan: &Digest) -> Result<Option<Approval>> {
    let mut statement = connection.prepare_cached(
        "SELECT * FROM approval WHERE deployment = ?1 AND plan_digest = ?2 ORDER BY seq DESC LIMIT 1",
    )?;
    Ok(statement.query_row([deployment.as_str(), plan.as_str()], read).optional()?)
}

/// Adds one.
pub fn insert(connection: &Connection, approval: &Approval, changes: &[Change]) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO approval (id, deployment, project, version, infrastructure, plan_digest, diff, state, requester,
                 reason, created_at)
             VALUES (:id, :deployment, :project, :version, :infrastructure, :plan, :diff, :state, :requester,
                 :reason, :created_at)",
        )?
        .execute(named_params! {
            ":id": approval.id.to_string(), ":deployment": approval.deployment.as_str(),
            ":project": approval.project.as_str(), ":version": approval.version.as_str(),
            ":infrastructure": approval.infrastructure.as_str(), ":plan": approval.plan.as_str(),
            ":diff": row::json(&changes), ":state": approval.state.word(),
            ":requester": row::json(&approval.requester), ":reason": approval.reason,
            ":created_at": millis(approval.created_at),
        })?;
    Ok(())
}

/// Saves how one was decided.
pub fn save(connection: &Connection, approval: &Approval) -> Result<()> {
    let decision = approval.decision.as_ref();
    connection
        .prepare_cached(
            "UPDATE approval SET state = ?2, decider = ?3, comment = ?4, decided_at = ?5 WHERE id = ?1",
        )?
        .execute((
            approval.id.to_string(),
            approval.state.word(),
            decision.map(|decision| row::json(&decision.by)),
            decision.map(|decision| decision.comment.as_str()),
            decision.map(|decision| millis(decision.at)),
        ))?;
    Ok(())
}

/// The groups that may approve on an infrastructure.
pub fn approvers(connection: &Connection, id: &InfrastructureId) -> Result<Vec<GroupName>> {
    let mut statement =
        connection.prepare_cached("SELECT grp FROM approver WHERE infrastructure = ?1 ORDER BY grp")?;
    let rows = statement.query_map([id.as_str()], |row| row.parsed("grp"))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Lets a group approve, or not any more.
pub fn set_approver(
    connection: &Connection,
    id: &InfrastructureId,
    group: &GroupName,
    may: bool,
) -> Result<()> {
    let sql = if may {
        "INSERT INTO approver (infrastructure, grp) VALUES (?1, ?2) ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM approver WHERE infrastructure = ?1 AND grp = ?2"
    };
    connection.prepare_cached(sql)?.execute((id.as_str(), group.as_str()))?;
    Ok(())
}
