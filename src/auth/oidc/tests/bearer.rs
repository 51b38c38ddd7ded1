//! Bearer tokens for the API.

use serde_json::json;

use super::issuer::Signer;
use super::*;
use crate::auth::scope::Scopes;

#[tokio::test]
async fn access_tokens_and_id_tokens_are_taken() {
    let setup = Setup::new().await;
    let mut token = setup.token();
    token.set("nonce", "of-a-sign-in");
    let bearer = setup.provider.bearer(&token.compact()).await.unwrap();
    assert_eq!(bearer.person.subject, "alice");
    assert_eq!(bearer.scopes, Scopes::new("scope", [].into_iter()));
    token.header["typ"] = json!("at+JWT");
    token.set("aud", json!(["slipway-api", "other"]));
    token.set("scope", "openid deployer:contexts_read");
    for (alg, kid, signer) in
        [("PS256", "rsa", Signer::Ps256), ("ES256", "ec", Signer::Es256), ("EdDSA", "ed", Signer::EdDsa)]
    {
        token.signed(alg, kid, signer);
        let bearer = setup.provider.bearer(&token.compact()).await.expect(alg);
        assert_eq!(bearer.scopes, Scopes::new("scope", ["deployer:contexts_read"].into_iter()));
        assert_eq!(bearer.expires_at.timestamp(), setup.now() + 600);
        assert_eq!(bearer.person.groups.len(), 2);
    }
    token.without("groups");
    assert!(setup.provider.bearer(&token.compact()).await.unwrap().person.groups.is_empty());
    assert_eq!(setup.issuer.count("/userinfo"), 0);
}

#[tokio::test]
async fn no_attack_on_a_bearer_token_works() {
    let setup = Setup::new().await;
    let own: &[Attack] = &[
        ("no subject", |t| t.without("sub"), "subject"),
        ("not valid yet", |t| t.set("nbf", t.claims["iat"].as_i64().unwrap() + 300), "future"),
        ("a logout token", |t| t.header["typ"] = json!("logout+jwt"), "logout+jwt"),
        ("a logout token without its kind", |t| t.set("events", json!({})), "event"),
        ("an end beyond time", |t| t.set("exp", i64::MAX), "exp"),
        ("an end that is text", |t| t.set("exp", "tomorrow"), "exp"),
        ("an audience that is an object", |t| t.set("aud", json!({ "slipway": true })), "audience"),
    ];
    for (name, change, says) in ATTACKS.iter().chain(own) {
        let mut token = setup.token();
        change(&mut token);
        assert_refused(name, setup.provider.bearer(&token.compact()).await, says);
    }
    assert_refused("tampered", setup.provider.bearer(&tampered(&setup.token())).await, "signature");
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let setup = Setup::new().await;
    let honest = setup.token().compact();
    let long = "x".repeat(70_000);
    let padded = format!("{honest}=");
    let doubled = format!("{honest}.{honest}");
    for odd in ["", ".", "..", "...", "a.b.c", "e30.e30.e30", "ä.ö.ü", &long, &padded, &doubled, &honest[1..]]
    {
        assert_refused(
            odd.get(..odd.len().min(20)).unwrap(),
            setup.provider.bearer(odd).await,
            "bearer token",
        );
    }
    setup.provider.bearer(&honest).await.unwrap();
}
