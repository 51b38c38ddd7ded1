//! A Slipway as somebody starts it for the first time: the binary, its setup link, and the first administrator.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use super::{Browser, PASSWORD};
use crate::docker::harness::{Docker, aside, remove_all};
use slipway::engine::label;

/// A Slipway as somebody starts it for the first time, and what it made on the engine, gone with the test.
pub struct FirstRun {
    server: Child,
    pub base: String,
    setup_link: String,
    folder: tempfile::TempDir,
    /// What the test calls its deployment.
    pub deployment: String,
    /// Deployments that the server named itself.
    others: Mutex<Vec<String>>,
}

impl FirstRun {
    pub fn start() -> Self {
        Self::with("")
    }

    /// With a configuration.
    pub fn with(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if !config.is_empty() {
            std::fs::create_dir(folder.path().join("data")).unwrap();
            std::fs::write(folder.path().join("data/config.toml"), config).unwrap();
        }
        let mut server = Command::new(env!("CARGO_BIN_EXE_slipway"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (mut base, mut setup_link) = (String::new(), String::new());
        for line in lines {
            if let Some(address) = line.strip_prefix("Slipway serves ") {
                address.trim_end_matches('/').clone_into(&mut base);
            }
            if let Some((_, link)) = line.split_once("set up          ") {
                link.clone_into(&mut setup_link);
            }
            if line.contains("works once") {
                break;
            }
        }
        assert!(base.starts_with("http://") && setup_link.starts_with(&base), "{base} {setup_link}");
        let deployment = format!("slwtest-browser-{}", std::process::id());
        Self { server, base, setup_link, folder, deployment, others: Mutex::default() }
    }

    /// The deployment that it is promoted to.
    pub fn promoted(&self) -> String {
        format!("{}-k8s", self.deployment)
    }

    /// Has what the engine holds of a deployment removed with the test.
    pub fn clean_up(&self, id: &str) {
        self.others.lock().unwrap().push(id.to_owned());
    }

    /// `examples/pack`, as the README has it.
    pub fn pack(&self, arguments: &[&str]) -> PathBuf {
        let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pack");
        let packed =
            Command::new(pack).arg("--out").arg(self.folder.path()).args(arguments).output().unwrap();
        assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
        PathBuf::from(String::from_utf8(packed.stdout).unwrap().trim())
    }
}

impl Drop for FirstRun {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.server);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.server.wait();
        let mut ids = vec![self.deployment.clone(), self.promoted()];
        ids.append(&mut self.others.lock().unwrap());
        aside(async move {
            let docker = Docker::by_hand();
            for id in ids {
                remove_all(&docker, (label::WORKLOAD, &id), &format!("slipway/*/{id}")).await;
            }
        });
    }
}

/// Opens the setup link and makes the first administrator.
pub async fn become_administrator(browser: &Browser, run: &FirstRun) {
    browser.go(&run.setup_link).await;
    browser.client.find(fantoccini::Locator::Css("#f-username")).await.unwrap().clear().await.unwrap();
    browser.fill("#f-username", "alice").await;
    browser.fill("#f-password", PASSWORD).await;
    browser.fill("#f-again", PASSWORD).await;
    browser.press_words("Make it and sign in").await;
    browser.see("h1", "Home").await;
}
