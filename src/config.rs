//! The configuration: defaults, then `config.toml`, then the environment, then flags; one struct a section.
//!
//! What holds: nothing is guessed. A key, section or `SLIPWAY_` variable that no option stands behind is refused with
//! its line and the nearest spelling, a wrong value with its line and what it takes, and all of them are told at once.
//! A secret is a [`SecretString`](secrecy::SecretString) from the moment it is read, and no printing shows it.

mod duration;
mod file;
pub mod kind;
mod layers;
mod place;
pub mod print;
pub mod section;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::file::ConfigFile;
use crate::config::kind::BaseUrl;
use crate::config::layers::{FlagValue, Layers, variable};
use crate::config::section::{
    Access, Bundles, Data, Datacater, Docker, Kubeconfig, Log, Metrics, Oidc, Registry, Renga, Section,
    Server, Session, Updates,
};
use crate::config::value::Scalar as _;
use crate::domain::{Error, Problem, Result};

pub use crate::config::layers::{Entry, Source};

/// Everything that can be configured, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub server: Server,
    pub log: Log,
    pub access: Access,
    pub oidc: Oidc,
    pub session: Session,
    pub bundles: Bundles,
    pub updates: Updates,
    /// By host, as `ghcr.io` or `registry.example.org:5000`.
    pub registry: BTreeMap<String, Registry>,
    /// By name.
    pub kubeconfig: BTreeMap<String, Kubeconfig>,
    pub metrics: Metrics,
    pub docker: Docker,
    pub datacater: Datacater,
    pub renga: Renga,
    /// Where the state is kept.
    pub data_dir: PathBuf,
}

/// What the command line gives.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    pub config: Option<PathBuf>,
    pub data_dir: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
}

/// A configuration with where each of its values comes from.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub entries: Vec<Entry>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// A time as people write it, e.g. `30d`.
///
/// # Errors
/// What is wrong with it, and what it takes.
pub fn value_of_time(text: &str) -> Result<std::time::Duration, String> {
    use crate::config::value::Raw;
    value::Value::read(&Raw::Untyped(text.to_owned()))
}

/// This process's environment; what is not UTF-8 is no option of ours.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

impl Config {
    /// Reads all layers.
    ///
    /// # Errors
    /// `config_invalid` with every problem and its place; `config_syntax`, `config_unreadable`, `no_data_dir`.
    pub fn load(flags: &Flags, environment: &[(String, String)]) -> Result<Loaded> {
        let placed = Placed::find(flags, environment)?;
        let mut layers = Layers {
            file: placed.file.as_ref(),
            environment,
            flags: &placed.flags,
            entries: Vec::new(),
            problems: placed.problems.clone(),
        };
        let mut config = Self {
            server: Server::read(&mut layers, "server"),
            log: Log::read(&mut layers, "log"),
            data_dir: placed.data_dir(&mut layers),
            access: Access::read(&mut layers, "access"),
            oidc: Oidc::read(&mut layers, "oidc"),
            session: Session::read(&mut layers, "session"),
            bundles: Bundles::read(&mut layers, "bundles"),
            updates: Updates::read(&mut layers, "updates"),
            registry: named(&mut layers, "registry"),
            kubeconfig: named(&mut layers, "kubeconfig"),
            metrics: Metrics::read(&mut layers, "metrics"),
            docker: Docker::read(&mut layers, "docker"),
            datacater: Datacater::read(&mut layers, "datacater"),
            renga: Renga::read(&mut layers, "renga"),
        };
        layers.refuse_unknown();
        if layers.problems.is_empty() {
            config.contradictions(&mut layers);
        }
        if !layers.problems.is_empty() {
            layers.problems.sort_by_key(line_of);
            return Err(Error::problems("config_invalid", layers.problems));
        }
        config.oidc.scopes.dedup();
        Ok(Loaded { config, entries: layers.entries, file: placed.file.map(|file| file.path) })
    }

    /// Where browsers reach the console when the server listens on `address`.
    pub fn base_url(&self, address: SocketAddr) -> BaseUrl {
        self.server.base_url.clone().unwrap_or_else(|| {
            BaseUrl::parse(&format!("http://{address}")).expect("an address with a port is a host of a URL")
        })
    }

    /// Refuses to serve strangers without a sign-in.
    ///
    /// # Errors
    /// `no_login` when `listen` is reached from other machines while there is neither OIDC nor a local administrator.
    pub fn demand_login(&self, has_local_administrator: bool) -> Result<()> {
        let listen = self.server.listen;
        if listen.ip().is_loopback() || self.oidc.issuer.is_some() || has_local_administrator {
            return Ok(());
        }
        Err(Error::invalid(
            "no_login",
            format!(
                "Slipway does not listen on {listen}, which other machines reach, while nobody can sign in"
            ),
        )
        .hint(
            "Configure [oidc], or make a local administrator first: by the setup link on loopback, or with \
             `slipway admin create-user`.",
        ))
    }

    /// What each option allows and all together do not.
    fn contradictions(&self, layers: &mut Layers<'_>) {
        let mut wrong = |section: &str, key: &str, why: &str, hint: &str| {
            let entry = layers.entries.iter().find(|entry| entry.section == section && entry.key == key);
            let place = match entry.map(|entry| &entry.source) {
                None | Some(Source::Default) => "configuration".to_owned(),
                Some(source) => source.to_string(),
            };
            layers.problems.push(Problem::new(place, format!("{section}.{key}: {why}")).hint(hint));
        };
        let Oidc { issuer, client_id, scopes, .. } = &self.oidc;
        if issuer.is_some() && client_id.is_none() {
            wrong(
                "oidc",
                "client_id",
                "an issuer is set without it",
                "Register Slipway at the provider and set its client id.",
            );
        }
        if issuer.is_none() && client_id.is_some() {
            wrong("oidc", "issuer", "a client id is set without it", "Set the provider's issuer.");
        }
        if !scopes.iter().any(|scope| scope == "openid") {
            wrong(
                "oidc",
                "scopes",
                "openid is missing",
                "OpenID Connect begins with this scope; put it first.",
            );
        }
        if self.session.idle > self.session.absolute {
            wrong(
                "session",
                "idle",
                "it is longer than session.absolute",
                "Shorten it, or lengthen session.absolute.",
            );
        }
        if self.updates.parallel == 0 {
            wrong("updates", "parallel", "no update would ever run", "Give at least 1.");
        }
        match &self.server.base_url {
            Some(url) if !url.is_https() && !url.is_loopback() => wrong(
                "server",
                "base_url",
                "a console that other machines reach takes https",
                "Put a proxy that speaks TLS in front, and write https:// here.",
            ),
            None if !self.server.listen.ip().is_loopback() => wrong(
                "server",
                "base_url",
                "it is needed when the server listens beyond loopback",
                "Set the https URL under which browsers reach the console.",
            ),
            _ => {}
        }
        let Renga { issuer: own, audience, jwt_key, .. } = &self.renga;
        let given = [(audience.is_some(), "an audience"), (jwt_key.is_some(), "a key")];
        if let Some((_, what)) = given.iter().find(|(given, _)| *given && own.is_none() && issuer.is_none()) {
            let why = format!("{what} is set without it");
            wrong("renga", "issuer", &why, "Set the issuer that a token must name.");
        }
        if own.is_some() && audience.is_none() && client_id.is_none() {
            let hint = "Set the audience that its tokens are issued for.";
            wrong("renga", "audience", "an issuer is set without it", hint);
        }
        for (host, registry) in &self.registry {
            let section = format!("registry.{host}");
            if registry.username.is_some() != registry.password.is_some() {
                wrong(&section, "password", "user name and password go together", "Set both, or neither.");
            }
        }
        for (name, kubeconfig) in &self.kubeconfig {
            if kubeconfig.context.is_some() && kubeconfig.file.is_none() {
                let section = format!("kubeconfig.{name}");
                wrong(&section, "file", "a context is set without it", "Set the kubeconfig's path.");
            }
        }
    }
}

/// The line that a problem points to, so that a file's problems are told from its top to its end.
fn line_of(problem: &Problem) -> Option<usize> {
    let (_, line) = problem.place.rsplit_once(':')?;
    line.parse().ok()
}

/// The sections `[kind.NAME]`.
fn named<S: Section>(layers: &mut Layers<'_>, kind: &str) -> BTreeMap<String, S> {
    let names: Vec<String> =
        layers.file.iter().flat_map(|file| file.names_of(kind)).map(String::from).collect();
    let read = names.into_iter().map(|name| {
        let section = S::read(layers, &format!("{kind}.{name}"));
        (name, section)
    });
    read.collect()
}

/// The file and the data directory, which say where each other is.
struct Placed {
    file: Option<ConfigFile>,
    /// Where the state is when no layer names a place.
    default_dir: PathBuf,
    flags: Vec<FlagValue>,
    problems: Vec<Problem>,
}

impl Placed {
    fn find(flags: &Flags, environment: &[(String, String)]) -> Result<Self> {
        let set = |name: &str| {
            let found = environment.iter().find(|(variable, value)| variable == name && !value.is_empty());
            found.map(|(_, value)| PathBuf::from(value))
        };
        let above = above_the_file(flags, set("SLIPWAY_DATA_DIR"));
        let named = flags.config.clone().or_else(|| set("SLIPWAY_CONFIG"));
        let long_name = variable("data", "dir");
        let chosen = above.iter().find(|flag| flag.key == "dir").map(|flag| PathBuf::from(&flag.text));
        let default_dir = match chosen.or_else(|| set(&long_name)) {
            Some(dir) => dir,
            None => place::default_dir(environment)?,
        };
        let read = place::read(named.as_deref(), &default_dir)?;
        let file = read.map(|(path, text)| ConfigFile::parse(&path, &text)).transpose()?;
        let mut problems = Vec::new();
        if let (Some(file), None) = (&file, &named)
            && let Some(dir) = file.find("data", "dir")
        {
            let why = "data.dir: a file in the data directory can't say that the data directory is elsewhere";
            let hint = "Name the directory with --data-dir, or the file with --config.";
            problems.push(Problem::new(file.place(dir.line), why).hint(hint));
        }
        Ok(Self { file, default_dir, flags: above, problems })
    }

    /// The data directory, which then stands among the entries as any option.
    fn data_dir(&self, layers: &mut Layers<'_>) -> PathBuf {
        let dir = Data::read(layers, "data").dir.unwrap_or_else(|| self.default_dir.clone());
        if let Some(entry) = layers.entries.last_mut() {
            entry.shown = Some(value::quoted(&dir.display().to_string()));
        }
        dir
    }
}

/// Flags, and `SLIPWAY_DATA_DIR`, which is short for `--data-dir`.
fn above_the_file(flags: &Flags, data_dir: Option<PathBuf>) -> Vec<FlagValue> {
    let of = |section, key, flag, text| FlagValue { section, key, flag, text };
    let listen = flags.listen.map(|address| of("server", "listen", "--listen", address.to_string()));
    let path = |path: &PathBuf| path.display().to_string();
    let by_flag = flags.data_dir.as_ref().map(|dir| of("data", "dir", "--data-dir", path(dir)));
    let by_variable = data_dir.as_ref().map(|dir| of("data", "dir", "SLIPWAY_DATA_DIR", path(dir)));
    listen.into_iter().chain(by_flag.or(by_variable)).collect()
}
