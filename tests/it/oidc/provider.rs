//! The provider of one test: a process of its own, on a port of its own, gone with the test.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// Of every client there.
pub const SECRET: &str = "for-tests-only-for-tests-only-32";

pub struct TestProvider {
    pub issuer: String,
    client: reqwest::Client,
    child: Child,
}

impl Drop for TestProvider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl TestProvider {
    pub async fn start() -> Self {
        slipway::tls::install();
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc");
        assert!(dir.join("node_modules").is_dir(), "run tests/lab/lab oidc first: it installs the provider");
        let mut child = Command::new("node")
            .arg(dir.join("provider.mjs"))
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let issuer = line.trim().strip_prefix("ready ").expect("the provider starts").to_owned();
        Self { issuer, client: reqwest::Client::new(), child }
    }

    async fn control(&self, method: reqwest::Method, what: &str, body: &Value) -> String {
        let url = format!("{}/control/{what}", self.issuer);
        let answer = self.client.request(method, url).body(body.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{what}: {}", answer.status());
        answer.text().await.unwrap()
    }

    pub async fn add_client(&self, id: &str, base: &str) {
        self.control(reqwest::Method::PUT, &format!("client/{id}"), &json!({ "rp": base })).await;
    }

    /// From now on it misbehaves like this; `None`: behaves.
    pub async fn fault(&self, name: Option<&str>) {
        match name {
            Some(name) => self.control(reqwest::Method::PUT, &format!("fault/{name}"), &json!({})).await,
            None => self.control(reqwest::Method::DELETE, "fault", &json!({})).await,
        };
    }

    /// Changes a person.
    pub async fn person(&self, name: &str, change: &Value) {
        self.control(reqwest::Method::PUT, &format!("user/{name}"), change).await;
    }

    /// A token of its making, with the key of that name.
    pub async fn sign(&self, claims: &Value, header: &Value, key: &str) -> String {
        let order = json!({ "claims": claims, "header": header, "key": key });
        self.control(reqwest::Method::POST, "sign", &order).await
    }

    /// The claims of the ID token that it issued last.
    pub async fn last(&self) -> Value {
        serde_json::from_str(&self.control(reqwest::Method::GET, "last", &json!({})).await).unwrap()
    }
}
