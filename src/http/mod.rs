//! The only code that knows actix: the server, its layers, and below them console, API and façades ([`compat`]).
//!
//! Layers, outermost first: request id and log ([`trace`]), security headers ([`headers`]), authentication and
//! CSRF ([`identity`], [`csrf`]), then the routes. Authentication stands before routing, so an unknown path without
//! credentials answers like a known one. What is open to all is one list ([`identity::OPEN`]).

pub mod api;
pub mod assets;
pub mod compat;
pub mod csrf;
pub mod error;
pub mod headers;
pub mod identity;
pub mod login;
pub mod ops;
pub mod proxy;
pub mod routes;
pub mod sso;
pub mod trace;
pub mod unread;
pub mod web;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App as ActixApp, HttpServer};
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::app::App;
use crate::auth::Auth;
use routes::Routes;

/// What handlers share.
pub struct State {
    pub app: App,
    pub auth: Arc<Auth>,
    pub settings: Settings,
    pub metrics: ops::Metrics,
    /// Cancelled when the server drains: streams end on it.
    pub shutdown: CancellationToken,
}

/// What the configuration decides for HTTP.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where people reach Slipway, e.g. `https://deploy.example.org/slipway`.
    pub base_url: Url,
    /// Proxies whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Who may ask `/healthz`, `/readyz` and `/metrics`.
    pub ops_allowed: Vec<IpNet>,
    /// Bytes of a JSON or form body.
    pub body_limit: usize,
    /// Bytes of a bundle's archive.
    pub upload_limit: u64,
    pub workers: usize,
    /// How long running requests may take when the server stops.
    pub grace: Duration,
    pub renga: compat::renga::Settings,
}

impl Settings {
    /// The path prefix without a slash at its end: empty, or e.g. `/slipway`.
    pub fn base_path(&self) -> &str {
        self.base_url.path().trim_end_matches('/')
    }

    /// The session cookie's name, with the strictest prefix that the base URL allows.
    pub fn cookie_name(&self) -> &'static str {
        match (self.is_https(), self.base_path().is_empty()) {
            (true, true) => "__Host-slipway",
            (true, false) => "__Secure-slipway",
            (false, _) => "slipway",
        }
    }

    /// Whether people reach Slipway over TLS.
    pub fn is_https(&self) -> bool {
        self.base_url.scheme() == "https"
    }
}

/// A server that has bound its address and not begun to answer.
pub struct Application {
    server: actix_web::dev::Server,
    address: SocketAddr,
}

impl Application {
    /// Takes a listener that is bound already: port 0 serves tests.
    ///
    /// # Errors
    /// When the listener can't be used.
    pub fn build(listener: TcpListener, state: Arc<State>) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (workers, grace) = (state.settings.workers, state.settings.grace);
        let server = HttpServer::new(move || {
            let state = Data::from(Arc::clone(&state));
            let configure = {
                let state = state.clone();
                move |config: &mut ServiceConfig| all_routes(&state.settings).register(config)
            };
            ActixApp::new()
                .app_data(state)
                .wrap(from_fn(web::failure::layer))
                .wrap(from_fn(csrf::layer))
                .wrap(from_fn(identity::layer))
                .wrap(from_fn(headers::layer))
                .wrap(from_fn(trace::layer))
                .configure(configure)
                .default_service(actix_web::web::to(error::no_such_page))
        })
        .workers(workers)
        .disable_signals()
        .shutdown_timeout(grace.as_secs())
        .listen(listener)?
        .run();
        Ok(Self { server, address })
    }

    /// The address in use.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server from elsewhere.
    pub fn handle(&self) -> actix_web::dev::ServerHandle {
        self.server.handle()
    }

    /// Answers requests until it is stopped.
    ///
    /// # Errors
    /// When the server breaks.
    pub async fn run(self) -> std::io::Result<()> {
        self.server.await
    }
}

/// Runs the server's main thread to the end of `work`.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(work)
}

/// Every route there is, in matching order: what is served and what the tests walk.
pub fn all_routes(settings: &Settings) -> Routes {
    let mut routes = Routes::new(settings.base_path());
    ops::routes(&mut routes);
    assets::routes(&mut routes);
    sso::routes(&mut routes);
    api::routes(&mut routes);
    compat::routes(&mut routes);
    web::routes(&mut routes);
    routes
}
