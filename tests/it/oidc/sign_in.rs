//! Sign-ins that work, and that each works once, in one browser, and leads to our own pages.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::json;
use slipway::domain::clock::{Clock as _, ManualClock, SystemClock};

use super::*;

#[tokio::test]
async fn people_sign_in_with_the_providers_groups() {
    let setup = Setup::new().await;
    for (who, name, groups, admin) in [
        ("alice", "Alice Admin", json!(["admins", "ml-deployers"]), true),
        ("bob", "Bob Deployer", json!(["ml-deployers"]), false),
        ("carol", "Carol Viewer", json!([]), false),
    ] {
        let mut browser = setup.signed_in(who).await;
        let me = setup.me(&mut browser).await.unwrap();
        assert_eq!((&me["name"], &me["groups"], &me["isAdmin"]), (&json!(name), &groups, &json!(admin)));
    }
    assert!(setup.me(&mut setup.browser()).await.is_none());
}

#[tokio::test]
async fn the_session_is_new_and_its_cookie_is_kept_from_scripts() {
    let setup = Setup::new().await;
    let mut browser = setup.signed_in("bob").await;
    let set = browser.set.iter().find(|line| line.starts_with("slipway=")).unwrap().clone();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/"), "{set}");
    let first = browser.cookie(&setup.app.base, "slipway").unwrap().to_owned();
    browser.get(&format!("{}/auth/login", setup.app.base)).await;
    let second = browser.cookie(&setup.app.base, "slipway").unwrap().to_owned();
    assert_ne!(first, second, "no id survives a sign-in");
    let origin = url::Url::parse(&setup.app.base).unwrap().origin().ascii_serialization();
    browser.cookies.insert((origin, "slipway".to_owned()), first);
    assert!(setup.me(&mut browser).await.is_none(), "the one before it ended");
}

#[tokio::test]
async fn a_browser_comes_back_to_where_it_wanted_to_go_and_nowhere_else() {
    let setup = Setup::under("/tools/slipway").await;
    let base = &setup.app.base;
    let home = format!("{base}/");
    for (to, wanted) in [
        ("/tools/slipway/projects", format!("{base}/projects")),
        ("/tools/slipway/projects?q=a%26b", format!("{base}/projects?q=a%26b")),
        ("https://evil.example", home.clone()),
        ("//evil.example", home.clone()),
        ("/\\evil.example", home.clone()),
        ("/tools/slipway/../../evil", home.clone()),
        ("/elsewhere", home.clone()),
        ("javascript:alert(1)", home.clone()),
        ("", home.clone()),
    ] {
        let mut browser = setup.browser();
        let encoded: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
        let page = browser.get(&format!("{base}/auth/login?to={encoded}")).await;
        browser.log_in(&page, "bob").await;
        let after = browser.trail.iter().skip_while(|url| !url.contains("/auth/callback")).nth(1).unwrap();
        assert_eq!(*after, wanted, "{to}");
        assert!(browser.trail.iter().all(|url| !url.contains("evil.example/")), "{:?}", browser.trail);
    }
}

/// Goes as far as the provider's answer, which is not followed.
async fn answer_of(setup: &Setup, browser: &mut Browser, who: &str) -> String {
    let callback = format!("{}/auth/callback", setup.app.base);
    let page = browser.get(&format!("{}/auth/login", setup.app.base)).await;
    let (action, mut fields) = page.form();
    fields.extend([("login".to_owned(), who.to_owned()), ("password".to_owned(), "any".to_owned())]);
    browser.until(&action, Some(fields), &callback).await.expect_err("the provider sends the browser back")
}

#[tokio::test]
async fn an_answer_works_once() {
    let setup = Setup::new().await;
    let mut browser = setup.browser();
    let answer = answer_of(&setup, &mut browser, "bob").await;
    assert_eq!(browser.get(&answer).await.status, 200);
    let again = browser.get(&answer).await;
    assert_eq!(again.status, 401);
    assert!(again.text.contains("was finished already"), "{}", again.text);
}

#[tokio::test]
async fn an_answer_is_taken_for_ten_minutes() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let setup = Setup::of(TestApp::builder().clock(clock.clone())).await;
    let mut browser = setup.browser();
    let answer = answer_of(&setup, &mut browser, "bob").await;
    clock.advance(TimeDelta::minutes(10));
    let page = browser.get(&answer).await;
    assert_eq!(page.status, 401);
    assert!(page.text.contains("longer than ten minutes"), "{}", page.text);
    assert!(setup.me(&mut browser).await.is_none());
}

#[tokio::test]
async fn an_answer_is_for_the_browser_that_began() {
    let setup = Setup::new().await;
    let mut attacker = setup.browser();
    let answer = answer_of(&setup, &mut attacker, "bob").await;
    let mut victim = setup.browser();
    let page = victim.get(&answer).await;
    assert_eq!(page.status, 401);
    assert!(setup.me(&mut victim).await.is_none(), "nobody is signed in as somebody else");
    let mut other = setup.browser();
    other.get(&format!("{}/auth/login", setup.app.base)).await;
    let answer = answer_of(&setup, &mut setup.browser(), "bob").await;
    assert_eq!(other.get(&answer).await.status, 401);
}

#[tokio::test]
async fn two_tabs_may_be_away_at_once() {
    let setup = Setup::new().await;
    let mut browser = setup.browser();
    let first = answer_of(&setup, &mut browser, "bob").await;
    // The second goes through at once: the provider knows the browser by now.
    browser.get(&format!("{}/auth/login", setup.app.base)).await;
    assert_eq!(browser.get(&first).await.status, 200);
    assert!(setup.me(&mut browser).await.is_some());
}

#[tokio::test]
async fn groups_are_taken_anew_at_each_sign_in() {
    let setup = Setup::new().await;
    let mut browser = setup.signed_in("bob").await;
    setup.provider.person("bob", &json!({ "groups": ["admins"], "name": "Bob Promoted" })).await;
    assert_eq!(setup.me(&mut browser).await.unwrap()["isAdmin"], false);
    browser.get(&format!("{}/auth/login", setup.app.base)).await;
    let me = setup.me(&mut browser).await.unwrap();
    assert_eq!((&me["isAdmin"], &me["name"]), (&json!(true), &json!("Bob Promoted")));
    let uuid = me["uuid"].clone();
    setup.provider.person("bob", &json!({ "groups": [], "email": "alice@example.test" })).await;
    browser.get(&format!("{}/auth/login", setup.app.base)).await;
    let me = setup.me(&mut browser).await.unwrap();
    assert_eq!((&me["isAdmin"], &me["groups"]), (&json!(false), &json!([])));
    assert_eq!(me["uuid"], uuid, "the subject is who somebody is, whatever the address says");
}

#[tokio::test]
async fn a_disabled_account_stays_out() {
    let setup = Setup::new().await;
    let mut browser = setup.signed_in("bob").await;
    let uuid = setup.me(&mut browser).await.unwrap()["uuid"].as_str().unwrap().parse().unwrap();
    let admin = slipway::domain::access::Caller::system();
    slipway::app::user::set_disabled(&setup.app.instance.app, &admin, uuid, true).await.unwrap();
    assert!(setup.me(&mut browser).await.is_none(), "the session ended");
    let page = browser.get(&format!("{}/auth/login", setup.app.base)).await;
    assert_eq!(page.status, 401);
    assert!(page.text.contains("account is disabled"), "{}", page.text);
    assert!(setup.me(&mut browser).await.is_none());
}

#[tokio::test]
async fn without_a_provider_there_is_no_button_and_no_way() {
    let app = crate::harness::TestApp::builder().start().await;
    let mut browser = Browser::new();
    let page = browser.get(&format!("{}/login", app.base)).await;
    assert!(!page.text.contains("/auth/login"), "{}", page.text);
    for path in ["/auth/login", "/auth/callback?state=a&code=b"] {
        assert_eq!(browser.get(&format!("{}{path}", app.base)).await.status, 404);
    }
}
