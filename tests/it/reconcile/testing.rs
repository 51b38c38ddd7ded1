//! Runs of tests beside what runs: every outcome, every place to be killed at, and nothing that runs is touched.

use std::time::Duration;

use slipway::app;
use slipway::app::test::{TestOutcome, TestResult};
use slipway::domain::health::Health;
use slipway::domain::update::{Outcome, StepState};
use slipway::domain::workload::{Condition, Dependency, Service, ServiceKind};
use slipway::engine::SlotRef;
use slipway::engine::fake::Faults;

use super::probe::Moment;
use super::world::{Running, World, id, name, service};

/// A test of this script.
fn script(script: &str) -> Service {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    Service { kind: ServiceKind::Task, command: Some(command), ..service() }
}

fn after(on: &str, service: Service) -> Service {
    let passed = Dependency { condition: Condition::CompletedSuccessfully, required: true };
    Service { depends_on: [(name(on), passed)].into(), ..service }
}

/// One replica of `api`, and the tests `first` and, after that, `second`; deployed as `a`.
async fn begun(first: &str) -> (World, Running) {
    let world = World::new().await;
    let running = world.start().await;
    let tests = [("first", script(first)), ("second", after("first", script("echo two")))];
    world.tested_bundle("1", [("api", service())], tests).await;
    world.deployed("a", "1").await;
    (world, running)
}

/// The same with a first test that runs on.
async fn begun_and_runs_on() -> (World, Running) {
    let begun = begun("echo up; sleep 600").await;
    begun.0.fake.fault(&name("first"), Faults { task_runs_on: true, ..Faults::default() });
    begun
}

async fn ask(world: &World) -> u32 {
    app::test::run(&world.app, &world.caller(), id("a"), None, None).await.unwrap().number
}

async fn refused(world: &World) -> &'static str {
    app::test::run(&world.app, &world.caller(), id("a"), None, None).await.unwrap_err().code
}

async fn newest(world: &World) -> Vec<(String, Option<TestResult>)> {
    let status = app::test::status(&world.app, &world.caller(), id("a"), None).await.unwrap();
    status.tests.into_iter().map(|test| (test.service.to_string(), test.newest)).collect()
}

async fn outcomes(world: &World) -> Vec<(String, Option<TestOutcome>)> {
    let found = newest(world).await.into_iter();
    found.map(|(name, newest)| (name, newest.map(|newest| newest.outcome))).collect()
}

fn told(first: Option<TestOutcome>, second: Option<TestOutcome>) -> Vec<(String, Option<TestOutcome>)> {
    vec![("first".to_owned(), first), ("second".to_owned(), second)]
}

/// `api` is the container that it was, and nothing else is there.
async fn is_untouched(world: &World) {
    assert_eq!(world.revisions("a"), [("api".to_owned(), 1)]);
    assert_eq!(world.row("a").await.running_update, Some(1));
    assert_eq!((world.calls("ensure a/api"), world.calls("switch")), (1, 0), "{:?}", world.fake.calls());
    assert_eq!(world.calls("revive") + world.calls("release"), 0, "{:?}", world.fake.calls());
    assert!(world.health("a", Health::Healthy).await.is_empty());
    assert!(world.fake.networks().contains(&id("a")));
}

/// The place of a test that is there.
async fn place_of(world: &World, test: &str) -> SlotRef {
    let there = async || {
        let slots = world.fake.slots().into_iter().map(|state| state.slot);
        slots.into_iter().find(|slot| slot.service == name(test))
    };
    world.until(&format!("the test {test}"), there).await
}

#[tokio::test]
async fn tests_run_on_request_alone_in_their_order_and_pass() {
    let (world, _running) = begun("echo one; echo more").await;
    assert_eq!(world.calls("ensure a/first"), 0, "an update starts no test");
    assert_eq!(outcomes(&world).await, told(None, None));
    let number = ask(&world).await;
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    assert_eq!(outcomes(&world).await, told(Some(TestOutcome::Passed), Some(TestOutcome::Passed)));
    is_untouched(&world).await;

    let steps = world.steps("a", number).await;
    assert!(steps.iter().all(|step| step.state == StepState::Done), "{steps:?}");
    let words: Vec<&str> = steps.iter().map(|step| step.step.word()).collect();
    assert_eq!(words, ["plan", "check", "prepare", "start", "verify", "clean_up"]);
    let log = world.log("a", number).await;
    let at = |text: &str| log.iter().position(|line| line.text == text);
    for line in ["first: one", "first: more", "first: passed", "second: two", "second: passed"] {
        assert!(at(line).is_some(), "{line}: {log:?}");
    }
    assert!(at("first: passed") < at("second: started"), "{log:?}");
    let first = newest(&world).await.remove(0).1.unwrap();
    assert_eq!((first.exit_code, first.message.as_str()), (Some(0), ""));
    let place = first.place.unwrap();
    assert_eq!((place.number, place.requester.as_str(), place.is_there), (number, "bob", true));
}

#[tokio::test]
async fn a_test_that_fails_fails_the_run_and_not_the_deployment() {
    let (world, _running) = begun("echo no answer; exit 3").await;
    let number = ask(&world).await;
    let failure = world.failed("a", number).await;
    assert_eq!(failure.code, "tests_failed");
    assert_eq!(failure.message, "2 of 2 tests did not pass: first failed, second was not run");
    assert_eq!(failure.serving, "Update 1 (bundle 1) goes on serving, as before.");
    is_untouched(&world).await;
    let first = newest(&world).await.remove(0).1.unwrap();
    assert_eq!((first.outcome, first.exit_code), (TestOutcome::Failed, Some(3)));
    assert_eq!(first.message, "it exited with code 3. Its last line: no answer");
    assert_eq!(newest(&world).await[1].1, None, "what never ran has no result");
    let refused = app::update::roll_back(&world.app, &world.caller(), id("a"), number, None, None).await;
    assert_eq!(refused.unwrap_err().code, "not_rollable");

    // An update says how it went, whatever tests said in between.
    let again = world.ask("a").await;
    assert_eq!(world.ended("a", again).await, Outcome::Succeeded);
}

#[tokio::test]
async fn a_newer_result_takes_the_place_of_an_older_one() {
    let (world, _running) = begun("true").await;
    world.fake.fault(&name("second"), Faults { exits: Some(9), ..Faults::default() });
    let number = ask(&world).await;
    assert_eq!(world.failed("a", number).await.service.as_deref(), Some("second"));
    assert_eq!(outcomes(&world).await, told(Some(TestOutcome::Passed), Some(TestOutcome::Failed)));
    world.fake.fault(&name("second"), Faults::default());
    let number = ask(&world).await;
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    assert_eq!(outcomes(&world).await, told(Some(TestOutcome::Passed), Some(TestOutcome::Passed)));
}

#[tokio::test]
async fn what_cannot_be_started_or_takes_too_long_has_failed() {
    let mut world = World::new().await;
    world.settings.test_within = Duration::from_millis(300);
    let _running = world.start().await;
    let missing = Service { command: Some(vec!["no-such-program".into()]), ..script("") };
    world
        .tested_bundle("1", [("api", service())], [("first", missing), ("second", script("sleep 600"))])
        .await;
    world.fake.fault(&name("second"), Faults { task_runs_on: true, ..Faults::default() });
    world.deployed("a", "1").await;
    let number = ask(&world).await;
    let failure = world.failed("a", number).await;
    assert_eq!(failure.message, "2 of 2 tests did not pass: first failed, second failed");
    let found = newest(&world).await;
    let message = |at: usize| found[at].1.as_ref().unwrap().message.clone();
    assert!(message(0).contains("no such executable"), "{}", message(0));
    assert!(message(1).starts_with("it did not end within"), "{}", message(1));
    is_untouched(&world).await;
}

#[tokio::test]
async fn cancelling_aborts_what_was_started_and_removes_it() {
    let (world, _running) = begun_and_runs_on().await;
    let number = ask(&world).await;
    place_of(&world, "first").await;
    assert_eq!(refused(&world).await, "tests_running");
    app::update::cancel(&world.app, &world.caller(), id("a"), number).await.unwrap();
    assert_eq!(world.ended("a", number).await, Outcome::Cancelled { by: "bob".into() });
    assert_eq!(outcomes(&world).await, told(Some(TestOutcome::Aborted), None));
    let first = newest(&world).await.remove(0).1.unwrap();
    assert_eq!(first.message, "its run was cancelled by bob. Its last line: up");
    is_untouched(&world).await;
}

#[tokio::test]
async fn a_container_that_somebody_removes_aborts_its_test() {
    let (world, _running) = begun_and_runs_on().await;
    let number = ask(&world).await;
    let slot = place_of(&world, "first").await;
    // The run has seen it once its own words are written.
    let seen =
        async || world.log("a", number).await.iter().any(|line| line.text == "first: started").then_some(());
    world.until("the test to be started", seen).await;
    assert!(world.fake.remove(&slot));
    assert_eq!(world.failed("a", number).await.code, "tests_failed");
    assert_eq!(outcomes(&world).await, told(Some(TestOutcome::Aborted), None));
    is_untouched(&world).await;
}

#[tokio::test]
async fn a_run_goes_on_from_wherever_it_was_cut_off() {
    for call in ["prepare", "ensure", "retire"] {
        for moment in [Moment::Before, Moment::After] {
            let (world, running) = begun("echo one").await;
            world.probe.hold(call, moment);
            let number = ask(&world).await;
            world.probe.reached().await;
            running.kill();
            let _running = world.start().await;
            assert_eq!(world.ended("a", number).await, Outcome::Succeeded, "{call} {moment:?}");
            let passed = Some(TestOutcome::Passed);
            assert_eq!(outcomes(&world).await, told(passed, passed), "{call} {moment:?}");
            assert_eq!(world.update("a", number).await.attempt, 2, "{call} {moment:?}");
            let log = world.log("a", number).await;
            let once = log.iter().filter(|line| line.text == "first: passed").count();
            assert_eq!(once, 1, "{call} {moment:?}: {log:?}");
            is_untouched(&world).await;
        }
    }
}

#[tokio::test]
async fn a_test_that_runs_over_a_kill_is_awaited_and_one_whose_container_is_gone_is_run_again() {
    let (world, running) = begun_and_runs_on().await;
    let number = ask(&world).await;
    let slot = place_of(&world, "first").await;
    let engine_id = || {
        let slots = world.fake.slots().into_iter();
        slots.into_iter().find(|state| state.slot == slot).map(|state| state.engine_id)
    };
    let before = engine_id();
    running.kill();
    let running = world.start().await;
    let awaited = async || {
        let log = world.log("a", number).await;
        log.iter().any(|line| line.text == "first: started before, and awaited").then_some(())
    };
    world.until("the test to be awaited", awaited).await;
    assert_eq!(engine_id(), before, "it is the same container");

    running.kill();
    assert!(world.fake.remove(&slot));
    let _running = world.start().await;
    place_of(&world, "first").await;
    assert_ne!(engine_id(), before);
    assert!(world.fake.end(&slot, 0));
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    assert_eq!(outcomes(&world).await, told(Some(TestOutcome::Passed), Some(TestOutcome::Passed)));
    is_untouched(&world).await;
}

#[tokio::test]
async fn a_cancelled_run_is_cancelled_whoever_ends_it() {
    for moment in [Moment::Before, Moment::After] {
        let (world, running) = begun_and_runs_on().await;
        let number = ask(&world).await;
        place_of(&world, "first").await;
        world.probe.hold("retire", moment);
        app::update::cancel(&world.app, &world.caller(), id("a"), number).await.unwrap();
        world.probe.reached().await;
        running.kill();
        let _running = world.start().await;
        assert_eq!(world.ended("a", number).await, Outcome::Cancelled { by: "bob".into() }, "{moment:?}");
        assert_eq!(outcomes(&world).await, told(Some(TestOutcome::Aborted), None), "{moment:?}");
        is_untouched(&world).await;
    }
}

#[tokio::test]
async fn what_an_earlier_run_left_does_not_stand_for_this_one() {
    let (world, _running) = begun("true").await;
    let stuck = slipway::engine::EngineError::Refused("it can't be removed".into());
    world.fake.fault(&name("first"), Faults { retire: Some(stuck), exits: Some(4), ..Faults::default() });
    let number = ask(&world).await;
    assert_eq!(world.failed("a", number).await.code, "tests_failed");
    world.fake.fault(&name("first"), Faults::default());
    let number = ask(&world).await;
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    assert_eq!(outcomes(&world).await, told(Some(TestOutcome::Passed), Some(TestOutcome::Passed)));
    is_untouched(&world).await;
}

#[tokio::test]
async fn there_is_nothing_to_test_before_an_update_after_a_stop_and_without_tests() {
    let world = World::new().await;
    let running = world.start().await;
    world.tested_bundle("1", [("api", service())], [("first", script("true"))]).await;
    world.bundle("2", [("api", service())]).await;
    world.deployment("a", "1", false).await;
    assert_eq!(refused(&world).await, "nothing_runs");
    let number = world.ask("a").await;
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    assert_eq!(world.update_to("a", "2").await, Outcome::Succeeded);
    assert_eq!(refused(&world).await, "no_tests");
    assert_eq!(world.update_to("a", "1").await, Outcome::Succeeded);
    let stop = app::update::stop(&world.app, &world.caller(), id("a"), None, None).await.unwrap();
    assert_eq!(world.ended("a", stop.number).await, Outcome::Succeeded);
    assert_eq!(refused(&world).await, "nothing_runs");
    app::update::resume(&world.app, &world.caller(), id("a"), None, None).await.unwrap();
    running.kill();
    let refusal = refused(&world).await;
    assert!(matches!(refusal, "deployment_updating" | "nothing_runs"), "{refusal}");
}

#[tokio::test]
async fn a_right_that_was_taken_away_starts_no_test() {
    let (world, running) = begun("true").await;
    running.kill();
    let number = ask(&world).await;
    world.revoke().await;
    let before = world.fake.calls().len();
    let _running = world.start().await;
    assert_eq!(world.failed("a", number).await.code, "rights_revoked");
    assert_eq!(world.fake.calls().len(), before, "{:?}", world.fake.calls());
}

#[tokio::test]
async fn an_update_that_was_asked_for_meanwhile_waits_for_the_tests() {
    let (world, _running) = begun_and_runs_on().await;
    let number = ask(&world).await;
    let slot = place_of(&world, "first").await;
    let later = world.ask("a").await;
    assert!(world.fake.end(&slot, 0));
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    assert_eq!(world.ended("a", later).await, Outcome::Succeeded);
    assert_eq!(world.revisions("a"), [("api".to_owned(), 1)], "an unchanged service is not touched");
}

#[tokio::test]
async fn an_engine_that_is_away_for_a_while_keeps_its_tests() {
    let (world, _running) = begun_and_runs_on().await;
    let number = ask(&world).await;
    let slot = place_of(&world, "first").await;
    world.fake.down(true);
    let noticed = async || {
        let log = world.log("a", number).await;
        log.iter().any(|line| line.text.ends_with("It is tried again until it answers.")).then_some(())
    };
    world.until("the run to notice", noticed).await;
    world.fake.down(false);
    assert!(world.fake.end(&slot, 0));
    assert_eq!(world.ended("a", number).await, Outcome::Succeeded);
    assert_eq!(outcomes(&world).await, told(Some(TestOutcome::Passed), Some(TestOutcome::Passed)));
    is_untouched(&world).await;
}

#[tokio::test]
async fn a_stop_waits_for_no_test() {
    let (world, _running) = begun_and_runs_on().await;
    let number = ask(&world).await;
    place_of(&world, "first").await;
    let stop = app::update::stop(&world.app, &world.caller(), id("a"), None, None).await.unwrap();
    assert_eq!(world.ended("a", number).await, Outcome::Cancelled { by: "bob".into() });
    assert_eq!(world.ended("a", stop.number).await, Outcome::Succeeded);
    assert_eq!(world.fake.slots(), []);
}
