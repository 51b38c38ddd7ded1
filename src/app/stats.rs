//! What replicas use right now, asked of the engine itself.

use std::time::Duration;

use futures_util::future::join_all;

use super::{App, load};
use crate::app::log::engine_failed;
use crate::domain::access::{Caller, InfrastructureRight, Subject};
use crate::domain::deployment::DeploymentRight;
use crate::domain::name::{DeploymentId, ServiceName};
use crate::domain::{Error, Result};
use crate::engine::{Engine, EngineError, Phase, SlotState, Stats};
use crate::store;

/// How long one replica's figures may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one replica uses, or why that is not known.
#[derive(Debug)]
pub struct SlotStats {
    pub service: ServiceName,
    /// Counted from 1.
    pub replica: u32,
    pub stats: Result<Stats>,
}

/// What a deployment's running replicas use now, all asked at once.
///
/// # Errors
/// Without `view`. An engine that does not answer is an error of each replica, not of the whole.
pub async fn of(app: &App, caller: &Caller, id: DeploymentId) -> Result<Vec<SlotStats>> {
    let subject = caller.subject.clone();
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
    let engine = app.engines.get(&infrastructure);
    let running = slots.iter().filter(|slot| runs(&slot.phase));
    Ok(join_all(running.map(|slot| one(engine.as_ref(), slot))).await)
}

fn runs(phase: &Phase) -> bool {
    matches!(phase, Phase::Starting | Phase::Running | Phase::Unhealthy | Phase::Paused)
}

async fn one(engine: &dyn Engine, slot: &SlotState) -> SlotStats {
    let stats = match tokio::time::timeout(PATIENCE, engine.stats(&slot.slot)).await {
        Ok(stats) => stats.map_err(|error| engine_failed(&error)),
        Err(_) => Err(too_slow()),
    };
    SlotStats { service: slot.slot.service.clone(), replica: slot.slot.index + 1, stats }
}

fn too_slow() -> Error {
    engine_failed(&EngineError::Timeout {
        what: "reading a replica's figures".to_owned(),
        seconds: PATIENCE.as_secs(),
    })
}
