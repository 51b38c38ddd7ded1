//! What holds for every noun of the API: strict bodies, errors, paging, ETags, repeated requests.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{COMPOSE, Client, Team, TestApp, archive, publish};

#[tokio::test]
async fn a_wrong_body_is_refused_by_its_place() {
    let team = Team::start().await;
    let spec = json!({ "project": "iris", "bundle": "1.0", "infrastructure": "local" });
    let with = |key: &str, value: Value| {
        let mut spec = spec.clone();
        spec[key] = value;
        json!({ "spec": spec })
    };
    let cases = [
        (with("replica", json!(2)), "replica", "unknown field `replica`"),
        (with("enabled", json!("yes")), "spec.enabled", "invalid type"),
        (
            with("services", json!({ "api": { "replicas": "two" } })),
            "spec.services.api.replicas",
            "invalid type",
        ),
        (
            with("services", json!({ "api": { "ports": [{ "containerPort": 70_000 }] } })),
            "containerPort",
            "70000",
        ),
        (with("project", json!("../etc")), "spec.project", "not a valid project"),
        (json!({ "name": "x" }), "body", "missing field `spec`"),
        (json!([]), "body", "invalid"),
    ];
    for (body, place, words) in cases {
        let answer = team.deployer.post("/api/v1/deployments", &body).await.expect(400).json();
        assert_eq!(answer["code"], "invalid_input", "{body}");
        let problem = &answer["problems"][0];
        assert!(
            problem["place"].as_str().unwrap().contains(place) || place == "replica",
            "{body}: {problem}"
        );
        assert!(problem["message"].as_str().unwrap().contains(words), "{body}: {problem}");
    }
    assert_eq!(team.deployer.get("/api/v1/deployments").await.expect(200).json(), json!([]));
}

#[tokio::test]
async fn an_error_has_datacaters_fields_and_ours() {
    let it = TestApp::builder().start().await;
    let answer = it.key(&["ml"]).await.get("/api/v1/deployments/nothing").await.expect(404);
    let request = answer.header("x-request-id").unwrap().to_owned();
    let body = answer.json();
    assert_eq!(
        body,
        json!({ "statusCode": 404, "status": "Not Found", "code": "not_found", "requestId": request,
            "message": "there is no deployment nothing, or you may not see it" })
    );
}

#[tokio::test]
async fn what_is_no_json_and_what_is_too_large_are_refused() {
    let it = TestApp::builder().start().await;
    let admin = it.admin().await;
    let post = |kind: &str, body: String| {
        admin.send(admin.request(Method::POST, "/api/v1/projects").header("content-type", kind).body(body))
    };
    assert_eq!(
        post("application/json", "{\"name\":".into()).await.expect(400).json()["code"],
        "invalid_json"
    );
    assert_eq!(post("text/xml", "<name/>".into()).await.expect(400).json()["code"], "unsupported_body");
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(3 << 20));
    assert_eq!(post("application/json", large).await.expect(413).json()["code"], "body_too_large");
    post("application/json; charset=utf-8", "{\"name\":\"iris\"}".into()).await.expect(200);
}

#[tokio::test]
async fn a_wrong_method_is_405_and_an_unknown_path_404() {
    let it = TestApp::builder().start().await;
    let admin = it.admin().await;
    let wrong = admin.delete("/api/v1/stages").await.expect(405);
    assert_eq!((wrong.header("allow"), &wrong.json()["code"]), (Some("GET, PUT"), &json!("wrong_method")));
    admin.get("/api/v1/nothing-here").await.expect(404);
    let answer = admin.get("/api/v1/projects?colour=red").await.expect(400).json();
    assert!(answer["message"].as_str().unwrap().contains("`colour`"), "{answer}");
}

async fn pages(client: &Client, base: &str, first: &str) -> Vec<Vec<String>> {
    let (mut path, mut pages) = (first.to_owned(), Vec::new());
    loop {
        let answer = client.get(&path).await.expect(200);
        let names = answer
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect();
        pages.push(names);
        let Some(link) = answer.header("link") else {
            return pages;
        };
        let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        path = next.strip_prefix(base.trim_end_matches("/slipway")).unwrap().replacen("/slipway", "", 1);
    }
}

#[tokio::test]
async fn pages_hold_each_entry_once_and_link_to_the_next() {
    let it = TestApp::builder().base_path("/slipway").start().await;
    let admin = it.admin().await;
    for at in 0..7 {
        let body = json!({ "name": format!("p{at}"), "spec": { "tags": ["t"] } });
        admin.post("/api/v1/projects", &body).await.expect(200);
    }
    let found = pages(&admin, &it.base, "/api/v1/projects?limit=3&tag=t").await;
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(found.iter().flatten().collect::<BTreeSet<_>>().len(), 7);
    let whole = admin.get("/api/v1/projects").await.expect(200);
    assert!(whole.header("link").is_none());
    assert_eq!(whole.json().as_array().unwrap().len(), 7);
    for wrong in ["limit=0", "limit=501", "limit=-1"] {
        assert_eq!(
            admin.get(&format!("/api/v1/projects?{wrong}")).await.expect(400).json()["problems"][0]["place"],
            "limit"
        );
    }
}

#[tokio::test]
async fn a_whole_list_comes_however_long_it_is() {
    let it = TestApp::builder().start().await;
    let admin = it.admin().await;
    let app = &it.instance.app;
    for at in 0..1_203 {
        let key = slipway::domain::name::ProjectKey::parse(format!("p{at:04}")).unwrap();
        let new = slipway::app::project::NewProject {
            key,
            description: String::new(),
            tags: Vec::new(),
            group: None,
        };
        slipway::app::project::create(app, &slipway::domain::access::Caller::system(), new, None)
            .await
            .unwrap();
    }
    let whole = admin.get("/api/v1/projects").await.expect(200).json();
    let names: Vec<&str> =
        whole.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 1_203);
    assert!(names.is_sorted());
}

#[tokio::test]
async fn a_stale_save_is_refused() {
    let team = Team::start().await;
    team.deployment(json!({})).await;
    for (path, body) in [
        ("/api/v1/projects/iris", json!({ "spec": { "description": "flowers" } })),
        ("/api/v1/infrastructures/local", json!({ "spec": { "stage": "dev" } })),
        (
            "/api/v1/deployments/iris-on-local",
            json!({ "spec": { "project": "iris", "bundle": "1.1", "infrastructure": "local" } }),
        ),
    ] {
        let put = |tag: &str| {
            let request = team.admin.request(Method::PUT, path).json(&body);
            team.admin.send(request.header("if-match", tag))
        };
        let tag = team.admin.get(path).await.expect(200).header("etag").unwrap().to_owned();
        let saved = put(&tag).await.expect(200);
        assert_ne!(saved.header("etag"), Some(tag.as_str()), "{path}");
        assert_eq!(put(&tag).await.expect(412).json()["code"], "changed_meanwhile", "{path}");
        for foreign in ["\"x\"", "W/\"2\"", "2"] {
            put(foreign).await.expect(412);
        }
        put("*").await.expect(200);
        team.admin.put(path, &body).await.expect(200);
    }
}

#[tokio::test]
async fn a_repeated_request_makes_nothing_twice() {
    let team = Team::start().await;
    let post = async |path: &str, body: Value| {
        let request = team.deployer.request(Method::POST, path).header("idempotency-key", path).json(&body);
        team.deployer.send(request).await
    };
    let spec = json!({ "spec": { "project": "iris", "bundle": "1.0", "infrastructure": "local" } });
    let first = post("/api/v1/deployments", spec.clone()).await.expect(200).json();
    let second = post("/api/v1/deployments", spec.clone()).await.expect(200).json();
    assert_eq!(first["uuid"], second["uuid"]);
    let mut other = spec;
    other["name"] = json!("another");
    assert_eq!(post("/api/v1/deployments", other).await.expect(409).json()["code"], "idempotency_key_reused");
    let updates = "/api/v1/deployments/iris-on-local/updates";
    let first = post(updates, json!({})).await.expect(200).json();
    assert_eq!(post(updates, json!({})).await.expect(200).json()["number"], first["number"]);
    assert_eq!(team.deployer.get(updates).await.expect(200).json().as_array().unwrap().len(), 1);
    team.ended(&format!("{updates}/1")).await;
    let deployment = "/api/v1/deployments/iris-on-local";
    let actions = [("rollback", json!({ "to": 1 })), ("stop", json!({})), ("resume", json!({}))];
    for (count, (action, body)) in (2..).zip(actions) {
        let path = format!("{deployment}/{action}");
        let first = post(&path, body.clone()).await.expect(200).json();
        assert_eq!(post(&path, body.clone()).await.expect(200).json()["number"], first["number"], "{action}");
        team.ended(&format!("{updates}/{}", first["number"])).await;
        // Also when what it asked for is done long since.
        assert_eq!(post(&path, body).await.expect(200).json()["number"], first["number"], "{action}");
        let all = team.deployer.get(updates).await.expect(200).json();
        assert_eq!(all.as_array().unwrap().len(), count, "{action}");
    }
    let next = json!({ "name": "next", "spec": { "stage": "test", "engine": { "kind": "fake" } } });
    team.admin.post("/api/v1/infrastructures", &next).await.expect(200);
    let right = json!({ "right": "deploy" });
    team.admin.put("/api/v1/infrastructures/next/grants/ml", &right).await.expect(200);
    let promote = format!("{deployment}/promote");
    let first = post(&promote, json!({ "to": "next" })).await.expect(200).json();
    let second = post(&promote, json!({ "to": "next" })).await.expect(200).json();
    assert_eq!((&second["uuid"], &second["updatedAt"]), (&first["uuid"], &first["updatedAt"]));
    let other = post(&promote, json!({ "to": "local" })).await.expect(409).json();
    assert_eq!(other["code"], "idempotency_key_reused");
}

#[tokio::test]
async fn a_replay_shows_nothing_that_its_sender_lost() {
    let team = Team::start().await;
    team.it.grant_project("iris", "ml", slipway::domain::access::ProjectRight::Publish).await;
    let post = async || {
        let request = team.deployer.request(Method::POST, "/api/v1/bundles?version=3.0");
        let request = request.header("idempotency-key", "k").header("content-type", "application/zip");
        team.deployer.send(request.body(archive(&[("compose.yaml", COMPOSE)]))).await
    };
    post().await.expect(200);
    post().await.expect(200);
    team.admin.delete("/api/v1/projects/iris/grants/ml").await.expect(200);
    post().await.expect(404);
}

#[tokio::test]
async fn the_document_and_its_console_are_open_and_run_nothing_inline() {
    let it = TestApp::builder().base_path("/slipway").start().await;
    let nobody = it.nobody();
    assert_eq!(nobody.get("/api/docs").await.expect(308).header("location"), Some("/slipway/api/docs/"));
    let page = nobody.get("/api/docs/").await.expect(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    for script in page.text.split("<script").skip(1) {
        assert!(script.trim_start().starts_with("src=") || script.contains(" src="), "inline: {script}");
    }
    let start = nobody.get("/api/docs/swagger-initializer.js").await.expect(200);
    assert!(start.text.contains("/slipway/api/v1/openapi.json"), "{}", start.text);
    nobody.get("/api/docs/../../Cargo.toml").await.expect(401);
    nobody.get("/api/docs/nothing.js").await.expect(404);
}

#[tokio::test]
async fn hidden_things_stay_hidden_in_every_field_that_takes_an_id() {
    let team = Team::start().await;
    team.deployment(json!({})).await;
    let own = archive(&[("compose.yaml", &COMPOSE.replace("iris", "theirs"))]);
    publish(&team.stranger, "?version=1.0", own).await.expect(200);
    let post = async |path: &str, body: Value| team.stranger.post(path, &body).await;
    let with = |project: &str, infrastructure: &str| json!({ "spec": { "project": project, "bundle": "1.0", "infrastructure": infrastructure } });
    post("/api/v1/deployments", with("iris", "local")).await.expect(404);
    post("/api/v1/deployments", with("theirs", "local")).await.expect(404);
    let journal = |query: &str| format!("/api/v1/journal?{query}");
    for query in ["deployment=iris-on-local", "project=iris", "infrastructure=local"] {
        team.stranger.get(&journal(query)).await.expect(404);
    }
    let into = archive(&[("compose.yaml", COMPOSE)]);
    publish(&team.stranger, "?project=iris&version=9", into).await.expect(404);
    assert_eq!(
        team.admin.get("/api/v1/projects/iris/bundles").await.expect(200).json().as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn a_taken_id_is_told_only_to_who_might_have_had_it() {
    let team = Team::start().await;
    team.deployment(json!({})).await;
    // Of a deployment: only when nothing else stands in the way of making one.
    publish(&team.stranger, "?version=1.0", archive(&[("compose.yaml", &COMPOSE.replace("iris", "theirs"))]))
        .await
        .expect(200);
    let ask = async |id: &str, bundle: &str, infrastructure: &str| {
        let spec = json!({ "project": "theirs", "bundle": bundle, "infrastructure": infrastructure });
        let answer = team.stranger.post("/api/v1/deployments", &json!({ "name": id, "spec": spec })).await;
        (answer.status, answer.json()["message"].as_str().unwrap_or_default().replace(id, "ID"))
    };
    assert_eq!(
        ask("iris-on-local", "1.0", "local").await,
        ask("free", "1.0", "local").await,
        "no infrastructure"
    );
    team.it
        .grant_infrastructure("local", "strangers", slipway::domain::access::InfrastructureRight::Deploy)
        .await;
    assert_eq!(ask("iris-on-local", "9", "local").await, ask("free", "9", "local").await, "no such bundle");
    assert_eq!(ask("iris-on-local", "1.0", "local").await, (409, "the id ID is taken".to_owned()));
    // Of a project: the refusal does not say whose it is, and names no deployment that the caller may not see.
    let taken = team.stranger.post("/api/v1/projects", &json!({ "name": "iris" })).await.expect(409).json();
    assert_eq!(taken["message"], "the key iris is taken");
    team.it.grant_project("iris", "strangers", slipway::domain::access::ProjectRight::Admin).await;
    team.it.grant_project("theirs", "strangers", slipway::domain::access::ProjectRight::Admin).await;
    let revoke = "/api/v1/infrastructures/local/grants/strangers";
    team.admin.delete(revoke).await.expect(200);
    for path in ["/api/v1/projects/iris", "/api/v1/projects/iris/bundles/1.0"] {
        let used = team.stranger.delete(path).await.expect(409).json();
        let message = used["message"].as_str().unwrap();
        assert!(message.ends_with("is used by 1 deployments that you may not see"), "{message}");
        let used = team.admin.delete(path).await.expect(409).json();
        assert!(used["message"].as_str().unwrap().ends_with("the deployments iris-on-local"), "{used}");
    }
}

#[tokio::test]
async fn to_who_may_make_no_project_a_hidden_one_is_as_one_that_is_not() {
    let team = Team::on(TestApp::builder().project_makers(&["makers"]).start().await).await;
    let send = async |project: &str| {
        let bytes = archive(&[("compose.yaml", &COMPOSE.replace("iris", project))]);
        let answer = publish(&team.stranger, "?version=3", bytes).await;
        let mut body = answer.json();
        body["requestId"] = Value::Null;
        (answer.status, body.to_string().replace(project, "KEY"))
    };
    let (hidden, absent) = (send("iris").await, send("nothing").await);
    assert_eq!(hidden, absent);
    assert!(hidden.0 == 404 && hidden.1.contains("Ask a member of makers"), "{hidden:?}");
    let make = async |key: &str| team.stranger.post("/api/v1/projects", &json!({ "name": key })).await.status;
    assert_eq!((make("iris").await, make("nothing").await), (403, 403));
}
