//! Sign-in, sign-out and bearer tokens against a certified provider (`tests/oidc`, npm `oidc-provider`), through the
//! front door. `tests/lab/lab oidc` installs what it needs.

mod bearer;
mod browser;
mod faults;
pub mod provider;
mod renga;
mod sign_in;
mod sign_out;

use browser::Browser;
use provider::TestProvider;
use slipway::auth::oidc::{ClaimPath, GroupsFrom, Settings};

use crate::harness::TestApp;

/// A Slipway whose people sign in at a provider, both of this test alone.
struct Setup {
    app: TestApp,
    provider: TestProvider,
}

impl Setup {
    async fn new() -> Self {
        Self::under("").await
    }

    /// With the console below a path.
    async fn under(base_path: &'static str) -> Self {
        Self::of(TestApp::builder().base_path(base_path)).await
    }

    async fn of(builder: crate::harness::Builder) -> Self {
        let provider = TestProvider::start().await;
        let app = builder.start().await;
        provider.add_client("slipway-it", &app.base).await;
        app.instance.auth.use_provider(settings(&provider.issuer, &app.base)).unwrap();
        Self { app, provider }
    }

    fn browser(&self) -> Browser {
        Browser::new()
    }

    /// A browser in which somebody signed in.
    async fn signed_in(&self, who: &str) -> Browser {
        let mut browser = self.browser();
        let page = browser.sign_in(&self.app.base, who).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(page.url.starts_with(&self.app.base), "{}", page.url);
        browser
    }

    /// What the API says of whoever signed in there.
    async fn me(&self, browser: &mut Browser) -> Option<serde_json::Value> {
        let page = browser.get(&format!("{}/api/v1/me", self.app.base)).await;
        (page.status == 200).then(|| serde_json::from_str(&page.text).unwrap())
    }
}

pub fn settings(issuer: &str, base: &str) -> Settings {
    Settings {
        issuer: issuer.to_owned(),
        client_id: "slipway-it".to_owned(),
        client_secret: Some(provider::SECRET.to_owned().into()),
        redirect_uri: format!("{base}/auth/callback"),
        post_logout_redirect: format!("{base}/login"),
        scopes: ["openid", "profile", "email", "groups"].map(String::from).to_vec(),
        groups_claim: ClaimPath::new("groups"),
        groups_from: GroupsFrom::Either,
        name_claim: ClaimPath::new("name"),
        username_claim: ClaimPath::new("preferred_username"),
        scope_claim: ClaimPath::new("scope"),
        keys: None,
        api_audiences: Vec::new(),
        label: "Sign in with the test provider".to_owned(),
        ca: None,
    }
}
