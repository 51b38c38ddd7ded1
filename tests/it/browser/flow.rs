//! From the login to the log, with scripts and without.

use super::{Browser, Window, administrator};
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
    browser.press("#upload .buttons .button.primary").await;
    browser.see("h1", "2.0").await;
    browser.press(".head .button.primary").await;
    browser.see("h1", "New deployment").await;
    browser.press("form.form .button.primary").await;
    browser.see("h1", "Update").await;
    browser.press("form.form .button.primary").await;
    browser.see("h1", "Update 1").await;
    if !scripts {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        browser.client.refresh().await.unwrap();
    }
    browser.see("#pills", "Succeeded").await;
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
    let browser = Browser::open(Window { width: 1280, scripts: true }).await;
    browser.sign_in(&team.it).await;
    browser.see(".matrix", "Never deployed").await;
    browser.see("[data-live-mark]", "live").await;
    team.update().await;
    browser.see(".matrix", "Healthy").await;
}
