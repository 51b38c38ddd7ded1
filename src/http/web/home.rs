//! Home: what runs where, and what needs somebody.

use askama::Template;
use serde::Deserialize;

use super::page::{Note, Page, Query, Section, State};
use super::visit::{Answer, Visit};
use crate::app::overview::{self, MOST_COUNTED, Overview, Place};
use crate::domain::clock::Timestamp;
use crate::domain::health::{Health, Severity};
use crate::domain::name::StageId;
use crate::domain::page::PageRequest;
use crate::domain::update::{Step, UpdateKind};
use crate::http::routes::Routes;
use crate::store::deployment::list::Summary;
use actix_web::web;

/// How many projects one page of the matrix holds.
const ROWS: u32 = 50;
/// How many deployments one cell of the matrix shows.
const CELLS: usize = 4;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/", home);
}

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    q: String,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "home.html", blocks = ["strip", "live"])]
struct Home {
    page: Page,
    here: Query,
    text: String,
    stages: Vec<Column>,
    rows: Vec<Row>,
    attention: Vec<Needy>,
    counted: String,
    /// How many deployments there are in all; empty: none.
    everything: String,
    next: Option<String>,
    filtered: bool,
}

/// The parts that change while one looks, in one answer; the filter between them is left alone.
#[derive(Template)]
#[template(source = "{{ self.0.as_strip() }}{{ self.0.as_live() }}", ext = "txt")]
struct Parts<'a>(&'a Home);

/// A stage, and the infrastructures in it.
struct Column {
    title: String,
    places: String,
}

/// A project with one entry a stage.
struct Row {
    project: String,
    stages: Vec<Square>,
}

/// A project in a stage.
struct Square {
    cells: Vec<Cell>,
    /// Where the others are, when there are more than it shows.
    more: Option<String>,
}

/// One deployment in the matrix.
struct Cell {
    id: String,
    version: String,
    state: State,
    /// Beside the state while an update runs: `step 4 of 7`.
    step: String,
    at: Timestamp,
    /// What tells it from the others, where the stage has several deployments of the project: its infrastructure, or its
    /// id where they share one.
    apart: String,
}

/// One line of the strip.
struct Needy {
    id: String,
    called: String,
    state: State,
    why: String,
    /// What helps, and where.
    verb: &'static str,
    href: String,
    at: Option<Timestamp>,
}

async fn home(visit: Visit, asked: web::Query<Asked>) -> Answer {
    let text = Some(asked.q.trim().to_owned()).filter(|text| !text.is_empty());
    let request = PageRequest { limit: ROWS, after: asked.after.clone() };
    let overview = overview::get(&visit.app, &visit.caller, text, request).await?;
    let page = Home::new(&visit, overview);
    if visit.wants("live") {
        return visit.show_part(&Parts(&page));
    }
    visit.show(&page)
}

impl Home {
    fn new(visit: &Visit, overview: Overview) -> Self {
        let here = visit.here();
        let ids: Vec<&StageId> = overview.stages.iter().map(|stage| &stage.id).collect();
        let rows = overview.projects.iter().map(|project| {
            let own: Vec<&Place> = overview.places.iter().filter(|place| place.project == *project).collect();
            let squares = ids.iter().map(|stage| square(visit, &own, stage));
            Row { project: project.to_string(), stages: squares.collect() }
        });
        let everything = up_to(overview.deployment_count);
        let counted = match overview.attention_count {
            0 => String::new(),
            count => format!("{} of {everything} deployments", up_to(count)),
        };
        Self {
            page: visit.page("Home", Section::Home).live("/events?topics=deployments,updates,projects"),
            text: here.get("q").to_owned(),
            filtered: here.is_filtered(&["after"]),
            stages: columns(&overview),
            rows: rows.collect(),
            attention: overview.attention.iter().map(|summary| needy(visit, summary)).collect(),
            counted,
            everything,
            next: overview.next.as_deref().map(|cursor| here.with("after", cursor).href()),
            here,
        }
    }
}

fn columns(overview: &Overview) -> Vec<Column> {
    let names = |stage: &StageId| {
        let names: Vec<&str> = overview
            .infrastructures
            .iter()
            .filter(|(_, of)| of == stage)
            .map(|(id, _)| id.as_str())
            .collect();
        match names.as_slice() {
            [] => String::new(),
            [one] => (*one).to_owned(),
            [one, two] => format!("{one}, {two}"),
            [one, rest @ ..] => format!("{one} +{}", rest.len()),
        }
    };
    let stages = overview.stages.iter();
    stages.map(|stage| Column { title: stage.description.clone(), places: names(&stage.id) }).collect()
}

/// A count that goes no further than [`MOST_COUNTED`].
fn up_to(count: u64) -> String {
    match count {
        0 => String::new(),
        many if many > u64::from(MOST_COUNTED) => "1,000+".to_owned(),
        some => some.to_string(),
    }
}

fn square(visit: &Visit, own: &[&Place], stage: &StageId) -> Square {
    let here: Vec<&&Place> = own.iter().filter(|place| place.stage == *stage).collect();
    let apart = |place: &Place| {
        let neighbours = here.iter().filter(|other| other.infrastructure == place.infrastructure).count();
        match (here.len(), neighbours) {
            (1, _) => String::new(),
            (_, 1) => place.infrastructure.to_string(),
            _ => place.id.to_string(),
        }
    };
    let more = here.get(CELLS).map(|place| {
        let all = Query::parse(&visit.url("/deployments"), "");
        all.with("project", place.project.as_str()).with("stage", stage.as_str()).href()
    });
    Square { cells: here.iter().take(CELLS).map(|place| cell(place, apart(place))).collect(), more }
}

fn cell(place: &Place, apart: String) -> Cell {
    let (state, step) = match place.open {
        Some((_, Some(step))) => (State::run("Updating"), position(UpdateKind::Update, step)),
        Some((_, None)) => (State::wait("Queued"), String::new()),
        None => (folded(place), String::new()),
    };
    Cell {
        id: place.id.to_string(),
        version: place.version.to_string(),
        state,
        step,
        at: place.state.changed_at.unwrap_or(place.updated_at),
        apart,
    }
}

pub(super) fn position(kind: UpdateKind, step: Step) -> String {
    let all = Step::of(kind);
    match all.iter().position(|known| *known == step) {
        Some(at) => format!("step {} of {}", at + 1, all.len()),
        None => step.title().to_lowercase(),
    }
}

fn folded(place: &Place) -> State {
    let facts = Shown {
        health: place.state.health,
        ready: place.state.ready,
        wanted: place.state.wanted,
        enabled: place.enabled,
        last_update: place.last_update,
        runs: place.running_update.is_some(),
    };
    facts.state()
}

/// What a list's state is worded from.
pub(super) struct Shown {
    pub health: Health,
    pub ready: u32,
    pub wanted: u32,
    pub enabled: bool,
    pub last_update: u32,
    pub runs: bool,
}

impl Shown {
    /// Of a row of a list.
    pub fn of(summary: &Summary) -> Self {
        let (deployment, state) = (&summary.deployment, &summary.state);
        Self {
            health: state.health,
            ready: state.ready,
            wanted: state.wanted,
            enabled: deployment.enabled,
            last_update: deployment.last_update,
            runs: deployment.running_update.is_some(),
        }
    }

    /// The state in the fewest words that say most: how many replicas are missing, stopped, never deployed.
    pub fn state(&self) -> State {
        match self.health {
            Health::Unknown if self.last_update == 0 => State::unknown("Never deployed"),
            Health::Unknown if !self.enabled && !self.runs => State::off("Stopped"),
            Health::Unhealthy if self.ready < self.wanted => {
                State::unhealthy(format!("{} of {} ready", self.ready, self.wanted))
            }
            health => State::from(health),
        }
    }
}

fn needy(visit: &Visit, summary: &Summary) -> Needy {
    let id = &summary.deployment.id;
    let (verb, path) = match summary.state.health {
        Health::Error => {
            ("See the update", format!("/deployments/{id}/updates/{}", summary.deployment.last_update))
        }
        Health::OutOfSync => ("See the plan", format!("/deployments/{id}/update")),
        Health::Unhealthy => ("Logs", format!("/deployments/{id}/logs")),
        _ => ("Open", format!("/deployments/{id}")),
    };
    Needy {
        id: id.to_string(),
        called: summary.deployment.called().to_owned(),
        state: State::from(summary.state.health),
        why: reason(summary),
        verb,
        href: visit.url(&path),
        at: summary.state.changed_at,
    }
}

/// The gravest message in one line.
pub(super) fn reason(summary: &Summary) -> String {
    let rank = |severity: Severity| match severity {
        Severity::Error => 0,
        Severity::Warning => 1,
        Severity::Info => 2,
        Severity::Success => 3,
    };
    let gravest = summary.state.messages.iter().min_by_key(|message| rank(message.severity));
    gravest.map(Note::from).map_or_else(String::new, |note| match note.text.as_str() {
        "" => note.title,
        text => text.to_owned(),
    })
}
