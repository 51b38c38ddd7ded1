//! A Chromium of one's own with its driver. Tests and benches share this file.
//!
//! Both run in a process group of their own, under a shell that ends the whole group as soon as its input closes: when
//! the window is dropped, and also when the program that opened it is killed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a window waits for what it must show.
pub const PATIENCE: Duration = Duration::from_secs(20);
const GUARD: &str = "chromedriver --port=0 & read -r _; kill -KILL 0";

/// How a browser is opened.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// CSS pixels.
    pub width: u32,
    pub scripts: bool,
}

/// A browser of its own; nothing of it is left when it is dropped.
pub struct Browser {
    pub client: Client,
    processes: Processes,
}

/// The driver, Chromium, and the folder that Chromium keeps everything in.
struct Processes {
    shell: Child,
    /// Kept open: the driver must not write into nothing.
    _output: BufReader<ChildStdout>,
    profile: TempDir,
}

impl Processes {
    /// Starts the driver; answers its port, too.
    fn start() -> (Self, u16) {
        let profile = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh")
            .args(["-c", GUARD])
            .env("TMPDIR", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(shell.stdout.take().unwrap());
        let port = read_port(&mut output);
        let started = Self { shell, _output: output, profile };
        (started, port.expect("chromedriver is installed (tests/lab/lab browser) and says its port"))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.shell), Signal::KILL);
        let _ = self.shell.wait();
        // Whatever left the group still names its profile; and the folder can only go when nobody writes into it.
        let begun = Instant::now();
        loop {
            let left = processes_of(self.profile.path());
            if left.is_empty() || begun.elapsed() > Duration::from_secs(5) {
                return;
            }
            for pid in left {
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn read_port(output: &mut impl std::io::BufRead) -> Option<u16> {
    output.lines().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    })
}

/// The processes whose command line names this folder.
pub fn processes_of(folder: &Path) -> Vec<Pid> {
    let name = folder.as_os_str().as_encoded_bytes();
    let names_it = |pid: &str| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.windows(name.len()).any(|part| part == name))
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|pid| names_it(pid)).filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// A command of the DevTools protocol.
#[derive(Debug)]
struct Tool(&'static str, Value);

impl WebDriverCompatibleCommand for Tool {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (reqwest::Method, Option<String>) {
        (reqwest::Method::POST, Some(json!({ "cmd": self.0, "params": self.1 }).to_string()))
    }
}

impl Browser {
    /// A window of this width.
    pub async fn open(window: Window) -> Self {
        let (processes, port) = Processes::start();
        let scripts = if window.scripts { 1 } else { 2 };
        let profile = processes.profile.path().join("profile");
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-crash-reporter",
                format!("--user-data-dir={}", profile.display()), "--window-size=1280,900"],
            "prefs": { "profile.managed_default_content_settings.javascript": scripts },
        });
        let capabilities =
            json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let capabilities = capabilities.as_object().cloned().unwrap();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("chromium comes");
        let browser = Self { client, processes };
        browser.resize(window.width).await;
        browser
    }

    /// Where it keeps everything.
    pub fn folder(&self) -> &Path {
        self.processes.profile.path()
    }

    /// Asks a DevTools command.
    pub async fn tool(&self, command: &'static str, parameters: Value) -> Value {
        self.client.issue_cmd(Tool(command, parameters)).await.unwrap()
    }

    /// Makes the page this wide, narrower than a window can be where that is asked for.
    pub async fn resize(&self, width: u32) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.tool("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Goes somewhere.
    pub async fn go(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Types into a field.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.client.find(Locator::Css(css)).await;
        field.unwrap_or_else(|_| panic!("no {css}")).send_keys(text).await.unwrap();
    }

    /// Presses what matches.
    pub async fn press(&self, css: &str) {
        let found = self.client.find(Locator::Css(css)).await;
        found.unwrap_or_else(|_| panic!("no {css}")).click().await.unwrap();
    }

    /// The text of what matches, once it holds `needle`.
    pub async fn see(&self, css: &str, needle: &str) -> String {
        self.see_within(css, needle, PATIENCE).await
    }

    /// The same with another patience.
    pub async fn see_within(&self, css: &str, needle: &str, patience: Duration) -> String {
        let (begun, mut seen) = (Instant::now(), String::new());
        loop {
            if let Ok(found) = self.client.find(Locator::Css(css)).await {
                seen = found.text().await.unwrap_or_default();
                if seen.contains(needle) {
                    return seen;
                }
            }
            if begun.elapsed() > patience {
                let url = self.client.current_url().await.map(String::from).unwrap_or_default();
                panic!("{css} at {url} does not say {needle:?} but {seen:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a script answers.
    pub async fn ask(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until a script answers `true`.
    pub async fn wait(&self, script: &str) {
        let begun = Instant::now();
        while self.ask(script).await != Value::Bool(true) {
            assert!(begun.elapsed() < PATIENCE, "never: {script}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}
