//! Replicas that come, stay, are put right and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use slipway::domain::workload::{Image, VolumeMount};
use slipway::engine::{EngineError, Phase, PrepareRequest, SlotRef, SlotState};

use super::bed::{Bed, Harness, Lacks, Lines, Tamper, sh};

pub async fn ensure_may_be_repeated<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("sleep 600"), 1).await;
    let before = bed.running(&up.ensured.slots[0]).await;
    let again = bed.engine.ensure(&up.request).await.unwrap();
    assert_eq!(again.slots, up.ensured.slots);
    assert!(again.fresh.is_empty() && again.stopped.is_empty() && again.superseded.is_empty());
    assert_eq!(bed.states().await, [before], "nothing about it changed");
}

pub async fn scaling_keeps_what_runs<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("sleep 600"), 1).await;
    let first = bed.running(&up.ensured.slots[0]).await;
    let mut service = sh("sleep 600");
    service.replicas = 3;
    let more = bed.up(service, 2).await;
    assert_eq!(more.request.hash, up.request.hash, "replicas are no part of the hash");
    assert_eq!((more.ensured.slots.len(), more.ensured.fresh.len()), (3, 2));
    assert_eq!(bed.state(&first.slot).await.as_ref(), Some(&first), "what ran was not touched");
    for slot in &more.ensured.fresh {
        let serves = bed.running(slot).await.serving;
        assert_eq!(serves, bed.lacks(Lacks::HeldScaling), "a fresh replica waits for its switch");
    }
    bed.engine.switch(&more.request).await.unwrap();
    for slot in &more.ensured.slots {
        assert!(bed.running(slot).await.serving);
    }
    let fewer = bed.up(sh("sleep 600"), 3).await;
    assert_eq!((fewer.ensured.slots.len(), fewer.ensured.superseded.len()), (1, 2));
    assert!(fewer.ensured.fresh.is_empty() && fewer.ensured.stopped.is_empty());
    bed.engine.switch(&fewer.request).await.unwrap();
    for slot in &fewer.ensured.superseded {
        bed.engine.retire(slot).await.unwrap();
    }
    assert_eq!(bed.states().await, [first]);
}

pub async fn an_unchanged_service_is_not_touched_by_another_revision<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("sleep 600"), 1).await;
    let before = bed.running(&up.ensured.slots[0]).await;
    let again = bed.up(sh("sleep 600"), 2).await;
    assert!(again.ensured.fresh.is_empty() && again.ensured.superseded.is_empty());
    bed.engine.switch(&again.request).await.unwrap();
    assert_eq!(bed.states().await, [before]);
}

pub async fn a_command_that_does_not_exist_is_named<H: Harness>(bed: &Bed<H>) {
    let mut service = sh("");
    service.command = Some(vec!["/no-such-program".into()]);
    let plan = bed.plan(service);
    let (resolution, _) = bed.prepare(&plan, None).await;
    let request = bed.request(&plan, &resolution, 1);
    let said = bed.bad_start(&request).await;
    assert!(said.contains("/no-such-program") && said.contains("`command`"), "{said}");
    let left = bed.states().await;
    assert_eq!(left.len(), 1, "what was made stays, for the caller to undo");
    bed.engine.retire(&left[0].slot).await.unwrap();
    assert_eq!(bed.states().await, []);
}

pub async fn a_stopped_replica_is_started_again<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("sleep 600"), 1).await;
    let before = bed.running(&up.ensured.slots[0]).await;
    if bed.lacks(Lacks::StoppedReplicas) {
        return it_comes_back_by_itself(bed, &before).await;
    }
    bed.harness.tamper(&before, Tamper::Stop).await;
    let stopped = bed.exited(&before.slot).await;
    assert!(stopped.ended_at.is_some() && !stopped.serving);
    let again = bed.engine.ensure(&up.request).await.unwrap();
    assert_eq!(again.fresh, again.slots);
    let after = bed.running(&before.slot).await;
    assert_eq!(after.engine_id, before.engine_id);
    assert!(after.serving);
}

/// An engine that keeps nothing stopped makes another replica for one that goes.
async fn it_comes_back_by_itself<H: Harness>(bed: &Bed<H>, before: &SlotState) {
    bed.harness.tamper(before, Tamper::Remove).await;
    let is_another = |state: &SlotState| state.engine_id != before.engine_id && state.phase == Phase::Running;
    let after = bed.until(&before.slot, is_another).await;
    assert!(after.serving);
    assert_eq!(bed.states().await, [after]);
}

pub async fn a_removed_replica_is_made_again<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("sleep 600"), 1).await;
    let before = bed.running(&up.ensured.slots[0]).await;
    if bed.lacks(Lacks::StoppedReplicas) {
        return it_comes_back_by_itself(bed, &before).await;
    }
    bed.harness.tamper(&before, Tamper::Remove).await;
    assert_eq!(bed.states().await, []);
    let again = bed.engine.ensure(&up.request).await.unwrap();
    assert_eq!(again.fresh, up.ensured.slots);
    let after = bed.running(&before.slot).await;
    assert_ne!(after.engine_id, before.engine_id);
    assert!(after.serving);
}

pub async fn changed_limits_are_seen_and_put_right<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("sleep 600"), 1).await;
    let before = bed.running(&up.ensured.slots[0]).await;
    bed.harness.tamper(&before, Tamper::Limits).await;
    let drifted = bed.until(&before.slot, |state| state.drift.is_some()).await.drift.unwrap();
    assert!(drifted.contains("memory") || drifted.contains("by hand by kubectl-set"), "{drifted}");
    let again = bed.engine.ensure(&up.request).await.unwrap();
    if bed.lacks(Lacks::StoppedReplicas) {
        // Its pods are made anew, from what was asked.
        let right = |state: &SlotState| state.drift.is_none() && state.phase == Phase::Running;
        bed.until(&before.slot, right).await;
        return;
    }
    assert!(again.fresh.is_empty(), "it is put right in place");
    assert_eq!(bed.states().await, [before]);
}

pub async fn a_replica_taken_off_its_network_is_seen_and_put_back<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("sleep 600"), 1).await;
    let before = bed.running(&up.ensured.slots[0]).await;
    if bed.lacks(Lacks::Detach) {
        assert!(before.serving && before.drift.is_none());
        return;
    }
    bed.harness.tamper(&before, Tamper::Detach).await;
    let drifted = bed.state(&before.slot).await.unwrap();
    assert!(drifted.drift.as_ref().is_some_and(|drift| drift.contains("network")), "{:?}", drifted.drift);
    assert!(!drifted.serving);
    let again = bed.engine.ensure(&up.request).await.unwrap();
    assert!(again.fresh.is_empty());
    let after = bed.state(&before.slot).await.unwrap();
    assert!(after.serving && after.drift.is_none(), "{after:?}");
    assert_eq!(after.engine_id, before.engine_id);
}

pub async fn a_woken_replica_is_the_same<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("sleep 600"), 1).await;
    let before = bed.running(&up.ensured.slots[0]).await;
    if bed.lacks(Lacks::Pause) {
        bed.engine.retire(&before.slot).await.unwrap();
        assert_eq!(bed.states().await, []);
        return;
    }
    bed.harness.tamper(&before, Tamper::Pause).await;
    bed.until(&before.slot, |state| state.phase == Phase::Paused).await;
    bed.engine.ensure(&up.request).await.unwrap();
    let after = bed.running(&before.slot).await;
    assert_eq!(after.engine_id, before.engine_id);
    bed.harness.tamper(&after, Tamper::Pause).await;
    bed.engine.retire(&before.slot).await.unwrap();
    assert_eq!(bed.states().await, [], "a paused one can be retired");
}

pub async fn retiring_what_is_gone_is_no_error<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("sleep 600"), 1).await;
    let slot = &up.ensured.slots[0];
    bed.engine.retire(slot).await.unwrap();
    bed.engine.retire(slot).await.unwrap();
    bed.engine.revive(std::slice::from_ref(slot)).await.unwrap();
    assert_eq!(bed.states().await, []);
}

pub async fn a_workload_with_replicas_is_not_released<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("sleep 600"), 1).await;
    let error = bed.engine.release(&bed.workload, true).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused(_)), "{error}");
    bed.engine.retire(&up.ensured.slots[0]).await.unwrap();
    bed.engine.release(&bed.workload, true).await.unwrap();
    bed.engine.release(&bed.workload, true).await.unwrap();
    // And from nothing up again.
    let again = bed.up(sh("sleep 600"), 2).await;
    bed.running(&again.ensured.slots[0]).await;
}

pub async fn volumes_outlive_a_release_that_does_not_name_them<H: Harness>(bed: &Bed<H>) {
    let with_volume = |script: &str| {
        let mut service = sh(script);
        service.volumes = vec![VolumeMount {
            volume: "data".parse().unwrap(),
            target: "/data".into(),
            read_only: false,
            scratch: false,
        }];
        service
    };
    if bed.lacks(Lacks::DynamicVolumes) {
        bed.harness.provide_volume().await;
    }
    let up = bed.up(with_volume("touch /data/kept; sleep 600"), 1).await;
    bed.running(&up.ensured.slots[0]).await;
    bed.engine.retire(&up.ensured.slots[0]).await.unwrap();
    bed.engine.release(&bed.workload, false).await.unwrap();
    let again = bed.up(with_volume("sleep 600"), 2).await;
    bed.running(&again.ensured.slots[0]).await;
    bed.engine.retire(&again.ensured.slots[0]).await.unwrap();
    bed.engine.release(&bed.workload, true).await.unwrap();
    bed.engine.release(&bed.workload, true).await.unwrap();
}

pub async fn images_of_retained_revisions_are_kept<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("sleep 600"), 1).await;
    let id = up.resolution.images[&bed.service].id.clone();
    let keep = BTreeSet::from([id.clone()]);
    bed.engine.forget_images(&bed.workload, &keep).await.unwrap();
    bed.engine.forget_images(&bed.workload, &BTreeSet::new()).await.unwrap();
    bed.engine.forget_images(&bed.workload, &BTreeSet::new()).await.unwrap();
    let after = bed.running(&up.ensured.slots[0]).await;
    assert_eq!(after.image_id, id, "what runs from it runs on");
}

pub async fn pinned_images_are_used_whatever_their_names_mean<H: Harness>(bed: &Bed<H>) {
    let plan = bed.plan(sh("sleep 600"));
    let (resolution, _) = bed.prepare(&plan, None).await;
    let pinned: BTreeMap<_, _> = resolution.images.clone();
    let mut renamed = sh("sleep 600");
    renamed.image = Image::Reference("registry.invalid/another:1".into());
    let request = PrepareRequest {
        plan: Arc::new(bed.plan(renamed)),
        files: None,
        registries: bed.harness.registries(),
        pinned: pinned.clone(),
        builder: bed.harness.builder(),
    };
    let again = bed.engine.prepare(&request, &Lines::default()).await.unwrap();
    assert_eq!(again.images, pinned);
    let slot =
        SlotRef { workload: bed.workload.clone(), service: bed.service.clone(), hash: "0".into(), index: 0 };
    assert_eq!(bed.state(&slot).await, None, "preparing starts nothing");
}
