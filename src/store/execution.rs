//! Executions: the deployments that run a context.

use rusqlite::{Connection, named_params};
use uuid::Uuid;

use super::deployment::list::VISIBLE;
use super::deployment::{COLUMNS, read};
use crate::domain::Result;
use crate::domain::access::Subject;
use crate::domain::deployment::Deployment;
use crate::store::row::{self, Cells};

/// Where a page goes on: when the last one before it was made, in milliseconds, and its id.
pub type After<'a> = (i64, &'a str);

/// Which executions are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this context's.
    pub context: Option<Uuid>,
    /// Part of the name, of the uuid, or of what its infrastructure or its maker is called.
    pub text: Option<String>,
}

/// Executions that `subject` may see, newest first.
pub fn list(
    connection: &Connection,
    subject: &Subject,
    filter: &Filter,
    after: Option<After<'_>>,
    limit: u32,
) -> Result<Vec<Deployment>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deployment d
          WHERE d.kind = 'execution' AND {VISIBLE}
            AND (:context IS NULL OR d.id IN (SELECT deployment FROM deployment_resource WHERE resource = :context))
            AND (:text IS NULL OR instr(lower(json_extract(d.source, '$.name')), :text) OR instr(d.id, :text)
                OR instr(lower(d.infrastructure), :text) OR instr(lower(d.created_by), :text))
            AND (:id IS NULL OR (d.created_at, d.id) < (:created_at, :id))
          ORDER BY d.created_at DESC, d.id DESC LIMIT :limit"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let parameters = named_params! {
        ":admin": subject.is_admin, ":groups": row::groups(&subject.groups),
        ":context": filter.context.map(|uuid| uuid.to_string()),
        ":text": filter.text.as_ref().map(|text| text.to_lowercase()),
        ":created_at": after.map(|(made, _)| made), ":id": after.map(|(_, id)| id),
        ":limit": limit.saturating_add(row::SPARE),
    };
    let rows = statement.query_map(parameters, |row| read(&mut Cells::new(row)))?;
    Ok(row::readable("execution", rows, limit)?)
}
