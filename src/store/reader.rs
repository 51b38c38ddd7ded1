//! Connections for reading, and what a read may cost the thread that asks for it.
//!
//! Most reads of a page or an answer take some ten microseconds: less than handing them to another thread does. They
//! run where they were asked for, under a budget of SQLite's own steps; one that outgrows it is begun again on a thread
//! that may wait, so that no worker of the server stands still for it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::domain::{Error, Result};

/// Connections kept.
const READERS: usize = 8;

/// Steps of SQLite's virtual machine between two looks at the budget.
const TICK: i32 = 1_000;

/// Ticks of a quick read: about a millisecond.
const QUICK: u32 = 50;

/// Ticks of a read that may take its time.
const ENDLESS: u32 = u32::MAX;

/// The connections, each taken by one read at a time.
pub(super) struct Readers {
    free: Mutex<Vec<Reader>>,
    turns: Semaphore,
    dir: PathBuf,
}

/// A connection, and the ticks that its read still has.
struct Reader {
    connection: Connection,
    left: Arc<AtomicU32>,
}

impl Readers {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let free = (0..READERS).map(|_| Reader::open(dir)).collect::<Result<_>>()?;
        Ok(Self { free: Mutex::new(free), turns: Semaphore::new(READERS), dir: dir.to_owned() })
    }

    /// Reads here and now, or, what proves to be more, on a thread that may wait.
    pub(super) async fn read<T, F>(self: &Arc<Self>, work: F) -> Result<T>
    where
        F: FnOnce(&Connection) -> Result<T> + Clone + Send + 'static,
        T: Send + 'static,
    {
        let turn = self.turn().await?;
        let reader = self.take()?;
        let quick = reader.try_quickly(work.clone());
        self.give_back(reader);
        drop(turn);
        match quick {
            Some(result) => result,
            None => self.read_much(work).await,
        }
    }

    /// Reads on a thread that may wait.
    pub(super) async fn read_much<T, F>(self: &Arc<Self>, work: F) -> Result<T>
    where
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let _turn = self.turn().await?;
        let readers = Arc::clone(self);
        let reader = self.take()?;
        let read = move || {
            let result = reader.in_snapshot(ENDLESS, work);
            readers.give_back(reader);
            result
        };
        tokio::task::spawn_blocking(read).await.map_err(Error::internal)?
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>> {
        self.turns.acquire().await.map_err(Error::internal)
    }

    fn take(&self) -> Result<Reader> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // A reader whose work panicked is gone: another takes its place.
        free.map_or_else(|| Reader::open(&self.dir), Ok)
    }

    fn give_back(&self, reader: Reader) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
    }
}

impl Reader {
    fn open(dir: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(dir.join("slipway.db"), flags)?;
        super::prepare(&connection)?;
        let observed = dir.join("observed.db");
        connection.execute("ATTACH DATABASE ?1 AS observed", [observed.to_string_lossy()])?;
        connection.pragma_update(None, "query_only", true)?;
        // A plan is made once for a statement, whatever is bound to it, not anew for each value.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        let left = Arc::new(AtomicU32::new(ENDLESS));
        let ticks = Arc::clone(&left);
        connection.progress_handler(TICK, Some(move || is_spent(&ticks)))?;
        Ok(Self { connection, left })
    }

    /// Reads within the budget; `None` when that was too small.
    fn try_quickly<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Option<Result<T>> {
        let mut spent = false;
        let result = self.in_snapshot(QUICK, |connection| {
            let result = work(connection);
            spent = self.left.load(Ordering::Relaxed) == 0;
            result
        });
        (!spent).then_some(result)
    }

    /// Reads from one consistent moment.
    fn in_snapshot<T>(&self, ticks: u32, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.connection.prepare_cached("BEGIN")?.execute([])?;
        self.left.store(ticks, Ordering::Relaxed);
        let result = work(&self.connection);
        // Whatever the work has used up, the snapshot ends.
        self.left.store(ENDLESS, Ordering::Relaxed);
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        result
    }
}

/// Takes a tick; whether none was left.
fn is_spent(ticks: &AtomicU32) -> bool {
    let left = ticks.load(Ordering::Relaxed);
    if left == 0 {
        return true;
    }
    if left != ENDLESS {
        ticks.store(left - 1, Ordering::Relaxed);
    }
    left == 1
}
