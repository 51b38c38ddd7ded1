//! Tokens of a real issuer at renga-deployer's API.

use reqwest::Method;
use serde_json::{Value, json};
use slipway::auth::renga::Issuer;
use slipway::domain::access::InfrastructureRight;

use super::*;

/// An issuer that Slipway signs people in at, too, whose tokens for `renga` open renga's API.
async fn setup() -> Setup {
    let setup = Setup::new().await;
    let issuer = Issuer {
        issuer: setup.provider.issuer.clone(),
        audiences: vec!["renga".to_owned()],
        keys: None,
        scope_claim: ClaimPath::new("https://rm.example.org/scope"),
        groups_claim: ClaimPath::new("groups"),
        name_claim: ClaimPath::new("name"),
        username_claim: ClaimPath::new("preferred_username"),
        ca: None,
        apart: false,
    };
    setup.app.instance.auth.use_renga(issuer).unwrap();
    setup
}

fn claims(setup: &Setup, audience: &str) -> Value {
    let now = setup.app.instance.app.now().timestamp();
    json!({
        "iss": setup.provider.issuer, "aud": audience, "sub": "robot", "name": "Robot", "iat": now, "exp": now + 300,
        "groups": ["ml-deployers"], "https://rm.example.org/scope": ["deployer:contexts_read"],
    })
}

/// Whether a token opens renga's API, as far as who it is goes: a path that is not there is told to nobody.
async fn opens(setup: &Setup, token: &str) -> bool {
    let answer = setup.app.nobody().bearer(token).get("/v1/contexts/x/nothing").await;
    assert!(matches!(answer.status, 401 | 404), "{}", answer.text);
    answer.status == 404
}

#[tokio::test]
async fn a_token_opens_what_it_is_meant_for_and_no_more() {
    let setup = setup().await;
    let own = setup.provider.sign(&claims(&setup, "renga"), &json!({ "typ": "at+jwt" }), "provider").await;
    let console = setup.provider.sign(&claims(&setup, "slipway-it"), &json!({}), "provider").await;
    // Twice: what one place found out of a token is not believed at the other.
    for _ in 0..2 {
        assert!(opens(&setup, &own).await && !opens(&setup, &console).await);
        setup.app.nobody().bearer(&own).get("/api/v1/me").await.expect(401);
        // Nor by any other spelling of it, as a token or as a session's cookie.
        setup.app.nobody().bearer(&format!("renga {own}")).get("/api/v1/me").await.expect(401);
        for cookie in [own.clone(), format!("renga%20{own}"), console.clone()] {
            let request = setup.app.nobody().request(Method::GET, "/api/v1/me");
            let request = request.header("cookie", format!("slipway={cookie}"));
            setup.app.nobody().send(request).await.expect(401);
        }
        setup.app.nobody().bearer(&console).get("/api/v1/me").await.expect(200);
    }
    let users = setup.app.admin().await.get("/api/v1/users").await.expect(200).json();
    let known: Vec<&Value> =
        users.as_array().unwrap().iter().filter(|user| user["name"] == "Robot").collect();
    assert_eq!(known.len(), 1, "the same person by either way: {users}");
}

#[tokio::test]
async fn a_token_that_is_narrowed_to_rengas_api_opens_nothing_else() {
    let setup = setup().await;
    let mut narrowed = claims(&setup, "slipway-it");
    narrowed["scope"] = json!("openid deployer:contexts_read");
    let token = setup.provider.sign(&narrowed, &json!({}), "provider").await;
    for path in ["/api/v1/me", "/api/v1/contexts", "/api/v1/executions"] {
        let refused = setup.app.nobody().bearer(&token).get(path).await;
        assert_eq!(refused.status, 403, "{path}: {}", refused.text);
    }
}

#[tokio::test]
async fn a_token_that_is_signed_apart_has_no_word_on_who_signs_in() {
    let setup = Setup::new().await;
    let issuer = Issuer {
        issuer: setup.provider.issuer.clone(),
        audiences: vec!["renga".to_owned()],
        keys: None,
        scope_claim: ClaimPath::new("https://rm.example.org/scope"),
        groups_claim: ClaimPath::new("teams"),
        name_claim: ClaimPath::new("name"),
        username_claim: ClaimPath::new("preferred_username"),
        ca: None,
        apart: true,
    };
    setup.app.instance.auth.use_renga(issuer).unwrap();
    let console = setup.provider.sign(&claims(&setup, "slipway-it"), &json!({}), "provider").await;
    let groups = |token: String| {
        let client = setup.app.nobody().bearer(&token);
        async move { client.get("/api/v1/me").await.expect(200).json()["groups"].clone() }
    };
    assert_eq!(groups(console.clone()).await, json!(["ml-deployers"]));
    let mut other = claims(&setup, "renga");
    other["teams"] = json!(["admins"]);
    other["iat"] = json!(other["iat"].as_i64().unwrap() + 5);
    let own = setup.provider.sign(&other, &json!({}), "provider").await;
    setup.app.nobody().bearer(&own).get("/v1/contexts").await.expect(200);
    assert_eq!(groups(console).await, json!(["ml-deployers"]), "neither more nor fewer");
}

#[tokio::test]
async fn no_attack_opens_it() {
    let setup = setup().await;
    let good = claims(&setup, "renga");
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let attacks = [
        (good.clone(), "stranger"),
        (good.clone(), "secret"),
        (good.clone(), "public"),
        (good.clone(), "none"),
        (with("aud", json!("other")), "provider"),
        (with("iss", json!("https://id.example.org")), "provider"),
        (with("exp", json!(1)), "provider"),
        (with("nbf", json!(good["exp"])), "provider"),
        (with("sub", json!("")), "provider"),
        (with("events", json!({})), "provider"),
    ];
    for (claims, key) in &attacks {
        let token = setup.provider.sign(claims, &json!({}), key).await;
        assert!(!opens(&setup, &token).await, "{key}: {claims}");
    }
    let token = setup.provider.sign(&with("aud", json!("other")), &json!({}), "provider").await;
    let body = setup.app.nobody().bearer(&token).get("/v1/contexts").await.expect(401).json();
    assert!(body["detail"].as_str().unwrap().contains("audience"), "{body}");
    assert!(body["hint"].as_str().unwrap().contains("[renga]"), "{body}");
    let token = setup.provider.sign(&good, &json!({}), "provider").await;
    assert!(opens(&setup, &token).await, "what the attacks were made of does work");
}

#[tokio::test]
async fn who_is_locked_out_stays_out_with_any_token() {
    let setup = setup().await;
    let token = setup.provider.sign(&claims(&setup, "renga"), &json!({}), "provider").await;
    assert!(opens(&setup, &token).await);
    let admin = setup.app.admin().await;
    let users = admin.get("/api/v1/users").await.expect(200).json();
    let robot = users.as_array().unwrap().iter().find(|user| user["name"] == "Robot").unwrap();
    let path = format!("/api/v1/users/{}", robot["uuid"].as_str().unwrap());
    admin.put(&path, &json!({ "disabled": true })).await.expect(200);
    assert!(!opens(&setup, &token).await);
}

#[tokio::test]
async fn the_description_says_where_its_people_sign_in() {
    let setup = setup().await;
    let document = setup.app.nobody().get("/v1/swagger.json").await.expect(200).json();
    let url = document["securityDefinitions"]["token_auth"]["authorizationUrl"].as_str().unwrap().to_owned();
    assert_eq!(url, format!("{}/auth", setup.provider.issuer));
}

#[tokio::test]
async fn a_scope_opens_what_it_stands_for_and_a_group_what_is_its() {
    let setup = setup().await;
    let token = |scopes: &'static [&'static str], group: &'static str| {
        let setup = &setup;
        async move {
            let mut claims = claims(setup, "renga");
            // Somebody of their own: of one person's groups the newest token decides.
            claims["sub"] = json!(format!("robot of {group}"));
            claims["groups"] = json!([group]);
            claims["https://rm.example.org/scope"] =
                scopes.iter().map(|scope| format!("deployer:{scope}")).collect::<Vec<_>>().into();
            setup.app.nobody().bearer(&setup.provider.sign(&claims, &json!({}), "provider").await)
        }
    };
    let all = ["contexts_read", "contexts_write", "executions_read", "executions_write"];
    let all: &'static [&'static str] = Box::leak(Box::new(all));
    let own = token(all, "ml-deployers").await;
    setup.app.grant_infrastructure("local", "ml-deployers", InfrastructureRight::Deploy).await;
    let context = own.post("/v1/contexts", &json!({ "image": "busybox" })).await.expect(201).json();
    let one = format!("/v1/contexts/{}", context["identifier"].as_str().unwrap());
    let executions = format!("{one}/executions");
    let execution = own.post(&executions, &json!({ "engine": "docker" })).await.expect(201).json();
    let run = format!("{executions}/{}", execution["identifier"].as_str().unwrap());
    let admin = setup.app.admin().await;
    let kept = admin.get(&format!("/api/v1/executions/{}", execution["identifier"].as_str().unwrap())).await;
    assert_eq!(kept.expect(200).json()["createdBy"], "Robot", "the creator is kept");

    let needs: [(Method, &str, &[&str]); 9] = [
        (Method::GET, "/v1/contexts", &["contexts_read"]),
        (Method::GET, &one, &["contexts_read"]),
        (Method::POST, "/v1/contexts", &["contexts_read", "contexts_write"]),
        (Method::GET, &executions, &["contexts_read", "executions_read"]),
        (Method::POST, &executions, &["contexts_read", "executions_write"]),
        (Method::GET, &run, &["contexts_read", "executions_read"]),
        (Method::GET, &format!("{run}/ports"), &["executions_read"]),
        (Method::GET, &format!("{run}/logs"), &["executions_read"]),
        (Method::DELETE, &run, &["executions_read", "executions_write"]),
    ];
    for (method, path, needed) in &needs {
        for lacking in *needed {
            let rest: Vec<&'static str> = all.iter().copied().filter(|scope| scope != lacking).collect();
            let client = token(Box::leak(rest.into_boxed_slice()), "ml-deployers").await;
            let body = client.send(client.request(method.clone(), path)).await.expect(403).json();
            assert_eq!(body["code"], "scope_missing", "{method} {path}");
            assert!(body["detail"].as_str().unwrap().contains(lacking), "{body}");
        }
    }
    let others = token(all, "others").await;
    for path in [&one, &executions, &run, &format!("{run}/logs"), &format!("{run}/ports")] {
        others.get(path).await.expect(404);
    }
    others.delete(&run).await.expect(404);
    others.post(&executions, &json!({ "engine": "docker" })).await.expect(404);
    assert_eq!(others.get("/v1/contexts").await.expect(200).json(), json!({ "contexts": [] }));
    own.delete(&run).await.expect(200);
}
