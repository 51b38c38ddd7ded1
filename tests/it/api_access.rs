//! Stages, infrastructures, projects, keys, users and the journal through the API.

use serde_json::{Value, json};
use slipway::domain::access::InfrastructureRight;

use crate::harness::{Client, Team, TestApp};

#[tokio::test]
async fn stages_are_replaced_as_a_list() {
    let it = TestApp::builder().start().await;
    let admin = it.admin().await;
    let found = admin.get("/api/v1/stages").await.expect(200).json();
    assert_eq!(found[0], json!({ "id": "dev", "description": "Dev" }));
    let without_dev = json!([{ "id": "prod", "description": "Prod" }]);
    let refused = admin.put("/api/v1/stages", &without_dev).await.expect(409).json();
    assert_eq!(refused["code"], "stage_in_use");
    assert!(refused["message"].as_str().unwrap().contains("local"), "{refused}");
    let more = json!([{ "id": "qa", "description": "QA" }, { "id": "dev", "description": "Dev" }]);
    assert_eq!(admin.put("/api/v1/stages", &more).await.expect(200).json(), more);
}

#[tokio::test]
async fn an_infrastructure_from_making_to_deleting() {
    let it = TestApp::builder().start().await;
    let admin = it.admin().await;
    let body = json!({ "name": "lab", "spec": { "stage": "test", "engine": { "kind": "fake" },
        "policy": { "maxReplicas": 3, "maxLimits": { "memoryLimitBytes": 1024 } } } });
    let made = admin.post("/api/v1/infrastructures", &body).await.expect(200);
    assert_eq!(made.header("etag"), Some("\"1\""));
    insta::assert_json_snapshot!("infrastructure", made.json(), { ".createdAt" => "[time]", ".updatedAt" => "[time]" });
    let report = admin.post("/api/v1/infrastructures/lab/test", &json!({})).await.expect(200).json();
    assert_eq!(report["version"], "Fake 1");

    let lead = it.key(&["leads"]).await;
    lead.get("/api/v1/infrastructures/lab").await.expect(404);
    let grants =
        admin.put("/api/v1/infrastructures/lab/grants/leads", &json!({ "right": "admin" })).await.expect(200);
    assert_eq!(grants.json(), json!([{ "group": "leads", "right": "admin" }]));
    let move_on = json!({ "spec": { "stage": "prod" } });
    let saved = lead.put("/api/v1/infrastructures/lab", &move_on).await.expect(200).json();
    assert_eq!(saved["spec"]["stage"], "prod");
    assert_eq!(saved["spec"]["policy"]["maxReplicas"], 3, "what is left out stays");
    let loosen =
        json!({ "spec": { "stage": "prod", "policy": { "exceptions": [{ "kind": "privileged" }] } } });
    lead.put("/api/v1/infrastructures/lab", &loosen).await.expect(403);
    lead.delete("/api/v1/infrastructures/lab").await.expect(403);
    let wrong = json!({ "right": "publish" });
    admin.put("/api/v1/infrastructures/lab/grants/leads", &wrong).await.expect(400);
    assert_eq!(admin.delete("/api/v1/infrastructures/lab/grants/leads").await.expect(200).json(), json!([]));
    admin.delete("/api/v1/infrastructures/lab").await.expect(200);
    admin.get("/api/v1/infrastructures/lab").await.expect(404);
}

#[tokio::test]
async fn a_project_belongs_to_its_makers_group() {
    let it = TestApp::builder().start().await;
    let ml = it.key(&["ml", "all staff"]).await;
    let made =
        ml.post("/api/v1/projects", &json!({ "name": "iris", "group": "ml" })).await.expect(200).json();
    assert_eq!(made["status"]["right"], "admin");
    assert_eq!(
        ml.get("/api/v1/projects/iris/grants").await.expect(200).json(),
        json!([{ "group": "ml", "right": "admin" }])
    );
    let spaced = ml
        .put("/api/v1/projects/iris/grants/all%20staff", &json!({ "right": "view" }))
        .await
        .expect(200)
        .json();
    assert_eq!(spaced.as_array().unwrap().len(), 2);
    let slashed = ml
        .put("/api/v1/projects/iris/grants/%2Forg%2Fteam", &json!({ "right": "view" }))
        .await
        .expect(200)
        .json();
    assert!(slashed.to_string().contains("\"/org/team\""), "{slashed}");
    ml.delete("/api/v1/projects/iris").await.expect(200);
    ml.get("/api/v1/projects/iris").await.expect(404);
}

#[tokio::test]
async fn a_key_is_shown_once_and_opens_nothing_once_revoked() {
    let it = TestApp::builder().start().await;
    let bob = it.session("bob", &["ml"]).await;
    let wanted = json!({ "name": "ci", "groups": ["ml"] });
    let made = bob.post("/api/v1/api-keys", &wanted).await.expect(200).json();
    let secret = made["secret"].as_str().unwrap().to_owned();
    let listed = bob.get("/api/v1/api-keys").await.expect(200);
    assert!(!listed.text.contains(&secret) && listed.json()[0]["secret"].is_null());
    let key = it.nobody().bearer(&secret);
    let me = key.get("/api/v1/me").await.expect(200).json();
    assert_eq!(
        (&me["kind"], &me["groups"], &me["isAdmin"]),
        (&json!("api_key"), &json!(["ml"]), &json!(false))
    );
    let more = json!({ "name": "more", "groups": ["admins"] });
    assert_eq!(
        bob.post("/api/v1/api-keys", &more).await.expect(400).json()["problems"][0]["place"],
        "groups"
    );
    key.post("/api/v1/api-keys", &wanted).await.expect(403);
    let path = format!("/api/v1/api-keys/{}", made["uuid"].as_str().unwrap());
    it.session("eve", &["ml"]).await.delete(&path).await.expect(404);
    assert!(bob.delete(&path).await.expect(200).json()["revokedAt"].is_string());
    key.get("/api/v1/me").await.expect(401);
}

#[tokio::test]
async fn a_key_that_a_key_made_ends_with_it() {
    let it = TestApp::builder().start().await;
    let bob = it.session("bob", &["ml"]).await;
    let end = chrono::Utc::now() + chrono::TimeDelta::days(2);
    let end = end.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let wanted = json!({ "name": "release", "groups": ["ml"], "expiresAt": end });
    let first = bob.post("/api/v1/api-keys", &wanted).await.expect(200).json();
    let secret_of = |made: &Value| made["secret"].as_str().unwrap().to_owned();
    it.grant_infrastructure("local", "ml", InfrastructureRight::View).await;
    let path = "/dip/publicapi/project-deployer/infras/local/generate-personal-api-key?label=nightly";
    let with = |secret: String| Client::new(&it.base).bearer(&secret);
    let second = with(secret_of(&first)).post(path, &json!({})).await.expect(200).json();
    let third = with(secret_of(&second)).post(path, &json!({})).await.expect(200).json();
    let mine = bob.get("/api/v1/api-keys").await.expect(200).json();
    let made: Vec<&Value> = mine.as_array().unwrap().iter().filter(|key| key["name"] == "nightly").collect();
    assert_eq!(made.len(), 2, "they are their maker's owner's: {mine}");
    for key in made {
        assert_eq!((&key["expiresAt"], &key["groups"]), (&first["expiresAt"], &first["groups"]), "{key}");
    }
    let last = with(secret_of(&third));
    last.get("/api/v1/me").await.expect(200);
    bob.delete(&format!("/api/v1/api-keys/{}", first["uuid"].as_str().unwrap())).await.expect(200);
    for made in [&first, &second, &third] {
        with(secret_of(made)).get("/api/v1/me").await.expect(401);
    }
}

#[tokio::test]
async fn users_are_disabled_by_administrators_and_not_by_themselves() {
    let it = TestApp::builder().start().await;
    let bob = it.session("bob", &["ml"]).await;
    let id = bob.get("/api/v1/me").await.expect(200).json()["uuid"].as_str().unwrap().to_owned();
    assert_eq!(bob.get("/api/v1/me/sessions").await.expect(200).json().as_array().unwrap().len(), 1);
    bob.put(&format!("/api/v1/users/{id}"), &json!({ "disabled": true })).await.expect(403);
    let admin = it.session("alice", &["admins"]).await;
    let own = admin.get("/api/v1/me").await.expect(200).json()["uuid"].as_str().unwrap().to_owned();
    let refused =
        admin.put(&format!("/api/v1/users/{own}"), &json!({ "disabled": true })).await.expect(409).json();
    assert_eq!(refused["code"], "own_account");
    let saved =
        admin.put(&format!("/api/v1/users/{id}"), &json!({ "disabled": true })).await.expect(200).json();
    assert_eq!(saved["disabled"], true);
    let request = bob.request(reqwest::Method::GET, "/api/v1/me").header("accept", "application/json");
    assert_eq!(bob.send(request).await.status, 401);
    let listed = admin.get("/api/v1/users?limit=1").await.expect(200);
    assert_eq!(listed.json().as_array().unwrap().len(), 1);
    assert!(listed.header("link").is_some());
}

#[tokio::test]
async fn the_journal_says_who_did_what_and_its_chain_holds() {
    let team = Team::start().await;
    team.deployment(json!({ "secrets": { "T": "c4n4ry" } })).await;
    team.deployer
        .patch(
            "/api/v1/deployments/iris-on-local",
            &json!({ "spec": { "bundle": "1.1" }, "reason": "release" }),
        )
        .await
        .expect(200);
    let of = team.viewer.get("/api/v1/journal?deployment=iris-on-local").await.expect(200);
    let actions: Vec<Value> =
        of.json().as_array().unwrap().iter().map(|event| event["action"].clone()).collect();
    assert_eq!(actions, ["deployment.saved", "deployment.created"]);
    let saved = &of.json()[0];
    assert_eq!(
        (&saved["reason"], &saved["origin"], &saved["actor"]),
        (&json!("release"), &json!("api"), &json!("key of ml"))
    );
    assert!(saved["requestId"].as_str().is_some_and(|id| id.len() == 32));
    assert!(!of.text.contains("c4n4ry"));
    let whole = team.admin.get("/api/v1/journal?limit=2").await.expect(200);
    assert_eq!(whole.json().as_array().unwrap().len(), 2);
    assert!(whole.header("link").is_some());
    team.viewer.get("/api/v1/journal?project=iris&deployment=iris-on-local").await.expect(400);
    assert_eq!(team.admin.get("/api/v1/journal/verify").await.expect(200).json()["whole"], true);
}
