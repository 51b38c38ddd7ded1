//! renga-deployer's API at its edge: what is its, what is open, how it refuses, how it describes itself.

mod access;
pub mod execution;
mod halt;
mod life;
mod own;

use reqwest::Method;
use serde_json::{Value, json};
use slipway::auth::oidc::{ClaimPath, public_keys};
use slipway::auth::renga::Issuer;
use slipway::http::compat::renga::Settings;

use crate::harness::{Answer, TestApp};

/// Tokens of an issuer that is not there, checked by a key at hand.
fn issuer() -> Issuer {
    let key = r#"{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    Issuer {
        issuer: "https://id.example.org/realms/Renga".to_owned(),
        audiences: vec!["renga".to_owned()],
        keys: Some(public_keys(key).unwrap()),
        scope_claim: ClaimPath::new("scope"),
        groups_claim: ClaimPath::new("groups"),
        name_claim: ClaimPath::new("name"),
        username_claim: ClaimPath::new("preferred_username"),
        ca: None,
        apart: false,
    }
}

/// A refusal in renga's envelope, with this status in both places.
#[track_caller]
pub fn refused(answer: Answer, status: u16) -> Value {
    let answer = answer.expect(status);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let body = answer.json();
    assert_eq!((&body["status"], &body["type"]), (&json!(status), &json!("about:blank")), "{body}");
    for field in ["title", "detail", "code", "requestId"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {body}");
    }
    body
}

#[tokio::test]
async fn refusals_are_problems_with_a_way_out() {
    let it = TestApp::builder().base_path("/slipway").start().await;
    let answer = it.nobody().get("/v1/contexts").await;
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"slipway\""));
    let body = refused(answer, 401);
    assert!(body["hint"].as_str().unwrap().contains("Authorization: Bearer"), "{body}");
    let body = refused(it.admin().await.get("/v1/contexts/x/nothing").await, 404);
    assert_eq!(body["title"], "Not Found");
    assert!(body["hint"].as_str().unwrap().contains("/v1/swagger.json"), "{body}");
    let admin = it.admin().await;
    let answer = admin.send(admin.request(Method::PUT, "/v1/swagger.json")).await;
    assert_eq!(answer.header("allow"), Some("GET"));
    assert_eq!(refused(answer, 405)["code"], "wrong_method");
}

#[tokio::test]
async fn a_key_counts_as_a_bearer_and_nothing_else_does() {
    let it = TestApp::builder().start().await;
    refused(it.admin().await.get("/v1/contexts/x/y").await, 404);
    let session = it.session("alice", &["admins"]).await;
    refused(session.get("/v1/contexts/x/y").await, 401);
    refused(it.nobody().header("authorization", "Basic c2x3Xzo=").get("/v1/contexts/x/y").await, 401);
    refused(it.nobody().bearer("a.b.c").get("/v1/contexts/x/y").await, 401);
    // However its letters are written.
    for path in ["/v1/%63ontexts", "/%761/contexts", "/v1/contex%74s/x/y"] {
        refused(session.get(path).await, 401);
    }
    let dataiku = "/dip/%70ublicapi/project-deployer/stages";
    session.get(dataiku).await.expect(401);
}

#[tokio::test]
async fn only_whole_segments_are_its() {
    let it = TestApp::builder().start().await;
    for path in
        ["/v1", "/v1/", "/v1.1", "/v1.1/contexts", "/v1/contextsx", "/v1/uix", "/v1/swagger.jsonx", "/v2"]
    {
        let answer = it.nobody().get(path).await.expect(401);
        assert_eq!(answer.json()["statusCode"], 401, "{path} is refused in Slipway's own manner");
    }
}

#[tokio::test]
async fn what_describes_it_is_open_and_nothing_else() {
    let closed = TestApp::builder().start().await;
    closed.nobody().get("/v1/swagger.json").await.expect(200);
    for path in ["/v1/ui", "/v1/ui/", "/v1/ui/index.html", "/v1/ui/../contexts"] {
        let answer = closed.nobody().get(path).await;
        assert!(matches!(answer.status, 401 | 404), "{path}: {}", answer.status);
    }
    let open = Settings { swagger_ui: true, ..Settings::default() };
    let open = TestApp::builder().base_path("/slipway").renga(open).start().await;
    let answer = open.nobody().get("/v1/ui").await.expect(308);
    assert_eq!(answer.header("location"), Some("/slipway/v1/ui/"));
    let page = open.nobody().get("/v1/ui/").await.expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let script = open.nobody().get("/v1/ui/swagger-initializer.js").await.expect(200);
    assert!(script.text.contains("/slipway/v1/swagger.json"), "{}", script.text);
    refused(open.nobody().get("/v1/ui/nothing.js").await, 404);
    refused(open.nobody().get("/v1/contexts").await, 401);
}

/// Every place that a `$ref` of the document names.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(to) if key == "$ref" => found.push(to.trim_start_matches('#').to_owned()),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_description_is_swagger_of_the_running_settings() {
    let it = TestApp::builder().base_path("/slipway").start().await;
    let document = it.nobody().get("/v1/swagger.json").await.expect(200).json();
    assert_eq!((&document["swagger"], &document["basePath"]), (&json!("2.0"), &json!("/slipway/v1")));
    assert_eq!(document["schemes"], json!(["http"]));
    assert_eq!(format!("http://{}/slipway", document["host"].as_str().unwrap()), it.base);
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 30);
    for to in found {
        assert!(document.pointer(&to).is_some(), "{to} is nowhere");
    }
    let operations: Vec<&Value> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap())
        .filter(|(method, _)| *method != "parameters")
        .map(|(_, operation)| operation)
        .collect();
    let names: std::collections::BTreeSet<&str> =
        operations.iter().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), operations.len());
    let security = &document["paths"]["/contexts"]["post"]["security"];
    assert_eq!(security, &json!([{ "api_key": [] }]), "there is no issuer whose tokens could be asked for");
    assert!(document["securityDefinitions"].get("token_auth").is_none());
}

#[tokio::test]
async fn the_description_names_the_issuer_and_its_scopes() {
    let it = TestApp::builder().start().await;
    it.instance.auth.use_renga(issuer()).unwrap();
    let document = it.nobody().get("/v1/swagger.json").await.expect(200).json();
    let scheme = &document["securityDefinitions"]["token_auth"];
    assert_eq!((&scheme["type"], &scheme["flow"]), (&json!("oauth2"), &json!("implicit")));
    assert_eq!(scheme["authorizationUrl"], "https://id.example.org/realms/Renga", "nothing is asked of it");
    let scopes: Vec<&String> = scheme["scopes"].as_object().unwrap().keys().collect();
    assert_eq!(scopes.len(), 4);
    for path in document["paths"].as_object().unwrap().values() {
        for (method, operation) in
            path.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters")
        {
            let asked = operation["security"][0]["token_auth"].as_array().unwrap();
            assert!(!asked.is_empty(), "{method}");
            assert!(asked.iter().all(|scope| scopes.iter().any(|known| *known == scope)), "{asked:?}");
        }
    }
}

/// Every operation of the description is a route, and every route of its has its operation.
#[tokio::test]
async fn the_description_and_the_routes_agree() {
    let it = TestApp::builder().start().await;
    let document = it.nobody().get("/v1/swagger.json").await.expect(200).json();
    let mut described: Vec<String> = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let methods = operations.as_object().unwrap().keys().filter(|key| *key != "parameters");
        described.extend(methods.map(|method| format!("{} /v1{path}", method.to_uppercase())));
    }
    let table = slipway::http::all_routes(&it.state.settings).table();
    let mut routes: Vec<String> = table
        .into_iter()
        .map(|(method, path)| format!("{method} {path}"))
        .filter(|route| route.contains(" /v1/contexts"))
        .collect();
    described.sort();
    routes.sort();
    assert_eq!(described, routes);
}
