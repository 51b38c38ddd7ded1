//! `slipway serve`: opens the instance, binds, tells where it is, and serves until it is told to stop.
//!
//! On SIGTERM or SIGINT it drains: no new connections, streams end, running requests and engine calls get the grace
//! period. What an update has not done by then goes on at the next start.

use std::io::IsTerminal as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::config::kind::{HostName, LogFormat, Namespace};
use crate::domain::{Error, Result};
use crate::engine::RegistryCredentials;
use crate::http::compat::renga;
use crate::http::{self, Application, Settings, State, ops};
use crate::instance::Instance;
use crate::reconcile;
use crate::store::Mode;

/// Serves until a signal.
///
/// # Errors
/// Whatever keeps it from starting: the address in use, a second instance, a database from a newer version.
pub fn run(config: Config) -> Result<()> {
    crate::tls::install();
    start_log(&config);
    http::block_on(serve(config))
}

fn start_log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log.level.0)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // Below warnings these write down what they send: to the engine, secrets.
    let quiet = ["bollard=warn", "hyper=warn", "hyper_util=warn", "h2=warn", "reqwest=warn"];
    let filter = quiet
        .into_iter()
        .filter_map(|one| one.parse().ok())
        .fold(filter, |filter, one| filter.add_directive(one));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

async fn serve(config: Config) -> Result<()> {
    // From here on a signal ends it in good order, also one that comes while it opens.
    let stop = stop_signal();
    let kubeconfigs = super::open::kubeconfigs(&config)?;
    let renga_issuer = super::open::renga(&config)?;
    let for_engines = kubeconfigs.clone();
    let engines = Box::new(move |id: &str, keys| super::engines::factory(id, keys, for_engines));
    let instance = super::open::open(&config, Mode::Lead, &kubeconfigs, engines).await?;
    let local = instance.app.store.read(crate::store::user::any_local).await?;
    config.demand_login(local)?;
    let listener = bind(&config)?;
    let address = listener.local_addr().map_err(Error::internal)?;
    if let Some(provider) = super::open::provider(&config, &config.base_url(address))? {
        instance.auth.use_provider(provider)?;
    }
    if let Some(issuer) = renga_issuer {
        instance.auth.use_renga(issuer)?;
    }
    let state = Arc::new(state(&config, &instance, address));
    let reconcilers = reconcile::start(dependencies(&config, &instance)?);
    super::metrics::register(&state.metrics, &reconcilers);
    let application = Application::build(listener, Arc::clone(&state)).map_err(Error::internal)?;
    let server = application.handle();
    announce(&config, &instance, address).await?;
    let grace = config.server.shutdown_grace;
    let draining = tokio::task::spawn_local(async move {
        let heard = stop.await;
        tracing::info!(signal = heard, "draining");
        state.shutdown.cancel();
        // Side by side: one grace period, whoever needs it. An update that a last request asks for waits in the store.
        tokio::join!(server.stop(true), reconcilers.drain(grace));
    });
    // Without an error it ends only when the task above stops it.
    application.run().await.map_err(Error::internal)?;
    draining.await.map_err(Error::internal)
}

fn bind(config: &Config) -> Result<TcpListener> {
    let address = config.server.listen;
    TcpListener::bind(address).map_err(|error| {
        Error::conflict("address_in_use", format!("Slipway can't listen on {address}: {error}"))
            .hint("Stop what listens there, or choose another address with --listen.")
    })
}

fn state(config: &Config, instance: &Instance, address: std::net::SocketAddr) -> State {
    let workers = match config.server.workers {
        0 => std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get),
        some => some as usize,
    };
    State {
        app: instance.app.clone(),
        auth: Arc::clone(&instance.auth),
        settings: Settings {
            base_url: config.base_url(address).url().clone(),
            trusted_proxies: config.server.trusted_proxies.iter().map(|cidr| cidr.net()).collect(),
            ops_allowed: config.metrics.allow.iter().map(|cidr| cidr.net()).collect(),
            body_limit: usize::try_from(config.server.max_body.0).unwrap_or(usize::MAX),
            upload_limit: config.bundles.max_upload.0,
            workers,
            grace: config.server.shutdown_grace,
            renga: renga(&config.renga),
        },
        metrics: ops::Metrics::new(),
        shutdown: CancellationToken::new(),
    }
}

fn renga(section: &crate::config::section::Renga) -> renga::Settings {
    let host = |name: &HostName| name.as_str().to_owned();
    let meaning = |one: &Namespace| (one.name.clone(), one.infrastructure.clone());
    renga::Settings {
        docker: section.docker.clone(),
        k8s: section.k8s.clone(),
        swagger_ui: section.swagger_ui,
        user: section.user.as_ref().map(|user| user.as_str().to_owned()),
        base_url: section.base_url.clone(),
        docker_host: section.docker_host.as_ref().map(host),
        k8s_host: section.k8s_host.as_ref().map(host),
        namespaces: section.namespaces.iter().map(meaning).collect(),
    }
}

fn dependencies(config: &Config, instance: &Instance) -> Result<reconcile::Dependencies> {
    let app = &instance.app;
    let credentials = |registry: &crate::config::section::Registry| {
        let (username, password) = (registry.username.clone()?, registry.password.clone()?);
        Some(RegistryCredentials { username, password })
    };
    let registries = config.registry.iter().filter_map(|(host, one)| Some((host.clone(), credentials(one)?)));
    let (_, most) = reconcile::Settings::default().ready_within;
    Ok(reconcile::Dependencies {
        store: app.store.clone(),
        clock: Arc::clone(&app.clock),
        engines: Arc::clone(&app.engines),
        blobs: Arc::clone(&app.blobs),
        keys: Arc::clone(&app.keys),
        settings: reconcile::Settings {
            parallel: config.updates.parallel as usize,
            // A service whose own health check says that it needs longer gets longer.
            ready_within: (config.updates.verify_timeout, most.max(config.updates.verify_timeout)),
            archive_limits: app.archive_limits,
            test_within: config.updates.test_timeout,
            retained: config.updates.keep,
            registries: registries.collect(),
            admin_groups: app.rules.admin_groups.clone(),
            probe_every: config.datacater.health_interval.max(Duration::from_secs(1)),
            probe_within: config.datacater.answer_timeout,
            session_idle: config.session.idle,
            ..reconcile::Settings::default()
        },
    })
}

/// Tells on standard output where the console is, and how its first administrator is made.
async fn announce(config: &Config, instance: &Instance, address: std::net::SocketAddr) -> Result<()> {
    let base = config.base_url(address);
    super::print(&format!("Slipway serves {}\n", base.as_str()))?;
    super::print(&format!("  data directory  {}\n", config.data_dir.display()))?;
    if let Some(token) = instance.auth.setup_token().await? {
        let link = SecretString::from(base.join(&format!("/setup?token={token}")));
        super::print(&format!(
            "  set up          {}\n                  (makes the first local administrator; works once, for 24 hours)\n",
            secrecy::ExposeSecret::expose_secret(&link)
        ))?;
    }
    Ok(())
}

/// Hears signals from the call on; ends with the first one's name.
fn stop_signal() -> impl Future<Output = &'static str> {
    let heard = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut term), Ok(mut int)) = heard else {
            tracing::error!("signals can't be heard: stop this process by killing it");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
        }
    }
}
