//! Stages: listed by everyone, edited by administrators.

use serde_json::json;

use super::{App, Note};
use crate::bus::Topic;
use crate::domain::access::Caller;
use crate::domain::name::StageId;
use crate::domain::stage::{INITIAL, Stage};
use crate::domain::{Error, Result};
use crate::store;

/// All stages in their order.
pub async fn list(app: &App) -> Result<Vec<Stage>> {
    app.store.read(store::stage::list).await
}

/// Replaces the list: order, descriptions, additions and removals at once.
///
/// # Errors
/// Forbidden but for administrators; `stage_in_use` when one that an infrastructure is in would go; a name twice.
pub async fn replace(app: &App, caller: &Caller, stages: Vec<Stage>) -> Result<Vec<Stage>> {
    caller.subject.demand_admin("editing stages")?;
    refuse_duplicates(&stages)?;
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            for gone in store::stage::list(tx)? {
                if !stages.iter().any(|stage| same(&stage.id, &gone.id)) {
                    refuse_used(&gone.id, &store::stage::used_by(tx, &gone.id)?)?;
                    store::stage::remove(tx, &gone.id)?;
                }
            }
            for (position, stage) in stages.iter().enumerate() {
                store::stage::put(tx, stage, position)?;
            }
            app_.journal(tx, &caller, "stages.replaced", ("stage", ""), Note::detail(json!(stages)))?;
            tx.publish(Topic::Stages);
            store::stage::list(tx)
        })
        .await
}

/// Whether two ids name the same stage: the case does not count.
pub fn same(one: &StageId, other: &StageId) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

fn refuse_duplicates(stages: &[Stage]) -> Result<()> {
    for (at, stage) in stages.iter().enumerate() {
        if stages[..at].iter().any(|other| same(&other.id, &stage.id)) {
            return Err(Error::field("stages", format!("the stage {} stands there twice", stage.id)));
        }
    }
    Ok(())
}

fn refuse_used(stage: &StageId, users: &[String]) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(
        "stage_in_use",
        format!("stage {stage} holds the infrastructures {}", users.join(", ")),
    )
    .hint("Move them to another stage first."))
}

/// Makes the initial stages of a fresh instance.
pub fn initialise(tx: &rusqlite::Connection) -> Result<()> {
    for (position, (id, description)) in INITIAL.iter().enumerate() {
        let stage = Stage { id: StageId::parse(*id)?, description: (*description).to_owned() };
        store::stage::put(tx, &stage, position)?;
    }
    Ok(())
}
