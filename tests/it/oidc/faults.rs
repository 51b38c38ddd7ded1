//! The provider misbehaves in every way that `tests/oidc/faults.mjs` knows: nobody is let in, and the page says why.

use serde_json::json;

use super::*;

/// Each fault that keeps everybody out, and the words that the page has for it.
const REFUSED: &[(&str, u16, &str)] = &[
    ("issuer", 401, "issuer"),
    ("issuer-slash", 401, "issuer"),
    ("audience", 401, "audience"),
    ("audience-missing", 401, "ID token"),
    ("audience-several", 401, "azp"),
    ("azp", 401, "azp"),
    ("nonce", 401, "nonce"),
    ("nonce-missing", 401, "nonce"),
    ("expired", 401, "xpired"),
    ("exp-missing", 401, "refused"),
    ("iat-missing", 401, "refused"),
    ("sub-missing", 401, "refused"),
    ("sub-empty", 401, "subject"),
    ("signature", 401, "signature"),
    ("alg-none", 401, "refused"),
    ("alg-client-secret", 401, "refused"),
    ("alg-public-key", 401, "refused"),
    ("kid-unknown", 401, "does not publish"),
    ("state", 401, "begun in another browser"),
    ("state-missing", 401, "begun in another browser"),
    ("callback-issuer", 401, "another issuer"),
    ("code", 401, "invalid_grant"),
    ("denied", 401, "access_denied: The &#60;b&#62;person&#60;/b&#62; said no"),
    ("token-down", 401, "server_error"),
];

#[tokio::test]
async fn whatever_is_wrong_keeps_everybody_out_and_is_told() {
    let setup = Setup::new().await;
    for (fault, status, says) in REFUSED {
        setup.provider.fault(Some(fault)).await;
        let mut browser = setup.browser();
        let page = browser.sign_in(&setup.app.base, "alice").await;
        assert_eq!(page.status, *status, "{fault}: {}", page.text);
        assert!(page.text.contains(says), "{fault}: {}", page.text);
        assert!(!page.text.contains("eyJ"), "{fault} shows a token");
        assert!(setup.me(&mut browser).await.is_none(), "{fault}");
    }
    setup.provider.fault(None).await;
    setup.signed_in("alice").await;
}

#[tokio::test]
async fn userinfo_of_somebody_else_or_none_at_all_keeps_everybody_out() {
    for (fault, status, says) in
        [("userinfo-sub", 401, "somebody else"), ("userinfo-down", 503, "userinfo answers 500")]
    {
        let setup = from_userinfo().await;
        setup.provider.fault(Some(fault)).await;
        let mut browser = setup.browser();
        let page = browser.sign_in(&setup.app.base, "alice").await;
        assert_eq!(page.status, status, "{fault}: {}", page.text);
        assert!(page.text.contains(says), "{fault}: {}", page.text);
        assert!(setup.me(&mut browser).await.is_none());
    }
}

/// With the groups taken from userinfo alone.
async fn from_userinfo() -> Setup {
    let provider = TestProvider::start().await;
    let app = TestApp::builder().start().await;
    provider.add_client("slipway-it", &app.base).await;
    let mut settings = settings(&provider.issuer, &app.base);
    settings.groups_from = GroupsFrom::Userinfo;
    app.instance.auth.use_provider(settings).unwrap();
    Setup { app, provider }
}

#[tokio::test]
async fn odd_groups_are_read_without_guessing() {
    let setup = Setup::new().await;
    for (fault, groups) in [
        ("groups-missing", json!([])),
        ("groups-userinfo-only", json!(["admins", "ml-deployers"])),
        ("groups-string", json!(["admins"])),
        ("groups-number", json!([])),
        ("groups-nested", json!([])),
        ("groups-hostile", json!(["<script>alert(1)</script>", "admins", "ml-deployers"])),
        ("kid-missing", json!(["admins", "ml-deployers"])),
        ("name-hostile", json!(["admins", "ml-deployers"])),
    ] {
        setup.provider.fault(Some(fault)).await;
        let mut browser = setup.signed_in("alice").await;
        assert_eq!(setup.me(&mut browser).await.unwrap()["groups"], groups, "{fault}");
        let home = browser.get(&format!("{}/", setup.app.base)).await;
        assert!(!home.text.contains("<img src=x") && !home.text.contains("<script>alert"), "{fault}");
    }
}

#[tokio::test]
async fn a_provider_in_trouble_is_told_and_local_users_still_sign_in() {
    for (fault, says) in [
        ("discovery-down", "500"),
        ("jwks-down", "500"),
        ("discovery-issuer", "another issuer"),
        ("slow", "does not answer in time"),
    ] {
        let setup = Setup::new().await;
        setup.provider.fault(Some(fault)).await;
        let mut browser = setup.browser();
        let page = browser.get(&format!("{}/login", setup.app.base)).await;
        assert_eq!(page.status, 200, "the sign-in page asks nothing of the provider");
        let page = browser.get(&page.link("test provider")).await;
        assert_eq!(page.status, 503, "{fault}: {}", page.text);
        assert!(page.text.contains(says), "{fault}: {}", page.text);
        assert!(page.text.contains("Local users can still sign in"), "{fault}: {}", page.text);
    }
}

#[tokio::test]
async fn keys_that_rotated_before_the_sign_in_are_found() {
    let setup = Setup::new().await;
    setup.provider.fault(Some("rotated")).await;
    setup.signed_in("alice").await;
}
