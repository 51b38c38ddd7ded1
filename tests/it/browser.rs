//! The console in a real browser: Chromium through its driver.

mod access;
mod approvals;
mod cluster;
mod executions;
mod first;
mod flow;
mod hostile;
mod iris;
mod logs;
mod look;
mod manners;
mod people;
mod pipelines;
mod window;
mod wire;

use std::time::Duration;

use fantoccini::{Client, Locator};
use secrecy::SecretString;
use slipway::auth::local::NewLocal;
use slipway::domain::access::Caller;

use crate::harness::{TestApp, groups};
pub use window::{Browser, PATIENCE, Window};

const PASSWORD: &str = "correct horse battery";
const WIDE: Window = Window { width: 1280, scripts: true };

impl Browser {
    /// Signs in as the local administrator.
    pub async fn sign_in(&self, it: &TestApp) {
        self.sign_in_at(&it.base).await;
    }

    /// The same at an address.
    pub async fn sign_in_at(&self, base: &str) {
        self.go(&format!("{base}/login")).await;
        self.fill("#f-username", "alice").await;
        self.fill("#f-password", PASSWORD).await;
        self.press("form .button").await;
        self.see("h1", "Home").await;
    }

    /// Presses the link or button that reads so, once it is there.
    pub async fn press_words(&self, words: &str) {
        let path = format!(
            "//*[self::a or self::button or self::summary][normalize-space()={words:?} and not(@aria-disabled='true')]"
        );
        let begun = std::time::Instant::now();
        while begun.elapsed() < PATIENCE {
            for found in self.client.find_all(Locator::XPath(&path)).await.unwrap() {
                // One that the page has just replaced can't be clicked: it is looked for again.
                if found.is_displayed().await.unwrap_or(false) && found.click().await.is_ok() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let shown = self.texts("a.button, button").await;
        panic!("nothing to press reads {words:?}; there are {shown:?}");
    }

    /// The texts of everything that matches.
    pub async fn texts(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for found in self.client.find_all(Locator::Css(css)).await.unwrap() {
            texts.push(found.text().await.unwrap_or_default());
        }
        texts
    }

    /// Chooses an option of a select by its text.
    pub async fn choose(&self, css: &str, label: &str) {
        let select = self.client.find(Locator::Css(css)).await.unwrap_or_else(|_| panic!("no {css}"));
        select.select_by_label(label).await.unwrap();
    }

    /// Types keys at the page itself.
    pub async fn keys(&self, keys: &str) {
        let active: Client = self.client.clone();
        active.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Loads the page again until what matches holds `needle`: how one follows without scripts.
    pub async fn see_on_reload(&self, css: &str, needle: &str, patience: Duration) -> String {
        let begun = std::time::Instant::now();
        loop {
            let found = self.client.find(Locator::Css(css)).await;
            let seen = match found {
                Ok(found) => found.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if seen.contains(needle) {
                return seen;
            }
            assert!(begun.elapsed() < patience, "{css} does not come to say {needle:?} but {seen:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.client.refresh().await.unwrap();
        }
    }
}

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
