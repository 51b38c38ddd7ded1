//! A Kubernetes infrastructure by form: refused with what was typed kept, then made from a file, then changed; with
//! scripts and without.

use serde_json::json;

use super::access::{axe, broken};
use super::{Browser, Window, administrator};
use crate::harness::TestApp;

const KUBECONFIG: &str = "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:9'}}]\nusers:\n- name: u\n  user:\n    \
                          token: canary-in-the-browser\ncontexts: [{name: x, context: {cluster: c, user: u, namespace: ml}}]\n\
                          current-context: x\n";

/// Nothing of the page keeps anybody out; axe itself is a script.
async fn open_to_all(browser: &Browser, scripts: bool) {
    if scripts {
        assert_eq!(broken(browser, &axe()).await, Vec::<String>::new());
    }
}

async fn made_by_form(scripts: bool) {
    let it = TestApp::builder().start().await;
    administrator(&it).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prod.kubeconfig");
    std::fs::write(&file, KUBECONFIG).unwrap();
    let browser = Browser::open(Window { width: 1280, scripts }).await;
    let base = &it.base;
    browser.sign_in(&it).await;
    browser.go(&format!("{base}/infrastructures/new")).await;
    browser.fill("#f-id", "prod").await;
    browser.press("[name=kind][value=kubernetes]").await;
    browser
        .fill("#f-kubeconfig", &KUBECONFIG.replace("token: canary-in-the-browser", "exec: {command: touch}"))
        .await;
    browser.fill("#f-registry", "registry.example.org/slipway").await;
    browser.press("[name=publish_by][value=ingress]").await;
    browser.fill("#f-ingress_host", "{service}.example.org").await;
    browser.press_words("Make the infrastructure").await;
    browser.see("#f-kubeconfig-error", "would run a program").await;
    browser.see(".trouble", "Line 5: user u: `exec`").await;
    open_to_all(&browser, scripts).await;

    // What was typed is there, but for the kubeconfig; this time its file is chosen.
    browser.fill("#f-kubeconfig_file", &file.to_string_lossy()).await;
    browser.press_words("Make the infrastructure").await;
    browser.see("h1", "prod").await;
    browser.see(".facts", "https://127.0.0.1:9").await;
    let admin = it.admin().await;
    let engine = |made: serde_json::Value| made["spec"]["engine"].clone();
    let made = engine(admin.get("/api/v1/infrastructures/prod").await.expect(200).json());
    assert_eq!(
        (&made["namespace"], &made["registry"]),
        (&json!("ml"), &json!("registry.example.org/slipway"))
    );
    assert_eq!(made["publish"], json!({ "by": "ingress", "host": "{service}.example.org", "path": "/" }));

    browser.press_words("The smallest Role that Slipway needs").await;
    browser.see(".snippet", "kind: RoleBinding").await;
    open_to_all(&browser, scripts).await;
    browser.press_words("Settings").await;
    browser.see("h1", "prod").await;
    open_to_all(&browser, scripts).await;
    browser.fill("#f-storage_class", "fast").await;
    browser.press("[name=publish_by][value=nowhere]").await;
    browser.press_words("Save").await;
    browser.see("#flashes", "Saved").await;
    let saved = engine(admin.get("/api/v1/infrastructures/prod").await.expect(200).json());
    assert_eq!((&saved["access"], &saved["storageClass"]), (&made["access"], &json!("fast")));
    assert_eq!(saved["publish"], json!({ "by": "nowhere" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_connected_by_form_with_scripts() {
    made_by_form(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_connected_by_form_without_scripts() {
    made_by_form(false).await;
}
