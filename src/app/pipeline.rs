//! Pipelines, and the deployments that are made of them.

mod deployment;
mod make;

use rusqlite::Connection;
use uuid::Uuid;

use super::resource::{self, Draft, Kept};
use super::{App, Idempotency, load};
use crate::domain::access::{Authorized, Caller, Subject};
use crate::domain::deployment::{Deployment, DeploymentRight};
use crate::domain::page::{Page, PageRequest};
use crate::domain::pipeline::{Pipeline, PipelineSpec};
use crate::domain::stream::{Stream, StreamSpec};
use crate::domain::{Error, Kind, Result};
use crate::store;
use crate::store::Tx;
pub use deployment::{NewPipelineDeployment, PipelineChanges, deploy, redeploy};
pub(super) use make::{remake, restored};

impl Kept for PipelineSpec {
    fn check(&self, db: &Connection, who: &Subject) -> Result<()> {
        for (place, stream) in [("spec.stream-in", self.stream_in), ("spec.stream-out", self.stream_out)] {
            if let Some(stream) = stream {
                known_stream(db, who, stream, place)?;
            }
        }
        if let Some(infrastructure) = &self.infrastructure {
            let needed = crate::domain::access::InfrastructureRight::View;
            load::infrastructure(db, infrastructure, who, needed)
                .map_err(|error| placed(error, "spec.infrastructure"))?;
        }
        Ok(())
    }

    fn saved(app: &App, tx: &Tx<'_>, caller: &Caller, pipeline: &Pipeline) -> Result<()> {
        let why = format!("pipeline {} was saved", pipeline.name);
        remake(app, tx, (caller, &caller.subject), pipeline.uuid, &why)
    }
}

/// A stream that somebody names at `place`.
fn known_stream(db: &Connection, who: &Subject, stream: Uuid, place: &str) -> Result<Stream> {
    let found = load::resource::<StreamSpec>(db, stream, who).map_err(|error| placed(error, place))?;
    Ok(found.into_inner())
}

/// What an input names and nobody finds is the input's fault.
fn placed(error: Error, place: &str) -> Error {
    if error.kind == Kind::NotFound { Error::field(place, error.message) } else { error }
}

/// Makes a pipeline.
///
/// # Errors
/// For a stream or an infrastructure that the caller may not see; a group that is none of the caller's; forbidden without
/// any.
pub async fn create(
    app: &App,
    caller: &Caller,
    draft: Draft<PipelineSpec>,
    once: Option<Idempotency>,
) -> Result<Authorized<Pipeline>> {
    resource::create(app, caller, draft, once).await
}

/// One pipeline.
pub async fn get(app: &App, caller: &Caller, uuid: Uuid) -> Result<Authorized<Pipeline>> {
    resource::get(app, caller, uuid).await
}

/// Everything that a pipeline's page shows.
#[derive(Debug)]
pub struct Detail {
    pub pipeline: Authorized<Pipeline>,
    /// `None` where it names none, or one that the caller may not see.
    pub stream_in: Option<Stream>,
    pub stream_out: Option<Stream>,
    /// Those that the caller may see.
    pub deployments: Vec<Deployment>,
}

/// A pipeline with what it refers to and what is made of it.
pub async fn detail(app: &App, caller: &Caller, uuid: Uuid) -> Result<Detail> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let pipeline = load::resource::<PipelineSpec>(db, uuid, &subject)?;
            let stream = |uuid: Option<Uuid>| match uuid.map(|uuid| load::resource(db, uuid, &subject)) {
                None => Ok(None),
                Some(Err(error)) if error.kind == Kind::NotFound => Ok(None),
                Some(found) => found.map(|found: Authorized<Stream>| Some(found.into_inner())),
            };
            Ok(Detail {
                stream_in: stream(pipeline.spec.stream_in)?,
                stream_out: stream(pipeline.spec.stream_out)?,
                deployments: seen_users(db, &subject, uuid)?,
                pipeline,
            })
        })
        .await
}

/// The deployments made from a resource that `who` may see.
pub(super) fn seen_users(db: &Connection, who: &Subject, uuid: Uuid) -> Result<Vec<Deployment>> {
    let mut seen = Vec::new();
    for id in resource::users(db, uuid)? {
        match store::deployment::find(db, &id, who)?.map(|found| found.authorize(who, DeploymentRight::View))
        {
            Some(Ok(found)) => seen.push(found.into_inner()),
            Some(Err(error)) if error.kind != Kind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(seen)
}

/// The pipelines that the caller may see, with how many deployments are made from each.
pub async fn list(
    app: &App,
    caller: &Caller,
    text: Option<String>,
    page: PageRequest,
) -> Result<Page<(Pipeline, u32)>> {
    resource::list(app, caller, text, page).await
}

/// Saves a pipeline. Deployments made from it are out of sync until they are updated.
///
/// # Errors
/// As [`create`]; `changed_meanwhile`; what a deployment can't take.
pub async fn save(
    app: &App,
    caller: &Caller,
    uuid: Uuid,
    draft: Draft<PipelineSpec>,
    revision: Option<u32>,
) -> Result<Authorized<Pipeline>> {
    resource::save(app, caller, uuid, draft, revision).await
}

/// Deletes a pipeline that nothing is made from.
///
/// # Errors
/// `in_use`.
pub async fn delete(app: &App, caller: &Caller, uuid: Uuid) -> Result<Pipeline> {
    resource::delete(app, caller, uuid).await
}
