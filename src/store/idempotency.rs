//! Requests that create may carry an `Idempotency-Key`: the first one's result is remembered in its own transaction.

use rusqlite::{Connection, OptionalExtension as _};

use crate::domain::clock::Timestamp;
use crate::domain::{Error, Result};
use crate::store::row::millis;

/// The object that an earlier request with this key made.
///
/// # Errors
/// `idempotency_key_reused` when the earlier request was another one.
pub fn replay(
    connection: &Connection,
    subject: &str,
    key: &str,
    fingerprint: &str,
) -> Result<Option<String>> {
    let mut statement = connection
        .prepare_cached("SELECT fingerprint, object FROM idempotency WHERE subject = ?1 AND key = ?2")?;
    let found: Option<(String, String)> =
        statement.query_row([subject, key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match found {
        None => Ok(None),
        Some((first, object)) if first == fingerprint => Ok(Some(object)),
        Some(_) => Err(Error::conflict(
            "idempotency_key_reused",
            "this Idempotency-Key came with another request before",
        )
        .hint("Use a fresh key for a fresh request.")),
    }
}

/// Remembers what a request made.
pub fn remember(
    connection: &Connection,
    subject: &str,
    key: &str,
    fingerprint: &str,
    object: &str,
    now: Timestamp,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO idempotency (subject, key, fingerprint, object, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((subject, key, fingerprint, object, millis(now)))?;
    Ok(())
}

/// Forgets what is older than `before`.
pub fn sweep(connection: &Connection, before: Timestamp) -> Result<()> {
    connection.prepare_cached("DELETE FROM idempotency WHERE at < ?1")?.execute([millis(before)])?;
    Ok(())
}
