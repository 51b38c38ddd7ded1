//! Deployments of what nobody published: what they run is made by Slipway, and kept as bundles of a hidden project of
//! their own, so that plans, updates and roll backs need not know the difference.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::json;
use uuid::Uuid;

use super::insert_row;
use crate::app::{App, Note};
use crate::bus::Topic;
use crate::domain::access::{Authorized, Caller, ProjectRight};
use crate::domain::bundle::{Bundle, Digest, Manifest};
use crate::domain::deployment::{Deployment, Settings, Source};
use crate::domain::infrastructure::Infrastructure;
use crate::domain::name::{DeploymentId, GroupName, ProjectKey, SecretName, Version};
use crate::domain::project::Project;
use crate::domain::secret::SecretChange;
use crate::domain::workload::Workload;
use crate::domain::{Error, Result};
use crate::store;
use crate::store::Tx;

/// A deployment to be made; the caller was let through to all that it is made of.
#[derive(Debug)]
pub(in crate::app) struct Made {
    pub uuid: Uuid,
    /// Whose it is.
    pub group: Option<GroupName>,
    pub source: Source,
    pub workload: Workload,
    pub infrastructure: Authorized<Infrastructure>,
    pub settings: Settings,
    pub secrets: BTreeMap<SecretName, SecretChange>,
    pub auto_repair: bool,
    pub folder: String,
    pub ignore_warnings: bool,
}

/// Makes it; its id is its uuid. Nothing is queued.
pub(in crate::app) fn insert(app: &App, tx: &Tx<'_>, caller: &Caller, made: Made) -> Result<DeploymentId> {
    let (now, id) = (app.now(), DeploymentId::of_uuid(made.uuid));
    let project = ProjectKey::parse(made.uuid.to_string())?;
    store::project::insert_hidden(
        tx,
        &Project {
            key: project.clone(),
            description: String::new(),
            tags: Vec::new(),
            created_at: now,
            created_by: caller.subject.name.clone(),
            updated_at: now,
            revision: 1,
        },
    )?;
    regroup(tx, &project, made.group.as_ref())?;
    let version = freeze(app, tx, &project, 1, made.workload, &made.source)?;
    let deployment = Deployment {
        id: id.clone(),
        uuid: made.uuid,
        source: made.source,
        removal: None,
        project,
        infrastructure: made.infrastructure.id.clone(),
        version,
        enabled: true,
        settings: made.settings,
        auto_repair: made.auto_repair,
        folder: made.folder,
        deployed_project: None,
        created_at: now,
        created_by: caller.subject.name.clone(),
        updated_at: now,
        revision: 1,
        last_update: 0,
        running_update: None,
    };
    insert_row(app, tx, &deployment, &made.infrastructure, &made.secrets, made.ignore_warnings)?;
    let detail = json!({ "source": deployment.source, "infrastructure": deployment.infrastructure,
        "settings": deployment.settings, "secrets": made.secrets.keys().collect::<Vec<_>>() });
    app.journal(tx, caller, "deployment.created", ("deployment", id.as_str()), Note::detail(detail))?;
    tx.publish(Topic::Deployment(id.clone()));
    Ok(id)
}

/// Gives a hidden project to a group alone: its members may deploy what it keeps.
pub(in crate::app) fn regroup(tx: &Tx<'_>, project: &ProjectKey, group: Option<&GroupName>) -> Result<()> {
    for (held, _) in store::project::grants(tx, project)? {
        if Some(&held) != group {
            store::project::grant(tx, project, &held, None)?;
            tx.publish(Topic::Access);
        }
    }
    if let Some(group) = group {
        store::project::grant(tx, project, group, Some(ProjectRight::Deploy))?;
    }
    Ok(())
}

/// Notes what a deployment is made from.
pub(in crate::app) fn link(tx: &Tx<'_>, id: &DeploymentId, uses: &[Uuid]) -> Result<()> {
    store::resource::link(tx, id, uses)
}

/// Keeps a definition under its number.
pub(in crate::app) fn freeze(
    app: &App,
    tx: &Tx<'_>,
    project: &ProjectKey,
    number: u32,
    workload: Workload,
    source: &Source,
) -> Result<Version> {
    let version = Version::parse(number.to_string())?;
    let manifest = Manifest {
        name: None,
        version: None,
        workload,
        made_of: Some(Box::new(source.clone())),
        warnings: Vec::new(),
    };
    let text = store::row::json(&manifest);
    store::bundle::insert(
        tx,
        &Bundle {
            project: project.clone(),
            version: version.clone(),
            digest: Digest::of(text.as_bytes()),
            size: text.len() as u64,
            manifest,
            files: Vec::new(),
            uploader: "slipway".to_owned(),
            created_at: app.now(),
        },
    )?;
    Ok(version)
}

/// What a deployment's settings want now.
#[derive(Debug)]
pub(in crate::app) struct Current {
    pub number: u32,
    pub workload: Workload,
}

/// The definition that a deployment wants.
pub(in crate::app) fn current(db: &Connection, deployment: &Deployment) -> Result<Current> {
    let (project, version) = (&deployment.project, &deployment.version);
    let bundle = store::bundle::find(db, project, version)?;
    let bundle = bundle.ok_or_else(|| Error::internal(format!("{project} has no definition {version}")))?;
    let number = version.as_str().parse().map_err(Error::internal)?;
    Ok(Current { number, workload: bundle.manifest.workload })
}

/// The number of a deployment's next definition.
pub(in crate::app) fn next(db: &Connection, deployment: &Deployment) -> Result<u32> {
    Ok(store::bundle::last_number(db, &deployment.project)? + 1)
}
