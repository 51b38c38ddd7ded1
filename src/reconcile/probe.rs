//! Asks the programs of running replicas for their health, where their service says at which place, and notes what they
//! answer. The fold takes it from there: an answer of 500 or more is an unhealthy deployment.
//!
//! Silence is told only of a program that has answered before: an image may have nothing that would, and one that is
//! starting is none the worse for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tokio::time::sleep;

use super::Shared;
use super::definition::Definition;
use super::table::Reach;
use crate::domain::health::Answer;
use crate::domain::infrastructure::Infrastructure;
use crate::domain::name::{DeploymentId, InfrastructureId};
use crate::domain::workload::MetricsEndpoint;
use crate::domain::{Error, Result};
use crate::engine::probe::{self, Silence};
use crate::engine::{Phase, SlotRef};
use crate::store;

/// Programs that are asked at once.
const AT_ONCE: usize = 32;

/// So many times in a row a program has to be silent before it is told of.
const SILENT: u32 = 3;

/// How often in a row programs were silent, by their engine's ids.
type Quiet = HashMap<String, u32>;

/// One program that is to be asked.
struct Target {
    on: Infrastructure,
    slot: SlotRef,
    engine_id: String,
    place: MetricsEndpoint,
    /// What it answered last.
    before: Option<Answer>,
}

/// Works until the reconcilers are stopped.
pub(super) async fn work(shared: Arc<Shared>) {
    let mut quiet = Quiet::new();
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = sleep(shared.settings.probe_every) => {}
        }
        let timed = shared.timed("probes");
        tokio::select! {
            () = shared.stop.cancelled() => return,
            result = round(&shared, &mut quiet) => timed.done(result),
        }
    }
}

/// Asks each program once, and writes what became different.
async fn round(shared: &Arc<Shared>, quiet: &mut Quiet) -> Result<()> {
    let targets = targets(shared).await?;
    quiet.retain(|engine_id, _| targets.iter().any(|target| target.engine_id == *engine_id));
    if targets.is_empty() {
        return Ok(());
    }
    let client = probe::client().map_err(Error::internal)?;
    let within = shared.settings.probe_within;
    let asked = stream::iter(targets).map(|target| {
        let (client, engine) = (client.clone(), shared.engines.get(&target.on));
        async move {
            let said = probe::ask(&client, engine.as_ref(), &target.slot, &target.place, within).await;
            (target, said.map(|answer| answer.status().as_u16()))
        }
    });
    let answers: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
    let judged = answers.into_iter().filter_map(|(target, said)| {
        let before = target.before.as_ref();
        let answer = judge(&target.engine_id, before, said, quiet)?;
        (Some(&answer) != before).then_some((target, answer))
    });
    note(shared, judged.collect()).await
}

/// What is made of the status that it answered with; `None` where nothing may be concluded.
fn judge(
    engine_id: &str,
    before: Option<&Answer>,
    said: Result<u16, Silence>,
    quiet: &mut Quiet,
) -> Option<Answer> {
    let why = match said {
        Ok(status) => {
            quiet.remove(engine_id);
            return Some(if status < 500 { Answer::Well } else { Answer::Unwell { status } });
        }
        // That an engine can't be reached is told of the engine.
        Err(Silence::Engine(_)) => return None,
        Err(Silence::Program(why)) => why,
    };
    before?;
    let times = quiet.entry(engine_id.to_owned()).or_default();
    *times = times.saturating_add(1);
    (*times >= SILENT).then_some(Answer::Silent { why })
}

/// The programs of wanted replicas that run, on engines that answer.
async fn targets(shared: &Arc<Shared>) -> Result<Vec<Target>> {
    let (shared, store) = (Arc::clone(shared), shared.store.clone());
    store
        .read_much(move |db| {
            let all = store::infrastructure::all(db)?.into_iter();
            let reached = |one: &Infrastructure| *shared.table.reach(&one.id).borrow() == Reach::Reachable;
            let all: BTreeMap<InfrastructureId, Infrastructure> =
                all.filter(reached).map(|one| (one.id.clone(), one)).collect();
            let mut targets = Vec::new();
            for (id, infrastructure, number) in store::deployment::running_pipelines(db)? {
                let definition = Definition::load(db, &id, number)?;
                if let (Some(on), Some(definition)) = (all.get(&infrastructure), definition) {
                    let answers = store::observation::answers(db, &infrastructure, &id)?;
                    targets.extend(programs(&shared, on, &definition, &id, answers));
                }
            }
            Ok(targets)
        })
        .await
}

fn programs(
    shared: &Shared,
    on: &Infrastructure,
    definition: &Definition,
    id: &DeploymentId,
    mut answers: HashMap<String, Answer>,
) -> Vec<Target> {
    let slots = shared.table.slots(&on.id, id);
    let running = slots.iter().map(|seen| &seen.state).filter(|state| state.phase == Phase::Running);
    let wanted = running.filter(|state| definition.wants_now(&state.slot, &slots));
    let target = |state: &crate::engine::SlotState| {
        let place = definition.plan.workload.services.get(&state.slot.service)?.health.clone()?;
        let (slot, engine_id) = (state.slot.clone(), state.engine_id.clone());
        Some(Target { on: on.clone(), slot, before: answers.remove(&engine_id), engine_id, place })
    };
    wanted.filter_map(target).collect()
}

async fn note(shared: &Shared, judged: Vec<(Target, Answer)>) -> Result<()> {
    if judged.is_empty() {
        return Ok(());
    }
    let marked: Vec<DeploymentId> = judged.iter().map(|(target, _)| target.slot.workload.clone()).collect();
    shared
        .store
        .observe(move |tx| {
            for (target, answer) in &judged {
                store::observation::put_answer(tx, &target.on.id, &target.engine_id, answer)?;
            }
            Ok(())
        })
        .await?;
    marked.into_iter().for_each(|id| shared.dirty.add(id));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "c";

    fn nothing() -> Result<u16, Silence> {
        Err(Silence::Program("connection refused".into()))
    }

    #[test]
    fn five_hundred_and_more_is_unwell_and_what_is_less_is_well() {
        let mut quiet = Quiet::new();
        for status in [200, 204, 302, 404, 499] {
            assert_eq!(judge(ID, None, Ok(status), &mut quiet), Some(Answer::Well));
        }
        for status in [500, 503, 599] {
            let unwell = Some(Answer::Unwell { status });
            assert_eq!(judge(ID, Some(&Answer::Well), Ok(status), &mut quiet), unwell);
        }
    }

    #[test]
    fn silence_counts_in_a_row_and_only_of_a_program_that_has_answered() {
        let mut quiet = Quiet::new();
        for _ in 0..10 {
            assert_eq!(judge(ID, None, nothing(), &mut quiet), None, "it may have nothing to answer with");
        }
        let well = Some(&Answer::Well);
        let silent = Some(Answer::Silent { why: "connection refused".into() });
        assert_eq!(judge(ID, well, nothing(), &mut quiet), None);
        assert_eq!(judge(ID, well, nothing(), &mut quiet), None);
        assert_eq!(judge(ID, well, Ok(200), &mut quiet), Some(Answer::Well));
        assert_eq!(judge(ID, well, nothing(), &mut quiet), None, "counted anew");
        assert_eq!(judge(ID, well, nothing(), &mut quiet), None);
        assert_eq!(judge(ID, well, nothing(), &mut quiet), silent);
        let away = Err(Silence::Engine(crate::engine::EngineError::Unreachable("away".into())));
        assert_eq!(judge(ID, well, away, &mut quiet), None, "that is the engine's");
    }
}
