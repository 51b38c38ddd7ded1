//! A project's description and tags, and its end.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;

use super::{Frame, key_of, page, page_below};
use crate::app::project::{self, Changes};
use crate::domain::access::ProjectRight;
use crate::domain::name::ProjectKey;
use crate::domain::project::Project;
use crate::domain::{Error, Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::web::deployment::actions::{ConfirmPage, refused};
use crate::http::web::fields::Fields;
use crate::http::web::page::{Confirm, Field, Page, Tone, Trouble, blame};
use crate::http::web::projects::tags;
use crate::http::web::visit::{Answer, Visit};

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/projects/{key}/settings", show);
    routes.post("/projects/{key}/settings", save);
    routes.get("/projects/{key}/delete", ask_delete);
    routes.post("/projects/{key}/delete", delete);
}

#[derive(Template)]
#[template(path = "project/settings.html")]
struct Settings {
    page: Page,
    frame: Frame,
    trouble: Option<Trouble>,
    description: Field,
    tags: Field,
    revision: u32,
    may_save: bool,
    stale: bool,
}

fn fields_of(project: &Project, may_save: bool) -> (Field, Field) {
    let description = Field::area("description", "Description", 3).value(project.description.clone());
    let tags = Field::text("tags", "Tags").hint("Separated by commas.").value(project.tags.join(", "));
    if may_save { (description, tags) } else { (description.read_only(), tags.read_only()) }
}

async fn form(visit: &Visit, key: ProjectKey) -> Result<Settings> {
    let (project, frame) = Frame::load(visit, key.clone(), "Settings").await?;
    let may_save = project.may(ProjectRight::Admin);
    let (description, tags) = fields_of(&project, may_save);
    Ok(Settings {
        page: page(visit, &key),
        frame,
        trouble: None,
        description,
        tags,
        revision: project.revision,
        may_save,
        stale: false,
    })
}

async fn show(visit: Visit, path: web::Path<String>) -> Answer {
    let page = form(&visit, key_of(&path)?).await?;
    visit.show(&page)
}

async fn save(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let key = key_of(&path)?;
    let changes = Changes {
        description: Some(fields.get("description").to_owned()),
        tags: Some(tags(fields.get("tags"))),
        grants: None,
        revision: fields.get("revision").parse().ok(),
    };
    match project::save(&visit.app, &visit.caller, key.clone(), changes).await {
        Ok(_) => visit.go(&format!("/projects/{key}/settings"), Tone::Ok, "Saved."),
        Err(error) if matches!(error.kind, Kind::Invalid | Kind::Stale) => {
            let mut page = form(&visit, key).await?;
            page.stale = error.kind == Kind::Stale;
            page.description = page.description.value(fields.get("description"));
            page.tags = page.tags.value(fields.get("tags"));
            page.trouble = Some(blame(&mut [&mut page.description, &mut page.tags], &error));
            visit.show_as(status(error.kind), &page)
        }
        Err(error) => Err(error.into()),
    }
}

async fn confirm(visit: &Visit, key: &ProjectKey) -> Result<ConfirmPage> {
    let (project, frame) = Frame::load(visit, key.clone(), "Settings").await?;
    if !project.may(ProjectRight::Admin) {
        return Err(Error::forbidden("you may not delete this project", frame.admin_refusal()));
    }
    let confirm = Confirm {
        action: visit.url(&format!("/projects/{key}/delete")),
        verb: "Delete project".to_owned(),
        name: key.to_string(),
        consequences: vec![
            "The project, its grants and all of its bundles are gone for good.".to_owned(),
            "It can be deleted only when no deployment uses it.".to_owned(),
        ],
        also: None,
        back: visit.url(&format!("/projects/{key}/settings")),
        typed: None,
    };
    Ok(ConfirmPage { page: page_below(visit, key, format!("Delete {key}")), confirm, trouble: None })
}

async fn ask_delete(visit: Visit, path: web::Path<String>) -> Answer {
    let page = confirm(&visit, &key_of(&path)?).await?;
    visit.show(&page)
}

async fn delete(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let key = key_of(&path)?;
    let mut page = confirm(&visit, &key).await?;
    if !page.confirm.accepts(fields.get(Confirm::FIELD)) {
        page.confirm.typed = Some(fields.get(Confirm::FIELD).to_owned());
        return visit.show_as(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    match project::delete(&visit.app, &visit.caller, key.clone()).await {
        Ok(()) => visit.go("/projects", Tone::Ok, &format!("Project {key} is deleted.")),
        Err(error) => refused(&visit, page, error),
    }
}
