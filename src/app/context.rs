//! Contexts: what can be run, over and over.

use rusqlite::Connection;
use uuid::Uuid;

use super::resource::{self, Draft, Kept};
use super::{App, Idempotency};
use crate::domain::Result;
use crate::domain::access::{Authorized, Caller, Subject};
use crate::domain::context::{Context, ContextSpec};
use crate::domain::name::GroupName;
use crate::domain::page::{Page, PageRequest};

impl Kept for ContextSpec {
    fn check(&self, _db: &Connection, _who: &Subject) -> Result<()> {
        Self::check(self)
    }
}

/// Makes a context. It is called like its image.
///
/// # Errors
/// `context_refused`; for a group that is none of the caller's; forbidden without any.
pub async fn create(
    app: &App,
    caller: &Caller,
    spec: ContextSpec,
    group: Option<GroupName>,
    once: Option<Idempotency>,
) -> Result<Authorized<Context>> {
    let name = spec.label()?;
    resource::create(app, caller, Draft { name, group, spec }, once).await
}

/// One context.
pub async fn get(app: &App, caller: &Caller, uuid: Uuid) -> Result<Authorized<Context>> {
    resource::get(app, caller, uuid).await
}

/// The contexts that the caller may see, with how many executions of each there are.
pub async fn list(
    app: &App,
    caller: &Caller,
    text: Option<String>,
    page: PageRequest,
) -> Result<Page<(Context, u32)>> {
    resource::list(app, caller, text, page).await
}

/// Deletes a context that no execution is left of.
///
/// # Errors
/// `in_use`.
pub async fn delete(app: &App, caller: &Caller, uuid: Uuid) -> Result<Context> {
    resource::delete(app, caller, uuid).await
}
