//! The same bundle on the next stage.

use std::collections::BTreeMap;

use super::{Changes, NewDeployment, create, get, save};
use crate::app::{App, Idempotency, remember, replayed};
use crate::domain::access::{Authorized, Caller};
use crate::domain::deployment::Deployment;
use crate::domain::name::{DeploymentId, InfrastructureId};
use crate::domain::{Error, Kind, Result};

/// Where a bundle goes.
#[derive(Debug)]
pub struct Promotion {
    pub to: InfrastructureId,
    /// `<project>-on-<infrastructure>` where none is named.
    pub as_id: Option<DeploymentId>,
    /// Do it in spite of what governance warns of there.
    pub ignore_warnings: bool,
}

/// Takes a deployment's bundle to another infrastructure with one action: makes the deployment there, or moves the
/// one that is there to the same bundle. Settings travel, secrets do not: they are set there.
///
/// # Errors
/// As [`create`] and [`save`].
pub async fn promote(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
    promotion: Promotion,
    once: Option<Idempotency>,
) -> Result<Authorized<Deployment>> {
    let Promotion { to, as_id, ignore_warnings } = promotion;
    if let Some(there) = promoted_before(app, caller, once.clone()).await? {
        return get(app, caller, there).await;
    }
    let from = get(app, caller, id).await?;
    if !from.source.is_bundle() {
        let words = format!("deployment {} runs no bundle, which alone is promoted", from.id);
        return Err(Error::conflict("not_promotable", words)
            .hint("Make another deployment of the same pipeline there."));
    }
    let target = match as_id {
        Some(target) => target,
        None => DeploymentId::parse(format!("{}-on-{to}", from.project))?,
    };
    let existing = match get(app, caller, target.clone()).await {
        Ok(existing) => Some(existing),
        Err(error) if error.kind == Kind::NotFound => None,
        Err(error) => return Err(error),
    };
    let reason = Some(format!("promoted from {}", from.id));
    match existing {
        Some(there) if there.project == from.project && there.infrastructure == to => {
            let version = Some(from.version.clone());
            let changes = Changes { version, reason, ignore_warnings, ..Changes::default() };
            let saved = save(app, caller, target.clone(), changes).await?;
            let (app_, caller) = (app.clone(), caller.clone());
            let noted =
                app.store.write(move |tx| remember(tx, &caller, once.as_ref(), target.as_str(), app_.now()));
            noted.await?;
            Ok(saved)
        }
        Some(_) => Err(Error::conflict(
            "deployment_exists",
            format!("{target} exists, and is not {} on {to}", from.project),
        )
        .hint("Name another id.")),
        None => {
            let new = NewDeployment {
                id: Some(target),
                project: from.project.clone(),
                version: from.version.clone(),
                infrastructure: to,
                settings: from.settings.clone(),
                ignore_warnings,
                secrets: BTreeMap::new(),
                auto_repair: from.auto_repair,
                folder: from.folder.clone(),
                deployed_project: from.deployed_project.clone(),
            };
            create(app, caller, new, once).await
        }
    }
}

/// Where an earlier request of the same key took it.
async fn promoted_before(
    app: &App,
    caller: &Caller,
    once: Option<Idempotency>,
) -> Result<Option<DeploymentId>> {
    let caller = caller.clone();
    let before = app.store.read(move |db| replayed(db, &caller, once.as_ref())).await?;
    before.map(DeploymentId::parse).transpose()
}
