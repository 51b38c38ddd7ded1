//! A right that is taken away while an update runs on a real engine: from the answer on, the engine hears nothing more in
//! its name, and what the update had made is undone.

use std::time::{Duration, Instant};

use bollard::query_parameters::ListContainersOptionsBuilder;
use reqwest::Method;
use serde_json::{Value, json};

use super::Docker;
use crate::harness::archive;
use crate::harness::process::House;

/// `api` takes two seconds to get healthy, and `web` waits for it; version 2 is built, slowly.
fn compose(version: u32) -> String {
    format!(
        "services:
  api:
    build: .
    command: [\"sh\", \"-c\", \"sleep 2; touch /tmp/up; sleep 600\"]
    environment: {{V: \"{version}\"}}
    stop_grace_period: 0s
    healthcheck: {{test: [\"CMD\", \"test\", \"-e\", \"/tmp/up\"], interval: 1s, retries: 30}}
  web:
    image: busybox:lab
    command: sleep 600
    environment: {{V: \"{version}\"}}
    stop_grace_period: 0s
    depends_on: {{api: {{condition: service_healthy}}}}
"
    )
}

/// A house with a deployment that runs version 1, and a key of the group `team`, which may deploy.
struct Scene {
    house: House,
    id: String,
    key: Value,
}

impl Scene {
    async fn set(name: &str) -> Self {
        let house = House::fresh().await;
        let id = format!("revoke-{name}-{}", std::process::id());
        for version in [1, 2] {
            let docker = format!("FROM busybox:lab\nRUN sleep {} && echo {id}{version}\n", (version - 1) * 3);
            let files = [("compose.yaml", compose(version)), ("Dockerfile", docker)];
            let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
            house.upload(archive(&files), &format!("?project=revoke&version={version}")).await;
        }
        let grant = Some(json!({ "right": "deploy" }));
        house.call(Method::PUT, "/projects/revoke/grants/team", grant.clone()).await;
        house.call(Method::PUT, "/infrastructures/local/grants/team", grant).await;
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_slipway"));
        command.args(["admin", "create-api-key", "--name", "team", "--group", "team", "--data-dir"]);
        let made = command.arg(&house.dir).output().unwrap();
        let secret = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let keys = house.call(Method::GET, "/api-keys?all=true", None).await;
        let mut key = keys.as_array().unwrap().iter().find(|key| key["name"] == "team").unwrap().clone();
        key["secret"] = json!(secret);
        house.deploy(&id, "revoke", "1").await;
        house.update(&id).await;
        house.choose(&id, "2").await;
        Self { house, id, key }
    }

    /// The team asks for the update to version 2.
    async fn ask(&self) -> u64 {
        let url = format!("http://{}/api/v1/deployments/{}/updates", self.house.address, self.id);
        let key = self.key["secret"].as_str().unwrap();
        let answer = reqwest::Client::new().post(url).bearer_auth(key).json(&json!({})).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["number"].as_u64().unwrap()
    }

    /// Service and update of every container of the deployment.
    async fn containers(&self) -> Vec<(String, String)> {
        let filters = [("label".to_owned(), vec![format!("io.slipway.workload={}", self.id)])];
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters.into()).build();
        let found = Docker::by_hand().list_containers(Some(options)).await.unwrap();
        let mut all: Vec<_> = found
            .into_iter()
            .filter_map(|one| one.labels)
            // A container that the engine builds in bears the workload's label alone.
            .filter_map(|labels| {
                Some((labels.get("io.slipway.service")?.clone(), labels.get("io.slipway.revision")?.clone()))
            })
            .collect();
        all.sort();
        all
    }

    async fn until(&self, what: &str, is: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !is().await {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what} never came");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the end; says which containers were ever there meanwhile.
    async fn watched(&self, number: u64) -> Vec<(String, String)> {
        let path = format!("/deployments/{}/updates/{number}", self.id);
        let mut ever = self.containers().await;
        loop {
            let update = self.house.call(Method::GET, &path, None).await;
            ever.extend(self.containers().await);
            if update["status"]["endedAt"].is_string() {
                assert_eq!(update["status"]["state"], "failed", "{update}");
                assert!(update.to_string().contains("rights_revoked"), "{update}");
                ever.sort();
                ever.dedup();
                return ever;
            }
        }
    }

    fn was(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(service, revision)| ((*service).to_owned(), (*revision).to_owned())).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_taken_away_while_an_image_is_built_starts_nothing() {
    let scene = Scene::set("build").await;
    let number = scene.ask().await;
    let log = format!("/deployments/{}/updates/{number}", scene.id);
    scene
        .until("the build", async || {
            let update = scene.house.call(Method::GET, &log, None).await;
            update["status"]["state"] == "running"
        })
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    scene.house.call(Method::DELETE, "/projects/revoke/grants/team", None).await;
    let ever = scene.watched(number).await;
    assert_eq!(ever, Scene::was(&[("api", "1"), ("web", "1")]), "nothing of version 2 was ever made");
    scene.house.remove(&scene.id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_revoked_while_the_first_service_gets_healthy_starts_no_second() {
    let scene = Scene::set("start").await;
    let number = scene.ask().await;
    let fresh = ("api".to_owned(), number.to_string());
    scene.until("api of version 2", async || scene.containers().await.contains(&fresh)).await;
    let path = format!("/api-keys/{}", scene.key["uuid"].as_str().unwrap());
    scene.house.call(Method::DELETE, &path, None).await;
    let ever = scene.watched(number).await;
    assert!(!ever.contains(&("web".to_owned(), number.to_string())), "{ever:?}");
    let left = scene.containers().await;
    assert_eq!(
        left,
        Scene::was(&[("api", "1"), ("web", "1")]),
        "what it had made is gone, the old serves on"
    );
    scene.house.remove(&scene.id).await;
}
