//! Going back to what an earlier update had.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{Request, asked_before, enqueue, one, rollable};
use crate::app::deployment::{self, running_plan, wanted_plan};
use crate::app::{App, Idempotency, load, pipeline, remember};
use crate::domain::access::Caller;
use crate::domain::deployment::{Deployment, DeploymentRight, Settings, Source};
use crate::domain::diff::{self, Change};
use crate::domain::name::{DeploymentId, Version};
use crate::domain::pipeline::PipelineUse;
use crate::domain::update::{Update, UpdateKind};
use crate::domain::{Error, Result};
use crate::store;

/// Queues an update back to what an earlier one had: bundle, settings and policy of then, secrets of now.
/// The deployment's settings go back with it, so that it is in sync afterwards.
///
/// # Errors
/// Without `deploy` on both; `not_rollable` for an update that never ended well; `plan_refused` by today's policy.
pub async fn roll_back(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
    to: u32,
    reason: Option<String>,
    once: Option<Idempotency>,
) -> Result<Update> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let held = load::deployment(tx, &id, &caller.subject, DeploymentRight::Deploy)?;
            if let Some(first) = asked_before(tx, &caller, &id, once.as_ref())? {
                return Ok(first);
            }
            deployment::refuse_fixed(&held)?;
            let (version, settings) = target_of(tx, &id, to)?;
            let source = source_of(tx, &held, &version)?;
            let secrets = match source.as_ref().and_then(Source::pipeline) {
                Some(of) => pipeline::restored(&app_, tx, &caller.subject, &held, of)?,
                None => BTreeMap::new(),
            };
            let changes = deployment::Changes {
                source,
                secrets,
                version: Some(version),
                settings: Some(settings),
                enabled: Some(true),
                reason: reason.clone(),
                // It was let through once, or ran: what is warned of now shows in its health.
                ignore_warnings: true,
                ..deployment::Changes::default()
            };
            let deployment = deployment::apply(&app_, tx, &caller, held.into_inner(), &changes)?;
            let held = load::deployment(tx, &deployment.id, &caller.subject, DeploymentRight::Deploy)?;
            let plan = wanted_plan(tx, &held)?;
            let request = Request { kind: UpdateKind::RollBack, reason, rolls_back_to: Some(to) };
            let update = enqueue(&app_, tx, &caller, &held, &plan, request)?;
            remember(tx, &caller, once.as_ref(), &update.number.to_string(), app_.now())?;
            Ok(update)
        })
        .await
}

/// What a definition was made of, where a deployment runs no bundle.
fn source_of(db: &Connection, deployment: &Deployment, version: &Version) -> Result<Option<Source>> {
    if deployment.source.is_bundle() {
        return Ok(None);
    }
    let definition = store::bundle::find(db, &deployment.project, version)?;
    let made_of = definition.and_then(|definition| definition.manifest.made_of).map(|source| *source);
    Ok(match (made_of, deployment.source.pipeline()) {
        // What people call it is not what it runs.
        (Some(Source::Pipeline(of)), Some(now)) => {
            Some(Source::Pipeline(PipelineUse { name: now.name.clone(), ..of }))
        }
        (made_of, _) => made_of,
    })
}

/// What rolling back to the update `to` would change against what runs, with its settings of then and the secrets of
/// now.
///
/// # Errors
/// Without `view`; `not_rollable`; `plan_refused` by today's policy.
pub async fn preview_roll_back(app: &App, caller: &Caller, id: DeploymentId, to: u32) -> Result<Vec<Change>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let held = load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let (version, settings) = target_of(db, &id, to)?;
            let running = running_plan(db, &held)?;
            let then = Deployment { version, settings, enabled: true, ..held.into_inner() };
            Ok(diff::plans(running.as_ref(), &wanted_plan(db, &then)?))
        })
        .await
}

/// The bundle and the settings that an update had, if it can be gone back to.
fn target_of(db: &Connection, id: &DeploymentId, to: u32) -> Result<(Version, Settings)> {
    let earlier = one(db, id, to)?;
    match (rollable(&earlier), store::update::settings(db, id, to)?) {
        (true, Some(settings)) => Ok((earlier.version, settings)),
        _ => Err(Error::conflict("not_rollable", format!("update {to} of {id} never ran to a good end"))
            .hint("Choose one that succeeded.")),
    }
}
