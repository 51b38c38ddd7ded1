//! Works off queued updates: several at once, one at a time for each deployment, in the order they were asked for.
//!
//! The queue is the table `deployment_update`; nothing that matters is kept here. What is: which runs this process has
//! under way, and how long an engine that does not answer has been tried.

mod check;
mod clean_up;
mod ending;
mod halt;
mod journal;
mod load;
mod prepare;
mod request;
mod run;
mod start;
mod switch;
mod test;
mod undo;
mod verify;
mod words;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::run::{Ended, Run};
use super::Shared;
use crate::bus::Topic;
use crate::domain::Result;
use crate::domain::name::DeploymentId;
use crate::domain::update::Update;
use crate::store;

/// How often the queue is read although nobody woke us.
const PERIOD: Duration = Duration::from_secs(15);

/// How soon it is read again when that failed.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Runs that may be under way for each engine call that may: most of a run's time is waiting.
const RUNS_PER_TURN: usize = 8;

/// Between a run that an engine's silence cut short and its next attempt.
const BACKOFF: [Duration; 7] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
];

/// Works until the reconcilers are stopped.
pub(super) async fn work(shared: Arc<Shared>) {
    let topics = shared.store.bus().subscribe();
    let mut dispatcher = Dispatcher {
        shared,
        topics,
        active: HashMap::new(),
        held: HashMap::new(),
        heard: None,
        runs: JoinSet::new(),
    };
    dispatcher.work().await;
}

/// An update under way.
struct Active {
    number: u32,
    begun: Instant,
    cancel: watch::Sender<Option<String>>,
}

/// An update that is tried again later.
#[derive(Clone, Copy)]
struct Held {
    number: u32,
    /// Since when its engine or the store has failed it.
    since: Instant,
    tries: usize,
    until: Instant,
}

struct Dispatcher {
    shared: Arc<Shared>,
    topics: broadcast::Receiver<Topic>,
    active: HashMap<DeploymentId, Active>,
    held: HashMap<DeploymentId, Held>,
    /// When an infrastructure last had news, such as an engine that is back.
    heard: Option<Instant>,
    runs: JoinSet<(DeploymentId, u32, Ended)>,
}

impl Dispatcher {
    async fn work(&mut self) {
        while !self.shared.stop.is_cancelled() {
            let shared = Arc::clone(&self.shared);
            let timed = shared.timed("updates");
            let result = self.dispatch().await;
            let longest = if result.is_ok() { PERIOD } else { AFTER_ERROR };
            timed.done(result);
            self.wait(longest).await;
        }
        // Each run leaves its row as it is when it hears of the stop.
        while self.runs.join_next().await.is_some() {}
    }

    /// Takes up what can be taken up, and passes cancellations on.
    async fn dispatch(&mut self) -> Result<()> {
        let most = self.shared.settings.parallel.max(1) * RUNS_PER_TURN;
        let room = most.saturating_sub(self.active.len());
        let limit = u32::try_from(most + self.active.len() + self.held.len()).unwrap_or(u32::MAX);
        let now = self.shared.clock.now();
        let (runnable, cancels) = self
            .shared
            .store
            .read(move |db| Ok((store::update::runnable(db, now, limit)?, store::run::cancel_requests(db)?)))
            .await?;
        for (deployment, number, by) in cancels {
            if let Some(active) = self.active.get(&deployment).filter(|active| active.number == number) {
                active.cancel.send_replace(Some(by));
            }
            self.held.entry(deployment).and_modify(|held| held.until = Instant::now());
        }
        let ready: Vec<Update> =
            runnable.into_iter().filter(|update| self.may_begin(update)).take(room).collect();
        for update in ready {
            self.begin(update);
        }
        Ok(())
    }

    fn may_begin(&self, update: &Update) -> bool {
        let held = self.held.get(&update.deployment);
        let waits = held.is_some_and(|held| held.number == update.number && held.until > Instant::now());
        !waits && !self.active.contains_key(&update.deployment)
    }

    fn begin(&mut self, update: Update) {
        let (deployment, number) = (update.deployment.clone(), update.number);
        let (cancel, cancelled) = watch::channel(update.cancel_requested_by.clone());
        self.active.insert(deployment.clone(), Active { number, begun: Instant::now(), cancel });
        let trouble = self.held.get(&deployment).filter(|held| held.number == number).map(|held| held.since);
        let run = Run::new(Arc::clone(&self.shared), update, cancelled, trouble);
        self.runs.spawn(async move {
            let ended = AssertUnwindSafe(run.run()).catch_unwind().await;
            let ended = ended.unwrap_or_else(|_| Ended::Later("the run panicked".to_owned()));
            (deployment, number, ended)
        });
    }

    fn ended(&mut self, deployment: DeploymentId, number: u32, ended: Ended) {
        let active = self.active.remove(&deployment);
        let Ended::Later(why) = ended else {
            self.held.remove(&deployment);
            return;
        };
        let now = Instant::now();
        let before = self.held.get(&deployment).filter(|held| held.number == number).copied();
        let (since, tries) = before.map_or((now, 0), |held| (held.since, held.tries + 1));
        // What it failed at may be over: an engine that came back while it was at work tells nobody again.
        let news = active.is_some_and(|active| self.heard > Some(active.begun));
        let pause = if news { BACKOFF[0] } else { BACKOFF[tries.min(BACKOFF.len() - 1)] };
        tracing::info!(%deployment, number, why, ?pause, "an update is tried again later");
        let held = Held { number, since, tries, until: now + pause };
        self.held.insert(deployment, held);
    }

    /// Waits for anything that may let an update begin.
    async fn wait(&mut self, longest: Duration) {
        let latest = Instant::now() + longest;
        let next = self.held.values().map(|held| held.until).min();
        let next = next.map_or(latest, |next| next.min(latest));
        loop {
            tokio::select! {
                () = self.shared.stop.cancelled() => return,
                () = sleep_until(next) => return,
                Some(run) = self.runs.join_next() => {
                    match run {
                        Ok((deployment, number, ended)) => self.ended(deployment, number, ended),
                        Err(error) => tracing::error!(%error, "an update's run was torn down"),
                    }
                    return;
                }
                topic = self.topics.recv() => match topic {
                    Ok(Topic::Work) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                    Ok(Topic::Infrastructure(_)) => {
                        // An engine may be back: whoever waits for it may go on.
                        self.heard = Some(Instant::now());
                        self.held.values_mut().for_each(|held| held.until = Instant::now());
                        return;
                    }
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                },
            }
        }
    }
}
