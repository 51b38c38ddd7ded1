//! What a deleted deployment leaves is removed once its engine answers, whatever happens in between.

use std::time::Duration;

use slipway::app;
use slipway::domain::health::Health;
use slipway::domain::update::Outcome;

use super::world::{World, id, service};

/// A deployment that was stopped and then deleted while its engine is away.
async fn deleted(volumes: bool) -> (World, super::world::Running) {
    let world = World::new().await;
    let running = world.start().await;
    world.bundle("1", [("api", service())]).await;
    world.deployed("a", "1").await;
    let stop = app::update::stop(&world.app, &world.caller(), id("a"), None, None).await.unwrap();
    assert_eq!(world.ended("a", stop.number).await, Outcome::Succeeded);
    world.fake.down(true);
    world.health("a", Health::Unknown).await;
    world
        .until("the engine to be away", async || {
            let state = world.state("a").await;
            state.messages.iter().any(|message| message.code == "ENGINE_UNREACHABLE").then_some(())
        })
        .await;
    app::deployment::delete(&world.app, &world.caller(), id("a"), volumes).await.unwrap();
    (world, running)
}

#[tokio::test]
async fn volumes_that_are_to_go_keep_their_id_from_others_until_they_are_gone() {
    let (world, running) = deleted(true).await;
    let before = world.calls("release a");
    let refused = world.try_deployment("a", "1", false).await.unwrap_err();
    assert_eq!(refused.code, "deployment_being_removed");
    running.kill();
    let _running = world.start().await;
    let refused = world.try_deployment("a", "1", false).await.unwrap_err();
    assert_eq!(refused.code, "deployment_being_removed", "a restart forgets nothing");
    world.fake.down(false);
    world.until("the id to be free", async || world.try_deployment("a", "1", false).await.ok()).await;
    assert!(world.calls("release a") > before);
}

#[tokio::test]
async fn a_deployment_of_the_same_id_takes_over_what_was_to_stay() {
    let (world, _running) = deleted(false).await;
    let before = world.calls("release a");
    world.deployment("a", "1", false).await;
    world.fake.down(false);
    let number = world.ask("a").await;
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.calls("release a"), before, "nothing is taken from under it");
    world.runs("a", "api", 1).await;
}
