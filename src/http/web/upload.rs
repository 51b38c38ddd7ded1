//! Publishing a bundle from the browser: a form with a file, streamed to disk as it comes.

use actix_multipart::{Field as Part, Multipart};
use actix_web::web;
use askama::Template;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::fields::Fields;
use super::page::{Field, Page, Section, Tone, Trouble, blame, size};
use super::project::{key_of, page_below};
use super::visit::{Answer, Visit};
use crate::app::bundle::{self, NewBundle, Uploaded};
use crate::app::project;
use crate::blob::Staged;
use crate::domain::access::ProjectRight;
use crate::domain::name::{ProjectKey, Version};
use crate::domain::{Error, Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;

/// Bytes of a text field.
const FIELD: usize = 4 * 1024;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/upload", ask);
    routes.post("/upload", publish);
    routes.get("/projects/{key}/upload", ask_for);
    routes.post("/projects/{key}/upload", publish_to);
}

#[derive(Template)]
#[template(path = "upload.html")]
struct UploadPage {
    page: Page,
    trouble: Option<Trouble>,
    action: String,
    /// Fixed where the upload is for one project.
    project: Option<Field>,
    version: Field,
    file: Field,
    limit: String,
    back: String,
    sample: String,
}

impl UploadPage {
    fn new(visit: &Visit, key: Option<&ProjectKey>, fields: &Fields) -> Self {
        let (page, path) = match key {
            Some(key) => (page_below(visit, key, "Upload a bundle"), format!("/projects/{key}")),
            None => {
                let page = visit.page("Upload a bundle", Section::Projects).below("Projects", "/projects");
                (page, "/projects".to_owned())
            }
        };
        let action = key.map_or_else(|| "/upload".to_owned(), |key| format!("/projects/{key}/upload"));
        Self {
            page,
            trouble: None,
            action: visit.url(&action),
            project: key.is_none().then(|| {
                Field::text("project", "Project")
                    .hint("Left empty, the compose file's name: says it. One that is missing is made.")
                    .value(fields.get("project"))
                    .mono()
            }),
            version: Field::text("version", "Version")
                .hint("Left empty, x-slipway.version of the compose file says it, else the file's name.")
                .value(fields.get("version"))
                .mono(),
            file: Field::file("file", "Bundle", ".zip").required(),
            limit: size(visit.state().settings.upload_limit),
            back: visit.url(&path),
            sample: key.map_or_else(|| "iris".to_owned(), ToString::to_string),
        }
    }
}

async fn ask(visit: Visit) -> Answer {
    visit.show(&UploadPage::new(&visit, None, &Fields::default()))
}

async fn ask_for(visit: Visit, path: web::Path<String>) -> Answer {
    let key = key_of(&path)?;
    project::get(&visit.app, &visit.caller, key.clone()).await?.demand(ProjectRight::Publish)?;
    visit.show(&UploadPage::new(&visit, Some(&key), &Fields::default()))
}

async fn publish(visit: Visit, form: Multipart) -> Answer {
    answer(&visit, None, form).await
}

async fn publish_to(visit: Visit, path: web::Path<String>, form: Multipart) -> Answer {
    let key = key_of(&path)?;
    project::get(&visit.app, &visit.caller, key.clone()).await?.demand(ProjectRight::Publish)?;
    answer(&visit, Some(key), form).await
}

async fn answer(visit: &Visit, key: Option<ProjectKey>, form: Multipart) -> Answer {
    let mut received = Received::default();
    let outcome = match receive(visit, form, &mut received).await {
        Ok(()) => publish_received(visit, key.clone(), &mut received).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(uploaded) => {
            let bundle = &uploaded.bundle;
            let made = if uploaded.project_created { " The project was made with it." } else { "" };
            let text = format!("Bundle {} is published, {}.{made}", bundle.version, size(bundle.size));
            visit.go(&format!("/projects/{}/bundles/{}", bundle.project, bundle.version), Tone::Ok, &text)
        }
        Err(error) if error.kind == Kind::Internal => Err(error.into()),
        Err(error) => {
            let mut page = UploadPage::new(visit, key.as_ref(), &Fields::of(received.fields));
            let mut all = vec![&mut page.version, &mut page.file];
            all.extend(page.project.as_mut());
            page.trouble = Some(blame(&mut all, &error));
            visit.show_as(status(error.kind), &page)
        }
    }
}

/// What came of a form so far.
#[derive(Default)]
struct Received {
    fields: Vec<(String, String)>,
    file: Option<(String, Staged)>,
}

async fn receive(visit: &Visit, mut form: Multipart, received: &mut Received) -> Result<()> {
    while let Some(part) = form.next().await {
        let part = part.map_err(broken)?;
        let name = part.name().unwrap_or_default().to_owned();
        if name == "file" {
            let file_name =
                part.content_disposition().and_then(|of| of.get_filename()).unwrap_or_default().to_owned();
            if file_name.is_empty() {
                drain(part).await?;
                continue;
            }
            received.file = Some((file_name, stage(visit, part).await?));
        } else {
            let value = text(part).await?;
            received.fields.push((name, value));
        }
    }
    Ok(())
}

fn broken(error: actix_multipart::MultipartError) -> Error {
    Error::invalid("upload_broken", "the upload broke off, or was no form with a file")
        .hint("Nothing was published; send it again.")
        .because(error.to_string())
}

async fn drain(mut part: Part) -> Result<()> {
    while part.try_next().await.map_err(broken)?.is_some() {}
    Ok(())
}

async fn text(mut part: Part) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.try_next().await.map_err(broken)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > FIELD {
            return Err(Error::invalid("field_too_long", "a field of the form is too long"));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn stage(visit: &Visit, mut part: Part) -> Result<Staged> {
    let mut upload = visit.app.blobs.begin(visit.state().settings.upload_limit).await?;
    while let Some(chunk) = part.try_next().await.map_err(broken)? {
        upload.write(&chunk).await?;
    }
    upload.finish().await
}

async fn publish_received(
    visit: &Visit,
    key: Option<ProjectKey>,
    received: &mut Received,
) -> Result<Uploaded> {
    let Some((file_name, staged)) = received.file.take() else {
        return Err(Error::field("file", "choose the bundle's zip file"));
    };
    let fields = Fields::of(received.fields.clone());
    let named = fields.optional("project").map(ProjectKey::parse).transpose()?;
    let new = NewBundle {
        project: key.or(named),
        version: fields.optional("version").map(Version::parse).transpose()?,
        file_name: Some(file_name),
    };
    bundle::upload(&visit.app, &visit.caller, staged, new, None).await
}
