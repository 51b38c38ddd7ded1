//! One context: what it runs and its executions; making, running and deleting it. It never changes: another is made
//! like it.

mod form;
mod run;

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::deployment::actions::{ConfirmPage, refused};
use super::executions::Row;
use super::fields::Fields;
use super::page::{Confirm, Page, Pager, Query, Section, Tone, plural};
use super::pipelines::{options_text, uuid_of};
use super::visit::{Answer, Visit};
use crate::app;
use crate::app::execution::{self, Filter};
use crate::domain::Result;
use crate::domain::context::Context;
use crate::domain::page::PageRequest;
use crate::domain::stream::Options;
use crate::http::routes::Routes;

/// How many executions the page lists at once.
const ROWS: u32 = 20;

/// The routes of this file and those below it.
pub fn routes(routes: &mut Routes) {
    form::routes(routes);
    routes.get("/contexts/{uuid}", show);
    run::routes(routes);
    routes.get("/contexts/{uuid}/delete", ask_delete);
    routes.post("/contexts/{uuid}/delete", delete);
}

/// The page's frame one level below the list.
fn page(visit: &Visit, heading: impl Into<String>) -> Page {
    visit.page(heading, Section::Jobs).below("Contexts", "/contexts")
}

/// Keys of a specification that have a field of their own; everything else is edited as one text.
const OWN: [&str; 4] = ["image", "command", "ports", "env"];

/// What of a specification has no field of its own, as it was sent.
fn rest_text(context: &Context) -> String {
    let mut rest: Options = match context.spec.specification.sent() {
        Value::Object(sent) => sent.clone(),
        _ => Options::new(),
    };
    rest.retain(|key, value| !OWN.contains(&key.as_str()) && !value.is_null());
    options_text(&rest)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct After {
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "context/show.html", blocks = ["live"])]
struct Show {
    page: Page,
    here: Query,
    context: Context,
    ports: String,
    rest: String,
    rows: Vec<Row>,
    pager: Pager,
    curl: String,
}

async fn show(visit: Visit, path: web::Path<String>, asked: web::Query<After>) -> Answer {
    let uuid = uuid_of("context", &path)?;
    let context = app::context::get(&visit.app, &visit.caller, uuid).await?.into_inner();
    let filter = Filter { context: Some(uuid), ..Filter::default() };
    let request = PageRequest { limit: ROWS, after: asked.after.clone() };
    let found = execution::list(&visit.app, &visit.caller, filter, request).await?;
    let here = visit.here();
    let topics = "/events?topics=resources,deployments,updates";
    let shown = Show {
        page: page(&visit, context.name.to_string()).live(topics),
        pager: Pager::new(plural(found.items.len() as u64, "execution"), &here, found.next.as_deref()),
        rows: found.items.into_iter().map(Row::new).collect(),
        ports: form::ports_text(&context),
        rest: rest_text(&context),
        curl: curl(uuid),
        here,
        context,
    };
    if visit.wants("live") {
        return visit.show_part(&shown.as_live());
    }
    visit.show(&shown)
}

fn curl(uuid: Uuid) -> String {
    format!(
        "curl -H \"Authorization: Bearer $SLIPWAY_KEY\" -H 'Content-Type: application/json' \\\n  \
         -d '{{\"engine\":\"docker\"}}' \\\n  $SLIPWAY_URL/v1/contexts/{uuid}/executions"
    )
}

async fn confirm(visit: &Visit, uuid: Uuid) -> Result<ConfirmPage> {
    let context = app::context::get(&visit.app, &visit.caller, uuid).await?;
    let here = format!("/contexts/{uuid}");
    let confirm = Confirm {
        action: visit.url(&format!("{here}/delete")),
        verb: "Delete context".to_owned(),
        name: context.name.to_string(),
        consequences: vec![
            "The context is gone for good.".to_owned(),
            "It can be deleted only when no execution of it is listed any more.".to_owned(),
        ],
        also: None,
        back: visit.url(&here),
        typed: None,
    };
    let page = page(visit, format!("Delete {}", context.name)).below(context.name.to_string(), &here);
    Ok(ConfirmPage { page, confirm, trouble: None })
}

async fn ask_delete(visit: Visit, path: web::Path<String>) -> Answer {
    let page = confirm(&visit, uuid_of("context", &path)?).await?;
    visit.show(&page)
}

async fn delete(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let uuid = uuid_of("context", &path)?;
    let mut page = confirm(&visit, uuid).await?;
    if !page.confirm.accepts(fields.get(Confirm::FIELD)) {
        page.confirm.typed = Some(fields.get(Confirm::FIELD).to_owned());
        return visit.show_as(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    match app::context::delete(&visit.app, &visit.caller, uuid).await {
        Ok(last) => visit.go("/contexts", Tone::Ok, &format!("Context {} is deleted.", last.name)),
        Err(error) => refused(&visit, page, error),
    }
}
