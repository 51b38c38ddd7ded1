//! What runs to its end, and what should not have ended.

use slipway::domain::workload::{Restart, ServiceKind};
use slipway::engine::Phase;

use super::bed::{Bed, Harness, Lacks, sh};

pub async fn a_task_ends_with_its_code<H: Harness>(bed: &Bed<H>) {
    for code in [0, 3] {
        let mut service = sh(&format!("echo bye; exit {code}"));
        service.kind = ServiceKind::Task;
        let up = bed.up(service, 1).await;
        let state = bed.exited(&up.ensured.slots[0]).await;
        assert_eq!(state.phase, Phase::Exited { code, oom_killed: false });
        assert_eq!(state.phase.is_ready(true), code == 0);
        assert!(state.ended_at >= state.started_at && state.restarts == 0);
        assert_eq!(bed.output(&state.slot).await, ["bye"]);
        bed.engine.retire(&state.slot).await.unwrap();
    }
}

pub async fn a_task_that_ended_is_left_as_it_is<H: Harness>(bed: &Bed<H>) {
    let mut service = sh("exit 1");
    service.kind = ServiceKind::Task;
    let up = bed.up(service, 1).await;
    let before = bed.exited(&up.ensured.slots[0]).await;
    let again = bed.engine.ensure(&up.request).await.unwrap();
    assert_eq!((again.slots.len(), again.fresh.len()), (1, 0));
    assert_eq!(bed.states().await, [before]);
}

pub async fn a_crashing_service_is_started_again_by_the_engine<H: Harness>(bed: &Bed<H>) {
    let mut service = sh("exit 1");
    service.restart = Restart::OnFailure { attempts: None };
    let up = bed.up(service, 1).await;
    let slot = &up.ensured.slots[0];
    let state = bed.until(slot, |state| state.restarts > 0).await;
    assert!(!state.phase.is_ready(false) || state.phase == Phase::Running);
    if bed.lacks(Lacks::NoRestart) {
        return;
    }
    let mut service = sh("exit 0");
    service.restart = Restart::No;
    let up = bed.up(service, 2).await;
    let ended = bed.exited(&up.ensured.slots[0]).await;
    assert_eq!(ended.restarts, 0);
}
