//! Deployments as people look at them: one, all about one, and lists.

use std::collections::HashMap;

use rusqlite::Connection;

use super::{Filter, Sort, Summary, running_plan, wanted_plan};
use crate::app::{App, load};
use crate::domain::access::{Authorized, Caller, InfrastructureRight, Subject};
use crate::domain::bundle::Bundle;
use crate::domain::deployment::{Deployment, DeploymentRight};
use crate::domain::diff::{self, Change};
use crate::domain::health::Answer;
use crate::domain::infrastructure::Infrastructure;
use crate::domain::name::DeploymentId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::plan::{Downtime, Plan};
use crate::domain::secret::SecretInfo;
use crate::domain::{Error, Kind, Result};
use crate::engine::{EngineObject, Phase, SlotState};
use crate::store;
use crate::store::observation::EngineNote;

/// The id of the deployment that `text` names: an id, or a uuid.
///
/// # Errors
/// Not found, in the caller's own words, so that a uuid of somebody else's tells nothing.
pub async fn id_of(app: &App, caller: &Caller, text: &str) -> Result<DeploymentId> {
    let absent = || Error::not_found("deployment", text.chars().take(130).collect::<String>());
    let Ok(uuid) = uuid::Uuid::try_parse(text) else {
        return DeploymentId::parse(text).map_err(|_| absent());
    };
    let subject = caller.subject.clone();
    let found = app
        .store
        .read(move |db| {
            store::deployment::find_uuid(db, uuid, &subject)?.map_or(Ok(None), |found| {
                match found.authorize(&subject, DeploymentRight::View) {
                    Ok(found) => Ok(Some(found.id.clone())),
                    Err(error) if error.kind == Kind::NotFound => Ok(None),
                    Err(error) => Err(error),
                }
            })
        })
        .await?;
    found.ok_or_else(absent)
}

/// One deployment with the caller's right on it.
pub async fn get(app: &App, caller: &Caller, id: DeploymentId) -> Result<Authorized<Deployment>> {
    let subject = caller.subject.clone();
    app.store.read(move |db| load::deployment(db, &id, &subject, DeploymentRight::View)).await
}

/// One deployment with the caller's right on it, and what lists show of it.
pub async fn with_summary(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
) -> Result<(Authorized<Deployment>, Summary)> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let deployment = load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let summary = store::deployment::list::summary(db, &id)?;
            Ok((deployment, summary.ok_or_else(|| Error::not_found("deployment", &id))?))
        })
        .await
}

/// Everything that a deployment's page shows.
#[derive(Debug)]
pub struct Detail {
    pub deployment: Authorized<Deployment>,
    pub summary: Summary,
    pub infrastructure: Infrastructure,
    /// What runs now; `None` when nothing does.
    pub running: Option<Plan>,
    /// What the settings give, or why they give nothing.
    pub wanted: std::result::Result<Plan, Error>,
    /// The wanted against the running plan.
    pub changes: Vec<Change>,
    pub downtime: Vec<Downtime>,
    pub slots: Vec<SlotState>,
    /// What their own programs last answered for their health, by their engine's ids.
    pub answers: HashMap<String, Answer>,
    /// What the engine keeps them as.
    pub objects: Vec<EngineObject>,
    pub secrets: Vec<SecretInfo>,
    pub events: Vec<EngineNote>,
}

impl Detail {
    /// What is wrong with the program of a replica that runs, by what it answers for its health.
    pub fn trouble(&self, slot: &SlotState) -> Option<String> {
        self.answers.get(&slot.engine_id).filter(|_| slot.phase == Phase::Running)?.trouble()
    }

    /// With the addresses of published ports, for somebody who reaches this host by the name `here`.
    #[must_use]
    pub fn seen_from(mut self, here: Option<&str>) -> Self {
        let endpoints = self.slots.iter_mut().flat_map(|slot| &mut slot.endpoints);
        endpoints.for_each(|endpoint| endpoint.locate(here));
        self
    }
}

/// Everything about one deployment, from one moment.
pub async fn detail(app: &App, caller: &Caller, id: DeploymentId) -> Result<Detail> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let deployment = load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let summary = store::deployment::list::summary(db, &id)?
                .ok_or_else(|| Error::not_found("deployment", &id))?;
            let system = Subject::system();
            let infrastructure =
                load::infrastructure(db, &deployment.infrastructure, &system, InfrastructureRight::View)?;
            let running = running_plan(db, &deployment)?;
            let wanted = wanted_plan(db, &deployment);
            let changes = wanted.as_ref().map(|plan| diff::plans(running.as_ref(), plan)).unwrap_or_default();
            let ports = infrastructure.engine.host_ports();
            let downtime =
                wanted.as_ref().map(|plan| plan.downtime(running.as_ref(), ports)).unwrap_or_default();
            Ok(Detail {
                summary,
                infrastructure: infrastructure.into_inner(),
                running,
                changes,
                downtime,
                wanted,
                slots: store::observation::slots(db, &deployment.infrastructure, &id)?,
                answers: store::observation::answers(db, &deployment.infrastructure, &id)?,
                objects: objects(db, &deployment)?,
                secrets: store::secret::list(db, &id)?,
                events: store::observation::events(db, &id, 20)?,
                deployment,
            })
        })
        .await
}

/// The engine's objects behind a deployment, by service; those that make others before those that are made.
fn objects(db: &Connection, of: &Deployment) -> Result<Vec<EngineObject>> {
    let mut objects: Vec<EngineObject> = store::observation::objects(db, &of.infrastructure, &of.id)?;
    let made = |object: &EngineObject| object.kind == "Pod";
    objects.sort_by(|a, b| (&a.service, made(a), &a.name).cmp(&(&b.service, made(b), &b.name)));
    Ok(objects)
}

/// What a deployment wants to run, before its settings: a bundle, or the definition that was made for it.
///
/// # Errors
/// Without `view`.
pub async fn definition(app: &App, caller: &Caller, id: DeploymentId) -> Result<Bundle> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let deployment = load::deployment(db, &id, &subject, DeploymentRight::View)?;
            super::bundle_of(db, &deployment)
        })
        .await
}

/// What the engine last told of a deployment's replicas, newest first.
///
/// # Errors
/// Without `view`.
pub async fn events(app: &App, caller: &Caller, id: DeploymentId, limit: u32) -> Result<Vec<EngineNote>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            load::deployment(db, &id, &subject, DeploymentRight::View)?;
            store::observation::events(db, &id, limit)
        })
        .await
}

/// The deployments that the caller may see.
///
/// # Errors
/// `invalid_cursor`.
pub async fn list(app: &App, caller: &Caller, filter: Filter, page: PageRequest) -> Result<Page<Summary>> {
    let subject = caller.subject.clone();
    let after = page.after.as_deref().map(decode_cursor).transpose()?;
    app.store
        .read(move |db| {
            let mut items =
                store::deployment::list::list(db, &subject, &filter, after.as_ref(), page.limit + 1)?;
            let more = items.len() > page.limit as usize;
            items.truncate(page.limit as usize);
            let next = if more { items.last().map(|last| encode_cursor(last, filter.sort)) } else { None };
            Ok(Page { items, next })
        })
        .await
}

/// The same, each with the engine's objects behind it.
pub async fn list_with_objects(
    app: &App,
    caller: &Caller,
    filter: Filter,
    page: PageRequest,
) -> Result<Page<(Summary, Vec<EngineObject>)>> {
    let found = list(app, caller, filter, page).await?;
    app.store
        .read(move |db| {
            let with = |summary: Summary| Ok((objects(db, &summary.deployment)?, summary));
            let items: Result<Vec<_>> = found.items.into_iter().map(with).collect();
            let items = items?.into_iter().map(|(objects, summary)| (summary, objects)).collect();
            Ok(Page { items, next: found.next })
        })
        .await
}

pub(in crate::app) fn encode_cursor(last: &Summary, sort: Sort) -> String {
    use base64::Engine as _;
    let value = store::deployment::list::sort_value(last, sort);
    let after = store::deployment::list::After { value, id: last.deployment.id.to_string() };
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(store::row::json(&after))
}

pub(in crate::app) fn decode_cursor(cursor: &str) -> Result<store::deployment::list::After> {
    use base64::Engine as _;
    let wrong = || Error::field("after", "this is no cursor of this list").hint("Start from the first page.");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
    serde_json::from_slice(&bytes).map_err(|_| wrong())
}
