//! Waits until replicas are what they should be, woken by every change that the observer sees.
//!
//! [`judge`] is pure: slots and a moment in, a verdict out. A bad verdict may come from an observation that is older
//! than what the run just did, so the engine is listed anew before it counts.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::load::Work;
use super::run::{Halt, Run};
use super::words::{self, failure, of_service};
use crate::domain::name::ServiceName;
use crate::domain::text::clean_line;
use crate::domain::update::{Failure, Step};
use crate::domain::workload::{HealthTest, Restart, Service, ServiceKind};
use crate::engine::{EngineError, LogOptions, Phase, SlotRef};
use crate::reconcile::Settings;
use crate::reconcile::definition::Definition;
use crate::reconcile::table::{self, Reach, Seen};

/// Restarts by the engine after which a replica counts as crash-looping.
const MOST_RESTARTS: u32 = 3;

/// How long a replica that its engine should start again may stay down.
const RESTART_WITHIN: Duration = Duration::from_secs(2);

/// How long an engine may go on trying to start a replica that something keeps it from starting.
pub(super) const BLOCKED_FOR: Duration = Duration::from_secs(8);

/// When nothing is heard for so long, the engine is listed: its event may have got lost.
pub(super) const SILENCE: Duration = Duration::from_secs(5);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// Services ready, tasks under way or ended well.
    Ready,
    /// Tasks ended well.
    Completed,
}

/// A wanted slot and how it is judged.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    slot: SlotRef,
    is_task: bool,
    /// However it ends is well.
    any_end: bool,
    /// Whether `Running` already means that a health check passed.
    checked: bool,
    restart: Restart,
    settle: Duration,
    within: Duration,
}

impl Slot {
    /// The wanted slots of one service.
    pub fn of_service(definition: &Definition, name: &ServiceName, settings: &Settings) -> Vec<Self> {
        let Some(service) = definition.plan.workload.services.get(name) else {
            return Vec::new();
        };
        let slot = |slot| Self {
            slot,
            is_task: service.kind == ServiceKind::Task,
            any_end: service.any_end,
            checked: is_checked(service),
            restart: service.restart,
            settle: settings.settle,
            within: ready_within(service, settings),
        };
        definition.slots_of(name).map(slot).collect()
    }
}

fn is_checked(service: &Service) -> bool {
    service.healthcheck.as_ref().is_some_and(|check| check.test != HealthTest::Disabled)
}

/// How long the service's own health check may take to decide, within the configured bounds.
fn ready_within(service: &Service, settings: &Settings) -> Duration {
    let (least, most) = settings.ready_within;
    let check = service.healthcheck.as_ref().filter(|_| is_checked(service));
    let own = check.map_or(Duration::ZERO, |check| {
        let each = check.interval_ms.saturating_add(check.timeout_ms);
        Duration::from_millis(
            check.start_period_ms.saturating_add(each.saturating_mul(u64::from(check.retries) + 1)),
        )
    });
    own.clamp(least, most.max(least))
}

/// What is wrong with a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Exited { code: i64, oom_killed: bool },
    CrashLoop { restarts: u32 },
    Unhealthy,
    Blocked,
    Dead,
}

/// What the slots amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// Look again when something changes, or at that moment.
    Wait(Option<Instant>),
    Bad(SlotRef, Fault, String),
}

/// The wanted slots as an autoscaler has them, where one sets a service's replicas.
fn as_scaled(wanted: &[Slot], slots: &[Arc<Seen>]) -> Vec<Slot> {
    let of = |one: &Slot| match table::autoscaled(slots, &one.slot.service, &one.slot.hash) {
        None => one.slot.index..one.slot.index + 1,
        Some(replicas) if one.slot.index == 0 => 0..replicas,
        Some(_) => 0..0,
    };
    let at = |one: &Slot, index| Slot { slot: SlotRef { index, ..one.slot.clone() }, ..one.clone() };
    wanted.iter().flat_map(|one| of(one).map(|index| at(one, index))).collect()
}

/// Judges all wanted slots; the first that is bad decides.
pub(super) fn judge(wanted: &[Slot], slots: &[Arc<Seen>], aim: Aim, now: Instant) -> Verdict {
    let mut verdict = Verdict::Good;
    for slot in wanted {
        let one = match table::find(slots, &slot.slot) {
            None => Verdict::Wait(None),
            Some(seen) => judge_one(slot, seen, aim, now),
        };
        verdict = match (verdict, one) {
            (_, bad @ Verdict::Bad(..)) => return bad,
            (Verdict::Wait(a), Verdict::Wait(b)) => Verdict::Wait(a.into_iter().chain(b).min()),
            (Verdict::Good, other) => other,
            (waiting, _) => waiting,
        };
    }
    verdict
}

fn judge_one(slot: &Slot, seen: &Seen, aim: Aim, now: Instant) -> Verdict {
    let state = &seen.state;
    let bad = |fault| Verdict::Bad(slot.slot.clone(), fault, state.detail.clone());
    let after = |pause| {
        let due = seen.since + pause;
        if now >= due { None } else { Some(due) }
    };
    match state.phase {
        Phase::Running if slot.is_task && aim == Aim::Completed => Verdict::Wait(None),
        Phase::Running if slot.checked && !slot.is_task => Verdict::Good,
        Phase::Running => {
            // One that its engine had to start again has to prove itself for longer.
            let settle = if state.restarts == 0 { slot.settle } else { slot.settle * 4 };
            after(settle).map_or(Verdict::Good, |due| Verdict::Wait(Some(due)))
        }
        Phase::Exited { .. } if slot.any_end => Verdict::Good,
        Phase::Exited { code: 0, .. } if slot.is_task => Verdict::Good,
        Phase::Exited { code, oom_killed } => {
            let again = !slot.is_task && slot.restart != Restart::No && state.restarts < MOST_RESTARTS;
            match after(RESTART_WITHIN).filter(|_| again) {
                Some(due) => Verdict::Wait(Some(due)),
                None => bad(Fault::Exited { code, oom_killed }),
            }
        }
        Phase::Restarting if state.restarts >= MOST_RESTARTS || after(RESTART_WITHIN).is_none() => {
            bad(Fault::CrashLoop { restarts: state.restarts })
        }
        Phase::Unhealthy => bad(Fault::Unhealthy),
        Phase::Blocked => {
            after(BLOCKED_FOR).map_or_else(|| bad(Fault::Blocked), |due| Verdict::Wait(Some(due)))
        }
        Phase::Dead => bad(Fault::Dead),
        Phase::Restarting => Verdict::Wait(after(RESTART_WITHIN)),
        Phase::Created | Phase::Pending | Phase::Starting | Phase::Paused => Verdict::Wait(None),
    }
}

impl Run {
    /// Waits until every replica of the definition is ready.
    pub(super) async fn verify(&self, work: &Work, definition: &Definition) -> Result<(), Halt> {
        self.journal.begin(Step::Verify);
        let services = definition.plan.workload.services.keys();
        let wanted: Vec<_> =
            services.flat_map(|name| Slot::of_service(definition, name, &self.shared.settings)).collect();
        self.await_slots(work, &wanted, Aim::Ready).await?;
        self.journal.done(format!("{} ready.", words::count(wanted.len(), "replica")));
        Ok(())
    }

    /// Waits until the slots reach the aim, fail it, or time is up.
    pub(super) async fn await_slots(&self, work: &Work, wanted: &[Slot], aim: Aim) -> Result<(), Halt> {
        let settings = &self.shared.settings;
        let within = match aim {
            Aim::Ready => wanted.iter().map(|slot| slot.within).max().unwrap_or_default(),
            Aim::Completed => settings.task_within,
        };
        let (infrastructure, deployment) = (&work.infrastructure.id, &work.deployment.id);
        let mut slots = self.shared.table.follow(infrastructure, deployment);
        let reach = self.shared.table.reach(infrastructure);
        let (deadline, mut confirmed) = (Instant::now() + within, false);
        loop {
            let now = Instant::now();
            let seen = slots.borrow_and_update().clone();
            let wanted = &as_scaled(wanted, &seen);
            let due = match judge(wanted, &seen, aim, now) {
                Verdict::Good => return Ok(()),
                Verdict::Bad(slot, fault, detail) if confirmed => {
                    return Err(Halt::Failed(self.fault(work, &slot, &fault, &detail).await));
                }
                Verdict::Wait(_) if now >= deadline && confirmed => {
                    return Err(Halt::Failed(self.overdue(wanted, &seen, aim, within)));
                }
                Verdict::Wait(due) if now < deadline => {
                    confirmed = false;
                    due
                }
                _ => {
                    self.shared.look_again(infrastructure).await;
                    confirmed = true;
                    continue;
                }
            };
            let silence = now + SILENCE;
            tokio::select! {
                _ = slots.changed() => {}
                () = sleep_until(due.unwrap_or(deadline).min(deadline).min(silence)) => {
                    if due.is_none() && Instant::now() >= silence {
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

    /// A bad replica in words, with the end of its own output.
    async fn fault(&self, work: &Work, slot: &SlotRef, fault: &Fault, detail: &str) -> Failure {
        let lines = last_lines(work, slot, 15).await;
        let name = &slot.service;
        for line in &lines {
            self.journal.complain(format!("{name}: {line}"));
        }
        let said = match lines.iter().rev().find(|line| !line.is_empty()) {
            Some(line) => format!(" Its last line: {line}"),
            None => " It wrote nothing.".to_owned(),
        };
        let step = self.journal.step();
        let plain = match fault {
            Fault::Exited { oom_killed: true, .. } => failure(
                "out_of_memory",
                step,
                format!("service {name} was stopped because it used up its memory limit.{said}"),
                "Raise its memory limit in the settings, or have it use less.",
            ),
            Fault::Exited { code, .. } => failure(
                "exited",
                step,
                format!("service {name} exited with code {code}{}.{said}", because(detail)),
                "Its last lines are in the log. A service that is meant to end is marked `x-slipway: {kind: task}`.",
            ),
            Fault::CrashLoop { restarts } => failure(
                "crash_loop",
                step,
                format!(
                    "service {name} keeps ending; its engine started it again {restarts}×{}.{said}",
                    because(detail)
                ),
                "Its last lines are in the log; mend what they name in the bundle or the settings.",
            ),
            Fault::Unhealthy => failure(
                "never_healthy",
                step,
                format!("service {name} never became healthy. Its health check said: {}", or_nothing(detail)),
                "Look at its last lines in the log, or give its health check a longer start_period.",
            ),
            Fault::Blocked => failure(
                "start_failed",
                step,
                format!("service {name} can't start: {}", or_nothing(detail)),
                "Mend what it names in the bundle, the settings or the infrastructure, then retry.",
            ),
            Fault::Dead => failure(
                "replica_dead",
                step,
                format!("the engine can't run a replica of service {name}: {}", or_nothing(detail)),
                "Look at the engine's own log, then retry.",
            ),
        };
        of_service(plain, name)
    }

    fn overdue(&self, wanted: &[Slot], seen: &[Arc<Seen>], aim: Aim, within: Duration) -> Failure {
        let late = wanted.iter().find(|slot| {
            !matches!(judge(std::slice::from_ref(slot), seen, aim, Instant::now()), Verdict::Good)
        });
        let Some(late) = late else {
            return failure("never_ready", self.journal.step(), "a replica was not ready in time", "Retry.");
        };
        let state = table::find(seen, &late.slot).map(|seen| &seen.state);
        let (name, seconds) = (&late.slot.service, within.as_secs());
        let plain = match state.map(|state| (&state.phase, state.detail.as_str())) {
            Some((Phase::Starting, detail)) => failure(
                "never_healthy",
                self.journal.step(),
                format!(
                    "service {name} did not become healthy within {seconds} s. Its health check said: {}",
                    or_nothing(detail)
                ),
                "Look at its lines in the log, or give its health check a longer start_period.",
            ),
            other => failure(
                "never_ready",
                self.journal.step(),
                format!(
                    "service {name} was not ready within {seconds} s: its replica {} is {}{}",
                    late.slot.index,
                    other.map_or("missing", |(phase, _)| phase.word()),
                    because(other.map_or("", |(_, detail)| detail))
                ),
                "Look at the engine and at the service's log, then retry.",
            ),
        };
        of_service(plain, name)
    }
}

/// Waits until the engine does not answer; why, in words.
pub(super) async fn lost(mut reach: watch::Receiver<Reach>) -> String {
    loop {
        if let Reach::Unreachable(words) = &*reach.borrow_and_update() {
            return words.clone();
        }
        if reach.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What the engine knows of an end, as the second half of a sentence.
fn because(detail: &str) -> String {
    if detail.trim().is_empty() { String::new() } else { format!(": {}", clean_line(detail)) }
}

fn or_nothing(detail: &str) -> String {
    if detail.trim().is_empty() { "nothing.".to_owned() } else { clean_line(detail) }
}

/// The end of a replica's output, a few seconds' wait at most.
pub(super) async fn last_lines(work: &Work, slot: &SlotRef, most: usize) -> Vec<String> {
    let options = LogOptions { tail: u32::try_from(most).ok(), ..LogOptions::default() };
    let read = async {
        let mut batches = work.engine.logs(slot, &options).await.ok()?;
        let mut lines = Vec::new();
        while let Some(Ok(batch)) = batches.next().await {
            lines.extend(batch.iter().map(|line| clean_line(&String::from_utf8_lossy(&line.text))));
        }
        Some(lines)
    };
    let lines = timeout(Duration::from_secs(3), read).await.ok().flatten().unwrap_or_default();
    lines.into_iter().rev().take(most).rev().collect()
}

#[cfg(test)]
mod tests;
