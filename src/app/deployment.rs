//! Deployments: creating and saving deploy nothing; one asynchronous update converges to what was saved.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::json;

use super::{App, Idempotency, Note, expect_revision, load, remember, replayed};
use crate::bus::Topic;
use crate::crypto::Context;
use crate::domain::access::{Authorized, Caller, InfrastructureRight, ProjectRight, Subject};
use crate::domain::bundle::Bundle;
use crate::domain::deployment::{Deployment, DeploymentRight, Settings};
use crate::domain::diff::{self, Change};
use crate::domain::infrastructure::Infrastructure;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, SecretName, Version};
use crate::domain::page::{Page, PageRequest};
use crate::domain::plan::{self, Downtime, Plan};
use crate::domain::secret::{SecretChange, SecretInfo};
use crate::domain::{Error, Result, random};
use crate::engine::SlotState;
use crate::store;
use crate::store::Tx;
pub use crate::store::deployment::{Filter, Sort, State, Summary};
use crate::store::observation::EngineNote;

/// A deployment to be made.
#[derive(Debug)]
pub struct NewDeployment {
    /// Derived from project and infrastructure when none is named.
    pub id: Option<DeploymentId>,
    pub project: ProjectKey,
    pub version: Version,
    pub infrastructure: InfrastructureId,
    pub settings: Settings,
    pub secrets: BTreeMap<SecretName, SecretChange>,
    pub auto_repair: bool,
    pub folder: String,
}

/// Makes a deployment; nothing runs before its first update.
///
/// # Errors
/// Without `deploy` on project and infrastructure; `deployment_exists`; `plan_refused`, naming every problem.
pub async fn create(
    app: &App,
    caller: &Caller,
    new: NewDeployment,
    once: Option<Idempotency>,
) -> Result<Authorized<Deployment>> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            if let Some(id) = replayed(tx, &caller, once.as_ref())? {
                return load::deployment(
                    tx,
                    &DeploymentId::parse(id)?,
                    &caller.subject,
                    DeploymentRight::View,
                );
            }
            let id = insert(&app_, tx, &caller, &new)?;
            remember(tx, &caller, once.as_ref(), id.as_str(), app_.now())?;
            load::deployment(tx, &id, &caller.subject, DeploymentRight::View)
        })
        .await
}

fn insert(app: &App, tx: &Tx<'_>, caller: &Caller, new: &NewDeployment) -> Result<DeploymentId> {
    load::project(tx, &new.project, &caller.subject, ProjectRight::Deploy)?;
    let infrastructure =
        load::infrastructure(tx, &new.infrastructure, &caller.subject, InfrastructureRight::Deploy)?;
    let id = match &new.id {
        Some(id) => id.clone(),
        None => DeploymentId::parse(format!("{}-on-{}", new.project, new.infrastructure))?,
    };
    if store::deployment::find(tx, &id, &Subject::system())?.is_some() {
        return Err(
            Error::conflict("deployment_exists", format!("the id {id} is taken")).hint("Choose another id.")
        );
    }
    let now = app.now();
    let deployment = Deployment {
        id: id.clone(),
        uuid: random::uuid(),
        project: new.project.clone(),
        infrastructure: new.infrastructure.clone(),
        version: new.version.clone(),
        enabled: true,
        settings: new.settings.clone(),
        auto_repair: new.auto_repair,
        folder: new.folder.clone(),
        created_at: now,
        created_by: caller.subject.name.clone(),
        updated_at: now,
        revision: 1,
        last_update: 0,
        running_update: None,
    };
    let versions: Vec<SecretInfo> = new
        .secrets
        .iter()
        .filter(|(_, change)| matches!(change, SecretChange::Set(_)))
        .map(|(name, _)| SecretInfo { name: name.clone(), version: deployment.revision, updated_at: now })
        .collect();
    let bundle = bundle_of(tx, &deployment)?;
    let plan = resolve(&deployment, &bundle, &infrastructure, &versions)?;
    store::deployment::insert(tx, &deployment, &plan.digest())?;
    save_secrets(app, tx, &deployment, &new.secrets)?;
    let detail = json!({ "project": new.project, "version": new.version, "infrastructure": new.infrastructure,
        "settings": new.settings, "secrets": new.secrets.keys().collect::<Vec<_>>() });
    app.journal(tx, caller, "deployment.created", ("deployment", id.as_str()), Note::detail(detail))?;
    tx.publish(Topic::Deployment(id.clone()));
    tx.publish(Topic::Project(new.project.clone()));
    Ok(id)
}

/// A secret's version is the revision of the save that set it: no two values of a deployment ever share one, even
/// when a secret is removed and set again between two updates.
fn save_secrets(
    app: &App,
    tx: &Connection,
    deployment: &Deployment,
    changes: &BTreeMap<SecretName, SecretChange>,
) -> Result<()> {
    use secrecy::ExposeSecret as _;
    let (id, version) = (&deployment.id, deployment.revision);
    for (name, change) in changes {
        match change {
            SecretChange::Remove => store::secret::remove(tx, id, name)?,
            SecretChange::Set(value) => {
                let context = Context { table: "secret", row: id.as_str(), name: name.as_str(), version };
                let sealed = app.keys.seal(&context, value.expose_secret().as_bytes());
                store::secret::put(tx, id, name, version, &sealed, app.now())?;
            }
        }
    }
    Ok(())
}

/// The bundle that a deployment's settings want.
pub(super) fn bundle_of(db: &Connection, deployment: &Deployment) -> Result<Bundle> {
    let (project, version) = (&deployment.project, &deployment.version);
    store::bundle::find(db, project, version)?.ok_or_else(|| {
        Error::field("version", format!("project {project} has no bundle {version}"))
            .hint("Upload it, or choose one of the project's bundles.")
    })
}

/// Lays a deployment's settings over its bundle.
pub(super) fn resolve(
    deployment: &Deployment,
    bundle: &Bundle,
    infrastructure: &Infrastructure,
    secrets: &[SecretInfo],
) -> Result<Plan> {
    plan::resolve(&plan::Inputs {
        deployment: &deployment.id,
        bundle,
        infrastructure,
        enabled: deployment.enabled,
        settings: &deployment.settings,
        secrets,
    })
}

/// The plan that a deployment's saved settings give now.
pub(super) fn wanted_plan(db: &Connection, deployment: &Deployment) -> Result<Plan> {
    let infrastructure = load::infrastructure(
        db,
        &deployment.infrastructure,
        &Subject::system(),
        InfrastructureRight::Deploy,
    )?;
    let secrets = store::secret::list(db, &deployment.id)?;
    resolve(deployment, &bundle_of(db, deployment)?, &infrastructure, &secrets)
}

/// The plan that runs, if any does.
pub(super) fn running_plan(db: &Connection, deployment: &Deployment) -> Result<Option<Plan>> {
    match deployment.running_update {
        None => Ok(None),
        Some(number) => store::update::plan(db, &deployment.id, number),
    }
}

/// Plans every deployment on an infrastructure again, after its policy changed.
pub(super) fn plan_again(tx: &Tx<'_>, infrastructure: &Infrastructure) -> Result<()> {
    for id in store::deployment::ids(tx, Some(&infrastructure.id))? {
        let deployment = load::deployment(tx, &id, &Subject::system(), DeploymentRight::View)?;
        let planned = wanted_plan(tx, &deployment).map(|plan| plan.digest());
        let refusal = planned.as_ref().map_err(ToString::to_string).err();
        let wanted = planned.as_ref().map_err(|_| refusal.as_deref().unwrap_or_default());
        store::deployment::set_wanted(tx, &id, wanted)?;
        tx.publish(Topic::Deployment(id));
    }
    Ok(())
}

/// What may be changed of a deployment; `None` leaves it.
#[derive(Debug, Default)]
pub struct Changes {
    pub version: Option<Version>,
    pub settings: Option<Settings>,
    pub secrets: BTreeMap<SecretName, SecretChange>,
    pub enabled: Option<bool>,
    pub auto_repair: Option<bool>,
    pub folder: Option<String>,
    /// The revision that the caller read.
    pub revision: Option<u32>,
    pub reason: Option<String>,
}

/// Saves a deployment's settings; nothing runs differently before the next update.
///
/// # Errors
/// Without `deploy` on both; `changed_meanwhile`; `plan_refused`, naming every problem.
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
            apply(&app_, tx, &caller, held.into_inner(), &changes)?;
            load::deployment(tx, &id, &caller.subject, DeploymentRight::View)
        })
        .await
}

/// Lays `changes` over a deployment inside somebody else's transaction, and journals what changed.
pub(super) fn apply(
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
    after.enabled = changes.enabled.unwrap_or(before.enabled);
    after.auto_repair = changes.auto_repair.unwrap_or(before.auto_repair);
    if let Some(folder) = &changes.folder {
        after.folder.clone_from(folder);
    }
    after.updated_at = app.now();
    after.revision += 1;
    save_secrets(app, tx, &after, &changes.secrets)?;
    let plan = wanted_plan(tx, &after)?;
    store::deployment::save(tx, &after, &plan.digest())?;
    let detail = json!({ "revision": after.revision, "version": [before.version, after.version],
        "enabled": [before.enabled, after.enabled], "settings": [before.settings, after.settings],
        "secrets": changes.secrets.keys().collect::<Vec<_>>() });
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
            Ok(Saving {
                changes: diff::plans(running.as_ref(), &plan),
                downtime: plan.downtime(running.as_ref()),
                deployment,
            })
        })
        .await
}

/// A deployment's secrets, by name and version.
///
/// # Errors
/// Without `view`.
pub async fn secrets(app: &App, caller: &Caller, id: DeploymentId) -> Result<Vec<SecretInfo>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            load::deployment(db, &id, &subject, DeploymentRight::View)?;
            store::secret::list(db, &id)
        })
        .await
}

/// Deletes a deployment.
///
/// # Errors
/// Without `deploy` on both; `deployment_not_stopped` unless it is disabled and updated since, or was never updated.
pub async fn delete(app: &App, caller: &Caller, id: DeploymentId) -> Result<()> {
    let (app_, caller, gone) = (app.clone(), caller.clone(), id.clone());
    app.store
        .write(move |tx| {
            let held = load::deployment(tx, &id, &caller.subject, DeploymentRight::Deploy)?;
            refuse_running(tx, &held)?;
            store::deployment::delete(tx, &id)?;
            app_.journal(tx, &caller, "deployment.deleted", ("deployment", id.as_str()), Note::default())?;
            tx.publish(Topic::Project(held.project.clone()));
            tx.publish(Topic::Deployment(id));
            Ok(())
        })
        .await?;
    app.store.observe(move |tx| store::observation::remove_deployment(tx, &gone)).await
}

fn refuse_running(tx: &Connection, deployment: &Deployment) -> Result<()> {
    let id = &deployment.id;
    let way_out = "Stop it (disable and update), then delete it.";
    if !store::update::open_of(tx, id)?.is_empty() {
        return Err(Error::conflict("deployment_updating", format!("deployment {id} is being updated"))
            .hint("Wait for the update to end, or cancel it."));
    }
    if deployment.last_update == 0 {
        return Ok(());
    }
    if deployment.enabled || deployment.running_update.is_some() {
        return Err(Error::conflict(
            "deployment_not_stopped",
            format!("deployment {id} can be deleted only when it is disabled and was updated since"),
        )
        .hint(way_out));
    }
    Ok(())
}

/// The id of the deployment that `text` names: an id, or a uuid.
///
/// # Errors
/// Not found, in the caller's own words, so that a uuid of somebody else's tells nothing.
pub async fn id_of(app: &App, caller: &Caller, text: &str) -> Result<DeploymentId> {
    let absent = || Error::not_found("deployment", text.chars().take(130).collect::<String>());
    let Ok(uuid) = uuid::Uuid::try_parse(text) else {
        return DeploymentId::parse(text).map_err(|_| absent());
    };
    let subject = caller.subject.clone();
    let found = app
        .store
        .read(move |db| {
            store::deployment::find_uuid(db, uuid, &subject)?.map_or(Ok(None), |found| {
                match found.authorize(&subject, DeploymentRight::View) {
                    Ok(found) => Ok(Some(found.id.clone())),
                    Err(error) if error.kind == crate::domain::Kind::NotFound => Ok(None),
                    Err(error) => Err(error),
                }
            })
        })
        .await?;
    found.ok_or_else(absent)
}

/// One deployment with the caller's right on it.
pub async fn get(app: &App, caller: &Caller, id: DeploymentId) -> Result<Authorized<Deployment>> {
    let subject = caller.subject.clone();
    app.store.read(move |db| load::deployment(db, &id, &subject, DeploymentRight::View)).await
}

/// One deployment with the caller's right on it, and what lists show of it.
pub async fn with_summary(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
) -> Result<(Authorized<Deployment>, Summary)> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let deployment = load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let summary = store::deployment::summary(db, &id)?;
            Ok((deployment, summary.ok_or_else(|| Error::not_found("deployment", &id))?))
        })
        .await
}

/// Everything that a deployment's page shows.
#[derive(Debug)]
pub struct Detail {
    pub deployment: Authorized<Deployment>,
    pub summary: Summary,
    pub infrastructure: Infrastructure,
    /// What runs now; `None` when nothing does.
    pub running: Option<Plan>,
    /// What the settings give, or why they give nothing.
    pub wanted: std::result::Result<Plan, Error>,
    /// The wanted against the running plan.
    pub changes: Vec<Change>,
    pub downtime: Vec<Downtime>,
    pub slots: Vec<SlotState>,
    pub secrets: Vec<SecretInfo>,
    pub events: Vec<EngineNote>,
}

/// Everything about one deployment, from one moment.
pub async fn detail(app: &App, caller: &Caller, id: DeploymentId) -> Result<Detail> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let deployment = load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let summary =
                store::deployment::summary(db, &id)?.ok_or_else(|| Error::not_found("deployment", &id))?;
            let system = Subject::system();
            let infrastructure =
                load::infrastructure(db, &deployment.infrastructure, &system, InfrastructureRight::View)?;
            let running = running_plan(db, &deployment)?;
            let wanted = wanted_plan(db, &deployment);
            let changes = wanted.as_ref().map(|plan| diff::plans(running.as_ref(), plan)).unwrap_or_default();
            let downtime = wanted.as_ref().map(|plan| plan.downtime(running.as_ref())).unwrap_or_default();
            Ok(Detail {
                summary,
                infrastructure: infrastructure.into_inner(),
                running,
                changes,
                downtime,
                wanted,
                slots: store::observation::slots(db, &id)?,
                secrets: store::secret::list(db, &id)?,
                events: store::observation::events(db, &id, 20)?,
                deployment,
            })
        })
        .await
}

/// What the engine last told of a deployment's replicas, newest first.
///
/// # Errors
/// Without `view`.
pub async fn events(app: &App, caller: &Caller, id: DeploymentId, limit: u32) -> Result<Vec<EngineNote>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            load::deployment(db, &id, &subject, DeploymentRight::View)?;
            store::observation::events(db, &id, limit)
        })
        .await
}

/// The deployments that the caller may see.
///
/// # Errors
/// `invalid_cursor`.
pub async fn list(app: &App, caller: &Caller, filter: Filter, page: PageRequest) -> Result<Page<Summary>> {
    let subject = caller.subject.clone();
    let after = page.after.as_deref().map(decode_cursor).transpose()?;
    app.store
        .read(move |db| {
            let mut items = store::deployment::list(db, &subject, &filter, after.as_ref(), page.limit + 1)?;
            let more = items.len() > page.limit as usize;
            items.truncate(page.limit as usize);
            let next = if more { items.last().map(|last| encode_cursor(last, filter.sort)) } else { None };
            Ok(Page { items, next })
        })
        .await
}

pub(super) fn encode_cursor(last: &Summary, sort: Sort) -> String {
    use base64::Engine as _;
    let value = store::deployment::sort_value(last, sort);
    let after = store::deployment::After { value, id: last.deployment.id.to_string() };
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(store::row::json(&after))
}

pub(super) fn decode_cursor(cursor: &str) -> Result<store::deployment::After> {
    use base64::Engine as _;
    let wrong = || Error::field("after", "this is no cursor of this list").hint("Start from the first page.");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
    serde_json::from_slice(&bytes).map_err(|_| wrong())
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
    to: InfrastructureId,
    as_id: Option<DeploymentId>,
) -> Result<Authorized<Deployment>> {
    let from = get(app, caller, id).await?;
    let target = match as_id {
        Some(target) => target,
        None => DeploymentId::parse(format!("{}-on-{to}", from.project))?,
    };
    let existing = match get(app, caller, target.clone()).await {
        Ok(existing) => Some(existing),
        Err(error) if error.kind == crate::domain::Kind::NotFound => None,
        Err(error) => return Err(error),
    };
    let reason = Some(format!("promoted from {}", from.id));
    match existing {
        Some(there) if there.project == from.project && there.infrastructure == to => {
            let changes = Changes { version: Some(from.version.clone()), reason, ..Changes::default() };
            save(app, caller, target, changes).await
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
                secrets: BTreeMap::new(),
                auto_repair: from.auto_repair,
                folder: from.folder.clone(),
            };
            create(app, caller, new, None).await
        }
    }
}
