//! A run's steps and log lines: gathered here, written in order a few dozen milliseconds later, or together with a
//! commit that the run waits for anyway. The run itself never waits for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::bus::Topic;
use crate::domain::Result;
use crate::domain::clock::{SharedClock, Timestamp};
use crate::domain::name::DeploymentId;
use crate::domain::text::clean_line;
use crate::domain::update::{Step, StepRecord, StepState};
use crate::engine::Progress;
use crate::reconcile::Child;
use crate::store::{self, Store, Tx};

/// How long a line waits for company.
const GATHER: Duration = Duration::from_millis(40);

/// The most lines that one run writes; what a build says beyond them is counted, not kept.
const MOST_LINES: usize = 5_000;

/// What a run has to say and has not written yet.
#[derive(Debug, Default)]
pub(super) struct Entries {
    steps: BTreeMap<Step, StepRecord>,
    lines: Vec<(Timestamp, Step, bool, String)>,
    current: Option<Step>,
}

impl Entries {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.lines.is_empty() && self.current.is_none()
    }

    /// Writes everything.
    pub fn write(&self, tx: &Tx<'_>, deployment: &DeploymentId, number: u32) -> Result<()> {
        for step in self.steps.values() {
            store::update::put_step(tx, deployment, number, step)?;
        }
        store::update::append_log(tx, deployment, number, &self.lines)?;
        if let Some(step) = self.current {
            store::run::set_step(tx, deployment, number, step)?;
        }
        tx.publish(Topic::Update(deployment.clone(), number));
        Ok(())
    }
}

struct Buffer {
    pending: Mutex<Pending>,
    wake: Notify,
}

#[derive(Default)]
struct Pending {
    entries: Entries,
    step: Option<StepRecord>,
    lines: usize,
}

/// One run's journal.
pub(super) struct Journal {
    buffer: Arc<Buffer>,
    clock: SharedClock,
    _writer: Child,
}

impl Journal {
    /// Starts writing for an update.
    pub fn new(store: &Store, clock: SharedClock, deployment: DeploymentId, number: u32) -> Self {
        let buffer = Arc::new(Buffer { pending: Mutex::default(), wake: Notify::new() });
        let writer = tokio::spawn(write(store.clone(), Arc::clone(&buffer), deployment, number));
        Self { buffer, clock, _writer: Child(writer) }
    }

    fn change(&self, change: impl FnOnce(&mut Pending, Timestamp)) {
        let now = self.clock.now();
        change(&mut self.buffer.pending.lock().unwrap_or_else(PoisonError::into_inner), now);
        self.buffer.wake.notify_one();
    }

    /// A step begins.
    pub fn begin(&self, step: Step) {
        self.change(|pending, now| {
            let record = StepRecord {
                step,
                state: StepState::Running,
                detail: String::new(),
                started_at: now,
                ended_at: None,
            };
            pending.entries.current = Some(step);
            pending.entries.steps.insert(step, record.clone());
            pending.step = Some(record);
        });
    }

    /// The step under way is done; one line says what it did.
    pub fn done(&self, detail: impl Into<String>) {
        self.finish(StepState::Done, detail.into());
    }

    /// The step under way failed.
    pub fn failed(&self, detail: impl Into<String>) {
        self.finish(StepState::Failed, detail.into());
    }

    fn finish(&self, state: StepState, detail: String) {
        self.change(|pending, now| {
            let Some(record) = pending.step.take() else { return };
            let record = StepRecord { state, detail: clean_line(&detail), ended_at: Some(now), ..record };
            pending.entries.steps.insert(record.step, record);
        });
    }

    /// The step under way.
    pub fn step(&self) -> Step {
        let pending = self.buffer.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.step.as_ref().map_or(Step::Plan, |record| record.step)
    }

    /// One line for people.
    pub fn say(&self, text: impl AsRef<str>) {
        self.add(false, text.as_ref());
    }

    /// One line about what went wrong.
    pub fn complain(&self, text: impl AsRef<str>) {
        self.add(true, text.as_ref());
    }

    fn add(&self, error: bool, text: &str) {
        let text = clean_line(text);
        self.change(|pending, now| {
            let step = pending.step.as_ref().map_or(Step::Plan, |record| record.step);
            pending.lines += 1;
            match pending.lines.cmp(&MOST_LINES) {
                std::cmp::Ordering::Less => pending.entries.lines.push((now, step, error, text)),
                std::cmp::Ordering::Equal => {
                    let more = "… the log is full; further lines are left out".to_owned();
                    pending.entries.lines.push((now, step, false, more));
                }
                // What went wrong is never left out.
                std::cmp::Ordering::Greater if error => pending.entries.lines.push((now, step, error, text)),
                std::cmp::Ordering::Greater => {}
            }
        });
    }

    /// Takes out what is not written yet, for whoever writes it along.
    pub fn take(&self) -> Entries {
        take(&self.buffer)
    }
}

impl Progress for Journal {
    fn line(&self, text: &str) {
        self.say(text);
    }
}

fn take(buffer: &Buffer) -> Entries {
    let mut pending = buffer.pending.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut pending.entries)
}

async fn write(store: Store, buffer: Arc<Buffer>, deployment: DeploymentId, number: u32) {
    loop {
        buffer.wake.notified().await;
        sleep(GATHER).await;
        let entries = take(&buffer);
        if entries.is_empty() {
            continue;
        }
        let id = deployment.clone();
        let written = store.write(move |tx| entries.write(tx, &id, number)).await;
        if let Err(error) = written {
            tracing::warn!(%deployment, number, %error, "an update's log can't be written");
        }
    }
}
