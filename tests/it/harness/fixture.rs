//! A team at work: the project `iris` with two bundles, the infrastructure `local` on the fake engine, reconcilers that
//! run, and three kinds of callers.

use std::io::Write as _;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use slipway::domain::access::{InfrastructureRight, ProjectRight};
use slipway::reconcile;

use super::{Answer, Client, TestApp, groups};

/// The compose file of version 1.0 and, with one more variable, of 1.1.
pub const COMPOSE: &str = "name: iris\nservices:\n  api:\n    image: python:3.11-slim\n    environment:\n      LOG_LEVEL: info\n    ports: [\"8000\"]\n  cache:\n    image: redis:7\n";

/// A zip with these files.
pub fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Sends an archive as a request's whole body.
pub async fn publish(client: &Client, query: &str, bytes: Vec<u8>) -> Answer {
    let request = client
        .request(Method::POST, &format!("/api/v1/bundles{query}"))
        .header("content-type", "application/zip")
        .body(bytes);
    client.send(request).await
}

/// The team and its instance.
pub struct Team {
    pub it: TestApp,
    /// Of `admins`.
    pub admin: Client,
    /// Of `ml`, with `deploy` on project and infrastructure.
    pub deployer: Client,
    /// Of `readers`, with `view` on both.
    pub viewer: Client,
    /// Of `strangers`, with nothing.
    pub stranger: Client,
    _reconcilers: reconcile::Handle,
}

impl Team {
    /// Everything in place; nothing is deployed.
    pub async fn start() -> Self {
        Self::on(TestApp::builder().start().await).await
    }

    /// The same with a deployment that runs and is healthy.
    pub async fn running() -> Self {
        let team = Self::start().await;
        team.deployment(json!({})).await;
        team.update().await;
        team.healthy("HEALTHY").await;
        team
    }

    /// The same on an instance that the test made.
    pub async fn on(it: TestApp) -> Self {
        let app = &it.instance.app;
        let settings = reconcile::Settings {
            settle: Duration::from_millis(1),
            probe_every: Duration::from_millis(50),
            admin_groups: groups(&["admins"]),
            ..reconcile::Settings::default()
        };
        let reconcilers = reconcile::start(reconcile::Dependencies {
            store: app.store.clone(),
            clock: app.clock.clone(),
            engines: app.engines.clone(),
            blobs: app.blobs.clone(),
            keys: app.keys.clone(),
            settings,
        });
        let team = Self {
            admin: it.admin().await,
            deployer: it.key(&["ml"]).await,
            viewer: it.key(&["readers"]).await,
            stranger: it.key(&["strangers"]).await,
            _reconcilers: reconcilers,
            it,
        };
        publish(&team.admin, "?version=1.0", archive(&[("compose.yaml", COMPOSE)])).await.expect(200);
        let newer = COMPOSE.replace("LOG_LEVEL: info", "LOG_LEVEL: debug");
        publish(&team.admin, "?version=1.1", archive(&[("compose.yaml", &newer)])).await.expect(200);
        team.it.grant_project("iris", "ml", ProjectRight::Deploy).await;
        team.it.grant_project("iris", "readers", ProjectRight::View).await;
        team.it.grant_infrastructure("local", "ml", InfrastructureRight::Deploy).await;
        team.it.grant_infrastructure("local", "readers", InfrastructureRight::View).await;
        team
    }

    /// Makes the deployment `iris-on-local` of 1.0, with this much more in its `spec`.
    pub async fn deployment(&self, more: Value) -> Value {
        let mut spec = json!({ "project": "iris", "bundle": "1.0", "infrastructure": "local" });
        let more = more.as_object().cloned().unwrap_or_default();
        spec.as_object_mut().unwrap().extend(more);
        let body = json!({ "name": "iris-on-local", "spec": spec });
        self.deployer.post("/api/v1/deployments", &body).await.expect(200).json()
    }

    /// Updates `iris-on-local` and waits for the update's end; answers the update.
    pub async fn update(&self) -> Value {
        let path = "/api/v1/deployments/iris-on-local/updates";
        let number = self.deployer.post(path, &json!({})).await.expect(200).json()["number"].clone();
        self.ended(&format!("{path}/{number}")).await
    }

    /// Waits for an update's end.
    pub async fn ended(&self, path: &str) -> Value {
        for _ in 0..400 {
            let update = self.deployer.get(path).await.expect(200).json();
            if update["status"]["endedAt"].is_string() {
                return update;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{path} did not end");
    }

    /// Waits until a deployment's health is so; answers the deployment.
    pub async fn healthy(&self, health: &str) -> Value {
        let mut last = Value::Null;
        for _ in 0..400 {
            last = self.deployer.get("/api/v1/deployments/iris-on-local").await.expect(200).json();
            if last["status"]["health"] == health {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("it stayed {}", last["status"]);
    }
}
