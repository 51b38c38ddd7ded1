//! Deleting in one action: a deployment is disabled, updated, and goes once nothing of it runs.

use super::{Changes, apply, delete_row};
use crate::app::{App, load, update};
use crate::domain::access::Caller;
use crate::domain::deployment::{Deployment, DeploymentRight, Removal};
use crate::domain::name::DeploymentId;
use crate::domain::update::Update;
use crate::domain::{Error, Result};
use crate::store;

/// Disables a deployment, queues the update that stops it, and has it deleted when that has ended well. One of which
/// nothing runs goes at once. Asking again is no error: it tries again where the last try came to nothing.
///
/// # Errors
/// Without `deploy` on both.
pub async fn remove(app: &App, caller: &Caller, id: DeploymentId, volumes: bool) -> Result<()> {
    let (app_, caller) = (app.clone(), caller.clone());
    let gone = id.clone();
    let at_once = app
        .store
        .write(move |tx| {
            let held = load::deployment(tx, &id, &caller.subject, DeploymentRight::Deploy)?;
            let open = store::update::open_of(tx, &id)?;
            let idle = held.running_update.is_none() && open.is_empty();
            if idle && (held.last_update == 0 || !held.enabled) {
                delete_row(&app_, tx, &caller, &held, volumes)?;
                return Ok(true);
            }
            if held.removal.is_some() && open.iter().any(Update::is_stop) {
                return Ok(false);
            }
            for run in open.iter().filter(|run| !run.switched && run.cancel_requested_by.is_none()) {
                update::cancel_one(&app_, tx, &caller, run.clone())?;
            }
            let removal = Removal { requester: caller.subject.clone(), origin: caller.origin, volumes };
            let changes = Changes {
                enabled: Some(false),
                removal: Some(removal),
                ignore_warnings: true,
                ..Changes::default()
            };
            apply(&app_, tx, &caller, held.into_inner(), &changes)?;
            update::start_made(&app_, tx, &caller, &id, Some("to be deleted".to_owned()))?;
            Ok(false)
        })
        .await?;
    if at_once {
        app.store.observe(move |tx| store::observation::remove_deployment(tx, &gone)).await?;
    }
    Ok(())
}

/// Refuses to change what is about to go, and what never changes.
pub(in crate::app) fn refuse_fixed(deployment: &Deployment) -> Result<()> {
    refuse_run(deployment)?;
    if deployment.removal.is_none() {
        return Ok(());
    }
    let words = format!("deployment {} is being deleted", deployment.id);
    Err(Error::conflict("being_removed", words).hint("Make another one."))
}

/// Refuses to change an execution: one run of a context is what it is.
///
/// # Errors
/// `one_run`.
pub fn refuse_run(deployment: &Deployment) -> Result<()> {
    if deployment.source.execution().is_none() {
        return Ok(());
    }
    let words = format!("{} is an execution, one run of a context, and does not change", deployment.id);
    Err(Error::conflict("one_run", words).hint("Run its context again."))
}
