//! What is done to a deployment as a whole: stop, resume, roll back, promote, delete. Each works as a plain form, and
//! what cannot be taken back asks for the name.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::{held, id_of, page_below, title};
use crate::app::{deployment, infrastructure, update};
use crate::domain::access::InfrastructureRight;
use crate::domain::deployment::Deployment;
use crate::domain::diff::Change;
use crate::domain::name::{DeploymentId, InfrastructureId};
use crate::domain::page::PageRequest;
use crate::domain::text::capital;
use crate::domain::{Error, Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::web::fields::Fields;
use crate::http::web::infrastructures;
use crate::http::web::page::{Also, Choice, Confirm, Field, Page, Tone, Trouble, blame};
use crate::http::web::update::UpdateRow;
use crate::http::web::visit::{Answer, Visit};

/// How many updates may be chosen from when rolling back.
const CHOICES: u32 = 50;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/deployments/{id}/stop", ask_stop);
    routes.post("/deployments/{id}/stop", stop);
    routes.post("/deployments/{id}/resume", resume);
    routes.get("/deployments/{id}/roll-back", ask_roll_back);
    routes.post("/deployments/{id}/roll-back", roll_back);
    routes.get("/deployments/{id}/promote", ask_promote);
    routes.post("/deployments/{id}/promote", promote);
    routes.get("/deployments/{id}/delete", ask_delete);
    routes.post("/deployments/{id}/delete", delete);
}

#[derive(Template)]
#[template(path = "confirm.html")]
pub(in crate::http::web) struct ConfirmPage {
    pub page: Page,
    pub confirm: Confirm,
    pub trouble: Option<Trouble>,
}

fn confirm_stop(visit: &Visit, of: &Deployment) -> ConfirmPage {
    let id = &of.id;
    let confirm = Confirm {
        action: visit.url(&format!("/deployments/{id}/stop")),
        verb: "Stop deployment".to_owned(),
        name: id.to_string(),
        consequences: vec![
            "Every replica is stopped and removed. Nothing answers requests any more.".to_owned(),
            "Settings, secrets, volumes and the history stay. Resume starts it again.".to_owned(),
        ],
        also: None,
        back: visit.url(&format!("/deployments/{id}")),
        typed: None,
    };
    ConfirmPage { page: page_below(visit, of, format!("Stop {}", title(of))), confirm, trouble: None }
}

async fn ask_stop(visit: Visit, path: web::Path<String>) -> Answer {
    let of = held(&visit, &path).await?;
    visit.show(&confirm_stop(&visit, &of))
}

async fn stop(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let of = held(&visit, &path).await?;
    let mut page = confirm_stop(&visit, &of);
    if !page.confirm.accepts(fields.get(Confirm::FIELD)) {
        page.confirm.typed = Some(fields.get(Confirm::FIELD).to_owned());
        return visit.show_as(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let id = of.id.clone();
    match update::stop(&visit.app, &visit.caller, id.clone(), None, None).await {
        Ok(update) => Ok(visit.leave(&format!("/deployments/{id}/updates/{}", update.number))),
        Err(error) => refused(&visit, page, error),
    }
}

/// The confirm page again, with why it could not be done.
pub(in crate::http::web) fn refused(visit: &Visit, mut page: ConfirmPage, error: Error) -> Answer {
    if matches!(error.kind, Kind::Conflict | Kind::Invalid) {
        page.confirm.typed = None;
        page.trouble = Some(blame(&mut [], &error));
        return visit.show_as(status(error.kind), &page);
    }
    Err(error.into())
}

async fn resume(visit: Visit, path: web::Path<String>) -> Answer {
    let id = id_of(&path)?;
    match update::resume(&visit.app, &visit.caller, id.clone(), None, None).await {
        Ok(update) => Ok(visit.leave(&format!("/deployments/{id}/updates/{}", update.number))),
        Err(error) if matches!(error.kind, Kind::Conflict | Kind::Invalid) => {
            visit.go(&format!("/deployments/{id}/update"), Tone::Bad, &capital(&error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Debug, Deserialize)]
struct To {
    to: Option<u32>,
}

#[derive(Template)]
#[template(path = "deployment/roll_back.html")]
struct RollBack {
    page: Page,
    id: String,
    updates: Vec<UpdateRow>,
    to: Option<u32>,
    running: Option<u32>,
    changes: Vec<Change>,
    trouble: Option<Trouble>,
    reason: String,
}

async fn ask_roll_back(visit: Visit, path: web::Path<String>, asked: web::Query<To>) -> Answer {
    let of = held(&visit, &path).await?;
    let page = roll_back_page(&visit, &of, asked.to, None, String::new()).await?;
    visit.show(&page)
}

async fn roll_back_page(
    visit: &Visit,
    of: &Deployment,
    to: Option<u32>,
    failure: Option<Error>,
    reason: String,
) -> Result<RollBack> {
    let id = &of.id;
    let found = update::list(&visit.app, &visit.caller, id.clone(), PageRequest::first(CHOICES)).await?;
    let rows = found.items.iter().map(|update| UpdateRow::new(update, visit.now));
    let updates: Vec<UpdateRow> =
        rows.filter(|row| row.rollable && Some(row.number) != of.running_update).collect();
    let to = to.or_else(|| updates.first().map(|row| row.number));
    let changes = match to {
        Some(to) => update::preview_roll_back(&visit.app, &visit.caller, id.clone(), to).await?,
        None => Vec::new(),
    };
    Ok(RollBack {
        page: page_below(visit, of, "Roll back"),
        id: id.to_string(),
        running: of.running_update,
        trouble: failure.as_ref().map(|error| blame(&mut [], error)),
        updates,
        to,
        changes,
        reason,
    })
}

async fn roll_back(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let of = held(&visit, &path).await?;
    let id = of.id.clone();
    let to: Option<u32> = fields.get("to").parse().ok();
    let reason = fields.optional("reason").map(ToOwned::to_owned);
    let outcome = match to {
        Some(to) => update::roll_back(&visit.app, &visit.caller, id.clone(), to, reason.clone(), None).await,
        None => Err(Error::field("to", "choose the update to go back to")),
    };
    match outcome {
        Ok(update) => Ok(visit.leave(&format!("/deployments/{id}/updates/{}", update.number))),
        Err(error) if matches!(error.kind, Kind::Conflict | Kind::Invalid) => {
            let status = status(error.kind);
            let page = roll_back_page(&visit, &of, to, Some(error), reason.unwrap_or_default()).await?;
            visit.show_as(status, &page)
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "deployment/promote.html")]
struct Promote {
    page: Page,
    id: String,
    version: String,
    target: Field,
    as_id: Field,
    trouble: Option<Trouble>,
    possible: bool,
}

async fn ask_promote(visit: Visit, path: web::Path<String>) -> Answer {
    let of = held(&visit, &path).await?;
    let page = promote_page(&visit, &of, &Fields::default()).await?;
    visit.show(&page)
}

async fn promote_page(visit: &Visit, of: &Deployment, fields: &Fields) -> Result<Promote> {
    let all = infrastructure::list(&visit.app, &visit.caller).await?;
    let here = all.iter().position(|listed| listed.infrastructure.id == of.infrastructure);
    let next = all
        .iter()
        .skip(here.map_or(0, |at| at + 1))
        .find(|listed| listed.right >= InfrastructureRight::Deploy)
        .map(|listed| listed.infrastructure.id.to_string());
    let others = all.iter().filter(|listed| listed.infrastructure.id != of.infrastructure);
    let choices: Vec<Choice> = others.map(infrastructures::choice).collect();
    let possible = choices.iter().any(|choice| choice.refused.is_empty());
    let chosen = fields.optional("to").map(ToOwned::to_owned).or(next).unwrap_or_default();
    Ok(Promote {
        page: page_below(visit, of, format!("Promote {}", title(of))),
        id: of.id.to_string(),
        version: of.version.to_string(),
        target: Field::select("to", "To infrastructure", choices).value(chosen).required(),
        as_id: Field::text("id", "As deployment")
            .hint("Left empty, it is the project's key and the infrastructure. A deployment that is there is moved to this bundle.")
            .value(fields.get("id"))
            .mono(),
        trouble: None,
        possible,
    })
}

async fn promote(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let of = held(&visit, &path).await?;
    match promoted(&visit, &of.id, &fields).await {
        Ok(id) => {
            let text = format!(
                "{} is now wanted here. Secrets did not travel: set those that are missing. Nothing runs before the update.",
                of.version
            );
            visit.go(&format!("/deployments/{id}/update"), Tone::Ok, &text)
        }
        Err(error) if error.kind == Kind::Internal => Err(error.into()),
        Err(error) => {
            let mut page = promote_page(&visit, &of, &fields).await?;
            page.trouble = Some(blame(&mut [&mut page.target, &mut page.as_id], &error));
            visit.show_as(status(error.kind), &page)
        }
    }
}

async fn promoted(visit: &Visit, id: &DeploymentId, fields: &Fields) -> Result<DeploymentId> {
    let to = InfrastructureId::parse(fields.get("to"))
        .map_err(|_| Error::field("to", "choose where it shall run"))?;
    let as_id = fields
        .optional("id")
        .map(DeploymentId::parse)
        .transpose()
        .map_err(|error| super::renamed(error, "deployment", "id"))?;
    let ignore_warnings = fields.is_checked("ignore_warnings");
    let promotion = deployment::Promotion { to, as_id, ignore_warnings };
    let there = deployment::promote(&visit.app, &visit.caller, id.clone(), promotion, None).await?;
    Ok(there.id.clone())
}

/// Ticked: volumes go as well.
const VOLUMES: &str = "volumes";

async fn confirm_delete(visit: &Visit, of: &Deployment, fields: &Fields) -> Result<ConfirmPage> {
    let id = &of.id;
    let volumes = deployment::volumes(&visit.app, &visit.caller, id.clone()).await?;
    let names = volumes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let also = (!volumes.is_empty()).then(|| Also {
        field: VOLUMES,
        label: format!("Remove its volumes too, with all that they hold: {names}"),
        checked: fields.is_checked(VOLUMES),
    });
    let confirm = Confirm {
        action: visit.url(&format!("/deployments/{id}/delete")),
        verb: "Delete deployment".to_owned(),
        name: if of.source.is_bundle() { id.to_string() } else { title(of) },
        consequences: vec![
            "Its settings, secrets and updates are gone for good. The journal keeps that they were."
                .to_owned(),
            if of.source.is_bundle() {
                "Its bundles stay in the project.".to_owned()
            } else {
                "It is stopped first, and goes once nothing of it runs. Pipeline and streams stay.".to_owned()
            },
        ]
        .into_iter()
        .chain(also.is_some().then(|| {
            format!("Its volumes stay on {}, unless you remove them below: {names}.", of.infrastructure)
        }))
        .collect(),
        also,
        back: visit.url(&format!("/deployments/{id}")),
        typed: None,
    };
    Ok(ConfirmPage { page: page_below(visit, of, format!("Delete {}", title(of))), confirm, trouble: None })
}

async fn ask_delete(visit: Visit, path: web::Path<String>) -> Answer {
    let of = held(&visit, &path).await?;
    visit.show(&confirm_delete(&visit, &of, &Fields::default()).await?)
}

async fn delete(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let of = held(&visit, &path).await?;
    let mut page = confirm_delete(&visit, &of, &fields).await?;
    if !page.confirm.accepts(fields.get(Confirm::FIELD)) {
        page.confirm.typed = Some(fields.get(Confirm::FIELD).to_owned());
        return visit.show_as(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let volumes = fields.is_checked(VOLUMES);
    if !of.source.is_bundle() {
        return match deployment::remove(&visit.app, &visit.caller, of.id.clone(), volumes).await {
            Ok(()) => visit.go(
                "/deployments",
                Tone::Ok,
                &format!("{} is being stopped, and goes then.", title(&of)),
            ),
            Err(error) => refused(&visit, page, error),
        };
    }
    match deployment::delete(&visit.app, &visit.caller, of.id.clone(), volumes).await {
        Ok(()) => visit.go("/deployments", Tone::Ok, &format!("Deployment {} is deleted.", of.id)),
        Err(error) => refused(&visit, page, error),
    }
}
