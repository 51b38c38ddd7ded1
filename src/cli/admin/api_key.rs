//! `slipway admin create-api-key`

use std::time::Duration;

use chrono::TimeDelta;
use secrecy::ExposeSecret as _;

use crate::app::api_key::{self, NewKey};
use crate::cli::admin::{groups, operator};
use crate::config::value_of_time;
use crate::domain::name::{GroupName, Label};
use crate::domain::{Error, Result};
use crate::instance::Instance;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What the key is for
    #[arg(long, value_name = "NAME")]
    name: Label,
    /// A group whose rights the key has; may be given again
    #[arg(long = "group", value_name = "GROUP", required = true, num_args = 1..)]
    groups: Vec<GroupName>,
    /// How long it works, e.g. 30d [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = value_of_time)]
    expires: Option<Duration>,
}

/// Makes a key and prints it, alone, so that a script can take it.
pub async fn create(instance: &Instance, arguments: Arguments) -> Result<()> {
    let life = arguments.expires.map(TimeDelta::from_std).transpose();
    let life = life.map_err(|_| Error::field("expires", "this is longer than time is counted"))?;
    let new = NewKey {
        name: arguments.name,
        groups: groups(&arguments.groups),
        expires_at: life.map(|life| instance.app.now() + life),
    };
    let (_, secret) = api_key::create(&instance.app, &operator(), new).await?;
    crate::cli::print(&format!("{}\n", secret.expose_secret()))
}
