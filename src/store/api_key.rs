//! API keys, by the hash of their secret.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use uuid::Uuid;

use crate::domain::Result;
use crate::domain::api_key::ApiKey;
use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;
use crate::store::row::{self, Columns as _, millis};

fn read(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    let id_of = |column: &str| {
        let id: Option<String> = row.get(column)?;
        Ok::<_, rusqlite::Error>(id.and_then(|id| Uuid::try_parse(&id).ok()))
    };
    Ok(ApiKey {
        id: row.parsed("id")?,
        name: row.parsed("name")?,
        hash: row.digest("hash")?,
        hint: row.get("hint")?,
        groups: row.json("groups")?,
        owner: id_of("owner")?,
        parent: id_of("parent")?,
        created_at: row.time("created_at")?,
        expires_at: row.time_opt("expires_at")?,
        last_used_at: row.time_opt("last_used_at")?,
        revoked_at: row.time_opt("revoked_at")?,
    })
}

/// By the hash of its secret.
pub fn find_hash(connection: &Connection, hash: &Digest) -> Result<Option<ApiKey>> {
    let mut statement = connection.prepare_cached("SELECT * FROM api_key WHERE hash = ?1")?;
    Ok(statement.query_row([hash.as_str()], read).optional()?)
}

/// By id.
pub fn find(connection: &Connection, id: Uuid) -> Result<Option<ApiKey>> {
    let mut statement = connection.prepare_cached("SELECT * FROM api_key WHERE id = ?1")?;
    Ok(statement.query_row([id.to_string()], read).optional()?)
}

/// Keys of one owner, or with `None` all, newest first.
pub fn list(connection: &Connection, owner: Option<Uuid>) -> Result<Vec<ApiKey>> {
    let mut statement = connection.prepare_cached(
        "SELECT * FROM api_key WHERE ?1 IS NULL OR owner = ?1 ORDER BY created_at DESC, id",
    )?;
    let rows = statement.query_map([owner.map(|id| id.to_string())], read)?;
    Ok(row::readable("api_key", rows, u32::MAX)?)
}

/// Adds a key.
pub fn insert(connection: &Connection, key: &ApiKey) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO api_key (id, name, hash, hint, groups, owner, parent, created_at, expires_at)
             VALUES (:id, :name, :hash, :hint, :groups, :owner, :parent, :created_at, :expires_at)",
        )?
        .execute(named_params! {
            ":id": key.id.to_string(), ":name": key.name.as_str(), ":hash": key.hash.as_str(), ":hint": key.hint,
            ":groups": row::groups(&key.groups), ":owner": key.owner.map(|id| id.to_string()),
            ":parent": key.parent.map(|id| id.to_string()),
            ":created_at": millis(key.created_at), ":expires_at": key.expires_at.map(millis),
        })?;
    Ok(())
}

/// Notes that a key was used.
pub fn touch(connection: &Connection, id: Uuid, now: Timestamp) -> Result<()> {
    connection
        .prepare_cached("UPDATE api_key SET last_used_at = ?2 WHERE id = ?1")?
        .execute((id.to_string(), millis(now)))?;
    Ok(())
}

/// Revokes a key with every key that came of it; `false` when all were revoked before.
pub fn revoke(connection: &Connection, id: Uuid, now: Timestamp) -> Result<bool> {
    let changed = connection
        .prepare_cached(
            "WITH RECURSIVE line (id) AS
                 (VALUES (?1) UNION SELECT child.id FROM api_key child JOIN line ON child.parent = line.id)
             UPDATE api_key SET revoked_at = ?2 WHERE id IN (SELECT id FROM line) AND revoked_at IS NULL",
        )?
        .execute((id.to_string(), millis(now)))?;
    Ok(changed > 0)
}
