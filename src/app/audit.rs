//! Reading the journal: of one object by those who may see it, whole by administrators.

use super::{App, load};
use crate::domain::Result;
use crate::domain::access::{Caller, InfrastructureRight, ProjectRight};
use crate::domain::audit::AuditEvent;
use crate::domain::deployment::DeploymentRight;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey};
use crate::domain::page::{Page, PageRequest};
use crate::store;
pub use crate::store::audit::Verdict;

/// Whose entries are asked for.
#[derive(Debug, Clone)]
pub enum Of {
    Everything,
    Project(ProjectKey),
    Infrastructure(InfrastructureId),
    Deployment(DeploymentId),
}

/// Entries, newest first; the cursor is the last entry's number.
///
/// # Errors
/// Everything takes an administrator; one object's take `view` on it.
pub async fn list(app: &App, caller: &Caller, of: Of, page: PageRequest) -> Result<Page<AuditEvent>> {
    let caller = caller.clone();
    app.store
        .read(move |db| {
            let who = &caller.subject;
            let object = match &of {
                Of::Everything => {
                    who.demand_admin("reading the whole journal")?;
                    None
                }
                Of::Project(key) => {
                    load::project(db, key, who, ProjectRight::View)?;
                    Some(("project", key.as_str()))
                }
                Of::Infrastructure(id) => {
                    load::infrastructure(db, id, who, InfrastructureRight::View)?;
                    Some(("infrastructure", id.as_str()))
                }
                Of::Deployment(id) => {
                    load::deployment(db, id, who, DeploymentRight::View)?;
                    Some(("deployment", id.as_str()))
                }
            };
            let before = page.after.as_deref().and_then(|after| after.parse().ok());
            let mut items = store::audit::list(db, object, before, page.limit + 1)?;
            let more = items.len() > page.limit as usize;
            items.truncate(page.limit as usize);
            let next = if more { items.last().map(|event| event.sequence.to_string()) } else { None };
            Ok(Page { items, next })
        })
        .await
}

/// Checks the whole chain.
///
/// # Errors
/// Forbidden but for administrators.
pub async fn verify(app: &App, caller: &Caller) -> Result<Verdict> {
    caller.subject.demand_admin("verifying the journal")?;
    let key = app.journal_key.clone();
    app.store.read_much(move |db| store::audit::verify(db, &key)).await
}
