//! Updates that do not get through: what they say, and that what ran before goes on.

use slipway::domain::health::Health;
use slipway::domain::update::Step;
use slipway::domain::workload::{Service, UpdateOrder, VolumeMount};
use slipway::engine::EngineError;
use slipway::engine::fake::Faults;

use super::world::{World, ends_at_once, name, other, service};

#[tokio::test]
async fn failures_say_what_to_do_and_the_old_revision_goes_on_serving() {
    let not_found = EngineError::ImageNotFound { image: "img:2".into(), detail: "no such tag".into() };
    let denied = EngineError::ImageDenied { image: "img:2".into(), detail: "401".into() };
    let built = EngineError::BuildFailed {
        service: "api".into(),
        detail: "step 3 failed".into(),
        tail: vec!["E: no space\r\u{1b}[31m left".into()],
    };
    let start = EngineError::StartFailed { service: "api".into(), detail: "no such executable".into() };
    let taken = EngineError::PortTaken { port: 8080, detail: "nginx".into() };
    let prepare = |error| Faults { prepare: Some(error), ..Faults::default() };
    let ensure = |error| Faults { ensure: Some(error), ..Faults::default() };
    let cases = [
        ("image_not_found", Step::Prepare, prepare(not_found)),
        ("image_denied", Step::Prepare, prepare(denied)),
        ("build_failed", Step::Prepare, prepare(built)),
        ("start_failed", Step::Start, ensure(start)),
        ("port_taken", Step::Start, ensure(taken)),
        ("exited", Step::Verify, Faults { exits: Some(3), ..Faults::default() }),
        ("never_healthy", Step::Verify, Faults { never_healthy: true, ..Faults::default() }),
        ("never_healthy", Step::Verify, Faults { held: true, ..Faults::default() }),
        (
            "engine_refused",
            Step::Switch,
            Faults { switch: Some(EngineError::Refused("no".into())), ..Faults::default() },
        ),
    ];
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("api", service())]).await;
    world.bundle("2", [("api", Service { replicas: 2, ..other() })]).await;
    world.deployed("a", "1").await;
    for (code, step, faults) in cases {
        world.fake.fault(&name("api"), faults);
        world.want("a", "2").await;
        let number = world.ask("a").await;
        let failure = world.failed("a", number).await;
        world.fake.fault(&name("api"), Faults::default());
        assert_eq!((failure.code.as_str(), failure.step), (code, step), "{failure:?}");
        assert!(!failure.hint.is_empty(), "{code}");
        assert_eq!(failure.serving, "Update 1 (bundle 1) goes on serving, as before.", "{code}");
        assert_eq!(world.revisions("a"), [("api".into(), 1)], "{code}");
        world.runs("a", "api", 1).await;
        assert_eq!(world.row("a").await.running_update, Some(1), "{code}");
        let log = world.log("a", number).await;
        assert!(log.iter().any(|line| line.error && line.text.contains(&failure.message)), "{code}: {log:?}");
        assert!(log.iter().all(|line| !line.text.contains(char::is_control)), "{code}: {log:?}");
        let codes = world.health("a", Health::Error).await;
        assert_eq!(codes[0], "UPDATE_FAILED");
    }
}

#[tokio::test]
async fn what_a_failing_replica_said_last_is_in_the_message_and_the_log() {
    let world = World::new().await;
    let _running = world.start().await;
    let script = ["sh", "-c", "echo starting; echo no database >&2; exit 7"].map(str::to_owned).to_vec();
    world.bundle("1", [("api", Service { command: Some(script), ..service() })]).await;
    world.deployment("a", "1", false).await;
    let number = world.ask("a").await;
    let failure = world.failed("a", number).await;
    assert_eq!(failure.message, "service api exited with code 7. Its last line: no database");
    assert_eq!(failure.service.as_deref(), Some("api"));
    assert_eq!(failure.serving, "Nothing runs, as before.");
    let lines: Vec<String> = world.log("a", number).await.into_iter().map(|line| line.text).collect();
    assert!(lines.contains(&"api: starting".to_owned()), "{lines:?}");
    assert_eq!(world.fake.slots(), []);
    assert!(world.fake.networks().is_empty(), "a network that nothing uses is given back");
}

#[tokio::test]
async fn stop_first_that_fails_starts_the_old_one_again() {
    let volume = VolumeMount {
        volume: "data".parse().unwrap(),
        target: "/data".into(),
        read_only: false,
        scratch: false,
    };
    let writes = |service: Service| Service {
        volumes: vec![volume.clone()],
        order: UpdateOrder::StartFirst,
        ..service
    };
    let world = World::new().await;
    let _running = world.start().await;
    world.bundle("1", [("db", writes(service()))]).await;
    world.bundle("2", [("db", writes(ends_at_once()))]).await;
    world.deployed("a", "1").await;
    world.want("a", "2").await;
    let number = world.ask("a").await;
    let failure = world.failed("a", number).await;
    assert_eq!(failure.code, "exited");
    assert_eq!(world.calls("revive"), 1);
    assert_eq!(world.revisions("a"), [("db".into(), 1)]);
    world.runs("a", "db", 1).await;
    let log = world.log("a", number).await;
    assert!(log.iter().any(|line| line.text.contains("because volume data is writable")), "{log:?}");
}
