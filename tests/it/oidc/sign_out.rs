//! Signing out: by the browser, here and at the provider; by the provider, behind the browser's back.

use serde_json::{Value, json};

use super::*;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

#[tokio::test]
async fn signing_out_ends_both_sessions() {
    let setup = Setup::new().await;
    let mut browser = setup.signed_in("bob").await;
    let cookie = browser.cookie(&setup.app.base, "slipway").unwrap().to_owned();
    let page = sign_out(&setup, &mut browser).await;
    assert!(page.text.contains("You are signed out of Slipway"), "{}", page.text);
    assert!(browser.cookie(&setup.app.base, "slipway").is_none(), "the cookie is cleared");
    assert!(page.text.contains("http-equiv=\"refresh\""), "it goes on by itself");
    let asked = browser.get(&page.link("Go on")).await;
    let back = browser.submit(&asked, &[("logout", "yes")]).await;
    assert_eq!(back.url.split('?').next().unwrap(), format!("{}/login", setup.app.base));
    let origin = url::Url::parse(&setup.app.base).unwrap().origin().ascii_serialization();
    browser.cookies.insert((origin, "slipway".to_owned()), cookie);
    assert!(setup.me(&mut browser).await.is_none(), "the session ended on the server");
    let page = browser.get(&format!("{}/auth/login", setup.app.base)).await;
    assert!(page.url.starts_with(&setup.provider.issuer), "the provider asks anew: {}", page.url);
}

async fn sign_out(setup: &Setup, browser: &mut Browser) -> browser::Page {
    let cookie = browser.cookie(&setup.app.base, "slipway").unwrap();
    let id = slipway::domain::bundle::Digest::of(cookie.as_bytes());
    let csrf = setup.app.instance.app.keys.csrf_token(id.as_str());
    let fields = vec![("csrf".to_owned(), csrf)];
    let url = format!("{}/logout", setup.app.base);
    browser.until(&url, Some(fields), "").await.unwrap()
}

#[tokio::test]
async fn the_provider_signs_out_behind_the_browsers_back() {
    let setup = Setup::new().await;
    let mut bob = setup.signed_in("bob").await;
    let mut same_bob_elsewhere = setup.signed_in("bob").await;
    let mut alice = setup.signed_in("alice").await;
    // Bob signs out at the provider itself; Slipway hears of it from the provider alone.
    let page = bob.get(&format!("{}/session/end", setup.provider.issuer)).await;
    bob.submit(&page, &[("logout", "yes")]).await;
    let ended = async {
        while setup.me(&mut bob).await.is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(2), ended).await.expect("within two seconds");
    assert!(setup.me(&mut same_bob_elsewhere).await.is_some(), "one session of the provider, not the person");
    assert!(setup.me(&mut alice).await.is_some());
}

async fn post(setup: &Setup, token: &str) -> (u16, String) {
    let url = format!("{}/auth/backchannel-logout", setup.app.base);
    let answer = reqwest::Client::new().post(url).form(&[("logout_token", token)]).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn logout_claims(setup: &Setup, jti: &str) -> Value {
    let now = setup.app.instance.app.now().timestamp();
    json!({
        "iss": setup.provider.issuer, "aud": "slipway-it", "iat": now, "exp": now + 120, "jti": jti, "sub": "bob",
        "events": { EVENT: {} },
    })
}

#[tokio::test]
async fn a_logout_token_works_once() {
    let setup = Setup::new().await;
    let header = json!({ "typ": "logout+jwt" });
    let mut browser = setup.signed_in("bob").await;
    let token = setup.provider.sign(&logout_claims(&setup, "one").await, &header, "provider").await;
    assert_eq!(post(&setup, &token).await.0, 200);
    assert!(
        setup.me(&mut browser).await.is_none(),
        "all of the person's sessions, for the token names no other"
    );
    let mut browser = setup.signed_in("bob").await;
    let (status, text) = post(&setup, &token).await;
    assert_eq!(status, 400);
    assert!(text.contains("invalid_request") && text.contains("came before"), "{text}");
    assert!(setup.me(&mut browser).await.is_some());
}

#[tokio::test]
async fn no_other_token_signs_anybody_out() {
    let setup = Setup::new().await;
    let mut browser = setup.signed_in("bob").await;
    let good = logout_claims(&setup, "good").await;
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
        (with("nonce", json!("n")), "provider"),
        (with("events", json!({})), "provider"),
        (with("aud", json!("other")), "provider"),
        (with("iss", json!(format!("{}/", setup.provider.issuer))), "provider"),
        (with("exp", json!(1)), "provider"),
        (with("jti", json!("")), "provider"),
        (setup.provider.last().await, "provider"),
    ];
    for (claims, key) in &attacks {
        let token = setup.provider.sign(claims, &json!({}), key).await;
        let (status, text) = post(&setup, &token).await;
        assert_eq!(status, 400, "{key}: {claims}: {text}");
    }
    for odd in ["", "a.b.c"] {
        assert_eq!(post(&setup, odd).await.0, 400);
    }
    assert!(setup.me(&mut browser).await.is_some());
    let token = setup.provider.sign(&good, &json!({}), "provider").await;
    assert_eq!(post(&setup, &token).await.0, 200, "what the attacks were made of does work");
}
