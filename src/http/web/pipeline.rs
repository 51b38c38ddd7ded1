//! One pipeline: what it is and what is made of it; making, editing, deleting and deploying it.

mod deploy;
mod form;

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use serde_json::Value;
use uuid::Uuid;

use super::deployment::actions::{ConfirmPage, refused};
use super::fields::Fields;
use super::page::{Confirm, Page, Query, Section, Tone};
use super::pipelines::uuid_of;
use super::visit::{Answer, Visit};
use crate::app::deployment;
use crate::app::pipeline::{self, Detail};
use crate::domain::Result;
use crate::http::routes::Routes;
use crate::http::web::home::Shown;
use crate::http::web::page::State;
use crate::store::deployment::list::Summary;

/// The routes of this file and those below it.
pub fn routes(routes: &mut Routes) {
    form::routes(routes);
    routes.get("/pipelines/{uuid}", show);
    deploy::routes(routes);
    routes.get("/pipelines/{uuid}/delete", ask_delete);
    routes.post("/pipelines/{uuid}/delete", delete);
}

/// The page's frame one level below the list.
fn page(visit: &Visit, heading: impl Into<String>) -> Page {
    visit.page(heading, Section::Pipelines).below("Pipelines", "/pipelines")
}

#[derive(Template)]
#[template(path = "pipeline/show.html", blocks = ["live"])]
struct Show {
    page: Page,
    here: Query,
    of: Detail,
    config: Vec<(String, String)>,
    /// What its images make of it, as they get it.
    rest: String,
    rows: Vec<(Summary, State)>,
}

async fn show(visit: Visit, path: web::Path<String>) -> Answer {
    let of = pipeline::detail(&visit.app, &visit.caller, uuid_of("pipeline", &path)?).await?;
    let mut rows = Vec::with_capacity(of.deployments.len());
    for one in &of.deployments {
        let (_, summary) = deployment::with_summary(&visit.app, &visit.caller, one.id.clone()).await?;
        let state = Shown::of(&summary).state();
        rows.push((summary, state));
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let spec = &of.pipeline.spec;
    let shown = Show {
        page: page(&visit, of.pipeline.name.to_string()).live("/events?topics=resources,deployments"),
        here: visit.here(),
        config: spec.config.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
        rest: form::rest_text(spec),
        rows,
        of,
    };
    if visit.wants("live") {
        return visit.show_part(&shown.as_live());
    }
    visit.show(&shown)
}

impl Show {
    /// The image that runs it.
    fn image(&self) -> &str {
        self.of.pipeline.spec.image.as_deref().unwrap_or("the configured one")
    }
}

async fn confirm(visit: &Visit, uuid: Uuid) -> Result<ConfirmPage> {
    let pipeline = pipeline::get(&visit.app, &visit.caller, uuid).await?;
    let here = format!("/pipelines/{uuid}");
    let confirm = Confirm {
        action: visit.url(&format!("{here}/delete")),
        verb: "Delete pipeline".to_owned(),
        name: pipeline.name.to_string(),
        consequences: vec![
            "The pipeline is gone for good; its streams stay.".to_owned(),
            "It can be deleted only when no deployment is made from it.".to_owned(),
        ],
        also: None,
        back: visit.url(&here),
        typed: None,
    };
    let page = page(visit, format!("Delete {}", pipeline.name)).below(pipeline.name.to_string(), &here);
    Ok(ConfirmPage { page, confirm, trouble: None })
}

async fn ask_delete(visit: Visit, path: web::Path<String>) -> Answer {
    let page = confirm(&visit, uuid_of("pipeline", &path)?).await?;
    visit.show(&page)
}

async fn delete(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let uuid = uuid_of("pipeline", &path)?;
    let mut page = confirm(&visit, uuid).await?;
    if !page.confirm.accepts(fields.get(Confirm::FIELD)) {
        page.confirm.typed = Some(fields.get(Confirm::FIELD).to_owned());
        return visit.show_as(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    match pipeline::delete(&visit.app, &visit.caller, uuid).await {
        Ok(last) => visit.go("/pipelines", Tone::Ok, &format!("Pipeline {} is deleted.", last.name)),
        Err(error) => refused(&visit, page, error),
    }
}
