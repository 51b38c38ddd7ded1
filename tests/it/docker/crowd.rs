//! Two hundred replicas at once, and a burst of a thousand events: what the API shows is what the engine has.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bollard::models::ContainerUpdateBody;
use bollard::query_parameters::{RemoveContainerOptions, RenameContainerOptions, StopContainerOptions};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::scene::Scene;

const DEPLOYMENTS: usize = 20;
const REPLICAS: usize = 10;
const EVENTS: usize = 1_000;

fn compose() -> String {
    format!(
        "services:\n  web: {{image: 'busybox:lab', command: sleep 100000, stop_grace_period: 0s, deploy: {{replicas: {REPLICAS}}}}}\n"
    )
}

/// Engine id and phase of each replica, as the API shows it.
fn shown(deployment: &Value) -> BTreeMap<String, String> {
    let slots = deployment["status"]["slots"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    slots.iter().map(|slot| (text(&slot["engineId"]), text(&slot["phase"]))).collect()
}

/// The same as the engine has it.
async fn there(scene: &Scene, id: &str) -> BTreeMap<String, String> {
    let all = scene.containers(id).await.into_iter();
    all.map(|one| (one.id.unwrap(), one.state.unwrap().to_string())).collect()
}

async fn agree(scene: &Scene, id: &str) {
    let began = Instant::now();
    loop {
        let (shown, there) = (shown(&scene.detail(id).await), there(scene, id).await);
        if shown == there {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{id}: {shown:#?}, but there is {there:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Renames and updates the containers over and over, several at once; answers how many events that made. Not by pausing
/// and waking them: the engine hears of a pause twice, and one that it hears of late leaves it saying "paused" of a
/// container that runs.
async fn burst(scene: &Scene, containers: &[String]) -> usize {
    let rounds = EVENTS / 4 / containers.len();
    let each = stream::iter(containers).map(|container| async move {
        let docker = &scene.docker;
        let found = docker.inspect_container(container, None).await.unwrap();
        let name = found.name.unwrap().trim_start_matches('/').to_owned();
        for _ in 0..rounds {
            for name in [format!("{name}-other"), name.clone()] {
                docker.rename_container(container, RenameContainerOptions { name }).await.unwrap();
                docker.update_container(container, ContainerUpdateBody::default()).await.unwrap();
            }
        }
        rounds * 4
    });
    each.buffer_unordered(8).collect::<Vec<_>>().await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_replicas_are_seen_right_after_a_restart_and_after_a_burst_of_events() {
    let mut scene = Scene::new("crowd").await;
    scene.house.publish("p", "1", &compose()).await;
    let mut ids = Vec::new();
    for number in 0..DEPLOYMENTS {
        ids.push(scene.deploy(&format!("d{number:02}"), "1", json!({})).await);
    }
    let began = Instant::now();
    for id in &ids {
        assert_eq!(scene.house.ask(id).await, 1);
    }
    for id in &ids {
        scene.house.wait(id, 1).await;
    }
    println!("{} replicas were up after {:?}", DEPLOYMENTS * REPLICAS, began.elapsed());

    // What happens while nobody watches.
    scene.house.stop(false);
    let (stopped, removed) = (scene.running(&ids[3], "web").await, scene.running(&ids[4], "web").await);
    for container in &stopped[..3] {
        let options = StopContainerOptions { t: Some(0), ..Default::default() };
        scene.docker.stop_container(container, Some(options)).await.unwrap();
    }
    for container in &removed[..2] {
        let options = RemoveContainerOptions { force: true, ..Default::default() };
        scene.docker.remove_container(container, Some(options)).await.unwrap();
    }
    scene.house.start();
    let began = Instant::now();
    for (number, id) in ids.iter().enumerate() {
        let (health, ready) = match number {
            3 => ("UNHEALTHY", 7),
            4 => ("OUT_OF_SYNC", 8),
            _ => ("HEALTHY", 10),
        };
        let is = |found: &Value| found["status"]["health"] == health && found["status"]["ready"] == ready;
        let found = scene.until(id, &format!("{health} with {ready} ready"), is).await;
        assert_eq!(found["status"]["wanted"], 10);
    }
    println!("all of it was right {:?} after the restart", began.elapsed());
    for id in &ids {
        agree(&scene, id).await;
    }

    let containers = scene.running(&ids[0], "web").await;
    let began = Instant::now();
    let events = burst(&scene, &containers).await;
    println!("{events} events in {:?}", began.elapsed());
    assert_eq!(events, EVENTS);
    // The last word differs from the first.
    for container in &containers[..5] {
        scene.docker.pause_container(container).await.unwrap();
    }
    let began = Instant::now();
    let last = |found: &Value| found["status"]["health"] == "UNHEALTHY" && found["status"]["ready"] == 5;
    scene.until(&ids[0], "five that are paused", last).await;
    println!("the last event showed after {:?}", began.elapsed());
    agree(&scene, &ids[0]).await;
    assert_eq!(scene.detail(&ids[1]).await["status"]["health"], "HEALTHY");
}
