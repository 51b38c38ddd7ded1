//! What the home page shows: what runs where, and what needs somebody.

use std::collections::{BTreeSet, HashMap};

use super::App;
use super::deployment::{decode_cursor, encode_cursor};
use crate::bus::Topic;
use crate::domain::Result;
use crate::domain::access::{Caller, ProjectRight};
use crate::domain::health::Health;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, StageId, Version};
use crate::domain::page::{Page, PageRequest};
use crate::domain::project::Project;
use crate::domain::stage::Stage;
use crate::domain::update::Step;
use crate::store;
use crate::store::deployment::list::{Filter, Sort, Summary};
pub use crate::store::overview::Place;
use crate::store::project;

/// How many deployments the strip of those in need names.
const MOST_NEEDY: u32 = 6;
/// How many deployments of a project on one infrastructure are looked at.
pub const MOST_PLACES: u32 = 5;
/// How far deployments are counted.
pub const MOST_COUNTED: u32 = 1_000;

/// Everything on the home page, from one moment.
#[derive(Debug)]
pub struct Overview {
    pub stages: Vec<Stage>,
    /// Which infrastructures the caller sees, each with its stage.
    pub infrastructures: Vec<(InfrastructureId, StageId)>,
    pub projects: Vec<ProjectKey>,
    /// The cursor of the next projects; `None` at the end.
    pub next: Option<String>,
    pub places: Vec<Place>,
    /// The worst first.
    pub attention: Vec<Summary>,
    /// Both counts end one beyond [`MOST_COUNTED`].
    pub attention_count: u64,
    pub deployment_count: u64,
}

/// Projects by stages, filtered by a part of the project's key.
pub async fn get(app: &App, caller: &Caller, text: Option<String>, page: PageRequest) -> Result<Overview> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let filter = project::Filter { text, tag: None };
            let mut found = project::list(db, &subject, &filter, page.after.as_deref(), page.limit + 1)?;
            let more = found.len() > page.limit as usize;
            found.truncate(page.limit as usize);
            let projects: Vec<ProjectKey> = found.into_iter().map(|(project, _)| project.key).collect();
            let needy = Filter { attention: true, sort: Sort::Health, ..Filter::default() };
            let (deployment_count, attention_count) =
                store::overview::counts(db, &subject, MOST_COUNTED + 1)?;
            Ok(Overview {
                stages: store::stage::list(db)?,
                infrastructures: store::infrastructure::places(db, &subject)?,
                next: projects.last().filter(|_| more).map(ToString::to_string),
                places: store::overview::places(db, &subject, &projects, MOST_PLACES)?,
                attention: store::deployment::list::list(db, &subject, &needy, None, MOST_NEEDY)?,
                attention_count,
                deployment_count,
                projects,
            })
        })
        .await
}

/// One page of the list of deployments, with what its filters can be set to.
#[derive(Debug)]
pub struct Listing {
    pub page: Page<Summary>,
    /// The update that a deployment of the page has open now: its number, and its step once it runs.
    pub open: HashMap<DeploymentId, (u32, Option<Step>)>,
    pub stages: Vec<Stage>,
    pub infrastructures: Vec<(InfrastructureId, StageId)>,
}

/// The deployments that the caller may see, from one moment and with one turn at the store.
///
/// # Errors
/// `invalid_cursor`.
pub async fn deployments(app: &App, caller: &Caller, filter: Filter, page: PageRequest) -> Result<Listing> {
    let subject = caller.subject.clone();
    let after = page.after.as_deref().map(decode_cursor).transpose()?;
    app.store
        .read(move |db| {
            let mut items =
                store::deployment::list::list(db, &subject, &filter, after.as_ref(), page.limit + 1)?;
            let more = items.len() > page.limit as usize;
            items.truncate(page.limit as usize);
            let next = items.last().filter(|_| more).map(|last| encode_cursor(last, filter.sort));
            let ids: Vec<&str> = items.iter().map(|item| item.deployment.id.as_str()).collect();
            Ok(Listing {
                open: store::overview::open_updates(db, &ids)?,
                stages: store::stage::list(db)?,
                infrastructures: store::infrastructure::places(db, &subject)?,
                page: Page { items, next },
            })
        })
        .await
}

/// Where one of a project's deployments stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    pub id: DeploymentId,
    pub infrastructure: InfrastructureId,
    pub version: Version,
    pub health: Health,
}

/// One row of the list of projects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRow {
    pub project: Project,
    pub right: ProjectRight,
    /// The newest bundle: version, uploader, time.
    pub last: Option<store::overview::LastBundle>,
    /// The first ones on each infrastructure.
    pub places: Vec<Spot>,
}

/// The projects that the caller may see, each with its newest bundle and where it runs.
pub async fn projects(
    app: &App,
    caller: &Caller,
    filter: project::Filter,
    page: PageRequest,
) -> Result<Page<ProjectRow>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let mut found = project::list(db, &subject, &filter, page.after.as_deref(), page.limit + 1)?;
            let more = found.len() > page.limit as usize;
            found.truncate(page.limit as usize);
            let keys: Vec<ProjectKey> = found.iter().map(|(project, _)| project.key.clone()).collect();
            let mut places = store::overview::places(db, &subject, &keys, MOST_PLACES)?;
            let mut last = store::overview::last_bundles(db, &keys)?;
            let next = keys.last().filter(|_| more).map(ToString::to_string);
            let items = found.into_iter().map(|(project, right)| {
                let own = places.extract_if(.., |place| place.project == project.key).map(|place| Spot {
                    id: place.id,
                    infrastructure: place.infrastructure,
                    version: place.version,
                    health: place.state.health,
                });
                ProjectRow { places: own.collect(), last: last.remove(&project.key), project, right }
            });
            Ok(Page { items: items.collect(), next })
        })
        .await
}

/// The deployments of a project, of those that the caller may see; the first 500.
pub async fn places_of(app: &App, caller: &Caller, project: ProjectKey) -> Result<Vec<Summary>> {
    let subject = caller.subject.clone();
    app.store.read(move |db| store::deployment::list::places(db, &project, &subject)).await
}

/// Objects that something was heard of, before it is known whether the listener may see them.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    deployments: BTreeSet<String>,
    projects: BTreeSet<String>,
    infrastructures: BTreeSet<String>,
    resources: BTreeSet<String>,
}

impl Heard {
    /// Beyond this many of a kind it is not looked any closer.
    const CLOSELY: usize = 256;

    /// Notes what a topic speaks of.
    pub fn note(&mut self, topic: &Topic) {
        match topic {
            Topic::Deployment(id) | Topic::Update(id, _) => self.deployments.insert(id.to_string()),
            Topic::Project(key) => self.projects.insert(key.to_string()),
            Topic::Infrastructure(id) => self.infrastructures.insert(id.to_string()),
            Topic::Resource(uuid) => self.resources.insert(uuid.to_string()),
            Topic::Work | Topic::Access | Topic::Stages => false,
        };
    }

    fn is_crowd(&self) -> bool {
        let all = [&self.deployments, &self.projects, &self.infrastructures, &self.resources];
        all.iter().any(|ids| ids.len() > Self::CLOSELY)
    }
}

/// Whether the caller may see any of what was heard of. What is no more counts: lists that showed it must change.
pub async fn may_see_any(app: &App, caller: &Caller, heard: Heard) -> Result<bool> {
    let subject = caller.subject.clone();
    if subject.is_admin || heard.is_crowd() {
        return Ok(true);
    }
    app.store
        .read(move |db| {
            Ok(store::overview::sees_deployment(db, &subject, &heard.deployments)?
                || store::overview::sees_project(db, &subject, &heard.projects)?
                || store::overview::sees_infrastructure(db, &subject, &heard.infrastructures)?
                || store::overview::sees_resource(db, &subject, &heard.resources)?)
        })
        .await
}

/// Bundles whose version holds `text`, of the projects that the caller may see, newest first.
pub async fn bundles_like(
    app: &App,
    caller: &Caller,
    text: String,
    limit: u32,
) -> Result<Vec<(ProjectKey, Version)>> {
    let subject = caller.subject.clone();
    app.store.read(move |db| store::overview::bundles_like(db, &subject, &text, limit)).await
}
