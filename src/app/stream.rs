//! Streams, which pipelines read and write.

use rusqlite::Connection;
use uuid::Uuid;

use super::resource::{self, Draft, Kept};
use super::{App, Idempotency, load, pipeline};
use crate::domain::access::{Authorized, Caller, Subject};
use crate::domain::deployment::Deployment;
use crate::domain::page::{Page, PageRequest};
use crate::domain::pipeline::{Pipeline, PipelineSpec};
use crate::domain::stream::{Stream, StreamSpec};
use crate::domain::{Error, Kind, Result};
use crate::store;
use crate::store::Tx;

impl Kept for StreamSpec {
    fn saved(app: &App, tx: &Tx<'_>, caller: &Caller, stream: &Stream) -> Result<()> {
        let why = format!("stream {} was saved", stream.name);
        pipeline::remake(app, tx, (caller, &Subject::system()), stream.uuid, &why)
    }

    fn used_by(db: &Connection, who: &Subject, uuid: Uuid) -> Result<Option<String>> {
        let (mut seen, mut hidden) = (Vec::new(), 0_usize);
        for pipeline in store::resource::pipelines_of(db, uuid)? {
            match load::resource::<PipelineSpec>(db, pipeline, who) {
                Ok(pipeline) => seen.push(format!("{} ({})", pipeline.name, pipeline.uuid)),
                Err(error) if error.kind == Kind::NotFound => hidden += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(match (seen.is_empty(), hidden) {
            (true, 0) => None,
            (true, hidden) => Some(format!("{hidden} pipelines that you may not see")),
            (false, 0) => Some(format!("the pipelines {}", seen.join(", "))),
            (false, hidden) => {
                Some(format!("the pipelines {} and {hidden} that you may not see", seen.join(", ")))
            }
        })
    }
}

/// Makes a stream.
///
/// # Errors
/// For a group that is none of the caller's; forbidden without any; a masked value that was never given.
pub async fn create(
    app: &App,
    caller: &Caller,
    draft: Draft<StreamSpec>,
    once: Option<Idempotency>,
) -> Result<Authorized<Stream>> {
    resource::create(app, caller, draft, once).await
}

/// One stream.
pub async fn get(app: &App, caller: &Caller, uuid: Uuid) -> Result<Authorized<Stream>> {
    resource::get(app, caller, uuid).await
}

/// A stream with the deployments made from it that the caller may see, and the pipelines that name it.
pub async fn detail(
    app: &App,
    caller: &Caller,
    uuid: Uuid,
) -> Result<(Authorized<Stream>, Vec<Deployment>, Vec<Pipeline>)> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let stream = load::resource::<StreamSpec>(db, uuid, &subject)?;
            let mut pipelines = Vec::new();
            for pipeline in store::resource::pipelines_of(db, uuid)? {
                match load::resource::<PipelineSpec>(db, pipeline, &subject) {
                    Ok(pipeline) => pipelines.push(pipeline.into_inner()),
                    Err(error) if error.kind == Kind::NotFound => {}
                    Err(error) => return Err::<_, Error>(error),
                }
            }
            Ok((stream, pipeline::seen_users(db, &subject, uuid)?, pipelines))
        })
        .await
}

/// The streams that the caller may see, with how many deployments are made from each.
pub async fn list(
    app: &App,
    caller: &Caller,
    text: Option<String>,
    page: PageRequest,
) -> Result<Page<(Stream, u32)>> {
    resource::list(app, caller, text, page).await
}

/// Saves a stream. Deployments made from it are out of sync until they are updated.
///
/// # Errors
/// `changed_meanwhile`; what a deployment can't take.
pub async fn save(
    app: &App,
    caller: &Caller,
    uuid: Uuid,
    draft: Draft<StreamSpec>,
    revision: Option<u32>,
) -> Result<Authorized<Stream>> {
    resource::save(app, caller, uuid, draft, revision).await
}

/// Deletes a stream that nothing uses.
///
/// # Errors
/// `in_use`.
pub async fn delete(app: &App, caller: &Caller, uuid: Uuid) -> Result<Stream> {
    resource::delete(app, caller, uuid).await
}
