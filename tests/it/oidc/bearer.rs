//! Bearer tokens of the provider at the API.

use serde_json::{Value, json};

use super::*;

async fn me(setup: &Setup, token: &str) -> (u16, Value) {
    let answer = setup.app.nobody().bearer(token).get("/api/v1/me").await;
    (answer.status, answer.json())
}

fn claims(setup: &Setup, sub: &str, groups: &[&str]) -> Value {
    let now = setup.app.instance.app.now().timestamp();
    json!({
        "iss": setup.provider.issuer, "aud": "slipway-it", "sub": sub, "name": "Robot", "iat": now, "exp": now + 300,
        "groups": groups,
    })
}

#[tokio::test]
async fn a_token_of_the_provider_opens_the_api() {
    let setup = Setup::new().await;
    let access = json!({ "typ": "at+jwt" });
    let token = setup.provider.sign(&claims(&setup, "robot", &["admins"]), &access, "provider").await;
    let (status, body) = me(&setup, &token).await;
    assert_eq!((status, &body["isAdmin"], &body["name"]), (200, &json!(true), &json!("Robot")), "{body}");
    let mut browser = setup.signed_in("bob").await;
    let uuid = setup.me(&mut browser).await.unwrap()["uuid"].clone();
    let token = setup.provider.sign(&claims(&setup, "bob", &["ml-deployers"]), &access, "provider").await;
    let (_, body) = me(&setup, &token).await;
    assert_eq!(body["uuid"], uuid, "the same person by either way");
    assert_eq!(body["groups"], json!(["ml-deployers"]));
}

#[tokio::test]
async fn an_older_token_has_nothing_that_a_sign_in_took_away() {
    let setup = Setup::new().await;
    let mut old = claims(&setup, "bob", &["admins", "ml-deployers"]);
    old["iat"] = json!(old["iat"].as_i64().unwrap() - 60);
    setup.signed_in("bob").await;
    let token = setup.provider.sign(&old, &json!({}), "provider").await;
    let (status, body) = me(&setup, &token).await;
    assert_eq!((status, &body["groups"], &body["isAdmin"]), (200, &json!(["ml-deployers"]), &json!(false)));
}

#[tokio::test]
async fn no_attack_opens_the_api() {
    let setup = Setup::new().await;
    let good = claims(&setup, "robot", &["admins"]);
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
        (good.clone(), "next"),
        (with("aud", json!("other")), "provider"),
        (with("iss", json!(format!("{}/", setup.provider.issuer))), "provider"),
        (with("exp", json!(1)), "provider"),
        (with("nbf", json!(good["exp"])), "provider"),
        (with("sub", json!("")), "provider"),
        (with("events", json!({})), "provider"),
    ];
    for (claims, key) in &attacks {
        let token = setup.provider.sign(claims, &json!({}), key).await;
        let (status, body) = me(&setup, &token).await;
        assert_eq!(status, 401, "{key}: {claims}: {body}");
        assert!(body["message"].as_str().unwrap().contains("bearer token"), "{body}");
    }
    assert_eq!(me(&setup, "a.b.c").await.0, 401);
    let token = setup.provider.sign(&good, &json!({}), "provider").await;
    assert_eq!(me(&setup, &token).await.0, 200, "what the attacks were made of does work");
}
