//! Deployments through the API, from the bundle to the roll back.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Team, archive, publish};

const PATH: &str = "/api/v1/deployments/iris-on-local";

#[tokio::test]
async fn a_deployment_has_datacaters_shape_and_its_state() {
    let team = Team::start().await;
    team.deployment(json!({ "environment": { "A": "1" }, "services": { "api": { "replicas": 2 } }, "secrets": { "TOKEN": "c4n4ry" } }))
        .await;
    assert_eq!(team.update().await["status"]["state"], "succeeded");
    let found = team.healthy("HEALTHY").await;
    insta::assert_json_snapshot!("deployment", found, {
        ".uuid" => "[uuid]", ".createdAt" => "[time]", ".updatedAt" => "[time]", ".status.changedAt" => "[time]",
        ".status.secrets[].updatedAt" => "[time]", ".status.slots[].startedAt" => "[time]",
        ".status.slots[].engineId" => "[engine id]", ".status.slots[].imageId" => "[image id]",
        ".status.slots[].endpoints" => "[endpoints]", ".status.slots[].conditions[].lastTransitionTime" => "[time]",
        ".status.*.Conditions[].lastTransitionTime" => "[time]", ".status.*.Conditions[].lastUpdateTime" => "[time]",
        ".status.objects[].uid" => "[engine id]", ".status.objects[].conditions[].lastTransitionTime" => "[time]",
    });
    let listed = team.viewer.get("/api/v1/deployments").await.expect(200);
    assert!(!listed.text.contains("c4n4ry") && !found.to_string().contains("c4n4ry"));
    assert_eq!(listed.json()[0]["status"]["ready"], 3);
    assert!(listed.json()[0]["status"]["slots"].is_null());
}

#[tokio::test]
async fn what_was_read_can_be_changed_and_sent_back() {
    let team = Team::start().await;
    let mut read = team.deployment(json!({ "secrets": { "TOKEN": "one" }, "autoRepair": true })).await;
    read["spec"]["bundle"] = json!("1.1");
    let body = json!({ "name": read["name"], "spec": read["spec"], "reason": "release" });
    let saved = team.deployer.put(PATH, &body).await.expect(200).json();
    assert_eq!(saved["spec"]["bundle"], "1.1");
    assert_eq!(saved["spec"]["autoRepair"], true);
    assert_eq!(saved["status"]["secrets"][0]["version"], 1, "secrets that are not named stay");
    let mut elsewhere = body;
    elsewhere["spec"]["infrastructure"] = json!("other");
    let refused = team.deployer.put(PATH, &elsewhere).await.expect(400).json();
    assert_eq!(refused["problems"][0]["place"], "spec.infrastructure");
}

#[tokio::test]
async fn a_patch_leaves_what_it_does_not_name() {
    let team = Team::start().await;
    team.deployment(json!({ "environment": { "A": "1" }, "services": { "api": { "replicas": 2 }, "cache": { "replicas": 1 } } })).await;
    let patch = async |spec: Value| {
        team.deployer.patch(PATH, &json!({ "spec": spec })).await.expect(200).json()["spec"].clone()
    };
    let spec = patch(json!({ "services": { "cache": null }, "secrets": { "T": "x" } })).await;
    assert_eq!(spec["services"], json!({ "api": { "replicas": 2 } }));
    assert_eq!(spec["environment"], json!({ "A": "1" }));
    let spec = patch(json!({ "bundle": "1.1", "environment": {} })).await;
    assert!(spec["environment"].is_null() && spec["bundle"] == "1.1");
    let secrets = patch(json!({ "secrets": { "T": null } })).await;
    assert!(secrets["secrets"].is_null());
    let now = team.deployer.get(PATH).await.expect(200).json();
    assert_eq!(now["status"]["secrets"], json!([]));
    let unknown = json!({ "spec": { "services": { "nope": { "replicas": 1 } } } });
    let refused = team.deployer.patch(PATH, &unknown).await.expect(400).json();
    assert_eq!(refused["code"], "plan_refused");
    assert_eq!(refused["problems"][0]["place"], "settings.services.nope");
}

#[tokio::test]
async fn from_update_to_roll_back() {
    let team = Team::start().await;
    team.deployment(json!({})).await;
    let plan = team.viewer.get(&format!("{PATH}/plan")).await.expect(200).json();
    assert_eq!(plan["bundle"], "1.0");
    assert!(!plan["changes"].as_array().unwrap().is_empty());
    let first = team.update().await;
    assert_eq!((&first["number"], &first["status"]["state"]), (&json!(1), &json!("succeeded")), "{first}");
    team.deployer.patch(PATH, &json!({ "spec": { "bundle": "1.1" } })).await.expect(200);
    team.update().await;
    assert_eq!(team.deployer.get(PATH).await.expect(200).json()["status"]["runningUpdate"], 2);

    let back = json!({ "to": 1, "reason": "1.1 answers slowly" });
    let asked = team.deployer.post(&format!("{PATH}/rollback"), &back).await.expect(200).json();
    let ended = team.ended(&format!("{PATH}/updates/{}", asked["number"])).await;
    assert_eq!(ended["spec"]["kind"], "roll_back");
    assert_eq!(ended["status"]["state"], "succeeded", "{ended}");
    assert_eq!(team.deployer.get(PATH).await.expect(200).json()["spec"]["bundle"], "1.0");
    let refused = team.deployer.post(&format!("{PATH}/rollback"), &json!({ "to": 99 })).await.expect(404);
    assert!(refused.text.contains("99"));

    let steps = team.viewer.get(&format!("{PATH}/updates/1/steps")).await.expect(200).json();
    assert_eq!(steps[0]["step"], "plan");
    let log = team.viewer.get(&format!("{PATH}/updates/1/log?limit=2")).await.expect(200).json();
    assert!(log.as_array().unwrap().len() <= 2);
    let refused =
        team.deployer.post(&format!("{PATH}/updates/1/cancel"), &json!({})).await.expect(409).json();
    assert_eq!(refused["code"], "update_ended");
}

#[tokio::test]
async fn stopping_resuming_and_deleting() {
    let team = Team::start().await;
    team.deployment(json!({})).await;
    team.update().await;
    assert_eq!(team.deployer.delete(PATH).await.expect(409).json()["code"], "deployment_not_stopped");
    let act = async |what: &str| {
        let path = format!("{PATH}/{what}");
        // Nothing needs to be said: the body may be left out.
        let asked = team.deployer.send(team.deployer.request(Method::POST, &path)).await.expect(200).json();
        team.ended(&format!("{PATH}/updates/{}", asked["number"])).await
    };
    assert_eq!(act("stop").await["spec"]["kind"], "stop");
    assert_eq!(team.viewer.get(&format!("{PATH}/slots")).await.expect(200).json(), json!([]));
    assert_eq!(act("resume").await["status"]["state"], "succeeded");
    act("stop").await;
    let last = team.deployer.delete(PATH).await.expect(200).json();
    assert_eq!(last["name"], "iris-on-local");
    team.deployer.get(PATH).await.expect(404);
}

#[tokio::test]
async fn a_bundle_goes_on_to_the_next_infrastructure() {
    let team = Team::start().await;
    team.deployment(json!({ "environment": { "A": "1" }, "secrets": { "T": "x" } })).await;
    let lab = json!({ "name": "lab", "spec": { "stage": "test", "engine": { "kind": "fake" } } });
    team.admin.post("/api/v1/infrastructures", &lab).await.expect(200);
    let promote = json!({ "to": "lab" });
    team.deployer.post(&format!("{PATH}/promote"), &promote).await.expect(404);
    team.admin.put("/api/v1/infrastructures/lab/grants/ml", &json!({ "right": "deploy" })).await.expect(200);
    let there = team.deployer.post(&format!("{PATH}/promote"), &promote).await.expect(200).json();
    assert_eq!(there["name"], "iris-on-lab");
    assert_eq!(there["spec"]["environment"], json!({ "A": "1" }));
    assert_eq!(there["status"]["secrets"], json!([]), "secrets do not travel");
    team.deployer.patch(PATH, &json!({ "spec": { "bundle": "1.1" } })).await.expect(200);
    let there = team.deployer.post(&format!("{PATH}/promote"), &promote).await.expect(200).json();
    assert_eq!((&there["name"], &there["spec"]["bundle"]), (&json!("iris-on-lab"), &json!("1.1")));
}

#[tokio::test]
async fn lists_are_filtered_and_sorted() {
    let team = Team::start().await;
    for name in ["a-one", "b-two", "c-three"] {
        let body = json!({ "name": name, "spec": { "project": "iris", "bundle": "1.0", "infrastructure": "local" } });
        team.deployer.post("/api/v1/deployments", &body).await.expect(200);
    }
    let names = async |query: &str| -> Vec<String> {
        let found = team.viewer.get(&format!("/api/v1/deployments?{query}")).await.expect(200).json();
        found.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("q=two").await, ["b-two"]);
    assert_eq!(names("sort=id&order=desc").await, ["c-three", "b-two", "a-one"]);
    assert_eq!(names("stage=DEV&project=iris&infrastructure=local&health=UNKNOWN").await.len(), 3);
    assert!(names("stage=prod").await.is_empty());
    assert!(names("attention=true").await.is_empty());
    assert!(names("health=ERROR").await.is_empty());
    let refused = team.viewer.get("/api/v1/deployments?health=FINE").await.expect(400).json();
    assert_eq!(refused["problems"][0]["place"], "health");
    assert_eq!(
        team.viewer.get("/api/v1/deployments?after=x").await.expect(400).json()["problems"][0]["place"],
        "after"
    );
}

#[tokio::test]
async fn bundles_are_published_compared_and_read() {
    let team = Team::start().await;
    let same = archive(&[("compose.yaml", crate::harness::COMPOSE)]);
    assert_eq!(
        publish(&team.deployer, "?version=1.0", same.clone()).await.expect(200).json()["projectCreated"],
        false
    );
    let other = archive(&[("compose.yaml", crate::harness::COMPOSE), ("README.md", "hi")]);
    assert_eq!(
        publish(&team.deployer, "?version=1.0", other.clone()).await.expect(409).json()["code"],
        "bundle_exists"
    );
    publish(&team.viewer, "?version=1.2", other.clone()).await.expect(403);
    let head = "--X\r\nContent-Disposition: form-data; name=\"version\"\r\n\r\n1.2\r\n\
        --X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"iris.zip\"\r\n\r\n";
    let form = [head.as_bytes(), &other, b"\r\n--X--\r\n"].concat();
    let request = team
        .deployer
        .request(Method::POST, "/api/v1/projects/iris/bundles")
        .header("content-type", "multipart/form-data; boundary=X")
        .body(form);
    let made = team.deployer.send(request).await.expect(200).json();
    assert_eq!(made["name"], "1.2");
    assert_eq!(made["files"].as_array().unwrap().len(), 2);
    let diff = team.viewer.get("/api/v1/projects/iris/bundles/1.0/diff?with=1.2").await.expect(200).json();
    assert_eq!(diff["files"][0]["place"], "README.md");
    let file = team.viewer.get("/api/v1/projects/iris/bundles/1.2/files/README.md").await.expect(200);
    assert_eq!((file.text.as_str(), file.header("content-type")), ("hi", Some("application/octet-stream")));
    let listed = team.viewer.get("/api/v1/projects/iris/bundles?limit=1").await.expect(200);
    assert_eq!(listed.json()[0]["name"], "1.2");
    assert!(listed.header("link").is_some());
    let download = team
        .viewer
        .send(team.viewer.request(Method::GET, "/api/v1/projects/iris/bundles/1.0/download"))
        .await;
    assert_eq!(download.header("content-length").unwrap(), same.len().to_string());
    let refused = publish(&team.deployer, "?version=2", b"no zip".to_vec()).await.expect(400).json();
    assert!(refused["message"].is_string());
    let broken =
        archive(&[("compose.yaml", "name: iris\nservices:\n  api:\n    image: a\n    security_opt: [a]\n")]);
    let refused = publish(&team.deployer, "?version=2", broken).await.expect(400).json();
    assert!(refused["problems"][0]["place"].as_str().unwrap().starts_with("compose.yaml:5"), "{refused}");
}

#[tokio::test]
async fn a_secret_that_is_removed_and_set_again_is_another_one() {
    let team = Team::start().await;
    team.deployment(json!({ "secrets": { "T": "old" } })).await;
    let set = async |value: Value| {
        let body = json!({ "spec": { "secrets": { "T": value } } });
        team.deployer.patch(PATH, &body).await.expect(200).json()["status"]["secrets"].clone()
    };
    assert_eq!(set(Value::Null).await, json!([]));
    let again = set(json!("new")).await;
    assert!(
        again[0]["version"].as_u64() > Some(1),
        "with the old version nothing would be replaced: {again}"
    );
}
