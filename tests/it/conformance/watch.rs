//! What an engine tells of changes.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use slipway::engine::{
    Cursor, EngineError, EngineEvent, EngineObject, EngineResult, Phase, SlotRef, SlotState, label,
};

use super::bed::{Bed, Harness, Lacks, Tamper, sh};

/// What a listener knows by now.
#[derive(Default)]
struct Known {
    states: BTreeMap<SlotRef, SlotState>,
    gone: Vec<String>,
    objects: BTreeMap<String, EngineObject>,
    told: usize,
}

impl Known {
    /// Listens until `is` holds.
    async fn until(
        &mut self,
        events: &mut BoxStream<'static, EngineResult<EngineEvent>>,
        is: impl Fn(&Self) -> bool,
    ) {
        while !is(self) {
            let next = tokio::time::timeout(Duration::from_secs(30), events.next()).await;
            let event = next.expect("an event in time").expect("the stream goes on").unwrap();
            let of_replica = !matches!(event, EngineEvent::Object { .. } | EngineEvent::ObjectGone { .. });
            self.told += usize::from(of_replica);
            match event {
                EngineEvent::Slot { state, .. } => {
                    // A replica may move up when one before it goes.
                    self.states.retain(|_, known| known.engine_id != state.engine_id);
                    self.states.insert(state.slot.clone(), *state);
                }
                EngineEvent::Ended { slot, phase, .. } => {
                    if let Some(state) = self.states.get_mut(&slot) {
                        state.phase = phase;
                    }
                }
                EngineEvent::Gone { slot, engine_id, .. } => {
                    if self.states.get(&slot).is_some_and(|state| state.engine_id == engine_id) {
                        self.states.remove(&slot);
                    }
                    self.objects.remove(&engine_id);
                    self.gone.push(engine_id);
                }
                EngineEvent::Object { object, .. } => {
                    self.objects.insert(object.uid.clone(), *object);
                }
                EngineEvent::ObjectGone { uid, .. } => {
                    self.objects.remove(&uid);
                }
            }
        }
    }

    fn phase(&self, slot: &SlotRef) -> Option<Phase> {
        Some(self.states.get(slot)?.phase.clone())
    }
}

pub async fn events_from_a_snapshot_on_leave_no_gap<H: Harness>(bed: &Bed<H>) {
    let mut two = sh("sleep 600");
    two.replicas = 2;
    let old = bed.up(two, 1).await;
    for slot in &old.ensured.slots {
        bed.running(slot).await;
    }
    if bed.lacks(Lacks::StoppedReplicas) {
        return a_new_revision_is_told_from_a_snapshot_on(bed).await;
    }
    let before: Vec<SlotState> = bed.states().await;
    let snapshot = bed.engine.snapshot().await.unwrap();
    // All of this happens before anybody listens.
    let new = bed.up(sh("sleep 601"), 2).await;
    bed.engine.retire(&old.ensured.slots[0]).await.unwrap();
    bed.harness.tamper(&before[1], Tamper::Stop).await;
    let mut events = bed.engine.watch(&snapshot.cursor).await.unwrap();
    let mut known = Known::default();
    let (gone, stopped, fresh) = (&before[0].engine_id, &before[1].slot, &new.ensured.slots[0]);
    known
        .until(&mut events, |known| {
            known.gone.contains(gone)
                && known.phase(fresh) == Some(Phase::Running)
                && matches!(known.phase(stopped), Some(Phase::Exited { .. }))
        })
        .await;
    let listed = bed.states().await;
    assert_eq!(known.states.into_values().collect::<Vec<_>>(), listed, "what was told is what is there");
}

async fn a_new_revision_is_told_from_a_snapshot_on<H: Harness>(bed: &Bed<H>) {
    let snapshot = bed.engine.snapshot().await.unwrap();
    let old: Vec<String> = snapshot.slots.iter().map(|state| state.engine_id.clone()).collect();
    // All of this happens before anybody listens.
    let new = bed.up(sh("sleep 601"), 2).await;
    bed.running(&new.ensured.slots[0]).await;
    bed.engine.switch(&new.request).await.unwrap();
    bed.engine.retire(&snapshot.slots[0].slot).await.unwrap();
    let mut events = bed.engine.watch(&snapshot.cursor).await.unwrap();
    let mut known = Known::default();
    let all_gone = |known: &Known| old.iter().all(|id| known.gone.contains(id));
    // What the switch changed is noted a moment after it is done: until then it looks like somebody else's hand.
    let settled = |state: &SlotState| state.serving && state.drift.is_none();
    let serves = |known: &Known| known.states.get(&new.ensured.slots[0]).is_some_and(settled);
    known.until(&mut events, |known| all_gone(known) && serves(known)).await;
    let listed = bed.states().await;
    assert_eq!(known.states.into_values().collect::<Vec<_>>(), listed, "what was told is what is there");
}

pub async fn what_happens_is_told_as_it_happens<H: Harness>(bed: &Bed<H>) {
    let snapshot = bed.engine.snapshot().await.unwrap();
    let mut events = bed.engine.watch(&snapshot.cursor).await.unwrap();
    let mut known = Known::default();
    let up = bed.up(sh("sleep 600"), 1).await;
    let slot = &up.ensured.slots[0];
    known.until(&mut events, |known| known.phase(slot) == Some(Phase::Running)).await;
    let state = known.states[slot].clone();
    if bed.lacks(Lacks::Pause) {
        bed.harness.tamper(&state, Tamper::Limits).await;
        known.until(&mut events, |known| known.states.values().any(|state| state.drift.is_some())).await;
        bed.engine.ensure(&up.request).await.unwrap();
        let settled =
            |known: &Known| known.states[slot].drift.is_none() && known.phase(slot) == Some(Phase::Running);
        return known.until(&mut events, settled).await;
    }
    bed.harness.tamper(&state, Tamper::Pause).await;
    known.until(&mut events, |known| known.phase(slot) == Some(Phase::Paused)).await;
    bed.harness.tamper(&state, Tamper::Unpause).await;
    known.until(&mut events, |known| known.phase(slot) == Some(Phase::Running)).await;
    bed.harness.tamper(&state, Tamper::Limits).await;
    known.until(&mut events, |known| known.states[slot].drift.is_some()).await;
    bed.engine.ensure(&up.request).await.unwrap();
    known.until(&mut events, |known| known.states[slot].drift.is_none()).await;
    bed.harness.tamper(&state, Tamper::Detach).await;
    known.until(&mut events, |known| !known.states[slot].serving).await;
    bed.harness.tamper(&state, Tamper::Stop).await;
    known.until(&mut events, |known| matches!(known.phase(slot), Some(Phase::Exited { .. }))).await;
}

pub async fn a_removal_is_told<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("sleep 600"), 1).await;
    let state = bed.running(&up.ensured.slots[0]).await;
    let snapshot = bed.engine.snapshot().await.unwrap();
    assert_eq!(snapshot.slots, std::slice::from_ref(&state));
    let mut events = bed.engine.watch(&snapshot.cursor).await.unwrap();
    bed.harness.tamper(&state, Tamper::Remove).await;
    let mut known = Known::default();
    known.until(&mut events, |known| known.gone.contains(&state.engine_id)).await;
}

pub async fn a_burst_ends_in_the_latest_state<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("sleep 600"), 1).await;
    let state = bed.running(&up.ensured.slots[0]).await;
    let snapshot = bed.engine.snapshot().await.unwrap();
    let mut events = bed.engine.watch(&snapshot.cursor).await.unwrap();
    if bed.lacks(Lacks::Pause) {
        return a_burst_of_removals_ends_in_the_latest_state(bed, &state, &mut events).await;
    }
    for _ in 0..40 {
        bed.harness.tamper(&state, Tamper::Pause).await;
        bed.harness.tamper(&state, Tamper::Unpause).await;
    }
    bed.harness.tamper(&state, Tamper::Stop).await;
    let mut known = Known::default();
    let ended = |known: &Known| matches!(known.phase(&state.slot), Some(Phase::Exited { .. }));
    known.until(&mut events, ended).await;
    assert!(known.told <= 100, "{} events", known.told);
}

async fn a_burst_of_removals_ends_in_the_latest_state<H: Harness>(
    bed: &Bed<H>,
    first: &SlotState,
    events: &mut BoxStream<'static, EngineResult<EngineEvent>>,
) {
    let mut known = Known::default();
    let mut last = first.clone();
    for _ in 0..4 {
        bed.harness.tamper(&last, Tamper::Remove).await;
        let old = last.engine_id.clone();
        last = bed.until(&first.slot, |state| state.engine_id != old && !state.engine_id.contains('/')).await;
    }
    let settled = bed.until(&first.slot, |state| state.phase == Phase::Running).await;
    known.until(events, |known| known.states.get(&first.slot) == Some(&settled)).await;
}

pub async fn an_unknown_place_asks_for_a_new_snapshot<H: Harness>(bed: &Bed<H>) {
    let error = bed.engine.watch(&Cursor("of another engine".into())).await.err();
    assert!(matches!(error, Some(EngineError::Unreachable(_))), "{error:?}");
}

pub async fn what_an_engine_says_of_its_objects_is_told<H: Harness>(bed: &Bed<H>) {
    let place = bed.engine.snapshot().await.unwrap();
    assert!(place.objects.is_empty(), "{:?}", place.objects);
    let mut events = bed.engine.watch(&place.cursor).await.unwrap();
    let mut known = Known::default();
    let up = bed.up(sh("sleep 1000"), 3).await;
    let holds = |object: &EngineObject| object.conditions.iter().any(|one| one.status == "True");
    known.until(&mut events, |known| known.objects.values().any(holds)).await;
    let (objects, slot) = (bed.engine.snapshot().await.unwrap().objects, &up.ensured.slots[0]);
    let (workload, object) = objects.first().expect("an object in a snapshot as well");
    assert_eq!((workload, &object.service), (&slot.workload, &slot.service));
    assert_eq!(object.labels[label::SERVICE], "api", "{object:?}");
    assert!(!object.name.is_empty() && known.objects.contains_key(&object.uid), "{object:?}");
    bed.engine.retire(slot).await.unwrap();
    known.until(&mut events, |known| known.objects.is_empty()).await;
    assert!(bed.engine.snapshot().await.unwrap().objects.is_empty());
}
