//! `slipway admin …`: what an operator with the data directory may do, beside a running server. Rights and keys that
//! change take effect there within a second.

mod api_key;
mod grant;
mod keys;
mod password;
mod sessions;
mod user;

use clap::Subcommand;

use crate::app::App;
use crate::cli::open;
use crate::config::Config;
use crate::domain::access::{Caller, Origin};
use crate::domain::group::Groups;
use crate::domain::name::GroupName;
use crate::domain::user::{LOCAL_ISSUER, User};
use crate::domain::{Error, Result};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes an API key and prints it, once and alone
    CreateApiKey(api_key::Arguments),
    /// Makes a user that signs in with a password
    CreateUser(user::Create),
    /// Sets the password of such a user anew, and ends its sessions
    ResetPassword(user::Reset),
    /// Gives a group a right on a project or an infrastructure, or takes it away
    Grant(grant::Arguments),
    /// Ends the sessions of one user or of everybody
    RevokeSessions(sessions::Arguments),
    /// Adds a fresh key to the key file, and seals every secret anew under it
    RotateKey,
}

/// Does one of them.
pub async fn run(command: Command, config: Config) -> Result<()> {
    let instance = open::beside(&config).await?;
    match command {
        Command::CreateApiKey(arguments) => api_key::create(&instance, arguments).await,
        Command::CreateUser(arguments) => user::create(&instance, arguments).await,
        Command::ResetPassword(arguments) => user::reset(&instance, arguments).await,
        Command::Grant(arguments) => grant::run(&instance, arguments).await,
        Command::RevokeSessions(arguments) => sessions::revoke(&instance, &arguments).await,
        Command::RotateKey => keys::rotate(&instance).await,
    }
}

/// The operator: whoever holds the data directory may do all.
fn operator() -> Caller {
    Caller { origin: Origin::CommandLine, ..Caller::system() }
}

fn groups(names: &[GroupName]) -> Groups {
    names.iter().cloned().collect()
}

/// Everybody who is known.
async fn everybody(app: &App) -> Result<Vec<User>> {
    const AT_ONCE: u32 = 500;
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = crate::app::user::list(app, &operator(), after, AT_ONCE).await?;
        after = page.last().map(|user| user.id.to_string());
        let last = page.len() < AT_ONCE as usize;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

/// The one user that `who` names: by id, by the name of a local user, or by the provider's subject or e-mail address.
async fn find_user(app: &App, who: &str) -> Result<User> {
    let users = everybody(app).await?;
    let local = |user: &&User| user.issuer == LOCAL_ISSUER && user.subject == who;
    let named = |user: &&User| {
        user.id.to_string() == who || user.subject == who || user.email.as_deref() == Some(who)
    };
    if let Some(user) = users.iter().find(local) {
        return Ok(user.clone());
    }
    let found: Vec<&User> = users.iter().filter(named).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            Err(Error::not_found("user", who).hint("A user of the provider is known once it has signed in."))
        }
        many => {
            let ids: Vec<String> = many.iter().map(|user| format!("{} ({})", user.id, user.issuer)).collect();
            Err(Error::field("user", format!("{who} may be any of {}", ids.join(", ")))
                .hint("Name it by its id."))
        }
    }
}
