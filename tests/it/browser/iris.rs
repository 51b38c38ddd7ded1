//! The README's walk through the console with the iris example, on a real Docker engine: the binary, its setup link,
//! and the buttons by the words that the README uses.

use std::path::Path;
use std::time::Duration;

use super::first::{FirstRun, become_administrator};
use super::{Browser, WIDE, Window};
use crate::kubernetes::harness::{MIRROR, mirror};
use crate::kubernetes::images::stage::LAB;
use crate::kubernetes::lab::{self, Namespace};

/// Building the image on a busy machine takes a while.
const UPDATE: Duration = Duration::from_secs(120);

async fn upload(browser: &Browser, zip: &Path, version: &str) {
    browser.press_words("Projects").await;
    browser.press_words("Upload a bundle").await;
    browser.fill("#f-file", &zip.to_string_lossy()).await;
    browser.press_words("Publish").await;
    browser.see("h1", version).await;
}

async fn deploy(browser: &Browser, run: &FirstRun) {
    browser.press_words("Deploy to…").await;
    browser.see("h1", "New deployment").await;
    browser.choose("#f-infrastructure", "local · dev").await;
    browser.fill("#f-id", &run.deployment).await;
    browser.press_words("Make it and see the plan").await;
    browser.see("main", "What will run").await;
    browser.press_words("Update now").await;
}

/// Waits on the update's page for its good end: without scripts by loading it again.
async fn watch(browser: &Browser, scripts: bool, number: u32) {
    let stops = number == 5;
    browser.see("h1", &format!("Update {number}")).await;
    if scripts {
        browser.see_within("#pills", "Succeeded", UPDATE).await;
        browser.see(".steps-of", if stops { "4 of 4" } else { "7 of 7" }).await;
    } else {
        browser.see_on_reload("#pills", "Succeeded", UPDATE).await;
    }
}

/// Opens the deployment's page; answers where its API is.
async fn healthy(browser: &Browser, run: &FirstRun, version: &str) -> String {
    healthy_at(browser, run, &run.deployment, version).await
}

async fn healthy_at(browser: &Browser, run: &FirstRun, id: &str, version: &str) -> String {
    browser.go(&format!("{}/deployments/{id}", run.base)).await;
    browser.see_on_reload("#pills", "Healthy", Duration::from_secs(60)).await;
    browser.see("#pills", "4 of 4 ready").await;
    browser.see("aside .facts", version).await;
    let replicas = browser.texts("tr.sub td.name").await;
    for name in ["api-0", "redis-0", "retrain-0", "train-0"] {
        assert!(replicas.iter().any(|each| each == name), "{name} is none of {replicas:?}");
    }
    let link = browser.client.find(fantoccini::Locator::Css("td[data-label='Reached at'] a")).await.unwrap();
    link.attr("href").await.unwrap().unwrap()
}

async fn predicts(at: &str) {
    let url = format!("{}/predict", at.trim_end_matches('/'));
    let body = serde_json::json!({ "sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2 });
    // A cluster's nodes learn of a port a moment after its pods serve.
    let begun = std::time::Instant::now();
    let answer = loop {
        match reqwest::Client::new().post(&url).json(&body).send().await {
            Err(error) if error.is_connect() && begun.elapsed() < Duration::from_secs(20) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            sent => break sent.unwrap(),
        }
    };
    let text = answer.text().await.unwrap();
    assert!(text.contains("setosa"), "{url}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_is_followed_from_the_setup_link_to_the_way_back() {
    slipway::tls::install();
    let run = FirstRun::start();
    let (first, next) = (run.pack(&["iris"]), run.pack(&["--version", "1.1.0", "iris"]));
    let browser = Browser::open(WIDE).await;
    become_administrator(&browser, &run).await;
    upload(&browser, &first, "1.0.0").await;
    deploy(&browser, &run).await;
    watch(&browser, true, 1).await;
    let at = healthy(&browser, &run, "1.0.0").await;
    browser.press_words("Logs").await;
    browser.see("[data-state]", "following").await;
    predicts(&at).await;
    browser.see("[data-rows]", "POST /predict").await;

    upload(&browser, &next, "1.1.0").await;
    browser.press_words("Update to 1.1.0…").await;
    browser.press_words("Review the changes…").await;
    browser.press_words("Save and go on to the update…").await;
    browser.see("main", "What changes").await;
    browser.press_words("Update now").await;
    watch(&browser, true, 2).await;
    predicts(&healthy(&browser, &run, "1.1.0").await).await;

    browser.press_words("Roll back…").await;
    browser.see("main", "Go back to").await;
    browser.press_words("Roll back to 1").await;
    watch(&browser, true, 3).await;
    predicts(&healthy(&browser, &run, "1.0.0").await).await;

    browser.press_words("Run tests").await;
    browser.see_within("#pills", "Succeeded", UPDATE).await;
    browser.see("main", "predicts").await;
    healthy(&browser, &run, "1.0.0").await;
    browser.see("#t-predicts", "Passed").await;

    browser.press_words("Stop…").await;
    browser.fill("#f-confirm", &run.deployment).await;
    browser.press_words("Stop deployment").await;
    watch(&browser, true, 5).await;
    browser.go(&format!("{}/admin/journal", run.base)).await;
    browser.see(".journal", "User created by the setup link from the console").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_is_followed_without_scripts() {
    slipway::tls::install();
    let run = FirstRun::start();
    let zip = run.pack(&["iris"]);
    let browser = Browser::open(Window { width: 1280, scripts: false }).await;
    become_administrator(&browser, &run).await;
    upload(&browser, &zip, "1.0.0").await;
    deploy(&browser, &run).await;
    watch(&browser, false, 1).await;
    predicts(&healthy(&browser, &run, "1.0.0").await).await;
    browser.press_words("Logs").await;
    browser.see_on_reload("[data-rows]", "POST /predict", Duration::from_secs(20)).await;
    healthy(&browser, &run, "1.0.0").await;
    browser.press_words("Run tests").await;
    browser.see_on_reload("#pills", "Succeeded", UPDATE).await;
    healthy(&browser, &run, "1.0.0").await;
    browser.see("#t-predicts", "Passed").await;
}

/// Makes infrastructure `k8s` by its form: the lab's cluster, this namespace, the lab's registry.
async fn connect_cluster(browser: &Browser, run: &FirstRun, namespace: &Namespace) {
    browser.go(&format!("{}/infrastructures/new", run.base)).await;
    browser.fill("#f-id", "k8s").await;
    browser.choose("#f-stage", "Prod").await;
    browser.press("[name=kind][value=kubernetes]").await;
    browser.fill("#f-kubeconfig_file", &lab::kubeconfig().to_string_lossy()).await;
    for (field, text) in [("namespace", namespace.name.as_str()), ("registry", &format!("{LAB}/slwtest"))] {
        browser
            .client
            .find(fantoccini::Locator::Css(&format!("#f-{field}")))
            .await
            .unwrap()
            .clear()
            .await
            .unwrap();
        browser.fill(&format!("#f-{field}"), text).await;
    }
    browser.choose("#f-builder", "local").await;
    browser.fill("#f-mirrors", &format!("docker.io={MIRROR}")).await;
    browser.client.find(fantoccini::Locator::Css("#f-volume_size")).await.unwrap().clear().await.unwrap();
    browser.fill("#f-volume_size", "64Mi").await;
    browser.press_words("Make the infrastructure").await;
    browser.see("h1", "k8s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundle_is_promoted_from_docker_to_kubernetes() {
    slipway::tls::install();
    for (image, tag) in [("redis", "7"), ("python", "3.11-slim")] {
        mirror(image, tag).await;
    }
    let run =
        FirstRun::with(&format!("[registry.\"{LAB}\"]\nusername = \"lab\"\npassword = \"lab-secret\"\n"));
    let (namespace, zip) = (Namespace::fresh(), run.pack(&["iris"]));
    let browser = Browser::open(WIDE).await;
    become_administrator(&browser, &run).await;
    upload(&browser, &zip, "1.0.0").await;
    deploy(&browser, &run).await;
    watch(&browser, true, 1).await;
    connect_cluster(&browser, &run, &namespace).await;

    browser.go(&format!("{}/deployments/{}", run.base, run.deployment)).await;
    browser.press_words("Promote…").await;
    browser.choose("#f-to", "k8s · prod").await;
    browser.fill("#f-id", &run.promoted()).await;
    browser.press_words("Promote").await;
    browser.see("main", "What will run").await;
    browser.press_words("Update now").await;
    // The lab's cluster makes no volumes by itself.
    namespace.provide_next_volume().await;
    watch(&browser, true, 1).await;
    let at = healthy_at(&browser, &run, &run.promoted(), "1.0.0").await;
    predicts(&at).await;
    browser.press_words("Logs").await;
    browser.see("[data-rows]", "POST /predict").await;
    let pods = namespace.kubectl(&["get", "pods", "-l=io.slipway.workload", "-o", "name"], "");
    assert_eq!(pods.lines().count(), 4, "{pods}");
    predicts(&healthy(&browser, &run, "1.0.0").await).await;
}

#[test]
fn the_readme_names_the_buttons_that_are_pressed_here() {
    let readme: Vec<&str> = include_str!("../../../README.md").split_whitespace().collect();
    let readme = readme.join(" ");
    for words in [
        "Projects",
        "Upload a bundle",
        "Publish",
        "Deploy to…",
        "Make it and see the plan",
        "Update now",
        "Logs",
        "Update to 1.1.0…",
        "Review the changes…",
        "Save and go on to the update…",
        "Roll back…",
        "Roll back to 1",
    ] {
        assert!(readme.contains(&format!("*{words}*")), "the README does not say {words}");
    }
}
