//! Users, as administrators see them and as everyone sees themselves.

use serde_json::json;
use uuid::Uuid;

use super::{App, Note};
use crate::bus::Topic;
use crate::domain::access::{Caller, SubjectKind};
use crate::domain::name::GroupName;
use crate::domain::session::Session;
use crate::domain::user::{Preferences, User};
use crate::domain::{Error, Result};
use crate::store;

/// All users.
///
/// # Errors
/// Forbidden but for administrators.
pub async fn list(app: &App, caller: &Caller, after: Option<String>, limit: u32) -> Result<Vec<User>> {
    caller.subject.demand_admin("listing users")?;
    app.store.read(move |db| store::user::list(db, after.as_deref(), limit)).await
}

/// Every group that anything names: for choosing whom to grant.
///
/// # Errors
/// Without any right: those who can grant nothing see only their own.
pub async fn groups(app: &App, caller: &Caller) -> Result<Vec<GroupName>> {
    if !caller.subject.is_admin {
        return Ok(caller.subject.groups.iter().cloned().collect());
    }
    app.store.read(store::user::known_groups).await
}

/// Disables or enables a user; disabling ends its sessions.
///
/// # Errors
/// Forbidden but for administrators; one can't disable oneself.
pub async fn set_disabled(app: &App, caller: &Caller, id: Uuid, disabled: bool) -> Result<User> {
    caller.subject.demand_admin("disabling users")?;
    if disabled && caller.subject.kind == SubjectKind::User(id) {
        return Err(Error::conflict("own_account", "you can't disable your own account")
            .hint("Ask another administrator."));
    }
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let user = store::user::find(tx, id)?.ok_or_else(|| Error::not_found("user", id))?;
            let user = User { disabled, ..user };
            store::user::put(tx, &user)?;
            if disabled {
                store::session::delete_of(tx, Some(id), None)?;
            }
            let action = if disabled { "user.disabled" } else { "user.enabled" };
            app_.journal(
                tx,
                &caller,
                action,
                ("user", &id.to_string()),
                Note::detail(json!({ "name": user.name })),
            )?;
            tx.publish(Topic::Access);
            Ok(user)
        })
        .await
}

/// Ends all sessions of a user: one's own, or anybody's by an administrator.
pub async fn revoke_sessions(app: &App, caller: &Caller, id: Uuid) -> Result<usize> {
    if caller.subject.kind != SubjectKind::User(id) {
        caller.subject.demand_admin("ending somebody's sessions")?;
    }
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let ended = store::session::delete_of(tx, Some(id), None)?;
            let detail = json!({ "sessions": ended });
            app_.journal(
                tx,
                &caller,
                "user.sessions_revoked",
                ("user", &id.to_string()),
                Note::detail(detail),
            )?;
            tx.publish(Topic::Access);
            Ok(ended)
        })
        .await
}

/// The caller's own sessions.
pub async fn own_sessions(app: &App, caller: &Caller) -> Result<Vec<Session>> {
    let SubjectKind::User(id) = caller.subject.kind else {
        return Ok(Vec::new());
    };
    app.store.read(move |db| store::session::list(db, id)).await
}

/// How the caller likes the console; defaults for what is no user.
pub async fn preferences(app: &App, caller: &Caller) -> Result<Preferences> {
    let SubjectKind::User(id) = caller.subject.kind else {
        return Ok(Preferences::default());
    };
    let user = app.store.read(move |db| store::user::find(db, id)).await?;
    Ok(user.map(|user| user.preferences).unwrap_or_default())
}

/// Saves how the caller likes the console.
pub async fn set_preferences(app: &App, caller: &Caller, preferences: Preferences) -> Result<()> {
    let SubjectKind::User(id) = caller.subject.kind else {
        return Ok(());
    };
    app.store
        .write(move |tx| {
            // Who is signed in is remembered with its preferences.
            tx.publish(Topic::Access);
            store::user::set_preferences(tx, id, &preferences)
        })
        .await
}
