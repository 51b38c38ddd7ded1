//! Requests to one registry: who asks, within which time, and how much of an answer is read.
//!
//! A registry may be anybody's that a bundle names, so nothing that it sends lies in memory beyond a bound, it is
//! followed nowhere in the clear, and credentials go to the registry and to the token server that it names over TLS.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Method, Response, StatusCode, Url};

use super::failure::{Asked, Failure};
use super::{auth, name};
use crate::engine::{EngineError, EngineResult, RegistryCredentials};

/// How long one question may take.
const ASK: Duration = Duration::from_secs(30);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// What is read of an answer that says no.
const REFUSAL: usize = 16 << 10;
/// How often a request may be sent on.
const REDIRECTS: usize = 5;

/// One question.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    /// What a token has to allow, e.g. `repository:a/b:pull`.
    pub(super) scopes: &'a [String],
    pub(super) accept: Option<&'a str>,
    /// With its type.
    pub(super) body: Option<(&'a str, Bytes)>,
}

/// The way to one registry.
pub(super) struct Http {
    client: reqwest::Client,
    pub(super) host: String,
    base: Url,
    who: Option<RegistryCredentials>,
    /// What to show, by scopes; a password is for all of them and lies under none.
    held: Mutex<HashMap<String, HeaderValue>>,
}

/// A client for all registries of one preparation.
pub(super) fn client() -> EngineResult<reqwest::Client> {
    let builder = reqwest::Client::builder().connect_timeout(CONNECT).redirect(Policy::custom(follow));
    builder.build().map_err(|error| EngineError::Refused(format!("no registry can be asked: {error}")))
}

/// Blobs often lie elsewhere; but nothing leads from TLS to the clear, or to this machine itself.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let from_near = attempt.previous().last().is_some_and(is_near);
    if attempt.previous().len() > REDIRECTS {
        attempt.error("it was sent on too often")
    } else if from_near || attempt.url().scheme() == "https" && !is_near(attempt.url()) {
        attempt.follow()
    } else {
        attempt.error("it was sent on to an address that is not asked")
    }
}

fn is_near(url: &Url) -> bool {
    url.host_str().is_some_and(name::is_loopback)
}

impl Http {
    pub(super) fn new(
        client: reqwest::Client,
        host: &str,
        who: Option<&RegistryCredentials>,
    ) -> EngineResult<Self> {
        let base = Url::parse(&name::endpoint(host))
            .map_err(|_| EngineError::Refused(format!("{host:?} is no registry's address")))?;
        Ok(Self { client, host: host.to_owned(), base, who: who.cloned(), held: Mutex::default() })
    }

    /// An address below the API's root; `path` consists of checked names alone.
    pub(super) fn url(&self, path: &str) -> Asked<Url> {
        self.join(&format!("/v2/{path}"))
    }

    /// An address that the registry itself named.
    pub(super) fn join(&self, named: &str) -> Asked<Url> {
        let url = self
            .base
            .join(named)
            .ok()
            .filter(|url| url.origin() == self.base.origin() || url.scheme() == "https");
        url.ok_or_else(|| Failure::Refused(format!("{} named an address that is not asked", self.host)))
    }

    /// Asks, with credentials where the registry wants to know who does; answers other than good ones are failures.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Asked<Response> {
        let answered = tokio::time::timeout(ASK, async {
            let first = self.once(ask, self.held(ask.scopes)).await?;
            if first.status() != StatusCode::UNAUTHORIZED {
                return Ok(first);
            }
            let Some(authorization) = self.authorization(&first, ask.scopes).await? else {
                return Ok(first);
            };
            self.hold(ask.scopes, authorization.clone());
            self.once(ask, Some(authorization)).await
        });
        let answer = answered.await.unwrap_or_else(|_| Err(self.slow()))?;
        self.judged(answer).await
    }

    /// Sends a body of `size` bytes to an address that the registry named for it, as whoever asked before.
    pub(super) async fn send(
        &self,
        url: Url,
        scopes: &[String],
        size: u64,
        body: reqwest::Body,
    ) -> Asked<Response> {
        let mut request = self.client.put(url.clone()).header(CONTENT_TYPE, "application/octet-stream");
        request = request.header(reqwest::header::CONTENT_LENGTH, size).body(body);
        if let Some(held) = self.held(scopes).filter(|_| url.origin() == self.base.origin()) {
            request = request.header(AUTHORIZATION, held);
        }
        let answer = request.send().await.map_err(|error| Failure::unanswered(&self.host, &error))?;
        self.judged(answer).await
    }

    /// All of an answer that is at most `limit` long.
    pub(super) async fn read(&self, answer: Response, limit: usize) -> Asked<Bytes> {
        let reading = tokio::time::timeout(ASK, bounded(answer, limit)).await.map_err(|_| self.slow())?;
        let read = reading.map_err(|error| Failure::unanswered(&self.host, &error))?;
        read.ok_or_else(|| Failure::Refused(format!("{} sent more than {limit} bytes for it", self.host)))
    }

    async fn once(&self, ask: &Ask<'_>, authorization: Option<HeaderValue>) -> Asked<Response> {
        let mut request = self.client.request(ask.method.clone(), ask.url.clone());
        if let Some(accept) = ask.accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some((kind, body)) = &ask.body {
            request = request.header(CONTENT_TYPE, *kind).body(body.clone());
        } else if ask.method == Method::POST {
            request = request.header(reqwest::header::CONTENT_LENGTH, 0);
        }
        if let Some(authorization) = authorization.filter(|_| ask.url.origin() == self.base.origin()) {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.send().await.map_err(|error| Failure::unanswered(&self.host, &error))
    }

    /// What the registry wants to see, by the challenges of its refusal.
    async fn authorization(&self, refusal: &Response, scopes: &[String]) -> Asked<Option<HeaderValue>> {
        let told = refusal.headers().get_all(reqwest::header::WWW_AUTHENTICATE);
        let told: Vec<&str> = told.iter().filter_map(|value| value.to_str().ok()).collect();
        match auth::challenge(&told) {
            None => Ok(None),
            Some(auth::Challenge::Basic) => Ok(self.who.as_ref().and_then(auth::basic)),
            Some(auth::Challenge::Bearer { realm, service }) => {
                let near = |url: &Url| name::is_loopback(&self.host) && is_near(url);
                let url = auth::token_url(&realm, service.as_deref(), scopes)
                    .filter(|url| url.scheme() == "https" || near(url))
                    .ok_or_else(|| Failure::Refused(format!("{} names no safe token server", self.host)))?;
                let mut request = self.client.get(url);
                if let Some(basic) = self.who.as_ref().and_then(auth::basic) {
                    request = request.header(AUTHORIZATION, basic);
                }
                let answer = request.send().await.map_err(|error| Failure::unanswered(&self.host, &error))?;
                let answer = self.judged(answer).await?;
                let body = self.read(answer, 4 * REFUSAL).await?;
                auth::token(&body).map(Some).ok_or_else(|| {
                    Failure::Refused(format!("the token server of {} gave no token", self.host))
                })
            }
        }
    }

    fn hold(&self, scopes: &[String], authorization: HeaderValue) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let basic = authorization.as_bytes().starts_with(b"Basic");
        held.insert(if basic { String::new() } else { scopes.join(" ") }, authorization);
    }

    fn held(&self, scopes: &[String]) -> Option<HeaderValue> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&scopes.join(" ")).or_else(|| held.get("")).cloned()
    }

    async fn judged(&self, answer: Response) -> Asked<Response> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = tokio::time::timeout(ASK, bounded(answer, REFUSAL)).await;
        let body = body.ok().and_then(Result::ok).flatten().unwrap_or_default();
        Err(Failure::of(&self.host, status.as_u16(), &body))
    }

    fn slow(&self) -> Failure {
        Failure::Away(format!("{} did not answer within {} s", self.host, ASK.as_secs()))
    }
}

/// `None` where there is more than `limit`.
async fn bounded(mut answer: Response, limit: usize) -> reqwest::Result<Option<Bytes>> {
    let mut read = BytesMut::new();
    while let Some(piece) = answer.chunk().await? {
        if read.len() + piece.len() > limit {
            return Ok(None);
        }
        read.extend_from_slice(&piece);
    }
    Ok(Some(read.freeze()))
}
