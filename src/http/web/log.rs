//! The logs of a deployment's replicas and of its updates: drawn with the page, followed as events, downloaded as text.

mod level;
mod stream;

use std::collections::VecDeque;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use askama::Template;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use futures_util::StreamExt as _;
use serde::Deserialize;

use super::deployment::{Frame, id_of, page};
use super::page::{Choice, Field, LogEntry, LogView, Note, Page, Query};
use super::visit::{Answer, Visit};
use crate::app::deployment;
use crate::app::log::{self, Batch, Position, Wanted};
use crate::domain::clock::Timestamp;
use crate::domain::name::{DeploymentId, ServiceName};
use crate::domain::{Error, Kind, Result};
use crate::engine::ContainerLine;
use crate::http::api::log_text::{CHUNK, Style, push, push_clean};
use crate::http::routes::Routes;

/// Lines of each replica that a page begins with.
const TAIL: u32 = 300;
/// Lines that a page begins with at most.
const MOST: usize = 1_000;
/// How long a page waits for an engine before it is shown without lines.
const PATIENCE: Duration = Duration::from_secs(3);

/// The routes of this file and those below it.
pub fn routes(routes: &mut Routes) {
    routes.get("/deployments/{id}/logs", show);
    routes.get("/deployments/{id}/logs/download", download);
    stream::routes(routes);
}

/// Which lines the URL asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Asked {
    service: String,
    /// `api-0`
    replica: String,
    /// `15m`, `1h`, `6h`, `24h`; the last lines where none is said.
    since: String,
    /// A position: only what was written later.
    after: String,
}

impl Asked {
    fn wanted(&self, now: Timestamp) -> Result<Wanted> {
        let service = Some(self.service.as_str()).filter(|name| !name.is_empty());
        let mut wanted = Wanted {
            service: service.map(ServiceName::parse).transpose()?,
            since: since(&self.since)?.map(|span| now - span),
            ..Wanted::default()
        };
        if !self.replica.is_empty() {
            let (service, index) = self.place()?;
            wanted.service = Some(service);
            wanted.replica = Some(index + 1);
        }
        if wanted.since.is_none() {
            wanted.tail = Some(TAIL);
        }
        Ok(wanted)
    }

    fn place(&self) -> Result<(ServiceName, u32)> {
        let wrong = || Error::field("replica", format!("{:?} is no replica such as api-0", self.replica));
        let (service, index) = self.replica.rsplit_once('-').ok_or_else(wrong)?;
        Ok((ServiceName::parse(service).map_err(|_| wrong())?, index.parse().map_err(|_| wrong())?))
    }

    /// The same choice of lines as parameters of another address.
    fn carry(&self, to: Query) -> Query {
        let pairs = [("service", &self.service), ("replica", &self.replica), ("since", &self.since)];
        pairs
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .fold(to, |query, (key, value)| query.with(key, value))
    }
}

fn since(word: &str) -> Result<Option<TimeDelta>> {
    Ok(match word {
        "" => None,
        "15m" => Some(TimeDelta::minutes(15)),
        "1h" => Some(TimeDelta::hours(1)),
        "6h" => Some(TimeDelta::hours(6)),
        "24h" => Some(TimeDelta::hours(24)),
        other => {
            return Err(Error::field("since", format!("{other:?} is not one of 15m, 1h, 6h, 24h")));
        }
    })
}

#[derive(Template)]
#[template(path = "deployment/logs.html")]
struct Logs {
    page: Page,
    frame: Frame,
    log: LogView,
    note: Option<Note>,
}

async fn show(visit: Visit, path: web::Path<String>, asked: web::Query<Asked>) -> Answer {
    let id = id_of(&path)?;
    let detail = deployment::detail(&visit.app, &visit.caller, id.clone()).await?;
    let frame = Frame::of(&visit, &detail.deployment, &detail.summary, "Logs").await?;
    let wanted = asked.wanted(visit.now)?;
    let (read, note) = match tokio::time::timeout(PATIENCE, last_lines(&visit, id.clone(), wanted)).await {
        Ok(Ok(read)) => (read, None),
        Ok(Err(error)) if matches!(error.kind, Kind::Unavailable | Kind::Invalid) => {
            (Read::default(), Some(Note::from(&error)))
        }
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => {
            let slow = Error::new(Kind::Unavailable, "engine_slow", "the engine takes long to read the log")
                .hint("Lines appear below as they come; choose a shorter time for fewer of them.");
            (Read::default(), Some(Note::from(&slow)))
        }
    };
    let mut services: Vec<String> = detail.slots.iter().map(|slot| slot.slot.service.to_string()).collect();
    services.dedup();
    let mut replicas: Vec<String> =
        detail.slots.iter().map(|slot| format!("{}-{}", slot.slot.service, slot.slot.index)).collect();
    replicas.sort();
    replicas.dedup();
    let log = view(&visit, &id, &asked, read, services, replicas);
    visit.show(&Logs { page: page(&visit, &detail.deployment), frame, log, note })
}

fn view(
    visit: &Visit,
    id: &DeploymentId,
    asked: &Asked,
    read: Read,
    services: Vec<String>,
    replicas: Vec<String>,
) -> LogView {
    let base = visit.url(&format!("/deployments/{id}/logs"));
    let here = visit.here();
    let source = asked.carry(Query::parse(&format!("{base}/stream"), ""));
    let source = match read.position.to_string() {
        nowhere if nowhere.is_empty() => source,
        position => source.with("after", &position),
    };
    let all = |word: &str, names: Vec<String>| -> Vec<Choice> {
        let named = names.into_iter().map(|name| Choice::new(name.clone(), name));
        std::iter::once(Choice::new("", word)).chain(named).collect()
    };
    let spans = [
        ("", "last lines"),
        ("15m", "since 15 min"),
        ("1h", "since 1 h"),
        ("6h", "since 6 h"),
        ("24h", "since 24 h"),
    ];
    let spans = spans.into_iter().map(|(value, label)| Choice::new(value, label)).collect();
    LogView {
        title: String::new(),
        source: Some(source.href()),
        download: Some(asked.carry(Query::parse(&format!("{base}/download"), "")).href()),
        picks: vec![
            Field::select("service", "Service", all("all services", services)).value(asked.service.clone()),
            Field::select("replica", "Replica", all("all replicas", replicas)).value(asked.replica.clone()),
            Field::select("since", "Since", spans).value(asked.since.clone()),
        ],
        action: base,
        query: here.get("q").to_owned(),
        level: here.get("level").to_owned(),
        entries: read.lines.into(),
        tall: true,
    }
    .filtered()
}

/// What a page begins with, and where it goes on from there.
#[derive(Default)]
struct Read {
    lines: VecDeque<LogEntry>,
    position: Position,
}

/// The last lines that there are, oldest first.
async fn last_lines(visit: &Visit, id: DeploymentId, wanted: Wanted) -> Result<Read> {
    let mut lines = log::history(&visit.app, &visit.caller, id, wanted).await?;
    let mut read = Read::default();
    while let Some(batch) = lines.batches.next().await {
        let batch = batch?;
        read.position.pass(&batch, &batch.lines);
        for line in &batch.lines {
            if read.lines.len() == MOST {
                read.lines.pop_front();
            }
            read.lines.push_back(entry(&batch, line));
        }
    }
    Ok(read)
}

fn entry(batch: &Batch, line: &ContainerLine) -> LogEntry {
    let text = clean(&line.text);
    LogEntry {
        at: DateTime::from_timestamp_nanos(line.at_nanos),
        who: who(batch),
        level: level::of(&text),
        text,
        hidden: false,
    }
}

/// `api-0`
fn who(batch: &Batch) -> String {
    format!("{}-{}", batch.place.service, batch.place.replica.saturating_sub(1))
}

fn clean(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    push_clean(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

/// Everything that the engine still has, as text.
async fn download(visit: Visit, path: web::Path<String>, asked: web::Query<Asked>) -> Answer {
    let id = id_of(&path)?;
    let wanted = Wanted { tail: None, ..asked.wanted(visit.now)? };
    let lines = log::history(&visit.app, &visit.caller, id.clone(), wanted).await?;
    let style = Style { timestamps: true, places: true };
    let chunks = lines.batches.map(move |batch| {
        let mut out = Vec::with_capacity(CHUNK / 4);
        push(&mut out, &batch?, style, b"", b"\n");
        Ok::<_, Error>(Bytes::from(out))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.log\"")))
        .streaming(chunks))
}
