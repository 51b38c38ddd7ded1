//! Tests of a bundle on a real engine: they reach what runs by its name, tell how they ended, and leave nothing.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::scene::{PATIENCE, Scene};
use crate::harness::archive;

/// One service alone, so that its tests are its only peers.
const COMPOSE: &str = "services:
  web:
    image: busybox:lab
    command: [\"sh\", \"-c\", \"mkdir -p /tmp/w && echo well > /tmp/w/index.html && exec httpd -f -p 8080 -h /tmp/w\"]
    stop_grace_period: 0s
    healthcheck: {test: [\"CMD\", \"wget\", \"-q\", \"-O\", \"-\", \"http://127.0.0.1:8080/\"], interval: 1s}
";

const REACHES: &str = "  reaches:
    image: busybox:lab
    command: [\"sh\", \"/checks/ask.sh\"]
    volumes: [\"./checks:/checks\"]
    depends_on: {web: {condition: service_healthy}}
    x-slipway: {kind: test}
";

/// The bundle as `version`, with these tests.
async fn publish(scene: &Scene, version: &str, tests: &str) {
    let compose = format!("{COMPOSE}{tests}");
    let ask = "echo \"it says $(wget -q -O - http://web:8080/)\"\n";
    let files = [("compose.yaml", compose.as_str()), ("checks/ask.sh", ask)];
    scene.house.upload(archive(&files), &format!("?project=p&version={version}")).await;
}

async fn ask(scene: &Scene, id: &str) -> u64 {
    let path = format!("/deployments/{id}/tests");
    scene.house.call(Method::POST, &path, Some(json!({}))).await["number"].as_u64().unwrap()
}

async fn log(scene: &Scene, id: &str, number: u64) -> Vec<String> {
    let lines = scene.house.call(Method::GET, &format!("/deployments/{id}/updates/{number}/log"), None).await;
    lines.as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

async fn results(scene: &Scene, id: &str) -> Vec<Value> {
    let status = scene.house.call(Method::GET, &format!("/deployments/{id}/tests"), None).await;
    status["tests"].as_array().unwrap().iter().map(|test| test["result"].clone()).collect()
}

/// Id and start of each container of the deployment.
async fn containers(scene: &Scene, id: &str) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for container in scene.containers(id).await {
        let id = container.id.unwrap();
        let Ok(seen) = scene.docker.inspect_container(&id, None).await else { continue };
        found.push((id, seen.state.and_then(|state| state.started_at)));
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_reach_what_runs_by_its_name_tell_how_they_ended_and_leave_nothing() {
    let mut scene = Scene::new("testing").await;
    let breaks = "  breaks:\n    image: busybox:lab\n    command: [\"sh\", \"-c\", \"echo one; echo two >&2; exit 3\"]\n    \
                  x-slipway: {kind: test}\n";
    publish(&scene, "1", REACHES).await;
    publish(&scene, "2", &format!("{REACHES}{breaks}")).await;
    let id = scene.up("a", "1", json!({})).await;
    let before = containers(&scene, &id).await;
    assert_eq!(before.len(), 1, "an update starts no test");

    let number = ask(&scene, &id).await;
    let run = scene.house.wait(&id, number).await;
    assert_eq!(run["spec"]["kind"], "test", "{run}");
    let lines = log(&scene, &id, number).await;
    for line in ["reaches: it says well", "reaches: passed"] {
        assert!(lines.iter().any(|text| text == line), "{line}: {lines:#?}");
    }
    assert_eq!(results(&scene, &id).await[0]["outcome"], "PASSED");
    assert_eq!(containers(&scene, &id).await, before, "what runs is not touched, and nothing is left");

    scene.house.choose(&id, "2").await;
    scene.house.update(&id).await;
    assert_eq!(containers(&scene, &id).await, before, "other tests change nothing of a service");
    let number = ask(&scene, &id).await;
    let run = scene.house.ended(&id, number).await;
    assert_eq!(run["status"]["failure"]["code"], "tests_failed", "{run}");
    assert_eq!(run["status"]["failure"]["service"], "breaks", "{run}");
    let lines = log(&scene, &id, number).await;
    for line in ["breaks: one", "breaks: two", "breaks: failed: it exited with code 3", "reaches: passed"] {
        assert!(lines.iter().any(|text| text == line), "{line}: {lines:#?}");
    }
    let results = results(&scene, &id).await;
    assert_eq!((&results[0]["outcome"], &results[0]["exitCode"]), (&json!("FAILED"), &json!(3)));
    assert_eq!(results[1]["outcome"], "PASSED");
    assert_eq!(containers(&scene, &id).await, before);
    scene.health(&id, "HEALTHY").await;
    scene.house.remove(&id).await;
    assert_eq!(scene.containers(&id).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_runs_over_a_kill_is_started_once_and_a_cancelled_one_goes() {
    let mut scene = Scene::new("testkill").await;
    let waits = "  waits:\n    image: busybox:lab\n    stop_grace_period: 0s\n    x-slipway: {kind: test}\n    command: \
                 [\"sh\", \"-c\", \"echo begun; until wget -q -O - http://web:8080/go; do sleep 0.2; done; echo gone\"]\n";
    publish(&scene, "1", waits).await;
    let id = scene.up("a", "1", json!({})).await;
    let before = containers(&scene, &id).await;
    let number = ask(&scene, &id).await;
    let during = two(&scene, &id).await;
    scene.house.stop(false);
    scene.house.start();
    let began = Instant::now();
    while !log(&scene, &id, number).await.iter().any(|line| line.ends_with("and awaited")) {
        assert!(began.elapsed() < PATIENCE, "{:#?}", log(&scene, &id, number).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(containers(&scene, &id).await, during, "it is the container of before");
    let cancel = format!("/deployments/{id}/updates/{number}/cancel");
    scene.house.call(Method::POST, &cancel, Some(json!({}))).await;
    let run = scene.house.ended(&id, number).await;
    assert_eq!(run["status"]["state"], "cancelled", "{run}");
    let result = results(&scene, &id).await.remove(0);
    assert_eq!(result["outcome"], "ABORTED", "{result}");
    assert!(log(&scene, &id, number).await.iter().any(|line| line == "waits: begun"));
    assert_eq!(containers(&scene, &id).await, before);
    scene.house.remove(&id).await;
}

/// Waits until the service and its test run.
async fn two(scene: &Scene, id: &str) -> Vec<(String, Option<String>)> {
    let began = Instant::now();
    loop {
        let found = containers(scene, id).await;
        let all_run = found.iter().all(|(_, at)| at.as_ref().is_some_and(|at| !at.starts_with("0001")));
        if found.len() == 2 && all_run {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
