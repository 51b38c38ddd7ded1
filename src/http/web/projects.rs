//! The list of projects, and making one.

use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::fields::Fields;
use super::page::{Choice, Field, Page, Pager, Query, Section, Tone, Trouble, blame, plural};
use super::visit::{Answer, Visit};
use crate::app::overview::{self, ProjectRow};
use crate::app::project::{self, Filter, NewProject};
use crate::domain::name::{GroupName, ProjectKey};
use crate::domain::page::PageRequest;
use crate::domain::{Kind, Result};
use crate::http::error::status;
use crate::http::routes::Routes;

/// How many rows one page holds.
const ROWS: u32 = 50;
/// How many places a row names.
pub(super) const PLACES: usize = 4;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/projects", list);
    routes.get("/projects/new", ask);
    routes.post("/projects/new", create);
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
    tag: String,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "projects.html", blocks = ["live"])]
struct List {
    page: Page,
    here: Query,
    text: String,
    tag: String,
    rows: Vec<ProjectRow>,
    pager: Pager,
    filtered: bool,
}

async fn list(visit: Visit, asked: web::Query<Asked>) -> Answer {
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let filter = Filter { text: given(&asked.q), tag: given(&asked.tag) };
    let request = PageRequest { limit: ROWS, after: asked.after.clone() };
    let found = overview::projects(&visit.app, &visit.caller, filter, request).await?;
    let here = visit.here();
    let page = List {
        page: visit.page("Projects", Section::Projects).live("/events?topics=projects,deployments"),
        text: here.get("q").to_owned(),
        tag: here.get("tag").to_owned(),
        pager: Pager::new(plural(found.items.len() as u64, "project"), &here, found.next.as_deref()),
        filtered: here.is_filtered(&["after"]),
        rows: found.items,
        here,
    };
    if visit.wants("live") {
        return visit.show_part(&page.as_live());
    }
    visit.show(&page)
}

impl List {
    /// The first places of a project, and whether there are more.
    fn places<'a>(&self, row: &'a ProjectRow) -> (&'a [overview::Spot], bool) {
        let shown = &row.places[..row.places.len().min(PLACES)];
        (shown, row.places.len() > shown.len())
    }
}

#[derive(Template)]
#[template(path = "project/new.html")]
struct New {
    page: Page,
    trouble: Option<Trouble>,
    key: Field,
    description: Field,
    tags: Field,
    group: Option<Field>,
}

impl New {
    fn form(visit: &Visit, fields: &Fields) -> Self {
        let groups = &visit.caller.subject.groups;
        let choices: Vec<Choice> =
            groups.iter().map(|group| Choice::new(group.as_str(), group.as_str())).collect();
        let first = choices.first().map(|choice| choice.value.clone()).unwrap_or_default();
        let group = fields.optional("group").map(ToOwned::to_owned).unwrap_or(first);
        Self {
            page: visit.page("New project", Section::Projects).below("Projects", "/projects"),
            trouble: None,
            key: Field::text("key", "Key")
                .hint("Letters, digits, -, _ and ., up to 63. It names the project everywhere and stays.")
                .value(fields.get("key"))
                .required()
                .mono(),
            description: Field::area("description", "Description", 2).value(fields.get("description")),
            tags: Field::text("tags", "Tags").hint("Separated by commas.").value(fields.get("tags")),
            group: (choices.len() > 1).then(|| {
                Field::select("group", "Group that administers it", choices).value(group).required()
            }),
        }
    }
}

async fn ask(visit: Visit) -> Answer {
    visit.show(&New::form(&visit, &Fields::default()))
}

async fn create(visit: Visit, fields: Fields) -> Answer {
    let made = match parse(&fields) {
        Ok(new) => project::create(&visit.app, &visit.caller, new, None).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => visit.go(
            &format!("/projects/{}", made.key),
            Tone::Ok,
            "The project is made. Publish its first bundle.",
        ),
        Err(error) if error.kind == Kind::Internal => Err(error.into()),
        Err(error) => {
            let mut page = New::form(&visit, &fields);
            let mut all = vec![&mut page.key, &mut page.description, &mut page.tags];
            all.extend(page.group.as_mut());
            let error = super::deployment::renamed(error, "project", "key");
            page.trouble = Some(blame(&mut all, &error));
            visit.show_as(status(error.kind), &page)
        }
    }
}

fn parse(fields: &Fields) -> Result<NewProject> {
    Ok(NewProject {
        key: ProjectKey::parse(fields.get("key"))?,
        description: fields.get("description").to_owned(),
        tags: tags(fields.get("tags")),
        group: fields.optional("group").map(GroupName::parse).transpose()?,
    })
}

/// Tags as they are typed: separated by commas, each once.
pub(super) fn tags(text: &str) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        if !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    tags
}
