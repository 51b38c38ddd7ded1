//! An engine that is stopped, and one that falls silent, in the middle of an update and under a watch: it is told in
//! words, the update goes on and succeeds, the watch resumes, and nothing of anybody else is touched.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, HostConfig, NetworkCreateRequest, RestartPolicy, RestartPolicyNameEnum,
    VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptions, ListContainersOptions, ListNetworksOptions, ListVolumesOptions,
    StartContainerOptions, StopContainerOptions,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::scene::Scene;
use super::second::Second;
use crate::harness::process::House;

/// Healthy with the second check, so that an update takes a few seconds.
fn compose(version: &str) -> String {
    format!(
        "services:
  web:
    image: busybox:lab
    command: sleep 100000
    environment: {{VERSION: \"{version}\"}}
    restart: always
    stop_grace_period: 0s
    healthcheck: {{test: [\"CMD\", \"true\"], interval: 3s, timeout: 2s, retries: 10}}
  data: {{image: 'busybox:lab', command: sleep 100000, restart: always, stop_grace_period: 0s, volumes: ['kept:/kept']}}
volumes: {{kept: {{}}}}
"
    )
}

async fn foreign(docker: &Docker) -> BTreeSet<String> {
    for number in 0..3 {
        let always = RestartPolicy { name: Some(RestartPolicyNameEnum::ALWAYS), ..Default::default() };
        let body = ContainerCreateBody {
            image: Some("busybox:lab".into()),
            cmd: Some(vec!["sleep".into(), "100000".into()]),
            host_config: Some(HostConfig {
                restart_policy: Some(always),
                network_mode: Some("none".into()),
                init: Some(true),
                ..Default::default()
            }),
            ..Default::default()
        };
        let options =
            CreateContainerOptions { name: Some(format!("foreign-{number}")), ..Default::default() };
        let made = docker.create_container(Some(options), body).await.unwrap();
        if number > 0 {
            docker.start_container(&made.id, None::<StartContainerOptions>).await.unwrap();
        }
    }
    let subnet = bollard::models::IpamConfig { subnet: Some("10.205.255.0/28".into()), ..Default::default() };
    let ipam = bollard::models::Ipam { config: Some(vec![subnet]), ..Default::default() };
    let request = NetworkCreateRequest { name: "foreign".into(), ipam: Some(ipam), ..Default::default() };
    docker.create_network(request).await.unwrap();
    let request = VolumeCreateRequest { name: Some("foreign".into()), ..Default::default() };
    docker.create_volume(request).await.unwrap();
    theirs(docker).await
}

/// Everything that is not Slipway's: containers with their states, networks, volumes.
async fn theirs(docker: &Docker) -> BTreeSet<String> {
    let options = ListContainersOptions { all: true, ..Default::default() };
    let containers = docker.list_containers(Some(options)).await.unwrap().into_iter();
    let containers = containers.map(|one| {
        let state = one.state.map(|state| state.to_string()).unwrap_or_default();
        format!("{:?} {:?} {state}", one.names.unwrap_or_default(), one.id)
    });
    let networks = docker.list_networks(None::<ListNetworksOptions>).await.unwrap().into_iter();
    let networks = networks.map(|one| format!("{:?} {:?}", one.name, one.id));
    let volumes = docker.list_volumes(None::<ListVolumesOptions>).await.unwrap().volumes.unwrap_or_default();
    let volumes = volumes.into_iter().map(|one| one.name);
    let all = containers.chain(networks).chain(volumes);
    all.filter(|one| one.contains("foreign")).collect()
}

async fn infrastructure(scene: &Scene, reachable: bool) -> Value {
    let began = Instant::now();
    loop {
        let found = scene.house.call(Method::GET, "/infrastructures/second", None).await;
        if found["status"]["reachable"] == reachable {
            println!("reachable: {reachable} after {:?}", began.elapsed());
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "not reachable: {reachable}: {found:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What comes back after the engine does: the update under way, the health, the watch.
async fn recovered(scene: &Scene, id: &str, number: u64, before: &BTreeSet<String>) {
    infrastructure(scene, true).await;
    scene.house.wait(id, number).await;
    let deployment = scene.health(id, "HEALTHY").await;
    assert_eq!(deployment["status"]["runningUpdate"], number);
    assert_eq!(scene.containers(id).await.len(), 2, "nothing lost, nothing doubled");
    assert_eq!(&theirs(&scene.docker).await, before);
    // The watch hears again: by an event, long before the next list.
    let container = scene.running(id, "data").await.remove(0);
    let options = StopContainerOptions { t: Some(0), ..Default::default() };
    scene.docker.stop_container(&container, Some(options)).await.unwrap();
    let began = Instant::now();
    scene.health(id, "UNHEALTHY").await;
    assert!(began.elapsed() < Duration::from_secs(10), "shown after {:?}", began.elapsed());
    scene.docker.start_container(&container, None::<StartContainerOptions>).await.unwrap();
    scene.health(id, "HEALTHY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_restarted_or_silent_in_the_middle_of_an_update_loses_nothing() {
    let mut second = Second::new().await;
    let mut scene = Scene::with(House::fresh().await, second.docker(), "away");
    let engine = json!({ "kind": "docker", "host": second.host(), "networkPool": "10.205.0.0/20" });
    let body = json!({ "name": "second", "spec": { "stage": "dev", "engine": engine } });
    scene.house.call(Method::POST, "/infrastructures", Some(body)).await;
    scene.infrastructure = "second".to_owned();
    for version in ["1", "2", "3"] {
        scene.house.publish("p", version, &compose(version)).await;
    }
    let id = scene.up("app", "1", json!({})).await;
    let before = foreign(&scene.docker).await;
    assert_eq!(before.len(), 5, "{before:?}");

    // Restarted while the new replica gets healthy.
    scene.house.choose(&id, "2").await;
    let number = scene.house.ask(&id).await;
    scene
        .until(&id, "a second replica", |found| found["status"]["slots"].as_array().unwrap().len() > 2)
        .await;
    second.stop();
    let told = infrastructure(&scene, false).await;
    let words = told["status"]["message"].as_str().unwrap();
    assert!(words.contains("engine.sock"), "{words}");
    scene.health(&id, "UNKNOWN").await;
    second.start().await;
    recovered(&scene, &id, number, &before).await;

    // Silent while the new replica gets healthy: it neither answers nor hangs up.
    scene.house.choose(&id, "3").await;
    let number = scene.house.ask(&id).await;
    scene
        .until(&id, "a second replica", |found| found["status"]["slots"].as_array().unwrap().len() > 2)
        .await;
    second.freeze();
    let told = infrastructure(&scene, false).await;
    let words = told["status"]["message"].as_str().unwrap();
    assert!(words.contains("did not answer") || words.contains("does not answer"), "{words}");
    let update = scene.house.call(Method::GET, &format!("/deployments/{id}/updates/{number}"), None).await;
    assert_eq!(update["status"]["state"], "running", "it waits: {update}");
    second.thaw();
    recovered(&scene, &id, number, &before).await;
}
