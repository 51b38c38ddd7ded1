//! Sessions, keys and local users through the front door, on a clock that the tests set.

use std::sync::Arc;

use chrono::{TimeDelta, Timelike as _};
use secrecy::ExposeSecret as _;
use slipway::app::api_key::{self, NewKey};
use slipway::auth::local::NewLocal;
use slipway::domain::access::{Caller, Subject, SubjectKind};
use slipway::domain::clock::{Clock as _, ManualClock, SystemClock};
use slipway::domain::group::Groups;
use slipway::domain::name::Label;
use slipway::domain::user::User;

use crate::harness::{Answer, Client, TestApp, groups};

const PASSWORD: &str = "correct horse battery staple";

/// An instance whose time stands still until it is moved on.
async fn timed() -> (TestApp, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(SystemClock.now().with_nanosecond(0).unwrap()));
    (TestApp::builder().clock(clock.clone()).start().await, clock)
}

async fn is_in(client: &Client) -> bool {
    match client.get("/api/v1/me").await.status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used() {
    let (it, clock) = timed().await;
    let bob = it.session("bob", &["ml"]).await;
    for _ in 0..3 {
        clock.advance(TimeDelta::minutes(8 * 60 - 2));
        assert!(is_in(&bob).await, "use keeps it");
    }
    clock.advance(TimeDelta::hours(8));
    assert!(!is_in(&bob).await);
    assert!(!is_in(&bob).await, "asking does not wake it");
}

#[tokio::test]
async fn a_page_that_keeps_itself_live_does_not_keep_its_session() {
    let (it, clock) = timed().await;
    let open = it.session("bob", &["ml"]).await;
    let used = it.session("eve", &["ml"]).await;
    let stream = async |client: &Client| {
        let request = client.request(reqwest::Method::GET, "/events?topics=deployments");
        request.header("accept", "text/event-stream").send().await.unwrap()
    };
    let part = open.clone().header("hx-request", "true").header("hx-target", "live").header("accept", "*/*");
    let mut streams = vec![stream(&open).await, stream(&used).await];
    for _ in 0..3 {
        clock.advance(TimeDelta::hours(3));
        part.get("/deployments").await;
        streams.push(stream(&open).await);
        assert!(is_in(&used).await, "who does something stays, whatever else the page asks for");
    }
    let over = part.get("/deployments").await;
    assert_eq!(over.status, 401, "nine hours without anything that somebody did");
    assert!(!is_in(&open).await);
    let (ended, lives) = (streams.remove(0), streams.remove(0));
    let rest = |response: reqwest::Response| {
        tokio::time::timeout(std::time::Duration::from_secs(3), response.bytes())
    };
    assert!(rest(ended).await.is_ok(), "its stream ended with it");
    assert!(rest(lives).await.is_err(), "the other goes on");
}

#[tokio::test]
async fn a_session_ends_after_a_week_however_much_it_is_used() {
    let (it, clock) = timed().await;
    let bob = it.session("bob", &["ml"]).await;
    for _ in 0..(7 * 4 - 1) {
        clock.advance(TimeDelta::hours(6));
        assert!(is_in(&bob).await);
    }
    clock.advance(TimeDelta::hours(6));
    assert!(!is_in(&bob).await);
}

#[tokio::test]
async fn use_is_written_down_once_a_minute_at_most() {
    let (it, clock) = timed().await;
    let bob = it.session("bob", &["ml"]).await;
    let seen = async || {
        let sessions = bob.get("/api/v1/me/sessions").await.expect(200).json();
        sessions[0]["lastSeenAt"].as_str().unwrap().to_owned()
    };
    let first = seen().await;
    clock.advance(TimeDelta::seconds(59));
    assert_eq!(seen().await, first);
    clock.advance(TimeDelta::seconds(2));
    assert_ne!(seen().await, first);
}

#[tokio::test]
async fn a_cookie_that_nobody_was_given_opens_nothing() {
    let (it, _) = timed().await;
    let name = it.state.settings.cookie_name();
    for value in ["", "x", "admin", &"a".repeat(43), "'; DROP TABLE session; --", &"x".repeat(5000)] {
        let client = it.nobody().header("cookie", &format!("{name}={value}"));
        assert!(!is_in(&client).await, "{value}");
    }
}

async fn key_of(it: &TestApp, owner: Option<&User>, names: &[&str], life: Option<TimeDelta>) -> Client {
    let mut caller = Caller::system();
    if let Some(owner) = owner {
        caller.subject = Subject {
            kind: SubjectKind::User(owner.id),
            name: owner.name.clone(),
            groups: owner.groups.clone(),
            is_admin: owner.groups.contains("admins"),
        };
    }
    let new = NewKey {
        name: Label::parse("ci").unwrap(),
        groups: groups(names),
        expires_at: life.map(|life| it.instance.app.now() + life),
    };
    let (_, secret) = api_key::create(&it.instance.app, &caller, new).await.unwrap();
    it.nobody().bearer(secret.expose_secret())
}

#[tokio::test]
async fn a_key_ends_when_it_said_it_would() {
    let (it, clock) = timed().await;
    let key = key_of(&it, None, &["ml"], Some(TimeDelta::days(30))).await;
    clock.advance(TimeDelta::days(30) - TimeDelta::seconds(1));
    assert!(is_in(&key).await);
    clock.advance(TimeDelta::seconds(2));
    assert!(!is_in(&key).await);
}

/// Saves a user as a sign-in or an administrator would have changed it.
async fn save(it: &TestApp, user: &User) {
    let user = user.clone();
    let saved = it.instance.app.store.write(move |tx| {
        tx.publish(slipway::bus::Topic::Access);
        slipway::store::user::put(tx, &user)
    });
    saved.await.unwrap();
}

#[tokio::test]
async fn a_key_never_has_more_than_its_maker_nor_outlives_it() {
    let (it, clock) = timed().await;
    let mut bob = it.user("bob", &["admins", "ml", "ops"]).await;
    let key = key_of(&it, Some(&bob), &["admins", "ml"], None).await;
    let me = async || {
        clock.advance(TimeDelta::seconds(2));
        key.get("/api/v1/me").await.expect(200).json()
    };
    assert_eq!(me().await["isAdmin"], true);
    bob.groups = groups(&["ml", "data"]);
    save(&it, &bob).await;
    let now = me().await;
    assert_eq!((now["isAdmin"].as_bool(), now["groups"].to_string()), (Some(false), "[\"ml\"]".to_owned()));
    bob.groups = Groups::new();
    save(&it, &bob).await;
    assert_eq!(me().await["groups"].to_string(), "[]");
    bob.disabled = true;
    save(&it, &bob).await;
    clock.advance(TimeDelta::seconds(2));
    assert!(!is_in(&key).await);
}

#[tokio::test]
async fn what_looks_like_a_key_opens_nothing() {
    let (it, _) = timed().await;
    let honest = key_of(&it, None, &["admins"], None).await;
    assert!(is_in(&honest).await);
    for secret in ["slw_", "slw_x", "SLW_x", "x", "a.b.c", &format!("slw_{}", "a".repeat(43))] {
        assert!(!is_in(&it.nobody().bearer(secret)).await, "{secret}");
    }
}

async fn local(it: &TestApp, username: &str, names: &[&str]) {
    let new = NewLocal {
        username: username.to_owned(),
        name: String::new(),
        password: PASSWORD.to_owned().into(),
        groups: groups(names),
    };
    it.instance.auth.create_local(&Caller::system(), new).await.unwrap();
}

async fn sign_in(it: &TestApp, username: &str, password: &str) -> Answer {
    let browser = it.nobody().header("accept", "text/html").header("sec-fetch-site", "same-origin");
    browser.form("/login", &[("username", username), ("password", password), ("to", "/projects")]).await
}

/// The client of the session that an answer began.
fn begun(it: &TestApp, answer: &Answer) -> Client {
    let set = answer.header("set-cookie").expect("a cookie is set");
    it.nobody().header("cookie", set.split(';').next().unwrap())
}

#[tokio::test]
async fn a_local_user_signs_in_by_password() {
    let (it, _) = timed().await;
    local(&it, "ada", &["admins"]).await;
    let answer = sign_in(&it, "ada", PASSWORD).await.expect(303);
    assert_eq!(answer.header("location"), Some("/projects"));
    let me = begun(&it, &answer).get("/api/v1/me").await.expect(200).json();
    assert_eq!((me["name"].as_str(), me["isAdmin"].as_bool()), (Some("ada"), Some(true)));
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_answer_alike() {
    let (it, _) = timed().await;
    local(&it, "ada", &["admins"]).await;
    let told = |answer: Answer| {
        assert_eq!(answer.status, 401);
        assert!(answer.header("set-cookie").is_none());
        let page = scraper::Html::parse_document(&answer.text);
        let main = scraper::Selector::parse(".trouble, [role=alert]").unwrap();
        page.select(&main).flat_map(|part| part.text()).collect::<String>()
    };
    let known = told(sign_in(&it, "ada", "wrong horse battery staple").await);
    let unknown = told(sign_in(&it, "nobody", "wrong horse battery staple").await);
    assert!(known.contains("name or the password is wrong"), "{known:?}");
    assert_eq!(known, unknown);
    told(sign_in(&it, "ada", "").await);
    told(sign_in(&it, "", "").await);
    told(sign_in(&it, "ADA", PASSWORD).await);
}

#[tokio::test]
async fn guessing_is_stopped_and_other_accounts_go_on() {
    let (it, _) = timed().await;
    local(&it, "ada", &["admins"]).await;
    local(&it, "bob", &["ml"]).await;
    for _ in 0..10 {
        sign_in(&it, "ada", "wrong horse battery staple").await.expect(401);
    }
    let answer = sign_in(&it, "Ada", PASSWORD).await.expect(429);
    assert!(answer.text.contains("oo many attempts"), "{}", answer.text);
    sign_in(&it, "ada", PASSWORD).await.expect(429);
    sign_in(&it, "bob", PASSWORD).await.expect(303);
}

#[tokio::test]
async fn a_sign_in_from_another_site_is_refused() {
    let (it, _) = timed().await;
    local(&it, "ada", &["admins"]).await;
    for (name, value) in
        [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("x-nothing", "1")]
    {
        let browser = it.nobody().header("accept", "text/html").header(name, value);
        let answer = browser.form("/login", &[("username", "ada"), ("password", PASSWORD)]).await.expect(403);
        assert!(answer.header("set-cookie").is_none());
    }
}

async fn set_up(it: &TestApp, token: &str, password: &str) -> Answer {
    let browser = it.nobody().header("accept", "text/html").header("sec-fetch-site", "same-origin");
    let fields = [
        ("token", token),
        ("username", "root"),
        ("name", "Root"),
        ("password", password),
        ("again", password),
    ];
    browser.form("/setup", &fields).await
}

#[tokio::test]
async fn the_setup_link_makes_one_administrator_once() {
    let (it, _) = timed().await;
    let token = it.instance.auth.setup_token().await.unwrap().unwrap();
    let page = it.nobody().header("accept", "text/html").get(&format!("/setup?token={token}")).await;
    assert!(page.expect(200).text.contains("Make the first administrator"));
    assert_eq!(set_up(&it, &token, "short").await.status, 400, "a weak password leaves the link alive");
    let answer = set_up(&it, &token, PASSWORD).await.expect(303);
    let me = begun(&it, &answer).get("/api/v1/me").await.expect(200).json();
    assert_eq!((me["name"].as_str(), me["isAdmin"].as_bool()), (Some("Root"), Some(true)));
    assert!(set_up(&it, &token, PASSWORD).await.status >= 400);
    assert!(it.instance.auth.setup_token().await.unwrap().is_none(), "no other is made any more");
    let journal = it.admin().await.get("/api/v1/journal").await.expect(200).json();
    let made = journal.as_array().unwrap().iter().find(|entry| entry["action"] == "user.created").unwrap();
    assert_eq!(made["actor"], "the setup link");
}

#[tokio::test]
async fn a_setup_link_is_none_without_its_token_or_after_a_day() {
    let (it, clock) = timed().await;
    let token = it.instance.auth.setup_token().await.unwrap().unwrap();
    for wrong in ["", "x", &token[1..], &token.to_lowercase()] {
        assert!(set_up(&it, wrong, PASSWORD).await.status >= 400, "{wrong:?}");
    }
    clock.advance(TimeDelta::hours(24) + TimeDelta::seconds(1));
    assert!(set_up(&it, &token, PASSWORD).await.status >= 400);
    assert!(
        it.nobody().header("accept", "text/html").get(&format!("/setup?token={token}")).await.status >= 400
    );
}

#[tokio::test]
async fn a_new_password_ends_what_the_old_one_began() {
    let (it, clock) = timed().await;
    local(&it, "ada", &["admins"]).await;
    let ada = begun(&it, &sign_in(&it, "ada", PASSWORD).await);
    assert!(is_in(&ada).await);
    let new = "another horse battery staple".to_owned();
    it.instance.auth.reset_password(&Caller::system(), "ada", new.into()).await.unwrap();
    clock.advance(TimeDelta::seconds(2));
    assert!(!is_in(&ada).await);
    sign_in(&it, "ada", PASSWORD).await.expect(401);
    sign_in(&it, "ada", "another horse battery staple").await.expect(303);
}

/// Asks as `client` without a pause, from four tasks, until told to stop: its identity is always warm.
fn keep_asking(client: &Client) -> (tokio::task::JoinSet<()>, tokio_util::sync::CancellationToken) {
    let (mut tasks, stop) = (tokio::task::JoinSet::new(), tokio_util::sync::CancellationToken::new());
    for _ in 0..4 {
        let (client, stop) = (client.clone(), stop.clone());
        tasks.spawn(async move {
            while !stop.is_cancelled() {
                let status = client.get("/api/v1/me").await.status;
                assert!(matches!(status, 200 | 401), "{status}");
            }
        });
    }
    (tasks, stop)
}

/// Takes something away while its holder keeps asking; from the answer on it opens nothing.
async fn gone_at_once(holder: &Client, what: &str, revoke: impl AsyncFnOnce()) {
    assert!(is_in(holder).await, "{what}");
    let (mut asking, stop) = keep_asking(holder);
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    revoke().await;
    for _ in 0..5 {
        assert!(!is_in(holder).await, "{what} still opened the door after its revocation was answered");
    }
    stop.cancel();
    while let Some(done) = asking.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_revoked_opens_nothing_from_the_answer_on() {
    let it = TestApp::builder().start().await;
    let admin = it.session("root", &["admins"]).await;
    for round in 0..20 {
        let bob = it.session(&format!("bob{round}"), &["ml"]).await;
        let me = bob.get("/api/v1/me").await.expect(200).json();
        let user = format!("/api/v1/users/{}", me["uuid"].as_str().unwrap());
        gone_at_once(&bob, "a session", async || {
            admin.post(&format!("{user}/revoke-sessions"), &serde_json::json!({})).await.expect(200);
        })
        .await;

        let eve = it.session(&format!("eve{round}"), &["ml"]).await;
        let wanted = serde_json::json!({ "name": "ci", "groups": ["ml"] });
        let made = eve.post("/api/v1/api-keys", &wanted).await.expect(200).json();
        let key = it.nobody().bearer(made["secret"].as_str().unwrap());
        gone_at_once(&key, "a key", async || {
            eve.delete(&format!("/api/v1/api-keys/{}", made["uuid"].as_str().unwrap())).await.expect(200);
        })
        .await;

        let me = eve.get("/api/v1/me").await.expect(200).json();
        let user = format!("/api/v1/users/{}", me["uuid"].as_str().unwrap());
        gone_at_once(&eve, "the session of a disabled user", async || {
            admin.put(&user, &serde_json::json!({ "disabled": true })).await.expect(200);
        })
        .await;
    }
}
