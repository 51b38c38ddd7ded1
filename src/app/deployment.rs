//! Deployments: creating and saving deploy nothing; one asynchronous update converges to what was saved.

pub(super) mod made;
mod promote;
mod read;
mod remove;
mod save;

use std::collections::BTreeMap;

use rusqlite::Connection;
use secrecy::SecretString;
use serde_json::json;

use super::{App, Idempotency, Note, load, remember, replayed};
use crate::bus::Topic;
use crate::crypto::Context;
use crate::domain::access::{Authorized, Caller, InfrastructureRight, ProjectRight, Subject};
use crate::domain::approval::Standing;
use crate::domain::bundle::Bundle;
use crate::domain::deployment::{Deployment, DeploymentRight, Settings, Source};
use crate::domain::governance::{self, Finding};
use crate::domain::infrastructure::Infrastructure;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, SecretName, Version, VolumeName};
use crate::domain::plan::{self, Plan};
use crate::domain::secret::{SecretChange, SecretInfo};
use crate::domain::{Error, Result, random};
use crate::store;
use crate::store::Tx;
pub use crate::store::deployment::list::{Filter, Sort, State, Summary};
pub use promote::{Promotion, promote};
pub use read::{Detail, definition, detail, events, get, id_of, list, list_with_objects, with_summary};
pub(super) use read::{decode_cursor, encode_cursor};
pub(super) use remove::refuse_fixed;
pub use remove::{refuse_run, remove};
pub use save::{Changes, Saving, preview_save, save};
pub(super) use save::{apply, is_refused, refuse_own_secrets};

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
    /// What Dataiku's clients call the project where it is deployed.
    pub deployed_project: Option<ProjectKey>,
    /// Make it in spite of what governance warns of.
    pub ignore_warnings: bool,
}

/// Makes a deployment; nothing runs before its first update.
///
/// # Errors
/// Without `deploy` on project and infrastructure; `deployment_exists`; `plan_refused`, naming every problem;
/// `governance_warns` unless warnings are ignored.
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
        Some(id) => id.clone().chosen()?,
        None => DeploymentId::parse(format!("{}-on-{}", new.project, new.infrastructure))?,
    };
    let now = app.now();
    let deployment = Deployment {
        id: id.clone(),
        uuid: random::uuid(),
        source: Source::Bundle,
        removal: None,
        project: new.project.clone(),
        infrastructure: new.infrastructure.clone(),
        version: new.version.clone(),
        enabled: true,
        settings: new.settings.clone(),
        auto_repair: new.auto_repair,
        folder: new.folder.clone(),
        deployed_project: new.deployed_project.clone(),
        created_at: now,
        created_by: caller.subject.name.clone(),
        updated_at: now,
        revision: 1,
        last_update: 0,
        running_update: None,
    };
    insert_row(app, tx, &deployment, &infrastructure, &new.secrets, new.ignore_warnings)?;
    let detail = json!({ "project": new.project, "version": new.version, "infrastructure": new.infrastructure,
        "settings": new.settings, "secrets": new.secrets.keys().collect::<Vec<_>>() });
    app.journal(tx, caller, "deployment.created", ("deployment", id.as_str()), Note::detail(detail))?;
    tx.publish(Topic::Deployment(id.clone()));
    tx.publish(Topic::Project(new.project.clone()));
    Ok(id)
}

/// Plans it, asks governance, and adds its row and its secrets.
fn insert_row(
    app: &App,
    tx: &Tx<'_>,
    deployment: &Deployment,
    infrastructure: &Infrastructure,
    secrets: &BTreeMap<SecretName, SecretChange>,
    ignore_warnings: bool,
) -> Result<()> {
    let set = secrets.iter().filter(|(_, change)| matches!(change, SecretChange::Set(_)));
    let info = |(name, _): (&SecretName, &SecretChange)| SecretInfo {
        name: name.clone(),
        version: deployment.revision,
        updated_at: deployment.updated_at,
    };
    let versions: Vec<SecretInfo> = set.map(info).collect();
    let bundle = bundle_of(tx, deployment)?;
    let plan = resolve(deployment, &bundle, infrastructure, &versions)?;
    let findings = governance::examine(&plan, &bundle, &deployment.settings);
    let untested =
        governance::untested(&store::test::outcomes(tx, &deployment.project, &deployment.version)?);
    let all: Vec<Finding> = findings.iter().cloned().chain(untested).collect();
    let warned = governance::messages(infrastructure.govern_policy, Standing::None, &all);
    governance::refuse_warned(&warned, ignore_warnings)?;
    refuse_taken(tx, &deployment.id, &deployment.infrastructure)?;
    store::deployment::insert(tx, deployment, &plan.digest())?;
    store::deployment::set_findings(tx, &deployment.id, &findings)?;
    save_secrets(app, tx, deployment, secrets)
}

/// Last, and without a word of whose it is: ids are one for all, so this alone tells of a deployment that the caller may
/// not see, and only when nothing else stood in the way of making it.
fn refuse_taken(tx: &Tx<'_>, id: &DeploymentId, infrastructure: &InfrastructureId) -> Result<()> {
    if store::deployment::find(tx, id, &Subject::system())?.is_some() {
        return Err(
            Error::conflict("deployment_exists", format!("the id {id} is taken")).hint("Choose another id.")
        );
    }
    refuse_released(tx, id, infrastructure)
}

/// A deployment's secrets in clear, by name.
pub(super) fn opened_secrets(
    app: &App,
    db: &Connection,
    id: &DeploymentId,
) -> Result<BTreeMap<SecretName, SecretString>> {
    let opened = store::secret::sealed(db, id)?.into_iter().map(|(name, version, sealed)| {
        let context = Context { table: "secret", row: id.as_str(), name: name.as_str(), version };
        let value = app.keys.open(&context, &sealed)?;
        let text = SecretString::from(String::from_utf8_lossy(&value).into_owned());
        Ok((name, text))
    });
    opened.collect()
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
    Ok(planned(db, deployment)?.0)
}

/// The same, with the bundle that it was made of.
pub(super) fn planned(db: &Connection, deployment: &Deployment) -> Result<(Plan, Bundle)> {
    let infrastructure = load::infrastructure(
        db,
        &deployment.infrastructure,
        &Subject::system(),
        InfrastructureRight::Deploy,
    )?;
    let secrets = store::secret::list(db, &deployment.id)?;
    let bundle = bundle_of(db, deployment)?;
    Ok((resolve(deployment, &bundle, &infrastructure, &secrets)?, bundle))
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
        let planned = planned(tx, &deployment);
        let examine =
            |(plan, bundle): &(Plan, Bundle)| governance::examine(plan, bundle, &deployment.settings);
        let findings = planned.as_ref().map(examine).unwrap_or_default();
        store::deployment::set_findings(tx, &id, &findings)?;
        let planned = planned.map(|(plan, _)| plan.digest());
        let refusal = planned.as_ref().map_err(ToString::to_string).err();
        let wanted = planned.as_ref().map_err(|_| refusal.as_deref().unwrap_or_default());
        store::deployment::set_wanted(tx, &id, wanted)?;
        tx.publish(Topic::Deployment(id));
    }
    Ok(())
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
pub async fn delete(app: &App, caller: &Caller, id: DeploymentId, volumes: bool) -> Result<()> {
    let (app_, caller, gone) = (app.clone(), caller.clone(), id.clone());
    app.store
        .write(move |tx| {
            let held = load::deployment(tx, &id, &caller.subject, DeploymentRight::Deploy)?;
            refuse_running(tx, &held)?;
            delete_row(&app_, tx, &caller, &held, volumes)
        })
        .await?;
    app.store.observe(move |tx| store::observation::remove_deployment(tx, &gone)).await
}

/// Deletes what runs no more, and has its engine clean up behind it.
fn delete_row(app: &App, tx: &Tx<'_>, caller: &Caller, held: &Deployment, volumes: bool) -> Result<()> {
    let names = store::release::delete(tx, held, volumes, app.now())?;
    let what = if volumes { "volumes_removed" } else { "volumes_kept" };
    let detail = if names.is_empty() { json!({}) } else { json!({ what: names }) };
    let note = Note::detail(detail);
    app.journal(tx, caller, "deployment.deleted", ("deployment", held.id.as_str()), note)?;
    tx.publish(Topic::Work);
    tx.publish(Topic::Project(held.project.clone()));
    tx.publish(Topic::Deployment(held.id.clone()));
    Ok(())
}

/// The named volumes that a deployment's updates have made, which stay when it is stopped, and when it is deleted unless
/// somebody wants them gone.
///
/// # Errors
/// Without `view` on it.
pub async fn volumes(app: &App, caller: &Caller, id: DeploymentId) -> Result<Vec<VolumeName>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            load::deployment(db, &id, &subject, DeploymentRight::View)?;
            store::update::volumes(db, &id)
        })
        .await
}

/// A deployment of a deleted one's id takes over its network and volumes, unless those are just being removed.
fn refuse_released(tx: &Tx<'_>, id: &DeploymentId, infrastructure: &InfrastructureId) -> Result<()> {
    if store::release::takes_volumes(tx, id, infrastructure)? {
        return Err(Error::conflict(
            "deployment_being_removed",
            format!("volumes of a deleted deployment {id} are still being removed from {infrastructure}"),
        )
        .hint(
            "Try again in a moment, or choose another id. The infrastructure's engine has to answer for it.",
        ));
    }
    store::release::forget(tx, id, infrastructure)
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
