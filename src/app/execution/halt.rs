//! Stopping an execution, with what it has written left to be read.

use serde_json::json;
use uuid::Uuid;

use super::{Execution, cancel_open, get, load};
use crate::app::deployment::{running_plan, wanted_plan};
use crate::app::{App, Note, update};
use crate::domain::Result;
use crate::domain::access::{Authorized, Caller};
use crate::domain::deployment::{Deployment, DeploymentRight};
use crate::domain::update::UpdateKind;
use crate::engine::Phase;
use crate::store::{self, Tx};

/// Stops an execution without removing anything: its container and its output stay. One that was not seen to run yet
/// is not started any more. One that has ended, or is being stopped, is left as it is.
///
/// # Errors
/// Not found; without `deploy` on its infrastructure.
pub async fn stop(app: &App, caller: &Caller, uuid: Uuid) -> Result<Execution> {
    let (app_, who) = (app.clone(), caller.clone());
    // What was observed is read apart: it is no part of what is written.
    let seen = get(app, caller, None, uuid).await?.slot.map(|slot| slot.phase);
    app.store
        .write(move |tx| {
            let held = load(tx, &who.subject, None, uuid, DeploymentRight::Deploy)?;
            let open = store::update::open_of(tx, &held.id)?;
            if !held.enabled || open.iter().any(|update| update.kind == UpdateKind::Halt) {
                return Ok(());
            }
            match &seen {
                // It was started, and is not seen: the engine may have it all the same.
                None if open.is_empty() && held.running_update.is_some() => enqueue(&app_, tx, &who, &held),
                None | Some(Phase::Created | Phase::Pending | Phase::Blocked) => {
                    cancel_open(&app_, tx, &who, &held)
                }
                Some(Phase::Exited { .. } | Phase::Dead) => Ok(()),
                Some(_) => enqueue(&app_, tx, &who, &held),
            }
        })
        .await?;
    get(app, caller, None, uuid).await
}

fn enqueue(app: &App, tx: &Tx<'_>, caller: &Caller, held: &Authorized<Deployment>) -> Result<()> {
    let plan = match running_plan(tx, held)? {
        Some(running) => running,
        None => wanted_plan(tx, held)?,
    };
    let update = update::queued(app, caller, &plan, UpdateKind::Halt, Some("stopped".to_owned()));
    let number = store::update::enqueue(tx, &update, &plan, &[])?;
    let detail = json!({ "number": number, "kind": update.kind, "version": update.version });
    let note = Note { reason: update.reason.as_deref(), detail };
    app.journal(tx, caller, "update.requested", ("deployment", held.id.as_str()), note)?;
    update::told(tx, update, number);
    Ok(())
}
