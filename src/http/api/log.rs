//! A deployment's output: history as a JSON array of lines or as text, and what comes as server-sent events or as text.

use actix_web::http::header::{self, ContentType};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use serde::Deserialize;

use crate::app;
use crate::app::log::{Batch, Lines, Wanted};
use crate::domain::access::Caller;
use crate::domain::clock::Timestamp;
use crate::domain::deployment::Deployment;
use crate::domain::name::ServiceName;
use crate::domain::pipeline::definition::own_service;
use crate::domain::{Error, Result};
use crate::http::State;
use crate::http::api::Reply;
use crate::http::api::live::{self, Form, Sink};
use crate::http::api::log_text::{CHUNK, Style, push, push_json};
use crate::http::api::query::Query;
use crate::http::identity::Who;

noun! {
    get "/deployments/{id}/logs" => history,
    get "/deployments/{id}/watch-logs" => watch,
}

/// Which lines of which replicas, and how they are written.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// Only this service's.
    service: Option<ServiceName>,
    /// Only this replica's, counted from 1.
    replica: Option<u32>,
    /// Only the last lines of each replica: a number, or `all`; 100 where none is said.
    #[param(value_type = Option<String>, example = "100")]
    tail: Option<String>,
    /// The same in DataCater's word.
    #[serde(rename = "tailingLines")]
    #[param(value_type = Option<String>)]
    tailing_lines: Option<String>,
    /// Only what was written at this time or later (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only what was written before this time (RFC 3339). Not for following.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// `true`: each line begins with its time.
    #[serde(default)]
    #[param(required = false)]
    timestamps: bool,
}

impl LogQuery {
    /// Of a pipeline's deployment it is its own first replica that speaks where nobody else is named, as DataCater has it.
    fn wanted(&self, of: &Deployment) -> Result<Wanted> {
        let tail = match self.tail.as_deref().or(self.tailing_lines.as_deref()) {
            None => Some(100),
            Some("all") => None,
            Some(number) => Some(number.parse().map_err(|_| {
                Error::field("tail", format!("{number:?} is neither a number of lines nor \"all\""))
            })?),
        };
        if self.replica == Some(0) {
            return Err(Error::field("replica", "replicas are counted from 1"));
        }
        let own = of.source.pipeline().filter(|_| self.service.is_none());
        Ok(Wanted {
            service: own.map(|_| own_service()).or_else(|| self.service.clone()),
            replica: self.replica.or(own.map(|_| 1)),
            tail,
            since: self.since,
            until: self.until,
            ..Wanted::default()
        })
    }
}

fn wants_text(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.trim_start().starts_with("text/plain"))
}

/// Read what a deployment's replicas have written, oldest first, several replicas merged by time.
///
/// A JSON array of lines, or with `Accept: text/plain` text. Lines of several replicas begin with `service/replica |
/// `.
#[utoipa::path(get, path = "/deployments/{id}/logs", tag = "logs", operation_id = "getLogs",
    params(("id" = String, Path, description = "The deployment's id or uuid"), LogQuery),
    responses((status = 200, content((Vec<String> = "application/json", example = json!(["Listening on :8000", "GET /predict 200"])),
        (String = "text/plain")))))]
async fn history(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    id: Path<String>,
    query: Query<LogQuery>,
) -> Reply<HttpResponse> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let wanted = query.0.wanted(&*app::deployment::get(&state.app, &who, id.clone()).await?)?;
    let lines = app::log::history(&state.app, &who, id, wanted).await?;
    let style = Style { timestamps: query.0.timestamps, places: lines.several };
    let mut response = HttpResponse::Ok();
    if wants_text(&request) {
        let chunks = gathered(lines, move |out, batch| push(out, batch, style, b"", b"\n"));
        return Ok(response.content_type("text/plain; charset=utf-8").streaming(chunks));
    }
    let mut is_first = true;
    let chunks = gathered(lines, move |out, batch| push_json(out, batch, style, &mut is_first));
    let mark = |text: &'static [u8]| stream::once(async move { Ok::<_, Error>(Bytes::from_static(text)) });
    let array = mark(b"[").chain(chunks).chain(mark(b"]"));
    Ok(response.content_type(ContentType::json()).streaming(array))
}

/// Batches as chunks of about [`CHUNK`] bytes; a smaller one when nothing more is at hand.
pub(in crate::http) fn gathered(
    lines: Lines,
    mut write: impl FnMut(&mut Vec<u8>, &Batch) + 'static,
) -> impl Stream<Item = Result<Bytes>> + 'static {
    let said = |batch: &Result<Batch>| !matches!(batch, Ok(batch) if batch.lines.is_empty());
    let batches = lines.batches.filter(move |batch| std::future::ready(said(batch))).boxed();
    stream::unfold(Some(batches), next_batches).map(move |found| {
        let mut out = Vec::with_capacity(CHUNK + CHUNK / 4);
        for batch in &found? {
            write(&mut out, batch);
        }
        Ok(out.into())
    })
}

type Batches = futures_util::stream::BoxStream<'static, Result<Batch>>;

/// The next batch, with those that are at hand after it, as far as they fit a chunk.
async fn next_batches(batches: Option<Batches>) -> Option<(Result<Vec<Batch>>, Option<Batches>)> {
    let mut batches = batches?;
    let first = match batches.next().await? {
        Ok(first) => first,
        Err(error) => return Some((Err(error), None)),
    };
    let mut size = bytes_of(&first);
    let mut found = vec![first];
    while size < CHUNK {
        match batches.next().now_or_never() {
            Some(Some(Ok(batch))) => {
                size += bytes_of(&batch);
                found.push(batch);
            }
            // An error or the end is met again when the stream is asked the next time.
            Some(Some(Err(error))) => {
                let rest = stream::once(std::future::ready(Err(error))).boxed();
                return Some((Ok(found), Some(rest)));
            }
            Some(None) => return Some((Ok(found), None)),
            None => break,
        }
    }
    Some((Ok(found), Some(batches)))
}

fn bytes_of(batch: &Batch) -> usize {
    batch.lines.iter().map(|line| line.text.len() + 16).sum()
}

/// Follow what a deployment's replicas write, over updates and restarts.
///
/// One server-sent event a line, or with `Accept: text/plain` text in chunks. Begins with the last lines that there are.
#[utoipa::path(get, path = "/deployments/{id}/watch-logs", tag = "logs", operation_id = "watchLogs",
    params(("id" = String, Path, description = "The deployment's id or uuid"), LogQuery),
    responses((status = 200, content((String = "text/event-stream"), (String = "text/plain")))))]
async fn watch(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    id: Path<String>,
    query: Query<LogQuery>,
) -> Reply<HttpResponse> {
    if query.0.until.is_some() {
        return Err(Error::field("until", "following has no end")
            .hint("Read the history with /logs.")
            .into());
    }
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let wanted = query.0.wanted(&*app::deployment::get(&state.app, &who, id.clone()).await?)?;
    let lines = app::log::follow(&state.app, &who, id.clone(), wanted).await?;
    let style = Style { timestamps: query.0.timestamps, places: lines.several };
    let form = if wants_text(&request) { Form::Text } else { Form::Events };
    let (before, after): (&[u8], &[u8]) = match form {
        Form::Events => (b"data: ", b"\n\n"),
        Form::Text => (b"", b"\n"),
    };
    let produce = move |sink: Sink| async move {
        let mut chunks =
            std::pin::pin!(gathered(lines, move |out, batch| push(out, batch, style, before, after)));
        while let Some(chunk) = chunks.next().await {
            let (chunk, last) = match chunk {
                Ok(chunk) => (chunk, false),
                Err(error) => (parting(form, &error), true),
            };
            if !sink.send(chunk).await || last {
                return;
            }
        }
    };
    let checked = state.clone();
    let allowed = move |caller: Caller| {
        let (state, id) = (checked.clone(), id.clone());
        async move { app::deployment::get(&state.app, &caller, id).await.map(drop) }
    };
    Ok(live::respond(&request, state, form, produce, allowed))
}

/// The last words of a stream that can't go on.
fn parting(form: Form, error: &Error) -> Bytes {
    let message = error.to_string();
    match form {
        Form::Events => live::event("error", None, &message.replace(['\r', '\n'], " ")).into(),
        Form::Text => format!("slipway: {message}\n").into(),
    }
}
