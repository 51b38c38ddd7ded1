//! Sign-ins: the request, the honest answer, and the answers that are refused.

use serde_json::json;

use super::issuer::{Signer, encode};
use super::*;

/// Goes through a sign-in whose ID token `change` may spoil after the nonce was put in.
async fn sign_in(setup: &Setup, change: impl FnOnce(&mut Token)) -> Result<SignedIn> {
    let started = setup.provider.begin().await?;
    let mut token = setup.token();
    token.set("nonce", query(&started.url)["nonce"].clone());
    change(&mut token);
    answer_with(setup, &token.compact());
    setup.provider.finish(code(), started.pending).await
}

fn answer_with(setup: &Setup, id_token: &str) {
    put_json(
        setup,
        "/token",
        &json!({ "access_token": "access-1", "token_type": "Bearer", "id_token": id_token }),
    );
}

fn code() -> Callback {
    Callback { code: Some("code-1".to_owned()), ..Callback::default() }
}

#[tokio::test]
async fn the_request_carries_state_nonce_and_pkce() {
    let setup = Setup::new().await;
    let (one, two) = (setup.provider.begin().await.unwrap(), setup.provider.begin().await.unwrap());
    let (first, second) = (query(&one.url), query(&two.url));
    assert!(one.url.starts_with(&format!("{}/auth?", setup.issuer.url)));
    assert_eq!(first["response_type"], "code");
    assert_eq!(first["client_id"], CLIENT);
    assert_eq!(first["redirect_uri"], "http://127.0.0.1:8080/auth/callback");
    assert_eq!(first["code_challenge_method"], "S256");
    assert_eq!(first["scope"], "openid profile groups", "email is not among the provider's scopes");
    assert_eq!(first["state"], one.state);
    for fresh in ["state", "nonce", "code_challenge"] {
        assert!(first[fresh].len() >= 43 && first[fresh] != second[fresh], "{fresh}");
    }
    assert!(!format!("{one:?}").contains(&first["nonce"].clone()) || one.url.contains(&first["nonce"]));
    assert_eq!(format!("{:?}", one.pending), "Pending { .. }");
}

#[tokio::test]
async fn an_honest_answer_is_believed() {
    let setup = Setup::new().await;
    let signed_in = sign_in(&setup, |_| {}).await.unwrap();
    assert_eq!(signed_in.person.subject, "alice");
    assert_eq!(signed_in.person.name, "Alice Admin");
    assert_eq!(signed_in.sid.as_deref(), Some("session-1"));
    let groups: Vec<&str> = signed_in.person.groups.iter().map(AsRef::as_ref).collect();
    assert_eq!(groups, ["admins", "ml-deployers"]);
    assert!(!format!("{signed_in:?}").contains("eyJ"), "a token is never shown");
    let exchange = setup.issuer.last("/token");
    assert!(exchange.body.contains("code=code-1") && exchange.body.contains("code_verifier="));
    assert!(exchange.authorization.unwrap().starts_with("Basic "));
    assert!(!exchange.body.contains(SECRET));
    assert_eq!(setup.issuer.count("/userinfo"), 0, "the ID token has the groups");
}

#[tokio::test]
async fn every_algorithm_of_the_list_and_no_key_id_are_taken() {
    let setup = Setup::new().await;
    for (alg, kid, signer) in [
        ("RS256", "rsa", Signer::Rs256),
        ("PS256", "rsa", Signer::Ps256),
        ("ES256", "ec", Signer::Es256),
        ("EdDSA", "ed", Signer::EdDsa),
    ] {
        sign_in(&setup, |token| token.signed(alg, kid, signer)).await.expect(alg);
    }
    sign_in(&setup, |token| token.header = json!({ "alg": "ES256" })).await.unwrap_err();
    let only = sign_in(&setup, |token| {
        token.signed("ES256", "ec", Signer::Es256);
        token.header.as_object_mut().unwrap().remove("kid");
    });
    only.await.unwrap();
}

#[tokio::test]
async fn no_attack_on_the_id_token_works() {
    let setup = Setup::new().await;
    for (name, change, says) in ATTACKS {
        assert_refused(name, sign_in(&setup, *change).await, says);
    }
    let own: &[Attack] = &[
        ("several audiences, no party", |t| t.set("aud", json!([CLIENT, "other"])), "azp"),
        ("issued to another party", |t| t.set("azp", "other"), "azp"),
        ("no nonce", |t| t.without("nonce"), "nonce"),
        ("another nonce", |t| t.set("nonce", "not-the-one-that-was-sent"), "nonce"),
        ("no subject", |t| t.without("sub"), ""),
        ("an empty subject", |t| t.set("sub", ""), "subject"),
        ("a subject of spaces", |t| t.set("sub", "  "), "subject"),
        ("an endless subject", |t| t.set("sub", "x".repeat(256)), "subject"),
        ("no issue time", |t| t.without("iat"), ""),
        ("another access token's hash", |t| t.set("at_hash", encode([7; 16])), "at_hash"),
        ("a logout token", |t| t.header["typ"] = json!("logout+jwt"), "logout+jwt"),
        ("an access token", |t| t.header["typ"] = json!("at+jwt"), "at+jwt"),
    ];
    for (name, change, says) in own {
        assert_refused(name, sign_in(&setup, *change).await, says);
    }
    assert!(ATTACKS.len() + own.len() >= 30);
}

#[tokio::test]
async fn a_changed_payload_is_refused() {
    let setup = Setup::new().await;
    let started = setup.provider.begin().await.unwrap();
    let mut token = setup.token();
    token.set("nonce", query(&started.url)["nonce"].clone());
    answer_with(&setup, &tampered(&token));
    assert_refused("tampered", setup.provider.finish(code(), started.pending).await, "signature");
}

#[tokio::test]
async fn a_token_of_one_sign_in_is_no_good_for_another() {
    let setup = Setup::new().await;
    let (mine, theirs) = (setup.provider.begin().await.unwrap(), setup.provider.begin().await.unwrap());
    let mut token = setup.token();
    token.set("nonce", query(&theirs.url)["nonce"].clone());
    answer_with(&setup, &token.compact());
    assert_refused("replayed", setup.provider.finish(code(), mine.pending).await, "nonce");
}

#[tokio::test]
async fn what_fits_is_believed_though_it_is_unusual() {
    let setup = Setup::new().await;
    let hash = ring::digest::digest(&ring::digest::SHA256, b"access-1");
    type Change = Box<dyn Fn(&mut Token)>;
    let good: &[(&str, Change)] = &[
        (
            "several audiences, our party",
            Box::new(|t| {
                t.set("aud", json!(["other", CLIENT]));
                t.set("azp", CLIENT);
            }),
        ),
        ("the access token's hash", Box::new(move |t| t.set("at_hash", encode(&hash.as_ref()[..16])))),
        ("a clock a little ahead", Box::new(|t| t.set("iat", t.claims["iat"].as_i64().unwrap() + 20))),
        ("just expired", Box::new(|t| t.set("exp", t.claims["iat"].as_i64().unwrap() - 20))),
    ];
    for (name, change) in good {
        sign_in(&setup, change).await.expect(name);
    }
}

#[tokio::test]
async fn groups_come_from_userinfo_where_the_token_has_none() {
    let setup = Setup::new().await;
    put_json(&setup, "/userinfo", &json!({ "sub": "alice", "groups": ["from-userinfo"], "email": "a@b.c" }));
    let person = sign_in(&setup, |token| token.without("groups")).await.unwrap().person;
    assert_eq!(person.groups.iter().next().unwrap().as_str(), "from-userinfo");
    assert_eq!(person.email.as_deref(), Some("a@b.c"));
    assert_eq!(setup.issuer.last("/userinfo").authorization.unwrap(), "Bearer access-1");
    put_json(&setup, "/userinfo", &json!({ "sub": "alice" }));
    let person = sign_in(&setup, |token| token.without("groups")).await.unwrap().person;
    assert!(person.groups.is_empty(), "missing groups mean none");
}

#[tokio::test]
async fn userinfo_of_somebody_else_is_refused() {
    let setup = Setup::new().await;
    for body in
        [json!({ "sub": "mallory", "groups": ["admins"] }), json!({ "groups": ["admins"] }), json!([])]
    {
        put_json(&setup, "/userinfo", &body);
        assert_refused("userinfo", sign_in(&setup, |token| token.without("groups")).await, "userinfo");
    }
    setup.issuer.put("/userinfo", Answer { status: 500, ..Answer::json(&json!({ "sub": "alice" })) });
    let error = sign_in(&setup, |token| token.without("groups")).await.unwrap_err();
    assert_eq!(error.code, "provider_unavailable", "a person is not let in without the groups");
}

#[tokio::test]
async fn signed_userinfo_is_checked_as_a_token() {
    let setup = Setup::with(|settings| settings.groups_from = GroupsFrom::Userinfo).await;
    let put = |token: &Token| {
        let kind = "application/jwt";
        setup.issuer.put("/userinfo", Answer { kind, body: token.compact(), ..Answer::json(&json!({})) });
    };
    let mut token = setup.token();
    token.set("groups", json!(["signed"]));
    put(&token);
    let person = sign_in(&setup, |_| {}).await.unwrap().person;
    assert_eq!(person.groups.iter().next().unwrap().as_str(), "signed");
    token.signer = Signer::Stranger;
    put(&token);
    assert_refused("userinfo", sign_in(&setup, |_| {}).await, "signature");
}

#[tokio::test]
async fn only_the_configured_place_counts_for_groups() {
    let setup = Setup::with(|settings| settings.groups_from = GroupsFrom::Userinfo).await;
    put_json(&setup, "/userinfo", &json!({ "sub": "alice" }));
    assert!(sign_in(&setup, |_| {}).await.unwrap().person.groups.is_empty());
    let setup = Setup::with(|settings| settings.groups_from = GroupsFrom::IdToken).await;
    let person = sign_in(&setup, |token| token.without("groups")).await.unwrap().person;
    assert!(person.groups.is_empty());
    assert_eq!(setup.issuer.count("/userinfo"), 0);
}

#[tokio::test]
async fn names_are_made_harmless() {
    let setup = Setup::new().await;
    let name = "A\u{202e}lice\r\n\u{1b}[31m<b>";
    let person = sign_in(&setup, |token| token.set("name", name)).await.unwrap().person;
    assert_eq!(person.name, "Alice[31m<b>");
    let person = sign_in(&setup, |token| token.without("name")).await.unwrap().person;
    assert_eq!(person.name, "alice", "the subject stands in");
}

#[tokio::test]
async fn what_the_provider_says_no_with_is_told() {
    let setup = Setup::new().await;
    let pending = setup.provider.begin().await.unwrap().pending;
    let denied = Callback {
        error: Some("access_denied".to_owned()),
        error_description: Some("The person\r\nsaid no".to_owned()),
        ..Callback::default()
    };
    let error = setup.provider.finish(denied, pending.clone()).await.unwrap_err();
    assert_eq!(error.message, "the identity provider said access_denied: The personsaid no");
    let no_code = setup.provider.finish(Callback::default(), pending.clone()).await;
    assert_refused("no code", no_code, "no code");
    let body = json!({ "error": "invalid_grant", "error_description": "grant request is invalid" });
    setup.issuer.put("/token", Answer { status: 400, ..Answer::json(&body) });
    let error = setup.provider.finish(code(), pending).await.unwrap_err();
    assert_eq!(error.message, "the identity provider said invalid_grant: grant request is invalid");
}

#[tokio::test]
async fn an_answer_from_another_issuer_is_refused() {
    let setup = Setup::new().await;
    let mut document = setup.issuer.document();
    document["authorization_response_iss_parameter_supported"] = json!(true);
    put_json(&setup, "/.well-known/openid-configuration", &document);
    let pending = setup.provider.begin().await.unwrap().pending;
    for iss in [Some("https://id.example.org".to_owned()), Some(format!("{}/", setup.issuer.url)), None] {
        let answer = Callback { iss, ..code() };
        assert_refused("iss", setup.provider.finish(answer, pending.clone()).await, "issuer");
    }
    assert_eq!(setup.issuer.count("/token"), 0, "the code went nowhere");
}

#[tokio::test]
async fn an_answer_without_or_with_a_broken_id_token_is_refused() {
    let setup = Setup::new().await;
    for body in [
        json!({ "access_token": "a", "token_type": "Bearer" }),
        json!({ "access_token": "a", "token_type": "Bearer", "id_token": "x.y" }),
        json!({ "access_token": "a", "token_type": "Bearer", "id_token": "a.b.c" }),
        json!([]),
    ] {
        let pending = setup.provider.begin().await.unwrap().pending;
        put_json(&setup, "/token", &body);
        assert_refused("answer", setup.provider.finish(code(), pending).await, "answer");
    }
}
