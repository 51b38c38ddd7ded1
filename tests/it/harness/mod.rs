//! Starts a whole Slipway on a port of its own and talks to it through the front door.
//!
//! ```ignore
//! let it = TestApp::builder().start().await;
//! let bob = it.key(&["ml-deployers"]).await;
//! let answer = bob.get("/api/v1/projects").await;
//! ```

use std::net::TcpListener;
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use slipway::app::Rules;
use slipway::auth::Lifetimes;
use slipway::blob;
use slipway::domain::access::{Caller, InfrastructureRight, ProjectRight};
use slipway::domain::clock::{SharedClock, SystemClock};
use slipway::domain::group::Groups;
use slipway::domain::infrastructure::{EngineConnection, Infrastructure};
use slipway::domain::name::{GroupName, InfrastructureId, Label, ProjectKey};
use slipway::domain::random;
use slipway::domain::user::User;
use slipway::engine::Engine;
use slipway::engine::fake::FakeEngine;
use slipway::http::compat::renga;
use slipway::http::{Application, Settings, State, ops};
use slipway::instance::{Instance, Options};
use slipway::store::Mode;
use tokio_util::sync::CancellationToken;

/// How the instance under test is made.
pub struct Builder {
    base_path: &'static str,
    clock: SharedClock,
    project_makers: Groups,
    renga: renga::Settings,
}

impl Builder {
    /// Serves under a sub-path, e.g. `/slipway`.
    #[must_use]
    pub fn base_path(mut self, path: &'static str) -> Self {
        self.base_path = path;
        self
    }

    /// Only members of these groups make projects.
    #[must_use]
    pub fn project_makers(mut self, names: &[&str]) -> Self {
        self.project_makers = groups(names);
        self
    }

    /// With renga-deployer's API set so.
    #[must_use]
    pub fn renga(mut self, settings: renga::Settings) -> Self {
        self.renga = settings;
        self
    }

    /// A clock that the test sets.
    #[must_use]
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// Opens, binds and serves.
    pub async fn start(self) -> TestApp {
        let own = tempfile::tempdir().unwrap();
        let fake = Arc::new(FakeEngine::new(Arc::clone(&self.clock)));
        let for_factory = Arc::clone(&fake);
        let instance = Instance::open(Options {
            dir: own.path(),
            mode: Mode::Lead,
            clock: Arc::clone(&self.clock),
            rules: Rules {
                admin_groups: groups(&["admins"]),
                project_makers: self.project_makers,
                ..Rules::default()
            },
            lifetimes: Lifetimes::default(),
            archive_limits: blob::Limits::default(),
            local_engine: EngineConnection::Fake {},
            engines: Box::new(move |_, _| {
                Box::new(move |_: &Infrastructure| Arc::clone(&for_factory) as Arc<dyn Engine>)
            }),
        })
        .await
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let base_url = url::Url::parse(&format!("http://{address}{}", self.base_path)).unwrap();
        let state = Arc::new(State {
            app: instance.app.clone(),
            auth: Arc::clone(&instance.auth),
            settings: Settings {
                base_url: base_url.clone(),
                trusted_proxies: Vec::new(),
                ops_allowed: vec!["127.0.0.0/8".parse().unwrap()],
                body_limit: 2 << 20,
                upload_limit: 64 << 20,
                workers: 1,
                grace: std::time::Duration::from_secs(2),
                renga: self.renga,
            },
            metrics: ops::Metrics::new(),
            shutdown: CancellationToken::new(),
        });
        let application = Application::build(listener, Arc::clone(&state)).unwrap();
        let server = tokio::spawn(application.run());
        TestApp {
            base: base_url.as_str().trim_end_matches('/').to_owned(),
            instance,
            state,
            fake,
            _own: own,
            server,
        }
    }
}

/// A running instance.
pub struct TestApp {
    /// e.g. `http://127.0.0.1:40123`, without a slash at its end.
    pub base: String,
    pub instance: Instance,
    pub state: Arc<State>,
    /// The engine behind every infrastructure of kind `fake`.
    pub fake: Arc<FakeEngine>,
    _own: tempfile::TempDir,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.state.shutdown.cancel();
        self.server.abort();
    }
}

impl TestApp {
    /// With everything at its default.
    pub fn builder() -> Builder {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Builder {
            base_path: "",
            clock: Arc::new(SystemClock),
            project_makers: Groups::new(),
            renga: renga::Settings::default(),
        }
    }

    /// An API key of these groups, as a client.
    pub async fn key(&self, names: &[&str]) -> Client {
        let new = slipway::app::api_key::NewKey {
            name: Label::parse(format!("key of {}", names.join("+"))).unwrap(),
            groups: groups(names),
            expires_at: None,
        };
        let (_, secret) =
            slipway::app::api_key::create(&self.instance.app, &Caller::system(), new).await.unwrap();
        Client::new(&self.base).bearer(secret.expose_secret())
    }

    /// An administrator's API key, as a client.
    pub async fn admin(&self) -> Client {
        self.key(&["admins"]).await
    }

    /// A client without credentials.
    pub fn nobody(&self) -> Client {
        Client::new(&self.base)
    }

    /// A browser-like client with a live session of a fresh user in these groups.
    pub async fn session(&self, name: &str, names: &[&str]) -> Client {
        let user = self.user(name, names).await;
        let begin = slipway::auth::session::Begin {
            user: user.id,
            provider: None,
            user_agent: "tests".into(),
            address: "127.0.0.1".into(),
            replaces: None,
        };
        let cookie = self.instance.auth.begin_session(begin).await.unwrap();
        let id = slipway::domain::bundle::Digest::of(cookie.expose_secret().as_bytes());
        let csrf = self.instance.app.keys.csrf_token(id.as_str());
        let name = self.state.settings.cookie_name();
        Client::new(&self.base).session(&format!("{name}={}", cookie.expose_secret()), &csrf)
    }

    /// A user as the identity provider would have made it.
    pub async fn user(&self, name: &str, names: &[&str]) -> User {
        let user = User {
            id: random::uuid(),
            issuer: "https://issuer.example.test".into(),
            subject: name.to_owned(),
            name: name.to_owned(),
            email: None,
            groups: groups(names),
            disabled: false,
            created_at: self.instance.app.now(),
            last_login_at: None,
            preferences: slipway::domain::user::Preferences::default(),
        };
        let kept = user.clone();
        self.instance.app.store.write(move |tx| slipway::store::user::put(tx, &kept)).await.unwrap();
        user
    }

    /// Gives a group a right on an infrastructure.
    pub async fn grant_infrastructure(&self, id: &str, group: &str, right: InfrastructureRight) {
        let (id, group) = (InfrastructureId::parse(id).unwrap(), GroupName::parse(group).unwrap());
        let caller = Caller::system();
        slipway::app::infrastructure::grant(&self.instance.app, &caller, id, group, Some(right))
            .await
            .unwrap();
    }

    /// Gives a group a right on a project.
    pub async fn grant_project(&self, key: &str, group: &str, right: ProjectRight) {
        let (key, group) = (ProjectKey::parse(key).unwrap(), GroupName::parse(group).unwrap());
        slipway::app::project::grant(&self.instance.app, &Caller::system(), key, group, Some(right))
            .await
            .unwrap();
    }
}

/// Group names as a set.
pub fn groups(names: &[&str]) -> Groups {
    names.iter().map(|name| GroupName::parse(*name).unwrap()).collect()
}

mod client;
pub mod process;
pub mod renga_client;
pub use client::{Answer, Client};

mod fixture;
pub use fixture::{COMPOSE, Team, archive, publish};
