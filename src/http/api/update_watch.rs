//! An update followed live: its state, its steps and its log as server-sent events, until it has ended.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;

use crate::app;
use crate::bus::Topic;
use crate::domain::Result;
use crate::domain::access::Caller;
use crate::domain::name::DeploymentId;
use crate::domain::update::StepRecord;
use crate::http::State;
use crate::http::api::Reply;
use crate::http::api::live::{self, Form, Sink};
use crate::http::api::update::{Update, located};
use crate::http::identity::Who;

noun! {
    get "/deployments/{id}/updates/{number}/watch" => watch,
}

/// Log lines in one event's worth of reading.
const LINES: u32 = 500;

/// Follow an update: events `update` (its state), `step` and `log`, until it has ended.
///
/// Each event's data is JSON; the id of a `log` event is its sequence, and `Last-Event-ID` goes on after it.
#[utoipa::path(get, path = "/deployments/{id}/updates/{number}/watch", tag = "updates", operation_id = "watchUpdate",
    params(("id" = String, Path, description = "The deployment's id or uuid"), ("number" = u32, Path, description = "The update's number"),
        ("Last-Event-ID" = Option<i64>, Header, description = "The sequence of the last log line that was seen")),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
async fn watch(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    path: Path<(String, String)>,
) -> Reply<HttpResponse> {
    let (id, number) = located(&state, &who, &path).await?;
    let topics = state.app.store.bus().subscribe();
    app::update::get(&state.app, &who, id.clone(), number).await?;
    let seen = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let mut watched = Watched {
        state: state.clone(),
        caller: who.0,
        id: id.clone(),
        number,
        log: seen.unwrap_or(0),
        steps: Vec::new(),
        update: String::new(),
    };
    let produce = move |sink: Sink| async move { watched.follow(topics, &sink).await };
    let checked = state.clone();
    let allowed = move |caller: Caller| {
        let (state, id) = (checked.clone(), id.clone());
        async move { app::update::get(&state.app, &caller, id, number).await.map(drop) }
    };
    Ok(live::respond(&request, state, Form::Events, produce, allowed))
}

/// What was sent already.
struct Watched {
    state: Data<State>,
    caller: Caller,
    id: DeploymentId,
    number: u32,
    log: i64,
    steps: Vec<StepRecord>,
    update: String,
}

impl Watched {
    async fn follow(&mut self, mut topics: tokio::sync::broadcast::Receiver<Topic>, sink: &Sink) {
        loop {
            match self.news().await {
                Ok((text, ended)) => {
                    if (!text.is_empty() && !sink.send(text).await) || ended {
                        return;
                    }
                }
                Err(_) => return,
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

    /// Everything that was not sent yet, and whether that was all there will be.
    async fn news(&mut self) -> Result<(String, bool)> {
        let (app, id) = (&self.state.app, self.id.clone());
        let detail = app::update::detail(app, &self.caller, id.clone(), self.number).await?;
        let mut text = String::new();
        for step in detail.steps.iter().filter(|step| !self.steps.contains(step)) {
            text.push_str(&live::event("step", None, &json(step)));
        }
        self.steps = detail.steps;
        loop {
            let lines = app::update::log(app, &self.caller, id.clone(), self.number, self.log, LINES).await?;
            for line in &lines {
                self.log = line.sequence;
                text.push_str(&live::event("log", Some(line.sequence), &json(line)));
            }
            if lines.len() < LINES as usize {
                break;
            }
        }
        let update = Update::from(detail.update);
        let ended = update.status.is_ended();
        let update = json(&update);
        if update != self.update {
            text.push_str(&live::event("update", None, &update));
            self.update = update;
        }
        Ok((text, ended))
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
