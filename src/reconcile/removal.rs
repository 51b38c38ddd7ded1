//! Deletes the deployments that somebody wants deleted and of which nothing runs any more.
//!
//! Part of the same round as what they leave on engines: an update's end wakes it, and so does a start.

use serde_json::json;

use super::{Note, Shared, note};
use crate::bus::Topic;
use crate::domain::Result;
use crate::domain::access::Subject;
use crate::domain::deployment::{Deployment, DeploymentRight};
use crate::domain::name::DeploymentId;
use crate::domain::update::{Outcome, Update, UpdateKind, UpdateState};
use crate::store;
use crate::store::Tx;

/// Deletes one that may go; anything else is left as it is.
pub(super) async fn one(shared: &Shared, id: &DeploymentId) {
    let (key, now) = (shared.journal_key.clone(), shared.clock.now());
    let (wanted, gone) = (id.clone(), id.clone());
    let written = shared.store.write(move |tx| delete(tx, &wanted, &key, now)).await;
    match written {
        Ok(false) => {}
        Ok(true) => {
            let forgotten = shared.store.observe(move |tx| store::observation::remove_deployment(tx, &gone));
            if let Err(error) = forgotten.await {
                tracing::debug!(%error, "what was observed of a deleted deployment can't be removed");
            }
        }
        Err(error) => {
            tracing::warn!(deployment = %id, %error, "a deployment can't be deleted now; it is tried again");
        }
    }
}

/// Deletes all that may go.
pub(super) async fn all(shared: &Shared) -> Result<()> {
    for id in shared.store.read(store::deployment::to_remove).await? {
        one(shared, &id).await;
    }
    Ok(())
}

fn delete(
    tx: &Tx<'_>,
    id: &DeploymentId,
    key: &store::audit::JournalKey,
    now: crate::domain::clock::Timestamp,
) -> Result<bool> {
    let system = Subject::system();
    let Some(found) = store::deployment::find(tx, id, &system)? else { return Ok(false) };
    let found: Deployment = found.authorize(&system, DeploymentRight::View)?.into_inner();
    let Some(removal) = &found.removal else { return Ok(false) };
    let runs = found.enabled || found.running_update.is_some();
    if runs || !store::update::open_of(tx, id)?.is_empty() {
        return Ok(false);
    }
    let stopped = store::update::last_ended(tx, id)?
        .is_some_and(|last| last.kind == UpdateKind::Stop && succeeded(&last));
    if !stopped {
        return Ok(false);
    }
    let volumes = store::release::delete(tx, &found, removal.volumes, now)?;
    let what = if removal.volumes { "volumes_removed" } else { "volumes_kept" };
    let mut detail = json!({ "requester": removal.requester.name });
    if !volumes.is_empty() {
        detail[what] = json!(volumes);
    }
    note(tx, key, id, Note { action: "deployment.deleted", reason: None, detail }, now)?;
    tx.publish(Topic::Work);
    tx.publish(Topic::Project(found.project));
    tx.publish(Topic::Deployment(id.clone()));
    Ok(true)
}

fn succeeded(update: &Update) -> bool {
    matches!(update.state, UpdateState::Ended { outcome: Outcome::Succeeded, .. })
}
