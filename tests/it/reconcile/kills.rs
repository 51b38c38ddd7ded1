//! The process dies anywhere in an update: the next one ends it as it would have ended, nothing lost, nothing doubled.

use std::time::Duration;

use slipway::app;
use slipway::domain::health::Health;
use slipway::domain::update::{Outcome, UpdateState};
use slipway::domain::workload::{Service, UpdateOrder};
use slipway::engine::fake::Faults;

use super::probe::Moment;
use super::world::{Running, World, ends_at_once, id, name, other, service};

const MOMENTS: [Moment; 2] = [Moment::Before, Moment::After];

/// Version 1 runs two replicas; version 2 replaces them and drops a service.
async fn begun() -> (World, Running) {
    let world = World::new().await;
    let running = world.start().await;
    world.bundle("1", [("api", Service { replicas: 2, ..service() }), ("gone", service())]).await;
    world.bundle("2", [("api", Service { replicas: 2, ..other() })]).await;
    world.deployed("a", "1").await;
    (world, running)
}

/// Kills the process when `call` is held, and answers the update that it was at.
async fn killed_at(world: &World, running: Running, call: &'static str, moment: Moment) -> u32 {
    world.probe.hold(call, moment);
    let number = world.ask("a").await;
    world.probe.reached().await;
    running.kill();
    number
}

#[tokio::test]
async fn an_update_goes_on_from_wherever_it_was_cut_off() {
    for call in ["prepare", "ensure", "switch", "retire"] {
        for moment in MOMENTS {
            let (world, running) = begun().await;
            world.want("a", "2").await;
            let number = killed_at(&world, running, call, moment).await;
            let ensured_before = world.calls("ensure a/api");
            let _running = world.start().await;
            assert_eq!(world.ended("a", number).await, Outcome::Succeeded, "{call} {moment:?}");
            let two = [("api".to_owned(), 2), ("api".to_owned(), 2)];
            assert_eq!(world.revisions("a"), two, "{call} {moment:?}");
            assert_eq!(world.update("a", number).await.attempt, 2, "{call} {moment:?}");
            assert_eq!(world.row("a").await.running_update, Some(number));
            assert!(world.calls("ensure a/api") > ensured_before);
            world.runs("a", "api", 2).await;
            world.health("a", Health::Healthy).await;
        }
    }
}

#[tokio::test]
async fn an_undo_goes_on_from_wherever_it_was_cut_off_and_keeps_its_reason() {
    for (call, order) in [("retire", UpdateOrder::StartFirst), ("revive", UpdateOrder::StopFirst)] {
        for moment in MOMENTS {
            let world = World::new().await;
            let running = world.start().await;
            world.bundle("1", [("api", Service { order, ..service() })]).await;
            world.bundle("2", [("api", Service { order, ..ends_at_once() })]).await;
            world.deployed("a", "1").await;
            world.want("a", "2").await;
            let number = killed_at(&world, running, call, moment).await;
            let _running = world.start().await;
            let failure = world.failed("a", number).await;
            assert_eq!(failure.code, "exited", "{call} {moment:?}");
            assert_eq!(failure.serving, "Update 1 (bundle 1) goes on serving, as before.");
            assert_eq!(world.revisions("a"), [("api".to_owned(), 1)], "{call} {moment:?}");
            world.runs("a", "api", 1).await;
            assert_eq!(world.row("a").await.running_update, Some(1));
        }
    }
}

#[tokio::test]
async fn a_stop_goes_on_from_wherever_it_was_cut_off() {
    for call in ["retire", "release"] {
        for moment in MOMENTS {
            let (world, running) = begun().await;
            world.probe.hold(call, moment);
            let stop = app::update::stop(&world.app, &world.caller(), id("a"), None, None).await.unwrap();
            world.probe.reached().await;
            running.kill();
            let _running = world.start().await;
            assert_eq!(world.ended("a", stop.number).await, Outcome::Succeeded, "{call} {moment:?}");
            assert_eq!(world.fake.slots(), [], "{call} {moment:?}");
            assert!(world.fake.networks().is_empty());
        }
    }
}

#[tokio::test]
async fn what_was_asked_while_nobody_worked_is_done() {
    let world = World::new().await;
    world.bundle("1", [("api", service())]).await;
    world.deployment("a", "1", false).await;
    let number = world.ask("a").await;
    let _running = world.start().await;
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
}

#[tokio::test]
async fn a_kill_while_waiting_for_health_is_gone_on_with_and_a_cancel_meanwhile_is_heard() {
    let (world, running) = begun().await;
    world.fake.fault(&name("api"), Faults { held: true, ..Faults::default() });
    world.want("a", "2").await;
    let number = world.ask("a").await;
    world.until("fresh replicas", async || (world.fake.slots().len() == 5).then_some(())).await;
    running.kill();
    app::update::cancel(&world.app, &world.caller(), id("a"), number).await.unwrap();
    let _running = world.start().await;
    assert_eq!(world.ended("a", number).await, Outcome::Cancelled { by: "bob".into() });
    assert_eq!(world.revisions("a").len(), 3);
    assert!(world.revisions("a").iter().all(|(_, revision)| *revision == 1));
}

#[tokio::test]
async fn draining_lets_engine_calls_end_and_leaves_the_rest_to_the_next_process() {
    let (world, running) = begun().await;
    world.fake.fault(&name("api"), Faults { held: true, ..Faults::default() });
    world.want("a", "2").await;
    let number = world.ask("a").await;
    world.until("fresh replicas", async || (world.fake.slots().len() == 5).then_some(())).await;
    let began = std::time::Instant::now();
    running.drain(Duration::from_secs(5)).await;
    assert!(began.elapsed() < Duration::from_secs(2), "a run that waits does not hold up the end");
    assert!(matches!(world.update("a", number).await.state, UpdateState::Running { .. }));
    let calls = world.fake.calls().len();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(world.fake.calls().len(), calls, "nothing is done after the end");
    let held = world.fake.slots().into_iter().filter(|state| state.revision == number);
    let held: Vec<_> = held.map(|state| state.slot).collect();
    let _running = world.start().await;
    held.iter().for_each(|slot| assert!(world.fake.healthy(slot)));
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    world.runs("a", "api", 2).await;
}

#[tokio::test]
async fn an_update_that_cannot_be_read_stops_no_other() {
    let world = World::new().await;
    world.bundle("1", [("api", service())]).await;
    world.deployment("a", "1", false).await;
    world.deployment("b", "1", false).await;
    let (poisoned, good) = (world.ask("a").await, world.ask("b").await);
    let poison = world.app.store.write(|tx| {
        tx.execute("UPDATE deployment_update SET plan = '{\"half\":' WHERE deployment = 'a'", [])?;
        Ok(())
    });
    poison.await.unwrap();
    let _running = world.start().await;
    assert_eq!(world.ended("b", good).await, Outcome::Succeeded);
    assert_eq!(world.failed("a", poisoned).await.code, "plan_unreadable");
}
