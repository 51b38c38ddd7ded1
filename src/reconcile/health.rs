//! Folds what is known of a deployment (its last update, what it wants and what runs, its replicas, its engine) into
//! the state that lists and pages show, with messages that say why and what to do.
//!
//! Woken by every change of a slot and by the topics of deployments and infrastructures; a slow sweep over all
//! deployments makes it right when a wake was lost. Nothing is written, and nobody told, unless the fold changed.

mod facts;
mod fold;
mod messages;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, sleep_until};

use self::facts::Facts;
pub use self::fold::{Drift, Kind};
use super::Shared;
use crate::bus::Topic;
use crate::domain::Result;
use crate::domain::name::{DeploymentId, InfrastructureId};
use crate::store;
use crate::store::deployment::list::State;

/// How long a mark waits for company: a burst of events is one fold for each deployment.
const GATHER: Duration = Duration::from_millis(2);

/// Folds in one read.
const BATCH: usize = 128;

/// Between two sweeps over everything.
const SWEEP: Duration = Duration::from_secs(900);

/// How often a fold that time alone changes is made again: a warning about a restart fades.
const FADE: Duration = Duration::from_secs(30);

/// Part of all deployments that is still to be folded, in order of their ids.
struct Sweep {
    infrastructure: Option<InfrastructureId>,
    after: String,
}

/// Works until the reconcilers are stopped.
pub(super) async fn work(shared: Arc<Shared>) {
    let topics = shared.store.bus().subscribe();
    let mut folder = Folder {
        shared,
        topics,
        sweeps: VecDeque::new(),
        fading: BTreeSet::new(),
        next_sweep: Instant::now() + Duration::from_secs(1),
        next_fade: Instant::now() + FADE,
        may_sweep: Instant::now(),
    };
    folder.mark_recent().await;
    folder.work().await;
}

struct Folder {
    shared: Arc<Shared>,
    topics: broadcast::Receiver<Topic>,
    sweeps: VecDeque<Sweep>,
    fading: BTreeSet<DeploymentId>,
    next_sweep: Instant,
    next_fade: Instant,
    /// When the next part of a sweep may be done: it takes a tenth of the time at most.
    may_sweep: Instant,
}

impl Folder {
    async fn work(&mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let part = if self.sweeps.is_empty() { self.next_sweep } else { self.may_sweep };
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => return,
                topic = self.topics.recv() => self.hear(topic),
                () = shared.dirty.wait() => {
                    sleep(GATHER).await;
                    let ids = shared.dirty.take(BATCH);
                    self.fold(ids).await;
                }
                () = sleep_until(self.next_fade) => {
                    self.next_fade = Instant::now() + FADE;
                    std::mem::take(&mut self.fading).into_iter().for_each(|id| shared.dirty.add(id));
                }
                () = sleep_until(part) => self.sweep().await,
            }
        }
    }

    /// What a process that died may have left unfolded: the deployments of the newest updates.
    async fn mark_recent(&self) {
        match self.shared.store.read_much(|db| store::run::recently_updated(db, 200)).await {
            Ok(recent) => recent.into_iter().for_each(|id| self.shared.dirty.add(id)),
            Err(error) => tracing::warn!(%error, "recent updates can't be read"),
        }
    }

    fn hear(&mut self, topic: Result<Topic, broadcast::error::RecvError>) {
        match topic {
            Ok(Topic::Deployment(id)) => self.shared.dirty.add(id),
            Ok(Topic::Infrastructure(id)) => self.begin_sweep(Some(id)),
            Ok(_) | Err(broadcast::error::RecvError::Closed) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => self.begin_sweep(None),
        }
    }

    fn begin_sweep(&mut self, infrastructure: Option<InfrastructureId>) {
        self.sweeps.retain(|sweep| sweep.infrastructure != infrastructure);
        let sweep = Sweep { infrastructure, after: String::new() };
        self.sweeps.push_back(sweep);
        self.may_sweep = Instant::now();
    }

    /// Does a part of the first sweep, or begins the periodic one.
    async fn sweep(&mut self) {
        let Some(sweep) = self.sweeps.pop_front() else {
            self.next_sweep = Instant::now() + SWEEP;
            self.begin_sweep(None);
            return;
        };
        let began = Instant::now();
        let (infrastructure, after) = (sweep.infrastructure.clone(), sweep.after.clone());
        let page = self
            .shared
            .store
            .read_much(move |db| store::deployment::ids_after(db, infrastructure.as_ref(), &after, BATCH))
            .await;
        match page {
            Ok(ids) => {
                if ids.len() == BATCH {
                    let after = ids.last().map(ToString::to_string).unwrap_or_default();
                    self.sweeps.push_front(Sweep { after, ..sweep });
                }
                self.fold(ids).await;
            }
            Err(error) => {
                tracing::warn!(%error, "deployments can't be read");
                self.sweeps.push_front(sweep);
            }
        }
        self.may_sweep = Instant::now() + began.elapsed() * 9 + Duration::from_millis(2);
    }

    async fn fold(&mut self, ids: Vec<DeploymentId>) {
        if ids.is_empty() {
            return;
        }
        let timed = self.shared.timed("health");
        let result = fold_all(&self.shared, ids).await;
        timed.done(result.map(|fading| self.fading.extend(fading)));
    }
}

/// Folds these deployments and writes what changed; answers those that time alone will change.
async fn fold_all(shared: &Arc<Shared>, ids: Vec<DeploymentId>) -> Result<Vec<DeploymentId>> {
    let facts = shared
        .store
        .read_much(move |db| Ok(ids.iter().filter_map(|id| facts::load(db, id)).collect::<Vec<Facts>>()))
        .await?;
    let now = shared.clock.now();
    let (mut changed, mut fading): (Vec<(DeploymentId, State)>, _) = (Vec::new(), Vec::new());
    for facts in facts {
        let id = facts.deployment.id.clone();
        let reach = shared.table.reach(&facts.deployment.infrastructure).borrow().clone();
        let slots = shared.table.slots(&facts.deployment.infrastructure, &id);
        let Some(folded) = fold::fold(&facts, &reach, &slots, now) else {
            continue;
        };
        if folded.fades {
            fading.push(id.clone());
        }
        if facts.deployment.auto_repair && !folded.drift.is_empty() {
            shared.drifted.add(id.clone());
        }
        if differs(&facts.state, &folded.state) {
            changed.push((id, folded.state));
        }
    }
    if changed.is_empty() {
        return Ok(fading);
    }
    shared
        .store
        .observe(move |tx| {
            for (id, state) in changed {
                if store::observation::put_state(tx, &id, &state, now)? {
                    tx.publish(Topic::Deployment(id));
                }
            }
            Ok(())
        })
        .await?;
    Ok(fading)
}

fn differs(old: &State, new: &State) -> bool {
    let without_time = |state: &State| State { changed_at: None, ..state.clone() };
    old.changed_at.is_none() || without_time(old) != without_time(new)
}

/// What a repair is about: everything of a deployment that drifted, as it is seen now. Empty when nothing did.
///
/// # Errors
/// Of the store.
pub(super) async fn drift(shared: &Shared, id: &DeploymentId) -> Result<Vec<Drift>> {
    let wanted = id.clone();
    let Some(facts) = shared.store.read_much(move |db| Ok(facts::load(db, &wanted))).await? else {
        return Ok(Vec::new());
    };
    let reach = shared.table.reach(&facts.deployment.infrastructure).borrow().clone();
    let slots = shared.table.slots(&facts.deployment.infrastructure, id);
    let folded = fold::fold(&facts, &reach, &slots, shared.clock.now());
    Ok(folded.map(|folded| folded.drift).unwrap_or_default())
}
