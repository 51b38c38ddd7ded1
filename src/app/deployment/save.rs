//! Changing a deployment, and what a change would do.

use std::collections::BTreeMap;

use serde_json::json;

use super::{planned, refuse_fixed, running_plan, save_secrets, wanted_plan};
use crate::app::{App, Note, expect_revision, load};
use crate::bus::Topic;
use crate::domain::access::{Authorized, Caller};
use crate::domain::deployment::{Deployment, DeploymentRight, Removal, Settings, Source};
use crate::domain::diff::{self, Change};
use crate::domain::governance;
use crate::domain::name::{DeploymentId, SecretName, Version};
use crate::domain::pipeline::definition::is_own;
use crate::domain::plan::Downtime;
use crate::domain::secret::SecretChange;
use crate::domain::{Error, Result};
use crate::store;
use crate::store::Tx;

/// What may be changed of a deployment; `None` leaves it.
#[derive(Debug, Default)]
pub struct Changes {
    /// What it runs, where that is no bundle; the version is its definition.
    pub source: Option<Source>,
    /// It goes as soon as it has stopped.
    pub removal: Option<Removal>,
    pub version: Option<Version>,
    pub settings: Option<Settings>,
    pub secrets: BTreeMap<SecretName, SecretChange>,
    pub enabled: Option<bool>,
    pub auto_repair: Option<bool>,
    pub folder: Option<String>,
    /// The revision that the caller read.
    pub revision: Option<u32>,
    pub reason: Option<String>,
    /// Save it in spite of what governance warns of.
    pub ignore_warnings: bool,
}

impl Changes {
    /// Whether nothing that is asked for changes anything.
    pub(in crate::app) fn is_empty(&self) -> bool {
        let (version, source, removal) = (&self.version, &self.source, &self.removal);
        let what = version.is_none() && source.is_none() && removal.is_none() && self.secrets.is_empty();
        let how = self.settings.is_none() && self.enabled.is_none() && self.auto_repair.is_none();
        what && how && self.folder.is_none()
    }
}

/// Whether what a deployment wants was refused when it was last looked at.
pub(in crate::app) fn is_refused(db: &rusqlite::Connection, id: &DeploymentId) -> Result<bool> {
    Ok(store::deployment::digests(db, id)?.refusal.is_some())
}

/// Saves a deployment's settings; nothing runs differently before the next update.
///
/// # Errors
/// Without `deploy` on both; `changed_meanwhile`; `plan_refused`, naming every problem; `governance_warns` unless
/// warnings are ignored or nothing that runs would change.
pub async fn save(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
    changes: Changes,
) -> Result<Authorized<Deployment>> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let held = load::deployment(tx, &id, &caller.subject, DeploymentRight::Deploy)?;
            expect_revision("deployment", id.as_str(), held.revision, changes.revision)?;
            refuse_fixed(&held)?;
            let other = changes.version.as_ref().is_some_and(|version| *version != held.version);
            if other && !held.source.is_bundle() {
                let words = format!("deployment {id} runs no bundle; what it runs is made for it");
                return Err(
                    Error::field("bundle", words).hint("Leave it out, or roll back to an earlier update.")
                );
            }
            refuse_own_secrets(&held.source, changes.secrets.keys())?;
            apply(&app_, tx, &caller, held.into_inner(), &changes)?;
            load::deployment(tx, &id, &caller.subject, DeploymentRight::View)
        })
        .await
}

/// Refuses to set or remove by hand what a pipeline's definition has of its streams.
pub(in crate::app) fn refuse_own_secrets<'a>(
    source: &Source,
    names: impl Iterator<Item = &'a SecretName>,
) -> Result<()> {
    let mut own = names.filter(|name| source.pipeline().is_some() && is_own(name.as_str()));
    match own.next() {
        None => Ok(()),
        Some(name) => {
            Err(Error::field(format!("secrets.{name}"), "it comes from the pipeline's streams and options")
                .hint("Set the option of the stream, the pipeline or the deployment instead."))
        }
    }
}

/// Lays `changes` over a deployment inside somebody else's transaction, and journals what changed.
pub(in crate::app) fn apply(
    app: &App,
    tx: &Tx<'_>,
    caller: &Caller,
    before: Deployment,
    changes: &Changes,
) -> Result<Deployment> {
    let mut after = before.clone();
    if let Some(version) = &changes.version {
        after.version.clone_from(version);
    }
    if let Some(settings) = &changes.settings {
        after.settings.clone_from(settings);
    }
    if let Some(source) = &changes.source {
        after.source.clone_from(source);
    }
    if let Some(removal) = &changes.removal {
        after.removal = Some(removal.clone());
    }
    after.enabled = changes.enabled.unwrap_or(before.enabled);
    after.auto_repair = changes.auto_repair.unwrap_or(before.auto_repair);
    if let Some(folder) = &changes.folder {
        after.folder.clone_from(folder);
    }
    after.updated_at = app.now();
    after.revision += 1;
    save_secrets(app, tx, &after, &changes.secrets)?;
    let (plan, bundle) = planned(tx, &after)?;
    let wanted_before = store::deployment::digests(tx, &before.id)?.wanted;
    let digest = plan.digest();
    store::deployment::save(tx, &after, &digest)?;
    store::deployment::set_findings(tx, &after.id, &governance::examine(&plan, &bundle, &after.settings))?;
    if wanted_before.as_deref() != Some(digest.as_str()) {
        governance::refuse_warned(&store::deployment::governance(tx, &after.id)?, changes.ignore_warnings)?;
    }
    let mut detail = json!({ "revision": after.revision, "version": [before.version, after.version],
        "enabled": [before.enabled, after.enabled], "settings": [before.settings, after.settings],
        "secrets": changes.secrets.keys().collect::<Vec<_>>() });
    if before.source != after.source {
        detail["source"] = json!([before.source, after.source]);
    }
    let note = Note { reason: changes.reason.as_deref(), detail };
    app.journal(tx, caller, "deployment.saved", ("deployment", after.id.as_str()), note)?;
    tx.publish(Topic::Deployment(after.id.clone()));
    Ok(after)
}

/// What saving would make of a deployment and change of what runs.
#[derive(Debug)]
pub struct Saving {
    /// As it is saved now.
    pub deployment: Authorized<Deployment>,
    pub changes: Vec<Change>,
    pub downtime: Vec<Downtime>,
}

/// What `changes` would change of what runs, before they are saved. Secrets and the revision are left out.
///
/// # Errors
/// Without `view`; `plan_refused`, naming every problem.
pub async fn preview_save(app: &App, caller: &Caller, id: DeploymentId, changes: Changes) -> Result<Saving> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let deployment = load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let mut after = Deployment::clone(&deployment);
            after.version = changes.version.unwrap_or(after.version);
            after.settings = changes.settings.unwrap_or(after.settings);
            let (plan, running) = (wanted_plan(db, &after)?, running_plan(db, &deployment)?);
            let engine = load::engine(db, &deployment.infrastructure)?;
            Ok(Saving {
                changes: diff::plans(running.as_ref(), &plan),
                downtime: plan.downtime(running.as_ref(), engine.host_ports()),
                deployment,
            })
        })
        .await
}
