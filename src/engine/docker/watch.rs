//! What changes, as it changes.
//!
//! The engine drops events for a reader that is slow, so one task reads them at once and keeps only which containers
//! changed: bounded by their number, whatever comes. Changed containers are inspected a few at a time, the last event
//! of each wins, and a result that nobody has taken yet is replaced by a newer one of the same container. An end is told
//! from its event alone: the engine answers nothing about a container while it tidies up after it, which takes a while.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum, EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use chrono::{DateTime, SubsecRound};
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, FuturesUnordered, StreamExt, unfold};
use tokio::sync::mpsc;

use crate::domain::clock::Timestamp;
use crate::engine::docker::Core;
use crate::engine::docker::names::Expected;
use crate::engine::docker::observe::{self, Seen};
use crate::engine::docker::places::Place;
use crate::engine::{Cursor, EngineError, EngineEvent, EngineResult, Phase, SlotRef};

/// How many containers are inspected at a time.
const AT_ONCE: usize = 8;
/// A silent engine is asked this often whether it is there.
const PULSE: Duration = Duration::from_secs(10);
const PULSE_LIMIT: Duration = Duration::from_secs(5);
/// The events from the cursor on come first; then what is there is compared with what was seen.
const COMPARE_AFTER: Duration = Duration::from_millis(200);

const CONTAINER_EVENTS: [&str; 10] =
    ["create", "start", "die", "oom", "destroy", "health_status", "pause", "unpause", "rename", "update"];
const NETWORK_EVENTS: [&str; 2] = ["connect", "disconnect"];

impl Core {
    pub(super) async fn watch_from(
        self: &Arc<Self>,
        cursor: &Cursor,
    ) -> EngineResult<BoxStream<'static, EngineResult<EngineEvent>>> {
        let Some(place) = self.places.find(&cursor.0) else {
            return Err(EngineError::Unreachable(
                "that place in its events was forgotten; take a new snapshot".into(),
            ));
        };
        let docker = self.client.docker().await?;
        let options = EventsOptions { since: Some(seconds(place.at)), until: None, filters: Some(filters()) };
        let events = docker.events(Some(options)).boxed();
        let (sender, receiver) = mpsc::channel(64);
        let pump = Pump {
            core: Arc::clone(self),
            known: place.seen.keys().cloned().collect(),
            gone: HashSet::new(),
            waiting: VecDeque::new(),
            news: HashMap::new(),
            inspecting: HashSet::new(),
            inspections: FuturesUnordered::new(),
            ready: VecDeque::new(),
            results: HashMap::new(),
        };
        tokio::spawn(pump.run(events, place, sender));
        Ok(unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) }).boxed())
    }
}

fn filters() -> HashMap<String, Vec<String>> {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let events = [words(&CONTAINER_EVENTS), words(&NETWORK_EVENTS)].concat();
    HashMap::from([("type".to_owned(), words(&["container", "network"])), ("event".to_owned(), events)])
}

fn seconds(at: Timestamp) -> String {
    format!("{}.{:09}", at.timestamp(), at.timestamp_subsec_nanos())
}

/// The last event of a container that was not inspected yet.
#[derive(Debug, Clone)]
struct News {
    what: String,
    at: Timestamp,
}

type Inspected = (String, News, EngineResult<Option<Seen>>);

struct Pump {
    core: Arc<Core>,
    /// Ids of ours, to know them in events of networks, which bear no labels.
    known: HashSet<String>,
    /// Told to be gone already.
    gone: HashSet<String>,
    /// To be inspected, in order, with what happened to each.
    waiting: VecDeque<String>,
    news: HashMap<String, News>,
    inspecting: HashSet<String>,
    inspections: FuturesUnordered<BoxFuture<'static, Inspected>>,
    /// To be handed out, in order, with the event of each.
    ready: VecDeque<String>,
    results: HashMap<String, EngineEvent>,
}

impl Pump {
    async fn run(
        mut self,
        mut events: BoxStream<'static, Result<EventMessage, bollard::errors::Error>>,
        place: Arc<Place>,
        sender: mpsc::Sender<EngineResult<EngineEvent>>,
    ) {
        let ended = self.turn(&mut events, place, &sender).await;
        if let Some(error) = ended {
            // Nobody listens any more, or this is the last word.
            let _ = sender.send(Err(error)).await;
        }
    }

    /// Goes on until nobody listens (`None`) or events may have been lost.
    async fn turn(
        &mut self,
        events: &mut BoxStream<'static, Result<EventMessage, bollard::errors::Error>>,
        place: Arc<Place>,
        sender: &mpsc::Sender<EngineResult<EngineEvent>>,
    ) -> Option<EngineError> {
        let mut pulse = tokio::time::interval_at(tokio::time::Instant::now() + PULSE, PULSE);
        let compare = tokio::time::sleep(COMPARE_AFTER);
        tokio::pin!(compare);
        let mut compared = false;
        loop {
            self.inspect_more();
            tokio::select! {
                () = sender.closed() => return None,
                event = events.next() => match event {
                    Some(Ok(event)) => self.take(event),
                    Some(Err(error)) => return Some(lost(self.core.client.failure(error))),
                    None => return Some(EngineError::Unreachable("its stream of events ended".into())),
                },
                Some(done) = self.inspections.next() => if let Some(error) = self.inspected(done) {
                    return Some(lost(error));
                },
                permit = sender.reserve(), if !self.ready.is_empty() => match permit {
                    Ok(permit) => if let Some(event) = self.hand_out() { permit.send(Ok(event)) },
                    Err(_) => return None,
                },
                () = &mut compare, if !compared => {
                    compared = true;
                    if let Err(error) = self.compare(&place).await { return Some(lost(error)) }
                },
                _ = pulse.tick() => if let Err(error) = ask_pulse(Arc::clone(&self.core)).await { return Some(lost(error)) },
            }
        }
    }

    /// Notes one event.
    fn take(&mut self, event: EventMessage) {
        let Some(actor) = event.actor else { return };
        let (what, attributes) = (event.action.unwrap_or_default(), actor.attributes.unwrap_or_default());
        let nanos = event.time_nano.unwrap_or(0);
        let at = DateTime::from_timestamp_nanos(nanos).trunc_subsecs(3);
        if event.typ == Some(EventMessageTypeEnum::NETWORK) {
            let (Some(id), Some(network)) = (attributes.get("container"), attributes.get("name")) else {
                return;
            };
            if self.known.contains(id) || self.core.names.may_be_network(network) {
                self.wait(id.clone(), News { what, at });
            }
            return;
        }
        let (Some(id), Some(slot)) = (actor.id, self.core.names.slot(&attributes)) else {
            return;
        };
        if what == "destroy" {
            return self.tell_gone(id, slot, at);
        }
        self.known.insert(id.clone());
        if what == "die" && !self.gone.contains(&id) {
            let (engine_id, phase) = (id.clone(), phase_of_end(&attributes));
            self.make_ready(id.clone(), EngineEvent::Ended { slot, engine_id, phase, at });
        }
        self.wait(id, News { what, at });
    }

    fn wait(&mut self, id: String, news: News) {
        if !self.gone.contains(&id) && self.news.insert(id.clone(), news).is_none() {
            self.waiting.push_back(id);
        }
    }

    fn tell_gone(&mut self, id: String, slot: SlotRef, at: Timestamp) {
        self.known.remove(&id);
        // What was not handed out yet is no longer so.
        self.results.remove(&of_object(&id));
        if self.gone.insert(id.clone()) {
            let engine_id = id.clone();
            self.make_ready(id, EngineEvent::Gone { slot, engine_id, at });
        }
    }

    fn make_ready(&mut self, id: String, event: EngineEvent) {
        if self.results.insert(id.clone(), event).is_none() {
            self.ready.push_back(id);
        }
    }

    fn hand_out(&mut self) -> Option<EngineEvent> {
        let id = self.ready.pop_front()?;
        self.results.remove(&id)
    }

    /// Begins inspections while there is room; one of a container at a time.
    fn inspect_more(&mut self) {
        for _ in 0..self.waiting.len() {
            if self.inspecting.len() >= AT_ONCE {
                return;
            }
            let Some(id) = self.waiting.pop_front() else {
                return;
            };
            if self.inspecting.contains(&id) {
                self.waiting.push_back(id);
                continue;
            }
            let Some(news) = self.news.remove(&id) else {
                continue;
            };
            self.inspecting.insert(id.clone());
            let core = Arc::clone(&self.core);
            self.inspections.push(Box::pin(async move {
                let found = core.inspect(&id).await;
                let seen =
                    found.map(|found| found.and_then(|container| observe::read(&core.names, container)));
                (id, news, seen)
            }));
        }
    }

    fn inspected(&mut self, (id, news, seen): Inspected) -> Option<EngineError> {
        self.inspecting.remove(&id);
        match seen {
            // It ended since that was asked; what was answered may be older than what was told.
            Ok(Some(_)) if self.news.get(&id).is_some_and(|news| news.what == "die") => None,
            Ok(Some(seen)) if !self.gone.contains(&id) => {
                let News { what, at } = news;
                let (state, object) = (Box::new(seen.state), Box::new(seen.object));
                let workload = state.slot.workload.clone();
                self.make_ready(id.clone(), EngineEvent::Slot { state, what, at });
                self.make_ready(of_object(&id), EngineEvent::Object { workload, object });
                None
            }
            // Gone meanwhile, which an event says, or not ours.
            Ok(_) => None,
            Err(error) => Some(error),
        }
    }

    /// What is there now against what was seen: whatever differs is inspected, or told to be gone.
    async fn compare(&mut self, place: &Place) -> EngineResult<()> {
        let listed = self.core.list(&[]).await?;
        let now = self.core.clock.now();
        let mut there = HashSet::new();
        for container in listed {
            let Some(id) = container.id.clone() else { continue };
            there.insert(id.clone());
            let told = self.news.contains_key(&id) || self.inspecting.contains(&id);
            let same = place.seen.get(&id).is_none_or(|(_, phase)| looks_like(phase, &container));
            let new = self.known.insert(id.clone());
            if !told && (new || !same) {
                self.wait(id, News { what: "compare".into(), at: now });
            }
        }
        for (id, (slot, _)) in place.seen.iter().filter(|(id, _)| !there.contains(*id)) {
            self.tell_gone(id.clone(), slot.clone(), now);
        }
        Ok(())
    }
}

/// Under which name news of a container's own object wait, beside those of its replica.
fn of_object(id: &str) -> String {
    format!("{id}/object")
}

/// What an event of an end says: whether more comes of it is known from the labels that every event bears.
fn phase_of_end(attributes: &HashMap<String, String>) -> Phase {
    if Expected::from_labels(attributes).is_some_and(|expected| expected.restarts) {
        return Phase::Restarting;
    }
    let code = attributes.get("exitCode").and_then(|code| code.parse().ok());
    Phase::Exited { code: code.unwrap_or_default(), oom_killed: false }
}

async fn ask_pulse(core: Arc<Core>) -> EngineResult<()> {
    let asked = core.client.call("a sign of life", PULSE_LIMIT, |docker| async move { docker.ping().await });
    asked.await.map(|_| ())
}

/// Whether the one line that a list has of a container fits the phase it was seen in.
fn looks_like(phase: &Phase, container: &ContainerSummary) -> bool {
    use ContainerSummaryStateEnum as State;
    let status = container.status.as_deref().unwrap_or_default();
    match phase {
        Phase::Created => container.state == Some(State::CREATED),
        Phase::Starting => status.contains("(health: starting)"),
        Phase::Unhealthy => status.contains("(unhealthy)"),
        Phase::Running => {
            container.state == Some(State::RUNNING)
                && !status.contains("(health: starting)")
                && !status.contains("(unhealthy)")
        }
        Phase::Restarting => container.state == Some(State::RESTARTING),
        Phase::Paused => container.state == Some(State::PAUSED),
        Phase::Exited { .. } => container.state == Some(State::EXITED),
        // No container is so.
        Phase::Pending | Phase::Blocked => false,
        Phase::Dead => matches!(container.state, Some(State::DEAD | State::REMOVING)),
    }
}

/// Whatever ends the stream, the caller's way on is a new snapshot.
fn lost(error: EngineError) -> EngineError {
    match error {
        EngineError::Unreachable(_) => error,
        other => EngineError::Unreachable(format!("events may have been lost: {other}")),
    }
}
