//! What belongs to one group ([`crate::domain::resource`]): made, saved and deleted alike, whatever noun it is.

use rusqlite::Connection;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use serde_json::json;
use uuid::Uuid;

use super::{App, Idempotency, Note, expect_revision, load, remember, replayed};
use crate::bus::Topic;
use crate::crypto::Context;
use crate::domain::access::{Authorized, Caller, Subject};
use crate::domain::name::{DeploymentId, GroupName, Label};
use crate::domain::page::{Page, PageRequest};
use crate::domain::pipeline::definition::Secrets;
use crate::domain::resource::{Noun, Resource};
use crate::domain::stream::MASK;
use crate::domain::{Error, Problem, Result, random};
use crate::store;
use crate::store::Tx;
pub use crate::store::resource::Filter;
use crate::store::resource::Sealed;

/// A resource to be made, or what it shall be from now on.
#[derive(Debug, Clone)]
pub struct Draft<S> {
    pub name: Label,
    /// Whose it shall be: one of the caller's groups; where none is named, the first that is no admin group, and of a
    /// resource that is there the one that it has.
    pub group: Option<GroupName>,
    pub spec: S,
}

/// What a noun adds to what holds for all of them.
pub(super) trait Kept: Noun {
    /// Checks what it refers to, for who saves it.
    fn check(&self, _db: &Connection, _who: &Subject) -> Result<()> {
        Ok(())
    }

    /// Goes on after one was saved, in the same transaction.
    fn saved(_app: &App, _tx: &Tx<'_>, _caller: &Caller, _resource: &Resource<Self>) -> Result<()> {
        Ok(())
    }

    /// What else keeps one from being deleted, in words for `who`.
    fn used_by(_db: &Connection, _who: &Subject, _uuid: Uuid) -> Result<Option<String>> {
        Ok(None)
    }
}

/// Makes one.
pub(super) async fn create<S: Kept>(
    app: &App,
    caller: &Caller,
    draft: Draft<S>,
    once: Option<Idempotency>,
) -> Result<Authorized<Resource<S>>> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            if let Some(made) = replayed(tx, &caller, once.as_ref())? {
                return load::resource(tx, made.parse().map_err(Error::internal)?, &caller.subject);
            }
            let uuid = insert(&app_, tx, &caller, draft)?;
            remember(tx, &caller, once.as_ref(), &uuid.to_string(), app_.now())?;
            load::resource(tx, uuid, &caller.subject)
        })
        .await
}

fn insert<S: Kept>(app: &App, tx: &Tx<'_>, caller: &Caller, draft: Draft<S>) -> Result<Uuid> {
    let Draft { name, group, mut spec } = draft;
    let group = owner(app, &caller.subject, group.as_ref())?;
    spec.check(tx, &caller.subject)?;
    let (now, given) = (app.now(), spec.take_secrets());
    let resource = Resource {
        uuid: random::uuid(),
        name,
        group,
        spec,
        created_at: now,
        created_by: caller.subject.name.clone(),
        updated_at: now,
        revision: 1,
    };
    store::resource::insert(tx, &resource)?;
    keep_secrets(app, tx, &resource, &given)?;
    note(app, tx, caller, "created", &resource, None)?;
    Ok(resource.uuid)
}

/// The group that something of this maker belongs to; `None`: an administrator's who is in no other group.
///
/// # Errors
/// For a group that is none of the maker's; forbidden without any.
pub(super) fn owner(app: &App, subject: &Subject, wanted: Option<&GroupName>) -> Result<Option<GroupName>> {
    match wanted {
        Some(wanted) if subject.is_admin || subject.groups.contains(wanted) => Ok(Some(wanted.clone())),
        Some(wanted) => Err(Error::field("group", format!("{wanted} is none of your groups"))),
        None => match subject.groups.iter().find(|group| !app.rules.admin_groups.contains(*group)) {
            None if !subject.is_admin => Err(Error::forbidden(
                "this belongs to a group, and you are in no group",
                "Ask your identity provider's administrator for a group, then sign in again.",
            )),
            own => Ok(own.cloned()),
        },
    }
}

/// One of them.
pub(super) async fn get<S: Noun>(app: &App, caller: &Caller, uuid: Uuid) -> Result<Authorized<Resource<S>>> {
    let subject = caller.subject.clone();
    app.store.read(move |db| load::resource(db, uuid, &subject)).await
}

/// Those that the caller may see, each with how many deployments are made from it; the cursor is the last one's uuid.
pub(super) async fn list<S: Noun>(
    app: &App,
    caller: &Caller,
    text: Option<String>,
    page: PageRequest,
) -> Result<Page<(Resource<S>, u32)>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let filter = Filter::new(text);
            let mut found =
                store::resource::list::<S>(db, &subject, &filter, page.after.as_deref(), page.limit + 1)?;
            let more = found.len() > page.limit as usize;
            found.truncate(page.limit as usize);
            let uuids: Vec<Uuid> = found.iter().map(|one| one.uuid).collect();
            let users: std::collections::HashMap<Uuid, u32> =
                store::resource::count_users(db, &uuids)?.into_iter().collect();
            let next = found.last().filter(|_| more).map(|last| last.uuid.to_string());
            let counted = |one: Resource<S>| {
                let count = users.get(&one.uuid).copied().unwrap_or(0);
                (one, count)
            };
            Ok(Page { items: found.into_iter().map(counted).collect(), next })
        })
        .await
}

/// Saves one. Secret values that stand masked stay as they are.
///
/// # Errors
/// `changed_meanwhile`; a masked value that was never given.
pub(super) async fn save<S: Kept>(
    app: &App,
    caller: &Caller,
    uuid: Uuid,
    draft: Draft<S>,
    revision: Option<u32>,
) -> Result<Authorized<Resource<S>>> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let before = load::resource::<S>(tx, uuid, &caller.subject)?.into_inner();
            expect_revision(S::NOUN, &uuid.to_string(), before.revision, revision)?;
            let Draft { name, group, mut spec } = draft;
            spec.check(tx, &caller.subject)?;
            let given = spec.take_secrets();
            let group = match group {
                Some(group) if before.group.as_ref() == Some(&group) => Some(group),
                Some(group) => owner(&app_, &caller.subject, Some(&group))?,
                None => before.group.clone(),
            };
            let after = Resource {
                name,
                group,
                spec,
                updated_at: app_.now(),
                revision: before.revision + 1,
                ..before
            };
            store::resource::update(tx, &after)?;
            keep_secrets(&app_, tx, &after, &given)?;
            S::saved(&app_, tx, &caller, &after)?;
            note(&app_, tx, &caller, "saved", &after, None)?;
            load::resource(tx, uuid, &caller.subject)
        })
        .await
}

/// Deletes one; answers what it was.
///
/// # Errors
/// `in_use`, in words that the caller may read.
pub(super) async fn delete<S: Kept>(app: &App, caller: &Caller, uuid: Uuid) -> Result<Resource<S>> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let last = load::resource::<S>(tx, uuid, &caller.subject)?.into_inner();
            let users = store::resource::users(tx, uuid)?;
            let users: Vec<String> = users.into_iter().map(|id| id.to_string()).collect();
            let used = match users.is_empty() {
                false => Some(super::told(tx, &caller.subject, users)?),
                true => S::used_by(tx, &caller.subject, uuid)?,
            };
            if let Some(used) = used {
                let words = format!("{} {uuid} is used by {used}", S::NOUN);
                return Err(Error::conflict("in_use", words).hint("Delete those first."));
            }
            store::resource::delete(tx, uuid)?;
            note(&app_, tx, &caller, "deleted", &last, None)?;
            Ok(last)
        })
        .await
}

/// The deployments that are made from a resource.
pub(super) fn users(db: &Connection, uuid: Uuid) -> Result<Vec<DeploymentId>> {
    store::resource::users(db, uuid)
}

fn note<S: Noun>(
    app: &App,
    tx: &Tx<'_>,
    caller: &Caller,
    how: &str,
    resource: &Resource<S>,
    reason: Option<&str>,
) -> Result<()> {
    let detail = json!({ "name": resource.name, "group": resource.group, "revision": resource.revision, "spec": resource.spec });
    let (action, id) = (format!("{}.{how}", S::NOUN), resource.uuid.to_string());
    app.journal(tx, caller, &action, (S::NOUN, &id), Note { reason, detail })?;
    tx.publish(Topic::Resource(resource.uuid));
    Ok(())
}

/// Seals what was given, and forgets what is not among the resource's secrets any more.
fn keep_secrets<S: Noun>(
    app: &App,
    tx: &Tx<'_>,
    resource: &Resource<S>,
    given: &std::collections::BTreeMap<String, String>,
) -> Result<()> {
    let wanted = resource.spec.secrets();
    let names: Vec<&str> = wanted.keys().map(String::as_str).collect();
    store::resource::keep_secrets(tx, resource.uuid, &names)?;
    let (uuid, version) = (resource.uuid, resource.revision);
    for (name, value) in given {
        let sealed = sealed(app, uuid, name, version, value.as_bytes());
        store::resource::put_secret(tx, uuid, (name, version, &sealed), app.now())?;
    }
    let held = store::resource::sealed(tx, uuid)?;
    let missing = wanted.iter().filter(|(name, _)| !held.iter().any(|(held, ..)| held == *name));
    let problem = |(_, place): (&String, &String)| {
        Problem::new(place.clone(), "its value is not known")
            .hint(format!("{MASK} stands for a value that was given before; give it once more."))
    };
    let problems: Vec<Problem> = missing.map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::problems("invalid_input", problems)) }
}

/// Seals a value for its place.
pub(super) fn sealed(app: &App, uuid: Uuid, name: &str, version: u32, clear: &[u8]) -> Vec<u8> {
    let row = uuid.to_string();
    app.keys.seal(&Context { table: "resource_secret", row: &row, name, version }, clear)
}

/// Opens a value.
pub(super) fn opened(app: &App, uuid: Uuid, (name, version, blob): &Sealed) -> Result<Zeroizing<Vec<u8>>> {
    let row = uuid.to_string();
    app.keys.open(&Context { table: "resource_secret", row: &row, name, version: *version }, blob)
}

/// The values of a resource's secrets.
pub(super) fn secrets(app: &App, db: &Connection, uuid: Uuid) -> Result<Secrets> {
    let values = store::resource::sealed(db, uuid)?.into_iter().map(|sealed| {
        let value = opened(app, uuid, &sealed)?;
        Ok((sealed.0, SecretString::from(String::from_utf8_lossy(&value).into_owned())))
    });
    values.collect()
}
