//! Updates that get through: in which order, what is replaced and what stays.

use std::collections::BTreeMap;
use std::time::Duration;

use slipway::app;
use slipway::domain::health::Health;
use slipway::domain::update::{Outcome, Step, StepState};
use slipway::domain::workload::{
    Condition, Dependency, EnvValue, HealthTest, Healthcheck, Port, Service, ServiceKind,
};
use slipway::engine::fake::Faults;

use super::probe::Moment;
use super::world::{World, id, name, other, service};

fn depends(on: &str, condition: Condition, service: Service) -> Service {
    let dependency = Dependency { condition, required: true };
    Service { depends_on: BTreeMap::from([(name(on), dependency)]), ..service }
}

fn port(host: u16) -> Port {
    Port { container_port: 80, protocol: Default::default(), host_port: Some(host), host_ip: None }
}

#[tokio::test]
async fn a_first_update_starts_everything_and_says_each_step() {
    let world = World::new().await;
    let running = world.start().await;
    let api = Service { replicas: 3, ..service() };
    world.bundle("1", [("api", api), ("db", service())]).await;
    world.deployed("a", "1").await;
    world.runs("a", "api", 3).await;
    assert_eq!(world.row("a").await.running_update, Some(1));
    let steps = world.steps("a", 1).await;
    assert_eq!(steps.iter().map(|step| step.step).collect::<Vec<_>>(), Step::ALL);
    assert!(steps.iter().all(|step| step.state == StepState::Done && step.ended_at.is_some()), "{steps:?}");
    assert!(world.log("a", 1).await.iter().any(|line| line.text == "api: 3 replicas started"));
    assert_eq!(world.health("a", Health::Healthy).await, Vec::<String>::new());
    let state = world.state("a").await;
    assert_eq!((state.ready, state.wanted), (4, 4));
    running.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn an_update_replaces_only_what_changed_and_start_first_never_stops_serving() {
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", service()), ("db", service()), ("old", service())]).await;
    world.bundle("2", [("api", other()), ("db", service())]).await;
    world.deployed("a", "1").await;
    world.probe.hold("switch", Moment::Before);
    world.want("a", "2").await;
    let number = world.ask("a").await;
    world.probe.reached().await;
    assert_eq!(world.fake.serving(&id("a"), &name("api")).len(), 1, "the old one serves until the switch");
    world.probe.release();
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    assert_eq!(world.revisions("a"), [("api".into(), 2), ("db".into(), 1)]);
    assert_eq!(world.fake.serving(&id("a"), &name("api")).len(), 1);
}

#[tokio::test]
async fn scaling_keeps_what_runs() {
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", service())]).await;
    world.bundle("2", [("api", Service { replicas: 3, ..service() })]).await;
    world.deployed("a", "1").await;
    assert_eq!(world.update_to("a", "2").await, Outcome::Succeeded);
    assert_eq!(world.revisions("a"), [("api".into(), 1), ("api".into(), 2), ("api".into(), 2)]);
    world.runs("a", "api", 3).await;
    assert_eq!(world.update_to("a", "1").await, Outcome::Succeeded);
    assert_eq!(world.revisions("a"), [("api".into(), 1)]);
}

#[tokio::test]
async fn services_start_in_the_order_of_their_conditions() {
    let check = Healthcheck {
        test: HealthTest::Exec(vec!["true".into()]),
        interval_ms: 10,
        timeout_ms: 10,
        retries: 1,
        start_period_ms: 0,
        start_interval_ms: None,
    };
    let db = Service { healthcheck: Some(check), ..service() };
    let migrate = Service { kind: ServiceKind::Task, ..depends("db", Condition::Healthy, service()) };
    let api = depends("migrate", Condition::CompletedSuccessfully, service());
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", api), ("db", db), ("migrate", migrate)]).await;
    world.fake.fault(&name("migrate"), Faults { task_runs_on: true, ..Faults::default() });
    world.fake.fault(&name("db"), Faults { held: true, ..Faults::default() });
    world.deployment("a", "1", false).await;
    let number = world.ask("a").await;
    let slot_of = async |service: &str| {
        world
            .until(service, async || {
                let mut slots = world.fake.slots().into_iter();
                slots.find(|state| state.slot.service == name(service)).map(|state| state.slot)
            })
            .await
    };
    let db = slot_of("db").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(world.calls("ensure a/migrate"), 0);
    world.fake.healthy(&db);
    let migrate = slot_of("migrate").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(world.calls("ensure a/api"), 0);
    world.fake.end(&migrate, 0);
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    world.health("a", Health::Healthy).await;
}

#[tokio::test]
async fn a_task_that_fails_fails_the_update_and_is_run_again_by_the_next() {
    let migrate = Service { kind: ServiceKind::Task, ..service() };
    let world = World::new().await;
    let _running = world.start().await;
    let api = depends("migrate", Condition::CompletedSuccessfully, service());
    world.bundle("1", [("api", api), ("migrate", migrate)]).await;
    world.fake.fault(&name("migrate"), Faults { exits: Some(1), ..Faults::default() });
    world.deployment("a", "1", false).await;
    let number = world.ask("a").await;
    let failure = world.failed("a", number).await;
    assert_eq!((failure.code.as_str(), failure.service.as_deref()), ("exited", Some("migrate")));
    assert_eq!(world.calls("ensure a/api"), 0);
    world.fake.fault(&name("migrate"), Faults::default());
    let number = world.ask("a").await;
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
}

#[tokio::test]
async fn stopping_removes_dependents_first_keeps_volumes_and_is_no_failure() {
    let world = World::new().await;
    let _running = world.start().await;
    let api = depends("db", Condition::Started, service());
    world.bundle("1", [("api", api), ("db", service())]).await;
    world.deployed("a", "1").await;
    let stopped = app::update::stop(&world.app, &world.caller(), id("a"), None, None).await.unwrap();
    assert_eq!(world.ended("a", stopped.number).await, Outcome::Succeeded);
    assert_eq!(world.fake.slots(), []);
    assert!(world.fake.networks().is_empty());
    let calls = world.fake.calls();
    let at = |what: &str| calls.iter().position(|call| call.starts_with(what)).unwrap();
    assert!(at("retire a/api") < at("retire a/db"), "{calls:?}");
    assert_eq!(world.health("a", Health::Unknown).await, ["STOPPED"]);
    assert_eq!(world.row("a").await.running_update, None);
    let resumed = app::update::resume(&world.app, &world.caller(), id("a"), None, None).await.unwrap();
    assert_eq!(world.ended("a", resumed.number).await, Outcome::Succeeded);
    world.health("a", Health::Healthy).await;
}

#[tokio::test]
async fn rolling_back_takes_the_images_of_then() {
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", service())]).await;
    world.bundle("2", [("api", other())]).await;
    world.deployed("a", "1").await;
    let before = world.fake.slots().remove(0);
    assert_eq!(world.update_to("a", "2").await, Outcome::Succeeded);
    let back = app::update::roll_back(&world.app, &world.caller(), id("a"), 1, None, None).await.unwrap();
    assert_eq!(world.ended("a", back.number).await, Outcome::Succeeded);
    let after = world.fake.slots().remove(0);
    assert_eq!((after.image_id, after.slot), (before.image_id, before.slot));
    world.health("a", Health::Healthy).await;
}

#[tokio::test]
async fn only_the_retained_revisions_keep_their_images() {
    let mut world = World::new().await;
    world.settings.retained = 2;
    let _running = world.start().await;
    for version in ["1", "2", "3", "4"] {
        let image = slipway::domain::workload::Image::Reference(format!("img:{version}"));
        world.bundle(version, [("api", Service { image, ..service() })]).await;
    }
    world.deployed("a", "1").await;
    for version in ["2", "3", "4"] {
        assert_eq!(world.update_to("a", version).await, Outcome::Succeeded);
    }
    assert_eq!(world.fake.images()[&id("a")].len(), 3, "the two before, and the one that runs");
}

#[tokio::test]
async fn updates_of_one_deployment_wait_in_order_and_others_do_not() {
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", service())]).await;
    world.bundle("2", [("api", other())]).await;
    world.deployed("a", "1").await;
    world.deployment("b", "1", false).await;
    world.probe.hold("ensure", Moment::Before);
    world.want("a", "2").await;
    let first = world.ask("a").await;
    world.probe.reached().await;
    world.want("a", "1").await;
    let second = world.ask("a").await;
    let other = world.ask("b").await;
    assert_eq!(world.ended("b", other).await, Outcome::Succeeded);
    assert!(!world.update("a", first).await.is_ended());
    assert_eq!(world.update("a", second).await.attempt, 0);
    world.probe.release();
    assert_eq!(world.ended("a", first).await, Outcome::Succeeded);
    assert_eq!(world.ended("a", second).await, Outcome::Succeeded);
    assert_eq!(world.revisions("a"), [("api".into(), 3)]);
}

#[tokio::test]
async fn a_fixed_port_is_held_by_one_deployment() {
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", Service { ports: vec![port(8080)], ..service() })]).await;
    world.bundle("2", [("api", service())]).await;
    world.deployed("a", "1").await;
    world.deployment("b", "1", false).await;
    let number = world.ask("b").await;
    let failure = world.failed("b", number).await;
    assert_eq!(failure.code, "port_reserved");
    assert!(failure.message.contains("reserved by another deployment"), "{}", failure.message);
    assert_eq!(world.calls("ensure b/"), 0);
    assert_eq!(world.update_to("a", "2").await, Outcome::Succeeded);
    let number = world.ask("b").await;
    assert_eq!(world.ended("b", number).await, Outcome::Succeeded, "the port was given up");
}

#[tokio::test]
async fn secrets_are_opened_for_the_engine_and_written_nowhere() {
    use slipway::domain::secret::SecretChange;
    let world = World::new().await;
    let _running = world.start().await;
    let script = ["sh", "-c", "printenv TOKEN; sleep 9"].map(str::to_owned).to_vec();
    let api = Service {
        command: Some(script),
        environment: BTreeMap::from([("TOKEN".to_owned(), EnvValue::Required)]),
        ..service()
    };
    world.bundle("1", [("api", service())]).await;
    world.bundle("2", [("api", api)]).await;
    world.deployment("a", "1", false).await;
    let set = SecretChange::Set("c4nary-in-the-mine".into());
    let changes = app::deployment::Changes {
        version: Some("2".parse().unwrap()),
        secrets: BTreeMap::from([("TOKEN".parse().unwrap(), set)]),
        ..Default::default()
    };
    app::deployment::save(&world.app, &world.caller(), id("a"), changes).await.unwrap();
    let number = world.ask("a").await;
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    let slot = world.fake.slots().remove(0).slot;
    let engine = world.app.engines.get(&world.infrastructure().await);
    let mut lines = engine.logs(&slot, &Default::default()).await.unwrap();
    let line = futures_util::StreamExt::next(&mut lines).await.unwrap().unwrap().remove(0);
    assert_eq!(&line.text[..], b"c4nary-in-the-mine", "the container has it");
    for file in std::fs::read_dir(world.app.store.dir()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(18).any(|part| part == b"c4nary-in-the-mine"), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn little_time_passes_between_the_request_and_the_engines_call() {
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", service())]).await;
    let mut took = Vec::new();
    for number in 0..20 {
        let deployment = format!("d{number}");
        world.deployment(&deployment, "1", false).await;
        world.probe.hold("ensure", Moment::Before);
        world.ask(&deployment).await;
        let accepted = std::time::Instant::now();
        world.probe.reached().await;
        took.push(accepted.elapsed());
        world.probe.release();
        assert_eq!(world.ended(&deployment, 1).await, Outcome::Succeeded);
    }
    took.sort();
    println!("request accepted → ensure called: median {:?}, slowest {:?}", took[10], took[19]);
    assert!(took[10] < Duration::from_millis(500), "{took:?}");
}
