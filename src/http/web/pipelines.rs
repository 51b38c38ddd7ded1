//! Pipelines: the list, and what forms of pipelines and streams share.

use actix_web::web;
use askama::Template;
use serde_json::Value;
use uuid::Uuid;

use super::fields::Fields;
use super::page::{Choice, Field, Page, Pager, Query, Section, Tab, plural};
use super::streams::{Asked, tabs};
use super::visit::{Answer, Visit};
use crate::app::{self, pipeline};
use crate::domain::name::GroupName;
use crate::domain::pipeline::Pipeline;
use crate::domain::stream::Options;
use crate::domain::{Error, Result};
use crate::http::routes::Routes;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/pipelines", list);
}

#[derive(Template)]
#[template(path = "pipeline/list.html", blocks = ["live"])]
struct List {
    page: Page,
    here: Query,
    tabs: Vec<Tab>,
    text: String,
    rows: Vec<(Pipeline, u32)>,
    pager: Pager,
    filtered: bool,
}

async fn list(visit: Visit, asked: web::Query<Asked>) -> Answer {
    let found = pipeline::list(&visit.app, &visit.caller, asked.text(), asked.request()).await?;
    let here = visit.here();
    let page = List {
        page: visit.page("Pipelines", Section::Pipelines).live("/events?topics=resources,deployments"),
        tabs: tabs(&visit, "Pipelines"),
        text: asked.q.clone(),
        pager: Pager::new(plural(found.items.len() as u64, "pipeline"), &here, found.next.as_deref()),
        filtered: here.is_filtered(&["after"]),
        rows: found.items,
        here,
    };
    if visit.wants("live") {
        return visit.show_part(&page.as_live());
    }
    visit.show(&page)
}

/// A uuid from a URL: one that is none is of nothing.
pub(super) fn uuid_of(noun: &'static str, text: &str) -> Result<Uuid> {
    Uuid::try_parse(text).map_err(|_| Error::not_found(noun, text.chars().take(80).collect::<String>()))
}

/// Options as they are edited: JSON, which is YAML too; empty where there are none.
pub(super) fn options_text(options: &Options) -> String {
    if options.is_empty() {
        return String::new();
    }
    serde_json::to_string_pretty(options).unwrap_or_default()
}

/// A field that holds a mapping as YAML or JSON.
///
/// # Errors
/// Names the field, and the line where it is no YAML.
pub(super) fn document(fields: &Fields, field: &str) -> Result<Options> {
    let value = app::yaml(fields.raw(field)).map_err(|mut error| {
        for problem in &mut error.problems {
            let at = problem.place.replacen("body:", "line ", 1);
            problem.message = format!("{at}: {}", problem.message);
            problem.place = field.to_owned();
        }
        error
    })?;
    match value {
        Value::Object(options) => Ok(options),
        _ => Err(Error::field(field, "it is a mapping").hint("Write `option: value`, one a line.")),
    }
}

/// The group that it belongs to, where there is a choice.
pub(super) fn group_field(visit: &Visit, has: Option<GroupName>, fields: &Fields) -> Option<Field> {
    let groups = &visit.caller.subject.groups;
    let mut choices: Vec<Choice> =
        groups.iter().map(|group| Choice::new(group.as_str(), group.as_str())).collect();
    if let Some(has) = has.as_ref().filter(|has| !groups.contains(*has)) {
        choices.push(Choice::new(has.as_str(), has.as_str()));
    }
    let admins = &visit.app.rules.admin_groups;
    let first = groups.iter().find(|group| !admins.contains(*group)).or(groups.first());
    let value = fields.optional("group").map(ToOwned::to_owned);
    let value = value.or_else(|| has.as_ref().or(first).map(ToString::to_string)).unwrap_or_default();
    let field = Field::select("group", "Group", choices.clone());
    (choices.len() > 1).then(|| {
        field.hint("Its members may do everything with it; others don't see it.").value(value).required()
    })
}
