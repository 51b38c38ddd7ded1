//! A right that is taken away while an update runs: it is asked for again before each side effect.

use slipway::domain::access::Subject;
use slipway::domain::approval::{Approval, ApprovalState};
use slipway::domain::bundle::Digest;
use slipway::domain::clock::{Clock as _, SystemClock};
use slipway::domain::infrastructure::GovernPolicy;
use slipway::domain::policy::{Policy, Profile};
use slipway::domain::update::Outcome;
use slipway::domain::workload::{Condition, Dependency, Service};
use slipway::store;

use super::probe::Moment;
use super::world::{Running, World, name, other, service};

/// Version 1 runs; in version 2 `web` waits for `api`, so that there are two calls to start something.
async fn begun() -> (World, Running) {
    let world = World::new().await;
    let running = world.start().await;
    let after = Dependency { condition: Condition::Healthy, required: true };
    let web = |service: Service| Service { depends_on: [(name("api"), after)].into(), ..service };
    world.bundle("1", [("api", service()), ("web", web(service()))]).await;
    world.bundle("2", [("api", other()), ("web", web(other()))]).await;
    world.deployed("a", "1").await;
    world.want("a", "2").await;
    (world, running)
}

async fn is_undone(world: &World, number: u32, code: &str) {
    assert_eq!(world.failed("a", number).await.code, code);
    assert_eq!(world.revisions("a"), [("api".to_owned(), 1), ("web".to_owned(), 1)]);
    assert_eq!(world.row("a").await.running_update, Some(1));
}

#[tokio::test]
async fn revoked_before_it_begins_the_engine_hears_nothing() {
    let (world, running) = begun().await;
    running.kill();
    let number = world.ask("a").await;
    world.revoke().await;
    let before = world.fake.calls().len();
    let _running = world.start().await;
    is_undone(&world, number, "rights_revoked").await;
    assert_eq!(world.fake.calls().len(), before, "{:?}", world.fake.calls());
}

#[tokio::test]
async fn revoked_while_images_are_prepared_nothing_is_started() {
    let (world, _running) = begun().await;
    let before = world.calls("ensure");
    world.probe.hold("prepare", Moment::After);
    let number = world.ask("a").await;
    world.probe.reached().await;
    world.revoke().await;
    world.probe.release();
    is_undone(&world, number, "rights_revoked").await;
    assert_eq!(world.calls("ensure"), before);
}

#[tokio::test]
async fn revoked_after_the_first_start_the_second_does_not_come_and_the_first_is_undone() {
    let (world, _running) = begun().await;
    let (ensures, switches) = (world.calls("ensure"), world.calls("switch"));
    world.probe.hold("ensure", Moment::After);
    let number = world.ask("a").await;
    world.probe.reached().await;
    world.revoke().await;
    world.probe.release();
    is_undone(&world, number, "rights_revoked").await;
    assert_eq!(world.calls("ensure"), ensures + 1);
    assert_eq!(world.calls("switch"), switches);
}

#[tokio::test]
async fn revoked_past_the_switch_it_goes_on_in_the_systems_name() {
    let (world, _running) = begun().await;
    world.probe.hold("switch", Moment::Before);
    let number = world.ask("a").await;
    world.probe.reached().await;
    world.revoke().await;
    world.probe.release();
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    assert_eq!(world.revisions("a"), [("api".to_owned(), 2), ("web".to_owned(), 2)]);
}

#[tokio::test]
async fn a_user_who_is_disabled_or_left_the_group_may_not_go_on() {
    for leave in [false, true] {
        let (world, _running) = begun().await;
        let before = world.calls("ensure");
        world.probe.hold("prepare", Moment::After);
        let number = world.ask("a").await;
        world.probe.reached().await;
        let mut bob = world.bob.clone();
        if leave {
            bob.groups.clear();
        } else {
            bob.disabled = true;
        }
        world.app.store.write(move |tx| store::user::put(tx, &bob)).await.unwrap();
        world.probe.release();
        is_undone(&world, number, "rights_revoked").await;
        assert_eq!(world.calls("ensure"), before);
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_or_whose_maker_lost_the_group_may_not_go_on() {
    use slipway::app::api_key;
    use slipway::domain::access::{Caller, Origin, Subject, SubjectKind};
    for revoke_key in [true, false] {
        let (world, _running) = begun().await;
        let new = api_key::NewKey {
            name: "ci".parse().unwrap(),
            groups: world.bob.groups.clone(),
            expires_at: None,
        };
        let (key, _secret) = api_key::create(&world.app, &world.caller(), new).await.unwrap();
        let by_key = Caller {
            subject: Subject {
                kind: SubjectKind::ApiKey(key.id),
                name: "ci".into(),
                groups: key.groups.clone(),
                is_admin: false,
            },
            origin: Origin::Api,
            request_id: String::new(),
            address: None,
        };
        world.probe.hold("prepare", Moment::After);
        let asked = slipway::app::update::start(&world.app, &by_key, "a".parse().unwrap(), None, None).await;
        let number = asked.unwrap().number;
        world.probe.reached().await;
        let (id, mut bob) = (key.id, world.bob.clone());
        let write = world.app.store.write(move |tx| {
            if revoke_key {
                store::api_key::revoke(tx, id, SystemClock.now()).map(drop)
            } else {
                bob.groups.clear();
                store::user::put(tx, &bob)
            }
        });
        write.await.unwrap();
        world.probe.release();
        is_undone(&world, number, "rights_revoked").await;
    }
}

#[tokio::test]
async fn a_policy_that_was_tightened_meanwhile_holds() {
    let tighter = [
        (Policy { max_replicas: 0, ..Policy::default() }, "policy_refused"),
        (Policy { profile: Profile::Restricted, ..Policy::default() }, "policy_refused"),
    ];
    for (policy, code) in tighter {
        let (world, _running) = begun().await;
        let before = world.calls("ensure");
        world.probe.hold("prepare", Moment::After);
        let number = world.ask("a").await;
        world.probe.reached().await;
        world.policy(policy).await;
        world.probe.release();
        is_undone(&world, number, code).await;
        assert_eq!(world.calls("ensure"), before);
    }
}

#[tokio::test]
async fn governance_that_prevents_meanwhile_holds_unless_the_plan_is_approved() {
    for approved in [false, true] {
        let (world, _running) = begun().await;
        let before = world.calls("ensure");
        world.probe.hold("prepare", Moment::After);
        let number = world.ask("a").await;
        world.probe.reached().await;
        let plan = world.update("a", number).await.plan_digest;
        let mut infrastructure = world.infrastructure().await;
        infrastructure.govern_policy = GovernPolicy::Prevent;
        let write = world.app.store.write(move |tx| {
            if approved {
                store::approval::insert(tx, &approval(plan), &[])?;
            }
            store::infrastructure::put(tx, &infrastructure)
        });
        write.await.unwrap();
        world.probe.release();
        if approved {
            assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
        } else {
            is_undone(&world, number, "governance_prevents").await;
            assert_eq!(world.calls("ensure"), before);
        }
    }
}

/// An approval of this plan.
fn approval(plan: Digest) -> Approval {
    Approval {
        id: slipway::domain::random::uuid(),
        deployment: "a".parse().unwrap(),
        project: "iris".parse().unwrap(),
        version: "2".parse().unwrap(),
        infrastructure: "local".parse().unwrap(),
        plan,
        state: ApprovalState::Approved,
        requester: Subject::system(),
        reason: None,
        created_at: SystemClock.now(),
        decision: None,
    }
}
