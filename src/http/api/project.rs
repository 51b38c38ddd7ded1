//! Projects and their grants.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use crate::app;
use crate::app::project::{Changes, NewProject};
use crate::domain::access::{Authorized, ProjectRight};
use crate::domain::clock::Timestamp;
use crate::domain::name::{GroupName, ProjectKey};
use crate::domain::page::PageRequest;
use crate::domain::project;
use crate::http::State;
use crate::http::api::body::Body;
use crate::http::api::query::Query;
use crate::http::api::{Reply, answer, named, query};
use crate::http::identity::Who;

noun! {
    get "/projects" => list,
    post "/projects" => create,
    get "/projects/{key}" => get,
    put "/projects/{key}" => save,
    delete "/projects/{key}" => delete,
    get "/projects/{key}/grants" => grants,
    put "/projects/{key}/grants/{group}" => grant,
    delete "/projects/{key}/grants/{group}" => revoke,
}

/// A project: the key under which bundles are published.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// Its key.
    pub name: ProjectKey,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    pub created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    pub spec: ProjectSpec,
    pub status: ProjectStatus,
}

/// What is written down about a project.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectSpec {
    /// For people.
    pub description: String,
    pub tags: Vec<String>,
}

/// What a project is to the caller.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProjectStatus {
    /// The caller's own highest right on it.
    pub right: ProjectRight,
    /// Counts every change: the settings' ETag.
    pub revision: u32,
}

impl Project {
    fn new(project: project::Project, right: ProjectRight) -> Self {
        Self {
            name: project.key,
            created_at: project.created_at,
            created_by: project.created_by,
            updated_at: project.updated_at,
            spec: ProjectSpec { description: project.description, tags: project.tags },
            status: ProjectStatus { right, revision: project.revision },
        }
    }

    fn held(project: Authorized<project::Project>) -> Self {
        let right = project.held();
        Self::new(project.into_inner(), right)
    }

    fn tagged(project: Authorized<project::Project>) -> HttpResponse {
        answer::tagged(project.revision, &Self::held(project))
    }
}

/// A project to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectRequest {
    /// Its key: up to 63 letters, digits, `-`, `_` or `.`.
    pub name: ProjectKey,
    #[serde(default)]
    pub spec: ProjectSpec,
    /// Which of the maker's groups gets `admin`; the first one that is no admin group when none is named.
    pub group: Option<GroupName>,
}

/// A project's new settings: they replace the old ones.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectChange {
    pub spec: ProjectSpec,
}

/// A group's right on a project.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProjectGrant {
    pub group: GroupName,
    pub right: ProjectRight,
}

/// The right to be given.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectGrantRequest {
    pub right: ProjectRight,
}

fn rendered(grants: Vec<(GroupName, ProjectRight)>) -> Json<Vec<ProjectGrant>> {
    Json(grants.into_iter().map(|(group, right)| ProjectGrant { group, right }).collect())
}

/// Which projects are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Part of the key or the description.
    q: Option<String>,
    tag: Option<String>,
    /// At most this many entries, 1 to 500. Without it all come.
    limit: Option<u32>,
    /// The cursor of the page before, from its `Link` header.
    after: Option<String>,
}

/// List the projects that the caller may see, by key.
#[utoipa::path(get, path = "/projects", tag = "projects", operation_id = "listProjects", params(Filter),
    responses((status = 200, body = [Project])))]
async fn list(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    query: Query<Filter>,
) -> Reply<HttpResponse> {
    let Filter { q, tag, limit, after } = query.0;
    let filter = app::project::Filter { text: q, tag };
    let fetch = move |page: PageRequest| {
        let (state, who, filter) = (state.clone(), who.clone(), filter.clone());
        async move {
            let found = app::project::list(&state.app, &who, filter, page).await?;
            Ok(found.map(|(project, right)| Project::new(project, right)))
        }
    };
    answer::list(&request, query::page(limit, after)?, fetch).await
}

/// Make a project.
#[utoipa::path(post, path = "/projects", tag = "projects", operation_id = "createProject",
    request_body(content = ProjectRequest, example = json!({ "name": "iris", "spec": { "description": "Classifies flowers", "tags": ["demo"] } })),
    responses((status = 200, body = Project)))]
async fn create(state: Data<State>, who: Who, body: Body<ProjectRequest>) -> Reply<HttpResponse> {
    let ProjectRequest { name, spec, group } = body.value;
    let new = NewProject { key: name, description: spec.description, tags: spec.tags, group };
    let made = app::project::create(&state.app, &who, new, body.once).await?;
    Ok(Project::tagged(made))
}

/// Get a project.
#[utoipa::path(get, path = "/projects/{key}", tag = "projects", operation_id = "getProject",
    params(("key" = String, Path, description = "The project's key")),
    responses((status = 200, body = Project)))]
async fn get(state: Data<State>, who: Who, key: Path<String>) -> Reply<HttpResponse> {
    let found = app::project::get(&state.app, &who, named("project", &key)?).await?;
    Ok(Project::tagged(found))
}

/// Save a project's settings.
///
/// Takes `admin` on it.
#[utoipa::path(put, path = "/projects/{key}", tag = "projects", operation_id = "saveProject",
    params(("key" = String, Path, description = "The project's key")),
    request_body(content = ProjectChange, example = json!({ "spec": { "description": "Classifies flowers", "tags": ["demo", "team-a"] } })),
    responses((status = 200, body = Project)))]
async fn save(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    key: Path<String>,
    body: Body<ProjectChange>,
) -> Reply<HttpResponse> {
    let ProjectSpec { description, tags } = body.value.spec;
    let (description, tags) = (Some(description), Some(tags));
    let changes = Changes { description, tags, grants: None, revision: answer::if_match(&request)? };
    let saved = app::project::save(&state.app, &who, named("project", &key)?, changes).await?;
    Ok(Project::tagged(saved))
}

/// Delete a project with its bundles.
///
/// Takes `admin` on it; refused while a deployment uses it.
#[utoipa::path(delete, path = "/projects/{key}", tag = "projects", operation_id = "deleteProject",
    params(("key" = String, Path, description = "The project's key")),
    responses((status = 200, body = Project)))]
async fn delete(state: Data<State>, who: Who, key: Path<String>) -> Reply<Json<Project>> {
    let key: ProjectKey = named("project", &key)?;
    let last = app::project::get(&state.app, &who, key.clone()).await?;
    app::project::delete(&state.app, &who, key).await?;
    Ok(Json(Project::held(last)))
}

/// List who holds which right on a project.
#[utoipa::path(get, path = "/projects/{key}/grants", tag = "projects", operation_id = "listProjectGrants",
    params(("key" = String, Path, description = "The project's key")),
    responses((status = 200, body = [ProjectGrant], example = json!([{ "group": "ml-deployers", "right": "deploy" }]))))]
async fn grants(state: Data<State>, who: Who, key: Path<String>) -> Reply<Json<Vec<ProjectGrant>>> {
    let grants = app::project::grants(&state.app, &who, named("project", &key)?).await?;
    Ok(rendered(grants))
}

/// Give a group a right on a project, in place of the one it has.
///
/// Takes `admin` on it.
#[utoipa::path(put, path = "/projects/{key}/grants/{group}", tag = "projects", operation_id = "grantProject",
    params(("key" = String, Path, description = "The project's key"), ("group" = String, Path, description = "The group")),
    request_body(content = ProjectGrantRequest, example = json!({ "right": "publish" })),
    responses((status = 200, body = [ProjectGrant])))]
async fn grant(
    state: Data<State>,
    who: Who,
    path: Path<(String, String)>,
    body: Body<ProjectGrantRequest>,
) -> Reply<Json<Vec<ProjectGrant>>> {
    let (key, group) = (named("project", &path.0)?, GroupName::parse(path.1.as_str())?);
    let grants = app::project::grant(&state.app, &who, key, group, Some(body.value.right)).await?;
    Ok(rendered(grants))
}

/// Take a group's right on a project away.
///
/// Takes `admin` on it.
#[utoipa::path(delete, path = "/projects/{key}/grants/{group}", tag = "projects", operation_id = "revokeProject",
    params(("key" = String, Path, description = "The project's key"), ("group" = String, Path, description = "The group")),
    responses((status = 200, body = [ProjectGrant])))]
async fn revoke(
    state: Data<State>,
    who: Who,
    path: Path<(String, String)>,
) -> Reply<Json<Vec<ProjectGrant>>> {
    let (key, group) = (named("project", &path.0)?, GroupName::parse(path.1.as_str())?);
    let grants = app::project::grant(&state.app, &who, key, group, None).await?;
    Ok(rendered(grants))
}
