//! Opens the instance of a configuration: for the server, and for commands beside it.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::app::Rules;
use crate::auth::Lifetimes;
use crate::blob;
use crate::config::Config;
use crate::domain::clock::SystemClock;
use crate::domain::{Error, Result};
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
    Ok(Lifetimes {
        idle: delta(config.session.idle)?,
        absolute: delta(config.session.absolute)?,
    })
}

fn archive_limits(config: &Config) -> blob::Limits {
    blob::Limits {
        entries: config.bundles.max_entries as usize,
        inflated: config.bundles.max_inflated.0,
        ..blob::Limits::default()
    }
}
