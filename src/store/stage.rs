//! Stages.

use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::domain::Result;
use crate::domain::name::StageId;
use crate::domain::stage::Stage;
use crate::store::row::Columns as _;

/// All stages in their order.
pub fn list(connection: &Connection) -> Result<Vec<Stage>> {
    let mut statement = connection.prepare_cached("SELECT id, description FROM stage ORDER BY position")?;
    let rows = statement
        .query_map([], |row| Ok(Stage { id: row.parsed("id")?, description: row.get("description")? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The stage of that id, whatever its case.
pub fn find(connection: &Connection, id: &StageId) -> Result<Option<Stage>> {
    let mut statement = connection.prepare_cached("SELECT id, description FROM stage WHERE id = ?1")?;
    let stage = statement.query_row([id.as_str()], |row| {
        Ok(Stage { id: row.parsed("id")?, description: row.get("description")? })
    });
    Ok(stage.optional()?)
}

/// Adds a stage, or changes its description and place.
pub fn put(connection: &Connection, stage: &Stage, position: usize) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO stage (id, description, position) VALUES (:id, :description, :position)
             ON CONFLICT (id) DO UPDATE SET description = :description, position = :position",
        )?
        .execute(named_params! {
            ":id": stage.id.as_str(), ":description": stage.description,
            ":position": i64::try_from(position).unwrap_or(i64::MAX),
        })?;
    Ok(())
}

/// Removes a stage; one that an infrastructure uses is refused by the database.
pub fn remove(connection: &Connection, id: &StageId) -> Result<()> {
    connection.prepare_cached("DELETE FROM stage WHERE id = ?1")?.execute([id.as_str()])?;
    Ok(())
}

/// The infrastructures in a stage.
pub fn used_by(connection: &Connection, id: &StageId) -> Result<Vec<String>> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM infrastructure WHERE stage = ?1 ORDER BY id")?;
    let rows = statement.query_map([id.as_str()], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
