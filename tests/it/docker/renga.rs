//! Executions of renga-deployer's API on a real Docker engine.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::scene::Scene;
use crate::harness::process::House;
use crate::harness::renga_client::{Issuer, Renga, as_the_configured_user, by_tokens};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_serves_on_its_port_and_goes_without_a_trace() {
    let mut scene = Scene::new("renga").await;
    let spec = json!({
        "image": "python:3.11-slim",
        "command": "python -u -c 'import os, http.server as h; os.chdir(\"/work\"); open(\"index.html\", \"w\").write(os.environ[\"WHO\"] + os.environ[\"MY_TOKEN\"]); print(\"serving\"); h.test(h.SimpleHTTPRequestHandler, port=8000)'",
        "ports": ["8000", "5353/udp"],
        "labels": ["team=data"],
        "resources": { "limits": { "memory": "96Mi", "cpu": "500m" } },
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
    let containers = scene.containers(&id).await;
    assert_eq!(containers[0].labels.as_ref().unwrap()["team"], "data");
    let found = scene.docker.inspect_container(containers[0].id.as_deref().unwrap(), None).await.unwrap();
    let limits = found.host_config.unwrap();
    assert_eq!((limits.memory, limits.nano_cpus), (Some(96 << 20), Some(500_000_000)));
    let environment = scene.house.call(Method::GET, &format!("/executions/{id}/environment"), None).await;
    let shown = json!({ "WHO": "execution", "MY_TOKEN": "********", "DEPLOYER_BASE_URL": "/",
        "RENGA_CONTEXT_ID": environment["RENGA_CONTEXT_ID"] });
    assert_eq!(environment, shown);
    let inside: std::collections::BTreeSet<String> = found.config.unwrap().env.unwrap().into_iter().collect();
    assert!(inside.contains("MY_TOKEN=-hunter2") && inside.contains("DEPLOYER_BASE_URL=/"), "{inside:?}");
    let ports = renga.get(&format!("{path}/ports")).await;
    assert_eq!(
        (&ports["ports"][0]["specified"], &ports["ports"][0]["protocol"]),
        (&json!("5353"), &json!("UDP")),
        "{ports}"
    );
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restricted_infrastructure_runs_it_as_the_configured_user() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.toml"), "[renga]\nuser = \"1234:2345\"\n").unwrap();
    let house = House::at(dir.path()).await;
    let mut scene = Scene::with(house, super::Docker::by_hand(), "rengarestricted");
    let id = as_the_configured_user(&scene.house, "local", "docker").await;
    scene.made.push(id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_real_issuer_run_read_and_remove() {
    let (issuer, dir) = (Issuer::start().await, tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join("config.toml"), issuer.believed(false).await).unwrap();
    let house = House::at(dir.path()).await;
    let mut scene = Scene::with(house, super::Docker::by_hand(), "rengatokens");
    let id = by_tokens(&scene.house, &issuer, "local", "docker").await;
    scene.made.push(id);
}
