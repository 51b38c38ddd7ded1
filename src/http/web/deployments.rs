//! The list of deployments: filters and sort in the URL, pages by key, CSV of the same.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use askama::Template;
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;

use super::home::{Shown, position, reason};
use super::page::{Column, Page, Pager, Query, Section, State, plural};
use super::visit::{Answer, Visit};
use crate::app::App;
use crate::app::deployment::{self, Filter, Sort, Summary};
use crate::app::overview::{self, Listing};
use crate::domain::access::Caller;
use crate::domain::health::Health;
use crate::domain::name::{InfrastructureId, ProjectKey, StageId};
use crate::domain::page::PageRequest;
use crate::domain::update::UpdateKind;
use crate::domain::{Error, Result};
use crate::http::routes::Routes;

/// How many rows one page holds.
const ROWS: u32 = 50;
/// How many rows a CSV holds at most.
const CSV_ROWS: usize = 100_000;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/deployments", list);
    routes.get("/deployments.csv", csv);
}

/// What the URL asks for; an empty value is none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    q: String,
    project: String,
    infrastructure: String,
    stage: String,
    health: String,
    attention: String,
    sort: String,
    after: String,
}

impl Asked {
    fn filter(&self) -> Result<Filter> {
        let (descending, key) = match self.sort.strip_prefix('-') {
            Some(key) => (true, key),
            None => (false, self.sort.as_str()),
        };
        Ok(Filter {
            project: given(&self.project).map(ProjectKey::parse).transpose()?,
            infrastructure: given(&self.infrastructure).map(InfrastructureId::parse).transpose()?,
            stage: given(&self.stage).map(StageId::parse).transpose()?,
            health: given(&self.health).map(health).transpose()?,
            attention: self.attention == "true",
            in_cluster: false,
            bundles: false,
            text: given(self.q.trim()).map(ToOwned::to_owned),
            sort: sort(key)?,
            descending,
        })
    }

    fn request(&self, limit: u32) -> PageRequest {
        PageRequest { limit, after: given(&self.after).map(ToOwned::to_owned) }
    }
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn health(word: &str) -> Result<Health> {
    Health::parse(word).ok_or_else(|| Error::field("health", format!("{word:?} is no health")))
}

fn sort(key: &str) -> Result<Sort> {
    Ok(match key {
        "" | "id" => Sort::Id,
        "project" => Sort::Project,
        "infrastructure" => Sort::Infrastructure,
        "health" => Sort::Health,
        "updated" => Sort::Updated,
        other => return Err(Error::field("sort", format!("lists are not sorted by {other:?}"))),
    })
}

#[derive(Template)]
#[template(path = "deployments.html", blocks = ["live"])]
struct List {
    page: Page,
    here: Query,
    asked: Asked,
    stages: Vec<(String, String)>,
    infrastructures: Vec<String>,
    columns: Columns,
    rows: Vec<Row>,
    pager: Pager,
    csv: String,
    filtered: bool,
}

struct Columns {
    id: Column,
    project: Column,
    infrastructure: Column,
    health: Column,
    updated: Column,
}

struct Row {
    of: Summary,
    state: State,
    /// Beside the state: `step 4 of 7`, or why it is so.
    beside: String,
}

async fn list(visit: Visit, asked: web::Query<Asked>) -> Answer {
    let asked = asked.into_inner();
    let listing =
        overview::deployments(&visit.app, &visit.caller, asked.filter()?, asked.request(ROWS)).await?;
    let page = List::new(&visit, asked, listing);
    if visit.wants("live") {
        return visit.show_part(&page.as_live());
    }
    visit.show(&page)
}

impl List {
    fn new(visit: &Visit, asked: Asked, listing: Listing) -> Self {
        let here = visit.here();
        let column = |label, key| Column::new(label, key, &here, "id");
        let columns = Columns {
            id: column("Deployment", "id"),
            project: column("Project", "project"),
            infrastructure: column("Infrastructure", "infrastructure"),
            health: column("State", "health"),
            updated: column("Saved", "updated"),
        };
        let rows: Vec<Row> = listing.page.items.into_iter().map(|of| Row::new(of, &listing.open)).collect();
        let csv = Query::parse(&visit.url("/deployments.csv"), "");
        let kept = ["q", "project", "infrastructure", "stage", "health", "attention", "sort"];
        let csv = kept.iter().fold(csv, |csv, key| match here.get(key) {
            "" => csv,
            value => csv.with(key, value),
        });
        Self {
            page: visit.page("Deployments", Section::Deployments).live("/events?topics=deployments,updates"),
            stages: listing.stages.into_iter().map(|stage| (stage.id.into(), stage.description)).collect(),
            infrastructures: listing.infrastructures.into_iter().map(|(id, _)| id.into()).collect(),
            pager: Pager::new(plural(rows.len() as u64, "deployment"), &here, listing.page.next.as_deref()),
            filtered: here.is_filtered(&["sort", "after"]),
            csv: csv.href(),
            columns,
            rows,
            asked,
            here,
        }
    }

    /// The words of the filter for health.
    fn healths(&self) -> [(&'static str, &'static str); 6] {
        [
            ("ERROR", "Error"),
            ("UNHEALTHY", "Unhealthy"),
            ("OUT_OF_SYNC", "Out of sync"),
            ("WARNING", "Warning"),
            ("UNKNOWN", "Unknown"),
            ("HEALTHY", "Healthy"),
        ]
    }
}

type Open =
    std::collections::HashMap<crate::domain::name::DeploymentId, (u32, Option<crate::domain::update::Step>)>;

impl Row {
    fn new(of: Summary, open: &Open) -> Self {
        let (state, beside) = match open.get(&of.deployment.id) {
            Some((_, Some(step))) => (State::run("Updating"), position(UpdateKind::Update, *step)),
            Some((_, None)) => (State::wait("Queued"), String::new()),
            None => (Shown::of(&of).state(), String::new()),
        };
        Self { of, state, beside }
    }
}

async fn csv(visit: Visit, asked: web::Query<Asked>) -> Answer {
    let filter = asked.filter()?;
    let first = (
        visit.app.clone(),
        visit.caller.clone(),
        filter,
        Some(PageRequest::first(PageRequest::MOST)),
        0_usize,
    );
    let pages = stream::try_unfold(first, |(app, caller, filter, request, sent)| async move {
        let Some(request) = request.filter(|_| sent < CSV_ROWS) else {
            return Ok::<_, Error>(None);
        };
        let (text, next, count) = csv_page(&app, &caller, filter.clone(), request, sent == 0).await?;
        let next = next.map(|after| PageRequest { limit: PageRequest::MOST, after: Some(after) });
        Ok(Some((Bytes::from(text), (app, caller, filter, next, sent + count.max(1)))))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"deployments.csv\""))
        .streaming(Box::pin(pages)))
}

async fn csv_page(
    app: &App,
    caller: &Caller,
    filter: Filter,
    request: PageRequest,
    first: bool,
) -> Result<(String, Option<String>, usize)> {
    let page = deployment::list(app, caller, filter, request).await?;
    let mut text = String::new();
    if first {
        text.push_str(
            "id,uuid,name,project,bundle,pipeline,infrastructure,stage,enabled,health,ready,wanted,reason,saved\r\n",
        );
    }
    for summary in &page.items {
        let (of, state) = (&summary.deployment, &summary.state);
        let of_bundle = |text: &dyn std::fmt::Display| {
            if of.source.is_bundle() { text.to_string() } else { String::new() }
        };
        let cells = [
            of.id.to_string(),
            of.uuid.to_string(),
            of.called().to_owned(),
            of_bundle(&of.project),
            of_bundle(&of.version),
            of.source.pipeline().map(|of| of.pipeline_name.to_string()).unwrap_or_default(),
            of.infrastructure.to_string(),
            summary.stage.to_string(),
            of.enabled.to_string(),
            state.health.word().to_owned(),
            state.ready.to_string(),
            state.wanted.to_string(),
            reason(summary),
            super::page::iso(of.updated_at),
        ];
        let row: Vec<String> = cells.iter().map(|cell| csv_cell(cell)).collect();
        text.push_str(&row.join(","));
        text.push_str("\r\n");
    }
    Ok((text, page.next, page.items.len()))
}

/// A cell in quotes where it needs them (RFC 4180), and never one that a spreadsheet takes for a formula.
pub(super) fn csv_cell(text: &str) -> String {
    let guarded = match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text.to_owned(),
    };
    if guarded.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

#[cfg(test)]
mod tests {
    use super::csv_cell;

    #[test]
    fn cells_are_quoted_and_hold_no_formula() {
        assert_eq!(csv_cell("iris"), "iris");
        assert_eq!(csv_cell("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(csv_cell("=1+1"), "'=1+1");
        assert_eq!(csv_cell("-1,2"), "\"'-1,2\"");
    }
}
