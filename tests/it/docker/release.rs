//! What a deleted deployment leaves on the engine: no network, and of its volumes what somebody wants kept.

use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions, StartContainerOptions};
use reqwest::Method;
use serde_json::{Value, json};
use slipway::engine::label;

use super::scene::Scene;

const COMPOSE: &str = "services:
  db: {image: 'busybox:lab', command: sleep 100000, stop_grace_period: 0s, volumes: ['rows:/rows', 'logs:/logs']}
  web: {image: 'busybox:lab', command: sleep 100000, stop_grace_period: 0s, deploy: {replicas: 2}}
volumes: {rows: {}, logs: {}}
";

/// Waits until nothing of the deployment but so many volumes is left.
async fn left(scene: &Scene, id: &str, volumes: usize) {
    let began = Instant::now();
    loop {
        let found = (scene.networks(id).await.len(), scene.volumes(id).await.len());
        if found == (0, volumes) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(40), "{id}: networks and volumes left: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn stop(scene: &Scene, id: &str) {
    let update = scene.house.call(Method::POST, &format!("/deployments/{id}/stop"), Some(json!({}))).await;
    scene.house.wait(id, update["number"].as_u64().unwrap()).await;
}

async fn delete(scene: &Scene, id: &str, query: &str) {
    scene.house.call(Method::DELETE, &format!("/deployments/{id}{query}"), None).await;
}

/// Somebody else's container in the deployment's network.
async fn guest(scene: &Scene, id: &str) -> String {
    let network = scene.networks(id).await.remove(0);
    let body = ContainerCreateBody {
        image: Some("busybox:lab".into()),
        cmd: Some(vec!["sleep".into(), "100000".into()]),
        host_config: Some(HostConfig { network_mode: Some(network), ..Default::default() }),
        // Not ours by that alone; the scene's cleaning up finds it if the test fails.
        labels: Some([(label::WORKLOAD.to_owned(), id.to_owned())].into()),
        ..Default::default()
    };
    let options = CreateContainerOptions { name: Some(scene.name("guest")), ..Default::default() };
    let made = scene.docker.create_container(Some(options), body).await.unwrap();
    scene.docker.start_container(&made.id, None::<StartContainerOptions>).await.unwrap();
    made.id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_deployment_leaves_no_network_and_only_the_volumes_that_were_to_stay() {
    let mut scene = Scene::new("release").await;
    scene.house.publish("p", "1", COMPOSE).await;
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(scene.up(&format!("d{number}"), "1", json!({})).await);
    }
    let names = scene.house.call(Method::GET, &format!("/deployments/{}/volumes", ids[0]), None).await;
    assert_eq!(names, json!(["logs", "rows"]));
    // All at once: the engine is busy taking endpoints down.
    futures_util::future::join_all(ids[..5].iter().map(|id| stop(&scene, id))).await;
    for id in &ids[..5] {
        assert_eq!(scene.networks(id).await, [""; 0], "stopping {id} takes its network down");
        assert_eq!(scene.volumes(id).await.len(), 2);
    }
    for id in &ids[..3] {
        delete(&scene, id, "").await;
    }
    for id in &ids[3..5] {
        delete(&scene, id, "?volumes=true").await;
    }
    for (number, id) in ids[..5].iter().enumerate() {
        left(&scene, id, if number < 3 { 2 } else { 0 }).await;
    }
    let entries = scene.house.call(Method::GET, "/journal?limit=100", None).await;
    let deleted = |id: &String| {
        let all = entries.as_array().unwrap();
        let found = all.iter().find(|one| one["action"] == "deployment.deleted" && one["object"] == **id);
        found.map(|one| one["detail"].clone()).unwrap_or(Value::Null)
    };
    assert_eq!(deleted(&ids[0]), json!({ "volumes_kept": ["logs", "rows"] }));
    assert_eq!(deleted(&ids[4]), json!({ "volumes_removed": ["logs", "rows"] }));

    // The same id finds the volumes that stayed.
    let again = scene.up("d0", "1", json!({})).await;
    assert_eq!(scene.volumes(&again).await.len(), 2);

    // A guest keeps the network; the update says so, and once the guest has left it goes, after a restart too.
    let (id, guest) = (&ids[5], guest(&scene, &ids[5]).await);
    stop(&scene, id).await;
    let log = scene.house.call(Method::GET, &format!("/deployments/{id}/updates/2/log"), None).await;
    let log = log.to_string();
    assert!(log.contains(&scene.name("guest")) && log.contains("still used"), "{log}");
    delete(&scene, id, "?volumes=true").await;
    assert_eq!(scene.networks(id).await.len(), 1);
    scene.house.stop(false);
    let options = RemoveContainerOptions { force: true, ..Default::default() };
    scene.docker.remove_container(&guest, Some(options)).await.unwrap();
    scene.house.start();
    left(&scene, id, 0).await;
}
