//! One project: its bundles, deployments, settings, permissions and activity, a tab each.

pub mod permissions;
pub mod settings;

use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::home::Shown;
use super::page::{Page, Pager, Query, Section, State, Tab, plural};
use super::visit::{Answer, Visit};
use crate::app::audit::{self, Of};
use crate::app::deployment::{self, Filter, Summary};
use crate::app::{bundle, project};
use crate::domain::access::{Authorized, ProjectRight};
use crate::domain::name::ProjectKey;
use crate::domain::page::PageRequest;
use crate::domain::project::Project;
use crate::domain::{Error, Result};
use crate::http::routes::Routes;
use crate::http::web::journal::{self, Entry};

/// How many rows a tab's page holds.
const ROWS: u32 = 50;

/// The routes of this file and those below it.
pub fn routes(routes: &mut Routes) {
    routes.get("/projects/{key}", bundles);
    routes.get("/projects/{key}/deployments", deployments);
    routes.get("/projects/{key}/activity", activity);
    settings::routes(routes);
    permissions::routes(routes);
}

/// A project's key from a URL: one that is none is of no project.
pub(super) fn key_of(text: &str) -> Result<ProjectKey> {
    ProjectKey::parse(text).map_err(|_| Error::not_found("project", text))
}

/// What every tab of a project shows.
pub(super) struct Frame {
    pub key: String,
    pub description: String,
    pub tags: Vec<String>,
    pub tabs: Vec<Tab>,
    pub right: ProjectRight,
}

impl Frame {
    /// Loads a project with the frame of its tab `current`.
    pub async fn load(visit: &Visit, key: ProjectKey, current: &str) -> Result<(Authorized<Project>, Self)> {
        let project = project::get(&visit.app, &visit.caller, key).await?;
        let frame = Self::new(visit, &project, current);
        Ok((project, frame))
    }

    fn new(visit: &Visit, project: &Authorized<Project>, current: &str) -> Self {
        let key = &project.key;
        let url = |tail: &str| visit.url(&format!("/projects/{key}{tail}"));
        let tabs = [
            ("Bundles", url("")),
            ("Deployments", url("/deployments")),
            ("Settings", url("/settings")),
            ("Permissions", url("/permissions")),
            ("Activity", url("/activity")),
        ];
        Self {
            key: key.to_string(),
            description: project.description.clone(),
            tags: project.tags.clone(),
            tabs: Tab::all(current, tabs),
            right: project.held(),
        }
    }

    /// Why an action that takes `right` is disabled; empty when it is not.
    pub fn refusal(&self, right: ProjectRight) -> String {
        if self.right >= right {
            return String::new();
        }
        format!(
            "This takes the right {right} on project {}; your groups have {}. Somebody with admin on it can give one of \
             them {right}.",
            self.key, self.right
        )
    }

    /// Why publishing is disabled; empty when it is not.
    pub fn publish_refusal(&self) -> String {
        self.refusal(ProjectRight::Publish)
    }

    /// Why deploying is disabled; empty when it is not.
    pub fn deploy_refusal(&self) -> String {
        self.refusal(ProjectRight::Deploy)
    }

    /// Why administering is disabled; empty when it is not.
    pub fn admin_refusal(&self) -> String {
        self.refusal(ProjectRight::Admin)
    }
}

/// The page's frame of a project's tab.
pub(super) fn page(visit: &Visit, key: &ProjectKey) -> Page {
    visit.page(key.to_string(), Section::Projects).below("Projects", "/projects")
}

/// The page's frame one level below a project.
pub(super) fn page_below(visit: &Visit, key: &ProjectKey, heading: impl Into<String>) -> Page {
    visit
        .page(heading, Section::Projects)
        .below("Projects", "/projects")
        .below(key.to_string(), &format!("/projects/{key}"))
}

#[derive(Debug, Deserialize)]
struct After {
    after: Option<String>,
}

impl After {
    fn request(&self) -> PageRequest {
        PageRequest { limit: ROWS, after: self.after.clone() }
    }
}

#[derive(Template)]
#[template(path = "project/bundles.html", blocks = ["live"])]
struct Bundles {
    page: Page,
    here: Query,
    frame: Frame,
    rows: Vec<bundle::Summary>,
    pager: Pager,
}

async fn bundles(visit: Visit, path: web::Path<String>, asked: web::Query<After>) -> Answer {
    let key = key_of(&path)?;
    let (_, frame) = Frame::load(&visit, key.clone(), "Bundles").await?;
    let found = bundle::list(&visit.app, &visit.caller, key.clone(), asked.request()).await?;
    let here = visit.here();
    let page = Bundles {
        page: page(&visit, &key).live(&format!("/events?topics=project:{key}")),
        pager: Pager::new(plural(found.items.len() as u64, "bundle"), &here, found.next.as_deref()),
        rows: found.items,
        frame,
        here,
    };
    if visit.wants("live") {
        return visit.show_part(&page.as_live());
    }
    visit.show(&page)
}

#[derive(Template)]
#[template(path = "project/deployments.html", blocks = ["live"])]
struct Deployments {
    page: Page,
    here: Query,
    frame: Frame,
    rows: Vec<(Summary, State)>,
    pager: Pager,
}

async fn deployments(visit: Visit, path: web::Path<String>, asked: web::Query<After>) -> Answer {
    let key = key_of(&path)?;
    let (_, frame) = Frame::load(&visit, key.clone(), "Deployments").await?;
    let filter = Filter { project: Some(key.clone()), ..Filter::default() };
    let found = deployment::list(&visit.app, &visit.caller, filter, asked.request()).await?;
    let here = visit.here();
    let rows: Vec<(Summary, State)> = found
        .items
        .into_iter()
        .map(|summary| {
            let state = Shown::of(&summary).state();
            (summary, state)
        })
        .collect();
    let page = Deployments {
        page: page(&visit, &key).live("/events?topics=deployments"),
        pager: Pager::new(plural(rows.len() as u64, "deployment"), &here, found.next.as_deref()),
        rows,
        frame,
        here,
    };
    if visit.wants("live") {
        return visit.show_part(&page.as_live());
    }
    visit.show(&page)
}

#[derive(Template)]
#[template(path = "project/activity.html")]
struct Activity {
    page: Page,
    frame: Frame,
    entries: Vec<Entry>,
    pager: Pager,
}

async fn activity(visit: Visit, path: web::Path<String>, asked: web::Query<After>) -> Answer {
    let key = key_of(&path)?;
    let (_, frame) = Frame::load(&visit, key.clone(), "Activity").await?;
    let found = audit::list(&visit.app, &visit.caller, Of::Project(key.clone()), asked.request()).await?;
    let entries: Vec<Entry> = found.items.iter().map(Entry::new).collect();
    let pager = Pager::new(journal::counted(entries.len()), &visit.here(), found.next.as_deref());
    visit.show(&Activity { page: page(&visit, &key), frame, entries, pager })
}
