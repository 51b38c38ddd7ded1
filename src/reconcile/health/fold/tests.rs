use std::collections::HashMap;
use std::sync::Arc;

use chrono::TimeDelta;
use tokio::time::Instant;
use uuid::Uuid;

use super::*;
use crate::domain::access::{Origin, Subject};
use crate::domain::bundle::Digest;
use crate::domain::deployment::{Deployment, Settings};
use crate::domain::health::Health;
use crate::domain::update::{Step, Update, UpdateKind};
use crate::domain::workload::{Image, MetricsEndpoint, Service, ServiceKind};
use crate::reconcile::definition::testing;
use crate::store::deployment::Digests;

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn service(replicas: u32) -> Service {
    Service { replicas, ..Service::new(Image::Reference("img".into())) }
}

fn ended(outcome: Outcome) -> Option<Update> {
    Some(Update {
        deployment: "d".parse().unwrap(),
        number: 1,
        kind: UpdateKind::Update,
        state: UpdateState::Ended { outcome, started_at: None, ended_at: now() },
        version: "1".parse().unwrap(),
        plan_digest: Digest::of(b"plan"),
        requester: Subject::system(),
        origin: Origin::Api,
        reason: None,
        rolls_back_to: None,
        created_at: now(),
        cancel_requested_by: None,
        switched: true,
        attempt: 1,
    })
}

fn failed() -> Outcome {
    Outcome::Failed {
        failure: Failure {
            code: "exited".into(),
            message: "it exited".into(),
            hint: "Mend it.".into(),
            step: Step::Verify,
            service: None,
            serving: "Nothing runs, as before.".into(),
        },
    }
}

/// A deployment whose two replicas of `api` were asked for and run.
fn facts() -> Facts {
    let digest = Some("same".to_owned());
    Facts {
        deployment: Deployment {
            id: "d".parse().unwrap(),
            source: crate::domain::deployment::Source::Bundle,
            removal: None,
            uuid: Uuid::nil(),
            project: "p".parse().unwrap(),
            infrastructure: "i".parse().unwrap(),
            version: "1".parse().unwrap(),
            enabled: true,
            settings: Settings::default(),
            auto_repair: false,
            folder: String::new(),
            deployed_project: None,
            created_at: now(),
            created_by: "t".into(),
            updated_at: now(),
            revision: 1,
            last_update: 1,
            running_update: Some(1),
        },
        state: State::unknown(),
        digests: Digests { wanted: digest.clone(), refusal: None, running: digest },
        last: ended(Outcome::Succeeded),
        running: Some(testing::definition(1, [("api", service(2))])),
        target: None,
        updating: false,
        answers: HashMap::new(),
        governance: Vec::new(),
    }
}

fn seen(definition: &Definition, phase: Phase) -> Vec<Arc<Seen>> {
    let seen = |slot: SlotRef| {
        Arc::new(Seen {
            state: SlotState {
                engine_id: format!("{}-{}-{}", slot.service, slot.hash, slot.index),
                slot,
                revision: definition.number,
                phase: phase.clone(),
                started_at: Some(now() - TimeDelta::hours(1)),
                ended_at: None,
                restarts: 0,
                detail: String::new(),
                image_id: String::new(),
                endpoints: Vec::new(),
                serving: true,
                drift: None,
                autoscaled: None,
            },
            since: Instant::now(),
        })
    };
    definition.slots().map(seen).collect()
}

fn running(facts: &Facts) -> Vec<Arc<Seen>> {
    seen(facts.running.as_ref().unwrap(), Phase::Running)
}

fn change(slots: &mut [Arc<Seen>], change: impl FnOnce(&mut SlotState)) {
    let mut one = Seen::clone(&slots[0]);
    change(&mut one.state);
    slots[0] = Arc::new(one);
}

/// Health, sync and the messages' codes.
fn folded(facts: &Facts, slots: &[Arc<Seen>]) -> (Health, Sync, Vec<String>) {
    let state = fold(facts, &Reach::Reachable, slots, now()).unwrap().state;
    let codes = state.messages.into_iter().map(|message| message.code).collect();
    (state.health, state.sync, codes)
}

fn expect(facts: &Facts, slots: &[Arc<Seen>], health: Health, sync: Sync, codes: &[&str]) {
    assert_eq!(folded(facts, slots), (health, sync, codes.iter().map(|code| (*code).to_owned()).collect()));
}

#[test]
fn what_runs_as_asked_is_healthy_without_a_word() {
    let facts = facts();
    expect(&facts, &running(&facts), Health::Healthy, Sync::InSync, &[]);
}

#[test]
fn a_program_that_is_not_well_or_went_silent_is_unhealthy_while_its_replica_runs() {
    let place = MetricsEndpoint { port: 8080, path: "/q/health".into() };
    let asked = Service { health: Some(place), ..service(2) };
    let mut facts = Facts { running: Some(testing::definition(1, [("api", asked)])), ..facts() };
    let mut slots = running(&facts);
    let id = |slots: &[Arc<Seen>], at: usize| slots[at].state.engine_id.clone();
    facts.answers =
        [(id(&slots, 0), Answer::Well), ("another's".into(), Answer::Unwell { status: 500 })].into();
    expect(&facts, &slots, Health::Healthy, Sync::InSync, &[]);
    facts.answers.insert(id(&slots, 1), Answer::Silent { why: "connection refused".into() });
    facts.answers.insert(id(&slots, 0), Answer::Unwell { status: 503 });
    expect(&facts, &slots, Health::Unhealthy, Sync::InSync, &["PROBE_FAILING"]);
    let state = fold(&facts, &Reach::Reachable, &slots, now()).unwrap().state;
    assert_eq!((state.ready, state.wanted), (2, 2), "the engine has them");
    let said = "Service api is asked for its health at :8080/q/health: replica 0 answers 503; \
                replica 1 answers no more (connection refused).";
    assert_eq!(state.messages[0].message, said);
    // What is told of a replica that does not run is the engine's word on it.
    change(&mut slots, |state| state.phase = Phase::Restarting);
    expect(&facts, &slots, Health::Unhealthy, Sync::InSync, &["REPLICAS_NOT_READY", "PROBE_FAILING"]);
    facts.updating = true;
    facts.target = facts.running.clone();
    let state = fold(&facts, &Reach::Reachable, &running(&facts), now()).unwrap().state;
    assert_eq!(state.health, Health::Healthy, "an update looks at its own replicas");
}

#[test]
fn nothing_is_concluded_from_an_engine_that_was_not_heard_of() {
    assert!(fold(&facts(), &Reach::Unseen, &[], now()).is_none());
}

#[test]
fn an_engine_that_does_not_answer_keeps_what_was_counted() {
    let mut facts = facts();
    (facts.state.ready, facts.state.wanted, facts.state.sync) = (2, 2, Sync::InSync);
    let folded = fold(&facts, &Reach::Unreachable("gone".into()), &[], now()).unwrap();
    assert_eq!((folded.state.health, folded.state.ready, folded.state.wanted), (Health::Unknown, 2, 2));
    assert_eq!(folded.state.messages[0].code, "ENGINE_UNREACHABLE");
    assert!(folded.drift.is_empty(), "what can't be seen has not drifted");
}

#[test]
fn before_any_update_has_ended_it_is_unknown_saved_or_not() {
    let mut facts = facts();
    (facts.last, facts.running, facts.digests.running) = (None, None, None);
    expect(&facts, &[], Health::Unknown, Sync::Unknown, &["NEVER_UPDATED"]);
    (facts.updating, facts.target) = (true, Some(testing::definition(1, [("api", service(2))])));
    let slots = seen(facts.target.as_ref().unwrap(), Phase::Running);
    let state = fold(&facts, &Reach::Reachable, &slots, now()).unwrap().state;
    assert_eq!((state.health, state.ready, state.wanted), (Health::Unknown, 2, 2));
}

#[test]
fn a_failed_update_is_an_error_whatever_serves() {
    let mut facts = facts();
    facts.last = ended(failed());
    let slots = running(&facts);
    expect(&facts, &slots, Health::Error, Sync::InSync, &["UPDATE_FAILED"]);
    let state = fold(&facts, &Reach::Reachable, &slots, now()).unwrap().state;
    assert_eq!(state.messages[0].message, "Update 1: it exited");
    assert_eq!(state.messages[0].details, "Mend it. Nothing runs, as before.");
}

#[test]
fn cancelling_is_not_failing() {
    let mut facts = facts();
    facts.last = ended(Outcome::Cancelled { by: "bob".into() });
    expect(&facts, &running(&facts), Health::Healthy, Sync::InSync, &[]);
    (facts.running, facts.digests.running) = (None, None);
    expect(&facts, &[], Health::OutOfSync, Sync::OutOfSync, &["NOTHING_RUNS"]);
}

#[test]
fn disabled_and_updated_is_unknown_and_disabled_alone_is_not() {
    let mut facts = facts();
    facts.deployment.enabled = false;
    facts.digests.wanted = Some("disabled".into());
    expect(&facts, &running(&facts), Health::OutOfSync, Sync::OutOfSync, &["SETTINGS_CHANGED"]);
    (facts.running, facts.digests.running) = (None, None);
    expect(&facts, &[], Health::Unknown, Sync::Unknown, &["STOPPED"]);
}

#[test]
fn saved_refused_removed_and_changed_are_out_of_sync() {
    let mut saved = facts();
    saved.digests.wanted = Some("new".into());
    expect(&saved, &running(&saved), Health::OutOfSync, Sync::OutOfSync, &["SETTINGS_CHANGED"]);

    let mut refused = facts();
    refused.digests.refusal = Some("privileged is forbidden".into());
    expect(&refused, &running(&refused), Health::OutOfSync, Sync::OutOfSync, &["SETTINGS_REFUSED"]);

    let facts = facts();
    let slots = running(&facts).split_off(1);
    expect(&facts, &slots, Health::OutOfSync, Sync::OutOfSync, &["REPLICA_REMOVED", "REPLICAS_NOT_READY"]);

    let mut slots = running(&facts);
    change(&mut slots, |state| state.drift = Some("its limit is gone".into()));
    expect(&facts, &slots, Health::OutOfSync, Sync::OutOfSync, &["REPLICA_CHANGED"]);
}

#[test]
fn stopped_crashed_and_failing_are_unhealthy_and_in_sync() {
    let facts = facts();
    let exited = |oom_killed| Phase::Exited { code: 137, oom_killed };
    let cases = [
        (exited(false), true, "replica 0 is stopped (exit code 137)"),
        (exited(true), true, "replica 0 used up its memory limit"),
        (Phase::Paused, true, "replica 0 is paused"),
        (Phase::Restarting, false, "replica 0 is restarting"),
        (Phase::Unhealthy, false, "replica 0 is unhealthy (no route)"),
    ];
    for (phase, drifted, words) in cases {
        let mut slots = running(&facts);
        change(&mut slots, |state| {
            state.phase = phase;
            state.detail = "no route".into();
        });
        let folded = fold(&facts, &Reach::Reachable, &slots, now()).unwrap();
        assert_eq!((folded.state.health, folded.state.sync), (Health::Unhealthy, Sync::InSync), "{words}");
        assert_eq!((folded.state.ready, folded.state.wanted), (1, 2));
        assert!(folded.state.messages[0].message.contains(words), "{:?}", folded.state.messages);
        assert_eq!(!folded.drift.is_empty(), drifted, "{words}: what its engine sees to needs no repair");
    }
}

#[test]
fn a_restart_warns_and_fades() {
    let facts = facts();
    let mut slots = running(&facts);
    change(&mut slots, |state| {
        state.restarts = 2;
        state.started_at = Some(now() - TimeDelta::minutes(9));
    });
    let folded = fold(&facts, &Reach::Reachable, &slots, now()).unwrap();
    assert_eq!((folded.state.health, folded.fades), (Health::Warning, true));
    let later = fold(&facts, &Reach::Reachable, &slots, now() + TimeDelta::minutes(2)).unwrap();
    assert_eq!((later.state.health, later.fades), (Health::Healthy, false));
}

#[test]
fn a_task_that_runs_has_ended_well_or_is_gone_counts_as_ready() {
    let mut facts = facts();
    let task = Service { kind: ServiceKind::Task, ..service(1) };
    facts.running = Some(testing::definition(1, [("train", task)]));
    let definition = facts.running.as_ref().unwrap();
    let ended = |code| Phase::Exited { code, oom_killed: false };
    for phase in [Phase::Starting, Phase::Running, ended(0)] {
        expect(&facts, &seen(definition, phase), Health::Healthy, Sync::InSync, &[]);
    }
    expect(&facts, &[], Health::Healthy, Sync::InSync, &[]);
    expect(&facts, &seen(definition, ended(2)), Health::Unhealthy, Sync::InSync, &["TASK_FAILED"]);
}

#[test]
fn while_an_update_moves_traffic_replicas_of_either_revision_count() {
    let mut facts = facts();
    let next = Service { working_dir: Some("/new".into()), ..service(2) };
    facts.updating = true;
    facts.target = Some(testing::definition(2, [("api", next)]));
    let old = running(&facts).split_off(1);
    let new = seen(facts.target.as_ref().unwrap(), Phase::Running).split_off(1);
    let both: Vec<_> = old.into_iter().chain(new).collect();
    expect(&facts, &both, Health::Healthy, Sync::InSync, &[]);
    let state = fold(&facts, &Reach::Reachable, &both[..1], now()).unwrap().state;
    assert_eq!((state.health, state.ready), (Health::Unhealthy, 1));
}

#[test]
fn an_autoscaler_says_how_many_are_wanted() {
    let facts = facts();
    let mut slots = running(&facts);
    slots.truncate(1);
    assert_eq!(folded(&facts, &slots).1, Sync::OutOfSync, "the second of two is missing");
    change(&mut slots, |state| state.autoscaled = Some(1));
    expect(&facts, &slots, Health::Healthy, Sync::InSync, &[]);
    change(&mut slots, |state| state.autoscaled = Some(3));
    let state = fold(&facts, &Reach::Reachable, &slots, now()).unwrap().state;
    assert_eq!((state.ready, state.wanted), (1, 3));
}
