//! Tests of bundles over the API: who may run them, who sees what they came to, and what governance makes of it.

use serde_json::{Value, json};
use slipway::domain::access::ProjectRight;

use crate::harness::{Team, archive, publish};

const DEPLOYMENT: &str = "/api/v1/deployments/iris-on-local";
const TESTS: &str = "/api/v1/deployments/iris-on-local/tests";
const OF_BUNDLE: &str = "/api/v1/projects/iris/bundles/2.0/tests";
/// A service and a test that ends with the code of the settings' variable `CODE`.
const TESTED: &str = "name: iris\nservices:\n  api:\n    image: python:3.11-slim\n  smoke:\n    image: busybox\n    \
                      command: [\"sh\", \"-c\", \"echo asked; exit $$CODE\"]\n    environment: {CODE: '0'}\n    \
                      x-slipway: {kind: test}\n";

/// A team whose bundle 2.0 has a test, deployed and updated, with governance of the infrastructure as told.
async fn tested(policy: &str) -> Team {
    let team = Team::start().await;
    publish(&team.admin, "?version=2.0", archive(&[("compose.yaml", TESTED)])).await.expect(200);
    let spec = json!({ "spec": { "stage": "dev", "governPolicy": policy } });
    team.admin.put("/api/v1/infrastructures/local", &spec).await.expect(200);
    let spec = json!({ "project": "iris", "bundle": "2.0", "infrastructure": "local" });
    let body = json!({ "name": "iris-on-local", "spec": spec, "ignoreWarnings": true });
    team.deployer.post("/api/v1/deployments", &body).await.expect(200);
    assert_eq!(team.update().await["status"]["state"], "succeeded");
    team
}

async fn run(team: &Team) -> Value {
    let asked = team.deployer.post(TESTS, &json!({ "reason": "nightly" })).await.expect(200).json();
    assert_eq!(asked["spec"]["kind"], "test", "{asked}");
    team.ended(&format!("{DEPLOYMENT}/updates/{}", asked["number"])).await
}

async fn fail(team: &Team, code: &str) {
    let body = json!({ "spec": { "services": { "smoke": { "environment": { "CODE": code } } } }, "ignoreWarnings": true });
    team.deployer.patch(DEPLOYMENT, &body).await.expect(200);
    assert_eq!(team.update().await["status"]["state"], "succeeded");
}

async fn message(team: &Team) -> Option<String> {
    let said = team.viewer.get(&format!("{DEPLOYMENT}/governance")).await.expect(200).json();
    let messages = said["messages"].as_array().unwrap();
    let found = messages.iter().find(|message| message["code"] == "TESTS_NOT_PASSED");
    found.map(|message| message["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn who_may_deploy_runs_tests_and_who_sees_the_deployment_sees_what_they_came_to() {
    let team = tested("NO_CHECK").await;
    let before = team.viewer.get(TESTS).await.expect(200).json();
    assert_eq!(before["tests"], json!([{ "service": "smoke" }]));
    assert!(before["refusal"].is_null(), "{before}");
    team.stranger.get(TESTS).await.expect(404);
    team.stranger.post(TESTS, &json!({})).await.expect(404);
    let refused = team.viewer.post(TESTS, &json!({})).await.expect(403).json();
    assert!(refused["hint"].as_str().unwrap().contains("deploy"), "{refused}");

    let ended = run(&team).await;
    assert_eq!(
        (&ended["status"]["state"], &ended["spec"]["reason"]),
        (&json!("succeeded"), &json!("nightly"))
    );
    assert_eq!(ended["status"]["rollable"], false);
    let after = team.viewer.get(TESTS).await.expect(200).json();
    let result = &after["tests"][0]["result"];
    assert_eq!((&result["outcome"], &result["exitCode"]), (&json!("PASSED"), &json!(0)), "{after}");
    assert_eq!(result["number"], ended["number"]);
    assert_eq!((&after["last"]["number"], &after["bundle"]), (&ended["number"], &json!("2.0")));

    fail(&team, "3").await;
    let failed = run(&team).await;
    assert_eq!(failed["status"]["failure"]["code"], "tests_failed", "{failed}");
    let found = team.viewer.get("/api/v1/deployments/iris-on-local").await.expect(200).json();
    assert_eq!(found["status"]["health"], "HEALTHY", "{found}");
    let result = team.viewer.get(TESTS).await.expect(200).json()["tests"][0]["result"].clone();
    assert_eq!((&result["outcome"], &result["exitCode"]), (&json!("FAILED"), &json!(3)));
    assert_eq!(result["message"], "it exited with code 3. Its last line: asked");
    let other = team.viewer.get(&format!("{TESTS}?bundle=1.0")).await.expect(200).json();
    assert_eq!(other["tests"], json!([]));
    team.viewer.get(&format!("{TESTS}?bundle=9.9")).await.expect(404);
}

#[tokio::test]
async fn a_request_that_comes_twice_runs_the_tests_once() {
    let team = tested("NO_CHECK").await;
    let again = team.deployer.clone().header("idempotency-key", "nightly-1");
    let first = again.post(TESTS, &json!({})).await.expect(200).json();
    team.ended(&format!("{DEPLOYMENT}/updates/{}", first["number"])).await;
    let second = again.post(TESTS, &json!({})).await.expect(200).json();
    assert_eq!(first["number"], second["number"]);
}

#[tokio::test]
async fn a_bundles_results_outlive_the_deployment_go_with_the_bundle_and_hide_a_place_that_is_not_seen() {
    let team = tested("NO_CHECK").await;
    run(&team).await;
    team.it.grant_project("iris", "authors", ProjectRight::View).await;
    let author = team.it.key(&["authors"]).await;
    let seen = team.viewer.get(OF_BUNDLE).await.expect(200).json();
    assert_eq!(seen["tests"][0]["result"]["deployment"], "iris-on-local", "{seen}");
    let hidden = author.get(OF_BUNDLE).await.expect(200).json();
    let result = &hidden["tests"][0]["result"];
    assert_eq!(result["outcome"], "PASSED");
    for key in ["deployment", "infrastructure", "number", "requester", "message"] {
        assert!(result[key].is_null(), "{key}: {result}");
    }
    team.stranger.get(OF_BUNDLE).await.expect(404);
    team.viewer.get("/api/v1/projects/iris/bundles/9.9/tests").await.expect(404);

    let stop = team.deployer.post(&format!("{DEPLOYMENT}/stop"), &json!({})).await.expect(200).json();
    team.ended(&format!("{DEPLOYMENT}/updates/{}", stop["number"])).await;
    team.deployer.delete(DEPLOYMENT).await.expect(200);
    let kept = team.viewer.get(OF_BUNDLE).await.expect(200).json();
    assert_eq!(kept["tests"][0]["result"]["deployment"], "iris-on-local", "{kept}");

    // The same name over again is another bundle, of which nothing is known.
    team.admin.delete("/api/v1/projects/iris/bundles/2.0").await.expect(200);
    publish(&team.admin, "?version=2.0", archive(&[("compose.yaml", TESTED)])).await.expect(200);
    let anew = team.viewer.get(OF_BUNDLE).await.expect(200).json();
    assert_eq!(anew["tests"], json!([{ "service": "smoke" }]));
}

#[tokio::test]
async fn governance_asks_for_passed_tests_and_is_content_once_they_pass() {
    let team = tested("WARN").await;
    assert_eq!(message(&team).await.as_deref(), Some("Never run: smoke."));
    let shown = team.healthy("WARNING").await;
    let codes: Vec<&Value> =
        shown["status"]["messages"].as_array().unwrap().iter().map(|message| &message["code"]).collect();
    assert!(codes.contains(&&json!("TESTS_NOT_PASSED")), "{codes:?}");
    fail(&team, "1").await;
    run(&team).await;
    assert_eq!(message(&team).await.as_deref(), Some("Failed: smoke."));
    fail(&team, "0").await;
    run(&team).await;
    assert_eq!(message(&team).await, None);
    // The folded state hears of it without another update.
    for _ in 0..400 {
        let shown = team.viewer.get(DEPLOYMENT).await.expect(200).json();
        let messages = shown["status"]["messages"].as_array().unwrap();
        if messages.iter().all(|message| message["code"] != "TESTS_NOT_PASSED") {
            assert!(!messages.is_empty(), "it is not approved all the same");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the deployment goes on saying that its tests have not passed");
}

#[tokio::test]
async fn a_bundle_without_tests_and_one_that_is_approved_have_no_message() {
    let team = tested("WARN").await;
    let without = team.viewer.get(&format!("{DEPLOYMENT}/governance?bundle=1.0")).await.expect(200).json();
    let codes: Vec<&Value> =
        without["messages"].as_array().unwrap().iter().map(|message| &message["code"]).collect();
    assert!(!codes.contains(&&json!("TESTS_NOT_PASSED")), "{codes:?}");

    team.admin.put("/api/v1/infrastructures/local/approvers/release", &json!({})).await.expect(200);
    let bob = team.it.session("bob", &["ml", "release"]).await;
    let asked = team.deployer.post(&format!("{DEPLOYMENT}/approvals"), &json!({})).await.expect(200).json();
    let path = format!("/api/v1/approvals/{}/approve", asked["name"].as_str().unwrap());
    bob.post(&path, &json!({})).await.expect(200);
    assert_eq!(message(&team).await, None, "who approves answers for it");
}

#[tokio::test]
async fn settings_reach_tests_and_say_nothing_of_them_that_makes_no_sense() {
    let team = tested("NO_CHECK").await;
    let wrong = json!({ "spec": { "services": { "smoke": { "replicas": 2 }, "nobody": {} } } });
    let refused = team.deployer.patch(DEPLOYMENT, &wrong).await.expect(400).json();
    let places: Vec<&str> =
        refused["problems"].as_array().unwrap().iter().map(|one| one["place"].as_str().unwrap()).collect();
    assert_eq!(places, ["settings.services.nobody", "settings.services.smoke.replicas"], "{refused}");
    let hint = refused["problems"][0]["hint"].as_str().unwrap();
    assert!(hint.contains("api, smoke"), "{hint}");
}
