//! Following: what comes from every replica, those included that an update or a restart brings later.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, SelectAll, StreamExt as _};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::followed::{Followed, removed};
use super::{Batch, Lines, Mark, Wanted, Whose, batches_of, lines_of, open, several};
use crate::app::App;
use crate::bus::Topic;
use crate::domain::access::Caller;
use crate::domain::name::DeploymentId;
use crate::domain::{Kind, Result};
use crate::engine::{LogOptions, SlotState};

/// How long after a replica's output ended it is looked whether it runs again: the engine's event comes by then.
const AGAIN: Duration = Duration::from_millis(500);

/// Which replica, and which of the streams that were opened of it.
type Source = (Arc<str>, u64);

/// What one replica's stream says.
enum Said {
    Lines(Result<Batch>),
    /// Its output has ended; it may go on after a restart.
    Ended,
}

struct Following {
    app: App,
    caller: Caller,
    id: DeploymentId,
    wanted: Wanted,
    topics: broadcast::Receiver<Topic>,
    streams: SelectAll<BoxStream<'static, (Source, Said)>>,
    known: HashMap<Arc<str>, (Whose, Followed)>,
    /// What is to be said of replicas that went away.
    parting: VecDeque<Batch>,
    look_again: Option<tokio::time::Instant>,
}

/// A deployment's output from `wanted` on, as it comes. It ends when the deployment is gone or the caller may no longer
/// see it; the reader ends it by dropping it.
///
/// # Errors
/// As [`super::history`].
pub async fn follow(app: &App, caller: &Caller, id: DeploymentId, wanted: Wanted) -> Result<Lines> {
    let topics = app.store.bus().subscribe();
    let (_, slots) = open(app, caller, &id, &wanted).await?;
    let several = several(&slots) || (wanted.service.is_none() && slots.is_empty());
    let parting = gone_meanwhile(app, &wanted, &slots);
    let mut following = Following {
        app: app.clone(),
        caller: caller.clone(),
        id,
        wanted,
        topics,
        streams: SelectAll::new(),
        known: HashMap::new(),
        parting,
        look_again: None,
    };
    following.look(true).await?;
    let batches = stream::unfold(Some(following), |following| async move {
        let mut following = following?;
        match following.next().await {
            Ok(Some(batch)) => Some((Ok(batch), Some(following))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(Lines { several, batches: batches.boxed() })
}

impl Following {
    async fn next(&mut self) -> Result<Option<Batch>> {
        loop {
            if let Some(batch) = self.parting.pop_front() {
                return Ok(Some(batch));
            }
            let again = self.look_again;
            let timer = async move {
                match again {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some((source, said)) = self.streams.next() => {
                    if let Some(batch) = self.heard(&source, said)? {
                        return Ok(Some(batch));
                    }
                }
                topic = self.topics.recv() => {
                    let ours = match topic {
                        Ok(Topic::Deployment(id)) => id == self.id,
                        Ok(_) => false,
                        Err(RecvError::Lagged(_)) => true,
                        Err(RecvError::Closed) => return Ok(None),
                    };
                    if ours && !self.still_there().await? {
                        return Ok(None);
                    }
                }
                () = timer => {
                    self.look_again = None;
                    if !self.still_there().await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Takes what a replica said; lines that were handed on before its restart are left out.
    fn heard(&mut self, (key, generation): &Source, said: Said) -> Result<Option<Batch>> {
        let now = nanos(&self.app);
        let Some((whose, known)) =
            self.known.get_mut(key).filter(|(_, known)| known.generation == *generation)
        else {
            return Ok(None);
        };
        match said {
            Said::Ended => {
                known.ended(now);
                self.look_again = Some(tokio::time::Instant::now() + AGAIN);
                Ok(None)
            }
            Said::Lines(batch) => {
                let taken = known.take(batch?.lines, now);
                if taken.broken {
                    known.give_up();
                    self.look_again = Some(tokio::time::Instant::now());
                }
                Ok((!taken.lines.is_empty()).then(|| whose.batch(taken.lines)))
            }
        }
    }

    /// Looks for replicas that are not read yet; `false` when the deployment is gone or no longer the caller's to see.
    async fn still_there(&mut self) -> Result<bool> {
        match self.look(false).await {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Forbidden) => Ok(false),
            // The engine is away or nothing runs now: what comes later is heard of.
            Err(error) if matches!(error.kind, Kind::Unavailable | Kind::Invalid) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn look(&mut self, first: bool) -> Result<()> {
        let (engine, slots) = open(&self.app, &self.caller, &self.id, &self.wanted).await?;
        self.forget_all_but(&slots);
        for slot in &slots {
            let known = self.known.get(slot.engine_id.as_str()).map(|(_, known)| known);
            let begins = match known {
                Some(known) => !known.open && (is_alive(slot) || !known.drained),
                None => first || is_alive(slot) || slot.ended_at.is_some(),
            };
            if !begins {
                continue;
            }
            let last = match known {
                Some(known) => known.last(),
                None => self.wanted.after.of(&slot.engine_id),
            };
            let generation = known.map_or(0, |known| known.generation + 1);
            let followed = Followed::opened(generation, last, !is_alive(slot), nanos(&self.app));
            let options = self.options(first, last);
            let Some(lines) = lines_of(engine.as_ref(), slot, &options).await? else {
                continue;
            };
            let whose = Whose::of(slot);
            let batches = batches_of(whose.clone(), lines);
            let batches = batches.take_until(followed.stop.clone().cancelled_owned()).boxed();
            self.streams.push(tagged((Arc::clone(&whose.source), generation), batches));
            self.known.insert(Arc::clone(&whose.source), (whose, followed));
        }
        Ok(())
    }

    /// Takes leave of the replicas that are not there any more. Streams that are still open are read to their end first.
    fn forget_all_but(&mut self, slots: &[SlotState]) {
        let now = nanos(&self.app);
        self.known.retain(|key, (whose, known)| {
            let there = known.open || slots.iter().any(|slot| *slot.engine_id == **key);
            if !there {
                let lines = known.lost(now).into_iter().collect();
                self.parting.push_back(Batch { over: true, ..whose.batch(lines) });
            }
            there
        });
    }

    /// A replica that comes later is read from its beginning, one that goes on from where it stopped.
    fn options(&self, first: bool, last: Option<Mark>) -> LogOptions {
        match last {
            Some(last) => LogOptions {
                since: Some(chrono::DateTime::from_timestamp_nanos(last.at_nanos)),
                follow: true,
                ..LogOptions::default()
            },
            None if first && self.wanted.after.is_empty() => self.wanted.options(true),
            None if first => LogOptions { tail: None, ..self.wanted.options(true) },
            None => LogOptions { follow: true, ..LogOptions::default() },
        }
    }
}

/// What is to be said of the replicas that a reader was at and that went away before it came back.
fn gone_meanwhile(app: &App, wanted: &Wanted, slots: &[SlotState]) -> VecDeque<Batch> {
    let gone = wanted.after.gone(slots.iter().map(|slot| slot.engine_id.as_str()));
    let lines = || vec![removed(nanos(app))];
    gone.into_iter().map(|(source, place)| Batch { place, source, lines: lines(), over: true }).collect()
}

fn is_alive(slot: &SlotState) -> bool {
    use crate::engine::Phase;
    !matches!(slot.phase, Phase::Exited { .. } | Phase::Dead | Phase::Created)
}

fn nanos(app: &App) -> i64 {
    app.now().timestamp_nanos_opt().unwrap_or(i64::MAX)
}

fn tagged(source: Source, batches: BoxStream<'static, Result<Batch>>) -> BoxStream<'static, (Source, Said)> {
    let end = (source.clone(), Said::Ended);
    batches
        .map(move |batch| (source.clone(), Said::Lines(batch)))
        .chain(stream::once(std::future::ready(end)))
        .boxed()
}
