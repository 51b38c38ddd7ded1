//! `slipway admin revoke-sessions`

use crate::app::user;
use crate::cli::admin::{everybody, find_user, operator};
use crate::domain::Result;
use crate::instance::Instance;

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Arguments {
    /// A user: the id, the name of a local user, the provider's subject, or the e-mail address
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Everybody
    #[arg(long)]
    everybody: bool,
}

/// Ends sessions, and says how many.
pub async fn revoke(instance: &Instance, arguments: &Arguments) -> Result<()> {
    let app = &instance.app;
    let users = match &arguments.user {
        Some(who) => vec![find_user(app, who).await?],
        None => everybody(app).await?,
    };
    let mut ended = 0;
    for one in users {
        ended += user::revoke_sessions(app, &operator(), one.id).await?;
    }
    crate::cli::print(&format!("{ended} ended\n"))
}
