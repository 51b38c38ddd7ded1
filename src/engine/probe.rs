//! What a replica's own program answers over HTTP: asked by Slipway, of that replica alone. Never redirected, bounded in time
//! and length.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use reqwest::{Client, Response};

use super::{Engine, EngineError, SlotRef};
use crate::domain::workload::MetricsEndpoint;

/// The longest answer that is passed on.
const LONGEST: usize = 8 << 20;

/// What it answered.
#[derive(Debug)]
pub struct Answered {
    /// The HTTP status; 500 and more: it is not healthy.
    pub status: u16,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Silence {
    /// The engine does not lead there.
    Engine(EngineError),
    /// The program does not answer, in words.
    Program(String),
}

/// A client that asks programs.
///
/// # Errors
/// What its library says, in words.
pub fn client() -> Result<Client, String> {
    let none = reqwest::redirect::Policy::none();
    // Whatever is asked is asked seldom: a connection that waits would be one more that the program has to hold.
    let client = Client::builder().redirect(none).no_proxy().pool_max_idle_per_host(0);
    client.build().map_err(|error| error.to_string())
}

/// Asks the program of one replica at `place`, and hands on the answer with its body unread; the program gets `within` to be
/// reached, and as long again to answer.
///
/// # Errors
/// See [`Silence`].
pub async fn ask(
    client: &Client,
    engine: &dyn Engine,
    slot: &SlotRef,
    place: &MetricsEndpoint,
    within: Duration,
) -> Result<Response, Silence> {
    let address = tokio::time::timeout(within, engine.connect(slot, place.port)).await;
    let address = address.map_err(|_| Silence::Program("it can't be reached in time".into()))?;
    let address = address.map_err(Silence::Engine)?;
    let url = format!("http://{address}{}", place.path);
    client.get(url).timeout(within).send().await.map_err(|error| Silence::Program(words(&error)))
}

/// Reads an answer to its end.
///
/// # Errors
/// One that breaks off, takes longer than its time, or is longer than what is passed on: all the program's.
pub async fn read(answer: Response) -> Result<Answered, Silence> {
    let status = answer.status().as_u16();
    let (mut stream, mut body) = (answer.bytes_stream(), BytesMut::new());
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk.map_err(|error| Silence::Program(words(&error)))?);
        if body.len() > LONGEST {
            return Err(Silence::Program(format!("its answer is longer than {LONGEST} bytes")));
        }
    }
    Ok(Answered { status, body: body.freeze() })
}

/// The innermost cause, which says what happened.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it takes too long".to_owned();
    }
    let mut inner: &dyn std::error::Error = error;
    while let Some(cause) = inner.source() {
        inner = cause;
    }
    inner.to_string()
}
