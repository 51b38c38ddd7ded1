//! Finding a project, a deployment, a bundle, a pipeline, a stream, a context or an execution by a part of its name.

use actix_web::web;
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use super::executions::Row;
use super::home::Shown;
use super::page::{self, Section, State};
use super::visit::{Answer, Visit};
use crate::app::deployment::Filter;
use crate::app::{context, deployment, execution, overview, pipeline, project, stream};
use crate::domain::Result;
use crate::domain::page::{Page, PageRequest};
use crate::domain::resource::Resource;
use crate::http::routes::Routes;

/// How many hits of a kind are shown.
const HITS: u32 = 20;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/search", search);
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
}

#[derive(Template)]
#[template(path = "search.html")]
struct Search {
    page: page::Page,
    text: String,
    projects: Vec<(String, String)>,
    deployments: Vec<(String, String, State, String)>,
    bundles: Vec<(String, String)>,
    executions: Vec<Row>,
    /// What belongs to one group: each kind with where it lies.
    resources: Resources,
}

impl Search {
    fn is_empty(&self) -> bool {
        self.projects.is_empty()
            && self.deployments.is_empty()
            && self.bundles.is_empty()
            && self.executions.is_empty()
            && self.resources.iter().all(|(_, _, hits)| hits.is_empty())
    }
}

async fn search(visit: Visit, asked: web::Query<Asked>) -> Answer {
    let text = asked.q.trim().to_owned();
    let mut page = Search {
        page: visit.page("Search", Section::Search),
        text: text.clone(),
        projects: Vec::new(),
        deployments: Vec::new(),
        bundles: Vec::new(),
        executions: Vec::new(),
        resources: Vec::new(),
    };
    if text.is_empty() {
        return visit.show(&page);
    }
    let (app, caller) = (&visit.app, &visit.caller);
    let filter = project::Filter { text: Some(text.clone()), tag: None };
    let projects = project::list(app, caller, filter, PageRequest::first(HITS)).await?.items;
    let filter = Filter { text: Some(text.clone()), ..Filter::default() };
    let deployments = deployment::list(app, caller, filter, PageRequest::first(HITS)).await?.items;
    let bundles = overview::bundles_like(app, caller, text.clone(), HITS).await?;
    // The one thing that has this very name is where one wants to go.
    if let Some(exact) = deployments.iter().find(|hit| hit.deployment.id.as_str() == text) {
        return Ok(visit.leave(&format!("/deployments/{}", exact.deployment.id)));
    }
    page.projects = projects.into_iter().map(|(hit, _)| (hit.key.to_string(), hit.description)).collect();
    page.deployments = deployments
        .iter()
        .map(|hit| {
            let (id, called) = (hit.deployment.id.to_string(), hit.deployment.called().to_owned());
            (id, called, Shown::of(hit).state(), hit.deployment.wants())
        })
        .collect();
    page.bundles = bundles.into_iter().map(|(key, version)| (key.to_string(), version.to_string())).collect();
    let filter = execution::Filter { text: Some(text.clone()), ..execution::Filter::default() };
    let executions = execution::list(app, caller, filter, PageRequest::first(HITS)).await?.items;
    page.executions = executions.into_iter().map(Row::new).collect();
    page.resources = resources(&visit, &text).await?;
    visit.show(&page)
}

type Resources = Vec<(&'static str, &'static str, Vec<(Uuid, String)>)>;

/// Pipelines, streams and contexts.
async fn resources(visit: &Visit, text: &str) -> Result<Resources> {
    fn named<S>(found: Page<(Resource<S>, u32)>) -> Vec<(Uuid, String)> {
        found.items.into_iter().map(|(one, _)| (one.uuid, one.name.to_string())).collect()
    }
    let (app, caller, first) = (&visit.app, &visit.caller, || PageRequest::first(HITS));
    let text = || Some(text.to_owned());
    Ok(vec![
        ("Pipelines", "/pipelines", named(pipeline::list(app, caller, text(), first()).await?)),
        ("Streams", "/streams", named(stream::list(app, caller, text(), first()).await?)),
        ("Contexts", "/contexts", named(context::list(app, caller, text(), first()).await?)),
    ])
}
