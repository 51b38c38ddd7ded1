//! One bundle: what it holds, where it runs, how it differs from another, and its archive.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use super::deployment::actions::{ConfirmPage, refused};
use super::fields::Fields;
use super::home::Shown;
use super::page::{Confirm, DiffLine, Page, State, TestRow, Tone};
use super::project::{key_of, page_below};
use super::visit::{Answer, Visit};
use crate::app::deployment::Summary;
use crate::app::{bundle, overview, project, test};
use crate::domain::access::ProjectRight;
use crate::domain::bundle::Bundle;
use crate::domain::diff::Change;
use crate::domain::name::{ProjectKey, ServiceName, Version};
use crate::domain::page::PageRequest;
use crate::domain::workload::{EnvValue, Image, Service, ServiceKind, Workload};
use crate::domain::{Error, Result};
use crate::http::routes::Routes;

/// How many other bundles it can be compared with.
const OTHERS: u32 = 100;
/// How many deployments that want another version are named.
const ELSEWHERE: usize = 20;
/// How many files the page lists.
const FILES: usize = 500;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/projects/{key}/bundles/{version}", show);
    routes.get("/projects/{key}/bundles/{version}/diff", diff);
    routes.get("/projects/{key}/bundles/{version}/archive", archive);
    routes.get("/projects/{key}/bundles/{version}/delete", ask_delete);
    routes.post("/projects/{key}/bundles/{version}/delete", delete);
}

fn version_of(text: &str) -> Result<Version> {
    Version::parse(text).map_err(|_| Error::not_found("bundle", text))
}

fn names(path: &(String, String)) -> Result<(ProjectKey, Version)> {
    Ok((key_of(&path.0)?, version_of(&path.1)?))
}

#[derive(Template)]
#[template(path = "bundle.html")]
struct Show {
    page: Page,
    key: String,
    bundle: Bundle,
    services: Vec<ServiceView>,
    tests: Vec<TestRow>,
    compose: String,
    others: Vec<String>,
    places: Vec<(Summary, State)>,
    /// Deployments of the project that want another version.
    elsewhere: Vec<(Summary, State)>,
    may_deploy: bool,
    may_delete: bool,
    refusal: String,
}

/// A service as the bundle's page tells it.
struct ServiceView {
    name: String,
    kind: &'static str,
    image: String,
    replicas: u32,
    ports: String,
    needs: String,
    asks: String,
}

async fn show(visit: Visit, path: web::Path<(String, String)>) -> Answer {
    let (key, version) = names(&path)?;
    let (app, caller) = (&visit.app, &visit.caller);
    let held = project::get(app, caller, key.clone()).await?;
    let bundle = bundle::get(app, caller, key.clone(), version.clone()).await?;
    let others = bundle::list(app, caller, key.clone(), PageRequest::first(OTHERS)).await?.items;
    let places = overview::places_of(app, caller, key.clone()).await?;
    let (places, elsewhere): (Vec<_>, Vec<_>) =
        places.into_iter().map(place).partition(|(of, _)| of.deployment.version == version);
    let compose = bundle::compose(app, caller, key.clone(), version.clone()).await?;
    let tests = test::of_bundle(app, caller, key.clone(), version.clone()).await?;
    let page = Show {
        page: page_below(&visit, &key, version.to_string()),
        services: bundle
            .manifest
            .workload
            .all()
            .map(|(name, service)| view(name, service, &bundle.manifest.workload))
            .collect(),
        tests: tests.tests.iter().map(TestRow::from).collect(),
        others: others
            .into_iter()
            .map(|other| other.version)
            .filter(|other| *other != version)
            .map(String::from)
            .collect(),
        places,
        elsewhere: elsewhere.into_iter().take(ELSEWHERE).collect(),
        may_deploy: held.may(ProjectRight::Deploy),
        may_delete: held.may(ProjectRight::Admin),
        refusal: format!(
            "This takes the right deploy on project {key}; your groups have {}. Somebody with admin on it can give it.",
            held.held()
        ),
        key: key.to_string(),
        compose,
        bundle,
    };
    visit.show(&page)
}

fn place(summary: Summary) -> (Summary, State) {
    let state = Shown::of(&summary).state();
    (summary, state)
}

impl Show {
    fn files(&self) -> &[crate::domain::bundle::BundleFile] {
        &self.bundle.files[..self.bundle.files.len().min(FILES)]
    }
}

fn view(name: &ServiceName, service: &Service, of: &Workload) -> ServiceView {
    let ports: Vec<String> = service
        .ports
        .iter()
        .map(|port| match port.host_port {
            Some(host) => format!("{host} → {}", port.container_port),
            None => port.container_port.to_string(),
        })
        .collect();
    let needs: Vec<&str> = service.depends_on.keys().map(AsRef::as_ref).collect();
    let asked: Vec<&str> = service
        .environment
        .iter()
        .filter(|(_, value)| **value == EnvValue::Required)
        .map(|(name, _)| name.as_str())
        .collect();
    ServiceView {
        name: name.to_string(),
        kind: match service.kind {
            _ if of.tests.contains_key(name) => "test",
            ServiceKind::Replicated => "service",
            ServiceKind::Task => "task",
        },
        image: match &service.image {
            Image::Reference(reference) => reference.clone(),
            Image::Build(build) => format!("built from ./{}", build.context),
        },
        replicas: service.replicas,
        ports: ports.join(", "),
        needs: needs.join(", "),
        asks: asked.join(", "),
    }
}

#[derive(Debug, Deserialize)]
struct With {
    with: String,
}

#[derive(Template)]
#[template(path = "bundle_diff.html")]
struct Diff {
    page: Page,
    key: String,
    from: String,
    to: String,
    definition: Vec<Change>,
    files: Vec<Change>,
    compose: Vec<DiffLine>,
}

/// What `version` changes against the one that `with` names.
async fn diff(visit: Visit, path: web::Path<(String, String)>, asked: web::Query<With>) -> Answer {
    let (key, version) = names(&path)?;
    let from = version_of(&asked.with)?;
    let found = bundle::diff(&visit.app, &visit.caller, key.clone(), from, version).await?;
    let (from, to) = (found.from.to_string(), found.to.to_string());
    let page = Diff {
        page: page_below(&visit, &key, format!("{from} → {to}")),
        key: key.to_string(),
        compose: DiffLine::unified(&found.compose),
        definition: found.definition,
        files: found.files,
        from,
        to,
    };
    visit.show(&page)
}

async fn archive(visit: Visit, path: web::Path<(String, String)>) -> Answer {
    let (key, version) = names(&path)?;
    let (found, file) = bundle::download(&visit.app, &visit.caller, key.clone(), version.clone()).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/zip")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{key}-{version}.zip\"")))
        .insert_header((header::ETAG, format!("\"{}\"", found.digest)))
        .no_chunking(found.size)
        .streaming(ReaderStream::new(file)))
}

async fn confirm(visit: &Visit, key: &ProjectKey, version: &Version) -> Result<ConfirmPage> {
    project::get(&visit.app, &visit.caller, key.clone()).await?.demand(ProjectRight::Admin)?;
    bundle::get(&visit.app, &visit.caller, key.clone(), version.clone()).await?;
    let confirm = Confirm {
        action: visit.url(&format!("/projects/{key}/bundles/{version}/delete")),
        verb: "Delete bundle".to_owned(),
        name: version.to_string(),
        consequences: vec![
            "Its archive is gone for good, and no deployment can be rolled back to it.".to_owned(),
            "It can be deleted only when no deployment wants or runs it.".to_owned(),
        ],
        also: None,
        back: visit.url(&format!("/projects/{key}/bundles/{version}")),
        typed: None,
    };
    Ok(ConfirmPage { page: page_below(visit, key, format!("Delete {version}")), confirm, trouble: None })
}

async fn ask_delete(visit: Visit, path: web::Path<(String, String)>) -> Answer {
    let (key, version) = names(&path)?;
    let page = confirm(&visit, &key, &version).await?;
    visit.show(&page)
}

async fn delete(visit: Visit, path: web::Path<(String, String)>, fields: Fields) -> Answer {
    let (key, version) = names(&path)?;
    let mut page = confirm(&visit, &key, &version).await?;
    if !page.confirm.accepts(fields.get(Confirm::FIELD)) {
        page.confirm.typed = Some(fields.get(Confirm::FIELD).to_owned());
        return visit.show_as(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    match bundle::delete(&visit.app, &visit.caller, key.clone(), version.clone()).await {
        Ok(()) => visit.go(&format!("/projects/{key}"), Tone::Ok, &format!("Bundle {version} is deleted.")),
        Err(error) => refused(&visit, page, error),
    }
}
