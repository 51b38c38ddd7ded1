//! Use cases, one file a noun: authorize, validate, store, journal, wake.
//!
//! A use case writes intent and returns; reconcilers change the world later. Everything that one request changes
//! (rows, journal, queue) commits together. No rule lives here that `domain` could hold.

pub mod api_key;
pub mod approval;
pub mod audit;
pub mod bundle;
pub mod context;
pub mod deployment;
pub mod execution;
pub mod infrastructure;
pub mod keys;
pub mod log;
pub mod overview;
pub mod pipeline;
pub mod probe;
pub mod project;
pub mod resource;
pub mod stage;
pub mod stats;
pub mod stream;
pub mod test;
pub mod update;
pub mod user;

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;
use serde_json::Value;

use crate::blob;
use crate::crypto::KeyRing;
use crate::domain::access::{Authorized, Caller, Subject, SubjectKind};
use crate::domain::clock::{SharedClock, Timestamp};
use crate::domain::deployment::DeploymentRight;
use crate::domain::group::Groups;
use crate::domain::name::{DeploymentId, GroupName, InfrastructureId};
use crate::domain::{Error, Result};
use crate::engine::registry::Engines;
use crate::store::audit::{Entry, JournalKey};
use crate::store::{Store, Tx};

/// What every use case works with.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub clock: SharedClock,
    pub keys: Arc<KeyRing>,
    pub journal_key: JournalKey,
    pub blobs: Arc<blob::Store>,
    /// Bounds on what an archive may hold.
    pub archive_limits: blob::Limits,
    pub engines: Arc<Engines>,
    pub rules: Arc<Rules>,
}

/// What the configuration decides for use cases.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Members may do all.
    pub admin_groups: Groups,
    /// Who may make projects; empty: everyone signed in.
    pub project_makers: Groups,
    /// The kubeconfigs that the configuration names, each with its context's namespace.
    pub kubeconfigs: BTreeMap<String, Option<String>>,
    /// What holds of pipelines and their deployments where they say nothing.
    pub datacater: Datacater,
}

/// What the configuration says of pipelines.
#[derive(Debug, Clone)]
pub struct Datacater {
    /// Where deployments run that name no infrastructure and whose pipeline names none.
    pub infrastructure: InfrastructureId,
    pub defaults: crate::domain::pipeline::definition::Defaults,
    /// How long a replica may take to answer for its health or metrics.
    pub answer_timeout: std::time::Duration,
}

impl Default for Datacater {
    fn default() -> Self {
        Self {
            infrastructure: InfrastructureId::parse("local").expect("the id written here is one"),
            defaults: Default::default(),
            answer_timeout: std::time::Duration::from_secs(10),
        }
    }
}

impl App {
    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes one line of the journal inside a transaction.
    fn journal(
        &self,
        tx: &Tx<'_>,
        caller: &Caller,
        action: &str,
        object: (&str, &str),
        note: Note<'_>,
    ) -> Result<()> {
        let entry = Entry {
            caller,
            action,
            noun: object.0,
            object: object.1,
            reason: note.reason,
            detail: note.detail,
        };
        crate::store::audit::append(tx, &self.journal_key, &entry, self.now())
    }
}

/// The why and what of a journal entry.
#[derive(Debug, Default)]
struct Note<'a> {
    reason: Option<&'a str>,
    detail: Value,
}

impl Note<'_> {
    fn detail(detail: Value) -> Self {
        Self { reason: None, detail }
    }
}

/// A YAML document as the JSON that it stands for.
///
/// # Errors
/// Every problem with its line and column.
pub fn yaml(text: &str) -> Result<Value> {
    let document = crate::compose::json::document("body", text);
    document.map_err(|error| Error { code: "invalid_yaml", ..error })
}

/// A request that may come twice: the key that its sender chose, and what the request says.
#[derive(Debug, Clone)]
pub struct Idempotency {
    pub key: String,
    /// Digest over method, path and body.
    pub fingerprint: String,
}

/// What an earlier request with the same key made, if there was one.
fn replayed(tx: &Connection, caller: &Caller, idempotency: Option<&Idempotency>) -> Result<Option<String>> {
    let Some(idempotency) = idempotency else {
        return Ok(None);
    };
    crate::store::idempotency::replay(tx, &subject_key(caller), &idempotency.key, &idempotency.fingerprint)
}

/// Remembers what this request made.
fn remember(
    tx: &Connection,
    caller: &Caller,
    idempotency: Option<&Idempotency>,
    object: &str,
    now: Timestamp,
) -> Result<()> {
    let Some(idempotency) = idempotency else {
        return Ok(());
    };
    let subject = subject_key(caller);
    crate::store::idempotency::remember(tx, &subject, &idempotency.key, &idempotency.fingerprint, object, now)
}

fn subject_key(caller: &Caller) -> String {
    match caller.subject.kind {
        SubjectKind::User(id) => format!("user:{id}"),
        SubjectKind::ApiKey(id) => format!("key:{id}"),
        SubjectKind::System => "system".to_owned(),
    }
}

/// Refuses a save whose caller read an older revision. `None`: the caller does not mind.
fn expect_revision(noun: &str, id: &str, actual: u32, expected: Option<u32>) -> Result<()> {
    match expected {
        Some(expected) if expected != actual => Err(Error::new(
            crate::domain::Kind::Stale,
            "changed_meanwhile",
            format!("{noun} {id} was changed by somebody else since you read it (revision {actual}, yours is {expected})"),
        )
        .hint("Read it again, lay your change over it, and save once more.")),
        _ => Ok(()),
    }
}

/// What is to be granted anew, and with `None` taken away, so that `wanted` is all there is; nothing where it is `None`.
fn regranted<R: Copy + PartialEq>(
    held: Vec<(GroupName, R)>,
    wanted: Option<&BTreeMap<GroupName, R>>,
) -> Vec<(GroupName, Option<R>)> {
    let Some(wanted) = wanted else {
        return Vec::new();
    };
    let held: BTreeMap<GroupName, R> = held.into_iter().collect();
    let given = wanted.iter().filter(|(group, right)| held.get(*group) != Some(*right));
    let taken = held.keys().filter(|group| !wanted.contains_key(*group));
    let given = given.map(|(group, right)| (group.clone(), Some(*right)));
    given.chain(taken.map(|group| (group.clone(), None))).collect()
}

/// Deployments in words, for `who`: those that it may not see are only counted.
fn told(db: &Connection, who: &Subject, ids: Vec<String>) -> Result<String> {
    let (mut seen, mut hidden) = (Vec::new(), 0_usize);
    for id in ids {
        let found = crate::store::deployment::find(db, &DeploymentId::parse(&*id)?, who)?;
        match found.map(|found| found.authorize(who, DeploymentRight::View)) {
            Some(Ok(_)) => seen.push(id),
            _ => hidden += 1,
        }
    }
    Ok(match (seen.is_empty(), hidden) {
        (false, 0) => format!("the deployments {}", seen.join(", ")),
        (false, hidden) => format!("the deployments {} and {hidden} that you may not see", seen.join(", ")),
        (true, hidden) => format!("{hidden} deployments that you may not see"),
    })
}

/// Loads and authorizes: the three guarded nouns.
mod load {
    use uuid::Uuid;

    use super::{Authorized, Connection, Error, Result};
    use crate::domain::access::{InfrastructureRight, ProjectRight, Subject};
    use crate::domain::deployment::{Deployment, DeploymentRight};
    use crate::domain::infrastructure::{EngineConnection, Infrastructure};
    use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey};
    use crate::domain::project::Project;
    use crate::domain::resource::{GroupRight, Noun, Resource};
    use crate::store;

    pub fn project(
        db: &Connection,
        key: &ProjectKey,
        who: &Subject,
        needed: ProjectRight,
    ) -> Result<Authorized<Project>> {
        let found = store::project::find(db, key, who)?.ok_or_else(|| Error::not_found("project", key))?;
        found.authorize(who, needed)
    }

    pub fn infrastructure(
        db: &Connection,
        id: &InfrastructureId,
        who: &Subject,
        needed: InfrastructureRight,
    ) -> Result<Authorized<Infrastructure>> {
        let found = store::infrastructure::find(db, id, who)?
            .ok_or_else(|| Error::not_found("infrastructure", id))?;
        found.authorize(who, needed)
    }

    pub fn resource<S: Noun>(db: &Connection, uuid: Uuid, who: &Subject) -> Result<Authorized<Resource<S>>> {
        let found = store::resource::find(db, uuid, who)?.ok_or_else(|| Error::not_found(S::NOUN, uuid))?;
        found.authorize(who, GroupRight::Member)
    }

    /// The engine of an infrastructure, for what it does with a plan that may be seen.
    pub fn engine(db: &Connection, id: &InfrastructureId) -> Result<EngineConnection> {
        let found = infrastructure(db, id, &Subject::system(), InfrastructureRight::View)?;
        Ok(found.into_inner().engine)
    }

    pub fn deployment(
        db: &Connection,
        id: &DeploymentId,
        who: &Subject,
        needed: DeploymentRight,
    ) -> Result<Authorized<Deployment>> {
        let found =
            store::deployment::find(db, id, who)?.ok_or_else(|| Error::not_found("deployment", id))?;
        found.authorize(who, needed)
    }
}
