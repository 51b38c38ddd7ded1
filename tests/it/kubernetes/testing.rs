//! Tests of a bundle on a real cluster: Jobs beside what runs, which reach it by its name, and leave nothing.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::flow::Scene;
use crate::harness::archive;

const COMPOSE: &str = "services:
  web:
    image: busybox:lab
    command: [\"sh\", \"-c\", \"mkdir -p /tmp/w && echo well > /tmp/w/index.html && exec httpd -f -p 8080 -h /tmp/w\"]
    stop_grace_period: 0s
    expose: [\"8080\"]
    deploy: {resources: {reservations: {cpus: \"0.05\"}}}
    healthcheck: {test: [\"CMD\", \"wget\", \"-q\", \"-O\", \"-\", \"http://127.0.0.1:8080/\"], interval: 1s, timeout: 2s, retries: 10}
  reaches:
    image: busybox:lab
    command: [\"sh\", \"/checks/ask.sh\"]
    volumes: [\"./checks:/checks\"]
    depends_on: {web: {condition: service_healthy}}
    x-slipway: {kind: test}
  breaks:
    image: busybox:lab
    command: [\"sh\", \"-c\", \"echo no; exit 3\"]
    expose: [\"9000\"]
    depends_on: {reaches: {condition: service_completed_successfully}}
    x-slipway: {kind: test}
";
const KINDS: &str = "deployments,jobs,services,secrets,configmaps,networkpolicies,pods";

#[tokio::test(flavor = "multi_thread")]
async fn tests_are_jobs_that_reach_what_runs_tell_how_they_ended_and_leave_nothing() {
    let scene = Scene::new().await;
    let (house, id) = (&scene.house, "testing");
    // The node hears of where a Service leads a moment after its pods are ready.
    let ask = "until answer=$(wget -q -O - http://web:8080/); do sleep 0.2; done; echo \"it says $answer\"\n";
    let files = [("compose.yaml", COMPOSE), ("checks/ask.sh", ask)];
    house.upload(archive(&files), "?project=testing&version=1").await;
    let spec = json!({ "project": "testing", "bundle": "1", "infrastructure": "k8s" });
    house.call(Method::POST, "/deployments", Some(json!({ "name": id, "spec": spec }))).await;
    house.update(id).await;
    let before = scene.objects(KINDS);
    assert!(before.iter().all(|name| !name.starts_with("job")), "an update starts no test: {before:?}");

    let asked = house.call(Method::POST, &format!("/deployments/{id}/tests"), Some(json!({}))).await;
    let number = asked["number"].as_u64().unwrap();
    let run: Value = house.ended(id, number).await;
    assert_eq!(run["status"]["failure"]["code"], "tests_failed", "{run}");
    assert_eq!(run["status"]["failure"]["service"], "breaks", "{run}");
    let log = house.call(Method::GET, &format!("/deployments/{id}/updates/{number}/log"), None).await;
    let lines: Vec<&str> =
        log.as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect();
    for line in ["reaches: it says well", "reaches: passed", "breaks: no"] {
        assert!(lines.contains(&line), "{line}: {lines:#?}");
    }
    let status = house.call(Method::GET, &format!("/deployments/{id}/tests"), None).await;
    let result = |at: usize| {
        (status["tests"][at]["result"]["outcome"].clone(), status["tests"][at]["result"]["exitCode"].clone())
    };
    assert_eq!(
        (result(0), result(1)),
        ((json!("FAILED"), json!(3)), (json!("PASSED"), json!(0))),
        "{status}"
    );
    let pods = scene.pods();
    assert_eq!(pods.len(), 1, "{pods:?}");
    let left = |name: &&String| !name.starts_with("pod");
    let after = scene.objects(KINDS);
    assert_eq!(after.iter().filter(left).collect::<Vec<_>>(), before.iter().filter(left).collect::<Vec<_>>());
    let shown = house.call(Method::GET, &format!("/deployments/{id}"), None).await;
    assert_eq!(shown["status"]["health"], "HEALTHY", "{shown}");
    assert_eq!(shown["status"]["runningUpdate"], 1);

    // One that runs on is cancelled, and its Job goes with its pod.
    let endless = COMPOSE.replace(
        "[\"sh\", \"-c\", \"echo no; exit 3\"]",
        "[\"sleep\", \"100000\"]\n    stop_grace_period: 0s",
    );
    house
        .upload(archive(&[("compose.yaml", &endless), ("checks/ask.sh", ask)]), "?project=testing&version=2")
        .await;
    house.choose(id, "2").await;
    house.update(id).await;
    let asked = house.call(Method::POST, &format!("/deployments/{id}/tests"), Some(json!({}))).await;
    let number = asked["number"].as_u64().unwrap();
    let began = Instant::now();
    while !scene.pods().iter().any(|pod| pod.starts_with("breaks ") && pod.ends_with("Running")) {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", scene.pods());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    house.call(Method::POST, &format!("/deployments/{id}/updates/{number}/cancel"), Some(json!({}))).await;
    let run: Value = house.ended(id, number).await;
    assert_eq!(run["status"]["state"], "cancelled", "{run}");
    let status = house.call(Method::GET, &format!("/deployments/{id}/tests"), None).await;
    assert_eq!(status["tests"][0]["result"]["outcome"], "ABORTED", "{status}");
    assert_eq!(scene.objects(KINDS).iter().filter(left).count(), before.iter().filter(left).count());
    assert_eq!(scene.pods(), pods, "what runs is what ran");
    house.remove(id).await;
}
