//! Answers that go on: they end when the client leaves, the server drains, or the caller may no longer see what they
//! show. The last is looked after every [`LOOK`], by the credential that began the stream, so that a logout, a revoked
//! key or a lost right ends it within two seconds whichever process took it away.

use std::future::Future;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, rt};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;

use crate::domain::Result;
use crate::domain::access::Caller;
use crate::http::State;
use crate::http::identity::Standing;

/// How often it is looked whether the caller may go on.
const LOOK: Duration = Duration::from_millis(800);
/// Looks between two signs of life on a silent stream: about 15 s.
const SILENT_LOOKS: u32 = 18;
/// Chunks that may wait for a slow client. Producers fill chunks up to some 64 KiB, so a stream holds about 512 KiB.
const CHUNKS: usize = 8;

/// Where a stream's chunks go. Sending waits while the client is slow.
#[derive(Clone)]
pub struct Sink(mpsc::Sender<Bytes>);

impl Sink {
    /// Hands a chunk on; `false` when nobody listens any more.
    pub async fn send(&self, chunk: impl Into<Bytes>) -> bool {
        self.0.send(chunk.into()).await.is_ok()
    }
}

/// How a stream is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Server-sent events.
    Events,
    /// Plain text in chunks.
    Text,
}

impl Form {
    fn content_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

/// Answers with what `produce` sends, for as long as `allowed` lets the caller, as it is then, through.
pub fn respond<P, A, F>(
    request: &HttpRequest,
    state: Data<State>,
    form: Form,
    produce: impl FnOnce(Sink) -> P + 'static,
    allowed: A,
) -> HttpResponse
where
    P: Future<Output = ()> + 'static,
    A: Fn(Caller) -> F + 'static,
    F: Future<Output = Result<()>> + 'static,
{
    let (sender, mut receiver) = mpsc::channel(CHUNKS);
    let standing = Standing::of(request);
    rt::spawn(async move {
        let sink = Sink(sender.clone());
        tokio::select! {
            () = produce(sink) => {}
            () = look_after(&state, &standing, form, &sender, allowed) => {}
            () = sender.closed() => {}
            () = state.shutdown.cancelled() => {}
        }
    });
    let chunks = stream::poll_fn(move |context| {
        receiver.poll_recv(context).map(|chunk| chunk.map(Ok::<_, actix_web::Error>))
    });
    HttpResponse::Ok()
        .insert_header(("x-accel-buffering", "no"))
        .insert_header((actix_web::http::header::CONTENT_ENCODING, "identity"))
        .content_type(form.content_type())
        .streaming(chunks)
}

/// Returns when the caller may no longer go on.
async fn look_after<A, F>(
    state: &State,
    standing: &Standing,
    form: Form,
    sender: &mpsc::Sender<Bytes>,
    allowed: A,
) where
    A: Fn(Caller) -> F,
    F: Future<Output = Result<()>>,
{
    let mut looks = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        let Ok(Some(caller)) = standing.caller(state).await else {
            return;
        };
        if allowed(caller).await.is_err() {
            return;
        }
        looks += 1;
        if form == Form::Events && looks % SILENT_LOOKS == 0 {
            // A full channel needs no sign of life.
            let _ = sender.try_send(Bytes::from_static(b": still here\n\n"));
        }
    }
}

/// One server-sent event. `data` is one line, as JSON always is.
pub fn event(name: &str, id: Option<i64>, data: &str) -> String {
    match id {
        Some(id) => format!("event: {name}\nid: {id}\ndata: {data}\n\n"),
        None => format!("event: {name}\ndata: {data}\n\n"),
    }
}
