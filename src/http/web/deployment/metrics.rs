//! What replicas use now, asked of the engine, and what happened to them.

use std::time::Duration;

use actix_web::web;
use askama::Template;

use super::{Frame, id_of, page};
use crate::app::deployment;
use crate::app::stats::{self, SlotStats};
use crate::domain::Error;
use crate::engine::Stats;
use crate::http::routes::Routes;
use crate::http::web::page::{Note, Page, Query, Tone, memory, percent};
use crate::http::web::visit::{Answer, Visit};
use crate::store::observation::EngineNote;

/// How long the page waits for the engine.
const PATIENCE: Duration = Duration::from_secs(6);

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/deployments/{id}/metrics", show);
}

#[derive(Template)]
#[template(path = "deployment/metrics.html", blocks = ["figures"])]
struct Metrics {
    page: Page,
    here: Query,
    frame: Frame,
    rows: Vec<Row>,
    total: Option<(String, String)>,
    note: Option<Note>,
    events: Vec<EngineNote>,
}

/// One replica.
struct Row {
    name: String,
    cpus: String,
    memory: String,
    /// Of its limit.
    limit: String,
    /// Whole per cent of the limit; `None` without one.
    share: Option<u64>,
    processes: String,
    /// Why there are no figures.
    missing: String,
}

async fn show(visit: Visit, path: web::Path<String>) -> Answer {
    let id = id_of(&path)?;
    let detail = deployment::detail(&visit.app, &visit.caller, id.clone()).await?;
    let frame = Frame::of(&visit, &detail.deployment, &detail.summary, "Metrics").await?;
    let asked = tokio::time::timeout(PATIENCE, stats::of(&visit.app, &visit.caller, id.clone())).await;
    let (found, note) = match asked {
        Ok(found) => (found?, None),
        Err(_) => {
            let text = "The engine did not answer in time. What runs goes on running; load the page again.";
            (Vec::new(), Some(Note::new(Tone::Warn, "There are no figures now", text)))
        }
    };
    let page = Metrics {
        page: page(&visit, &detail.deployment).live(&format!("/events?topics=deployment:{id}")),
        here: visit.here(),
        frame,
        total: total(&found),
        rows: found.iter().map(row).collect(),
        note,
        events: detail.events,
    };
    if visit.wants("figures") {
        return visit.show_part(&page.as_figures());
    }
    visit.show(&page)
}

fn row(of: &SlotStats) -> Row {
    let name = format!("{}-{}", of.service, of.replica.saturating_sub(1));
    match &of.stats {
        Ok(stats) => figures(name, stats),
        Err(error) => missing(name, error),
    }
}

fn figures(name: String, stats: &Stats) -> Row {
    let limit = stats.memory_limit_bytes;
    Row {
        name,
        cpus: format!("{:.2}", stats.cpus),
        memory: memory(stats.memory_bytes),
        limit: if limit == 0 { "no limit".to_owned() } else { memory(limit) },
        share: (limit > 0).then(|| percent(stats.memory_bytes, limit)),
        processes: stats.pids.to_string(),
        missing: String::new(),
    }
}

fn missing(name: String, error: &Error) -> Row {
    Row {
        name,
        cpus: String::new(),
        memory: String::new(),
        limit: String::new(),
        share: None,
        processes: String::new(),
        missing: error.to_string(),
    }
}

fn total(found: &[SlotStats]) -> Option<(String, String)> {
    let known: Vec<&Stats> = found.iter().filter_map(|of| of.stats.as_ref().ok()).collect();
    if known.len() < 2 {
        return None;
    }
    let cpus: f64 = known.iter().map(|stats| stats.cpus).sum();
    let bytes: u64 = known.iter().map(|stats| stats.memory_bytes).sum();
    Some((format!("{cpus:.2}"), memory(bytes)))
}
