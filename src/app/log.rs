//! Replicas' output: history merged by time, and what comes as it comes, over updates and restarts.
//!
//! Lines pass through as the engine gave them. Nothing is buffered beyond a batch for each replica: whoever reads slowly
//! slows down only its own streams.

mod follow;
mod followed;
mod merge;
mod position;

use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::{App, load};
use crate::domain::access::{Caller, InfrastructureRight, Subject};
use crate::domain::clock::Timestamp;
use crate::domain::deployment::DeploymentRight;
use crate::domain::name::{DeploymentId, ServiceName};
use crate::domain::{Error, Kind, Problem, Result};
use crate::engine::{ContainerLine, Engine, EngineError, LogOptions, SlotState};
use crate::store;
pub use follow::follow;
pub use followed::is_gap;
pub use position::{Mark, Position};

/// Which lines of which replicas.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// All services where none is named.
    pub service: Option<ServiceName>,
    /// Counted from 1; all replicas where none is named.
    pub replica: Option<u32>,
    /// Only the last lines of each replica; `None` is all.
    pub tail: Option<u32>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Where a reader was that goes on following. Of a replica that it does not name everything since `since` is wanted.
    pub after: Position,
}

impl Wanted {
    fn takes(&self, slot: &SlotState) -> bool {
        self.service.as_ref().is_none_or(|service| *service == slot.slot.service)
            && self.replica.is_none_or(|replica| replica == slot.slot.index + 1)
    }

    fn options(&self, follow: bool) -> LogOptions {
        LogOptions { tail: self.tail, since: self.since, until: self.until, follow }
    }
}

/// Whose lines they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub service: ServiceName,
    /// Counted from 1.
    pub replica: u32,
}

impl Place {
    fn of(slot: &SlotState) -> Arc<Self> {
        Arc::new(Self { service: slot.slot.service.clone(), replica: slot.slot.index + 1 })
    }
}

/// One replica's place, and its id on the engine.
#[derive(Debug, Clone)]
struct Whose {
    place: Arc<Place>,
    source: Arc<str>,
}

impl Whose {
    fn of(slot: &SlotState) -> Self {
        Self { place: Place::of(slot), source: slot.engine_id.as_str().into() }
    }

    fn batch(&self, lines: Vec<ContainerLine>) -> Batch {
        Batch { place: Arc::clone(&self.place), source: Arc::clone(&self.source), lines, over: false }
    }
}

/// Consecutive lines of one replica.
#[derive(Debug, Clone)]
pub struct Batch {
    pub place: Arc<Place>,
    /// The replica's id on the engine.
    pub source: Arc<str>,
    /// May be empty where it is over.
    pub lines: Vec<ContainerLine>,
    /// Whether the replica has gone away: nothing more comes of it.
    pub over: bool,
}

/// Lines to come, and whether they are of more than one replica.
pub struct Lines {
    pub several: bool,
    pub batches: BoxStream<'static, Result<Batch>>,
}

/// What there is of a deployment's output, oldest first.
///
/// # Errors
/// Without `view`; a service that is not there, naming those that are; `engine_unreachable`.
pub async fn history(app: &App, caller: &Caller, id: DeploymentId, wanted: Wanted) -> Result<Lines> {
    let (engine, slots) = open(app, caller, &id, &wanted).await?;
    let options = wanted.options(false);
    let mut sources = Vec::with_capacity(slots.len());
    for slot in &slots {
        if let Some(lines) = lines_of(engine.as_ref(), slot, &options).await? {
            sources.push((Whose::of(slot), lines));
        }
    }
    let several = several(&slots);
    let batches = match sources.len() {
        1 => {
            let (whose, lines) = sources.swap_remove(0);
            batches_of(whose, lines)
        }
        _ => merge::by_time(sources),
    };
    Ok(Lines { several, batches })
}

fn several(slots: &[SlotState]) -> bool {
    let places = slots.iter().map(|slot| (&slot.slot.service, slot.slot.index));
    places.collect::<std::collections::BTreeSet<_>>().len() > 1
}

/// The engine and the replicas that `wanted` takes.
async fn open(
    app: &App,
    caller: &Caller,
    id: &DeploymentId,
    wanted: &Wanted,
) -> Result<(Arc<dyn Engine>, Vec<SlotState>)> {
    let (subject, id) = (caller.subject.clone(), id.clone());
    let (infrastructure, slots) = app
        .store
        .read(move |db| {
            let deployment = load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let system = Subject::system();
            let infrastructure =
                load::infrastructure(db, &deployment.infrastructure, &system, InfrastructureRight::View)?;
            let slots: Vec<SlotState> = store::observation::slots(db, &infrastructure.id, &id)?;
            Ok((infrastructure, slots))
        })
        .await?;
    let taken: Vec<SlotState> = slots.iter().filter(|slot| wanted.takes(slot)).cloned().collect();
    if taken.is_empty() && !slots.is_empty() {
        return Err(nothing_taken(wanted, &slots));
    }
    Ok((app.engines.get(&infrastructure), taken))
}

fn nothing_taken(wanted: &Wanted, slots: &[SlotState]) -> Error {
    let names: std::collections::BTreeSet<String> =
        slots.iter().map(|slot| format!("{}/{}", slot.slot.service, slot.slot.index + 1)).collect();
    let names: Vec<String> = names.into_iter().collect();
    let place = if wanted.service.is_some() { "service" } else { "replica" };
    let problem = Problem::new(place, "no replica of that name runs")
        .hint(format!("Those that there are: {}.", names.join(", ")));
    Error::problems("no_such_replica", vec![problem])
}

type RawLines = BoxStream<'static, Result<Vec<ContainerLine>, EngineError>>;

/// A slot's output; `None` when it went away meanwhile.
async fn lines_of(engine: &dyn Engine, slot: &SlotState, options: &LogOptions) -> Result<Option<RawLines>> {
    match engine.logs(&slot.slot, options).await {
        Ok(lines) => Ok(Some(lines)),
        Err(EngineError::NoSuchSlot) => Ok(None),
        Err(error) => Err(engine_failed(&error)),
    }
}

/// What an engine's refusal means to a reader.
pub(super) fn engine_failed(error: &EngineError) -> Error {
    match error {
        EngineError::Unreachable(_) | EngineError::Timeout { .. } => {
            Error::new(Kind::Unavailable, "engine_unreachable", error.to_string())
                .hint("What runs goes on running. Try again when the engine answers.")
        }
        EngineError::NoSuchSlot => Error::new(Kind::NotFound, "not_found", error.to_string()),
        _ => Error::new(Kind::Unavailable, "engine_refused", error.to_string()),
    }
}

/// One replica's lines as batches. A replica that goes away while it is read has ended.
fn batches_of(whose: Whose, lines: RawLines) -> BoxStream<'static, Result<Batch>> {
    lines
        .filter_map(move |lines| {
            let batch = match lines {
                Ok(lines) => Some(Ok(whose.batch(lines))),
                Err(EngineError::NoSuchSlot) => None,
                Err(error) => Some(Err(engine_failed(&error))),
            };
            std::future::ready(batch)
        })
        .boxed()
}

/// No lines at all.
fn nothing() -> BoxStream<'static, Result<Batch>> {
    stream::empty().boxed()
}
