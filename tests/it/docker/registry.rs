//! A registry that asks who one is: `tests/lab/lab registry`. Pulls with credentials, tags that move, and going back
//! to what a tag meant before.

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::models::{ContainerConfig, ContainerCreateBody};
use bollard::query_parameters::{
    CommitContainerOptions, CreateContainerOptions, ListImagesOptions, PushImageOptions,
    RemoveContainerOptions, RemoveImageOptions, TagImageOptions,
};
use futures_util::TryStreamExt as _;
use reqwest::Method;
use serde_json::json;

use super::harness::aside;
use super::scene::Scene;
use crate::harness::process::House;

const HOST: &str = "127.0.0.1:5000";

/// A repository of the test's own.
struct Repository {
    docker: Docker,
    name: String,
}

impl Repository {
    fn new(docker: &Docker) -> Self {
        Self { docker: docker.clone(), name: format!("{HOST}/slwtest-{}/api", std::process::id()) }
    }

    fn named(&self, tag: &str) -> String {
        format!("{}:{tag}", self.name)
    }

    /// Pushes an image that differs from every other and forgets it here; answers its id.
    async fn push(&self, tag: &str, content: &str) -> String {
        let body = ContainerCreateBody { image: Some("busybox:lab".into()), ..Default::default() };
        let made = self.docker.create_container(None::<CreateContainerOptions>, body).await.unwrap();
        let options = CommitContainerOptions {
            container: Some(made.id.clone()),
            repo: Some(self.name.clone()),
            tag: Some(tag.to_owned()),
            ..Default::default()
        };
        let config = ContainerConfig { env: Some(vec![format!("CONTENT={content}")]), ..Default::default() };
        let id = self.docker.commit_container(options, config).await.unwrap().id;
        let options = RemoveContainerOptions { force: true, ..Default::default() };
        self.docker.remove_container(&made.id, Some(options)).await.unwrap();
        let who = DockerCredentials {
            username: Some("lab".into()),
            password: Some("lab-secret".into()),
            serveraddress: Some(HOST.into()),
            ..Default::default()
        };
        let options = PushImageOptions { tag: Some(tag.to_owned()), ..Default::default() };
        let told: Vec<_> =
            self.docker.push_image(&self.name, Some(options), Some(who)).try_collect().await.unwrap();
        assert!(!told.is_empty());
        self.forget(&id).await;
        id
    }

    /// Removes an image with all its names, ours included.
    async fn forget(&self, id: &str) {
        let options = RemoveImageOptions { force: true, ..Default::default() };
        self.docker.remove_image(id, Some(options), None).await.unwrap();
    }

    async fn has(&self, id: &str) -> bool {
        self.docker.inspect_image(id).await.is_ok()
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        let (docker, prefix) = (self.docker.clone(), self.name.clone());
        aside(async move {
            for image in docker.list_images(None::<ListImagesOptions>).await.unwrap() {
                let digests = image.repo_digests.iter().chain(&image.repo_tags);
                if digests.into_iter().any(|name| name.starts_with(&prefix)) {
                    let options = RemoveImageOptions { force: true, ..Default::default() };
                    let _ = docker.remove_image(&image.id, Some(options), None).await;
                }
            }
        });
    }
}

fn credentials(password: &str) -> String {
    format!("[registry.\"{HOST}\"]\nusername = \"lab\"\npassword = \"{password}\"\n")
}

fn compose(image: &str) -> String {
    format!("services:\n  web: {{image: '{image}', command: sleep 100000, stop_grace_period: 0s}}\n")
}

/// The image that the deployment runs from.
async fn image(scene: &Scene, id: &str) -> String {
    let deployment = scene.health(id, "HEALTHY").await;
    deployment["status"]["slots"][0]["imageId"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn images_come_from_a_registry_with_credentials_and_stay_what_they_were_when_one_goes_back() {
    slipway::tls::install();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.toml"), credentials("lab-secret")).unwrap();
    let mut scene = Scene::with(House::at(dir.path()).await, super::Docker::by_hand(), "registry");
    let repository = Repository::new(&scene.docker);
    let first = repository.push("stable", "first").await;
    scene.house.publish("p", "1", &compose(&repository.named("stable"))).await;
    let id = scene.up("api", "1", json!({})).await;
    assert_eq!(image(&scene, &id).await, first, "pulled with credentials");

    // Somebody else pushes: here the tag still means the first.
    let second = repository.push("stable", "second").await;
    let tag = TagImageOptions { repo: Some(repository.name.clone()), tag: Some("stable".into()) };
    scene.docker.tag_image(&first, Some(tag)).await.unwrap();
    scene.house.update(&id).await;
    assert_eq!(image(&scene, &id).await, second, "a new update asks what the tag means now");

    // Going back needs the first, which is gone here: it comes by its digest, whatever the tag means.
    repository.forget(&first).await;
    assert!(!repository.has(&first).await);
    let back = json!({ "to": 1, "reason": "the second is slow" });
    let update = scene.house.call(Method::POST, &format!("/deployments/{id}/rollback"), Some(back)).await;
    scene.house.wait(&id, update["number"].as_u64().unwrap()).await;
    assert_eq!(image(&scene, &id).await, first);

    refused(&mut scene, &repository, dir.path(), &id, &first).await;
}

/// With a wrong password: an image that is not there can't be had, which is said; one that is there still runs.
async fn refused(scene: &mut Scene, repository: &Repository, dir: &std::path::Path, id: &str, serves: &str) {
    repository.push("next", "third").await;
    scene.house.publish("p", "2", &compose(&repository.named("next"))).await;
    scene.house.stop(true);
    std::fs::write(dir.join("config.toml"), credentials("wrong-secret")).unwrap();
    scene.house.start();
    scene.house.choose(id, "2").await;
    let before = scene.running(id, "web").await;
    let number = scene.house.ask(id).await;
    let update = scene.house.ended(id, number).await;
    let failure = &update["status"]["failure"];
    assert_eq!(
        (&update["status"]["state"], &failure["code"]),
        (&json!("failed"), &json!("image_denied")),
        "{update}"
    );
    let said = format!("{failure}");
    assert!(said.contains(HOST) && said.contains("credentials"), "{said}");
    assert!(!said.contains("wrong-secret"), "{said}");
    assert!(failure["serving"].as_str().unwrap().contains("goes on serving"), "{said}");
    assert_eq!(scene.running(id, "web").await, before);
    let detail = scene.detail(id).await;
    assert_eq!(detail["status"]["slots"][0]["imageId"], serves);

    scene.house.choose(id, "1").await;
    scene.house.update(id).await;
    let path = format!("/deployments/{id}/updates/{}/log", number + 1);
    let log = scene.house.call(Method::GET, &path, None).await.to_string();
    assert!(log.contains("Going on with"), "what is there runs, and it is told that nobody could ask: {log}");
}
