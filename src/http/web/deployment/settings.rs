//! A deployment's settings: a form and a JSON view of the same thing, what saving would change, and a way out when
//! somebody else saved first. Secrets have forms of their own, so that no value ever comes back in a page.

mod form;
mod secrets;
pub mod text;

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use serde::Deserialize;

use self::form::{Draft, SettingsForm};
use super::{Frame, held, id_of, page, refusal};
use crate::app::bundle;
use crate::app::deployment::{self, Changes, Saving};
use crate::domain::access::Authorized;
use crate::domain::deployment::{Deployment, DeploymentRight};
use crate::domain::diff::Change;
use crate::domain::name::{DeploymentId, Version};
use crate::domain::page::PageRequest;
use crate::domain::plan::Downtime;
use crate::domain::secret::SecretInfo;
use crate::domain::{Error, Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::web::fields::Fields;
use crate::http::web::page::{DiffLine, Page, Tone, Trouble, blame};
use crate::http::web::visit::{Answer, Visit};

/// How many bundles may be chosen from.
const BUNDLES: u32 = 200;

/// The routes of this file and those below it.
pub fn routes(routes: &mut Routes) {
    routes.get("/deployments/{id}/settings", show);
    routes.post("/deployments/{id}/settings", send);
    secrets::routes(routes);
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    view: String,
    /// Which bundle is chosen to begin with, where it is not the one that is saved.
    version: String,
}

#[derive(Template)]
#[template(path = "deployment/settings.html")]
struct Settings {
    page: Page,
    frame: Frame,
    trouble: Option<Trouble>,
    form: SettingsForm,
    is_json: bool,
    revision: u32,
    refusal: Option<String>,
    secrets: Vec<SecretInfo>,
}

async fn show(visit: Visit, path: web::Path<String>, asked: web::Query<Asked>) -> Answer {
    let id = id_of(&path)?;
    let (deployment, frame) = Frame::load(&visit, id, "Settings").await?;
    let mut draft = Draft::of(&deployment);
    if !asked.version.is_empty() {
        draft.version = Version::parse(asked.version.as_str())?;
    }
    let page = draw(&visit, &deployment, frame, draft, asked.view == "json").await?;
    visit.show(&page)
}

async fn draw(
    visit: &Visit,
    deployment: &Authorized<Deployment>,
    frame: Frame,
    draft: Draft,
    is_json: bool,
) -> Result<Settings> {
    let (app, caller) = (&visit.app, &visit.caller);
    let (versions, bundle) = if deployment.source.is_bundle() {
        let of = deployment.project.clone();
        let versions = bundle::list(app, caller, of.clone(), PageRequest::first(BUNDLES)).await?;
        (versions.items, bundle::get(app, caller, of, draft.version.clone()).await.ok())
    } else {
        (Vec::new(), deployment::definition(app, caller, deployment.id.clone()).await.ok())
    };
    let secrets = deployment::secrets(app, caller, deployment.id.clone()).await?;
    let may_save = deployment.may(DeploymentRight::Deploy);
    Ok(Settings {
        page: page(visit, deployment),
        frame,
        trouble: None,
        form: SettingsForm::new(&draft, &versions, bundle.as_ref(), may_save),
        is_json,
        revision: deployment.revision,
        refusal: (!may_save).then(|| refusal(deployment)),
        secrets,
    })
}

#[derive(Template)]
#[template(path = "deployment/review.html")]
struct Review {
    page: Page,
    id: String,
    draft: Draft,
    json: String,
    revision: u32,
    /// The settings' text, before and after.
    lines: Vec<DiffLine>,
    changes: Vec<Change>,
    downtime: Vec<Downtime>,
    /// Somebody else saved first: what they changed against what the form began with.
    stale: bool,
    trouble: Option<Trouble>,
}

/// What the form asks for: see what would change, go back to typing, save, or save and go on to the update.
async fn send(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let id = held(&visit, &path).await?.id.clone();
    let is_json = fields.get("view") == "json";
    let draft = match fields.get("step") {
        "review" if is_json => Draft::from_json_form(&fields),
        "review" => Draft::from_form(&fields),
        _ => Draft::from_json_form(&fields),
    };
    match (fields.get("step"), draft) {
        (_, Err(error)) => refused(&visit, id, &fields, is_json, error).await,
        ("edit", Ok(draft)) => {
            let (deployment, frame) = Frame::load(&visit, id, "Settings").await?;
            let page = draw(&visit, &deployment, frame, draft, is_json).await?;
            visit.show(&page)
        }
        ("save" | "update", Ok(draft)) => save(&visit, id, &fields, draft).await,
        (_, Ok(draft)) => match review(&visit, id.clone(), &fields, draft).await {
            Ok(page) => visit.show(&page),
            Err(error) => refused(&visit, id, &fields, is_json, error).await,
        },
    }
}

fn changes(draft: &Draft, revision: Option<u32>, reason: Option<String>) -> Changes {
    Changes {
        version: Some(draft.version.clone()),
        settings: Some(draft.settings.clone()),
        auto_repair: Some(draft.auto_repair),
        folder: Some(draft.folder.clone()),
        revision,
        reason,
        ..Changes::default()
    }
}

async fn review(visit: &Visit, id: DeploymentId, fields: &Fields, draft: Draft) -> Result<Review> {
    let asked = changes(&draft, None, None);
    let saving = deployment::preview_save(&visit.app, &visit.caller, id, asked).await?;
    let Saving { deployment, changes, downtime } = saving;
    let read: Option<u32> = fields.get("revision").parse().ok();
    let saved = Draft::of(&deployment);
    Ok(Review {
        page: super::page_below(visit, &deployment, "Review the settings"),
        id: deployment.id.to_string(),
        lines: DiffLine::between(&saved.text(), &draft.text()),
        stale: read.is_some_and(|read| read != deployment.revision),
        trouble: None,
        revision: deployment.revision,
        json: draft.json(),
        draft,
        changes,
        downtime,
    })
}

async fn save(visit: &Visit, id: DeploymentId, fields: &Fields, draft: Draft) -> Answer {
    let revision = fields.get("revision").parse().ok();
    let reason = fields.optional("reason").map(ToOwned::to_owned);
    let ignore_warnings = fields.is_checked("ignore_warnings");
    let asked = Changes { ignore_warnings, ..changes(&draft, revision, reason) };
    let saved = deployment::save(&visit.app, &visit.caller, id.clone(), asked).await;
    match saved {
        Ok(_) if fields.get("step") == "update" => {
            visit.go(&format!("/deployments/{id}/update"), Tone::Ok, "Saved. Below is what an update does.")
        }
        Ok(_) => visit.go(&format!("/deployments/{id}"), Tone::Ok, "Saved. It runs after the next update."),
        Err(error) if error.kind == Kind::Stale => {
            let page = review(visit, id, fields, draft).await?;
            visit.show_as(StatusCode::PRECONDITION_FAILED, &page)
        }
        Err(error) if error.kind == Kind::Warned => {
            let mut page = review(visit, id, fields, draft).await?;
            page.trouble = Some(blame(&mut [], &error));
            visit.show_as(status(error.kind), &page)
        }
        Err(error) => refused(visit, id, fields, fields.get("view") == "json", error).await,
    }
}

/// The form again with what was typed and what is wrong with it.
async fn refused(visit: &Visit, id: DeploymentId, fields: &Fields, is_json: bool, error: Error) -> Answer {
    if !matches!(error.kind, Kind::Invalid | Kind::Conflict) {
        return Err(error.into());
    }
    let (deployment, frame) = Frame::load(visit, id, "Settings").await?;
    let draft = Draft::from_json_form(fields).unwrap_or_else(|_| Draft::of(&deployment));
    let mut page = draw(visit, &deployment, frame, draft, is_json).await?;
    if fields.get("step") == "review" {
        page.form.keep(fields, is_json);
    }
    page.revision = fields.get("revision").parse().unwrap_or(page.revision);
    let error = form::beside_fields(error, is_json);
    page.trouble = Some(blame(&mut page.form.all(), &error));
    visit.show_as(status(error.kind), &page)
}
