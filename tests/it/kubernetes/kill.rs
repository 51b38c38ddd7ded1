//! kill -9 in the middle of rollouts beside fifty Deployments of others: each ends as it would have.

use std::time::Duration;

use serde_json::json;

use super::flow::{Scene, compose, says};

const FOREIGN: usize = 50;
const UPDATES: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_is_killed_anywhere_ends_as_it_would_have() {
    let mut scene = Scene::new().await;
    let foreign: Vec<_> = (0..FOREIGN).map(foreign).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": foreign });
    scene.namespace.kubectl(&["create", "-f", "-"], &list.to_string());
    scene
        .namespace
        .kubectl(&["wait", "--for=condition=Available", "deployment", "-l=app=foreign", "--timeout=60s"], "");
    let versions = |scene: &Scene| {
        let columns = "-o=jsonpath={range .items[*]}{.metadata.uid} {.metadata.resourceVersion}{'\\n'}{end}";
        scene.namespace.kubectl(&["get", "deployments", "-l=app=foreign", columns], "")
    };
    let before = versions(&scene);
    let id = "kill";
    for version in 0..=UPDATES {
        scene.house.publish("kill", &version.to_string(), &compose(version)).await;
    }
    let spec = json!({ "project": "kill", "bundle": "0", "infrastructure": "k8s" });
    let body = json!({ "name": id, "spec": spec });
    scene.house.call(reqwest::Method::POST, "/deployments", Some(body)).await;
    scene.house.update(id).await;
    for version in 1..=UPDATES {
        scene.house.choose(id, &version.to_string()).await;
        let number = scene.house.ask(id).await;
        let pause = u64::from(slipway::domain::random::bytes::<1>()[0]) * 32;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        scene.house.stop(false);
        scene.house.start();
        let update = scene.house.wait(id, number).await;
        assert_eq!(update["spec"]["bundle"], version.to_string(), "killed after {pause} ms");
        let services: Vec<String> = scene.pods();
        let counted = |name: &str| services.iter().filter(|pod| pod.starts_with(name)).count();
        assert_eq!(
            (counted("web "), counted("caller "), counted("setup "), services.len()),
            (2, 1, 1, 4),
            "killed after {pause} ms: {services:?}"
        );
        let address = scene.endpoint(id, "web").await;
        says(&address, &version.to_string()).await;
    }
    scene.house.remove(id).await;
    assert_eq!(versions(&scene), before, "what is not ours was touched");
}

/// A Deployment of somebody else: half of them of another Slipway.
fn foreign(number: usize) -> serde_json::Value {
    let mut labels = json!({ "app": "foreign", "number": number.to_string() });
    if number.is_multiple_of(2) {
        labels["io.slipway.instance"] = "somebody-else".into();
        labels["io.slipway.workload"] = "kill".into();
    }
    let container = json!({ "name": "main", "image": "busybox:lab", "command": ["sleep", "100000"] });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": format!("foreign-{number}"), "labels": labels },
        "spec": {
            "replicas": 0, "selector": { "matchLabels": { "number": number.to_string() } },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": [container] } },
        },
    })
}
