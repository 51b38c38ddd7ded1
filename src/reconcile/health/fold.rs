//! The fold itself: pure.

use std::sync::Arc;

use chrono::TimeDelta;

use super::facts::Facts;
use super::messages;
use crate::domain::clock::Timestamp;
use crate::domain::health::{self, Answer, LastUpdate, Message, Sync};
use crate::domain::name::ServiceName;
use crate::domain::update::{Failure, Outcome, UpdateState};
use crate::engine::{Phase, SlotRef, SlotState};
use crate::reconcile::definition::Definition;
use crate::reconcile::table::{self, Reach, Seen};
use crate::store::deployment::list::State;

/// How long a restart by the engine is worth a warning.
const RESTART_WARNS: TimeDelta = TimeDelta::minutes(10);

/// Something that changed behind our back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    pub service: ServiceName,
    pub index: u32,
    pub kind: Kind,
    /// In words.
    pub detail: String,
}

/// What happened to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its container is gone.
    Removed,
    /// It was stopped, or ended and was not started again.
    Stopped,
    /// Limits, networks or image are not what was asked for.
    Changed,
}

/// A deployment's state, and what follows from it.
pub(super) struct Folded {
    pub state: State,
    pub drift: Vec<Drift>,
    /// Whether time alone will change the state.
    pub fades: bool,
}

/// Folds; `None` while the engine was not heard of since the start: then nothing may be concluded.
pub(super) fn fold(facts: &Facts, reach: &Reach, slots: &[Arc<Seen>], now: Timestamp) -> Option<Folded> {
    let (last, failure) = last_update(facts);
    let stopped = !facts.deployment.enabled && last == LastUpdate::Succeeded && facts.running.is_none();
    let mut says = opening(facts, last, failure, stopped);
    says.extend(facts.governance.iter().cloned());
    let mut known = health::Facts {
        last_update: last,
        disabled_and_updated: stopped,
        reachable: true,
        sync: facts.state.sync,
        ready: facts.state.ready,
        wanted: facts.state.wanted,
        // Where the engine does not answer, it goes before this.
        probe_failing: false,
        warned: !facts.governance.is_empty(),
        fatal_governance: facts.governance.iter().any(|message| message.is_fatal),
    };
    let (mut drift, mut fades) = (Vec::new(), false);
    match reach {
        Reach::Unseen => return None,
        Reach::Unreachable(words) => {
            known.reachable = false;
            says.insert(0, messages::unreachable(&facts.deployment.infrastructure, words));
        }
        Reach::Reachable => {
            let counted = count(facts, slots);
            (known.ready, known.wanted) = (counted.ready, counted.wanted);
            known.probe_failing = counted.unwell;
            known.sync = sync(facts, last, stopped, &counted.drift, &mut says);
            says.extend(counted.says);
            let restarted: Vec<&SlotState> = restarted(facts, slots, now);
            fades = !restarted.is_empty();
            known.warned |= fades;
            says.extend(restarted.into_iter().map(messages::restarted));
            drift = counted.drift;
        }
    }
    let state = State {
        health: health::fold(&known),
        sync: known.sync,
        ready: known.ready,
        wanted: known.wanted,
        messages: says,
        changed_at: None,
    };
    Some(Folded { state, drift, fades })
}

fn last_update(facts: &Facts) -> (LastUpdate, Option<&Failure>) {
    match facts.last.as_ref().map(|update| &update.state) {
        Some(UpdateState::Ended { outcome, .. }) => match outcome {
            Outcome::Succeeded => (LastUpdate::Succeeded, None),
            Outcome::Cancelled { .. } => (LastUpdate::Cancelled, None),
            Outcome::Failed { failure } => (LastUpdate::Failed, Some(failure)),
        },
        _ => (LastUpdate::None, None),
    }
}

/// What is said whether or not the engine answers.
fn opening(facts: &Facts, last: LastUpdate, failure: Option<&Failure>, stopped: bool) -> Vec<Message> {
    match (last, failure) {
        (LastUpdate::None, _) => vec![messages::never_updated(facts.updating)],
        _ if stopped => vec![messages::stopped()],
        (_, Some(failure)) => {
            vec![messages::update_failed(facts.last.as_ref().map_or(0, |update| update.number), failure)]
        }
        _ => Vec::new(),
    }
}

/// Replicas against what is asked, and what is wrong with them.
struct Counted {
    ready: u32,
    wanted: u32,
    /// Whether the program of a ready replica is not well.
    unwell: bool,
    drift: Vec<Drift>,
    says: Vec<Message>,
}

fn count(facts: &Facts, slots: &[Arc<Seen>]) -> Counted {
    let mut counted = Counted { ready: 0, wanted: 0, unwell: false, drift: Vec::new(), says: Vec::new() };
    let Some(shown) = facts.running.as_ref().or(facts.target.as_ref()) else {
        return counted;
    };
    for (name, service) in &shown.plan.workload.services {
        let wanted = shown.replicas_now(name, slots);
        counted.wanted += wanted;
        if facts.updating {
            counted.ready += serving(facts, name, slots).min(wanted);
            continue;
        }
        let is_task = shown.is_task(name);
        let (mut bad, mut unwell) = (Vec::new(), Vec::new());
        for slot in shown.slots_now(name, slots) {
            let state = table::find(slots, &slot).map(|seen| &seen.state);
            counted.drift.extend(drift_of(&slot, is_task, state));
            if is_ready(is_task, state) {
                counted.ready += 1;
                let answer = state.and_then(|state| facts.answers.get(&state.engine_id));
                unwell.extend(answer.and_then(Answer::trouble).map(|trouble| (slot.index, trouble)));
            } else {
                bad.push((slot.index, state));
            }
        }
        if !bad.is_empty() {
            counted.says.push(messages::not_ready(name, is_task, wanted, &bad));
        }
        if let (Some(place), false) = (&service.health, unwell.is_empty()) {
            counted.unwell = true;
            counted.says.push(messages::probe_failing(name, place, &unwell));
        }
    }
    counted
}

/// A task that runs is as it should be, and one that is gone has ended: only one that ended badly is not ready.
fn is_ready(is_task: bool, state: Option<&SlotState>) -> bool {
    match state.map(|state| &state.phase) {
        None => is_task,
        Some(Phase::Exited { code, .. }) => is_task && *code == 0,
        Some(Phase::Running) => true,
        Some(Phase::Created | Phase::Starting) => is_task,
        Some(_) => false,
    }
}

/// Ready replicas while an update moves from one definition to the next: those of either.
fn serving(facts: &Facts, name: &ServiceName, slots: &[Arc<Seen>]) -> u32 {
    let either = [facts.running.as_ref(), facts.target.as_ref()];
    let is_task = either.iter().flatten().any(|definition| definition.is_task(name));
    let ours = |state: &SlotState| {
        state.slot.service == *name
            && either
                .iter()
                .flatten()
                .any(|definition: &&Definition| definition.hash(name) == Some(&state.slot.hash))
    };
    let ready = slots.iter().filter(|seen| ours(&seen.state) && is_ready(is_task, Some(&seen.state)));
    let ready = u32::try_from(ready.count()).unwrap_or(u32::MAX);
    if is_task && ready == 0 { 1 } else { ready }
}

fn drift_of(slot: &SlotRef, is_task: bool, state: Option<&SlotState>) -> Option<Drift> {
    let (kind, detail) = match state {
        _ if is_task => return None,
        None => (Kind::Removed, "was removed".to_owned()),
        Some(SlotState { drift: Some(words), .. }) => (Kind::Changed, format!("was changed: {words}")),
        Some(state) => match state.phase {
            Phase::Exited { code, .. } => (Kind::Stopped, format!("was stopped or ended (exit code {code})")),
            Phase::Paused => (Kind::Stopped, "was paused".to_owned()),
            Phase::Dead => (Kind::Stopped, "is dead".to_owned()),
            Phase::Created => (Kind::Stopped, "was made and not started".to_owned()),
            Phase::Running | Phase::Starting | Phase::Unhealthy | Phase::Restarting => return None,
            // The engine itself is at it.
            Phase::Pending | Phase::Blocked => return None,
        },
    };
    Some(Drift { service: slot.service.clone(), index: slot.index, kind, detail })
}

fn sync(facts: &Facts, last: LastUpdate, stopped: bool, drift: &[Drift], says: &mut Vec<Message>) -> Sync {
    if last == LastUpdate::None || stopped {
        return Sync::Unknown;
    }
    let digests = &facts.digests;
    if let Some(refusal) = &digests.refusal {
        says.push(messages::settings_refused(refusal));
    } else if facts.running.is_none() && facts.deployment.enabled {
        says.push(messages::nothing_runs());
    } else if digests.running != digests.wanted {
        says.push(messages::settings_changed());
    }
    let behind: Vec<&Drift> = drift.iter().filter(|drift| drift.kind != Kind::Stopped).collect();
    says.extend(behind.iter().map(|drift| messages::drifted(drift, facts.deployment.auto_repair)));
    let as_wanted = match (&digests.running, &digests.wanted) {
        (None, _) => !facts.deployment.enabled,
        (running, wanted) => running == wanted,
    };
    if as_wanted && digests.refusal.is_none() && behind.is_empty() { Sync::InSync } else { Sync::OutOfSync }
}

/// Wanted replicas that the engine had to start again a short while ago.
fn restarted<'a>(facts: &Facts, slots: &'a [Arc<Seen>], now: Timestamp) -> Vec<&'a SlotState> {
    let Some(running) = &facts.running else {
        return Vec::new();
    };
    let lately = |state: &SlotState| state.started_at.is_some_and(|at| now - at < RESTART_WARNS);
    let states = slots.iter().map(|seen| &seen.state);
    states
        .filter(|state| state.restarts > 0 && running.wants_now(&state.slot, slots) && lately(state))
        .collect()
}

#[cfg(test)]
mod tests;
