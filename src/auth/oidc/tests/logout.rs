//! Signing out, both ways.

use serde_json::json;

use super::*;
use crate::auth::oidc::logout::LoggedOut;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn logout_token(setup: &Setup) -> Token {
    let mut token = Token::new(json!({
        "iss": setup.issuer.url, "aud": CLIENT, "iat": setup.now(), "exp": setup.now() + 120, "jti": "logout-1",
        "sub": "alice", "sid": "session-1", "events": { EVENT: {} },
    }));
    token.header["typ"] = json!("logout+jwt");
    token
}

#[tokio::test]
async fn a_session_or_a_person_is_logged_out() {
    let setup = Setup::new().await;
    let mut token = logout_token(&setup);
    let logout = setup.provider.logout_token(&token.compact()).await.unwrap();
    assert_eq!(logout.who, LoggedOut::Session("session-1".to_owned()));
    assert_eq!(logout.jti, "logout-1");
    assert!(logout.expires_at.timestamp() >= setup.now() + 120, "remembered as long as it works");
    token.without("sid");
    let logout = setup.provider.logout_token(&token.compact()).await.unwrap();
    assert_eq!(logout.who, LoggedOut::Subject("alice".to_owned()));
    token.header["typ"] = json!("JWT");
    setup.provider.logout_token(&token.compact()).await.unwrap();
    let again = setup.provider.logout_token(&token.compact()).await.unwrap();
    assert_eq!(again.jti, logout.jti, "the caller takes a jti once");
}

#[tokio::test]
async fn no_attack_on_a_logout_token_works() {
    let setup = Setup::new().await;
    let own: &[Attack] = &[
        ("a nonce", |t| t.set("nonce", "n"), "nonce"),
        ("no events", |t| t.without("events"), "events"),
        ("events of another kind", |t| t.set("events", json!({ "http://x.y/z": {} })), "events"),
        ("an event that is no object", |t| t.set("events", json!({ EVENT: true })), "events"),
        ("events in a list", |t| t.set("events", json!([EVENT])), "events"),
        (
            "nobody",
            |t| {
                t.without("sid");
                t.without("sub")
            },
            "neither",
        ),
        ("no id", |t| t.without("jti"), "jti"),
        ("an empty id", |t| t.set("jti", ""), "jti"),
        ("no issue time", |t| t.without("iat"), "iat"),
        ("issued long ago", |t| t.set("iat", t.claims["iat"].as_i64().unwrap() - 3600), "too old"),
        ("an access token", |t| t.header["typ"] = json!("at+jwt"), "at+jwt"),
    ];
    for (name, change, says) in ATTACKS.iter().chain(own) {
        let mut token = logout_token(&setup);
        change(&mut token);
        assert_refused(name, setup.provider.logout_token(&token.compact()).await, says);
    }
    assert_refused(
        "tampered",
        setup.provider.logout_token(&tampered(&logout_token(&setup))).await,
        "signature",
    );
    let id_token = setup.token().compact();
    assert_refused("an ID token", setup.provider.logout_token(&id_token).await, "events");
}

#[tokio::test]
async fn a_browser_is_sent_to_the_providers_logout() {
    let setup = Setup::new().await;
    let url = setup.provider.logout_url(Some(&"the-token".to_owned().into())).await.unwrap();
    assert!(url.starts_with(&format!("{}/logout?", setup.issuer.url)));
    let query = query(&url);
    assert_eq!(query["id_token_hint"], "the-token");
    assert_eq!(query["client_id"], CLIENT);
    assert_eq!(query["post_logout_redirect_uri"], "http://127.0.0.1:8080/login");
}

#[tokio::test]
async fn without_such_a_page_signing_out_here_has_to_do() {
    let setup = Setup::new().await;
    let mut document = setup.issuer.document();
    for endpoint in [json!(null), json!("http://id.example.org/logout")] {
        document["end_session_endpoint"] = endpoint;
        put_json(&setup, "/.well-known/openid-configuration", &document);
        later(&setup, 3_601);
        assert_eq!(setup.provider.logout_url(None).await, None);
    }
}
