//! The journal: append-only, chained with a keyed hash.

use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};
use serde_json::Value;
use sha2::Sha256;

use crate::domain::Result;
use crate::domain::access::Caller;
use crate::domain::audit::AuditEvent;
use crate::domain::clock::Timestamp;
use crate::store::row::{self, Columns as _, millis};

/// The key of the chain.
#[derive(Clone)]
pub struct JournalKey(pub [u8; 32]);

/// What a use case writes down.
#[derive(Debug)]
pub struct Entry<'a> {
    pub caller: &'a Caller,
    /// e.g. `deployment.created`
    pub action: &'a str,
    pub noun: &'a str,
    pub object: &'a str,
    pub reason: Option<&'a str>,
    /// Without secrets.
    pub detail: Value,
}

/// Appends an entry in the caller's transaction.
pub fn append(connection: &Connection, key: &JournalKey, entry: &Entry<'_>, now: Timestamp) -> Result<()> {
    let (last, previous) = head(connection)?;
    let event = AuditEvent {
        sequence: last + 1,
        at: now,
        actor: entry.caller.subject.name.clone(),
        origin: entry.caller.origin,
        action: entry.action.to_owned(),
        noun: entry.noun.to_owned(),
        object: entry.object.to_owned(),
        reason: entry.reason.map(ToOwned::to_owned),
        detail: entry.detail.clone(),
        request_id: entry.caller.request_id.clone(),
        address: entry.caller.address.map(|address| address.to_string()),
    };
    let hash = chain(key, &previous, &event);
    connection
        .prepare_cached(
            "INSERT INTO journal (sequence, at, actor, origin, action, noun, object, reason, detail, request_id, address, hash)
             VALUES (:sequence, :at, :actor, :origin, :action, :noun, :object, :reason, :detail, :request_id, :address, :hash)",
        )?
        .execute(named_params! {
            ":sequence": event.sequence, ":at": millis(event.at), ":actor": event.actor,
            ":origin": row::json(&event.origin), ":action": event.action, ":noun": event.noun,
            ":object": event.object, ":reason": event.reason, ":detail": event.detail.to_string(),
            ":request_id": event.request_id, ":address": event.address, ":hash": hash,
        })?;
    Ok(())
}

/// The newest entry's number and hash; 0 and nothing when the journal is empty.
pub fn head(connection: &Connection) -> Result<(i64, Vec<u8>)> {
    let mut statement =
        connection.prepare_cached("SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1")?;
    Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?.unwrap_or_default())
}

fn chain(key: &JournalKey, previous: &[u8], event: &AuditEvent) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("any length of key will do");
    mac.update(previous);
    mac.update(row::json(event).as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn read(row: &Row<'_>) -> rusqlite::Result<AuditEvent> {
    Ok(AuditEvent {
        sequence: row.get("sequence")?,
        at: row.time("at")?,
        actor: row.get("actor")?,
        origin: row.json("origin")?,
        action: row.get("action")?,
        noun: row.get("noun")?,
        object: row.get("object")?,
        reason: row.get("reason")?,
        detail: row.json("detail")?,
        request_id: row.get("request_id")?,
        address: row.get("address")?,
    })
}

/// Entries, newest first, below `before`; of one object when `noun` and `object` are given.
pub fn list(
    connection: &Connection,
    of: Option<(&str, &str)>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<AuditEvent>> {
    let mut statement = connection.prepare_cached(
        "SELECT * FROM journal
          WHERE sequence < :before AND (:noun IS NULL OR (noun = :noun AND object = :object))
          ORDER BY sequence DESC LIMIT :limit",
    )?;
    let parameters = named_params! {
        ":before": before.unwrap_or(i64::MAX), ":noun": of.map(|(noun, _)| noun),
        ":object": of.map(|(_, object)| object), ":limit": limit,
    };
    let rows = statement.query_map(parameters, read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What checking the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every entry carries the hash it should.
    Whole { entries: i64 },
    /// The first entry that does not.
    Broken { sequence: i64 },
}

/// Walks the whole chain.
pub fn verify(connection: &Connection, key: &JournalKey) -> Result<Verdict> {
    let mut statement = connection.prepare_cached("SELECT * FROM journal ORDER BY sequence")?;
    let mut rows = statement.query([])?;
    let (mut previous, mut expected) = (Vec::new(), 1);
    while let Some(row) = rows.next()? {
        let (event, hash): (AuditEvent, Vec<u8>) = (read(row)?, row.get("hash")?);
        if event.sequence != expected || chain(key, &previous, &event) != hash {
            return Ok(Verdict::Broken { sequence: expected });
        }
        previous = hash;
        expected += 1;
    }
    Ok(Verdict::Whole { entries: expected - 1 })
}
