//! Projects and their grants.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::domain::Result;
use crate::domain::access::{ProjectRight, Subject, Unchecked};
use crate::domain::group::Groups;
use crate::domain::name::{GroupName, ProjectKey};
use crate::domain::project::Project;
use crate::store::row::{self, Columns as _, millis};

fn read(row: &Row<'_>) -> rusqlite::Result<Project> {
    Ok(Project {
        key: row.parsed("key")?,
        description: row.get("description")?,
        tags: row.json("tags")?,
        created_at: row.time("created_at")?,
        created_by: row.get("created_by")?,
        updated_at: row.time("updated_at")?,
        revision: row.get("revision")?,
    })
}

/// The project with the highest right that `subject` holds on it.
pub fn find(
    connection: &Connection,
    key: &ProjectKey,
    subject: &Subject,
) -> Result<Option<Unchecked<Project>>> {
    let mut statement = connection.prepare_cached("SELECT * FROM project WHERE key = ?1 AND NOT hidden")?;
    let Some(project) = statement.query_row([key.as_str()], read).optional()? else {
        return Ok(None);
    };
    let held = held(connection, key, &subject.groups)?;
    Ok(Some(Unchecked::new(project, held)))
}

/// The highest right that any of `groups` holds.
pub fn held(connection: &Connection, key: &ProjectKey, groups: &Groups) -> Result<Option<ProjectRight>> {
    let mut statement = connection.prepare_cached(
        "SELECT max(held) FROM project_grant WHERE project = ?1 AND grp IN (SELECT value FROM json_each(?2))",
    )?;
    let rank: Option<u8> = statement.query_row([key.as_str(), &row::groups(groups)], |row| row.get(0))?;
    Ok(rank.and_then(ProjectRight::from_rank))
}

/// Which projects are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Part of the key or description.
    pub text: Option<String>,
    pub tag: Option<String>,
}

/// Projects that `subject` may see, by key, after `after`, with the right it holds.
pub fn list(
    connection: &Connection,
    subject: &Subject,
    filter: &Filter,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<(Project, ProjectRight)>> {
    let mut statement = connection.prepare_cached(
        "SELECT p.*, (SELECT max(g.held) FROM project_grant g
                       WHERE g.project = p.key AND g.grp IN (SELECT value FROM json_each(:groups))) AS held
           FROM project p
          WHERE p.key > :after AND NOT p.hidden
            AND (:admin OR EXISTS (SELECT 1 FROM project_grant g
                  WHERE g.project = p.key AND g.grp IN (SELECT value FROM json_each(:groups))))
            AND (:text IS NULL OR instr(lower(p.key), :text) OR instr(lower(p.description), :text))
            AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(iif(json_valid(p.tags), p.tags, '[]')) t WHERE t.value = :tag))
          ORDER BY p.key LIMIT :limit",
    )?;
    let rows = statement.query_map(
        named_params! {
            ":after": after.unwrap_or(""), ":admin": subject.is_admin, ":groups": row::groups(&subject.groups),
            ":text": filter.text.as_ref().map(|text| text.to_lowercase()), ":tag": filter.tag,
            ":limit": limit.saturating_add(row::SPARE),
        },
        |row| {
            let held: Option<u8> = row.get("held")?;
            let held = if subject.is_admin { Some(ProjectRight::Admin) } else { held.and_then(ProjectRight::from_rank) };
            Ok((read(row)?, held.unwrap_or(ProjectRight::View)))
        },
    )?;
    Ok(row::readable("project", rows, limit)?)
}

/// Adds a project.
pub fn insert(connection: &Connection, project: &Project) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO project (key, description, tags, created_at, created_by, updated_at, revision)
             VALUES (:key, :description, :tags, :created_at, :created_by, :updated_at, :revision)",
        )?
        .execute(named_params! {
            ":key": project.key.as_str(), ":description": project.description, ":tags": row::json(&project.tags),
            ":created_at": millis(project.created_at), ":created_by": project.created_by,
            ":updated_at": millis(project.updated_at), ":revision": project.revision,
        })?;
    Ok(())
}

/// Adds a project that no list shows and nobody finds: it keeps what one deployment runs.
pub fn insert_hidden(connection: &Connection, project: &Project) -> Result<()> {
    insert(connection, project)?;
    connection
        .prepare_cached("UPDATE project SET hidden = 1 WHERE key = ?1")?
        .execute([project.key.as_str()])?;
    Ok(())
}

/// Saves description and tags.
pub fn update(connection: &Connection, project: &Project) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE project SET description = :description, tags = :tags, updated_at = :updated_at, revision = :revision
              WHERE key = :key",
        )?
        .execute(named_params! {
            ":key": project.key.as_str(), ":description": project.description, ":tags": row::json(&project.tags),
            ":updated_at": millis(project.updated_at), ":revision": project.revision,
        })?;
    Ok(())
}

/// Removes a project and its bundles' rows; the caller made sure that no deployment uses it.
pub fn delete(connection: &Connection, key: &ProjectKey) -> Result<()> {
    connection.prepare_cached("DELETE FROM bundle WHERE project = ?1")?.execute([key.as_str()])?;
    connection.prepare_cached("DELETE FROM project WHERE key = ?1")?.execute([key.as_str()])?;
    Ok(())
}

/// The grants on a project, by group.
pub fn grants(connection: &Connection, key: &ProjectKey) -> Result<Vec<(GroupName, ProjectRight)>> {
    let mut statement =
        connection.prepare_cached("SELECT grp, held FROM project_grant WHERE project = ?1 ORDER BY grp")?;
    let rows = statement.query_map([key.as_str()], |row| {
        Ok((row.parsed("grp")?, ProjectRight::from_rank(row.get("held")?).unwrap_or(ProjectRight::View)))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Gives `group` a right, or takes it away with `None`.
pub fn grant(
    connection: &Connection,
    key: &ProjectKey,
    group: &GroupName,
    right: Option<ProjectRight>,
) -> Result<()> {
    match right {
        Some(right) => connection
            .prepare_cached(
                "INSERT INTO project_grant (project, grp, held) VALUES (?1, ?2, ?3)
                 ON CONFLICT (project, grp) DO UPDATE SET held = ?3",
            )?
            .execute((key.as_str(), group.as_str(), right.rank()))?,
        None => connection
            .prepare_cached("DELETE FROM project_grant WHERE project = ?1 AND grp = ?2")?
            .execute((key.as_str(), group.as_str()))?,
    };
    Ok(())
}
