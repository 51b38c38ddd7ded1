//! Asking for an update's end before it has come to it.

use serde_json::json;

use crate::app::{App, Note, load};
use crate::bus::Topic;
use crate::domain::Result;
use crate::domain::access::Caller;
use crate::domain::deployment::DeploymentRight;
use crate::domain::name::DeploymentId;
use crate::domain::update::{Outcome, Update, UpdateState};
use crate::store;
use crate::store::Tx;

/// Asks for an update's end before its switch. A queued one ends at once.
///
/// # Errors
/// Without `deploy` on both; `already_switched`; `update_ended`.
pub async fn cancel(app: &App, caller: &Caller, id: DeploymentId, number: u32) -> Result<Update> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            load::deployment(tx, &id, &caller.subject, DeploymentRight::Deploy)?;
            let update = super::one(tx, &id, number)?;
            one(&app_, tx, &caller, update)
        })
        .await
}

/// Cancels it inside somebody else's transaction.
pub(in crate::app) fn one(app: &App, tx: &Tx<'_>, caller: &Caller, update: Update) -> Result<Update> {
    let by = caller.subject.name.clone();
    let mut update = update.request_cancel(&by)?;
    if update.state == UpdateState::Queued {
        update = update.end(Outcome::Cancelled { by }, app.now())?;
    }
    store::update::save(tx, &update)?;
    let (id, number) = (update.deployment.clone(), update.number);
    let detail = json!({ "number": number });
    let action = format!("{}.cancelled", update.kind.noun());
    app.journal(tx, caller, &action, ("deployment", id.as_str()), Note::detail(detail))?;
    tx.publish(Topic::Work);
    tx.publish(Topic::Update(id.clone(), number));
    tx.publish(Topic::Deployment(id));
    Ok(update)
}
