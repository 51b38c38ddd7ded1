//! The confused deputy: somebody with every right on things of their own names another group's things wherever a field
//! takes an id. What is foreign answers like what does not exist, and nothing of it is used.

use reqwest::Method;
use serde_json::{Value, json};
use slipway::domain::access::{InfrastructureRight, ProjectRight};

use crate::harness::{Answer, COMPOSE, Client, Team, archive, publish};

/// What names a foreign thing, and what in its place names nothing.
const PAIRS: [(&str, &str); 4] =
    [("iris-on-local", "nothing-here"), ("iris", "nobodys"), ("local", "nowhere"), ("7.7", "8.8")];

/// The team `ml` with `iris` on `local`, and beside it `others` with `theirs` on `lab`: each rules its own alone.
struct Groups {
    team: Team,
    other: Client,
    /// The same person in the console.
    console: Client,
}

impl Groups {
    async fn start() -> Self {
        let team = Team::start().await;
        let body = json!({ "name": "lab", "spec": { "stage": "test", "engine": { "kind": "fake" } } });
        team.admin.post("/api/v1/infrastructures", &body).await.expect(200);
        let own = archive(&[("compose.yaml", &COMPOSE.replace("name: iris", "name: theirs"))]);
        publish(&team.admin, "?version=1.0", own).await.expect(200);
        // A version that `iris` alone has.
        publish(&team.admin, "?version=7.7", archive(&[("compose.yaml", COMPOSE)])).await.expect(200);
        team.it.grant_project("theirs", "others", ProjectRight::Admin).await;
        team.it.grant_infrastructure("lab", "others", InfrastructureRight::Admin).await;
        let (other, console) =
            (team.it.key(&["others"]).await, team.it.session("Olga Other", &["others"]).await);
        let spec = json!({ "project": "theirs", "bundle": "1.0", "infrastructure": "lab" });
        other.post("/api/v1/deployments", &json!({ "name": "mine", "spec": spec })).await.expect(200);
        team.deployment(json!({})).await;
        for _ in 0..3 {
            team.update().await;
        }
        Self { team, other, console }
    }
}

/// A body without its request's id, and with the names of a pair taken out.
fn blank(answer: &Answer) -> String {
    let mut text = answer.text.clone();
    if let Ok(mut body) = serde_json::from_str::<Value>(&text) {
        if let Some(body) = body.as_object_mut() {
            body.remove("requestId");
        }
        text = body.to_string();
    }
    PAIRS.iter().fold(text, |text, (foreign, absent)| text.replace(foreign, "ID").replace(absent, "ID"))
}

/// `text` with every foreign name in it put out for one that names nothing.
fn absent(text: &str) -> String {
    PAIRS.iter().fold(text.to_owned(), |text, (foreign, absent)| text.replace(foreign, absent))
}

#[tokio::test]
async fn no_field_of_the_api_takes_what_is_another_groups() {
    let groups = Groups::start().await;
    let spec = |project: &str, bundle: &str, infrastructure: &str| json!({ "spec": { "project": project, "bundle": bundle, "infrastructure": infrastructure } });
    let (deployments, mine) = ("/api/v1/deployments", "/api/v1/deployments/mine");
    let cases: Vec<(Method, String, Value, u16)> = vec![
        (Method::POST, deployments.into(), spec("iris", "1.0", "lab"), 404),
        (Method::POST, deployments.into(), spec("theirs", "1.0", "local"), 404),
        (Method::POST, deployments.into(), spec("iris", "7.7", "local"), 404),
        (Method::POST, deployments.into(), spec("theirs", "7.7", "lab"), 400),
        (Method::PUT, mine.into(), spec("iris", "1.0", "lab"), 400),
        (Method::PUT, mine.into(), spec("theirs", "1.0", "local"), 400),
        (Method::PUT, mine.into(), spec("theirs", "7.7", "lab"), 400),
        (Method::PATCH, mine.into(), json!({ "spec": { "bundle": "7.7" } }), 400),
        (Method::POST, format!("{mine}/promote"), json!({ "to": "local" }), 404),
        (Method::POST, format!("{mine}/promote"), json!({ "to": "local", "as": "elsewhere" }), 404),
        (Method::POST, format!("{deployments}/iris-on-local/promote"), json!({ "to": "lab" }), 404),
        (Method::POST, format!("{deployments}/iris-on-local/updates"), json!({}), 404),
        (Method::POST, format!("{deployments}/iris-on-local/rollback"), json!({ "to": 1 }), 404),
        (Method::POST, format!("{deployments}/iris-on-local/updates/1/cancel"), json!({}), 404),
        (Method::GET, "/api/v1/projects/theirs/bundles/1.0/diff?with=7.7".into(), json!({}), 404),
        (Method::GET, "/api/v1/projects/theirs/bundles/7.7/download".into(), json!({}), 404),
        (Method::GET, "/api/v1/journal?deployment=iris-on-local".into(), json!({}), 404),
        (Method::GET, "/api/v1/journal?project=iris".into(), json!({}), 404),
        (Method::GET, "/api/v1/journal?infrastructure=local".into(), json!({}), 404),
        (Method::GET, "/api/v1/deployments?project=iris".into(), json!({}), 200),
        (Method::GET, "/api/v1/deployments?infrastructure=local".into(), json!({}), 200),
        (Method::GET, "/api/v1/deployments?q=iris".into(), json!({}), 200),
    ];
    for (method, path, body, status) in cases {
        let ask = async |path: &str, body: &str| {
            let body: Value = serde_json::from_str(body).unwrap();
            groups.other.send(groups.other.request(method.clone(), path).json(&body)).await
        };
        let foreign = ask(&path, &body.to_string()).await;
        assert_eq!(foreign.status, status, "{method} {path} {body}: {}", foreign.text);
        let none = ask(&absent(&path), &absent(&body.to_string())).await;
        assert_eq!((none.status, blank(&none)), (status, blank(&foreign)), "{method} {path} {body}");
    }
    untouched(&groups).await;
}

/// Neither group's things changed.
async fn untouched(groups: &Groups) {
    let all = groups.team.admin.get("/api/v1/deployments").await.expect(200).json();
    let all: Vec<&str> = all.as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap()).collect();
    assert_eq!(all, ["iris-on-local", "mine"]);
    for (id, revision, updates) in [("iris-on-local", 1, 3), ("mine", 1, 0)] {
        let path = format!("/api/v1/deployments/{id}");
        let found = groups.team.admin.get(&path).await.expect(200).json();
        assert_eq!(found["status"]["revision"], revision, "{id}");
        let run = groups.team.admin.get(&format!("{path}/updates")).await.expect(200).json();
        assert_eq!(run.as_array().unwrap().len(), updates, "{id}");
    }
}

#[tokio::test]
async fn a_number_of_another_deployments_update_is_no_number_of_ones_own() {
    let groups = Groups::start().await;
    for rest in ["updates/3", "updates/3/log", "updates/3/steps"] {
        groups.other.get(&format!("/api/v1/deployments/mine/{rest}")).await.expect(404);
    }
    for (path, body) in [("rollback", json!({ "to": 3 })), ("updates/3/cancel", json!({}))] {
        groups.other.post(&format!("/api/v1/deployments/mine/{path}"), &body).await.expect(404);
    }
    untouched(&groups).await;
}

#[tokio::test]
async fn no_field_of_the_console_takes_what_is_another_groups() {
    let groups = Groups::start().await;
    let new = |project: &'static str, version: &'static str, infrastructure: &'static str| {
        vec![("project", project), ("version", version), ("infrastructure", infrastructure)]
    };
    let forms: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("/deployments/new", new("iris", "1.0", "lab")),
        ("/deployments/new", new("theirs", "1.0", "local")),
        ("/deployments/new", new("theirs", "7.7", "lab")),
        ("/deployments/mine/promote", vec![("to", "local")]),
        ("/deployments/mine/promote", vec![("to", "local"), ("id", "elsewhere")]),
        ("/deployments/mine/roll-back", vec![("to", "3")]),
        ("/deployments/mine/settings", vec![("version", "7.7"), ("revision", "1"), ("do", "save")]),
        ("/deployments/iris-on-local/promote", vec![("to", "lab")]),
        ("/deployments/iris-on-local/update", vec![]),
        ("/deployments/iris-on-local/secrets", vec![("name", "T"), ("value", "v")]),
        ("/projects/iris/permissions", vec![("group", "others"), ("right", "admin")]),
        ("/infrastructures/local/permissions", vec![("group", "others"), ("right", "admin")]),
    ];
    for (path, fields) in forms {
        let answer = groups.console.form(path, &fields).await;
        assert!((400..500).contains(&answer.status), "{path} {fields:?}: {}", answer.status);
    }
    let pages = [
        "/projects/theirs/bundles/1.0/diff?with=7.7",
        "/events?topics=deployment:iris-on-local",
        "/events?topics=deployments,update:iris-on-local/1",
        "/events?topics=updates:iris-on-local",
        "/events?topics=project:iris",
        "/events?topics=infrastructure:local",
        "/deployments/new?project=iris",
        "/deployments/mine/updates/3",
    ];
    for path in pages {
        groups.console.get(path).await.expect(404);
        groups.console.get(&absent(path)).await.expect(404);
    }
    untouched(&groups).await;
}

#[tokio::test]
async fn anothers_idempotency_key_replays_nothing_of_theirs() {
    let groups = Groups::start().await;
    let with = |client: &Client, path: &str, body: &Value| {
        let request = client.request(Method::POST, path).header("idempotency-key", "release-42").json(body);
        let client = client.clone();
        async move { client.send(request).await }
    };
    let path = "/api/v1/deployments/iris-on-local/updates";
    let first = with(&groups.team.deployer, path, &json!({})).await.expect(200).json();
    with(&groups.other, path, &json!({})).await.expect(404);
    // The same key is free for somebody else's own request, and stays the first one's for the first.
    let own = with(&groups.other, "/api/v1/deployments/mine/updates", &json!({})).await.expect(200).json();
    assert_eq!(own["number"], 1);
    let again = with(&groups.team.deployer, path, &json!({})).await.expect(200).json();
    assert_eq!(again["number"], first["number"]);
    // A replay shows nothing that its sender may no longer see.
    groups.team.admin.delete("/api/v1/projects/iris/grants/ml").await.expect(200);
    with(&groups.team.deployer, path, &json!({})).await.expect(404);
}

#[tokio::test]
async fn a_compose_file_reaches_nothing_that_another_workload_has() {
    let groups = Groups::start().await;
    let cases = [
        ("services: {a: {image: a, network_mode: \"container:slw-x\"}}", "network_mode"),
        ("services: {a: {image: a, network_mode: \"service:b\"}}", "network_mode"),
        ("services: {a: {image: a, volumes_from: [slw-x]}}", "volumes_from"),
        ("services: {a: {image: a, external_links: [slw-x]}}", "external_links"),
        ("services: {a: {image: a, pid: \"container:slw-x\"}}", "pid"),
        ("services: {a: {image: a, ipc: \"container:slw-x\"}}", "ipc"),
        ("services: {a: {image: a, container_name: slw-x}}", "container_name"),
        ("services: {a: {image: a}}\nnetworks: {default: {external: true, name: slw-x}}", "external"),
        ("services: {a: {image: a, volumes: [\"v:/v\"]}}\nvolumes: {v: {external: true}}", "external"),
        ("services: {a: {image: a, volumes: [\"v:/v\"]}}\nvolumes: {v: {name: slw-x}}", "name"),
    ];
    for (compose, key) in cases {
        let bytes = archive(&[("compose.yaml", compose)]);
        let answer = publish(&groups.other, "?project=theirs&version=2.0", bytes).await;
        assert_eq!(answer.status, 400, "{compose}: {}", answer.text);
        assert!(answer.text.contains(key), "{compose}: {}", answer.text);
    }
}
