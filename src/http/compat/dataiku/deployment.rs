//! Deployments: listed, made, looked at, deleted. The light status says what was set, the heavy one how it is.

use std::collections::HashMap;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::bundle::{self, BundleInfo};
use super::infrastructure::InfraBasicInfo;
use super::message::InfoMessages;
use super::project::ProjectBasicInfo;
use super::test::Monitoring;
use super::{operations, python_bool};
use crate::app;
use crate::app::deployment::{Filter, NewDeployment, Summary};
use crate::app::infrastructure::Listed;
use crate::domain::access::{InfrastructureRight, ProjectRight};
use crate::domain::deployment::{self, DeploymentRight, Settings};
use crate::domain::health::Health;
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, Version};
use crate::domain::page::{Page, PageRequest};
use crate::domain::{Error, Result};
use crate::http::State;
use crate::http::api::body::Body;
use crate::http::api::query::Query;
use crate::http::api::{Reply, answer};
use crate::http::identity::Who;

operations! {
    get "/project-deployer/deployments" => list,
    post "/project-deployer/deployments" => create,
    get "/project-deployer/deployments/{id}" => light,
    get "/project-deployer/deployments/{id}/status" => heavy,
    get "/project-deployer/deployments/{id}/governance-status" => governance,
    delete "/project-deployer/deployments/{id}" => delete,
}

/// What a deployment is of, and where; its status and its settings say so alike.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    id: DeploymentId,
    infra_id: InfrastructureId,
    published_project_key: ProjectKey,
    bundle_id: Version,
    deployed_project_key: ProjectKey,
    project_folder_id: Option<String>,
    enabled: bool,
    /// Deployments have none.
    tags: [String; 0],
}

impl From<&deployment::Deployment> for Definition {
    fn from(found: &deployment::Deployment) -> Self {
        Self {
            id: found.id.clone(),
            infra_id: found.infrastructure.clone(),
            published_project_key: found.project.clone(),
            bundle_id: found.version.clone(),
            deployed_project_key: found.deployed_project.clone().unwrap_or_else(|| found.project.clone()),
            project_folder_id: (!found.folder.is_empty()).then(|| found.folder.clone()),
            enabled: found.enabled,
            tags: [],
        }
    }
}

/// A deployment in short.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentBasicInfo {
    #[serde(flatten)]
    definition: Definition,
    created_by_display_name: String,
    created_on: i64,
    last_modified_on: i64,
}

impl From<&deployment::Deployment> for DeploymentBasicInfo {
    fn from(found: &deployment::Deployment) -> Self {
        Self {
            definition: found.into(),
            created_by_display_name: found.created_by.clone(),
            created_on: found.created_at.timestamp_millis(),
            last_modified_on: found.updated_at.timestamp_millis(),
        }
    }
}

/// What was set, without how it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LightStatus {
    deployment_basic_info: DeploymentBasicInfo,
    infra_basic_info: InfraBasicInfo,
    project_basic_info: ProjectBasicInfo,
    /// Every bundle of its project.
    packages: Vec<BundleInfo>,
    never_ever_deployed: bool,
    /// Whether the caller may deploy it.
    can_deploy: bool,
}

/// How it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HeavyStatus {
    deployment_id: DeploymentId,
    health: Health,
    health_messages: InfoMessages,
    monitoring: Monitoring,
}

/// What light statuses share, read once for a whole page of them.
struct Known<'a> {
    state: &'a State,
    who: &'a Who,
    infrastructures: HashMap<InfrastructureId, Listed>,
    projects: HashMap<ProjectKey, (ProjectRight, Vec<BundleInfo>)>,
}

impl<'a> Known<'a> {
    async fn read(state: &'a State, who: &'a Who) -> Result<Self> {
        let listed = app::infrastructure::list(&state.app, who).await?.into_iter();
        let infrastructures = listed.map(|one| (one.infrastructure.id.clone(), one)).collect();
        Ok(Self { state, who, infrastructures, projects: HashMap::new() })
    }

    async fn light(&mut self, found: &deployment::Deployment) -> Result<LightStatus> {
        let absent = || Error::not_found("deployment", &found.id);
        let on = self.infrastructures.get(&found.infrastructure).ok_or_else(absent)?;
        if !self.projects.contains_key(&found.project) {
            let project = app::project::get(&self.state.app, self.who, found.project.clone()).await?;
            let bundles = bundle::all(self.state, self.who, &found.project).await?;
            self.projects.insert(found.project.clone(), (project.held(), bundles));
        }
        let (right, packages) = self.projects.get(&found.project).ok_or_else(absent)?;
        Ok(LightStatus {
            deployment_basic_info: found.into(),
            infra_basic_info: (&on.infrastructure).into(),
            project_basic_info: (&found.project).into(),
            packages: packages.clone(),
            never_ever_deployed: found.last_update == 0,
            can_deploy: may_deploy(*right, on.right),
        })
    }
}

fn may_deploy(project: ProjectRight, infrastructure: InfrastructureRight) -> bool {
    DeploymentRight::from_parts(Some(project), Some(infrastructure)) == Some(DeploymentRight::Deploy)
}

/// What its clients know: deployments of bundles.
fn bundles() -> Filter {
    Filter { bundles: true, ..Filter::default() }
}

/// Every deployment of a filter that the caller may see.
pub(super) async fn all(state: &State, who: &Who, filter: Filter) -> Result<Vec<Summary>> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest { limit: PageRequest::MOST, after };
        let found = app::deployment::list(&state.app, who, filter.clone(), page).await?;
        all.extend(found.items);
        match found.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}

async fn list(request: HttpRequest, state: Data<State>, who: Who) -> Reply<HttpResponse> {
    let fetch = move |page: PageRequest| {
        let (state, who) = (state.clone(), who.clone());
        async move {
            let page = app::deployment::list(&state.app, &who, bundles(), page).await?;
            let mut known = Known::read(&state, &who).await?;
            let mut items = Vec::with_capacity(page.items.len());
            for one in &page.items {
                items.push(known.light(&one.deployment).await?);
            }
            Ok(Page { items, next: page.next })
        }
    };
    answer::list(&request, None, fetch).await
}

/// Whether governance's warnings count.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Warnings {
    #[serde(default, deserialize_with = "python_bool")]
    pub ignore_warnings: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewSettings {
    deployment_id: DeploymentId,
    published_project_key: ProjectKey,
    infra_id: InfrastructureId,
    bundle_id: Version,
    deployed_project_key: Option<ProjectKey>,
    project_folder_id: Option<String>,
}

async fn create(
    state: Data<State>,
    who: Who,
    query: Query<Warnings>,
    body: Body<NewSettings>,
) -> Reply<Json<LightStatus>> {
    let asked = body.value;
    let new = NewDeployment {
        id: Some(asked.deployment_id),
        project: asked.published_project_key,
        version: asked.bundle_id,
        infrastructure: asked.infra_id,
        settings: Settings::default(),
        secrets: Default::default(),
        auto_repair: false,
        folder: asked.project_folder_id.unwrap_or_default(),
        deployed_project: asked.deployed_project_key,
        ignore_warnings: query.0.ignore_warnings,
    };
    let made = app::deployment::create(&state.app, &who, new, body.once).await?;
    Ok(Json(Known::read(&state, &who).await?.light(&made).await?))
}

async fn light(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<LightStatus>> {
    let id = super::deployment_of(&state.app, &who, &id).await?;
    let found = app::deployment::get(&state.app, &who, id).await?;
    Ok(Json(Known::read(&state, &who).await?.light(&found).await?))
}

async fn heavy(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<HeavyStatus>> {
    let id = super::deployment_of(&state.app, &who, &id).await?;
    let (_, summary) = app::deployment::with_summary(&state.app, &who, id.clone()).await?;
    let tests = app::test::status(&state.app, &who, id.clone(), None).await?;
    Ok(Json(HeavyStatus {
        deployment_id: id,
        health: summary.state.health,
        health_messages: summary.state.messages.into(),
        monitoring: (&tests).into(),
    }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OfBundle {
    /// Empty: the one that is set.
    bundle_id: Option<Version>,
}

async fn governance(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    query: Query<OfBundle>,
) -> Reply<Json<InfoMessages>> {
    let id = super::deployment_of(&state.app, &who, &id).await?;
    let said = app::approval::governance(&state.app, &who, id, query.0.bundle_id).await?;
    Ok(Json(said.messages.into()))
}

/// Volumes stay, as in the console where nobody asks for more.
async fn delete(state: Data<State>, who: Who, id: Path<String>) -> Reply<HttpResponse> {
    let id = super::deployment_of(&state.app, &who, &id).await?;
    app::deployment::delete(&state.app, &who, id, false).await?;
    Ok(HttpResponse::NoContent().finish())
}
