//! Publishing: the archive streams to the disk, as the request's whole body or as the part `file` of a form.

use actix_multipart::{Field, Multipart};
use actix_web::http::header;
use actix_web::web::{self, Data, Json, Path};
use actix_web::{FromRequest as _, HttpRequest};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use crate::app;
use crate::app::bundle::NewBundle;
use crate::blob::{Staged, Upload};
use crate::domain::name::{ProjectKey, Version};
use crate::domain::{Error, Result};
use crate::http::State;
use crate::http::api::bundle::Bundle;
use crate::http::api::query::Query;
use crate::http::api::{Reply, body, named};
use crate::http::identity::Who;

noun! {
    post "/bundles" => publish,
    post "/projects/{key}/bundles" => publish_in,
}

/// Bytes of a form's field that is not the archive.
const FIELD: usize = 1024;

/// What the sender says of an archive.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct About {
    /// Wins over the compose file's `name:`.
    pub project: Option<ProjectKey>,
    /// Used where the compose file has no `x-slipway.version`.
    pub version: Option<Version>,
    /// The archive's name: gives the version where nothing else does.
    pub file_name: Option<String>,
}

/// A form with an archive.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only describes the form")]
struct UploadForm {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    project: Option<String>,
    version: Option<String>,
}

/// What an upload made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Uploaded {
    #[serde(flatten)]
    bundle: Bundle,
    /// Whether the project had to be made.
    project_created: bool,
}

/// Publish a bundle: a zip with a `compose.yaml`.
///
/// The project comes from the compose file, or from `project`; it is made when it is missing. The same archive again
/// is no error.
#[utoipa::path(post, path = "/bundles", tag = "bundles", operation_id = "publishBundle", params(About,
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content((Vec<u8> = "application/zip"), (UploadForm = "multipart/form-data"))),
    responses((status = 200, body = Uploaded)))]
async fn publish(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    query: Query<About>,
    payload: web::Payload,
) -> Reply<Json<Uploaded>> {
    Ok(Json(receive(&request, &state, &who, query.0, payload).await?.into()))
}

/// Publish a bundle in a project, whatever name its compose file has.
#[utoipa::path(post, path = "/projects/{key}/bundles", tag = "bundles", operation_id = "publishBundleIn",
    params(("key" = String, Path, description = "The project's key"), About,
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content((Vec<u8> = "application/zip"), (UploadForm = "multipart/form-data"))),
    responses((status = 200, body = Uploaded)))]
async fn publish_in(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    key: Path<String>,
    query: Query<About>,
    payload: web::Payload,
) -> Reply<Json<Uploaded>> {
    let about = About { project: Some(named("project", &key)?), ..query.0 };
    Ok(Json(receive(&request, &state, &who, about, payload).await?.into()))
}

/// Takes in the archive of a request: its whole body, or the part `file` of a form.
///
/// # Errors
/// As [`app::bundle::upload`]; `body_broken`; a form without the archive, or with fields that are none.
pub(in crate::http) async fn receive(
    request: &HttpRequest,
    state: &State,
    who: &Who,
    mut about: About,
    payload: web::Payload,
) -> Result<app::bundle::Uploaded> {
    let mut upload = state.app.blobs.begin(state.settings.upload_limit).await?;
    let staged = if is_form(request) {
        from_form(request, payload, upload, &mut about).await?
    } else {
        let mut payload = payload.into_inner();
        while let Some(chunk) = payload.next().await {
            upload.write(&chunk.map_err(|error| broken(error.to_string()))?).await?;
        }
        upload.finish().await?
    };
    let once = body::idempotency(request, staged.digest().as_str().as_bytes())?;
    let new = NewBundle { project: about.project, version: about.version, file_name: about.file_name };
    app::bundle::upload(&state.app, who, staged, new, once).await
}

impl From<app::bundle::Uploaded> for Uploaded {
    fn from(uploaded: app::bundle::Uploaded) -> Self {
        Self { bundle: uploaded.bundle.into(), project_created: uploaded.project_created }
    }
}

fn is_form(request: &HttpRequest) -> bool {
    let named = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    named.is_some_and(|named| named.to_ascii_lowercase().starts_with("multipart/form-data"))
}

fn broken(cause: String) -> Error {
    Error::invalid("body_broken", "the upload broke off")
        .hint("Send it again; nothing was kept.")
        .because(cause)
}

/// Reads a form: the archive is the part `file`, and what the other parts say counts where the query says nothing.
async fn from_form(
    request: &HttpRequest,
    payload: web::Payload,
    upload: Upload,
    about: &mut About,
) -> Result<Staged> {
    let mut payload = payload.into_inner();
    let mut form =
        Multipart::from_request(request, &mut payload).await.map_err(|error| broken(error.to_string()))?;
    let (mut upload, mut staged) = (Some(upload), None);
    while let Some(part) = form.next().await {
        let mut part = part.map_err(|error| broken(error.to_string()))?;
        let name = part.name().unwrap_or_default().to_owned();
        match (name.as_str(), upload.take()) {
            ("file", Some(empty)) => {
                let file_name = part.content_disposition().and_then(|about| about.get_filename());
                about.file_name = about.file_name.take().or(file_name.map(ToOwned::to_owned));
                staged = Some(archive(&mut part, empty).await?);
            }
            ("file", None) => return Err(Error::field("file", "one archive at a time")),
            (_, kept) => {
                upload = kept;
                field(&name, &mut part, about).await?;
            }
        }
    }
    staged.ok_or_else(|| {
        Error::field("file", "the form has no part of that name").hint(
            "Send the archive as the part `file`, or alone as the body with `Content-Type: application/zip`.",
        )
    })
}

async fn archive(part: &mut Field, mut upload: Upload) -> Result<Staged> {
    while let Some(chunk) = part.next().await {
        upload.write(&chunk.map_err(|error| broken(error.to_string()))?).await?;
    }
    upload.finish().await
}

async fn field(name: &str, part: &mut Field, about: &mut About) -> Result<()> {
    let mut value = Vec::new();
    while let Some(chunk) = part.next().await {
        value.extend_from_slice(&chunk.map_err(|error| broken(error.to_string()))?);
        if value.len() > FIELD {
            return Err(Error::field(name, format!("longer than {FIELD} bytes")));
        }
    }
    let value = String::from_utf8(value).map_err(|_| Error::field(name, "not UTF-8"))?;
    match name {
        "project" if !value.is_empty() => {
            about.project = Some(about.project.take().map_or_else(|| ProjectKey::parse(value), Ok)?)
        }
        "version" if !value.is_empty() => {
            about.version = Some(about.version.take().map_or_else(|| Version::parse(value), Ok)?)
        }
        "project" | "version" | "csrf" => {}
        other => {
            return Err(Error::field(other.to_owned(), "no such field")
                .hint("The fields are file, project and version."));
        }
    }
    Ok(())
}
