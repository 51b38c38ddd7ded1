//! Waits for the end of a test, woken by every change that the observer sees.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::super::run::{Halt, Run};
use super::super::verify::{SILENCE, lost};
use super::Bench;
use super::judge::{Look, Verdict, judge};
use crate::domain::name::ServiceName;
use crate::engine::EngineError;
use crate::reconcile::table::{self, Seen};

impl Run {
    /// Waits until the test has ended, its container is gone, or its time is up.
    pub(super) async fn await_test(&self, bench: &Bench<'_>, name: &ServiceName) -> Result<Verdict, Halt> {
        let (infrastructure, deployment) = (&bench.work.infrastructure.id, &bench.work.deployment.id);
        let mut slots = self.shared.table.follow(infrastructure, deployment);
        let reach = self.shared.table.reach(infrastructure);
        let within = self.shared.settings.test_within;
        let (mut deadline, mut was_seen, mut missed) = (Instant::now() + within, false, false);
        loop {
            let now = Instant::now();
            let all = slots.borrow_and_update().clone();
            let seen = self.own(bench, name, &all);
            if let Some(ran) = seen.filter(|_| !was_seen).and_then(|seen| self.has_run_for(seen)) {
                deadline = now + within.saturating_sub(ran);
            }
            let due = match seen.map(|seen| judge(seen, now)) {
                Some(Look::Ended(verdict)) => return Ok(verdict),
                _ if now >= deadline => return Ok(overdue(within)),
                Some(Look::Wait(due)) => {
                    (was_seen, missed) = (true, false);
                    due
                }
                None if missed => return Ok(Verdict::aborted("its container was removed before it ended")),
                None if was_seen => {
                    // An observation may be older than the container: a list that is asked for now is not.
                    self.shared.look_again(infrastructure).await;
                    missed = true;
                    continue;
                }
                None => None,
            };
            let silence = now + SILENCE;
            tokio::select! {
                _ = slots.changed() => {}
                () = sleep_until(due.unwrap_or(deadline).min(deadline).min(silence)) => {
                    if Instant::now() >= silence {
                        self.shared.look_again(infrastructure).await;
                    }
                }
                words = lost(reach.clone()) => {
                    return Err(self.engine_halt(EngineError::Unreachable(words)));
                }
                halt = self.interruption() => return Err(halt),
            }
        }
    }

    /// The test's container, if it is one of this run.
    pub(super) fn own<'a>(
        &self,
        bench: &Bench<'_>,
        name: &ServiceName,
        slots: &'a [Arc<Seen>],
    ) -> Option<&'a Arc<Seen>> {
        let slot = bench.slot(name)?;
        table::find(slots, &slot).filter(|seen| seen.state.revision == self.update.number)
    }

    /// How long the test has run already: a process before this one may have started it.
    fn has_run_for(&self, seen: &Seen) -> Option<Duration> {
        (self.shared.clock.now() - seen.state.started_at?).to_std().ok()
    }
}

fn overdue(within: Duration) -> Verdict {
    Verdict::failed(None, format!("it did not end within {} s, and was stopped", within.as_secs()))
}
