//! Logs as server-sent events, in the form that the page's viewer takes: arrays of `{t, r, l, m}` with an id to go on
//! from. Nothing is dropped: a reader who is slow slows its own stream down.

use actix_web::web::Data;
use actix_web::{HttpRequest, web};
use futures_util::{FutureExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{Asked, clean, level, who};
use crate::app::log::{self, Batch, Lines, Position};
use crate::app::{App, deployment, update};
use crate::bus::Topic;
use crate::domain::access::Caller;
use crate::domain::name::DeploymentId;
use crate::domain::update::LogLine;
use crate::domain::{Error, Kind, Result};
use crate::http::State;
use crate::http::api::live::{self, Form, Sink};
use crate::http::routes::Routes;
use crate::http::web::deployment::id_of;
use crate::http::web::page::sentence;
use crate::http::web::visit::{Answer, Visit};

/// Lines of one event at most.
const LINES: usize = 500;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/deployments/{id}/logs/stream", of_replicas);
    routes.get("/deployments/{id}/updates/{number}/log", of_update);
}

/// One line as the viewer takes it.
#[derive(Serialize)]
struct Line {
    t: String,
    r: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    l: &'static str,
    m: String,
    /// Whether it stands for lines that are missing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    g: bool,
}

/// Where the reader was: in the header after a break, else in the URL.
fn seen<'a>(request: &'a HttpRequest, asked: &'a str) -> &'a str {
    let header = request.headers().get("last-event-id").and_then(|id| id.to_str().ok());
    header.filter(|id| !id.is_empty()).unwrap_or(asked)
}

/// `message` events have no name.
fn message(id: &str, lines: &[Line]) -> String {
    let data = serde_json::to_string(lines).unwrap_or_default();
    format!("id: {id}\ndata: {data}\n\n")
}

fn end(words: &str) -> String {
    format!("event: end\ndata: {words}\n\n")
}

/// Why nothing comes now: the reader asks again after a while, as it does when a stream breaks.
fn wait(words: &str) -> String {
    format!("event: wait\ndata: {words}\n\n")
}

async fn of_replicas(
    visit: Visit,
    request: HttpRequest,
    state: Data<State>,
    path: web::Path<String>,
    asked: web::Query<Asked>,
) -> Answer {
    let id = id_of(&path)?;
    let mut wanted = asked.wanted(visit.now)?;
    let position = Position::parse(seen(&request, &asked.after));
    wanted.after = position.clone();
    let lines = match log::follow(&visit.app, &visit.caller, id.clone(), wanted).await {
        Ok(lines) => Ok(lines),
        Err(error) if matches!(error.kind, Kind::Unavailable | Kind::Invalid) => Err(error),
        Err(error) => return Err(error.into()),
    };
    let produce = move |sink: Sink| follow(lines, position, sink);
    Ok(live::respond(&request, state.clone(), Form::Events, produce, may_see(state, id)))
}

/// Whether the reader may still see the deployment.
fn may_see(
    state: Data<State>,
    id: DeploymentId,
) -> impl Fn(Caller) -> futures_util::future::LocalBoxFuture<'static, Result<()>> {
    move |caller| {
        let (state, id) = (state.clone(), id.clone());
        async move { deployment::get(&state.app, &caller, id).await.map(drop) }.boxed_local()
    }
}

async fn follow(lines: Result<Lines>, mut position: Position, sink: Sink) {
    let mut batches = match lines {
        Ok(lines) => lines.batches,
        Err(error) => {
            sink.send(parting(&error)).await;
            return;
        }
    };
    while let Some(batch) = batches.next().await {
        let text = match batch {
            Ok(batch) => events(&batch, &mut position),
            Err(error) => {
                sink.send(parting(&error)).await;
                return;
            }
        };
        if !text.is_empty() && !sink.send(text).await {
            return;
        }
    }
    sink.send(end("The deployment is gone, or you may no longer see it.")).await;
}

/// An engine that is away comes back; anything else is the end.
fn parting(error: &Error) -> String {
    let words = sentence(error).replace(['\r', '\n'], " ");
    if error.kind == Kind::Unavailable { wait(&words) } else { end(&words) }
}

/// A batch as events, each with the position after it.
fn events(batch: &Batch, position: &mut Position) -> String {
    let who = who(batch);
    let mut text = String::new();
    if batch.lines.is_empty() {
        position.pass(batch, &[]);
    }
    for chunk in batch.lines.chunks(LINES) {
        let lines: Vec<Line> = chunk
            .iter()
            .map(|line| {
                let m = clean(&line.text);
                let at = chrono::DateTime::from_timestamp_nanos(line.at_nanos);
                Line {
                    t: at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
                    r: who.clone(),
                    l: level::of(&m),
                    m,
                    g: log::is_gap(line),
                }
            })
            .collect();
        position.pass(batch, chunk);
        text.push_str(&message(&position.to_string(), &lines));
    }
    text
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct After {
    after: String,
}

/// An update's log from where the page is, until the update has ended.
async fn of_update(
    visit: Visit,
    request: HttpRequest,
    state: Data<State>,
    path: web::Path<(String, u32)>,
    asked: web::Query<After>,
) -> Answer {
    let (id, number) = path.into_inner();
    let id = id_of(&id)?;
    let topics = visit.app.store.bus().subscribe();
    update::get(&visit.app, &visit.caller, id.clone(), number).await?;
    let reader = Reader {
        app: visit.app.clone(),
        caller: visit.caller.clone(),
        id: id.clone(),
        number,
        after: seen(&request, &asked.after).parse().unwrap_or(0),
    };
    let produce = move |sink: Sink| reader.run(topics, sink);
    Ok(live::respond(&request, state.clone(), Form::Events, produce, may_see(state, id)))
}

struct Reader {
    app: App,
    caller: Caller,
    id: DeploymentId,
    number: u32,
    after: i64,
}

impl Reader {
    async fn run(mut self, mut topics: Receiver<Topic>, sink: Sink) {
        loop {
            match self.news().await {
                Ok((text, ended)) => {
                    if !text.is_empty() && !sink.send(text).await {
                        return;
                    }
                    if ended {
                        sink.send(end("The update has ended.")).await;
                        return;
                    }
                }
                Err(error) => {
                    sink.send(end(&error.to_string())).await;
                    return;
                }
            }
            loop {
                match topics.recv().await {
                    Ok(Topic::Update(id, number)) if id == self.id && number == self.number => break,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return,
                }
            }
        }
    }

    /// The lines that the page does not have, and whether the update has ended: asked first, so that nothing is missed.
    async fn news(&mut self) -> Result<(String, bool), Error> {
        let ended = update::get(&self.app, &self.caller, self.id.clone(), self.number).await?.is_ended();
        let mut text = String::new();
        loop {
            let most = u32::try_from(LINES).unwrap_or(u32::MAX);
            let lines =
                update::log(&self.app, &self.caller, self.id.clone(), self.number, self.after, most).await?;
            let Some(last) = lines.last() else { break };
            self.after = last.sequence;
            let shown: Vec<Line> = lines.iter().map(line).collect();
            text.push_str(&message(&self.after.to_string(), &shown));
        }
        Ok((text, ended))
    }
}

fn line(line: &LogLine) -> Line {
    Line {
        t: crate::http::web::page::iso(line.at),
        r: line.step.word().to_owned(),
        l: if line.error { "error" } else { "" },
        m: line.text.clone(),
        g: false,
    }
}
