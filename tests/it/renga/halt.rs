//! Stopping executions without removing them, on the fake engine.

use serde_json::json;
use slipway::engine::fake::Faults;

use super::execution::{context, execution, of, run_on, state};
use crate::harness::Team;

const RUNS: &str = "sh -c 'echo up; sleep 600'";

#[tokio::test]
async fn what_is_stopped_has_ended_and_can_be_read() {
    let team = Team::start().await;
    run_on(&team);
    let context =
        context(&team.deployer, json!({ "image": "busybox", "command": RUNS, "ports": ["80"] })).await;
    let (path, made) = execution(&team.deployer, &context, json!({ "engine": "docker" })).await;
    state(&team.deployer, &path, "running").await;
    let id = made["identifier"].as_str().unwrap();
    let own = format!("/api/v1/executions/{id}");
    team.viewer.post(&format!("{own}/stop"), &json!({})).await.expect(404);
    let first = team.deployer.post(&format!("{own}/stop"), &json!({})).await.expect(200).json();
    assert_eq!(first["status"]["removed"], false);
    state(&team.deployer, &path, "exited").await;
    team.deployer.post(&format!("{own}/stop"), &json!({})).await.expect(200);
    let update = team.ended(&format!("/api/v1/deployments/{id}/updates/2")).await;
    assert_eq!(
        (&update["spec"]["kind"], &update["status"]["state"]),
        (&json!("halt"), &json!("succeeded")),
        "{update}"
    );
    team.deployer.get(&format!("/api/v1/deployments/{id}/updates/3")).await.expect(404);
    assert_eq!(team.deployer.get(&format!("{path}/logs")).await.expect(200).text, "up\n");
    assert_eq!(team.deployer.get(&format!("{path}/ports")).await.expect(200).json(), json!({ "ports": [] }));
    assert_eq!(team.it.fake.controls().slots().len(), 1, "it is kept");
    let page = team.deployer.get(&format!("/deployments/{id}/updates/2")).await.expect(200);
    assert!(page.text.contains("1 replica stopped and kept."), "{}", page.text);
    let journal = team.admin.get("/api/v1/journal").await.expect(200).text;
    assert!(journal.contains("update.requested") && journal.contains("\"halt\""));
    let shown = team.deployer.get(&own).await.expect(200).json();
    assert_eq!(shown["status"]["exitCode"], 143, "{shown}");
    team.deployer.delete(&path).await.expect(200);
    state(&team.deployer, &path, "unavailable").await;
}

#[tokio::test]
async fn what_the_engine_will_not_stop_is_said() {
    let team = Team::start().await;
    run_on(&team);
    let context = context(&team.deployer, json!({ "image": "busybox", "command": RUNS })).await;
    let (path, made) = execution(&team.deployer, &context, json!({ "engine": "docker" })).await;
    state(&team.deployer, &path, "running").await;
    let refuse = slipway::engine::EngineError::Refused("pods can't be patched".into());
    let faults = Faults { retire: Some(refuse), task_runs_on: true, ..Faults::default() };
    team.it.fake.controls().fault(&"execution".parse().unwrap(), faults);
    let id = made["identifier"].as_str().unwrap();
    team.deployer.post(&format!("/api/v1/executions/{id}/stop"), &json!({})).await.expect(200);
    let update = team.ended(&format!("/api/v1/deployments/{id}/updates/2")).await;
    assert_eq!(update["status"]["state"], "failed", "{update}");
    assert!(
        update["status"]["failure"]["message"].as_str().unwrap().contains("pods can't be patched"),
        "{update}"
    );
    state(&team.deployer, &path, "running").await;
    let list = team.deployer.get(&of(&context)).await.expect(200).json();
    assert_eq!(list["executions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_has_not_begun_is_not_started_any_more() {
    let team = Team::start().await;
    let context = context(&team.deployer, json!({ "image": "busybox", "command": RUNS })).await;
    team.it.fake.controls().slow(std::time::Duration::from_secs(2));
    let (path, made) = execution(&team.deployer, &context, json!({ "engine": "docker" })).await;
    let id = made["identifier"].as_str().unwrap();
    team.deployer.post(&format!("/api/v1/executions/{id}/stop"), &json!({})).await.expect(200);
    team.it.fake.controls().slow(std::time::Duration::ZERO);
    let update = team.ended(&format!("/api/v1/deployments/{id}/updates/1")).await;
    assert_eq!(update["status"]["state"], "cancelled", "{update}");
    state(&team.deployer, &path, "unavailable").await;
    assert!(team.it.fake.controls().slots().is_empty());
}
