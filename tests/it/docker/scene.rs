//! A real Slipway, somebody else's client beside it, and deployments that are gone when the test is over, however it
//! ends.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptions, ListNetworksOptions, ListVolumesOptions};
use reqwest::Method;
use serde_json::{Value, json};
use slipway::engine::label;

use super::harness::{aside, remove_all};
use crate::harness::process::House;

/// How long a test waits for what must happen, unless it says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One Slipway and one engine.
pub struct Scene {
    pub house: House,
    /// Not Slipway's client.
    pub docker: Docker,
    prefix: String,
    /// Where deployments are made.
    pub infrastructure: String,
    pub made: Vec<String>,
}

impl Scene {
    /// On the lab's engine; `what` makes names that are the test's own.
    pub async fn new(what: &str) -> Self {
        Self::with(House::fresh().await, super::Docker::by_hand(), what)
    }

    pub fn with(house: House, docker: Docker, what: &str) -> Self {
        let prefix = format!("slwtest-{what}-{}", std::process::id());
        Self { house, docker, prefix, infrastructure: "local".to_owned(), made: Vec::new() }
    }

    /// A name of the test's own.
    pub fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix)
    }

    /// Makes a deployment of a bundle of the project `p`; `more` is added to its settings.
    pub async fn deploy(&mut self, what: &str, version: &str, more: Value) -> String {
        let id = self.name(what);
        let mut spec = json!({ "project": "p", "bundle": version, "infrastructure": self.infrastructure });
        spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.made.push(id.clone());
        self.house.call(Method::POST, "/deployments", Some(json!({ "name": id, "spec": spec }))).await;
        id
    }

    /// The same, updated until it runs.
    pub async fn up(&mut self, what: &str, version: &str, more: Value) -> String {
        let id = self.deploy(what, version, more).await;
        self.house.update(&id).await;
        self.health(&id, "HEALTHY").await;
        id
    }

    pub async fn detail(&self, id: &str) -> Value {
        self.house.call(Method::GET, &format!("/deployments/{id}"), None).await
    }

    /// Waits until the API shows this health.
    pub async fn health(&self, id: &str, wanted: &str) -> Value {
        self.until(id, wanted, |deployment| deployment["status"]["health"] == wanted).await
    }

    /// Waits until the API shows what is looked for.
    pub async fn until(&self, id: &str, what: &str, found: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let deployment = self.detail(id).await;
            if found(&deployment) {
                return deployment;
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain for {what}: {deployment:#}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The deployment's containers, running or not.
    pub async fn containers(&self, id: &str) -> Vec<ContainerSummary> {
        let options =
            ListContainersOptions { all: true, filters: Some(of_workload(id)), ..Default::default() };
        self.docker.list_containers(Some(options)).await.unwrap()
    }

    /// Ids of the containers of one service that run, in a stable order.
    pub async fn running(&self, id: &str, service: &str) -> Vec<String> {
        let all = self.containers(id).await.into_iter();
        let mut ids: Vec<String> = all
            .filter(|one| {
                let labels = one.labels.clone().unwrap_or_default();
                labels.get(label::SERVICE).map(String::as_str) == Some(service)
                    && one.state.is_some_and(|state| state.to_string() == "running")
            })
            .filter_map(|one| one.id)
            .collect();
        ids.sort();
        ids
    }

    /// Names of the deployment's networks.
    pub async fn networks(&self, id: &str) -> Vec<String> {
        let options = ListNetworksOptions { filters: Some(of_workload(id)) };
        let all = self.docker.list_networks(Some(options)).await.unwrap();
        all.into_iter().filter_map(|one| one.name).collect()
    }

    /// Names of the deployment's volumes.
    pub async fn volumes(&self, id: &str) -> Vec<String> {
        let options = ListVolumesOptions { filters: Some(of_workload(id)) };
        let all = self.docker.list_volumes(Some(options)).await.unwrap().volumes.unwrap_or_default();
        all.into_iter().map(|one| one.name).collect()
    }
}

fn of_workload(id: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{}={id}", label::WORKLOAD)])])
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.house.stop(!std::thread::panicking());
        let (docker, made) = (self.docker.clone(), std::mem::take(&mut self.made));
        aside(async move {
            for id in made {
                remove_all(&docker, (label::WORKLOAD, &id), &format!("slipway/*/{id}")).await;
            }
        });
    }
}
