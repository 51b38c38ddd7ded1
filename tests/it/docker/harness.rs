//! A Docker engine for one test, its own client beside it, and its cleaning up.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bollard::models::{ContainerUpdateBody, NetworkDisconnectRequest};
use bollard::query_parameters::{
    ListContainersOptions, ListImagesOptions, ListNetworksOptions, ListVolumesOptions,
    RemoveContainerOptions, RemoveImageOptions, RemoveVolumeOptions, StopContainerOptions,
};
use slipway::domain::clock::SystemClock;
use slipway::domain::infrastructure::EngineConnection;
use slipway::engine::docker::DockerEngine;
use slipway::engine::{Engine, SlotState, label};

use crate::conformance::{Harness, Tamper};

/// One instance on the lab's engine.
pub struct Docker {
    pub instance: String,
    engine: Arc<DockerEngine>,
}

impl Docker {
    pub fn new() -> Self {
        Self::named(&uuid::Uuid::new_v4().simple().to_string())
    }

    pub fn named(instance: &str) -> Self {
        let connection = EngineConnection::Docker {
            host: "unix:///var/run/docker.sock".into(),
            publish_address: std::net::Ipv4Addr::LOCALHOST.into(),
            network_pool: "10.202.0.0/16".into(),
        };
        let engine = DockerEngine::connect(&connection, instance, Arc::new(SystemClock)).unwrap();
        Self { instance: instance.to_owned(), engine: Arc::new(engine) }
    }

    /// A client that is not Slipway's.
    pub fn by_hand() -> bollard::Docker {
        bollard::Docker::connect_with_unix_defaults().unwrap()
    }
}

#[async_trait]
impl Harness for Docker {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine) as Arc<dyn Engine>
    }

    async fn tamper(&self, slot: &SlotState, how: Tamper) {
        let docker = Self::by_hand().negotiate_version().await.unwrap();
        let id = &slot.engine_id;
        match how {
            Tamper::Stop => {
                let options = StopContainerOptions { t: Some(1), ..Default::default() };
                docker.stop_container(id, Some(options)).await.unwrap();
            }
            Tamper::Remove => {
                let options = RemoveContainerOptions { force: true, ..Default::default() };
                docker.remove_container(id, Some(options)).await.unwrap();
            }
            Tamper::Limits => {
                let update = ContainerUpdateBody {
                    memory: Some(128 << 20),
                    memory_swap: Some(128 << 20),
                    ..Default::default()
                };
                docker.update_container(id, update).await.unwrap();
            }
            Tamper::Detach => {
                let container = docker.inspect_container(id, None).await.unwrap();
                let networks = container.network_settings.unwrap().networks.unwrap();
                for network in networks.keys() {
                    let request = NetworkDisconnectRequest { container: id.clone(), force: None };
                    docker.disconnect_network(network, request).await.unwrap();
                }
            }
            Tamper::Pause => docker.pause_container(id).await.unwrap(),
            Tamper::Unpause => docker.unpause_container(id).await.unwrap(),
        }
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let instance = self.instance.clone();
        let short: String = instance.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        aside(async move {
            remove_all(&Self::by_hand(), (label::INSTANCE, &instance), &format!("slipway/{short}/*")).await;
        });
    }
}

/// Runs to its end on a thread and a runtime of its own: also after a panic, when the test's is going down.
pub fn aside(work: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work);
    });
    let done = thread.join();
    assert!(done.is_ok() || std::thread::panicking(), "cleaning up failed");
}

/// The volumes of one container, by their names. Others of the engine are their own tests' affair.
pub async fn volumes_of(container: &str) -> Vec<String> {
    let inspected = Docker::by_hand().inspect_container(container, None).await.unwrap();
    inspected.mounts.unwrap_or_default().into_iter().filter_map(|mount| mount.name).collect()
}

/// Removes everything that bears a label, and the tags of `images`.
pub async fn remove_all(docker: &bollard::Docker, (key, value): (&str, &str), images: &str) {
    let filters = Some(HashMap::from([("label".to_owned(), vec![format!("{key}={value}")])]));
    let options = ListContainersOptions { all: true, filters: filters.clone(), ..Default::default() };
    for container in docker.list_containers(Some(options)).await.unwrap() {
        let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
        let _ = docker.remove_container(&container.id.unwrap(), Some(options)).await;
    }
    let options = ListNetworksOptions { filters: filters.clone() };
    for network in docker.list_networks(Some(options)).await.unwrap() {
        let id = network.id.unwrap();
        // The endpoint of a container that was just removed may outlive it by a moment.
        for _ in 0..50 {
            if docker.remove_network(&id).await.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    let options = ListVolumesOptions { filters };
    for volume in docker.list_volumes(Some(options)).await.unwrap().volumes.unwrap_or_default() {
        let _ = docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await;
    }
    let ours = HashMap::from([("reference".to_owned(), vec![images.to_owned()])]);
    let options = ListImagesOptions { filters: Some(ours), ..Default::default() };
    for image in docker.list_images(Some(options)).await.unwrap() {
        for tag in image.repo_tags.iter().filter(|tag| tag.starts_with("slipway/")) {
            let _ = docker.remove_image(tag, None::<RemoveImageOptions>, None).await;
        }
    }
}
