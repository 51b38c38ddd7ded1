//! What somebody changes by hand on the engine: it shows in the API by the engine's event, and is put right where the
//! deployment asks for that, and only there.

use std::time::{Duration, Instant};

use bollard::models::{ContainerUpdateBody, NetworkDisconnectRequest};
use bollard::query_parameters::{RemoveContainerOptions, RenameContainerOptions, StopContainerOptions};
use reqwest::Method;
use serde_json::{Value, json};

use super::scene::Scene;

const COMPOSE: &str = "services:
  web: {image: 'busybox:lab', command: sleep 100000, stop_grace_period: 0s, deploy: {replicas: 2}}
";

/// A hand on one container, and what the API shows of it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Hand {
    Stops,
    Removes,
    Limits,
    Renames,
    Disconnects,
    Pauses,
}

const HANDS: [Hand; 6] =
    [Hand::Stops, Hand::Removes, Hand::Limits, Hand::Renames, Hand::Disconnects, Hand::Pauses];

impl Hand {
    /// Health and a word of the message.
    fn shows(self) -> (&'static str, &'static str) {
        match self {
            Self::Stops => ("UNHEALTHY", "stopped"),
            Self::Removes => ("OUT_OF_SYNC", "removed"),
            Self::Limits => ("OUT_OF_SYNC", "memory limit"),
            Self::Renames => ("OUT_OF_SYNC", "renamed"),
            Self::Disconnects => ("OUT_OF_SYNC", "taken off the network"),
            Self::Pauses => ("UNHEALTHY", "paused"),
        }
    }

    async fn lay_on(self, scene: &Scene, deployment: &str) {
        let (docker, id) = (&scene.docker, &scene.running(deployment, "web").await[0]);
        match self {
            Self::Stops => {
                let options = StopContainerOptions { t: Some(0), ..Default::default() };
                docker.stop_container(id, Some(options)).await.unwrap();
            }
            Self::Removes => {
                let options = RemoveContainerOptions { force: true, ..Default::default() };
                docker.remove_container(id, Some(options)).await.unwrap();
            }
            Self::Limits => {
                let bytes = Some(96 << 20);
                let body = ContainerUpdateBody { memory: bytes, memory_swap: bytes, ..Default::default() };
                docker.update_container(id, body).await.unwrap();
            }
            Self::Renames => {
                let options = RenameContainerOptions { name: format!("{deployment}-by-hand") };
                docker.rename_container(id, options).await.unwrap();
            }
            Self::Disconnects => {
                let network = scene.networks(deployment).await.remove(0);
                let request = NetworkDisconnectRequest { container: id.clone(), force: None };
                docker.disconnect_network(&network, request).await.unwrap();
            }
            Self::Pauses => docker.pause_container(id).await.unwrap(),
        }
    }
}

/// Lays a hand on, answers how long it took the API to show that.
async fn shown(scene: &Scene, deployment: &str, hand: Hand) -> Duration {
    hand.lay_on(scene, deployment).await;
    let (began, (health, word)) = (Instant::now(), hand.shows());
    scene
        .until(deployment, &format!("{hand:?} to show"), |found| {
            let status = &found["status"];
            status["health"] == health && status["messages"].to_string().contains(word)
        })
        .await;
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_hand_shows_by_event_and_is_left_alone_where_nobody_asked_for_repairs() {
    let mut scene = Scene::new("drift").await;
    scene.house.publish("p", "1", COMPOSE).await;
    let id = scene.up("watched", "1", json!({})).await;
    for (number, hand) in (1..).zip(HANDS) {
        let untouched = scene.running(&id, "web").await.pop().unwrap();
        let took = shown(&scene, &id, hand).await;
        println!("{hand:?} showed after {took:?}");
        assert!(took < Duration::from_secs(10), "{hand:?} showed after {took:?}");
        // Twice as long as a repair waits before it is queued.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = scene.detail(&id).await;
        assert_eq!(found["status"]["lastUpdate"], number, "{hand:?}: nobody asked for a repair");
        assert_eq!(found["status"]["health"], hand.shows().0, "{hand:?} still shows");

        scene.house.update(&id).await;
        scene.health(&id, "HEALTHY").await;
        let after = scene.running(&id, "web").await;
        assert_eq!(after.len(), 2, "{hand:?}: an update puts it right");
        assert!(after.contains(&untouched), "{hand:?}: the other replica was not touched");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_hand_is_repaired_where_the_deployment_asks_for_it() {
    let mut scene = Scene::new("repair").await;
    scene.house.publish("p", "1", COMPOSE).await;
    // One deployment for each: the second repair of one and the same waits longer.
    for hand in HANDS {
        let what = format!("{hand:?}").to_lowercase();
        let id = scene.up(&what, "1", json!({ "autoRepair": true })).await;
        let untouched = scene.running(&id, "web").await.pop().unwrap();
        let began = Instant::now();
        hand.lay_on(&scene, &id).await;
        scene.until(&id, "a repair", |found| found["status"]["lastUpdate"] == 2).await;
        let repair = scene.house.wait(&id, 2).await;
        scene.health(&id, "HEALTHY").await;
        println!("{hand:?} was repaired after {:?}", began.elapsed());
        assert_eq!(repair["spec"]["kind"], "repair", "{repair}");
        let after = scene.running(&id, "web").await;
        assert_eq!(after.len(), 2, "{hand:?}");
        assert!(after.contains(&untouched), "{hand:?}: the other replica was not touched");
        assert_eq!(scene.containers(&id).await.len(), 2, "{hand:?}: nothing is left over");

        let entries = scene.house.call(Method::GET, &format!("/journal?deployment={id}"), None).await;
        let words = |entry: &Value| (entry["action"].clone(), entry["actor"].clone());
        let told: Vec<_> = entries.as_array().unwrap().iter().take(2).map(words).collect();
        assert_eq!(
            told,
            [(json!("update.succeeded"), json!("slipway")), (json!("update.requested"), json!("slipway"))]
        );
    }
}
