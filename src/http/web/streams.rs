//! Streams: the list, one of them, making, editing and deleting it.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::deployment::actions::{ConfirmPage, refused};
use super::fields::Fields;
use super::page::{Confirm, Field, Page, Pager, Query, Section, Tab, Tone, Trouble, blame, plural};
use super::pipelines::{document, group_field, options_text, uuid_of};
use super::visit::{Answer, Visit};
use crate::app::resource::Draft;
use crate::app::stream;
use crate::domain::deployment::Deployment;
use crate::domain::name::{GroupName, Label};
use crate::domain::page::PageRequest;
use crate::domain::pipeline::Pipeline;
use crate::domain::stream::{Stream, StreamSpec};
use crate::domain::{Error, Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;

/// How many rows one page holds.
const ROWS: u32 = 50;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/streams", list);
    routes.get("/streams/new", ask);
    routes.post("/streams/new", create);
    routes.get("/streams/{uuid}", show);
    routes.get("/streams/{uuid}/edit", edit);
    routes.post("/streams/{uuid}/edit", save);
    routes.get("/streams/{uuid}/delete", ask_delete);
    routes.post("/streams/{uuid}/delete", delete);
}

/// What lists are asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub q: String,
    pub after: Option<String>,
}

impl Asked {
    pub fn text(&self) -> Option<String> {
        Some(self.q.trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub fn request(&self) -> PageRequest {
        PageRequest { limit: ROWS, after: self.after.clone() }
    }
}

/// The two lists of the section.
pub(super) fn tabs(visit: &Visit, current: &str) -> Vec<Tab> {
    Tab::all(current, [("Pipelines", visit.url("/pipelines")), ("Streams", visit.url("/streams"))])
}

#[derive(Template)]
#[template(path = "stream/list.html", blocks = ["live"])]
struct List {
    page: Page,
    here: Query,
    tabs: Vec<Tab>,
    text: String,
    rows: Vec<(Stream, u32)>,
    pager: Pager,
    filtered: bool,
}

async fn list(visit: Visit, asked: web::Query<Asked>) -> Answer {
    let found = stream::list(&visit.app, &visit.caller, asked.text(), asked.request()).await?;
    let here = visit.here();
    let page = List {
        page: visit.page("Streams", Section::Pipelines).live("/events?topics=resources,deployments"),
        tabs: tabs(&visit, "Streams"),
        text: asked.q.clone(),
        pager: Pager::new(plural(found.items.len() as u64, "stream"), &here, found.next.as_deref()),
        filtered: here.is_filtered(&["after"]),
        rows: found.items,
        here,
    };
    if visit.wants("live") {
        return visit.show_part(&page.as_live());
    }
    visit.show(&page)
}

/// Where the stream leads, for lists.
fn servers(stream: &Stream) -> String {
    stream.spec.options.get("bootstrap.servers").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn page(visit: &Visit, heading: impl Into<String>) -> Page {
    visit.page(heading, Section::Pipelines).below("Streams", "/streams")
}

#[derive(Template)]
#[template(path = "stream/show.html", blocks = ["live"])]
struct Show {
    page: Page,
    here: Query,
    stream: Stream,
    options: Vec<(String, String)>,
    pipelines: Vec<Pipeline>,
    deployments: Vec<Deployment>,
}

async fn show(visit: Visit, path: web::Path<String>) -> Answer {
    let uuid = uuid_of("stream", &path)?;
    let (stream, deployments, pipelines) = stream::detail(&visit.app, &visit.caller, uuid).await?;
    let stream = stream.into_inner();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let shown = Show {
        page: page(&visit, stream.name.to_string()).live("/events?topics=resources,deployments"),
        here: visit.here(),
        options: stream.spec.options.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
        stream,
        pipelines,
        deployments,
    };
    if visit.wants("live") {
        return visit.show_part(&shown.as_live());
    }
    visit.show(&shown)
}

#[derive(Template)]
#[template(path = "stream/form.html")]
struct Form {
    page: Page,
    trouble: Option<Trouble>,
    action: String,
    verb: &'static str,
    cancel: String,
    revision: Option<u32>,
    name: Field,
    kind: Field,
    options: Field,
    group: Option<Field>,
}

impl Form {
    fn new(visit: &Visit, of: Option<&Stream>, fields: &Fields) -> Self {
        let was = |key: &str, stored: String| fields.optional(key).map_or(stored, ToOwned::to_owned);
        let (page, path) = match of {
            None => (page(visit, "New stream"), "/streams/new".to_owned()),
            Some(stream) => {
                let here = format!("/streams/{}", stream.uuid);
                let page = page(visit, format!("Edit {}", stream.name)).below(stream.name.to_string(), &here);
                (page, format!("{here}/edit"))
            }
        };
        let cancel = of.map_or("/streams".to_owned(), |stream| format!("/streams/{}", stream.uuid));
        Self {
            page,
            trouble: None,
            action: visit.url(&path),
            verb: if of.is_some() { "Save" } else { "Make the stream" },
            cancel: visit.url(&cancel),
            revision: of.map(|stream| stream.revision),
            name: Field::text("name", "Name")
                .hint("The topic's name too, unless topic.name says otherwise.")
                .value(was("name", of.map(|stream| stream.name.to_string()).unwrap_or_default()))
                .required(),
            kind: Field::text("kind", "Kind")
                .value(was("kind", of.map_or("KAFKA".to_owned(), |stream| stream.spec.kind.clone())))
                .required()
                .mono(),
            options: Field::area("options", "Connection", 8)
                .hint("YAML or JSON, e.g. bootstrap.servers: kafka:9092. Passwords and the like are sealed and shown as ********, which stands for “as it is”.")
                .value(was("options", of.map(|stream| options_text(&stream.spec.options)).unwrap_or_default()))
                .mono(),
            group: group_field(visit, of.and_then(|stream| stream.group.clone()), fields),
        }
    }

    fn blamed(mut self, error: &Error) -> Self {
        let mut all = vec![&mut self.name, &mut self.kind, &mut self.options];
        all.extend(self.group.as_mut());
        self.trouble = Some(blame(&mut all, error));
        self
    }
}

fn draft(fields: &Fields) -> Result<Draft<StreamSpec>> {
    let kind = fields.get("kind");
    let options = document(fields, "options")?;
    let spec = json!({ "kind": kind, kind.to_lowercase(): options });
    Ok(Draft {
        name: Label::parse(fields.get("name"))?,
        group: fields.optional("group").map(GroupName::parse).transpose()?,
        spec: StreamSpec::parse(&spec).map_err(|error| at_fields(error, kind))?,
    })
}

/// The problem's place as the form has it.
fn at_fields(mut error: Error, kind: &str) -> Error {
    let under = format!("spec.{}.", kind.to_lowercase());
    for problem in &mut error.problems {
        if let Some(option) = problem.place.strip_prefix(&under) {
            problem.message = format!("option {option}: {}", problem.message);
            problem.place = "options".to_owned();
        } else if let Some(field) = problem.place.strip_prefix("spec.") {
            problem.place = field.to_owned();
        }
    }
    error
}

async fn ask(visit: Visit) -> Answer {
    visit.show(&Form::new(&visit, None, &Fields::default()))
}

async fn create(visit: Visit, fields: Fields) -> Answer {
    let made = match draft(&fields) {
        Ok(draft) => stream::create(&visit.app, &visit.caller, draft, None).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => visit.go(&format!("/streams/{}", made.uuid), Tone::Ok, "The stream is made."),
        Err(error) => again(&visit, None, &fields, error),
    }
}

fn again(visit: &Visit, of: Option<&Stream>, fields: &Fields, error: Error) -> Answer {
    if error.kind == Kind::Internal {
        return Err(error.into());
    }
    let error = at_fields(error, fields.get("kind"));
    visit.show_as(status(error.kind), &Form::new(visit, of, fields).blamed(&error))
}

async fn edit(visit: Visit, path: web::Path<String>) -> Answer {
    let found = stream::get(&visit.app, &visit.caller, uuid_of("stream", &path)?).await?;
    visit.show(&Form::new(&visit, Some(&found), &Fields::default()))
}

async fn save(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let uuid = uuid_of("stream", &path)?;
    let before = stream::get(&visit.app, &visit.caller, uuid).await?;
    let saved = match draft(&fields) {
        Ok(draft) => {
            let revision = fields.get("revision").parse().ok();
            stream::save(&visit.app, &visit.caller, uuid, draft, revision).await
        }
        Err(error) => Err(error),
    };
    match saved {
        Ok(_) => visit.go(
            &format!("/streams/{uuid}"),
            Tone::Ok,
            "Saved. Deployments made from it are out of sync until they are updated.",
        ),
        Err(error) => again(&visit, Some(&before), &fields, error),
    }
}

async fn confirm(visit: &Visit, uuid: Uuid) -> Result<ConfirmPage> {
    let stream = stream::get(&visit.app, &visit.caller, uuid).await?;
    let here = format!("/streams/{uuid}");
    let confirm = Confirm {
        action: visit.url(&format!("{here}/delete")),
        verb: "Delete stream".to_owned(),
        name: stream.name.to_string(),
        consequences: vec![
            "What Slipway knows of it is gone for good; the topic itself stays as it is.".to_owned(),
            "It can be deleted only when no pipeline names it and no deployment is made from it.".to_owned(),
        ],
        also: None,
        back: visit.url(&here),
        typed: None,
    };
    let page = page(visit, format!("Delete {}", stream.name)).below(stream.name.to_string(), &here);
    Ok(ConfirmPage { page, confirm, trouble: None })
}

async fn ask_delete(visit: Visit, path: web::Path<String>) -> Answer {
    let page = confirm(&visit, uuid_of("stream", &path)?).await?;
    visit.show(&page)
}

async fn delete(visit: Visit, path: web::Path<String>, fields: Fields) -> Answer {
    let uuid = uuid_of("stream", &path)?;
    let mut page = confirm(&visit, uuid).await?;
    if !page.confirm.accepts(fields.get(Confirm::FIELD)) {
        page.confirm.typed = Some(fields.get(Confirm::FIELD).to_owned());
        return visit.show_as(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    match stream::delete(&visit.app, &visit.caller, uuid).await {
        Ok(last) => visit.go("/streams", Tone::Ok, &format!("Stream {} is deleted.", last.name)),
        Err(error) => refused(&visit, page, error),
    }
}
