//! Updates that somebody cancels.

use std::time::Duration;

use slipway::app;
use slipway::domain::health::Health;
use slipway::domain::update::Outcome;
use slipway::engine::fake::Faults;

use super::probe::Moment;
use super::world::{World, id, name, other, service};

#[tokio::test]
async fn cancelling_before_the_switch_undoes_and_after_it_is_refused() {
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", service())]).await;
    world.bundle("2", [("api", other())]).await;
    world.deployed("a", "1").await;
    for call in ["prepare", "ensure"] {
        for moment in [Moment::Before, Moment::After] {
            world.probe.hold(call, moment);
            world.want("a", "2").await;
            let number = world.ask("a").await;
            world.probe.reached().await;
            // Images are prepared while the update is still being taken up; a queued one would end at once.
            world.taken_up("a", number).await;
            app::update::cancel(&world.app, &world.caller(), id("a"), number).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            world.probe.release();
            let ended = world.ended("a", number).await;
            assert_eq!(ended, Outcome::Cancelled { by: "bob".into() }, "{call} {moment:?}");
            assert_eq!(world.revisions("a"), [("api".into(), 1)], "{call} {moment:?}");
            world.runs("a", "api", 1).await;
        }
    }
    world.probe.hold("switch", Moment::Before);
    let number = world.ask("a").await;
    world.probe.reached().await;
    let refused = app::update::cancel(&world.app, &world.caller(), id("a"), number).await.unwrap_err();
    assert_eq!(refused.code, "already_switched");
    world.probe.release();
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
}

#[tokio::test]
async fn cancelling_while_a_replica_is_awaited_undoes_at_once() {
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", service())]).await;
    world.fake.fault(&name("api"), Faults { held: true, ..Faults::default() });
    world.deployment("a", "1", false).await;
    let number = world.ask("a").await;
    world.until("a replica", async || (!world.fake.slots().is_empty()).then_some(())).await;
    app::update::cancel(&world.app, &world.caller(), id("a"), number).await.unwrap();
    assert_eq!(world.ended("a", number).await, Outcome::Cancelled { by: "bob".into() });
    assert_eq!(world.fake.slots(), []);
    world.health("a", Health::OutOfSync).await;
}
