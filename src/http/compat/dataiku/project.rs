//! Published projects: listed, made, deleted.

use std::collections::BTreeSet;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::bundle::{self, BundleInfo};
use super::deployment::{self, DeploymentBasicInfo};
use super::infrastructure::InfraBasicInfo;
use super::operations;
use crate::app;
use crate::app::infrastructure::Listed;
use crate::app::project::NewProject;
use crate::domain::Result;
use crate::domain::access::ProjectRight;
use crate::domain::name::ProjectKey;
use crate::domain::page::{Page, PageRequest};
use crate::http::State;
use crate::http::api::body::Body;
use crate::http::api::{Reply, answer, named};
use crate::http::identity::Who;

operations! {
    get "/project-deployer/projects" => list,
    post "/project-deployer/projects" => create,
    get "/project-deployer/projects/{key}" => get,
    delete "/project-deployer/projects/{key}" => delete,
}

/// A project in short; it has no name beside its key.
#[derive(Debug, Clone, Serialize)]
pub struct ProjectBasicInfo {
    id: ProjectKey,
    name: ProjectKey,
}

impl From<&ProjectKey> for ProjectBasicInfo {
    fn from(key: &ProjectKey) -> Self {
        Self { id: key.clone(), name: key.clone() }
    }
}

/// A project as the client's status object holds it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProjectStatus {
    project_basic_info: ProjectBasicInfo,
    is_admin: bool,
    can_deploy: bool,
    can_write: bool,
    packages: Vec<BundleInfo>,
    deployments: Vec<DeploymentBasicInfo>,
    /// Those of its deployments.
    infras: Vec<InfraBasicInfo>,
}

async fn status(
    state: &State,
    who: &Who,
    known: &[Listed],
    key: &ProjectKey,
    right: ProjectRight,
) -> Result<ProjectStatus> {
    let filter = app::deployment::Filter { project: Some(key.clone()), ..app::deployment::Filter::default() };
    let deployments = deployment::all(state, who, filter).await?;
    let used: BTreeSet<_> = deployments.iter().map(|one| &one.deployment.infrastructure).collect();
    let used = known.iter().map(|one| &one.infrastructure).filter(|one| used.contains(&one.id));
    Ok(ProjectStatus {
        project_basic_info: key.into(),
        is_admin: right >= ProjectRight::Admin,
        can_deploy: right >= ProjectRight::Deploy,
        can_write: right >= ProjectRight::Publish,
        packages: bundle::all(state, who, key).await?,
        infras: used.map(InfraBasicInfo::from).collect(),
        deployments: deployments.iter().map(|one| (&one.deployment).into()).collect(),
    })
}

async fn list(request: HttpRequest, state: Data<State>, who: Who) -> Reply<HttpResponse> {
    let fetch = move |page: PageRequest| {
        let (state, who) = (state.clone(), who.clone());
        async move {
            let page = app::project::list(&state.app, &who, app::project::Filter::default(), page).await?;
            let known = app::infrastructure::list(&state.app, &who).await?;
            let mut items = Vec::with_capacity(page.items.len());
            for (project, right) in page.items {
                items.push(status(&state, &who, &known, &project.key, right).await?);
            }
            Ok(Page { items, next: page.next })
        }
    };
    answer::list(&request, None, fetch).await
}

async fn get(state: Data<State>, who: Who, key: Path<String>) -> Reply<Json<ProjectStatus>> {
    let found = app::project::get(&state.app, &who, named("project", &key)?).await?;
    let known = app::infrastructure::list(&state.app, &who).await?;
    Ok(Json(status(&state, &who, &known, &found.key, found.held()).await?))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PublishedProject {
    published_project_key: ProjectKey,
}

async fn create(state: Data<State>, who: Who, body: Body<PublishedProject>) -> Reply<Json<ProjectStatus>> {
    let key = body.value.published_project_key;
    let new = NewProject { key, description: String::new(), tags: Vec::new(), group: None };
    let made = app::project::create(&state.app, &who, new, body.once).await?;
    let known = app::infrastructure::list(&state.app, &who).await?;
    Ok(Json(status(&state, &who, &known, &made.key, made.held()).await?))
}

async fn delete(state: Data<State>, who: Who, key: Path<String>) -> Reply<HttpResponse> {
    app::project::delete(&state.app, &who, named("project", &key)?).await?;
    Ok(HttpResponse::NoContent().finish())
}
