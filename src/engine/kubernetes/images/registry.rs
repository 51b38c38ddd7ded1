//! What is asked of a registry: the parts of the OCI distribution specification that preparing images needs.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::header::{CONTENT_TYPE, LINK, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;

use super::failure::{Asked, Failure};
use super::http::{self, Ask, Http};
use super::manifest::{self, Manifest};
use super::name;
use crate::engine::{EngineResult, RegistryCredentials};

/// The longest silence while a blob moves.
const SILENCE: Duration = Duration::from_secs(300);
/// The longest list of tags that is read: so many pages of so many bytes.
const PAGES: usize = 50;
const PAGE: usize = 4 << 20;
const DIGEST: &str = "docker-content-digest";

/// All registries that a preparation asks, each one connected once.
pub(super) struct Registries<'a> {
    client: reqwest::Client,
    who: &'a BTreeMap<String, RegistryCredentials>,
    made: Mutex<HashMap<String, Arc<Registry>>>,
}

impl<'a> Registries<'a> {
    pub(super) fn new(who: &'a BTreeMap<String, RegistryCredentials>) -> EngineResult<Self> {
        Ok(Self { client: http::client()?, who, made: Mutex::default() })
    }

    /// The registry of a host, as references name it.
    pub(super) fn of(&self, host: &str) -> EngineResult<Arc<Registry>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = made.get(host) {
            return Ok(Arc::clone(found));
        }
        let http = Http::new(self.client.clone(), host, name::credentials(self.who, host))?;
        let registry = Arc::new(Registry { http, moving: Mutex::default() });
        made.insert(host.to_owned(), Arc::clone(&registry));
        Ok(registry)
    }
}

/// One registry.
pub(super) struct Registry {
    http: Http,
    /// Blobs on their way here, by repository and digest.
    moving: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// Where an upload goes that was begun.
pub(super) enum Begun {
    /// Nowhere: the registry took the blob from another repository of its own.
    Mounted,
    At(Url),
}

fn pull(repository: &str) -> Vec<String> {
    vec![format!("repository:{repository}:pull")]
}

fn push(repository: &str) -> Vec<String> {
    vec![format!("repository:{repository}:pull,push")]
}

impl Registry {
    /// A manifest or index by tag or digest, checked against its digest.
    pub(super) async fn manifest(&self, repository: &str, version: &str) -> Asked<Manifest> {
        let answer = self.about_manifest(Method::GET, repository, version).await?;
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        let body = self.http.read(answer, manifest::LARGEST).await?;
        let found = Manifest::read(kind, &body)?;
        if version.contains(':') && version != found.digest {
            return Err(Failure::Refused(format!("{} sent something else than {version}", self.http.host)));
        }
        Ok(found)
    }

    /// The digest that a tag or digest stands for; `None` where there is no such manifest.
    pub(super) async fn digest(&self, repository: &str, version: &str) -> Asked<Option<String>> {
        let answer = match self.about_manifest(Method::HEAD, repository, version).await {
            Err(Failure::Missing(_)) => return Ok(None),
            other => other?,
        };
        let told = answer.headers().get(DIGEST).and_then(|digest| digest.to_str().ok());
        match told.filter(|digest| manifest::is_digest(digest)) {
            Some(digest) => Ok(Some(digest.to_owned())),
            None => Ok(Some(self.manifest(repository, version).await?.digest)),
        }
    }

    async fn about_manifest(&self, method: Method, repository: &str, version: &str) -> Asked<Response> {
        let url = self.http.url(&format!("{repository}/manifests/{version}"))?;
        let scopes = pull(repository);
        let accept = manifest::TYPES.join(", ");
        self.http.ask(&Ask { method, url, scopes: &scopes, accept: Some(&accept), body: None }).await
    }

    pub(super) async fn put_manifest(
        &self,
        repository: &str,
        version: &str,
        kind: &str,
        body: Bytes,
    ) -> Asked<()> {
        let url = self.http.url(&format!("{repository}/manifests/{version}"))?;
        let scopes = push(repository);
        let body = Some((kind, body));
        self.http
            .ask(&Ask { method: Method::PUT, url, scopes: &scopes, accept: None, body })
            .await
            .map(|_| ())
    }

    /// Deletes a manifest with all its tags. One that is gone is no failure.
    pub(super) async fn delete_manifest(&self, repository: &str, digest: &str) -> Asked<()> {
        let url = self.http.url(&format!("{repository}/manifests/{digest}"))?;
        let scopes = vec![format!("repository:{repository}:pull,push,delete")];
        match self
            .http
            .ask(&Ask { method: Method::DELETE, url, scopes: &scopes, accept: None, body: None })
            .await
        {
            Ok(_) | Err(Failure::Missing(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// The tags of a repository; none where there is no such repository.
    pub(super) async fn tags(&self, repository: &str) -> Asked<Vec<String>> {
        let scopes = pull(repository);
        let mut url = Some(self.http.url(&format!("{repository}/tags/list"))?);
        let mut tags = Vec::new();
        for _ in 0..PAGES {
            let Some(page) = url.take() else { break };
            let ask = Ask { method: Method::GET, url: page, scopes: &scopes, accept: None, body: None };
            let answer = match self.http.ask(&ask).await {
                Err(Failure::Missing(_)) => break,
                other => other?,
            };
            let next = answer.headers().get(LINK).and_then(|link| next_page(link.to_str().ok()?));
            url = next.map(|next| self.http.join(&next)).transpose()?;
            let list: Value =
                serde_json::from_slice(&self.http.read(answer, PAGE).await?).unwrap_or_default();
            let named = list.get("tags").and_then(Value::as_array).into_iter().flatten();
            tags.extend(named.filter_map(|tag| tag.as_str().map(str::to_owned)));
        }
        Ok(tags)
    }

    /// A blob in pieces, as they come.
    pub(super) async fn blob(
        &self,
        repository: &str,
        digest: &str,
    ) -> Asked<BoxStream<'static, reqwest::Result<Bytes>>> {
        Ok(self.about_blob(Method::GET, repository, digest).await?.bytes_stream().boxed())
    }

    /// A small blob, checked against its digest.
    pub(super) async fn small_blob(&self, repository: &str, digest: &str) -> Asked<Bytes> {
        let answer = self.about_blob(Method::GET, repository, digest).await?;
        let body = self.http.read(answer, manifest::LARGEST).await?;
        if manifest::digest_of(&body) == digest {
            return Ok(body);
        }
        Err(Failure::Refused(format!("{} sent something else than {digest}", self.http.host)))
    }

    /// Waits until nobody else sends this blob: two services with one base send its layers once.
    pub(super) async fn turn(&self, repository: &str, digest: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let key = format!("{repository}@{digest}");
        let turn = {
            let mut moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(moving.entry(key).or_default())
        };
        turn.lock_owned().await
    }

    /// Whether a repository has a blob. One that can't be looked into may be one that is made by the first push.
    pub(super) async fn has_blob(&self, repository: &str, digest: &str) -> Asked<bool> {
        match self.about_blob(Method::HEAD, repository, digest).await {
            Ok(_) => Ok(true),
            Err(Failure::Missing(_) | Failure::Denied(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    async fn about_blob(&self, method: Method, repository: &str, digest: &str) -> Asked<Response> {
        let url = self.http.url(&format!("{repository}/blobs/{digest}"))?;
        let scopes = pull(repository);
        self.http.ask(&Ask { method, url, scopes: &scopes, accept: None, body: None }).await
    }

    /// Begins to upload a blob, or has it mounted from another repository of this registry.
    pub(super) async fn begin(&self, repository: &str, mount: Option<(&str, &str)>) -> Asked<Begun> {
        let mut url = self.http.url(&format!("{repository}/blobs/uploads/"))?;
        let mut scopes = push(repository);
        if let Some((digest, from)) = mount {
            url.query_pairs_mut().append_pair("mount", digest).append_pair("from", from);
            scopes.extend(pull(from));
        }
        let answer = self
            .http
            .ask(&Ask { method: Method::POST, url, scopes: &scopes, accept: None, body: None })
            .await?;
        if answer.status() == StatusCode::CREATED {
            return Ok(Begun::Mounted);
        }
        let place = answer.headers().get(LOCATION).and_then(|place| place.to_str().ok());
        let place = place.ok_or_else(|| {
            Failure::Refused(format!("{} did not say where a blob is to be sent", self.http.host))
        })?;
        self.http.join(place).map(Begun::At)
    }

    /// Sends a blob where [`Self::begin`] said; `moved` counts what went out, so that silence is noticed.
    pub(super) async fn put_blob(
        &self,
        (repository, mount_from): (&str, Option<&str>),
        mut at: Url,
        (digest, size): (&str, u64),
        body: reqwest::Body,
        moved: &AtomicU64,
    ) -> Asked<()> {
        at.query_pairs_mut().append_pair("digest", digest);
        let mut scopes = push(repository);
        scopes.extend(mount_from.map(pull).into_iter().flatten());
        let mut sending = std::pin::pin!(self.http.send(at, &scopes, size, body));
        let mut seen = 0;
        loop {
            if let Ok(sent) = tokio::time::timeout(SILENCE, &mut sending).await {
                return sent.map(|_| ());
            }
            let now = moved.load(Ordering::Relaxed);
            if now == seen {
                let seconds = SILENCE.as_secs();
                return Err(Failure::Away(format!("{} took nothing for {seconds} s", self.http.host)));
            }
            seen = now;
        }
    }
}

/// The target of `<…>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| target.to_owned())
}
