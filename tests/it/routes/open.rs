//! Who shows nothing, or something that opens nothing, gets in nowhere but where everybody does.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use secrecy::ExposeSecret as _;
use slipway::app::api_key::{self, NewKey};
use slipway::domain::access::Caller;
use slipway::domain::name::Label;
use slipway::http::identity;

use super::fill::Names;
use super::needs::{Needs, needs};
use super::{Route, table};
use crate::harness::{Answer, Client, TestApp, groups};

/// What answers somebody who shows nothing. This list may only shrink.
const OPEN: &[&str] = &[
    "GET /api/docs",
    "GET /api/docs/{file:.*}",
    "GET /api/v1/openapi.json",
    "GET /auth/callback",
    "GET /auth/login",
    "GET /healthz",
    "GET /login",
    "GET /metrics",
    "GET /readyz",
    "GET /setup",
    "GET /static/{version}/{path:.*}",
    "GET /v1/swagger.json",
    "GET /v1/ui",
    "GET /v1/ui/{file:.*}",
    "POST /auth/backchannel-logout",
    "POST /login",
    "POST /setup",
];

async fn ask(client: &Client, route: &Route) -> Answer {
    client.send(Names::absent().request(client, route)).await
}

/// Whether the door itself answered, before any route.
fn is_refused(answer: &Answer) -> bool {
    answer.status == 401 && answer.text.contains("you are not signed in")
}

#[tokio::test]
async fn nobody_gets_in_but_where_everybody_does() {
    let it = TestApp::builder().start().await;
    let mut open = BTreeSet::new();
    for route in table(&it) {
        let is_open = !is_refused(&ask(&it.nobody(), &route).await);
        assert_eq!(is_open, needs(&route) == Needs::Open, "{route}");
        if is_open {
            open.insert(route.to_string());
        }
    }
    assert_eq!(open, OPEN.iter().map(|route| (*route).to_owned()).collect());
    for prefix in identity::OPEN {
        assert!(open.iter().any(|route| route.contains(prefix)), "{prefix} is open and leads nowhere");
    }
}

#[tokio::test]
async fn a_browser_that_nobody_knows_is_sent_to_the_sign_in() {
    let it = TestApp::builder().start().await;
    let browser = it.nobody().header("accept", "text/html");
    for route in table(&it) {
        if needs(&route) == Needs::Open || route.is_api() || route.method != reqwest::Method::GET {
            continue;
        }
        let answer = browser.get(&Names::absent().path(&route.pattern)).await.expect(303);
        assert!(answer.header("location").unwrap().starts_with("/login?to=%2F"), "{route}");
        assert_eq!(answer.text, "", "{route}");
    }
}

/// A key as an administrator's, which ended, was revoked or belongs to a disabled user.
async fn dead_key(it: &TestApp, life: TimeDelta) -> (String, uuid::Uuid) {
    let expires_at = Some(it.instance.app.now() + life);
    let new = NewKey { name: Label::parse("dead").unwrap(), groups: groups(&["admins"]), expires_at };
    let (key, secret) = api_key::create(&it.instance.app, &Caller::system(), new).await.unwrap();
    (secret.expose_secret().to_owned(), key.id)
}

/// Everything that looks like a credential and is none.
async fn wrong_credentials(it: &TestApp) -> Vec<(&'static str, Client)> {
    let (expired, _) = dead_key(it, TimeDelta::milliseconds(300)).await;
    let (revoked, id) = dead_key(it, TimeDelta::days(1)).await;
    api_key::revoke(&it.instance.app, &Caller::system(), id).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(350)).await;
    let ended = it.session("ended", &["admins"]).await;
    ended.form("/logout", &[]).await.expect(303);
    let ended = ended.header("accept", "*/*");
    let cookie = it.state.settings.cookie_name();
    let honest = it.admin().await;
    let honest =
        honest.request(reqwest::Method::GET, "/").build().unwrap().headers()["authorization"].clone();
    let secret = honest.to_str().unwrap().trim_start_matches("Bearer ").to_owned();
    vec![
        ("a key of nobody", it.nobody().bearer(&format!("slw_{}", "a".repeat(43)))),
        ("half a key", it.nobody().bearer(&secret[..secret.len() - 1])),
        ("a key and more", it.nobody().bearer(&format!("{secret}x"))),
        ("no key", it.nobody().bearer("")),
        ("an expired key", it.nobody().bearer(&expired)),
        ("a revoked key", it.nobody().bearer(&revoked)),
        ("a key by another scheme", it.nobody().header("authorization", &format!("Basic {secret}"))),
        ("a key as a cookie", it.nobody().header("cookie", &format!("{cookie}={secret}"))),
        ("a key as a parameter's header", it.nobody().header("x-api-key", &secret)),
        ("a session of nobody", it.nobody().header("cookie", &format!("{cookie}={}", "a".repeat(43)))),
        ("a session that was ended", ended),
        ("a token without a signature", it.nobody().bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.")),
        (
            "somebody's word for it",
            it.nobody().header("x-forwarded-user", "alice").header("remote-user", "alice"),
        ),
    ]
}

#[tokio::test]
async fn what_looks_like_a_credential_and_is_none_opens_nothing() {
    let it = TestApp::builder().start().await;
    let all = wrong_credentials(&it).await;
    for route in table(&it) {
        if needs(&route) == Needs::Open {
            continue;
        }
        for (what, client) in &all {
            assert_eq!(ask(client, &route).await.status, 401, "{route} with {what}");
        }
    }
}

#[tokio::test]
async fn no_spelling_of_a_path_leads_past_the_door() {
    let it = TestApp::builder().base_path("/slipway").start().await;
    let root = it.base.trim_end_matches("/slipway").to_owned();
    let address = root.trim_start_matches("http://");
    for path in [
        "/slipway/api/docs/../v1/projects",
        "/slipway/static/../projects",
        "/slipway/static/..%2fprojects",
        "/slipway//api/v1/projects",
        "/slipway/./api/v1/projects",
        "/slipway/healthz/../projects",
        "/slipway/loginx",
        "/slipway/setup-else",
        "/slipway/api/docsx",
        "/slipway/API/V1/projects",
        "/slipway/%61pi/v1/projects",
        "/slipway/projects;/login",
        "/slipway/projects/%2e%2e/login",
        "/slipwaylogin",
        "/api/v1/projects",
        "/login",
    ] {
        let status = raw_status(address, path).await;
        assert!(matches!(status, 400 | 401 | 404), "{path}: {status}");
    }
}

/// The status of a path that is sent as it stands, which a client's own URL type would not do.
async fn raw_status(address: &str, path: &str) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
