//! The cluster's API server stopped and started in the middle of a rollout. Nothing else may run meanwhile.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use slipway::domain::clock::SystemClock;
use slipway::engine::Engine as _;
use slipway::engine::kubernetes::KubernetesEngine;

use super::flow::{Scene, compose};
use super::harness::cluster;

fn lab() -> std::path::PathBuf {
    std::env::var_os("LAB_DIR").map_or_else(|| "/var/tmp/slipway-lab".into(), Into::into)
}

/// Kills the lab's API server by its pid (asked to end, it would wait a minute for its watchers), and waits until it is gone.
fn stop() {
    let text =
        std::fs::read_to_string(lab().join("run/kube-apiserver.pid")).expect("the lab's own cluster runs");
    let raw: i32 = text.trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    for _ in 0..400 {
        // One that ended and was not collected by its parent has no command line any more.
        if std::fs::read(format!("/proc/{raw}/cmdline")).map_or(true, |line| line.is_empty()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the API server does not end");
}

/// Starts it again as the lab does.
fn start() {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/lab");
    let output = Command::new(script).arg("k8s").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_on_when_its_api_server_comes_back() {
    assert!(
        std::env::var_os("SLIPWAY_TEST_KUBECONFIG").is_none(),
        "only the lab's own API server can be stopped: leave kubernetes::away out with another cluster"
    );
    let scene = Scene::new().await;
    let id = "away";
    for version in 0..=2 {
        scene.house.publish("away", &version.to_string(), &compose(version)).await;
    }
    let spec = json!({ "project": "away", "bundle": "0", "infrastructure": "k8s" });
    let body = json!({ "name": id, "spec": spec });
    scene.house.call(reqwest::Method::POST, "/deployments", Some(body)).await;
    scene.house.update(id).await;
    let (connection, credential) = cluster(&scene.namespace.name);
    let watcher =
        KubernetesEngine::connect(&connection, Some(&credential), "away", Arc::new(SystemClock)).unwrap();
    for (version, pause) in [("1", 300), ("2", 2_500)] {
        scene.house.choose(id, version).await;
        let number = scene.house.ask(id).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let place = watcher.snapshot().await.unwrap().cursor;
        // Something has to happen behind that place: a server that begins anew knows of nothing that was before.
        scene.namespace.kubectl(&["create", "configmap", &format!("behind-{version}")], "");
        tokio::task::spawn_blocking(stop).await.unwrap();
        let told = scene.house.call(reqwest::Method::GET, &format!("/deployments/{id}"), None).await;
        tokio::task::spawn_blocking(start).await.unwrap();
        // It has forgotten what was before (410): whoever stood there has to list again, and can.
        let mut events = watcher.watch(&place).await.unwrap();
        let told_from_there = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
        let told_from_there = told_from_there.expect("it answers").unwrap();
        let forgotten = told_from_there.expect_err("the server knows nothing of that place").to_string();
        assert!(forgotten.contains("too old resource version"), "{forgotten}");
        watcher.snapshot().await.unwrap();
        let update = scene.house.wait(id, number).await;
        assert_eq!(update["spec"]["bundle"], version, "{told}");
        let pods = scene.pods();
        let counted = |name: &str| pods.iter().filter(|pod| pod.starts_with(name)).count();
        assert_eq!((counted("web "), counted("caller "), pods.len()), (2, 1, 4), "{pods:?}");
    }
    scene.house.remove(id).await;
}
