//! `slipway admin create-user` and `slipway admin reset-password`

use crate::auth::local::NewLocal;
use crate::cli::admin::{groups, operator, password};
use crate::domain::Result;
use crate::domain::name::GroupName;
use crate::instance::Instance;

#[derive(Debug, clap::Args)]
pub struct Create {
    /// What the user signs in as
    #[arg(long, value_name = "USER")]
    username: String,
    /// The name that is shown [default: the user name]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    name: String,
    /// A group the user is in; may be given again
    #[arg(long = "group", value_name = "GROUP", num_args = 1..)]
    groups: Vec<GroupName>,
    #[command(flatten)]
    password: password::Source,
}

#[derive(Debug, clap::Args)]
pub struct Reset {
    /// What the user signs in as
    #[arg(long, value_name = "USER")]
    username: String,
    #[command(flatten)]
    password: password::Source,
}

/// Makes a local user.
pub async fn create(instance: &Instance, arguments: Create) -> Result<()> {
    let new = NewLocal {
        username: arguments.username,
        name: arguments.name,
        password: arguments.password.read()?,
        groups: groups(&arguments.groups),
    };
    let user = instance.auth.create_local(&operator(), new).await?;
    crate::cli::print(&format!("{}\n", user.id))
}

/// Sets a local user's password anew.
pub async fn reset(instance: &Instance, arguments: Reset) -> Result<()> {
    let password = arguments.password.read()?;
    instance.auth.reset_password(&operator(), &arguments.username, password).await
}
