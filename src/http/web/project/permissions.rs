//! Which groups may do what with a project.

use actix_web::web;
use askama::Template;

use super::{Frame, key_of, page};
use crate::app::{project, user};
use crate::domain::access::ProjectRight;
use crate::domain::name::{GroupName, ProjectKey};
use crate::domain::{Error, Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::web::fields::Fields;
use crate::http::web::page::{Choice, Field, Page, Tone, Trouble, blame};
use crate::http::web::visit::{Answer, Visit};

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/projects/{key}/permissions", show);
    routes.post("/projects/{key}/permissions", grant);
}

#[derive(Template)]
#[template(path = "project/permissions.html")]
struct Permissions {
    page: Page,
    frame: Frame,
    trouble: Option<Trouble>,
    grants: Vec<(String, &'static str)>,
    group: Field,
    right: Field,
    groups: Vec<String>,
    may_grant: bool,
}

async fn form(visit: &Visit, key: ProjectKey, fields: &Fields) -> Result<Permissions> {
    let (project, frame) = Frame::load(visit, key.clone(), "Permissions").await?;
    let grants = project::grants(&visit.app, &visit.caller, key.clone()).await?;
    let known = user::groups(&visit.app, &visit.caller).await?;
    let rights = [
        (ProjectRight::View, "view: see it"),
        (ProjectRight::Publish, "publish: upload bundles"),
        (ProjectRight::Deploy, "deploy: deploy its bundles"),
        (ProjectRight::Admin, "admin: all of it, and give rights"),
    ];
    let choices = rights.into_iter().map(|(right, label)| Choice::new(right.word(), label)).collect();
    Ok(Permissions {
        page: page(visit, &key),
        may_grant: project.may(ProjectRight::Admin),
        frame,
        trouble: None,
        grants: grants.into_iter().map(|(group, right)| (group.to_string(), right.word())).collect(),
        group: Field::text("group", "Group").value(fields.get("group")).required(),
        right: Field::select("right", "Right", choices)
            .value(fields.optional("right").unwrap_or("view"))
            .required(),
        groups: known.into_iter().map(String::from).collect(),
    })
}

async fn show(visit: Visit, path: web::Path<String>) -> Answer {
    let page = form(&visit, key_of(&path)?, &Fields::default()).await?;
    visit.show(&page)
}

/// Gives a group a right, or takes it away with the right `none`.
async fn grant(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let key = key_of(&path)?;
    let given = match parse(&fields) {
        Ok((group, right)) => {
            let done = project::grant(&visit.app, &visit.caller, key.clone(), group.clone(), right).await;
            done.map(|_| (group, right))
        }
        Err(error) => Err(error),
    };
    match given {
        Ok((group, right)) => {
            let text = match right {
                Some(right) => format!("{group} has {right} now."),
                None => format!("{group} has no right on this project any more."),
            };
            // Who takes its own right away does not see the project any more.
            let seen = project::get(&visit.app, &visit.caller, key.clone()).await.is_ok();
            let to = if seen { format!("/projects/{key}/permissions") } else { "/projects".to_owned() };
            visit.go(&to, Tone::Ok, &text)
        }
        Err(error) if error.kind == Kind::Invalid => {
            let mut page = form(&visit, key, &fields).await?;
            page.trouble = Some(blame(&mut [&mut page.group, &mut page.right], &error));
            visit.show_as(status(error.kind), &page)
        }
        Err(error) => Err(error.into()),
    }
}

fn parse(fields: &Fields) -> Result<(GroupName, Option<ProjectRight>)> {
    let group = GroupName::parse(fields.get("group"));
    let right = match fields.get("right") {
        "none" => Ok(None),
        word => ProjectRight::parse(word).map(Some),
    };
    match (group, right) {
        (Ok(group), Ok(right)) => Ok((group, right)),
        (group, right) => {
            let problems = [group.err(), right.err()].into_iter().flatten().flat_map(|error| error.problems);
            Err(Error::problems("invalid_input", problems.collect()))
        }
    }
}
