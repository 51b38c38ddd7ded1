//! Tests of a bundle on a real cluster: Jobs beside what runs, which reach it by its name, and leave nothing.

use reqwest::Method;
use serde_json::{Value, json};

use super::flow::Scene;

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
    command: [\"sh\", \"-c\", \"echo \\\"it says $$(wget -q -O - http://web:8080/)\\\"\"]
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
    house.publish("testing", "1", COMPOSE).await;
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
    house.remove(id).await;
}
