//! Bundles: listed, read, compared, downloaded, deleted. Publishing one is [`super::bundle_upload`].

use actix_web::http::header::{self, ContentDisposition, DispositionParam, DispositionType};
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::io::ReaderStream;

use crate::app;
use crate::domain::bundle::{self, BundleFile, Digest};
use crate::domain::clock::Timestamp;
use crate::domain::diff::Change;
use crate::domain::name::{ProjectKey, Version};
use crate::domain::page::PageRequest;
use crate::domain::{Error, Problem, Result};
use crate::http::State;
use crate::http::api::query::{Paging, Query};
use crate::http::api::{Reply, answer, named};
use crate::http::identity::Who;

noun! {
    get "/projects/{key}/bundles" => list,
    get "/projects/{key}/bundles/{version}" => get,
    delete "/projects/{key}/bundles/{version}" => delete,
    get "/projects/{key}/bundles/{version}/files" => files,
    get "/projects/{key}/bundles/{version}/files/{path:.+}" => file,
    get "/projects/{key}/bundles/{version}/download" => download,
    get "/projects/{key}/bundles/{version}/diff" => diff,
}

/// A published bundle, in short.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleSummary {
    /// Its version.
    pub name: Version,
    pub project: ProjectKey,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    pub uploader: String,
    /// Of the archive as it was uploaded.
    pub sha256: Digest,
    /// Bytes of the archive.
    pub size: u64,
    pub services: Vec<String>,
    /// How many deployments want it.
    pub deployments: u32,
}

/// A published bundle: an immutable zip with a compose file.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// Its version.
    pub name: Version,
    pub project: ProjectKey,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    pub uploader: String,
    /// Of the archive as it was uploaded.
    pub sha256: Digest,
    /// Bytes of the archive.
    pub size: u64,
    /// What its compose file says, as Slipway understood it.
    #[schema(value_type = Object)]
    pub spec: Value,
    /// What was taken, but works differently from what the compose file's author may expect.
    pub warnings: Vec<Problem>,
    pub files: Vec<BundleFile>,
}

impl From<bundle::Bundle> for Bundle {
    fn from(bundle: bundle::Bundle) -> Self {
        Self {
            name: bundle.version,
            project: bundle.project,
            created_at: bundle.created_at,
            uploader: bundle.uploader,
            sha256: bundle.digest,
            size: bundle.size,
            spec: serde_json::to_value(&bundle.manifest.workload).unwrap_or_default(),
            warnings: bundle.manifest.warnings,
            files: bundle.files,
        }
    }
}

/// Project and version of a path.
pub(in crate::http) fn located(path: &(String, String)) -> Result<(ProjectKey, Version)> {
    Ok((named("project", &path.0)?, named("bundle", &path.1)?))
}

/// List a project's bundles, newest first.
#[utoipa::path(get, path = "/projects/{key}/bundles", tag = "bundles", operation_id = "listBundles",
    params(("key" = String, Path, description = "The project's key"), Paging),
    responses((status = 200, body = [BundleSummary])))]
async fn list(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    key: Path<String>,
    query: Query<Paging>,
) -> Reply<HttpResponse> {
    let key: ProjectKey = named("project", &key)?;
    let fetch = move |page: PageRequest| {
        let (state, who, key) = (state.clone(), who.clone(), key.clone());
        async move {
            let found = app::bundle::list(&state.app, &who, key.clone(), page).await?;
            Ok(found.map(|summary| BundleSummary {
                name: summary.version,
                project: key.clone(),
                created_at: summary.created_at,
                uploader: summary.uploader,
                sha256: summary.digest,
                size: summary.size,
                services: summary.services,
                deployments: summary.deployments,
            }))
        }
    };
    answer::list(&request, query.0.page()?, fetch).await
}

/// Get a bundle.
#[utoipa::path(get, path = "/projects/{key}/bundles/{version}", tag = "bundles", operation_id = "getBundle",
    params(("key" = String, Path, description = "The project's key"), ("version" = String, Path, description = "The bundle's version")),
    responses((status = 200, body = Bundle)))]
async fn get(state: Data<State>, who: Who, path: Path<(String, String)>) -> Reply<Json<Bundle>> {
    let (key, version) = located(&path)?;
    Ok(Json(app::bundle::get(&state.app, &who, key, version).await?.into()))
}

/// Delete a bundle that no deployment wants or runs.
///
/// Takes `admin` on its project.
#[utoipa::path(delete, path = "/projects/{key}/bundles/{version}", tag = "bundles", operation_id = "deleteBundle",
    params(("key" = String, Path, description = "The project's key"), ("version" = String, Path, description = "The bundle's version")),
    responses((status = 200, body = Bundle)))]
async fn delete(state: Data<State>, who: Who, path: Path<(String, String)>) -> Reply<Json<Bundle>> {
    let (key, version) = located(&path)?;
    let last = app::bundle::get(&state.app, &who, key.clone(), version.clone()).await?;
    app::bundle::delete(&state.app, &who, key, version).await?;
    Ok(Json(last.into()))
}

/// List a bundle's files.
#[utoipa::path(get, path = "/projects/{key}/bundles/{version}/files", tag = "bundles", operation_id = "listBundleFiles",
    params(("key" = String, Path, description = "The project's key"), ("version" = String, Path, description = "The bundle's version")),
    responses((status = 200, body = [BundleFile])))]
async fn files(state: Data<State>, who: Who, path: Path<(String, String)>) -> Reply<Json<Vec<BundleFile>>> {
    let (key, version) = located(&path)?;
    Ok(Json(app::bundle::get(&state.app, &who, key, version).await?.files))
}

/// Read one file of a bundle, up to 1 MiB.
#[utoipa::path(get, path = "/projects/{key}/bundles/{version}/files/{path}", tag = "bundles", operation_id = "getBundleFile",
    params(("key" = String, Path, description = "The project's key"), ("version" = String, Path, description = "The bundle's version"),
        ("path" = String, Path, description = "The file's path inside the bundle")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream")))]
async fn file(state: Data<State>, who: Who, path: Path<(String, String, String)>) -> Reply<HttpResponse> {
    let (key, version, name) = path.into_inner();
    let (key, version) = located(&(key, version))?;
    let (_, content) = app::bundle::file(&state.app, &who, key, version, name).await?;
    Ok(HttpResponse::Ok()
        .insert_header(ContentDisposition::attachment("file"))
        .content_type("application/octet-stream")
        .body(content))
}

/// Download a bundle's archive as it was uploaded.
#[utoipa::path(get, path = "/projects/{key}/bundles/{version}/download", tag = "bundles", operation_id = "downloadBundle",
    params(("key" = String, Path, description = "The project's key"), ("version" = String, Path, description = "The bundle's version")),
    responses((status = 200, body = Vec<u8>, content_type = "application/zip")))]
async fn download(state: Data<State>, who: Who, path: Path<(String, String)>) -> Reply<HttpResponse> {
    let (key, version) = located(&path)?;
    Ok(archive(&state, &who, key, version).await?)
}

/// An archive as an answer.
pub(in crate::http) async fn archive(
    state: &State,
    who: &Who,
    key: ProjectKey,
    version: Version,
) -> Result<HttpResponse> {
    let (bundle, archive) = app::bundle::download(&state.app, who, key, version).await?;
    let name = format!("{}-{}.zip", bundle.project, bundle.version);
    Ok(HttpResponse::Ok()
        .insert_header(ContentDisposition {
            disposition: DispositionType::Attachment,
            parameters: vec![DispositionParam::Filename(name)],
        })
        .insert_header((header::ETAG, format!("\"{}\"", bundle.digest)))
        .content_type("application/zip")
        .body(actix_web::body::SizedStream::new(
            bundle.size,
            ReaderStream::with_capacity(archive, 64 * 1024),
        )))
}

/// Against which bundle.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Against {
    /// The version that is compared with this one.
    with: Option<String>,
}

/// What differs between two bundles of a project.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BundleDiff {
    pub from: Version,
    pub to: Version,
    /// What the compose files say, place by place.
    pub definition: Vec<Change>,
    /// Files by path; before and after are the beginnings of their SHA-256.
    pub files: Vec<Change>,
    /// A unified diff of the compose files.
    pub compose: String,
}

/// Compare a bundle with another one: what would change in going to `with`.
#[utoipa::path(get, path = "/projects/{key}/bundles/{version}/diff", tag = "bundles", operation_id = "diffBundles",
    params(("key" = String, Path, description = "The project's key"), ("version" = String, Path, description = "The bundle's version"), Against),
    responses((status = 200, body = BundleDiff)))]
async fn diff(
    state: Data<State>,
    who: Who,
    path: Path<(String, String)>,
    query: Query<Against>,
) -> Reply<Json<BundleDiff>> {
    let (key, from) = located(&path)?;
    let with = query.0.with.ok_or_else(|| Error::field("with", "the other version is missing"))?;
    let diff = app::bundle::diff(&state.app, &who, key, from, named("bundle", &with)?).await?;
    Ok(Json(BundleDiff {
        from: diff.from,
        to: diff.to,
        definition: diff.definition,
        files: diff.files,
        compose: diff.compose,
    }))
}
