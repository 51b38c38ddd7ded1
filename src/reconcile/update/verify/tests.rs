use super::*;
use crate::domain::workload::{Healthcheck, Image};
use crate::engine::SlotState;
use crate::reconcile::definition::testing;

const SETTLE: Duration = Duration::from_millis(500);

fn settings() -> Settings {
    Settings {
        settle: SETTLE,
        ready_within: (Duration::from_secs(60), Duration::from_secs(600)),
        ..Settings::default()
    }
}

fn checked(start_period_ms: u64) -> Service {
    Service {
        healthcheck: Some(Healthcheck {
            test: HealthTest::Shell("true".into()),
            interval_ms: 10_000,
            timeout_ms: 5_000,
            retries: 3,
            start_period_ms,
            start_interval_ms: None,
        }),
        ..Service::new(Image::Reference("img".into()))
    }
}

fn plain(restart: Restart) -> Service {
    Service { restart, ..Service::new(Image::Reference("img".into())) }
}

fn task() -> Service {
    Service { kind: ServiceKind::Task, ..plain(Restart::No) }
}

/// A replica in its slot that has said nothing good yet.
fn state(wanted: &Slot) -> SlotState {
    SlotState {
        slot: wanted.slot.clone(),
        engine_id: "1".into(),
        revision: 1,
        phase: Phase::Running,
        started_at: None,
        ended_at: None,
        restarts: 0,
        detail: "no route".into(),
        image_id: String::new(),
        endpoints: Vec::new(),
        serving: false,
        drift: None,
        autoscaled: None,
    }
}

/// The verdict over one replica that has been in `phase` for `age`, after so many restarts.
fn verdict(service: Service, phase: Phase, age: Duration, restarts: u32, aim: Aim) -> Verdict {
    let definition = testing::definition(1, [("api", service)]);
    let name = "api".parse().unwrap();
    let wanted = Slot::of_service(&definition, &name, &settings());
    let now = Instant::now() + Duration::from_secs(3_600);
    let state = SlotState { phase, restarts, ..state(&wanted[0]) };
    let seen = Seen { state, since: now - age };
    judge(&wanted, &[Arc::new(seen)], aim, now)
}

fn is_bad(verdict: &Verdict, expected: &Fault) -> bool {
    matches!(verdict, Verdict::Bad(_, fault, detail) if fault == expected && detail == "no route")
}

#[test]
fn without_a_health_check_it_has_to_stay_up_for_a_moment() {
    let young = SETTLE / 2;
    let running = |age, restarts| verdict(plain(Restart::Always), Phase::Running, age, restarts, Aim::Ready);
    assert!(matches!(running(young, 0), Verdict::Wait(Some(_))));
    assert_eq!(running(SETTLE, 0), Verdict::Good);
    assert!(matches!(running(SETTLE, 1), Verdict::Wait(Some(_))), "one that fell once has to prove itself");
    assert_eq!(running(SETTLE * 4, 1), Verdict::Good);
}

#[test]
fn a_passed_health_check_is_enough_and_a_failed_one_decides() {
    let now = Duration::ZERO;
    assert_eq!(verdict(checked(0), Phase::Running, now, 0, Aim::Ready), Verdict::Good);
    assert_eq!(verdict(checked(0), Phase::Starting, now, 0, Aim::Ready), Verdict::Wait(None));
    assert!(is_bad(&verdict(checked(0), Phase::Unhealthy, now, 0, Aim::Ready), &Fault::Unhealthy));
}

#[test]
fn an_end_is_final_only_where_nothing_starts_it_again() {
    let (code, oom_killed) = (3, false);
    let exited = Phase::Exited { code, oom_killed };
    let ended = |restart, age| verdict(plain(restart), exited.clone(), age, 0, Aim::Ready);
    assert!(is_bad(&ended(Restart::No, Duration::ZERO), &Fault::Exited { code, oom_killed }));
    assert!(matches!(ended(Restart::Always, Duration::ZERO), Verdict::Wait(Some(_))));
    assert!(is_bad(&ended(Restart::Always, RESTART_WITHIN), &Fault::Exited { code, oom_killed }));
    let looping =
        |restarts, age| verdict(plain(Restart::Always), Phase::Restarting, age, restarts, Aim::Ready);
    assert!(matches!(looping(1, Duration::ZERO), Verdict::Wait(Some(_))));
    assert!(is_bad(&looping(3, Duration::ZERO), &Fault::CrashLoop { restarts: 3 }));
    assert!(is_bad(&looping(1, RESTART_WITHIN), &Fault::CrashLoop { restarts: 1 }));
}

#[test]
fn a_task_may_run_on_unless_its_end_is_waited_for() {
    let exited = |code| Phase::Exited { code, oom_killed: false };
    assert_eq!(verdict(task(), Phase::Running, SETTLE, 0, Aim::Ready), Verdict::Good);
    assert_eq!(verdict(task(), Phase::Running, SETTLE, 0, Aim::Completed), Verdict::Wait(None));
    for aim in [Aim::Ready, Aim::Completed] {
        assert_eq!(verdict(task(), exited(0), Duration::ZERO, 0, aim), Verdict::Good);
        let bad = verdict(task(), exited(1), Duration::ZERO, 0, aim);
        assert!(is_bad(&bad, &Fault::Exited { code: 1, oom_killed: false }));
    }
}

#[test]
fn a_replica_that_is_not_seen_yet_is_waited_for_and_one_bad_one_decides() {
    let definition = testing::definition(1, [("api", plain(Restart::No))]);
    let wanted = Slot::of_service(&definition, &"api".parse().unwrap(), &settings());
    assert_eq!(judge(&wanted, &[], Aim::Ready, Instant::now()), Verdict::Wait(None));
}

#[test]
fn a_slow_health_check_gets_its_own_time_within_bounds() {
    assert_eq!(ready_within(&plain(Restart::No), &settings()), Duration::from_secs(60));
    assert_eq!(ready_within(&checked(1_000), &settings()), Duration::from_secs(61));
    assert_eq!(ready_within(&checked(90_000), &settings()), Duration::from_secs(150));
    assert_eq!(ready_within(&checked(9_000_000), &settings()), Duration::from_secs(600));
}

#[test]
fn as_many_are_awaited_as_an_autoscaler_wants() {
    let definition = testing::definition(1, [("api", Service { replicas: 2, ..plain(Restart::Always) })]);
    let wanted = Slot::of_service(&definition, &"api".parse().unwrap(), &settings());
    let awaited = |autoscaled| {
        let seen = Seen { state: SlotState { autoscaled, ..state(&wanted[0]) }, since: Instant::now() };
        as_scaled(&wanted, &[Arc::new(seen)]).len()
    };
    assert_eq!((awaited(None), awaited(Some(1)), awaited(Some(3))), (2, 1, 3));
}
