//! Governance and approvals: what warns, what prevents, who may approve what, and what makes an approval void.

use serde_json::{Value, json};

use crate::harness::{Client, Team, archive, publish};

const DEPLOYMENT: &str = "/api/v1/deployments/iris-on-local";
const PINNED: &str = "name: iris\nservices:\n  api:\n    image: python@sha256:1111111111111111111111111111111111111111111111111111111111111111\n    \
                      healthcheck: {test: [\"CMD\", \"true\"]}\n    deploy: {resources: {limits: {cpus: '1', memory: 64M}}}\n";

/// A team on an infrastructure whose governance says so, with approvers in `release`.
async fn governed(policy: &str) -> Team {
    let team = Team::start().await;
    let spec = json!({ "spec": { "stage": "dev", "governPolicy": policy } });
    team.admin.put("/api/v1/infrastructures/local", &spec).await.expect(200);
    team.admin.put("/api/v1/infrastructures/local/approvers/release", &json!({})).await.expect(200);
    team
}

/// Somebody who sees everything, may deploy, and whose group may approve.
async fn approver(team: &Team, name: &str) -> Client {
    team.it.session(name, &["ml", "release"]).await
}

fn body(ignore: bool) -> Value {
    let spec = json!({ "project": "iris", "bundle": "1.0", "infrastructure": "local" });
    json!({ "name": "iris-on-local", "spec": spec, "ignoreWarnings": ignore })
}

fn codes(messages: &Value) -> Vec<&str> {
    messages.as_array().unwrap().iter().map(|message| message["code"].as_str().unwrap()).collect()
}

async fn said(team: &Team, query: &str) -> Value {
    team.viewer.get(&format!("{DEPLOYMENT}/governance{query}")).await.expect(200).json()
}

async fn asked(client: &Client) -> String {
    let made = client.post(&format!("{DEPLOYMENT}/approvals"), &json!({ "reason": "1.0" })).await.expect(200);
    made.json()["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_warning_refuses_a_save_unless_it_is_ignored_and_shows_in_the_health() {
    let team = governed("WARN").await;
    let refused = team.deployer.post("/api/v1/deployments", &body(false)).await.expect(409).json();
    assert_eq!(refused["code"], "governance_warns", "{refused}");
    let places: Vec<&str> =
        refused["problems"].as_array().unwrap().iter().map(|one| one["place"].as_str().unwrap()).collect();
    assert_eq!(places, ["NOT_APPROVED", "IMAGES_NOT_PINNED", "NO_HEALTH_CHECK", "NO_LIMITS"]);
    team.deployer.get(DEPLOYMENT).await.expect(404);
    team.deployer.post("/api/v1/deployments", &body(true)).await.expect(200);
    assert_eq!(team.update().await["status"]["state"], "succeeded", "a warning keeps nothing from running");
    let found = team.healthy("WARNING").await;
    assert_eq!(codes(&found["status"]["messages"]), places);

    let other = json!({ "spec": { "environment": { "A": "1" } } });
    team.deployer.patch(DEPLOYMENT, &other).await.expect(409);
    let folder = json!({ "spec": { "folder": "team" } });
    team.deployer.patch(DEPLOYMENT, &folder).await.expect(200);
    let ignored = json!({ "spec": { "environment": { "A": "1" } }, "ignoreWarnings": true });
    team.deployer.patch(DEPLOYMENT, &ignored).await.expect(200);
    assert_eq!(team.update().await["status"]["state"], "succeeded");

    let bob = approver(&team, "bob").await;
    let id = asked(&team.deployer).await;
    bob.post(&format!("/api/v1/approvals/{id}/approve"), &json!({})).await.expect(200);
    let healthy = team.healthy("HEALTHY").await;
    assert_eq!(healthy["status"]["messages"], json!([]), "approved means no message");
    // Back to what was never approved, and to a stop: neither is held up by a warning.
    let back =
        team.deployer.post(&format!("{DEPLOYMENT}/rollback"), &json!({ "to": 1 })).await.expect(200).json();
    team.ended(&format!("{DEPLOYMENT}/updates/{}", back["number"])).await;
    team.healthy("WARNING").await;
    team.deployer.post(&format!("{DEPLOYMENT}/stop"), &json!({})).await.expect(200);
}

#[tokio::test]
async fn preventing_lets_save_and_refuses_the_update_before_it_is_queued() {
    let team = governed("PREVENT").await;
    team.deployer.post("/api/v1/deployments", &body(false)).await.expect(200);
    let refused = team.deployer.post(&format!("{DEPLOYMENT}/updates"), &json!({})).await.expect(409).json();
    assert_eq!(refused["code"], "governance_prevents", "{refused}");
    let updates = team.deployer.get(&format!("{DEPLOYMENT}/updates")).await.expect(200).json();
    assert_eq!(updates, json!([]), "it is no failed update");
    let plan = team.deployer.get(&format!("{DEPLOYMENT}/plan")).await.expect(200).json();
    assert!(
        plan["governance"].as_array().unwrap().iter().all(|message| message["isFatal"] == true),
        "{plan}"
    );

    let bob = approver(&team, "bob").await;
    let id = asked(&team.deployer).await;
    bob.post(&format!("/api/v1/approvals/{id}/approve"), &json!({ "comment": "go" })).await.expect(200);
    assert_eq!(team.update().await["status"]["state"], "succeeded");
    team.healthy("HEALTHY").await;

    // Any change voids it; going back to what was approved needs nobody.
    let change = json!({ "spec": { "services": { "api": { "replicas": 2 } } } });
    team.deployer.patch(DEPLOYMENT, &change).await.expect(200);
    let found = team.healthy("ERROR").await;
    assert_eq!(found["status"]["messages"][0]["code"], "NOT_APPROVED");
    team.deployer.post(&format!("{DEPLOYMENT}/updates"), &json!({})).await.expect(409);
    team.deployer.post(&format!("{DEPLOYMENT}/rollback"), &json!({ "to": 1 })).await.expect(200);
    team.healthy("HEALTHY").await;
    let stop = team.deployer.post(&format!("{DEPLOYMENT}/stop"), &json!({})).await.expect(200).json();
    assert_eq!(
        team.ended(&format!("{DEPLOYMENT}/updates/{}", stop["number"])).await["status"]["state"],
        "succeeded"
    );
}

#[tokio::test]
async fn what_runs_shows_a_policy_that_comes_later_and_is_still_repaired() {
    let team = governed("NO_CHECK").await;
    team.deployer.post("/api/v1/deployments", &body(false)).await.expect(200);
    let none = team.deployer.post(&format!("{DEPLOYMENT}/approvals"), &json!({})).await.expect(409).json();
    assert_eq!(none["code"], "approval_not_needed");
    team.deployer.patch(DEPLOYMENT, &json!({ "spec": { "autoRepair": true } })).await.expect(200);
    team.update().await;
    let spec = json!({ "spec": { "stage": "dev", "governPolicy": "PREVENT" } });
    team.admin.put("/api/v1/infrastructures/local", &spec).await.expect(200);
    let found = team.healthy("ERROR").await;
    assert_eq!(found["status"]["messages"][0]["code"], "NOT_APPROVED", "{found}");
    let controls = team.it.fake.controls();
    controls.remove(&controls.slots()[0].slot);
    let asked = async || team.deployer.get(&format!("{DEPLOYMENT}/updates")).await.expect(200).json();
    while asked().await.as_array().unwrap().len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let repair = team.ended(&format!("{DEPLOYMENT}/updates/2")).await;
    assert_eq!(
        (&repair["spec"]["kind"], &repair["status"]["state"]),
        (&json!("repair"), &json!("succeeded")),
        "{repair}"
    );
}

#[tokio::test]
async fn nobody_approves_what_they_asked_for_and_others_need_the_grant() {
    let team = governed("PREVENT").await;
    let anna = approver(&team, "anna").await;
    let key = anna
        .post("/api/v1/api-keys", &json!({ "name": "hers", "groups": ["ml", "release"] }))
        .await
        .expect(200);
    let hers = Client::new(&team.it.base).bearer(key.json()["secret"].as_str().unwrap());
    anna.post("/api/v1/deployments", &body(false)).await.expect(200);
    let id = asked(&hers).await;
    assert_eq!(asked(&anna).await, id, "asking again for the same plan is the same question");
    let decision = |word: &str| format!("/api/v1/approvals/{id}/{word}");

    for own in [&anna, &hers] {
        let refused = own.post(&decision("approve"), &json!({})).await.expect(403).json();
        assert!(refused["message"].as_str().unwrap().contains("who asks"), "{refused}");
        let shown = own.get(&format!("/api/v1/approvals/{id}")).await.expect(200).json();
        assert_eq!(shown["status"]["mayDecide"], false);
        assert!(!shown["status"]["changes"].as_array().unwrap().is_empty(), "{shown}");
        let found = shown["status"]["findings"].as_array().unwrap();
        let codes: Vec<&Value> = found.iter().map(|message| &message["code"]).collect();
        assert!(codes.contains(&&json!("IMAGES_NOT_PINNED")), "what an approval would answer for: {shown}");
        assert!(!codes.contains(&&json!("NOT_APPROVED")), "{shown}");
    }
    let refused = team.deployer.post(&decision("approve"), &json!({})).await.expect(403).json();
    assert!(refused["message"].as_str().unwrap().contains("none of your groups"), "{refused}");
    team.viewer.post(&decision("reject"), &json!({ "comment": "no" })).await.expect(403);
    team.deployer.post(&decision("withdraw"), &json!({})).await.expect(403);
    for word in ["approve", "reject", "withdraw"] {
        team.stranger.post(&decision(word), &json!({ "comment": "no" })).await.expect(404);
    }
    team.stranger.get(&format!("/api/v1/approvals/{id}")).await.expect(404);
    assert_eq!(team.stranger.get("/api/v1/approvals").await.expect(200).json(), json!([]));
    team.it.nobody().get("/api/v1/approvals").await.expect(401);

    let bob = approver(&team, "bob").await;
    let silent = bob.post(&decision("reject"), &json!({})).await.expect(400).json();
    assert_eq!(silent["problems"][0]["place"], "comment");
    bob.post(&decision("reject"), &json!({ "comment": "not on a friday" })).await.expect(200);
    let again = bob.post(&decision("approve"), &json!({})).await.expect(409).json();
    assert_eq!(again["code"], "approval_decided");
    assert_eq!(said(&team, "").await["messages"][0]["message"], "This plan was rejected.");

    let second = asked(&anna).await;
    assert_ne!(second, id);
    anna.post(&format!("/api/v1/approvals/{second}/withdraw"), &json!({})).await.expect(200);
    let third = asked(&anna).await;
    let listed = bob.get("/api/v1/approvals?state=pending&current=true").await.expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!((&listed[0]["name"], &listed[0]["status"]["mayDecide"]), (&json!(third), &json!(true)));
    let first = bob.get("/api/v1/approvals?limit=2").await.expect(200);
    assert!(first.header("link").unwrap().contains("after="));
    assert_eq!(first.json().as_array().unwrap().len(), 2);

    // Another save, and the question is about nothing any more.
    anna.patch(DEPLOYMENT, &json!({ "spec": { "environment": { "A": "1" } } })).await.expect(200);
    let void = bob.post(&format!("/api/v1/approvals/{third}/approve"), &json!({})).await.expect(409).json();
    assert_eq!(void["code"], "approval_void");

    let granted =
        team.admin.delete("/api/v1/infrastructures/local/approvers/release").await.expect(200).json();
    assert_eq!(granted, json!([]));
    let fourth = asked(&anna).await;
    bob.post(&format!("/api/v1/approvals/{fourth}/approve"), &json!({})).await.expect(403);
    team.admin.post(&format!("/api/v1/approvals/{fourth}/approve"), &json!({})).await.expect(200);
    assert_eq!(said(&team, "").await["messages"], json!([]));
}

#[tokio::test]
async fn each_check_says_what_it_found_and_another_bundle_can_be_asked_about() {
    let team = governed("WARN").await;
    publish(&team.admin, "?version=2.0", archive(&[("compose.yaml", PINNED)])).await.expect(200);
    team.deployer.post("/api/v1/deployments", &body(true)).await.expect(200);
    let now = said(&team, "").await;
    assert_eq!(
        codes(&now["messages"]),
        ["NOT_APPROVED", "IMAGES_NOT_PINNED", "NO_HEALTH_CHECK", "NO_LIMITS"]
    );
    assert_eq!(now["messages"][1]["message"], "Named by tag alone: api (python:3.11-slim), cache (redis:7).");
    let then = said(&team, "?bundle=2.0").await;
    assert_eq!((codes(&then["messages"]), &then["bundle"]), (vec!["NOT_APPROVED"], &json!("2.0")));
    let missing = team.viewer.get(&format!("{DEPLOYMENT}/governance?bundle=9.9")).await.expect(400).json();
    assert!(missing["message"].as_str().unwrap().contains("no bundle 9.9"), "{missing}");

    // Limits in the settings count as much as those in the bundle.
    let limits = json!({ "resources": { "cpuLimitMilli": 500, "memoryLimitBytes": 67_108_864 } });
    let spec = json!({ "services": { "api": limits, "cache": limits } });
    team.deployer.patch(DEPLOYMENT, &json!({ "spec": spec, "ignoreWarnings": true })).await.expect(200);
    assert!(!codes(&said(&team, "").await["messages"]).contains(&"NO_LIMITS"));
}
