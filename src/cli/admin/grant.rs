//! `slipway admin grant`

use std::fmt::Display;

use crate::app::{infrastructure, project};
use crate::cli::admin::operator;
use crate::domain::Result;
use crate::domain::access::{InfrastructureRight, ProjectRight};
use crate::domain::name::{GroupName, InfrastructureId, ProjectKey};
use crate::instance::Instance;

/// The word that takes a right away.
const NONE: &str = "none";

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    on: On,
    /// The group
    #[arg(long, value_name = "GROUP")]
    group: GroupName,
    /// view, publish, deploy or admin on a project; view, deploy or admin on an infrastructure; none takes it away
    #[arg(long, value_name = "RIGHT")]
    right: String,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct On {
    /// On this project
    #[arg(long, value_name = "KEY")]
    project: Option<ProjectKey>,
    /// On this infrastructure
    #[arg(long, value_name = "ID")]
    infrastructure: Option<InfrastructureId>,
}

/// Gives or takes a right, and prints who has what afterwards.
pub async fn run(instance: &Instance, arguments: Arguments) -> Result<()> {
    let Arguments { on, group, right } = arguments;
    let (app, caller) = (&instance.app, operator());
    let given = Some(right.as_str()).filter(|right| *right != NONE);
    if let Some(key) = on.project {
        let right = given.map(ProjectRight::parse).transpose()?;
        show(&project::grant(app, &caller, key, group.clone(), right).await?)?;
    }
    if let Some(id) = on.infrastructure {
        let right = given.map(InfrastructureRight::parse).transpose()?;
        show(&infrastructure::grant(app, &caller, id, group, right).await?)?;
    }
    Ok(())
}

fn show<R: Display>(grants: &[(GroupName, R)]) -> Result<()> {
    let lines: String = grants.iter().map(|(group, right)| format!("{right}\t{group}\n")).collect();
    crate::cli::print(&lines)
}
