//! A project's settings: its permissions, description and tags.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use serde_json::{Map, Value};

use super::operations;
use super::permission::{self, ProjectPermission};
use super::settings::Edited;
use crate::app;
use crate::app::project::Changes;
use crate::domain::Result;
use crate::domain::name::ProjectKey;
use crate::http::State;
use crate::http::api::body::Body;
use crate::http::api::{Reply, named};
use crate::http::identity::Who;

operations! {
    get "/project-deployer/projects/{key}/settings" => get,
    put "/project-deployer/projects/{key}/settings" => save,
}

const CHANGEABLE: [&str; 3] = ["permissions", "description", "tags"];

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProjectSettings {
    id: ProjectKey,
    /// Its key: it has no other name.
    name: ProjectKey,
    /// Who made it; whose it is, its permissions say.
    owner: String,
    permissions: Vec<ProjectPermission>,
    description: String,
    tags: Vec<String>,
    basic_image_info: Option<Value>,
}

async fn read(state: &State, who: &Who, key: ProjectKey) -> Result<ProjectSettings> {
    let project = app::project::get(&state.app, who, key.clone()).await?.into_inner();
    let grants = app::project::grants(&state.app, who, key.clone()).await?;
    Ok(ProjectSettings {
        id: key.clone(),
        name: key,
        owner: project.created_by,
        permissions: grants.into_iter().map(Into::into).collect(),
        description: project.description,
        tags: project.tags,
        basic_image_info: None,
    })
}

async fn get(state: Data<State>, who: Who, key: Path<String>) -> Reply<Json<ProjectSettings>> {
    Ok(Json(read(&state, &who, named("project", &key)?).await?))
}

/// Saves all of it or nothing. The client sends what it read, however long ago: the last one wins.
async fn save(
    state: Data<State>,
    who: Who,
    key: Path<String>,
    body: Body<Map<String, Value>>,
) -> Reply<HttpResponse> {
    let key: ProjectKey = named("project", &key)?;
    let mut edited = Edited::new(body.value, &read(&state, &who, key.clone()).await?, &CHANGEABLE)?;
    let changes = Changes {
        description: edited.take("description")?,
        tags: edited.take("tags")?,
        grants: edited.take("permissions")?.map(permission::project),
        revision: None,
    };
    app::project::save(&state.app, &who, key, changes).await?;
    Ok(HttpResponse::NoContent().finish())
}
