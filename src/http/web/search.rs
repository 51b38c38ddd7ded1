//! Finding a project, a deployment or a bundle by a part of its name.

use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::home::Shown;
use super::page::{Page, Section, State};
use super::visit::{Answer, Visit};
use crate::app::deployment::Filter;
use crate::app::{deployment, overview, project};
use crate::domain::page::PageRequest;
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
    page: Page,
    text: String,
    projects: Vec<(String, String)>,
    deployments: Vec<(String, String, State, String)>,
    bundles: Vec<(String, String)>,
}

async fn search(visit: Visit, asked: web::Query<Asked>) -> Answer {
    let text = asked.q.trim().to_owned();
    let mut page = Search {
        page: visit.page("Search", Section::Search),
        text: text.clone(),
        projects: Vec::new(),
        deployments: Vec::new(),
        bundles: Vec::new(),
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
    visit.show(&page)
}
