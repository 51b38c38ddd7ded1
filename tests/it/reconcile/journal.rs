//! What reconcilers do by themselves is written into the journal, in Slipway's own name, with the deed.

use slipway::app;
use slipway::app::audit::{self, Of, Verdict};
use slipway::domain::access::{Caller, Origin};
use slipway::domain::audit::AuditEvent;
use slipway::domain::page::PageRequest;
use slipway::domain::update::Outcome;

use super::probe::Moment;
use super::world::{World, ends_at_once, id, other, service};

/// The newest entry with this action.
async fn entry(world: &World, action: &str) -> AuditEvent {
    let page = PageRequest { after: None, limit: 100 };
    let entries = audit::list(&world.app, &world.caller(), Of::Deployment(id("a")), page).await.unwrap();
    let found = entries.items.iter().find(|entry| entry.action == action).cloned();
    let found = found.unwrap_or_else(|| panic!("no {action} in {:#?}", entries.items));
    assert_eq!((found.noun.as_str(), found.object.as_str()), ("deployment", "a"));
    found
}

fn in_our_own_name(entry: &AuditEvent) {
    assert_eq!((entry.actor.as_str(), entry.origin), ("slipway", Origin::System), "{entry:?}");
}

async fn is_whole(world: &World) {
    let verdict = audit::verify(&world.app, &Caller::system()).await.unwrap();
    assert!(matches!(verdict, Verdict::Whole { .. }), "{verdict:?}");
}

#[tokio::test]
async fn every_end_of_an_update_is_written_down() {
    let world = World::new().await;
    let _running = world.start().await;
    for (version, service) in [("1", service()), ("bad", ends_at_once()), ("2", other())] {
        world.bundle(version, [("api", service)]).await;
    }
    world.deployed("a", "1").await;
    let succeeded = entry(&world, "update.succeeded").await;
    in_our_own_name(&succeeded);
    assert_eq!(succeeded.detail["number"], 1);
    assert_eq!((&succeeded.detail["version"], &succeeded.detail["requester"]), (&"1".into(), &"bob".into()));

    assert!(matches!(world.update_to("a", "bad").await, Outcome::Failed { .. }));
    let failed = entry(&world, "update.failed").await;
    in_our_own_name(&failed);
    assert_eq!((&failed.detail["number"], &failed.detail["code"]), (&2.into(), &"exited".into()));
    assert!(failed.detail["serving"].as_str().unwrap().contains("Update 1"), "{failed:?}");

    world.probe.hold("ensure", Moment::Before);
    world.want("a", "2").await;
    let number = world.ask("a").await;
    world.probe.reached().await;
    app::update::cancel(&world.app, &world.caller(), id("a"), number).await.unwrap();
    world.probe.release();
    assert_eq!(world.ended("a", number).await, Outcome::Cancelled { by: "bob".into() });
    assert_eq!(entry(&world, "update.cancelled").await.actor, "bob", "the wish");
    let undone = entry(&world, "update.undone").await;
    in_our_own_name(&undone);
    assert_eq!((&undone.detail["number"], &undone.detail["cancelled_by"]), (&3.into(), &"bob".into()));
    is_whole(&world).await;
}

#[tokio::test]
async fn a_repair_is_written_down_when_it_is_queued() {
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", service())]).await;
    world.deployment("a", "1", true).await;
    let number = world.ask("a").await;
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    let slot = world.fake.slots().remove(0).slot;
    world.fake.end(&slot, 137);
    world.until("a repair", async || (world.row("a").await.last_update == 2).then_some(())).await;
    assert_eq!(world.ended("a", 2).await, Outcome::Succeeded);
    let asked = entry(&world, "update.requested").await;
    in_our_own_name(&asked);
    assert_eq!((&asked.detail["number"], &asked.detail["repairs"]), (&2.into(), &1.into()));
    assert!(asked.reason.as_deref().unwrap().contains("exit code 137"), "{asked:?}");
    in_our_own_name(&entry(&world, "update.succeeded").await);
    is_whole(&world).await;
}
