//! A real Slipway of its own: the built binary on a data directory and a free port. Tests that kill it and the
//! benches share this file.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_slipway");

/// A running Slipway and its administrator's key.
pub struct House {
    pub dir: PathBuf,
    pub address: SocketAddr,
    pub key: String,
    client: reqwest::Client,
    /// The server while it runs.
    pub child: Option<Child>,
    /// Where it logs to at level debug, and in which format; `None`: warnings, to where the test itself does.
    pub log: Option<(PathBuf, &'static str)>,
    _temporary: Option<tempfile::TempDir>,
}

impl House {
    /// On a fresh data directory.
    pub async fn fresh() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut house = Self::at(temporary.path()).await;
        house._temporary = Some(temporary);
        house
    }

    /// On a data directory that may hold something already.
    pub async fn at(dir: &Path) -> Self {
        slipway::tls::install();
        let key = run(dir, &["admin", "create-api-key", "--name", "bench", "--group", "admins"]);
        let address = free_address();
        let mut house = Self {
            dir: dir.to_owned(),
            address,
            key: key.trim().to_owned(),
            // Nothing is kept open: the server behind it gets killed.
            client: reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            child: None,
            log: None,
            _temporary: None,
        };
        house.start();
        house
    }

    /// Starts the server and waits for its first answer; says how long that took.
    pub fn start(&mut self) -> Duration {
        let begun = Instant::now();
        let mut command = Command::new(BINARY);
        command.args(["serve", "--data-dir"]).arg(&self.dir).arg("--listen").arg(self.address.to_string());
        command.env("SLIPWAY_LOG__LEVEL", "warn").stdout(Stdio::piped());
        if let Some((path, format)) = &self.log {
            let file = std::fs::File::options().create(true).append(true).open(path).unwrap();
            command.env("SLIPWAY_LOG__LEVEL", "debug").env("SLIPWAY_LOG__FORMAT", format).stderr(file);
        }
        let mut child = command.spawn().expect("the binary is built");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.child = Some(child);
        loop {
            if first_answer(self.address) {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "no answer after 30 s");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the server: cleanly, or as a crash does.
    pub fn stop(&mut self, cleanly: bool) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        if cleanly {
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        } else {
            child.kill().unwrap();
        }
        child.wait().unwrap();
    }

    /// Sends a request, answers its JSON; anything but success ends the run.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let url = format!("http://{}/api/v1{path}", self.address);
        let mut request = self.client.request(method, url).bearer_auth(&self.key);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Publishes a bundle with this compose file.
    pub async fn publish(&self, project: &str, version: &str, compose: &str) {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        writer.start_file("compose.yaml", zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(compose.as_bytes()).unwrap();
        let archive = writer.finish().unwrap().into_inner();
        self.upload(archive, &format!("?project={project}&version={version}")).await;
    }

    /// Publishes an archive.
    pub async fn upload(&self, archive: Vec<u8>, query: &str) {
        let url = format!("http://{}/api/v1/bundles{query}", self.address);
        let request = self.client.post(url).bearer_auth(&self.key).header("content-type", "application/zip");
        let response = request.body(archive).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    }

    /// Makes a deployment on `local`.
    pub async fn deploy(&self, id: &str, project: &str, version: &str) {
        let spec = json!({ "project": project, "bundle": version, "infrastructure": "local" });
        self.call(Method::POST, "/deployments", Some(json!({ "name": id, "spec": spec }))).await;
    }

    /// Moves a deployment's settings to another bundle.
    pub async fn choose(&self, id: &str, version: &str) {
        let body = json!({ "spec": { "bundle": version } });
        self.call(Method::PATCH, &format!("/deployments/{id}"), Some(body)).await;
    }

    /// Asks for an update; answers its number.
    pub async fn ask(&self, id: &str) -> u64 {
        let update = self.call(Method::POST, &format!("/deployments/{id}/updates"), Some(json!({}))).await;
        update["number"].as_u64().unwrap_or_else(|| panic!("no number in {update}"))
    }

    /// Asks for an update and waits for its good end; answers it.
    pub async fn update(&self, id: &str) -> Value {
        self.wait(id, self.ask(id).await).await
    }

    /// Waits for an update's good end.
    pub async fn wait(&self, id: &str, number: u64) -> Value {
        let update = self.ended(id, number).await;
        assert_eq!(update["status"]["state"], "succeeded", "{update}");
        update
    }

    /// Waits for an update's end, whatever it is.
    pub async fn ended(&self, id: &str, number: u64) -> Value {
        let begun = Instant::now();
        loop {
            let update = self.call(Method::GET, &format!("/deployments/{id}/updates/{number}"), None).await;
            if !matches!(update["status"]["state"].as_str(), Some("queued" | "running")) {
                return update;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(180),
                "update {number} of {id} does not end: {update}"
            );
            // Not so often that the benches measure the asking.
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Stops and removes a deployment with all it made.
    pub async fn remove(&self, id: &str) {
        let update = self.call(Method::POST, &format!("/deployments/{id}/stop"), Some(json!({}))).await;
        self.wait(id, update["number"].as_u64().unwrap()).await;
        self.call(Method::DELETE, &format!("/deployments/{id}?volumes=true"), None).await;
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop(true);
    }
}

fn run(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new(BINARY).args(arguments).arg("--data-dir").arg(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn first_answer(address: SocketAddr) -> bool {
    use std::io::Read as _;
    let Ok(mut stream) = std::net::TcpStream::connect(address) else {
        return false;
    };
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
