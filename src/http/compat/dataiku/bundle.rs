//! Bundles: uploaded, listed inside their project, downloaded, deleted.

use actix_web::web::{self, Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::operations;
use crate::app;
use crate::app::bundle::Summary;
use crate::domain::Result;
use crate::domain::bundle::Digest;
use crate::domain::name::{ProjectKey, Version};
use crate::domain::page::PageRequest;
use crate::http::State;
use crate::http::api::Reply;
use crate::http::api::bundle::{archive, located};
use crate::http::api::bundle_upload::{About, receive};
use crate::http::api::query::Query;
use crate::http::identity::Who;

operations! {
    post "/project-deployer/projects/bundles" => upload,
    get "/project-deployer/projects/{key}/bundles/{version}" => download,
    delete "/project-deployer/projects/{key}/bundles/{version}" => delete,
}

/// A bundle in short.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleInfo {
    id: Version,
    published_on: i64,
    published_by: String,
    design_node_info: DesignNode,
    /// Slipway's own: of the archive.
    sha256: Digest,
    /// Slipway's own: bytes of the archive.
    size: u64,
}

/// Where a bundle comes from: there are no design nodes, so this is its project.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct DesignNode {
    project_key: ProjectKey,
}

impl BundleInfo {
    fn new(project: &ProjectKey, found: Summary) -> Self {
        Self {
            id: found.version,
            published_on: found.created_at.timestamp_millis(),
            published_by: found.uploader,
            design_node_info: DesignNode { project_key: project.clone() },
            sha256: found.digest,
            size: found.size,
        }
    }
}

/// Every bundle of a project, newest first.
pub(super) async fn all(state: &State, who: &Who, project: &ProjectKey) -> Result<Vec<BundleInfo>> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest { limit: PageRequest::MOST, after };
        let found = app::bundle::list(&state.app, who, project.clone(), page).await?;
        all.extend(found.items.into_iter().map(|one| BundleInfo::new(project, one)));
        match found.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Into {
    /// Without it, the archive's own.
    project_key: Option<ProjectKey>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    published_project_key: ProjectKey,
    bundle_id: Version,
}

async fn upload(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    query: Query<Into>,
    payload: web::Payload,
) -> Reply<Json<Published>> {
    let about = About { project: query.0.project_key, ..About::default() };
    let uploaded = receive(&request, &state, &who, about, payload).await?;
    let bundle = uploaded.bundle;
    Ok(Json(Published { published_project_key: bundle.project, bundle_id: bundle.version }))
}

async fn download(state: Data<State>, who: Who, path: Path<(String, String)>) -> Reply<HttpResponse> {
    let (key, version) = located(&path)?;
    Ok(archive(&state, &who, key, version).await?)
}

async fn delete(state: Data<State>, who: Who, path: Path<(String, String)>) -> Reply<HttpResponse> {
    let (key, version) = located(&path)?;
    app::bundle::delete(&state.app, &who, key, version).await?;
    Ok(HttpResponse::NoContent().finish())
}
