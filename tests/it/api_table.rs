//! The real route table, walked: against the OpenAPI document, without credentials, and by somebody without any right.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use slipway::http::all_routes;

use crate::harness::{Answer, Client, Team, TestApp};

/// What answers somebody who shows nothing. This list may only shrink.
const OPEN: &[&str] = &[
    "GET /api/docs",
    "GET /api/docs/{file:.*}",
    "GET /api/v1/openapi.json",
    "GET /healthz",
    "GET /metrics",
    "GET /readyz",
    "GET /static/{version}/{path:.*}",
];

fn table(it: &TestApp) -> Vec<(Method, String)> {
    let routes = all_routes(&it.state.settings).table().into_iter();
    routes.map(|(method, path)| (method.as_str().parse().unwrap(), path)).collect()
}

/// A path that the pattern matches.
fn filled(pattern: &str, names: &Names) -> String {
    pattern
        .replace("{id}", names.id_in(pattern))
        .replace("{key}", names.project)
        .replace("/static/{version}", "/static/0")
        .replace("{version}/diff", &format!("{}/diff?with=1.1", names.version))
        .replace("{version}", names.version)
        .replace("{number}", names.number)
        .replace("{group}", "ml")
        .replace("{path:.+}", "compose.yaml")
        .replace("{path:.*}", "nothing.css")
        .replace("{file:.*}", "index.html")
}

/// Ids to put into paths and bodies.
struct Names<'a> {
    deployment: &'a str,
    infrastructure: &'a str,
    project: &'a str,
    version: &'a str,
    number: &'a str,
    uuid: &'a str,
}

impl<'a> Names<'a> {
    fn id_in(&self, pattern: &str) -> &'a str {
        let noun = pattern.split("/api/v1/").nth(1).and_then(|rest| rest.split('/').next());
        match noun {
            Some("deployments") => self.deployment,
            Some("infrastructures") => self.infrastructure,
            _ => self.uuid,
        }
    }

    /// `text` with every id of these taken out.
    fn blank(&self, text: &str) -> String {
        [self.deployment, self.infrastructure, self.project, self.uuid]
            .iter()
            .fold(text.to_owned(), |text, id| text.replace(*id, "ID"))
    }
}

#[tokio::test]
async fn the_document_holds_every_route_and_no_other() {
    let it = TestApp::builder().start().await;
    let served: BTreeSet<String> = table(&it)
        .into_iter()
        .filter_map(|(method, path)| {
            let path = path.strip_prefix("/api/v1")?.replace("{path:.+}", "{path}");
            Some(format!("{} {path}", method.as_str().to_lowercase()))
        })
        .collect();
    let document = it.nobody().get("/api/v1/openapi.json").await.expect(200).json();
    let described: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(served, described);
}

#[tokio::test]
async fn the_document_describes_its_answers_and_has_no_loose_ends() {
    let it = TestApp::builder().base_path("/slipway").start().await;
    let document = it.nobody().get("/api/v1/openapi.json").await.expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "/slipway/api/v1");
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} stands there twice");
            assert!(
                operation["summary"].as_str().is_some_and(|text| !text.contains('\n')),
                "{method} {path}"
            );
            assert!(operation["tags"][0].is_string(), "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let words = response["description"].as_str().unwrap_or_default();
                assert!(!words.is_empty(), "{method} {path} {status}");
            }
        }
    }
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name} is named and not there");
    }
}

#[tokio::test]
async fn nobody_gets_in_anywhere_else() {
    let it = TestApp::builder().start().await;
    let names = Names {
        deployment: "iris-on-local",
        infrastructure: "local",
        project: "iris",
        version: "1.0",
        number: "1",
        uuid: "b6cf4b5a-5e0a-4b0b-8b0e-3a4c9f2d6a11",
    };
    let mut open = BTreeSet::new();
    for (method, pattern) in table(&it) {
        let request = it.nobody().request(method.clone(), &filled(&pattern, &names)).json(&json!({}));
        if it.nobody().send(request).await.status != 401 {
            open.insert(format!("{method} {pattern}"));
        }
    }
    let open: BTreeSet<&str> = open.iter().map(String::as_str).filter(|route| !is_sign_in(route)).collect();
    assert_eq!(open, OPEN.iter().copied().collect());
}

/// What signing in itself needs, tested where it is made.
fn is_sign_in(route: &str) -> bool {
    ["/login", "/setup", "/auth/", "/favicon.ico"].iter().any(|path| route.contains(path))
}

/// A body that a route takes, naming these ids where it takes any.
fn body(method: &Method, pattern: &str, names: &Names) -> Value {
    let route = format!("{method} {}", pattern.strip_prefix("/api/v1").unwrap());
    let spec =
        json!({ "project": names.project, "bundle": names.version, "infrastructure": names.infrastructure });
    match route.as_str() {
        "PUT /stages" => json!([{ "id": "dev", "description": "Dev" }]),
        "POST /infrastructures" => json!({ "name": "new", "spec": { "stage": "dev" } }),
        "PUT /infrastructures/{id}" => json!({ "spec": { "stage": "dev" } }),
        "PUT /infrastructures/{id}/grants/{group}" | "PUT /projects/{key}/grants/{group}" => {
            json!({ "right": "admin" })
        }
        "POST /projects" => json!({ "name": names.project }),
        "PUT /projects/{key}" => json!({ "spec": { "description": "mine" } }),
        "POST /deployments" => json!({ "spec": spec }),
        "PUT /deployments/{id}" => json!({ "spec": spec }),
        "PATCH /deployments/{id}" => json!({ "spec": { "enabled": false } }),
        "POST /deployments/{id}/promote" => json!({ "to": names.infrastructure }),
        "POST /deployments/{id}/rollback" => json!({ "to": 1 }),
        "PUT /users/{id}" => json!({ "disabled": true }),
        "POST /api-keys" => json!({ "name": "k", "groups": ["ml"] }),
        "PUT /me/preferences" => json!({ "theme": "dark", "keys": true }),
        _ => json!({}),
    }
}

async fn ask(client: &Client, method: &Method, pattern: &str, names: &Names<'_>) -> Answer {
    let request = client.request(method.clone(), &filled(pattern, names)).json(&body(method, pattern, names));
    client.send(request).await
}

/// What a route answers somebody without any right.
enum Stranger {
    /// As if the object did not exist.
    Absent,
    /// It takes an administrator, and says so.
    Forbidden,
    /// It works, and tells nothing of what belongs to others.
    Own,
    /// Has a test of its own.
    Elsewhere,
}

/// What is expected of every route; a route that is not named here fails the test.
fn expected(route: &str) -> Stranger {
    match route {
        "GET /stages"
        | "GET /infrastructures"
        | "GET /projects"
        | "GET /deployments"
        | "GET /groups"
        | "GET /me"
        | "GET /me/sessions"
        | "PUT /me/preferences"
        | "GET /api-keys" => Stranger::Own,
        "PUT /stages"
        | "POST /infrastructures"
        | "GET /users"
        | "PUT /users/{id}"
        | "POST /users/{id}/revoke-sessions"
        | "GET /journal"
        | "GET /journal/verify" => Stranger::Forbidden,
        // A key can make no keys.
        "POST /api-keys" => Stranger::Forbidden,
        // An archive is read before anything is looked up; that a project's key is taken is no secret.
        "POST /bundles" | "POST /projects/{key}/bundles" | "POST /projects" | "GET /openapi.json" => {
            Stranger::Elsewhere
        }
        _ if route.contains('{') || route == "POST /deployments" => Stranger::Absent,
        other => panic!("say what a stranger may do with {other}"),
    }
}

#[tokio::test]
async fn to_a_stranger_what_is_foreign_looks_like_what_is_absent() {
    let team = Team::start().await;
    let made = team.deployment(json!({})).await;
    team.update().await;
    let bob = team.it.user("bob", &["ml"]).await;
    let bob = bob.id.to_string();
    let foreign = Names {
        deployment: "iris-on-local",
        infrastructure: "local",
        project: "iris",
        version: "1.0",
        number: "1",
        uuid: &bob,
    };
    let absent = Names {
        deployment: "nothing-here",
        infrastructure: "nowhere",
        project: "nobodys",
        version: "1.0",
        number: "1",
        uuid: "b6cf4b5a-5e0a-4b0b-8b0e-3a4c9f2d6a11",
    };
    for (method, pattern) in table(&team.it) {
        let Some(path) = pattern.strip_prefix("/api/v1") else {
            continue;
        };
        let route = format!("{method} {path}");
        let status = match expected(&route) {
            Stranger::Absent => 404,
            Stranger::Forbidden => 403,
            Stranger::Own => 200,
            Stranger::Elsewhere => continue,
        };
        let theirs = ask(&team.stranger, &method, &pattern, &foreign).await;
        let none = ask(&team.stranger, &method, &pattern, &absent).await;
        assert_eq!(theirs.status, status, "{route}: {}", theirs.text);
        assert_eq!(none.status, status, "{route}: {}", none.text);
        let (theirs, none) = (without_request_id(&theirs), without_request_id(&none));
        assert_eq!(foreign.blank(&theirs), absent.blank(&none), "{route}");
        if status == 200 {
            assert!(!theirs.contains("iris") && !theirs.contains("local"), "{route}: {theirs}");
        }
    }
    by_uuid(&team, made["uuid"].as_str().unwrap()).await;
    assert_eq!(
        team.deployer.get("/api/v1/deployments/iris-on-local").await.expect(200).json()["status"]["revision"],
        1
    );
}

/// A foreign uuid tells no more than one that nobody has: above all not the deployment's id.
async fn by_uuid(team: &Team, uuid: &str) {
    let absent = "b6cf4b5a-5e0a-4b0b-8b0e-3a4c9f2d6a11";
    let theirs = team.stranger.get(&format!("/api/v1/deployments/{uuid}")).await.expect(404);
    let none = team.stranger.get(&format!("/api/v1/deployments/{absent}")).await.expect(404);
    assert_eq!(
        without_request_id(&theirs).replace(uuid, "ID"),
        without_request_id(&none).replace(absent, "ID")
    );
    team.viewer.get(&format!("/api/v1/deployments/{uuid}")).await.expect(200);
}

fn without_request_id(answer: &Answer) -> String {
    let mut body = answer.json();
    if let Some(body) = body.as_object_mut() {
        body.remove("requestId");
    }
    body.to_string()
}

#[tokio::test]
async fn a_viewer_reads_everything_and_changes_nothing() {
    let team = Team::start().await;
    team.deployment(json!({})).await;
    team.update().await;
    let names = Names {
        deployment: "iris-on-local",
        infrastructure: "local",
        project: "iris",
        version: "1.0",
        number: "1",
        uuid: "b6cf4b5a-5e0a-4b0b-8b0e-3a4c9f2d6a11",
    };
    for (method, pattern) in table(&team.it) {
        let Some(path) = pattern.strip_prefix("/api/v1") else {
            continue;
        };
        let concerns = ["/deployments/{id}", "/projects/{key}", "/infrastructures/{id}"];
        if !concerns.iter().any(|prefix| path.starts_with(prefix))
            || path.ends_with("watch-logs")
            || path.ends_with("{id}/watch")
        {
            continue;
        }
        let answer = ask(&team.viewer, &method, &pattern, &names).await;
        let wanted = match (&method, path) {
            (_, "/projects/{key}/bundles") if method == Method::POST => continue,
            (&Method::GET, _) | (_, "/infrastructures/{id}/test") => 200,
            _ => 403,
        };
        assert_eq!(answer.status, wanted, "{method} {path}: {}", answer.text);
        if wanted == 403 {
            let hint = answer.json()["hint"].as_str().unwrap_or_default().to_owned();
            assert!(!hint.is_empty(), "{method} {path} does not say who could help: {}", answer.text);
        }
    }
}
