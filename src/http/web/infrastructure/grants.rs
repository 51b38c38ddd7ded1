//! Which groups may do what with an infrastructure.

use actix_web::web;
use askama::Template;

use super::{Frame, id_of, page};
use crate::app::{approval, infrastructure, user};
use crate::domain::access::InfrastructureRight;
use crate::domain::name::{GroupName, InfrastructureId};
use crate::domain::{Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::web::fields::Fields;
use crate::http::web::page::{Choice, Field, Page, Tone, Trouble, blame};
use crate::http::web::visit::{Answer, Visit};

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/infrastructures/{id}/permissions", show);
    routes.post("/infrastructures/{id}/permissions", grant);
    routes.post("/infrastructures/{id}/approvers", set_approver);
}

#[derive(Template)]
#[template(path = "infrastructure/permissions.html")]
struct Permissions {
    page: Page,
    frame: Frame,
    trouble: Option<Trouble>,
    grants: Vec<(String, &'static str)>,
    group: Field,
    right: Field,
    groups: Vec<String>,
    may_grant: bool,
    approvers: Vec<String>,
}

async fn form(visit: &Visit, id: InfrastructureId, fields: &Fields) -> Result<Permissions> {
    let (found, _, frame) = Frame::load(visit, id.clone(), "Permissions").await?;
    let grants = infrastructure::grants(&visit.app, &visit.caller, id).await?;
    let approvers = approval::approvers(&visit.app, &visit.caller, found.id.clone()).await?;
    let known = user::groups(&visit.app, &visit.caller).await?;
    let choices = vec![
        Choice::new("view", "view: see it"),
        Choice::new("deploy", "deploy: run things on it"),
        Choice::new("admin", "admin: its settings, and give rights"),
    ];
    Ok(Permissions {
        page: page(visit, &frame.id),
        may_grant: found.may(InfrastructureRight::Admin),
        frame,
        trouble: None,
        grants: grants.into_iter().map(|(group, right)| (group.to_string(), right.word())).collect(),
        group: Field::text("group", "Group").value(fields.get("group")).required(),
        right: Field::select("right", "Right", choices)
            .value(fields.optional("right").unwrap_or("view"))
            .required(),
        groups: known.into_iter().map(String::from).collect(),
        approvers: approvers.into_iter().map(String::from).collect(),
    })
}

async fn show(visit: Visit, path: web::Path<String>) -> Answer {
    let page = form(&visit, id_of(&path)?, &Fields::default()).await?;
    visit.show(&page)
}

/// Gives a group a right, or takes it away with the right `none`.
async fn grant(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let id = id_of(&path)?;
    match granted(&visit, &id, &fields).await {
        Ok(text) => {
            let seen = infrastructure::get(&visit.app, &visit.caller, id.clone()).await.is_ok();
            let to = if seen {
                format!("/infrastructures/{id}/permissions")
            } else {
                "/infrastructures".to_owned()
            };
            visit.go(&to, Tone::Ok, &text)
        }
        Err(error) if error.kind == Kind::Invalid => {
            let mut page = form(&visit, id, &fields).await?;
            page.trouble = Some(blame(&mut [&mut page.group, &mut page.right], &error));
            visit.show_as(status(error.kind), &page)
        }
        Err(error) => Err(error.into()),
    }
}

/// Lets a group approve, or with `may` unset not any more.
async fn set_approver(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let id = id_of(&path)?;
    let group = match GroupName::parse(fields.get("group")) {
        Ok(group) => group,
        Err(error) => {
            let mut page = form(&visit, id, &Fields::default()).await?;
            page.trouble = Some(blame(&mut [], &error));
            return visit.show_as(status(error.kind), &page);
        }
    };
    let may = fields.get("may") == "yes";
    approval::set_approver(&visit.app, &visit.caller, id.clone(), group.clone(), may).await?;
    let text = if may { "may approve here now" } else { "may not approve here any more" };
    visit.go(&format!("/infrastructures/{id}/permissions"), Tone::Ok, &format!("{group} {text}."))
}

async fn granted(visit: &Visit, id: &InfrastructureId, fields: &Fields) -> Result<String> {
    let group = GroupName::parse(fields.get("group"))?;
    let right = match fields.get("right") {
        "none" => None,
        word => Some(InfrastructureRight::parse(word)?),
    };
    infrastructure::grant(&visit.app, &visit.caller, id.clone(), group.clone(), right).await?;
    Ok(match right {
        Some(right) => format!("{group} has {right} now."),
        None => format!("{group} has no right on this infrastructure any more."),
    })
}
