//! Opens the instance of a configuration: for the server, and for commands beside it.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::app::Rules;
use crate::auth::Lifetimes;
use crate::auth::oidc::{self, ClaimPath, GroupsFrom};
use crate::blob;
use crate::config::Config;
use crate::config::kind::{BaseUrl, GroupsSource};
use crate::domain::clock::SystemClock;
use crate::domain::{Error, Problem, Result};
use crate::engine::fake::FakeEngine;
use crate::engine::registry::Factory;
use crate::instance::{Instance, Options};
use crate::store::Mode;

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
    let engines = |_: &str| -> Factory { Box::new(move |_| Arc::new(FakeEngine::new(clock.clone()))) };
    open(config, mode, Box::new(engines)).await
}

/// Opens the instance.
///
/// # Errors
/// See [`Instance::open`].
pub async fn open(
    config: &Config,
    mode: Mode,
    engines: Box<dyn FnOnce(&str) -> Factory + Send>,
) -> Result<Instance> {
    Instance::open(Options {
        dir: &config.data_dir,
        mode,
        clock: Arc::new(SystemClock),
        rules: rules(config),
        lifetimes: lifetimes(config)?,
        archive_limits: archive_limits(config),
        local_engine: config.docker.connection(),
        engines,
    })
    .await
}

fn rules(config: &Config) -> Rules {
    Rules {
        admin_groups: config.access.admin_groups.iter().cloned().collect(),
        project_makers: config.access.project_makers.iter().cloned().collect(),
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
    let ca = oidc.ca_file.as_ref().map(|path| {
        std::fs::read(path).map_err(|error| {
            let why = format!("{} can't be read: {error}", path.display());
            Error::problems("config_invalid", vec![Problem::new("oidc.ca_file", why)])
        })
    });
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
        api_audiences: oidc.api_audiences.clone(),
        label: oidc.button_label.clone(),
        ca: ca.transpose()?,
    }))
}
