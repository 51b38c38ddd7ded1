//! API keys: made by users for themselves, or by administrators for anything; shown once.

use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use super::{App, Note};
use crate::bus::Topic;
use crate::domain::access::{Caller, SubjectKind};
use crate::domain::api_key::{ApiKey, PREFIX};
use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;
use crate::domain::group::Groups;
use crate::domain::name::Label;
use crate::domain::{Error, Result, random};
use crate::store;
use crate::store::Tx;

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub name: Label,
    /// What it may act as; never more than its maker.
    pub groups: Groups,
    pub expires_at: Option<Timestamp>,
}

/// Makes a key; the secret is answered once and kept nowhere.
///
/// # Errors
/// Groups that its maker is not in; an end in the past; keys cannot make keys.
pub async fn create(app: &App, caller: &Caller, new: NewKey) -> Result<(ApiKey, SecretString)> {
    let owner = owner_of(caller)?;
    refuse_excess(caller, &new.groups)?;
    let now = app.now();
    if new.expires_at.is_some_and(|end| end <= now) {
        return Err(Error::field("expires_at", "the end lies in the past"));
    }
    let (app_, caller) = (app.clone(), caller.clone());
    app.store.write(move |tx| insert(&app_, tx, &caller, new, owner, None)).await
}

/// Makes a key with what the caller has: for a user, its own; for a key, one that belongs to the same user, holds the
/// same groups, and ends with it, by time as by revocation.
///
/// # Errors
/// Not found when the caller's own key is gone.
pub async fn derive(app: &App, caller: &Caller, name: Label) -> Result<(ApiKey, SecretString)> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let groups = caller.subject.groups.clone();
            let SubjectKind::ApiKey(id) = caller.subject.kind else {
                let owner = owner_of(&caller)?;
                return insert(&app_, tx, &caller, NewKey { name, groups, expires_at: None }, owner, None);
            };
            let parent = store::api_key::find(tx, id)?.filter(|key| key.is_live(app_.now()));
            let parent = parent.ok_or_else(|| Error::not_found("key", id))?;
            let new = NewKey { name, groups, expires_at: parent.expires_at };
            insert(&app_, tx, &caller, new, parent.owner, Some(parent.id))
        })
        .await
}

fn insert(
    app: &App,
    tx: &Tx<'_>,
    caller: &Caller,
    new: NewKey,
    owner: Option<Uuid>,
    parent: Option<Uuid>,
) -> Result<(ApiKey, SecretString)> {
    let secret = format!("{PREFIX}{}", random::token());
    let key = ApiKey {
        id: random::uuid(),
        name: new.name,
        hash: Digest::of(secret.as_bytes()),
        hint: secret.chars().take(PREFIX.len() + 4).collect(),
        groups: new.groups,
        owner,
        parent,
        created_at: app.now(),
        expires_at: new.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    store::api_key::insert(tx, &key)?;
    let detail =
        json!({ "name": key.name, "groups": key.groups, "expires_at": key.expires_at, "parent": parent });
    let object = ("api_key", &*key.id.to_string());
    app.journal(tx, caller, "api_key.created", object, Note::detail(detail))?;
    Ok((key, SecretString::from(secret)))
}

fn owner_of(caller: &Caller) -> Result<Option<Uuid>> {
    match caller.subject.kind {
        SubjectKind::User(id) => Ok(Some(id)),
        SubjectKind::System => Ok(None),
        SubjectKind::ApiKey(_) => {
            Err(Error::forbidden("a key cannot make keys", "Sign in to the console and make the key there."))
        }
    }
}

fn refuse_excess(caller: &Caller, groups: &Groups) -> Result<()> {
    if caller.subject.is_admin {
        return Ok(());
    }
    let foreign: Vec<&str> = groups.difference(&caller.subject.groups).map(AsRef::as_ref).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    Err(Error::field("groups", format!("you are not in {}", foreign.join(", ")))
        .hint("A key never has more than its maker."))
}

/// The caller's own keys.
pub async fn list_own(app: &App, caller: &Caller) -> Result<Vec<ApiKey>> {
    let SubjectKind::User(owner) = caller.subject.kind else {
        return Ok(Vec::new());
    };
    app.store.read(move |db| store::api_key::list(db, Some(owner))).await
}

/// All keys.
///
/// # Errors
/// Forbidden but for administrators.
pub async fn list_all(app: &App, caller: &Caller) -> Result<Vec<ApiKey>> {
    caller.subject.demand_admin("listing everybody's keys")?;
    app.store.read(|db| store::api_key::list(db, None)).await
}

/// Revokes a key: one's own, or any by an administrator.
///
/// # Errors
/// Not found when it is somebody else's.
pub async fn revoke(app: &App, caller: &Caller, id: Uuid) -> Result<ApiKey> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let key = store::api_key::find(tx, id)?.ok_or_else(|| Error::not_found("key", id))?;
            let own = matches!(caller.subject.kind, SubjectKind::User(user) if key.owner == Some(user));
            if !own && !caller.subject.is_admin {
                return Err(Error::not_found("key", id));
            }
            let now = app_.now();
            store::api_key::revoke(tx, id, now)?;
            let detail = json!({ "name": key.name });
            app_.journal(tx, &caller, "api_key.revoked", ("api_key", &id.to_string()), Note::detail(detail))?;
            tx.publish(Topic::Access);
            Ok(ApiKey { revoked_at: key.revoked_at.or(Some(now)), ..key })
        })
        .await
}
