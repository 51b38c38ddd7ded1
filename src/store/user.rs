//! Users: keyed on (issuer, subject).

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use uuid::Uuid;

use crate::domain::Result;
use crate::domain::name::GroupName;
use crate::domain::user::{Preferences, User};
use crate::store::row::{self, Columns as _, millis};

fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.parsed("id")?,
        issuer: row.get("issuer")?,
        subject: row.get("subject")?,
        name: row.get("name")?,
        email: row.get("email")?,
        groups: row.json("groups")?,
        disabled: row.get("disabled")?,
        created_at: row.time("created_at")?,
        last_login_at: row.time_opt("last_login_at")?,
        preferences: row.json("preferences")?,
    })
}

/// By id.
pub fn find(connection: &Connection, id: Uuid) -> Result<Option<User>> {
    let mut statement = connection.prepare_cached("SELECT * FROM user WHERE id = ?1")?;
    Ok(statement.query_row([id.to_string()], read).optional()?)
}

/// By issuer and subject.
pub fn find_subject(connection: &Connection, issuer: &str, subject: &str) -> Result<Option<User>> {
    let mut statement = connection.prepare_cached("SELECT * FROM user WHERE issuer = ?1 AND subject = ?2")?;
    Ok(statement.query_row([issuer, subject], read).optional()?)
}

/// The password hash of a local user.
pub fn password_hash(connection: &Connection, id: Uuid) -> Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT password_hash FROM user WHERE id = ?1")?;
    Ok(statement.query_row([id.to_string()], |row| row.get(0)).optional()?.flatten())
}

/// Sets or removes a local user's password hash.
pub fn set_password_hash(connection: &Connection, id: Uuid, hash: Option<&str>) -> Result<()> {
    connection
        .prepare_cached("UPDATE user SET password_hash = ?2 WHERE id = ?1")?
        .execute((id.to_string(), hash))?;
    Ok(())
}

/// All users by name, for administrators.
pub fn list(connection: &Connection, after: Option<&str>, limit: u32) -> Result<Vec<User>> {
    let mut statement = connection.prepare_cached("SELECT * FROM user WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let rows = statement.query_map((after.unwrap_or(""), limit.saturating_add(row::SPARE)), read)?;
    Ok(row::readable("user", rows, limit)?)
}

/// Whether any local user has a password: then a setup link is no longer printed.
pub fn any_local(connection: &Connection) -> Result<bool> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM user WHERE password_hash IS NOT NULL AND NOT disabled)",
    )?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Adds a user, or saves name, e-mail, groups, state and last login; the password and preferences stay.
pub fn put(connection: &Connection, user: &User) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO user (id, issuer, subject, name, email, groups, disabled, created_at, last_login_at)
             VALUES (:id, :issuer, :subject, :name, :email, :groups, :disabled, :created_at, :last_login_at)
             ON CONFLICT (issuer, subject) DO UPDATE SET name = :name, email = :email, groups = :groups,
                 disabled = :disabled, last_login_at = :last_login_at",
        )?
        .execute(named_params! {
            ":id": user.id.to_string(), ":issuer": user.issuer, ":subject": user.subject, ":name": user.name,
            ":email": user.email, ":groups": row::groups(&user.groups), ":disabled": user.disabled,
            ":created_at": millis(user.created_at), ":last_login_at": user.last_login_at.map(millis),
        })?;
    Ok(())
}

/// Saves how a user likes the console.
pub fn set_preferences(connection: &Connection, id: Uuid, preferences: &Preferences) -> Result<()> {
    connection
        .prepare_cached("UPDATE user SET preferences = ?2 WHERE id = ?1")?
        .execute((id.to_string(), row::json(preferences)))?;
    Ok(())
}

/// Every group that anything names: users, grants and keys.
pub fn known_groups(connection: &Connection) -> Result<Vec<GroupName>> {
    let mut statement = connection.prepare_cached(
        "SELECT value AS name FROM user, json_each(iif(json_valid(user.groups), user.groups, '[]'))
         UNION SELECT grp FROM project_grant UNION SELECT grp FROM infrastructure_grant
         UNION SELECT value FROM api_key, json_each(iif(json_valid(api_key.groups), api_key.groups, '[]')) ORDER BY 1",
    )?;
    let rows = statement.query_map([], |row| row.parsed("name"))?;
    Ok(row::readable("group", rows, u32::MAX)?)
}
