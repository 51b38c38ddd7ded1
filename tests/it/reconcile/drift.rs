//! What changes behind our back: shown at once, repaired where that is asked for, and what is not wanted goes.

use std::time::{Duration, Instant};

use slipway::app;
use slipway::bus::Topic;
use slipway::domain::health::{Health, Sync};
use slipway::domain::infrastructure::Infrastructure;
use slipway::domain::update::{Outcome, UpdateKind, UpdateState};
use slipway::domain::workload::Service;
use slipway::engine::{Phase, ServiceRequest};
use slipway::store;

use super::world::{World, id, name, other, service};

async fn repaired(world: &World, number: u32) {
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    let update = world.update("a", number).await;
    assert_eq!((update.kind, update.requester.name.as_str()), (UpdateKind::Repair, "slipway"));
    world.runs("a", "api", 2).await;
    world.health("a", Health::Healthy).await;
}

async fn begun(auto_repair: bool) -> (World, super::world::Running) {
    let world = World::new().await;
    let running = world.start().await;
    world.bundle("1", [("api", Service { replicas: 2, ..service() })]).await;
    world.deployment("a", "1", auto_repair).await;
    let number = world.ask("a").await;
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    world.health("a", Health::Healthy).await;
    (world, running)
}

#[tokio::test]
async fn each_kind_of_drift_shows_within_moments_and_says_what_happened() {
    let (world, _running) = begun(false).await;
    let slot = world.fake.slots().remove(0).slot;
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    world.fake.end(&slot, 137);
    assert_eq!(world.health("a", Health::Unhealthy).await, ["REPLICAS_NOT_READY"]);
    slowest = slowest.max(began.elapsed());
    let state = world.state("a").await;
    assert_eq!((state.ready, state.wanted, state.sync), (1, 2, Sync::InSync));
    assert!(state.messages[0].message.contains("1 of 2 replicas"), "{:?}", state.messages);
    assert!(
        state.messages[0].message.contains("replica 0 is stopped (exit code 137)"),
        "{:?}",
        state.messages
    );
    world.fake.healthy(&slot);
    world.health("a", Health::Healthy).await;

    let began = Instant::now();
    world.fake.drift(&slot, Some("its memory limit is 64 MiB, not 2 GiB"));
    assert_eq!(world.health("a", Health::OutOfSync).await, ["REPLICA_CHANGED"]);
    slowest = slowest.max(began.elapsed());
    world.fake.drift(&slot, None);
    world.health("a", Health::Healthy).await;

    let began = Instant::now();
    world.fake.remove(&slot);
    assert_eq!(world.health("a", Health::OutOfSync).await, ["REPLICA_REMOVED", "REPLICAS_NOT_READY"]);
    slowest = slowest.max(began.elapsed());
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.row("a").await.last_update, 1, "nobody asked for a repair");

    let number = world.ask("a").await;
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded, "an update puts it right");
    world.runs("a", "api", 2).await;
    world.health("a", Health::Healthy).await;
}

#[tokio::test]
async fn drift_is_repaired_where_the_deployment_asks_for_it() {
    for what in 0..3 {
        let (world, _running) = begun(true).await;
        let before = world.fake.slots();
        let slot = before[0].slot.clone();
        match what {
            0 => world.fake.end(&slot, 137),
            1 => world.fake.remove(&slot),
            _ => world.fake.drift(&slot, Some("a network was taken away")),
        };
        world.until("a repair", async || (world.row("a").await.last_update == 2).then_some(())).await;
        repaired(&world, 2).await;
        let after = world.fake.slots();
        assert_eq!(after.len(), 2);
        assert_eq!(after[1], before[1], "the other replica was not touched");
        let sync = world.state("a").await.sync;
        assert_eq!(sync, Sync::InSync);
    }
}

#[tokio::test]
async fn somebodys_restart_is_no_drift() {
    let (world, _running) = begun(true).await;
    let slot = world.fake.slots().remove(0).slot;
    world.fake.end(&slot, 143);
    world.health("a", Health::Unhealthy).await;
    world.fake.healthy(&slot);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(world.row("a").await.last_update, 1);
}

#[tokio::test]
async fn what_breaks_again_is_not_repaired_over_and_over() {
    let (world, _running) = begun(true).await;
    let slot = world.fake.slots().remove(0).slot;
    world.fake.end(&slot, 1);
    world.until("a repair", async || (world.row("a").await.last_update == 2).then_some(())).await;
    repaired(&world, 2).await;
    world.fake.end(&slot, 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.row("a").await.last_update, 2, "the next one waits ten seconds");
    world.health("a", Health::Unhealthy).await;
}

#[tokio::test]
async fn a_repair_whose_consent_was_withdrawn_does_nothing() {
    let (world, running) = begun(true).await;
    running.kill();
    let plan = world.app.store.read(|db| store::update::plan(db, &id("a"), 1)).await.unwrap().unwrap();
    let mut update = world.update("a", 1).await;
    update.kind = UpdateKind::Repair;
    update.state = UpdateState::Queued;
    update.requester = slipway::domain::access::Subject::system();
    let write = world.app.store.write(move |tx| store::update::enqueue(tx, &update, &plan, &[]));
    let number = write.await.unwrap();
    let changes = app::deployment::Changes { auto_repair: Some(false), ..Default::default() };
    app::deployment::save(&world.app, &world.caller(), id("a"), changes).await.unwrap();
    let before = world.fake.calls().len();
    let _running = world.start().await;
    assert_eq!(world.failed("a", number).await.code, "repair_not_wanted");
    assert_eq!(world.fake.calls().len(), before);
}

#[tokio::test]
async fn saved_settings_show_as_out_of_sync_until_they_are_deployed() {
    let (world, _running) = begun(false).await;
    world.bundle("2", [("api", other())]).await;
    world.want("a", "2").await;
    assert_eq!(world.health("a", Health::OutOfSync).await, ["SETTINGS_CHANGED"]);
    world.want("a", "1").await;
    world.health("a", Health::Healthy).await;
}

#[tokio::test]
async fn a_restart_by_the_engine_is_worth_a_warning() {
    let (world, _running) = begun(false).await;
    let slot = world.fake.slots().remove(0).slot;
    world.fake.set_phase(&slot, Phase::Restarting, "die");
    world.health("a", Health::Unhealthy).await;
    world.fake.healthy(&slot);
    assert_eq!(world.health("a", Health::Warning).await, ["RESTARTED"]);
}

/// Has the engine start something of ours that no update asked for.
async fn stray(world: &World, workload: &str, service_name: &str) {
    let infrastructure = world.infrastructure().await;
    let engine = world.app.engines.get(&infrastructure);
    let request = ServiceRequest {
        workload: id(workload),
        name: name(service_name),
        revision: 9,
        hash: "00000000deadbeef".into(),
        service: std::sync::Arc::new(service()),
        profile: Default::default(),
        image: slipway::engine::ResolvedImage::new("sha256:1", "img"),
        network: "n".into(),
        has_peers: false,
        secrets: Default::default(),
        contents: Default::default(),
    };
    engine.ensure(&request).await.unwrap();
}

#[tokio::test]
async fn what_nothing_wants_goes_after_the_grace_and_nothing_else_does() {
    let (world, _running) = begun(false).await;
    stray(&world, "nobody", "api").await;
    stray(&world, "a", "left").await;
    assert_eq!(world.fake.slots().len(), 4);
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(world.fake.slots().len(), 4, "not before the grace is over");
    world.until("the strays to go", async || (world.fake.slots().len() == 2).then_some(())).await;
    world.runs("a", "api", 2).await;
    assert_eq!(world.calls("retire"), 2);
    assert!(!world.fake.networks().contains(&id("nobody")));
    world.health("a", Health::Healthy).await;
}

#[tokio::test]
async fn another_infrastructure_on_the_same_engine_takes_nothing_away() {
    let (world, _running) = begun(false).await;
    let beside = Infrastructure { id: "beside".parse().unwrap(), ..world.infrastructure().await };
    world.app.store.write(move |tx| store::infrastructure::put(tx, &beside)).await.unwrap();
    world.app.store.bus().publish(Topic::Infrastructure("beside".parse().unwrap()));
    // It is seen there, too: what nobody wants goes, what the neighbour runs stays.
    stray(&world, "nobody", "api").await;
    world.until("the stray to go", async || (world.fake.slots().len() == 2).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.fake.slots().len(), 2);
    world.health("a", Health::Healthy).await;
}

#[tokio::test]
async fn an_open_update_keeps_its_replicas_from_being_orphans() {
    use slipway::engine::fake::Faults;
    let (world, _running) = begun(false).await;
    world.bundle("2", [("api", other())]).await;
    world.fake.fault(&name("api"), Faults { held: true, ..Faults::default() });
    world.want("a", "2").await;
    let number = world.ask("a").await;
    world.until("a fresh replica", async || (world.fake.slots().len() == 3).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.fake.slots().len(), 3);
    let fresh = world.fake.slots().into_iter().find(|state| state.revision == number).unwrap();
    world.fake.healthy(&fresh.slot);
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
}

#[tokio::test]
async fn a_burst_of_a_thousand_events_is_in_the_store_in_moments() {
    let (world, _running) = begun(false).await;
    let slot = world.fake.slots().remove(0).slot;
    for _ in 0..500 {
        world.fake.end(&slot, 1);
        world.fake.healthy(&slot);
    }
    world.fake.end(&slot, 99);
    world
        .until("the last event", async || {
            let read =
                world.app.store.read(|db| store::observation::events(db, &id("a"), 500)).await.unwrap();
            (read.len() == 200).then_some(())
        })
        .await;
    world.health("a", Health::Unhealthy).await;
}

#[tokio::test]
async fn an_event_is_in_the_store_within_milliseconds() {
    let (world, _running) = begun(false).await;
    let slot = world.fake.slots().remove(0).slot;
    let mut took = Vec::new();
    for round in 0..20 {
        let began = Instant::now();
        let (health, done) = match round % 2 {
            0 => (Health::Unhealthy, world.fake.end(&slot, 1)),
            _ => (Health::Healthy, world.fake.healthy(&slot)),
        };
        assert!(done);
        while world.state("a").await.health != health {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(began.elapsed());
    }
    took.sort();
    println!("engine event → fold in the store: median {:?}, slowest {:?}", took[10], took[19]);
    assert!(took[10] < Duration::from_millis(200), "{took:?}");
}
