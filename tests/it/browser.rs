//! The console in a real browser: chromium through its driver.

mod flow;
mod hostile;
mod look;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use secrecy::SecretString;
use serde_json::{Value, json};
use slipway::auth::local::NewLocal;
use slipway::domain::access::Caller;

use crate::harness::{TestApp, groups};

/// A browser of its own, ended with the test.
pub struct Browser {
    pub client: Client,
    driver: Child,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// How a browser is opened.
#[derive(Clone, Copy)]
pub struct Window {
    pub width: u32,
    pub scripts: bool,
}

impl Browser {
    /// A window of this width.
    pub async fn open(window: Window) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed");
        let scripts = if window.scripts { 1 } else { 2 };
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                format!("--window-size={},900", window.width)],
            "prefs": { "profile.managed_default_content_settings.javascript": scripts },
        });
        let capabilities =
            json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } })
                .as_object()
                .cloned()
                .unwrap();
        for _ in 0..100 {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.clone());
            if let Ok(client) = builder.connect(&format!("http://127.0.0.1:{port}")).await {
                return Self { client, driver };
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let _ = driver.kill();
        let _ = driver.wait();
        panic!("chromium did not come");
    }

    /// Goes somewhere.
    pub async fn go(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Types into a field.
    pub async fn fill(&self, css: &str, text: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().send_keys(text).await.unwrap();
    }

    /// Presses what matches.
    pub async fn press(&self, css: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// The text of what matches, once it holds `needle`.
    pub async fn see(&self, css: &str, needle: &str) -> String {
        let mut seen = String::new();
        for _ in 0..150 {
            if let Ok(found) = self.client.find(Locator::Css(css)).await {
                seen = found.text().await.unwrap_or_default();
                if seen.contains(needle) {
                    return seen;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{css} does not say {needle:?} but {seen:?}");
    }

    /// What a script answers.
    pub async fn ask(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Signs in as the local administrator.
    pub async fn sign_in(&self, it: &TestApp) {
        self.go(&format!("{}/login", it.base)).await;
        self.fill("#f-username", "alice").await;
        self.fill("#f-password", PASSWORD).await;
        self.press("form .button").await;
        self.see("h1", "Home").await;
    }
}

const PASSWORD: &str = "correct horse battery";

/// Makes the local administrator whom [`Browser::sign_in`] signs in.
pub async fn administrator(it: &TestApp) {
    let new = NewLocal {
        username: "alice".into(),
        name: "Alice Admin".into(),
        password: SecretString::from(PASSWORD.to_owned()),
        groups: groups(&["admins"]),
    };
    it.instance.auth.create_local(&Caller::system(), new).await.unwrap();
}
