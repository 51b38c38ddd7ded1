//! renga-deployer's API of a real Slipway, as its clients see it.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::process::House;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(90);

/// A client of it.
pub struct Renga<'a> {
    house: &'a House,
    client: reqwest::Client,
}

impl<'a> Renga<'a> {
    pub fn at(house: &'a House) -> Self {
        // What never answers fails, and says what it was.
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Self { house, client }
    }

    /// Status and body.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, String) {
        let url = format!("http://{}/v1{path}", self.house.address);
        let request = self.client.request(method, url).bearer_auth(&self.house.key);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, text) = self.send(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Makes a context and an execution of it; the execution's path and identifier.
    pub async fn run(&self, spec: Value, engine: &str) -> (String, String) {
        let (status, text) = self.send(Method::POST, "/contexts", Some(&spec)).await;
        assert_eq!(status, 201, "{text}");
        let context: Value = serde_json::from_str(&text).unwrap();
        let of = format!("/contexts/{}/executions", context["identifier"].as_str().unwrap());
        let order =
            json!({ "engine": engine, "namespace": "default", "environment": { "WHO": "execution" } });
        let (status, text) = self.send(Method::POST, &of, Some(&order)).await;
        assert_eq!(status, 201, "{text}");
        let execution: Value = serde_json::from_str(&text).unwrap();
        let id = execution["identifier"].as_str().unwrap().to_owned();
        (format!("{of}/{id}"), id)
    }

    /// Waits until an execution is in that state.
    pub async fn state(&self, path: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let now = self.get(path).await;
            if now["state"] == wanted {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "it is not {wanted}: {now}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks the execution's port until it answers.
    pub async fn reach(&self, path: &str, specified: &str) -> String {
        let ports = self.get(&format!("{path}/ports")).await;
        let port = ports["ports"].as_array().unwrap().iter().find(|port| port["specified"] == specified);
        let port = port.unwrap_or_else(|| panic!("no port {specified}: {ports}"));
        let url = format!("http://{}:{}/", port["host"].as_str().unwrap(), port["exposed"].as_str().unwrap());
        let began = Instant::now();
        loop {
            let request = self.client.get(&url).timeout(Duration::from_secs(2));
            if let Ok(answer) = request.send().await {
                return answer.text().await.unwrap();
            }
            assert!(began.elapsed() < PATIENCE, "{url} never answered");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until it has written just this.
    pub async fn says(&self, path: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let (status, text) = self.send(Method::GET, &format!("{path}/logs"), None).await;
            if (status, text.as_str()) == (200, wanted) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "it says {status} {text:?}, not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops it by Slipway's own API, twice; what ran is kept.
    pub async fn stop(&self, path: &str, id: &str) {
        // Of one that was not seen to run, the start would be cancelled.
        self.state(path, "running").await;
        let own = format!("/executions/{id}/stop");
        let stopped = self.house.call(Method::POST, &own, None).await;
        assert_eq!(stopped["status"]["removed"], false, "{stopped}");
        self.state(path, "exited").await;
        self.house.call(Method::POST, &own, None).await;
        assert_eq!(self.get(&format!("{path}/ports")).await, json!({ "ports": [] }));
        let updates = self.house.call(Method::GET, &format!("/deployments/{id}/updates"), None).await;
        let kinds: Vec<&Value> =
            updates.as_array().unwrap().iter().map(|update| &update["spec"]["kind"]).collect();
        assert_eq!(kinds, ["halt", "update"], "what is stopped is not stopped again: {updates}");
    }

    /// Stops and removes it; its ports and logs are gone at once.
    pub async fn remove(&self, path: &str) {
        assert_eq!(self.send(Method::DELETE, path, None).await.0, 200);
        assert_eq!(self.get(&format!("{path}/ports")).await, json!({ "ports": [] }));
        assert_eq!(self.send(Method::GET, &format!("{path}/logs"), None).await.0, 404);
        self.state(path, "unavailable").await;
        assert_eq!(self.send(Method::DELETE, path, None).await.0, 200, "again is no error");
    }
}
