//! Sessions, and what a login keeps while the browser is at the provider.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use uuid::Uuid;

use crate::domain::Result;
use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;
use crate::domain::session::Session;
use crate::store::row::{Columns as _, millis};

fn read(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: row.digest("id")?,
        user: row.parsed("user")?,
        created_at: row.time("created_at")?,
        last_seen_at: row.time("last_seen_at")?,
        expires_at: row.time("expires_at")?,
        provider_sid: row.get("provider_sid")?,
        user_agent: row.get("user_agent")?,
        address: row.get("address")?,
    })
}

/// By the hash of the cookie's value.
pub fn find(connection: &Connection, id: &Digest) -> Result<Option<Session>> {
    let mut statement = connection.prepare_cached("SELECT * FROM session WHERE id = ?1")?;
    Ok(statement.query_row([id.as_str()], read).optional()?)
}

/// A user's sessions, newest first.
pub fn list(connection: &Connection, user: Uuid) -> Result<Vec<Session>> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM session WHERE user = ?1 ORDER BY created_at DESC")?;
    let rows = statement.query_map([user.to_string()], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds a session; `id_token` is sealed, for the provider's logout.
pub fn insert(connection: &Connection, session: &Session, id_token: Option<&[u8]>) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO session (id, user, created_at, last_seen_at, expires_at, provider_sid, id_token, user_agent, address)
             VALUES (:id, :user, :created_at, :last_seen_at, :expires_at, :provider_sid, :id_token, :user_agent, :address)",
        )?
        .execute(named_params! {
            ":id": session.id.as_str(), ":user": session.user.to_string(), ":created_at": millis(session.created_at),
            ":last_seen_at": millis(session.last_seen_at), ":expires_at": millis(session.expires_at),
            ":provider_sid": session.provider_sid, ":id_token": id_token, ":user_agent": session.user_agent,
            ":address": session.address,
        })?;
    Ok(())
}

/// The sealed ID token of a session.
pub fn id_token(connection: &Connection, id: &Digest) -> Result<Option<Vec<u8>>> {
    let mut statement = connection.prepare_cached("SELECT id_token FROM session WHERE id = ?1")?;
    Ok(statement.query_row([id.as_str()], |row| row.get(0)).optional()?.flatten())
}

/// Notes that a session was used.
pub fn touch(connection: &Connection, id: &Digest, now: Timestamp) -> Result<()> {
    connection
        .prepare_cached("UPDATE session SET last_seen_at = ?2 WHERE id = ?1")?
        .execute((id.as_str(), millis(now)))?;
    Ok(())
}

/// Ends one session.
pub fn delete(connection: &Connection, id: &Digest) -> Result<bool> {
    Ok(connection.prepare_cached("DELETE FROM session WHERE id = ?1")?.execute([id.as_str()])? > 0)
}

/// Ends all sessions of a user, or with `sid` the one that the provider names; says how many.
pub fn delete_of(connection: &Connection, user: Option<Uuid>, sid: Option<&str>) -> Result<usize> {
    let ended = connection
        .prepare_cached(
            "DELETE FROM session WHERE (?1 IS NOT NULL OR ?2 IS NOT NULL)
                AND (?1 IS NULL OR user = ?1) AND (?2 IS NULL OR provider_sid = ?2)",
        )?
        .execute((user.map(|id| id.to_string()), sid))?;
    Ok(ended)
}

/// Removes sessions past their end and everything short-lived that is over.
pub fn sweep(connection: &Connection, now: Timestamp, idle_since: Timestamp) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM session WHERE expires_at <= ?1 OR last_seen_at <= ?2")?
        .execute((millis(now), millis(idle_since)))?;
    for table in ["login_flow", "one_time_token", "replay_guard"] {
        connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE expires_at <= ?1"))?
            .execute([millis(now)])?;
    }
    Ok(())
}

/// What a login keeps on our side while the browser is at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginFlow {
    /// Nonce and PKCE verifier, sealed.
    pub sealed: Vec<u8>,
    /// A path of ours.
    pub return_to: String,
    pub expires_at: Timestamp,
}

/// Keeps a login under its `state`.
pub fn put_flow(connection: &Connection, state: &Digest, flow: &LoginFlow) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO login_flow (state, sealed, return_to, expires_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((state.as_str(), &flow.sealed, &flow.return_to, millis(flow.expires_at)))?;
    Ok(())
}

/// Takes a login out: it works once.
pub fn take_flow(connection: &Connection, state: &Digest) -> Result<Option<LoginFlow>> {
    let mut statement = connection
        .prepare_cached("DELETE FROM login_flow WHERE state = ?1 RETURNING sealed, return_to, expires_at")?;
    let flow = statement.query_row([state.as_str()], |row| {
        Ok(LoginFlow {
            sealed: row.get("sealed")?,
            return_to: row.get("return_to")?,
            expires_at: row.time("expires_at")?,
        })
    });
    Ok(flow.optional()?)
}

/// Keeps a one-time token by its hash, e.g. of the setup link.
pub fn put_token(
    connection: &Connection,
    hash: &Digest,
    purpose: &str,
    subject: &str,
    end: Timestamp,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO one_time_token (hash, purpose, subject, expires_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((hash.as_str(), purpose, subject, millis(end)))?;
    Ok(())
}

/// Takes a live one-time token out; answers its subject.
pub fn take_token(
    connection: &Connection,
    hash: &Digest,
    purpose: &str,
    now: Timestamp,
) -> Result<Option<String>> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM one_time_token WHERE hash = ?1 AND purpose = ?2 AND expires_at > ?3 RETURNING subject",
    )?;
    Ok(statement.query_row((hash.as_str(), purpose, millis(now)), |row| row.get(0)).optional()?)
}

/// Whether a live one-time token of that purpose exists under this hash.
pub fn token_is_live(connection: &Connection, hash: &Digest, purpose: &str, now: Timestamp) -> Result<bool> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM one_time_token WHERE hash = ?1 AND purpose = ?2 AND expires_at > ?3)",
    )?;
    Ok(statement.query_row((hash.as_str(), purpose, millis(now)), |row| row.get(0))?)
}

/// Remembers an id that must not come twice (a `jti`); `false` when it came before.
pub fn first_seen(connection: &Connection, id: &str, end: Timestamp) -> Result<bool> {
    let added = connection
        .prepare_cached("INSERT OR IGNORE INTO replay_guard (id, expires_at) VALUES (?1, ?2)")?
        .execute((id, millis(end)))?;
    Ok(added == 1)
}
