//! SQLite: open, migrate, one file a noun; the one place that blocks.
//!
//! One writer ([`writer`]) and a pool of readers, WAL, `synchronous=FULL` for what is acknowledged. Observations live
//! in `observed.db` under `synchronous=NORMAL`: they are rebuilt when lost. One instance per database, held by a lock.
//! Functions of the noun files take a connection or a transaction and hold the SQL; nothing outside this module does.

pub mod api_key;
pub mod approval;
pub mod audit;
pub mod bundle;
pub mod deployment;
pub mod execution;
pub mod idempotency;
pub mod infrastructure;
pub mod meta;
pub mod observation;
pub mod overview;
pub mod project;
mod reader;
pub mod release;
pub mod resource;
pub mod row;
pub mod run;
pub mod schema;
pub mod secret;
pub mod session;
pub mod stage;
pub mod test;
pub mod update;
pub mod user;
pub mod writer;

use std::fs::{self, File, Permissions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use crate::bus::Bus;
use crate::domain::{Error, Kind, Result};
use reader::Readers;
pub use writer::{Tx, Writer};

/// The state of one instance.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    main: Writer,
    observed: Writer,
    readers: Arc<Readers>,
    dir: PathBuf,
    bus: Bus,
    _lock: Option<File>,
}

/// How a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The server's: holds the instance lock and migrates.
    Lead,
    /// The command line's beside a running server: no lock, no migration.
    Beside,
}

impl Store {
    /// Opens the databases in `dir`, made when they are missing.
    ///
    /// # Errors
    /// `second_instance` when another process leads; `newer_schema`; what SQLite says.
    pub fn open(dir: &Path, bus: Bus, mode: Mode) -> Result<Self> {
        let lock = match mode {
            Mode::Lead => Some(lead(dir)?),
            Mode::Beside => None,
        };
        let main = open_writable(&dir.join("slipway.db"), "FULL")?;
        let observed = open_writable(&dir.join("observed.db"), "NORMAL")?;
        match mode {
            Mode::Lead => {
                migrate(&main, schema::MAIN, Some(&dir.join("slipway.db")))?;
                migrate(&observed, schema::OBSERVED, None)?;
            }
            Mode::Beside => {
                demand_current(&main)?;
            }
        }
        let readers = Arc::new(Readers::open(dir)?);
        let (main, _) = Writer::start(main, bus.clone(), "slipway-writer").map_err(Error::internal)?;
        let (observed, _) =
            Writer::start(observed, bus.clone(), "slipway-observer").map_err(Error::internal)?;
        let inner = Inner { main, observed, readers, dir: dir.to_owned(), bus, _lock: lock };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The bus that commits publish to.
    pub fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    /// Writes what will be acknowledged; see [`Writer::write`].
    pub fn write<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + Send + use<T, F>
    where
        F: FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.inner.main.write(work)
    }

    /// Writes observations; queued by the call itself, as [`Store::write`].
    pub fn observe<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + Send + use<T, F>
    where
        F: FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.inner.observed.write(work)
    }

    /// Reads from one consistent moment. The observations are attached as `observed`.
    ///
    /// A short read runs on the thread that asks; one that outgrows that runs `work` again on a thread that may wait,
    /// and what the first turn answered is forgotten.
    ///
    /// # Errors
    /// What `work` answers; internal errors of SQLite.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&Connection) -> Result<T> + Clone + Send + 'static,
        T: Send + 'static,
    {
        self.inner.readers.read(work).await
    }

    /// Reads what may be much, or what must not run twice, on a thread that may wait.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn read_much<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.inner.readers.read_much(work).await
    }
}

fn lead(dir: &Path) -> Result<File> {
    let path = dir.join("slipway.lock");
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::internal)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::conflict(
            "second_instance",
            format!("another Slipway already serves the data directory {}", dir.display()),
        )
        .hint("Stop it first, or give this one a directory of its own with --data-dir.")),
        Err(TryLockError::Error(error)) => Err(Error::internal(error)),
    }
}

fn open_writable(path: &Path, synchronous: &str) -> Result<Connection> {
    let connection = Connection::open(path)?;
    // Before the first write: the journal files beside it take the same mode.
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(Error::internal)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    prepare(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "busy_timeout", 5_000)?;
    connection.pragma_update(None, "cache_size", -1_024)?;
    connection.set_prepared_statement_cache_capacity(96);
    Ok(())
}

fn check_version(connection: &Connection, migrations: &[&str]) -> Result<usize> {
    let applied: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let applied = applied as usize;
    if applied > migrations.len() {
        return Err(Error::new(
            Kind::Unsupported,
            "newer_schema",
            format!("the database has schema {applied}; this Slipway knows up to {}", migrations.len()),
        )
        .hint("Run the newer Slipway that made it, or restore a backup."));
    }
    Ok(applied)
}

/// Refuses a database that the server has yet to migrate: a command beside it never does.
fn demand_current(connection: &Connection) -> Result<()> {
    if check_version(connection, schema::MAIN)? == schema::MAIN.len() {
        return Ok(());
    }
    Err(Error::new(Kind::Unsupported, "older_schema", "the database is older than this Slipway")
        .hint("Start the server of this version once: it brings the database up to date."))
}

/// Applies what is missing, each migration in a transaction of its own, after a backup where something is at stake.
fn migrate(connection: &Connection, migrations: &[&str], backup_of: Option<&Path>) -> Result<()> {
    let applied = check_version(connection, migrations)?;
    if applied == migrations.len() {
        return Ok(());
    }
    if let Some(path) = backup_of.filter(|_| applied > 0) {
        back_up(connection, &path.with_extension(format!("schema-{applied}.db")))?;
    }
    for (at, migration) in migrations.iter().enumerate().skip(applied) {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {migration}; PRAGMA user_version = {}; COMMIT;",
            at + 1
        ))?;
    }
    Ok(())
}

/// Copies the database to `path`, whole or not at all. The schema that it has is in its name, so that an upgrade that was
/// cut off half-way leaves the copy of before alone.
fn back_up(connection: &Connection, path: &Path) -> Result<()> {
    let unfinished = path.with_extension("part");
    let made = File::options().create(true).truncate(true).write(true).mode(0o600).open(&unfinished);
    made.map_err(Error::internal)?;
    connection.backup("main", &unfinished, None::<fn(rusqlite::backup::Progress)>)?;
    fs::rename(&unfinished, path).map_err(Error::internal)
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let code = match &error {
            rusqlite::Error::SqliteFailure(failure, _) => Some(failure.code),
            _ => None,
        };
        match code {
            Some(rusqlite::ErrorCode::DiskFull) => {
                Self::new(Kind::Unavailable, "disk_full", "the disk that holds Slipway's state is full")
                    .hint("Nothing was changed. Free space on it; writing goes on by itself.")
            }
            Some(rusqlite::ErrorCode::ConstraintViolation) => {
                Self::new(Kind::Conflict, "conflict", "this conflicts with what is there already")
                    .because(error)
            }
            _ => Self::internal(error),
        }
    }
}
