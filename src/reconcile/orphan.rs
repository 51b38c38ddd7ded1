//! Retires slots that carry our labels and that nothing wants: of a deployment that is gone, or left by a run that
//! was cut off. What is not ours never gets here: engines list only what carries this instance's label.
//!
//! A slot has to be an orphan for the whole grace, while no update of its workload is open, and is asked about once
//! more just before it goes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Shared;
use super::definition::Definition;
use super::table::Reach;
use crate::domain::access::Subject;
use crate::domain::deployment::DeploymentRight;
use crate::domain::infrastructure::Infrastructure;
use crate::domain::name::{DeploymentId, InfrastructureId};
use crate::domain::{Error, Result};
use crate::engine::SlotRef;
use crate::store;

/// When slots were first seen to be orphans.
type Since = HashMap<(InfrastructureId, SlotRef), Instant>;

/// Works until the reconcilers are stopped.
pub(super) async fn work(shared: Arc<Shared>) {
    let mut since = Since::new();
    let period = (shared.settings.orphan_grace / 4).clamp(Duration::from_millis(20), Duration::from_secs(15));
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = sleep(period) => {}
        }
        let timed = shared.timed("orphans");
        timed.done(look(&shared, &mut since).await);
    }
}

async fn look(shared: &Arc<Shared>, since: &mut Since) -> Result<()> {
    let infrastructures = shared.store.read_much(store::infrastructure::all).await?;
    let mut orphans = Vec::new();
    for infrastructure in infrastructures {
        if *shared.table.reach(&infrastructure.id).borrow() == Reach::Reachable {
            for workload in shared.table.workloads(&infrastructure.id) {
                for slot in unwanted(shared, &infrastructure.id, &workload).await? {
                    orphans.push((infrastructure.clone(), slot));
                }
            }
        }
    }
    let now = Instant::now();
    since.retain(|(id, slot), _| orphans.iter().any(|(on, orphan)| on.id == *id && orphan == slot));
    for (infrastructure, slot) in orphans {
        let first = *since.entry((infrastructure.id.clone(), slot.clone())).or_insert(now);
        if now.duration_since(first) >= shared.settings.orphan_grace {
            retire(shared, &infrastructure, slot).await?;
        }
    }
    Ok(())
}

/// Slots of a workload that nothing wants; none while an update of it is open, or while what it wants is not known.
///
/// Whose infrastructure the deployment names does not count: two may lead to one engine (stages of a small team, one
/// cluster by two addresses), and then each sees the other's replicas.
async fn unwanted(
    shared: &Shared,
    infrastructure: &InfrastructureId,
    workload: &DeploymentId,
) -> Result<Vec<SlotRef>> {
    let id = workload.clone();
    let wanted = shared
        .store
        .read_much(move |db| {
            let system = Subject::system();
            let Some(found) = store::deployment::find(db, &id, &system)? else {
                return Ok(Wanted::Nothing);
            };
            let deployment = found.authorize(&system, DeploymentRight::View)?;
            if !store::update::open_of(db, &id)?.is_empty() {
                return Ok(Wanted::Unknown);
            }
            let Some(running) = deployment.running_update else {
                return Ok(Wanted::Nothing);
            };
            Ok(match Definition::load(db, &id, running)? {
                Some(definition) if definition.is_resolved() => Wanted::Definition(Box::new(definition)),
                _ => Wanted::Unknown,
            })
        })
        .await?;
    let slots = shared.table.slots(infrastructure, workload);
    let all = slots.iter().map(|seen| &seen.state.slot);
    Ok(match wanted {
        Wanted::Unknown => Vec::new(),
        Wanted::Nothing => all.cloned().collect(),
        Wanted::Definition(definition) => {
            all.filter(|slot| !definition.wants_now(slot, &slots)).cloned().collect()
        }
    })
}

enum Wanted {
    Nothing,
    Definition(Box<Definition>),
    Unknown,
}

async fn retire(shared: &Arc<Shared>, infrastructure: &Infrastructure, slot: SlotRef) -> Result<()> {
    let _turn = shared.turns.acquire().await.map_err(Error::internal)?;
    if !unwanted(shared, &infrastructure.id, &slot.workload).await?.contains(&slot) {
        return Ok(());
    }
    tracing::info!(infrastructure = %infrastructure.id, workload = %slot.workload, service = %slot.service,
        hash = slot.hash, index = slot.index, "removing a replica that nothing wants");
    let engine = shared.engines.get(infrastructure);
    engine.retire(&slot).await.map_err(Error::internal)?;
    let others = shared.table.slots(&infrastructure.id, &slot.workload);
    let last = others.iter().all(|seen| seen.state.slot == slot);
    let (id, workload) = (infrastructure.id.clone(), slot.workload.clone());
    let gone = shared
        .store
        .read_much(move |db| {
            let found = store::deployment::find(db, &workload, &Subject::system())?;
            let found =
                found.map(|found| found.authorize(&Subject::system(), DeploymentRight::View)).transpose()?;
            Ok(found.is_none_or(|deployment| deployment.infrastructure != id))
        })
        .await?;
    if last && gone {
        engine.release(&slot.workload, false).await.map_err(Error::internal)?;
    }
    Ok(())
}
