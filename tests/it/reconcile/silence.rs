//! Engines that do not answer: what is promised is kept once they are back, and said while they are not.

use std::time::Duration;

use slipway::app;
use slipway::domain::health::Health;
use slipway::domain::update::Outcome;
use slipway::engine::fake::Faults;

use super::probe::Moment;
use super::world::{World, id, name, other, service};

#[tokio::test]
async fn an_engine_that_goes_away_in_the_middle_is_waited_for() {
    for call in ["prepare", "ensure", "switch", "retire"] {
        let world = World::new().await;
        let _running = world.start().await;
        world.bundle("1", [("api", service())]).await;
        world.bundle("2", [("api", other())]).await;
        world.deployed("a", "1").await;
        world.want("a", "2").await;
        world.probe.hold(call, Moment::Before);
        let number = world.ask("a").await;
        world.probe.reached().await;
        world.fake.down(true);
        world.probe.release();
        world.health("a", Health::Unknown).await;
        assert!(!world.update("a", number).await.is_ended(), "{call}");
        let complained = async || {
            let log = world.log("a", number).await;
            log.iter().any(|line| line.error && line.text.contains("tried again")).then_some(())
        };
        world.until("a line that says so", complained).await;
        world.fake.down(false);
        assert_eq!(world.ended("a", number).await, Outcome::Succeeded, "{call}");
        assert_eq!(world.revisions("a"), [("api".to_owned(), 2)], "{call}");
        world.health("a", Health::Healthy).await;
    }
}

#[tokio::test]
async fn an_engine_that_never_comes_back_fails_the_update_after_a_while() {
    let mut world = World::new().await;
    world.settings.patience = Duration::from_millis(600);
    let _running = world.start().await;
    world.bundle("1", [("api", service())]).await;
    world.deployment("a", "1", false).await;
    world.fake.down(true);
    let number = world.ask("a").await;
    let failure = world.failed("a", number).await;
    assert_eq!(
        (failure.code.as_str(), failure.serving.as_str()),
        ("engine_unreachable", "Nothing runs, as before.")
    );
    assert!(world.update("a", number).await.attempt > 1);
}

#[tokio::test]
async fn what_waits_for_an_engine_can_be_cancelled() {
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", service())]).await;
    world.deployment("a", "1", false).await;
    world.fake.down(true);
    let number = world.ask("a").await;
    let begun = async || (world.update("a", number).await.attempt > 1).then_some(());
    world.until("a second attempt", begun).await;
    app::update::cancel(&world.app, &world.caller(), id("a"), number).await.unwrap();
    assert_eq!(world.ended("a", number).await, Outcome::Cancelled { by: "bob".into() });
}

#[tokio::test]
async fn events_that_are_lost_are_made_up_for() {
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", service())]).await;
    world.deployed("a", "1").await;
    world.fake.fault(&name("api"), Faults::default());
    world.health("a", Health::Healthy).await;
    let slot = world.fake.slots().remove(0).slot;
    for _ in 0..5 {
        world.fake.lose_events();
        world.fake.end(&slot, 137);
        world.health("a", Health::Unhealthy).await;
        world.fake.lose_events();
        world.fake.healthy(&slot);
        world.health("a", Health::Healthy).await;
    }
}

#[tokio::test]
async fn a_restart_of_the_engine_shows_soon_and_is_over_soon() {
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", service())]).await;
    world.deployed("a", "1").await;
    world.health("a", Health::Healthy).await;
    world.fake.down(true);
    let codes = world.health("a", Health::Unknown).await;
    assert_eq!(codes, ["ENGINE_UNREACHABLE"]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.fake.down(false);
    world.health("a", Health::Healthy).await;
}
