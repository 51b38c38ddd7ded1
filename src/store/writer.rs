//! The one writer: a thread that runs jobs in order and commits what has gathered as one transaction.
//!
//! Each job has a savepoint of its own, so a job that fails takes back only its own work. A caller hears of success
//! only after the commit that holds its job is durable; topics go to the bus after that.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::bus::{Bus, Topic};
use crate::domain::{Error, Result};

/// At most this many jobs share a commit.
const BATCH: usize = 128;

/// What a job writes through.
pub struct Tx<'a> {
    connection: &'a Connection,
    topics: RefCell<Vec<Topic>>,
}

impl Tx<'_> {
    /// Publishes `topic` once the job is durable.
    pub fn publish(&self, topic: Topic) {
        self.topics.borrow_mut().push(topic);
    }

    /// Runs `work` so that nothing of it stays where it fails; what else the job did does.
    ///
    /// # Errors
    /// Those of `work`; what SQLite says.
    pub fn nested<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.connection.execute_batch("SAVEPOINT nested")?;
        let result = work();
        let end = if result.is_ok() { "RELEASE nested" } else { "ROLLBACK TO nested; RELEASE nested" };
        self.connection.execute_batch(end)?;
        result
    }
}

impl std::ops::Deref for Tx<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.connection
    }
}

trait Job: Send {
    /// Runs inside a savepoint; says whether its work is to be kept, and the topics to publish then.
    fn run(&mut self, connection: &Connection) -> (bool, Vec<Topic>);
    /// Tells the caller, after the commit.
    fn finish(self: Box<Self>, committed: Option<&str>);
}

struct Closure<F, T> {
    work: Option<F>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<F, T> Job for Closure<F, T>
where
    F: FnOnce(&Tx<'_>) -> Result<T> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> (bool, Vec<Topic>) {
        let Some(work) = self.work.take() else {
            return (false, Vec::new());
        };
        let tx = Tx { connection, topics: RefCell::default() };
        let result = catch_unwind(AssertUnwindSafe(|| work(&tx)))
            .unwrap_or_else(|_| Err(Error::internal("a write panicked; its work was taken back")));
        let keep = result.is_ok();
        self.result = Some(result);
        (keep, tx.topics.into_inner())
    }

    fn finish(self: Box<Self>, failure: Option<&str>) {
        let result = match (self.result, failure) {
            (Some(Err(error)), _) => Err(error),
            (_, Some(text)) => Err(refused_write(text)),
            (Some(result), None) => result,
            (None, None) => Err(Error::internal("a write never ran")),
        };
        let _ = self.reply.send(result);
    }
}

fn refused_write(text: &str) -> Error {
    if text.contains("full") {
        return Error::new(
            crate::domain::Kind::Unavailable,
            "disk_full",
            "the disk that holds Slipway's state is full",
        )
        .hint("Nothing was changed. Free space on it; writing goes on by itself.");
    }
    Error::internal(text.to_owned())
}

/// Queues jobs for the writer thread.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
}

impl Writer {
    /// Starts the thread; it ends when the last `Writer` is dropped and the queue is empty.
    pub fn start(
        connection: Connection,
        bus: Bus,
        name: &str,
    ) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let (queue, jobs) = mpsc::channel();
        let handle =
            thread::Builder::new().name(name.to_owned()).spawn(move || work(&connection, &jobs, &bus))?;
        Ok((Self { queue }, handle))
    }

    /// Runs `work` in the writer's transaction and answers when it is durable. The job is queued by the call itself, in
    /// order; whoever need not know drops the answer, and the job runs all the same.
    ///
    /// # Errors
    /// What `work` answers; `disk_full`; internal errors of SQLite.
    pub fn write<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + Send + use<T, F>
    where
        F: FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Closure { work: Some(work), result: None, reply };
        let queued = self.queue.send(Box::new(job));
        async move {
            queued.map_err(|_| Error::internal("the writer has stopped"))?;
            answer.await.map_err(|_| Error::internal("the writer has stopped"))?
        }
    }
}

fn work(connection: &Connection, jobs: &mpsc::Receiver<Box<dyn Job>>, bus: &Bus) {
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(next) = jobs.try_recv()
        {
            batch.push(next);
        }
        let (topics, failure) = match commit(connection, &mut batch) {
            Ok(topics) => (topics, None),
            Err(error) => {
                tracing::error!(%error, "a transaction could not be committed");
                let _ = connection.execute_batch("ROLLBACK");
                (Vec::new(), Some(error.to_string()))
            }
        };
        for topic in topics {
            bus.publish(topic);
        }
        for job in batch {
            job.finish(failure.as_deref());
        }
    }
    let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
}

fn commit(connection: &Connection, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<Vec<Topic>> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let mut kept = Vec::new();
    for job in batch {
        connection.execute_batch("SAVEPOINT job")?;
        let (keep, topics) = job.run(connection);
        if keep {
            kept.extend(topics);
        } else {
            connection.execute_batch("ROLLBACK TO job")?;
        }
        connection.execute_batch("RELEASE job")?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(kept)
}
