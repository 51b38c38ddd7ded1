//! The discovery document and the keys: when they are fetched, and what is not believed of them.

use serde_json::json;

use super::issuer::{Signer, rotated_jwks};
use super::*;

const DOCUMENT: &str = "/.well-known/openid-configuration";

#[tokio::test]
async fn nothing_is_asked_before_it_is_needed_and_then_once() {
    let setup = Setup::new().await;
    assert_eq!(setup.issuer.count(DOCUMENT), 0);
    let together = (0..8).map(|_| setup.provider.begin());
    for started in futures_util::future::join_all(together).await {
        started.unwrap();
    }
    assert_eq!(setup.issuer.count(DOCUMENT), 1);
    later(&setup, 3_601);
    setup.provider.begin().await.unwrap();
    assert_eq!(setup.issuer.count(DOCUMENT), 2);
}

#[tokio::test]
async fn a_rotated_key_is_found_and_forged_ids_are_no_lever() {
    let setup = Setup::new().await;
    setup.provider.bearer(&setup.token().compact()).await.unwrap();
    put_json(&setup, "/jwks", &rotated_jwks());
    later(&setup, 10);
    let mut next = setup.token();
    next.signed("RS256", "next", Signer::Stranger);
    setup.provider.bearer(&next.compact()).await.unwrap();
    assert_eq!(setup.issuer.count("/jwks"), 2);
    assert_refused("the old key", setup.provider.bearer(&setup.token().compact()).await, "key");
    for _ in 0..20 {
        let mut forged = setup.token();
        forged.signed("RS256", "forged", Signer::Stranger);
        assert_refused("forged", setup.provider.bearer(&forged.compact()).await, "key");
    }
    assert_eq!(setup.issuer.count("/jwks"), 2, "the provider is not asked at everybody's whim");
}

#[tokio::test]
async fn a_provider_that_is_down_is_told_in_words_and_found_again() {
    let setup = Setup::new().await;
    setup.issuer.put(DOCUMENT, Answer { status: 503, ..Answer::json(&json!({})) });
    for _ in 0..5 {
        let error = setup.provider.begin().await.unwrap_err();
        assert_eq!((error.kind, error.code), (Kind::Unavailable, "provider_unavailable"));
        assert!(error.message.contains("503"), "{}", error.message);
    }
    assert_eq!(setup.issuer.count(DOCUMENT), 1, "it is not asked again at once");
    put_json(&setup, DOCUMENT, &setup.issuer.document());
    later(&setup, 6);
    setup.provider.begin().await.unwrap();
}

#[tokio::test]
async fn known_keys_outlive_a_short_failure() {
    let setup = Setup::new().await;
    setup.provider.begin().await.unwrap();
    setup.issuer.put(DOCUMENT, Answer { status: 503, ..Answer::json(&json!({})) });
    later(&setup, 7_200);
    setup.provider.bearer(&setup.token().compact()).await.unwrap();
    later(&setup, 86_400);
    let error = setup.provider.bearer(&setup.token().compact()).await.unwrap_err();
    assert_eq!(error.code, "provider_unavailable");
}

#[tokio::test]
async fn nobody_there_is_told_in_words() {
    let setup = Setup::with(|settings| settings.issuer = "http://127.0.0.1:9".to_owned()).await;
    let error = setup.provider.begin().await.unwrap_err();
    assert!(error.message.starts_with("the identity provider http://127.0.0.1:9 can't be used now: "));
    assert!(error.message.to_lowercase().contains("connection refused"), "{}", error.message);
}

#[tokio::test]
async fn another_issuers_document_is_refused() {
    for issuer in ["https://id.example.org", "SLASH"] {
        let setup = Setup::new().await;
        let mut document = setup.issuer.document();
        let named = issuer.replace("SLASH", &format!("{}/", setup.issuer.url));
        document["issuer"] = json!(named);
        put_json(&setup, DOCUMENT, &document);
        let error = setup.provider.begin().await.unwrap_err();
        assert!(error.message.contains("another issuer"), "{}", error.message);
    }
}

#[tokio::test]
async fn endpoints_in_the_clear_redirects_and_floods_are_refused() {
    let plain = "http://id.example.org/x";
    let setup = Setup::new().await;
    for endpoint in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"] {
        let mut document = setup.issuer.document();
        document[endpoint] = json!(plain);
        put_json(&setup, DOCUMENT, &document);
        later(&setup, 90_000);
        let outcome = match setup.provider.begin().await {
            Err(error) => Err(error),
            Ok(started) => {
                let mut token = setup.token();
                token.set("nonce", query(&started.url)["nonce"].clone());
                token.without("groups");
                let answer =
                    json!({ "access_token": "a", "token_type": "Bearer", "id_token": token.compact() });
                put_json(&setup, "/token", &answer);
                let code = Some("c".to_owned());
                setup.provider.finish(Callback { code, ..Callback::default() }, started.pending).await
            }
        };
        let error = outcome.unwrap_err();
        assert!(error.message.contains("not an https address"), "{endpoint}: {}", error.message);
    }
    let away = Answer {
        status: 302,
        location: Some(format!("{}/elsewhere", setup.issuer.url)),
        ..Answer::json(&json!({}))
    };
    setup.issuer.put(DOCUMENT, away);
    later(&setup, 90_000);
    assert_eq!(setup.provider.begin().await.unwrap_err().code, "provider_unavailable");
    assert_eq!(setup.issuer.count("/elsewhere"), 0);
    let flood = Answer { body: " ".repeat(2 << 20), ..Answer::json(&json!({})) };
    setup.issuer.put(DOCUMENT, flood);
    later(&setup, 90_000);
    assert!(setup.provider.begin().await.unwrap_err().message.contains("longer than"));
}

#[test]
fn what_is_no_certificate_is_refused() {
    let url = Url::parse("https://id.example.org").unwrap();
    let error = super::super::http::Http::new(&url, Some(b"nothing")).unwrap_err();
    assert_eq!(error.code, "oidc_ca");
}
