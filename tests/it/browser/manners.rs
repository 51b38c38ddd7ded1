//! What every page owes to those who use it all day.

use serde_json::json;

use super::{Browser, WIDE, administrator};
use crate::harness::Team;

async fn deployed() -> (Team, Browser) {
    let team = Team::start().await;
    administrator(&team.it).await;
    team.deployment(json!({})).await;
    team.update().await;
    team.healthy("HEALTHY").await;
    let browser = Browser::open(WIDE).await;
    browser.sign_in(&team.it).await;
    (team, browser)
}

const PATH: &str = "return location.pathname";
const ACTIVE: &str = "return document.activeElement.name ?? ''";

#[tokio::test(flavor = "multi_thread")]
async fn keys_lead_where_they_say_until_they_are_switched_off() {
    let (team, browser) = deployed().await;
    for (keys, path) in [("gd", "/deployments"), ("gp", "/projects"), ("gi", "/infrastructures"), ("gh", "/")]
    {
        browser.keys(keys).await;
        browser
            .wait(&format!("return location.pathname === {path:?} && document.readyState === 'complete'"))
            .await;
    }
    browser.keys("/").await;
    assert_eq!(browser.ask(ACTIVE).await, "q");
    browser.keys("gd?/").await;
    assert_eq!(browser.ask("return document.activeElement.value").await, "gd?/", "what is typed is text");
    browser.keys("\u{e00c}").await; // Escape
    browser.keys("?").await;
    browser.see("#keys-help[open]", "Deployments").await;
    browser.keys("\u{e00c}").await;
    browser.wait("return !document.querySelector('dialog[open]')").await;

    browser.go(&format!("{}/account", team.it.base)).await;
    browser.press("#f-keys").await;
    browser.press_words("Save").await;
    browser.see("#flashes", "Saved").await;
    browser.keys("?").await;
    browser.keys("/").await;
    browser.keys("gd").await;
    assert_eq!(browser.ask("return Boolean(document.querySelector('dialog[open]'))").await, false);
    assert_eq!(browser.ask(ACTIVE).await, "");
    assert_eq!(browser.ask(PATH).await, "/account");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_stream_drops_says_so_asks_again_and_recovers() {
    let (team, browser) = deployed().await;
    browser.see("[data-live-mark]", "live").await;
    browser.tool("Network.enable", json!({})).await;
    browser.tool("Network.setBlockedURLs", json!({ "urls": ["*/events?*"] })).await;
    browser.client.refresh().await.unwrap();
    browser.see("#lost[role=status]", "Live updates are interrupted. This page asks again every 5 s.").await;
    browser.see("[data-live-mark]", "every 5 s").await;
    let change = json!({ "spec": { "bundle": "1.1" } });
    team.deployer.patch("/api/v1/deployments/iris-on-local", &change).await.expect(200);
    browser.see(".matrix", "Out of sync").await;
    browser.tool("Network.setBlockedURLs", json!({ "urls": [] })).await;
    browser.wait("return document.querySelector('#lost').textContent === ''").await;
    browser.see("[data-live-mark]", "live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_signed_out_elsewhere_is_told_on_an_open_page() {
    let (team, browser) = deployed().await;
    for (round, path) in ["/", "/deployments/iris-on-local/logs"].into_iter().enumerate() {
        if round > 0 {
            browser.sign_in(&team.it).await;
        }
        browser.go(&format!("{}{path}", team.it.base)).await;
        let id = browser.client.execute_async(
            "const [done] = arguments; fetch('/api/v1/me').then((a) => a.json()).then((me) => done(me.uuid), done);",
            Vec::new(),
        );
        let id = id.await.unwrap().as_str().unwrap().to_owned();
        team.admin.post(&format!("/api/v1/users/{id}/revoke-sessions"), &json!({})).await.expect(200);
        browser.see("#lost", "You are signed out").await;
        browser.see("#lost a", "Sign in again").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_uses_a_page_says_so_without_loading_another() {
    let (team, browser) = deployed().await;
    browser.go(&format!("{}/deployments/iris-on-local/logs", team.it.base)).await;
    browser.see("[data-state]", "following").await;
    let watch = "window.asked = [];
        const real = fetch;
        window.fetch = (...all) => { asked.push(all[0]); return real(...all); };";
    browser.ask(watch).await;
    browser.keys("x").await;
    assert_eq!(browser.ask("return asked.length").await, 0, "a page that was just loaded has said enough");
    browser.ask("const now = Date.now(); Date.now = () => now + 6 * 60000;").await;
    browser.keys("x").await;
    browser.wait("return asked.includes('/api/v1/me')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_back_waits_for_the_name() {
    let (team, browser) = deployed().await;
    browser.go(&format!("{}/deployments/iris-on-local/stop", team.it.base)).await;
    let waits = "return document.querySelector('form.confirm button.danger').disabled";
    assert_eq!(browser.ask(waits).await, true);
    browser.fill("#f-confirm", "iris-on-loca").await;
    assert_eq!(browser.ask(waits).await, true);
    browser.fill("#f-confirm", "l").await;
    assert_eq!(browser.ask(waits).await, false);
    browser.press("form.confirm button.danger").await;
    browser.see("#pills", "Succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_form_keeps_what_was_typed_and_says_where_it_is_wrong() {
    let (team, browser) = deployed().await;
    browser.go(&format!("{}/upload", team.it.base)).await;
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.zip");
    std::fs::write(&wrong, "no zip at all").unwrap();
    browser.fill("#f-version", "9.9").await;
    browser.fill("#f-file", &wrong.to_string_lossy()).await;
    browser.press_words("Publish").await;
    browser.see(".trouble[role=alert]", "zip").await;
    browser.wait("return document.activeElement.matches('.trouble')").await;
    assert_eq!(browser.ask("return document.querySelector('#f-version').value").await, "9.9");

    browser.go(&format!("{}/projects/new", team.it.base)).await;
    browser.fill("#f-key", "not a key").await;
    browser.fill("#f-description", "what it is for").await;
    browser.press_words("Make the project").await;
    browser.see(".trouble li a[href='#f-key']", "Key").await;
    browser.see(".field.wrong #f-key-error", "letters").await;
    assert_eq!(browser.ask("return document.querySelector('#f-key').value").await, "not a key");
    assert_eq!(browser.ask("return document.querySelector('#f-description').value").await, "what it is for");
    assert_eq!(
        browser.ask("return document.querySelector('#f-key').getAttribute('aria-invalid')").await,
        "true"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_page_is_ready_to_type_into() {
    let team = Team::start().await;
    administrator(&team.it).await;
    let browser = Browser::open(WIDE).await;
    browser.go(&format!("{}/login", team.it.base)).await;
    assert_eq!(browser.ask(ACTIVE).await, "username");
    browser.keys("alice\u{e007}").await; // Enter: the browser asks for the password first
    browser.fill("#f-password", "wrong horse battery\u{e007}").await;
    browser.see(".trouble", "wrong").await;
    assert_eq!(browser.ask(ACTIVE).await, "password", "the name was kept");
    assert_eq!(browser.ask("return document.querySelector('#f-username').value").await, "alice");
}
