//! One revision after another.

use slipway::domain::workload::{HealthTest, Healthcheck, Service, UpdateOrder};
use slipway::engine::{EngineError, Phase};

use super::bed::{Bed, Harness, Lacks, sh};

fn check(test: HealthTest) -> Healthcheck {
    Healthcheck {
        test,
        interval_ms: 200,
        timeout_ms: 5_000,
        retries: 1,
        start_period_ms: 0,
        start_interval_ms: None,
    }
}

fn stop_first(script: &str) -> Service {
    let mut service = sh(script);
    service.order = UpdateOrder::StopFirst;
    service
}

pub async fn start_first_goes_on_serving_until_the_switch<H: Harness>(bed: &Bed<H>) {
    let old = bed.up(sh("sleep 600"), 1).await;
    let before = bed.running(&old.ensured.slots[0]).await;
    let new = bed.up(sh("sleep 601"), 2).await;
    assert_ne!(new.request.hash, old.request.hash);
    assert_eq!((&new.ensured.superseded, new.ensured.stopped.len()), (&old.ensured.slots, 0));
    let fresh = bed.running(&new.ensured.slots[0]).await;
    assert!(!fresh.serving);
    assert_eq!(bed.state(&before.slot).await, Some(before.clone()), "the old one serves as before");
    bed.engine.switch(&new.request).await.unwrap();
    assert!(bed.running(&fresh.slot).await.serving);
    let old = bed.state(&before.slot).await;
    assert!(old.is_none_or(|old| !old.serving), "nobody finds the old one any more");
    bed.engine.retire(&before.slot).await.unwrap();
    let left = bed.states().await;
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].engine_id.as_str(), left[0].revision), (fresh.engine_id.as_str(), 2));
}

pub async fn stop_first_keeps_the_old_ones_for_a_failure<H: Harness>(bed: &Bed<H>) {
    let old = bed.up(stop_first("sleep 600"), 1).await;
    let before = bed.running(&old.ensured.slots[0]).await;
    let new = bed.up(stop_first("sleep 601"), 2).await;
    assert_eq!(new.ensured.stopped, old.ensured.slots);
    assert!(new.ensured.superseded.is_empty());
    assert!(bed.running(&new.ensured.slots[0]).await.serving, "nothing else serves");
    let kept = bed.state(&before.slot).await;
    if bed.lacks(Lacks::StoppedReplicas) {
        assert_eq!(kept, None, "its template alone is kept");
    } else {
        let kept = kept.unwrap();
        assert!(matches!(kept.phase, Phase::Exited { .. }) && !kept.serving, "{kept:?}");
    }
    // The new one turns out to be bad: back.
    bed.engine.retire(&new.ensured.slots[0]).await.unwrap();
    bed.engine.revive(&new.ensured.stopped).await.unwrap();
    bed.engine.revive(&new.ensured.stopped).await.unwrap();
    let back = bed.running(&before.slot).await;
    assert_eq!(back.engine_id == before.engine_id, !bed.lacks(Lacks::StoppedReplicas));
    assert!(back.serving && back.revision == 1);
}

pub async fn a_cut_off_stop_first_is_taken_up_again<H: Harness>(bed: &Bed<H>) {
    let old = bed.up(stop_first("sleep 600"), 1).await;
    let new = bed.up(stop_first("sleep 601"), 2).await;
    // Whoever asked was killed before it heard the answer.
    let again = bed.engine.ensure(&new.request).await.unwrap();
    assert_eq!(again.stopped, old.ensured.slots, "still known to be kept");
    assert_eq!(again.slots, new.ensured.slots);
    assert!(again.fresh.is_empty());
}

pub async fn a_failed_start_leaves_the_old_ones_serving<H: Harness>(bed: &Bed<H>) {
    let old = bed.up(sh("sleep 600"), 1).await;
    let before = bed.running(&old.ensured.slots[0]).await;
    let mut bad = sh("");
    bad.command = Some(vec!["/no-such-program".into()]);
    let plan = bed.plan(bad);
    let (resolution, _) = bed.prepare(&plan, None).await;
    let request = bed.request(&plan, &resolution, 2);
    bed.bad_start(&request).await;
    assert_eq!(bed.state(&before.slot).await, Some(before.clone()));
    let bad = bed.states().await.into_iter().find(|state| state.slot.hash == request.hash);
    bed.engine.retire(&bad.unwrap().slot).await.unwrap();
    assert_eq!(bed.states().await, [before]);
}

pub async fn a_health_check_that_passes_makes_it_ready<H: Harness>(bed: &Bed<H>) {
    let mut service = sh("sleep 600");
    service.healthcheck = Some(check(HealthTest::Shell("exit 0".into())));
    let up = bed.up(service, 1).await;
    let state = bed.running(&up.ensured.slots[0]).await;
    assert!(state.phase.is_ready(false) && state.detail.is_empty());
}

pub async fn a_health_check_that_fails_says_why<H: Harness>(bed: &Bed<H>) {
    let mut service = sh("sleep 600");
    service.healthcheck = Some(check(HealthTest::Exec(vec!["sh".into(), "-c".into(), "exit 3".into()])));
    let up = bed.up(service, 1).await;
    let state = bed.until(&up.ensured.slots[0], |state| state.phase == Phase::Unhealthy).await;
    assert!(!state.phase.is_ready(false));
    assert!(state.detail.contains("health check"), "{}", state.detail);
}

pub async fn switching_to_what_is_not_there_is_an_error<H: Harness>(bed: &Bed<H>) {
    let plan = bed.plan(sh("sleep 600"));
    let (resolution, _) = bed.prepare(&plan, None).await;
    let request = bed.request(&plan, &resolution, 1);
    assert_eq!(bed.engine.switch(&request).await, Err(EngineError::NoSuchSlot));
}

pub async fn switching_may_be_repeated<H: Harness>(bed: &Bed<H>) {
    bed.up(sh("sleep 600"), 1).await;
    let new = bed.up(sh("sleep 601"), 2).await;
    bed.engine.switch(&new.request).await.unwrap();
    let before = bed.states().await;
    bed.engine.switch(&new.request).await.unwrap();
    assert_eq!(bed.states().await, before);
}
