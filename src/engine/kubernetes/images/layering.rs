//! Pushing a base image with one more layer. What is pushed depends on the base's digest and the files alone, so the same
//! of both is pushed once and bears the same digest for ever.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _, iter};
use tokio::sync::mpsc;

use super::base::{Found, Platform};
use super::failure::{Asked, Failure};
use super::files::Files;
use super::layer::{Layer, Layout};
use super::manifest::{self, Blob};
use super::name::Place;
use super::registry::{Begun, Registry};
use super::tree::Tree;
use crate::engine::{EngineError, EngineResult, Progress};

/// How many layers of a base move at a time.
const AT_ONCE: usize = 3;
/// The longest silence while a layer is read.
const SILENCE: Duration = Duration::from_secs(60);

/// One base image on its way to the infrastructure's registry.
pub(super) struct Layering<'a> {
    /// For people: the service, or the first of several.
    pub(super) service: &'a str,
    pub(super) base: &'a Found,
    pub(super) from: &'a Registry,
    pub(super) home: &'a Place,
    pub(super) to: &'a Registry,
    pub(super) progress: &'a dyn Progress,
}

impl Layering<'_> {
    /// The digest of the base with `files` over it, which is pushed under `tag` unless it is there.
    pub(super) async fn push(&self, files: Files, tag: &str) -> EngineResult<String> {
        let files = Arc::new(files);
        let platforms = self.base.platforms(self.from).await.map_err(|failed| self.of_base(failed))?;
        let mut built: Vec<(Layout, Arc<Layer>)> = Vec::new();
        let mut pushed = Vec::new();
        for platform in &platforms {
            self.copy_layers(platform).await?;
            let layout = self.layout(platform, &files).await?;
            let known = built.iter().find(|(known, _)| *known == layout);
            let layer = match known {
                Some((_, layer)) => Arc::clone(layer),
                None => {
                    let layer = build(self.service, Arc::clone(&files), layout.clone()).await?;
                    self.progress
                        .line(&format!("{}: pushing its files, {} bytes", self.service, layer.blob.size));
                    self.send(&layer).await.map_err(|failed| self.of_home(failed))?;
                    built.push((layout, Arc::clone(&layer)));
                    layer
                }
            };
            let body = self.finish(platform, &layer).await.map_err(|failed| self.of_home(failed))?;
            pushed.push((platform.entry.clone(), body));
        }
        self.publish(pushed, tag).await.map_err(|failed| self.of_home(failed))
    }

    /// Makes the registry of the workload have the base's own layers.
    async fn copy_layers(&self, platform: &Platform) -> EngineResult<()> {
        let layers = platform.manifest.layers().map_err(|failed| self.of_base(failed))?;
        let copies: Vec<_> = layers.iter().map(|layer| self.copy(layer)).collect();
        iter(copies).buffer_unordered(AT_ONCE).try_collect::<()>().await
    }

    async fn copy(&self, blob: &Blob) -> EngineResult<()> {
        let of_home = |failed| self.of_home(failed);
        let repository = self.home.repository.as_str();
        let _turn = self.to.turn(repository, &blob.digest).await;
        if self.to.has_blob(repository, &blob.digest).await.map_err(of_home)? {
            return Ok(());
        }
        let source = self.base.place.repository.as_str();
        let near = self.base.place.host == self.home.host && source != repository;
        let mount = near.then_some((blob.digest.as_str(), source));
        let Begun::At(url) = self.to.begin(repository, mount).await.map_err(of_home)? else {
            return Ok(());
        };
        self.progress.line(&format!("{}: copying a layer of {} bytes", self.service, blob.size));
        let stream = self.from.blob(source, &blob.digest).await.map_err(|failed| self.of_base(failed))?;
        let moved = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&moved);
        let counted = stream.inspect_ok(move |piece| {
            count.fetch_add(piece.len() as u64, Ordering::Relaxed);
        });
        let body = reqwest::Body::wrap_stream(counted);
        let place = (repository, mount.map(|(_, from)| from));
        let what = (blob.digest.as_str(), blob.size);
        self.to.put_blob(place, url, what, body, &moved).await.map_err(of_home)
    }

    /// Where the files lie in the image. Its layers are read where they are now: in the registry of the workload.
    async fn layout(&self, platform: &Platform, files: &Arc<Files>) -> EngineResult<Layout> {
        let wanted = files.all_folders();
        let layers = platform.manifest.layers().map_err(|failed| self.of_base(failed))?;
        let tree = self.tree(&layers, &wanted).await.map_err(|failed| self.of_home(failed))?;
        Ok(Layout::new(files, &tree))
    }

    /// Reads layers, topmost first, until all folders are known.
    async fn tree(&self, layers: &[Blob], wanted: &BTreeSet<String>) -> Asked<Tree> {
        let mut tree = Tree::default();
        for layer in layers.iter().rev() {
            if tree.knows(wanted) {
                break;
            }
            let stream = self.to.blob(&self.home.repository, &layer.digest).await?;
            let (read, known) = read(stream, tree).await?;
            tree = known;
            if let Err(error) = read {
                let (service, digest) = (self.service, &layer.digest);
                self.progress.line(&format!(
                    "{service}: layer {digest} of its image can't be read ({error}); folders above its files that only lower layers know become root's"
                ));
                break;
            }
        }
        Ok(tree)
    }

    /// Sends the layer with the files, unless it is there.
    async fn send(&self, layer: &Layer) -> Asked<()> {
        let repository = self.home.repository.as_str();
        if self.to.has_blob(repository, &layer.blob.digest).await? {
            return Ok(());
        }
        let moved = Arc::new(AtomicU64::new(0));
        let pieces = layer.pieces(Arc::clone(&moved));
        let pieces = pieces.map_err(|error| Failure::Refused(format!("the layer can't be read: {error}")))?;
        self.put(&layer.blob, reqwest::Body::wrap_stream(pieces), &moved).await
    }

    async fn put(&self, blob: &Blob, body: reqwest::Body, moved: &AtomicU64) -> Asked<()> {
        let repository = self.home.repository.as_str();
        match self.to.begin(repository, None).await? {
            Begun::Mounted => Ok(()),
            Begun::At(url) => {
                self.to.put_blob((repository, None), url, (&blob.digest, blob.size), body, moved).await
            }
        }
    }

    /// Pushes configuration and manifest of one platform; answers the manifest.
    async fn finish(&self, platform: &Platform, layer: &Layer) -> Asked<Bytes> {
        let config = manifest::layered_config(&platform.config, &layer.diff_id)?;
        let digest = manifest::digest_of(&config);
        let blob = Blob { digest, size: config.len() as u64, kind: String::new() };
        if !self.to.has_blob(&self.home.repository, &blob.digest).await? {
            self.put(&blob, reqwest::Body::from(config.clone()), &AtomicU64::new(0)).await?;
        }
        let body = platform.manifest.layered(&layer.blob, &config)?;
        if platform.entry.is_some() {
            let digest = manifest::digest_of(&body);
            let kind = &platform.manifest.kind;
            self.to.put_manifest(&self.home.repository, &digest, kind, body.clone()).await?;
        }
        Ok(body)
    }

    /// Pushes the manifest or index under its tag.
    async fn publish(&self, pushed: Vec<(Option<serde_json::Value>, Bytes)>, tag: &str) -> Asked<String> {
        let base = &self.base.manifest;
        let single =
            |pushed: &[(Option<serde_json::Value>, Bytes)]| pushed.first().map(|(_, body)| body.clone());
        let body = if base.is_index() {
            let entries = pushed.into_iter().filter_map(|(entry, body)| Some((entry?, body)));
            Some(base.with_entries(&entries.collect::<Vec<_>>()))
        } else {
            single(&pushed)
        };
        let body = body.ok_or_else(|| Failure::Missing("it has no image for Linux".into()))?;
        let digest = manifest::digest_of(&body);
        self.to.put_manifest(&self.home.repository, tag, &base.kind, body).await?;
        Ok(digest)
    }

    fn of_base(&self, failed: Failure) -> EngineError {
        failed.about(&self.base.pull_digest())
    }

    fn of_home(&self, failed: Failure) -> EngineError {
        failed.about(&self.home.to_string())
    }
}

async fn build(service: &str, files: Arc<Files>, layout: Layout) -> EngineResult<Arc<Layer>> {
    let building = tokio::task::spawn_blocking(move || Layer::build(&files, &layout));
    let built = building.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    built.map(Arc::new).map_err(|error| {
        EngineError::Refused(format!("the files of service {service} can't be packed: {error}"))
    })
}

/// Reads one layer into the tree on a thread that may wait. What can't be unpacked is told apart from what did not come.
async fn read(
    mut stream: BoxStream<'static, reqwest::Result<Bytes>>,
    tree: Tree,
) -> Asked<(io::Result<()>, Tree)> {
    let (sender, receiver) = mpsc::channel(8);
    let reading = tokio::task::spawn_blocking(move || {
        let mut tree = tree;
        (tree.read(Pieces { receiver, piece: Bytes::new() }), tree)
    });
    let feeding = async move {
        loop {
            match tokio::time::timeout(SILENCE, stream.next()).await {
                Ok(Some(Ok(piece))) => {
                    if sender.send(piece).await.is_err() {
                        // Nobody wants more.
                        return Ok(());
                    }
                }
                Ok(None) => return Ok(()),
                Ok(Some(Err(error))) => return Err(Failure::Away(format!("a layer did not come: {error}"))),
                Err(_) => return Err(Failure::Away("a layer stopped coming".into())),
            }
        }
    };
    let (read, fed) = tokio::join!(reading, feeding);
    fed?;
    read.map_err(|error| Failure::Refused(format!("a layer can't be read: {error}")))
}

/// What comes through a channel, to be read.
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(into.len());
        self.piece.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}
