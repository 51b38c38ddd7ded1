//! From the login to the log, with scripts and without; and nothing that is left behind.

use std::time::Duration;

use super::window::processes_of;
use super::{Browser, WIDE, Window, administrator};
use crate::harness::{Team, archive};

const COMPOSE: &str = "name: churn\nx-slipway:\n  version: \"2.0\"\nservices:\n  api:\n    image: redis:7\n";

async fn from_login_to_log(scripts: bool) {
    let team = Team::start().await;
    administrator(&team.it).await;
    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join("churn.zip");
    std::fs::write(&zip, archive(&[("compose.yaml", COMPOSE)])).unwrap();
    let browser = Browser::open(Window { width: 1280, scripts }).await;
    let base = &team.it.base;
    browser.sign_in(&team.it).await;
    browser.go(&format!("{base}/upload")).await;
    browser.fill("#f-file", &zip.to_string_lossy()).await;
    browser.press_words("Publish").await;
    browser.see("h1", "2.0").await;
    browser.press_words("Deploy to…").await;
    browser.see("h1", "New deployment").await;
    browser.press_words("Make it and see the plan").await;
    browser.see("h1", "Update").await;
    browser.press_words("Update now").await;
    browser.see("h1", "Update 1").await;
    if scripts {
        browser.see("#pills", "Succeeded").await;
    } else {
        browser.see_on_reload("#pills", "Succeeded", Duration::from_secs(20)).await;
    }
    browser.go(&format!("{base}/deployments/churn-on-local/logs")).await;
    browser.see("h1", "churn on local").await;
    if scripts {
        browser.see("[data-state]", "following").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_login_to_the_log_with_scripts() {
    from_login_to_log(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_login_to_the_log_without_scripts() {
    from_login_to_log(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_follows_what_others_do() {
    let team = Team::start().await;
    administrator(&team.it).await;
    team.deployment(serde_json::json!({})).await;
    let browser = Browser::open(WIDE).await;
    browser.sign_in(&team.it).await;
    browser.see(".matrix", "Never deployed").await;
    browser.see("[data-live-mark]", "live").await;
    team.update().await;
    browser.see(".matrix", "Healthy").await;

    // What the engine says stays open while the page changes around it.
    browser.go(&format!("{}/deployments/iris-on-local", team.it.base)).await;
    browser.see("#said-api > summary", "Container: Running").await;
    browser.press("#said-api > summary").await;
    let change = serde_json::json!({ "spec": { "bundle": "1.1" } });
    team.deployer.patch("/api/v1/deployments/iris-on-local", &change).await.expect(200);
    browser.see("#plan", "1.1").await;
    browser.wait("return document.querySelector('#said-api').open").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_leaves_nothing_behind_when_its_test_fails() {
    let (tell, told) = std::sync::mpsc::channel();
    let failing = tokio::spawn(async move {
        let browser = Browser::open(WIDE).await;
        tell.send(browser.folder().to_owned()).unwrap();
        browser.go("data:text/html,hello").await;
        panic!("on purpose");
    });
    assert!(failing.await.unwrap_err().is_panic());
    let folder = told.recv().unwrap();
    assert!(processes_of(&folder).is_empty(), "driver and Chromium are gone");
    assert!(!folder.exists(), "and so is the profile");
}
