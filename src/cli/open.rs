//! Opens the instance of a configuration: for the server, and for commands beside it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use chrono::TimeDelta;
use secrecy::ExposeSecret as _;

use crate::app::{Datacater, Rules};
use crate::auth::Lifetimes;
use crate::auth::oidc::{self, ClaimPath, GroupsFrom};
use crate::auth::renga;
use crate::blob;
use crate::config::kind::{BaseUrl, GroupsSource};
use crate::config::{Config, section};
use crate::domain::clock::SystemClock;
use crate::domain::pipeline::definition::Defaults;
use crate::domain::{Error, Problem, Result};
use crate::engine::fake::FakeEngine;
use crate::engine::kubernetes::kubeconfig::{self, Sanitised};
use crate::engine::registry::Factory;
use crate::instance::{Instance, MakeFactory, Options};
use crate::store::Mode;

/// What was kept of the kubeconfigs that the configuration names.
pub type Kubeconfigs = BTreeMap<String, Sanitised>;

/// Reads the kubeconfigs that the configuration names.
///
/// # Errors
/// `config_invalid` with every section whose file can't be read or is refused.
pub fn kubeconfigs(config: &Config) -> Result<Kubeconfigs> {
    let (mut kept, mut problems) = (Kubeconfigs::new(), Vec::new());
    for (name, section) in &config.kubeconfig {
        let Some(path) = &section.file else { continue };
        match read_kubeconfig(path).and_then(|text| kubeconfig::sanitise(&text, section.context.as_deref())) {
            Ok(read) => {
                kept.insert(name.clone(), read);
            }
            Err(error) => problems.extend(error.problems.into_iter().map(|problem| {
                // `kubeconfig:12:5` becomes the file's own line.
                let at = problem.place.trim_start_matches("kubeconfig");
                let place = format!("[kubeconfig.{name}] {}{at}", path.display());
                Problem { place, ..problem }
            })),
        }
    }
    if problems.is_empty() { Ok(kept) } else { Err(Error::problems("config_invalid", problems)) }
}

fn read_kubeconfig(path: &Path) -> Result<String> {
    let mut text = String::new();
    let most = kubeconfig::LONGEST as u64 + 1;
    let read = std::fs::File::open(path).and_then(|file| file.take(most).read_to_string(&mut text));
    read.map(|_| text).map_err(|error| {
        let problem = Problem::new("", format!("it can't be read: {error}"));
        let hint = "Name a kubeconfig that the user whom Slipway runs as may read.";
        Error::problems("config_invalid", vec![problem.hint(hint)])
    })
}

/// Opens the instance beside a running server; as its leader on a data directory that no server has seen yet.
///
/// # Errors
/// See [`Instance::open`].
pub async fn beside(config: &Config) -> Result<Instance> {
    let mode = match config.data_dir.join("slipway.db").exists() {
        true => Mode::Beside,
        false => Mode::Lead,
    };
    let clock = Arc::new(SystemClock);
    // No command calls an engine: those of the fake kind stand in for what is never asked.
    let engines = |_: &str, _| -> Factory { Box::new(move |_| Arc::new(FakeEngine::new(clock.clone()))) };
    open(config, mode, &Kubeconfigs::new(), Box::new(engines)).await
}

/// Opens the instance.
///
/// # Errors
/// See [`Instance::open`].
pub async fn open(
    config: &Config,
    mode: Mode,
    kubeconfigs: &Kubeconfigs,
    engines: MakeFactory,
) -> Result<Instance> {
    Instance::open(Options {
        dir: &config.data_dir,
        mode,
        clock: Arc::new(SystemClock),
        rules: rules(config, kubeconfigs),
        lifetimes: lifetimes(config)?,
        archive_limits: archive_limits(config),
        local_engine: config.docker.connection(),
        engines,
    })
    .await
}

fn rules(config: &Config, kubeconfigs: &Kubeconfigs) -> Rules {
    let namespaces = kubeconfigs.iter().map(|(name, read)| (name.clone(), read.namespace.clone()));
    Rules {
        kubeconfigs: namespaces.collect(),
        admin_groups: config.access.admin_groups.iter().cloned().collect(),
        project_makers: config.access.project_makers.iter().cloned().collect(),
        datacater: datacater(&config.datacater),
    }
}

fn datacater(config: &section::Datacater) -> Datacater {
    Datacater {
        infrastructure: config.default_infrastructure.clone(),
        defaults: Defaults {
            image: config.image.clone(),
            port: config.port,
            health_path: config.health_path.clone(),
            metrics_path: config.metrics_path.clone(),
        },
        answer_timeout: config.answer_timeout,
    }
}

fn lifetimes(config: &Config) -> Result<Lifetimes> {
    let delta = |time| TimeDelta::from_std(time).map_err(Error::internal);
    Ok(Lifetimes { idle: delta(config.session.idle)?, absolute: delta(config.session.absolute)? })
}

fn archive_limits(config: &Config) -> blob::Limits {
    blob::Limits {
        entries: config.bundles.max_entries as usize,
        inflated: config.bundles.max_inflated.0,
        ..blob::Limits::default()
    }
}

/// What the configuration says of the identity provider, for a console at `base`; `None` where there is none.
///
/// # Errors
/// A file of certificates that can't be read.
pub fn provider(config: &Config, base: &BaseUrl) -> Result<Option<oidc::Settings>> {
    let oidc = &config.oidc;
    let (Some(issuer), Some(client_id)) = (&oidc.issuer, &oidc.client_id) else {
        return Ok(None);
    };
    let after_logout = oidc.post_logout_redirect.as_ref().map(|url| url.as_str().to_owned());
    Ok(Some(oidc::Settings {
        issuer: issuer.as_str().to_owned(),
        client_id: client_id.clone(),
        client_secret: oidc.client_secret.clone(),
        redirect_uri: base.join("/auth/callback"),
        post_logout_redirect: after_logout.unwrap_or_else(|| base.join("/login")),
        scopes: oidc.scopes.clone(),
        groups_claim: ClaimPath::new(&oidc.groups_claim),
        groups_from: match oidc.groups_source {
            GroupsSource::Auto => GroupsFrom::Either,
            GroupsSource::IdToken => GroupsFrom::IdToken,
            GroupsSource::Userinfo => GroupsFrom::Userinfo,
        },
        name_claim: ClaimPath::new(&oidc.name_claim),
        username_claim: ClaimPath::new(&oidc.username_claim),
        scope_claim: ClaimPath::new(&config.renga.scope_claim),
        api_audiences: oidc.api_audiences.clone(),
        keys: None,
        label: oidc.button_label.clone(),
        ca: certificates(oidc)?,
    }))
}

/// The certificates to trust besides the system's.
fn certificates(oidc: &section::Oidc) -> Result<Option<Vec<u8>>> {
    let Some(path) = &oidc.ca_file else { return Ok(None) };
    std::fs::read(path).map(Some).map_err(|error| {
        let why = format!("{} can't be read: {error}", path.display());
        Error::problems("config_invalid", vec![Problem::new("oidc.ca_file", why)])
    })
}

/// Whose tokens renga-deployer's API takes; `None` where it takes API keys alone.
///
/// # Errors
/// A file of certificates that can't be read; a key that is none.
pub fn renga(config: &Config) -> Result<Option<renga::Issuer>> {
    let (renga, oidc) = (&config.renga, &config.oidc);
    let Some(issuer) = renga.issuer.as_ref().or(oidc.issuer.as_ref()) else {
        return Ok(None);
    };
    let keys = renga.jwt_key.as_ref().map(|key| oidc::public_keys(key.expose_secret())).transpose();
    let keys = keys.map_err(|why| {
        Error::problems("config_invalid", vec![Problem::new("renga.jwt_key", why).hint(KEY)])
    })?;
    let audiences = match &renga.audience {
        Some(own) => vec![own.clone()],
        None => oidc.client_id.iter().chain(&oidc.api_audiences).cloned().collect(),
    };
    let groups_claim = renga.groups_claim.as_ref().unwrap_or(&oidc.groups_claim);
    let signs_in = oidc.issuer.as_ref().is_some_and(|signs_in| signs_in.as_str() == issuer.as_str());
    Ok(Some(renga::Issuer {
        apart: signs_in && (keys.is_some() || *groups_claim != oidc.groups_claim),
        issuer: issuer.as_str().to_owned(),
        audiences,
        keys,
        scope_claim: ClaimPath::new(&renga.scope_claim),
        groups_claim: ClaimPath::new(groups_claim),
        name_claim: ClaimPath::new(&oidc.name_claim),
        username_claim: ClaimPath::new(&oidc.username_claim),
        ca: certificates(oidc)?,
    }))
}

const KEY: &str =
    "Give the issuer's public key as PEM (`BEGIN PUBLIC KEY`), as its base64 alone, or as a JWK.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    /// What `[renga]` with these lines makes of an `[oidc]`, if there is one.
    fn read(with_oidc: bool, own: &str) -> Option<renga::Issuer> {
        let dir = tempfile::tempdir().unwrap();
        let oidc = "[oidc]\nissuer = \"https://id.example.org\"\nclient_id = \"slipway\"\n\
                    api_audiences = [\"api\"]\ngroups_claim = \"roles\"\n";
        let text = format!("{}[renga]\n{own}", if with_oidc { oidc } else { "" });
        std::fs::write(dir.path().join("config.toml"), text).unwrap();
        let flags = Flags { data_dir: Some(dir.path().to_owned()), ..Flags::default() };
        renga(&Config::load(&flags, &[]).unwrap().config).unwrap()
    }

    #[test]
    fn what_renga_does_not_say_of_its_issuer_is_that_of_oidc() {
        assert!(read(false, "").is_none(), "API keys alone");
        let same = read(true, "").unwrap();
        assert_eq!(
            (same.issuer.as_str(), &same.audiences[..]),
            ("https://id.example.org", &["slipway".to_owned(), "api".to_owned()][..])
        );
        assert_eq!((same.groups_claim.as_str(), same.scope_claim.as_str()), ("roles", "scope"));
        assert!(same.keys.is_none() && !same.apart);
        assert!(
            read(true, "groups_claim = \"teams\"\n").unwrap().apart,
            "another claim says who is in which group"
        );
        let own = "issuer = \"https://rm.example.org/\"\naudience = \"renga\"\ngroups_claim = \"groups\"\n\
                   scope_claim = \"https://rm.datascience.ch/scope\"\n\
                   jwt_key = '{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"x\": \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}'\n";
        for with_oidc in [true, false] {
            let own = read(with_oidc, own).unwrap();
            assert_eq!(
                (own.issuer.as_str(), &own.audiences[..]),
                ("https://rm.example.org/", &["renga".to_owned()][..])
            );
            let claims = (own.groups_claim.as_str(), own.scope_claim.as_str());
            assert_eq!(claims, ("groups", "https://rm.datascience.ch/scope"));
            assert!(own.keys.is_some() && !own.apart, "it has another name");
        }
    }
}
