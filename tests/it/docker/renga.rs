//! Executions of renga-deployer's API on a real Docker engine.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::scene::Scene;
use crate::harness::renga_client::Renga;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_serves_on_its_port_and_goes_without_a_trace() {
    let mut scene = Scene::new("renga").await;
    let spec = json!({
        "image": "python:3.11-slim",
        "command": "python -u -c 'import os, http.server as h; os.chdir(\"/work\"); open(\"index.html\", \"w\").write(os.environ[\"WHO\"] + os.environ[\"MY_TOKEN\"]); print(\"serving\"); h.test(h.SimpleHTTPRequestHandler, port=8000)'",
        "ports": ["8000"],
        "env": [{ "name": "WHO", "value": "context" }, { "name": "MY_TOKEN", "value": "-hunter2" }],
        "volumes": [{ "name": "work", "emptyDir": {} }],
        "volumeMounts": [{ "name": "work", "mountPath": "/work" }],
    });
    let (path, id) = Renga::at(&scene.house).run(spec, "docker").await;
    scene.made.push(id.clone());
    let renga = Renga::at(&scene.house);
    renga.state(&path, "running").await;
    assert_eq!(renga.reach(&path, "8000").await, "execution-hunter2");
    let (status, logs) = renga.send(Method::GET, &format!("{path}/logs"), None).await;
    assert_eq!(status, 200);
    assert!(logs.starts_with("serving\n"), "{logs}");
    assert_eq!(scene.volumes(&id).await.len(), 1);
    renga.remove(&path).await;
    let began = Instant::now();
    loop {
        let left = (
            scene.containers(&id).await.len(),
            scene.networks(&id).await.len(),
            scene.volumes(&id).await.len(),
        );
        if left == (0, 0, 0) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "containers, networks, volumes: {left:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_that_ends_keeps_its_output_and_is_not_started_again() {
    let mut scene = Scene::new("rengaend").await;
    for code in [0, 3] {
        let spec = json!({ "image": "busybox:lab", "command": format!("sh -c 'echo $WHO; exit {code}'") });
        let (path, id) = Renga::at(&scene.house).run(spec, "local").await;
        scene.made.push(id.clone());
        let renga = Renga::at(&scene.house);
        renga.state(&path, "exited").await;
        assert_eq!(
            renga.send(Method::GET, &format!("{path}/logs"), None).await,
            (200, "execution\n".to_owned())
        );
        scene.house.wait(&id, 1).await;
        let containers = scene.containers(&id).await;
        assert_eq!(containers.len(), 1);
        assert!(
            containers[0].status.as_ref().unwrap().starts_with(&format!("Exited ({code})")),
            "{containers:?}"
        );
        renga.remove(&path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_that_is_stopped_keeps_its_container_and_its_output() {
    let mut scene = Scene::new("rengastop").await;
    let command = "sh -c 'trap \"echo bye; exit 5\" TERM; echo hello; while :; do sleep 0.1; done'";
    let spec = json!({ "image": "busybox:lab", "command": command });
    let (path, id) = Renga::at(&scene.house).run(spec, "docker").await;
    scene.made.push(id.clone());
    let renga = Renga::at(&scene.house);
    renga.says(&path, "hello\n").await;
    renga.stop(&path, &id).await;
    renga.says(&path, "hello\nbye\n").await;
    let containers = scene.containers(&id).await;
    assert_eq!(containers.len(), 1);
    assert!(containers[0].status.as_ref().unwrap().starts_with("Exited (5)"), "{containers:?}");
    let own = scene.house.call(Method::GET, &format!("/executions/{id}"), None).await;
    assert_eq!(own["status"]["exitCode"], 5, "{own}");
    renga.remove(&path).await;
}
