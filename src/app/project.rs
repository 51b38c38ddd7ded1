//! Projects: made by those whom the configuration names, seen and managed by those whom their grants name.

use std::collections::BTreeMap;

use serde_json::json;

use super::{App, Idempotency, Note, expect_revision, load, regranted, remember, replayed, told};
use crate::bus::Topic;
use crate::domain::access::{Authorized, Caller, ProjectRight, Subject};
use crate::domain::name::{GroupName, ProjectKey};
use crate::domain::page::{Page, PageRequest};
use crate::domain::project::Project;
use crate::domain::{Error, Result};
use crate::store;
use crate::store::Tx;
pub use crate::store::project::Filter;

/// A project to be made.
#[derive(Debug, Clone)]
pub struct NewProject {
    pub key: ProjectKey,
    pub description: String,
    pub tags: Vec<String>,
    /// Which of the maker's groups gets `admin`; the first one that is no admin group when none is named.
    pub group: Option<GroupName>,
}

/// Makes a project.
///
/// # Errors
/// Forbidden for callers outside the configured groups or without any group; `project_exists`.
pub async fn create(
    app: &App,
    caller: &Caller,
    new: NewProject,
    once: Option<Idempotency>,
) -> Result<Authorized<Project>> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            if replayed(tx, &caller, once.as_ref())?.is_none() {
                insert(&app_, tx, &caller, &new)?;
                remember(tx, &caller, once.as_ref(), new.key.as_str(), app_.now())?;
            }
            load::project(tx, &new.key, &caller.subject, ProjectRight::View)
        })
        .await
}

/// Makes a project inside somebody else's transaction: an upload makes the project that is missing.
pub(super) fn insert(app: &App, tx: &Tx<'_>, caller: &Caller, new: &NewProject) -> Result<()> {
    let group = maker_group(app, &caller.subject, new.group.as_ref())?;
    if uuid::Uuid::try_parse(new.key.as_str()).is_ok() {
        return Err(Error::field("project", "a key may not be a uuid: those are made by Slipway itself"));
    }
    // The one answer that tells of a project to somebody who may not see it: keys are one for all. Only who might have
    // made it hears that.
    if store::project::find(tx, &new.key, &Subject::system())?.is_some() {
        return Err(Error::conflict("project_exists", format!("the key {} is taken", new.key))
            .hint("Choose another key, or ask its administrators for a right on it."));
    }
    let now = app.now();
    let project = Project {
        key: new.key.clone(),
        description: new.description.clone(),
        tags: new.tags.clone(),
        created_at: now,
        created_by: caller.subject.name.clone(),
        updated_at: now,
        revision: 1,
    };
    store::project::insert(tx, &project)?;
    if let Some(group) = &group {
        store::project::grant(tx, &new.key, group, Some(ProjectRight::Admin))?;
    }
    let detail = json!({ "admin": group, "tags": new.tags });
    app.journal(tx, caller, "project.created", ("project", new.key.as_str()), Note::detail(detail))?;
    tx.publish(Topic::Project(new.key.clone()));
    tx.publish(Topic::Access);
    Ok(())
}

/// Why the caller makes no projects; `None`: it may.
pub fn making_refused(app: &App, caller: &Caller) -> Option<Error> {
    maker_group(app, &caller.subject, None).err()
}

/// The group that a project of this maker belongs to.
pub(super) fn maker_group(
    app: &App,
    subject: &Subject,
    wanted: Option<&GroupName>,
) -> Result<Option<GroupName>> {
    let makers = &app.rules.project_makers;
    if !subject.is_admin && !makers.is_empty() && subject.groups.is_disjoint(makers) {
        let names: Vec<&str> = makers.iter().map(GroupName::as_str).collect();
        return Err(Error::forbidden(
            "making projects takes a group that the configuration names",
            format!("Ask a member of {}.", names.join(", ")),
        ));
    }
    if let Some(wanted) = wanted {
        if subject.is_admin || subject.groups.contains(wanted) {
            return Ok(Some(wanted.clone()));
        }
        return Err(Error::field("group", format!("{wanted} is none of your groups")));
    }
    let own = subject.groups.iter().find(|group| !app.rules.admin_groups.contains(*group));
    match own {
        None if !subject.is_admin => Err(Error::forbidden(
            "a project belongs to a group, and you are in no group",
            "Ask your identity provider's administrator for a group, then sign in again.",
        )),
        own => Ok(own.cloned()),
    }
}

/// One project with the caller's right on it.
pub async fn get(app: &App, caller: &Caller, key: ProjectKey) -> Result<Authorized<Project>> {
    let subject = caller.subject.clone();
    app.store.read(move |db| load::project(db, &key, &subject, ProjectRight::View)).await
}

/// The projects that the caller may see, by key, with its right on each.
pub async fn list(
    app: &App,
    caller: &Caller,
    filter: Filter,
    page: PageRequest,
) -> Result<Page<(Project, ProjectRight)>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let mut items =
                store::project::list(db, &subject, &filter, page.after.as_deref(), page.limit + 1)?;
            let more = items.len() > page.limit as usize;
            items.truncate(page.limit as usize);
            let next = if more { items.last().map(|(project, _)| project.key.to_string()) } else { None };
            Ok(Page { items, next })
        })
        .await
}

/// What may be changed of a project; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub description: Option<String>,
    pub tags: Option<Vec<String>>,
    /// Every grant on it: a group that is not named loses what it has.
    pub grants: Option<BTreeMap<GroupName, ProjectRight>>,
    /// The revision that the caller read.
    pub revision: Option<u32>,
}

/// Saves description, tags and grants.
///
/// # Errors
/// Without `admin` on it; `changed_meanwhile`.
pub async fn save(
    app: &App,
    caller: &Caller,
    key: ProjectKey,
    changes: Changes,
) -> Result<Authorized<Project>> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let held = load::project(tx, &key, &caller.subject, ProjectRight::Admin)?;
            expect_revision("project", key.as_str(), held.revision, changes.revision)?;
            let mut project = held.into_inner();
            project.updated_at = app_.now();
            project.revision += 1;
            project.description = changes.description.clone().unwrap_or(project.description);
            project.tags = changes.tags.clone().unwrap_or(project.tags);
            store::project::update(tx, &project)?;
            let detail = json!({ "description": project.description, "tags": project.tags });
            app_.journal(tx, &caller, "project.saved", ("project", key.as_str()), Note::detail(detail))?;
            tx.publish(Topic::Project(key.clone()));
            let saved = load::project(tx, &key, &caller.subject, ProjectRight::View)?;
            for (group, right) in regranted(store::project::grants(tx, &key)?, changes.grants.as_ref()) {
                set_grant(&app_, tx, &caller, &key, &group, right)?;
            }
            Ok(saved)
        })
        .await
}

/// Deletes a project and its bundles.
///
/// # Errors
/// Without `admin` on it; `project_in_use`, naming deployments.
pub async fn delete(app: &App, caller: &Caller, key: ProjectKey) -> Result<()> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            load::project(tx, &key, &caller.subject, ProjectRight::Admin)?;
            let users = store::deployment::users_of(tx, None, Some(&key))?;
            if !users.is_empty() {
                return Err(Error::conflict(
                    "project_in_use",
                    format!("project {key} is used by {}", told(tx, &caller.subject, users)?),
                )
                .hint("Delete them first."));
            }
            store::project::delete(tx, &key)?;
            app_.journal(tx, &caller, "project.deleted", ("project", key.as_str()), Note::default())?;
            tx.publish(Topic::Project(key));
            Ok(())
        })
        .await
}

/// The grants on a project.
///
/// # Errors
/// Without `view` on it.
pub async fn grants(app: &App, caller: &Caller, key: ProjectKey) -> Result<Vec<(GroupName, ProjectRight)>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            load::project(db, &key, &subject, ProjectRight::View)?;
            store::project::grants(db, &key)
        })
        .await
}

/// Gives a group a right on a project, or takes it away with `None`.
///
/// # Errors
/// Without `admin` on it.
pub async fn grant(
    app: &App,
    caller: &Caller,
    key: ProjectKey,
    group: GroupName,
    right: Option<ProjectRight>,
) -> Result<Vec<(GroupName, ProjectRight)>> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            load::project(tx, &key, &caller.subject, ProjectRight::Admin)?;
            set_grant(&app_, tx, &caller, &key, &group, right)?;
            store::project::grants(tx, &key)
        })
        .await
}

fn set_grant(
    app: &App,
    tx: &Tx<'_>,
    caller: &Caller,
    key: &ProjectKey,
    group: &GroupName,
    right: Option<ProjectRight>,
) -> Result<()> {
    store::project::grant(tx, key, group, right)?;
    let detail = json!({ "group": group, "right": right });
    app.journal(tx, caller, "project.granted", ("project", key.as_str()), Note::detail(detail))?;
    tx.publish(Topic::Access);
    tx.publish(Topic::Project(key.clone()));
    Ok(())
}
