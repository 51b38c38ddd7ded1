//! One preparation: every image once, side by side.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};

use super::Prepared;
use super::base::Found;
use super::failure::Failure;
use super::files::Files;
use super::layering::Layering;
use super::map::FileMap;
use super::name::{Home, Name};
use super::registry::Registries;
use crate::domain::bundle::Digest;
use crate::domain::cluster::Cluster;
use crate::domain::name::ServiceName;
use crate::domain::workload::{Build, FileMount, Image, Service};
use crate::engine::{EngineError, EngineResult, PrepareRequest, Progress, PublishRequest, ResolvedImage};

/// How many images are worked on at a time.
const AT_ONCE: usize = 4;

/// What a preparation works with.
pub(super) struct Work<'a> {
    cluster: &'a Cluster,
    request: &'a PrepareRequest,
    progress: &'a dyn Progress,
    registries: Registries<'a>,
    home: Option<Home>,
}

/// Where an image comes from before files are laid over it; the same for all services with the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Source<'a> {
    Reference(&'a str),
    /// What goes in, and the first service that is built from it.
    Built(Digest, &'a ServiceName),
}

/// A source, looked at.
enum Base {
    Found {
        reference: String,
        found: Found,
    },
    /// Its registry gave no answer: the nodes may have it all the same.
    Unasked {
        reference: String,
        why: String,
    },
}

/// A service whose image is to be found.
struct Open<'a> {
    name: &'a ServiceName,
    service: &'a Service,
    source: Source<'a>,
    /// The same for all with the same source and files.
    key: String,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        cluster: &'a Cluster,
        instance: &str,
        request: &'a PrepareRequest,
        progress: &'a dyn Progress,
    ) -> EngineResult<Self> {
        let registries = Registries::new(&request.registries)?;
        let home = cluster.registry.as_deref().map(|registry| Home::new(registry, instance));
        Ok(Self { cluster, request, progress, registries, home })
    }

    pub(super) async fn all(&self) -> EngineResult<BTreeMap<ServiceName, Prepared>> {
        let services: Vec<(&'a ServiceName, &'a Service)> = self.request.plan.to_prepare().collect();
        let checks: Vec<_> = services.iter().map(|(name, service)| self.kept(name, service)).collect();
        let kept: Vec<Option<Prepared>> = iter(checks).buffered(AT_ONCE).try_collect().await?;
        let mut ready = BTreeMap::new();
        let mut open = Vec::new();
        for ((name, service), kept) in services.into_iter().zip(kept) {
            match kept {
                Some(kept) => drop(ready.insert(name.clone(), kept)),
                None => open.push(self.open(name, service)),
            }
        }
        let bases = self.bases(&open).await?;
        let once: BTreeMap<&String, &Open<'a>> = open.iter().rev().map(|one| (&one.key, one)).collect();
        let work: Vec<_> =
            once.values().map(|one| self.finished(bases.get(&one.source.key()), one)).collect();
        let finished: Vec<Prepared> = iter(work).buffered(AT_ONCE).try_collect().await?;
        let finished: BTreeMap<&String, Prepared> = once.into_keys().zip(finished).collect();
        let of = |one: &Open<'a>| Some((one.name.clone(), finished.get(&one.key)?.clone()));
        ready.extend(open.iter().filter_map(of));
        Ok(ready)
    }

    /// Every source once.
    async fn bases(&self, open: &[Open<'a>]) -> EngineResult<BTreeMap<String, Base>> {
        let once: BTreeMap<String, &Open<'a>> =
            open.iter().rev().map(|one| (one.source.key(), one)).collect();
        let work: Vec<_> = once.values().map(|one| self.base(&one.source, one.service)).collect();
        let found: Vec<Base> = iter(work).buffered(AT_ONCE).try_collect().await?;
        Ok(once.into_keys().zip(found).collect())
    }

    /// A pinned image, when it is still there. One that was built is built again where it is gone.
    async fn kept(&self, name: &ServiceName, service: &Service) -> EngineResult<Option<Prepared>> {
        let Some(pinned) = self.request.pinned.get(name) else {
            return Ok(None);
        };
        if let Some(digest) = &pinned.pull_digest {
            let at = Name::parse(digest, &BTreeMap::new())?;
            let registry = self.registries.of(&at.place.host)?;
            match registry.digest(&at.place.repository, &at.version).await {
                Ok(Some(_)) => {}
                Ok(None) if matches!(service.image, Image::Build(_)) => return Ok(None),
                Ok(None) => {
                    return Err(EngineError::ImageNotFound {
                        image: pinned.reference.clone(),
                        detail: format!(
                            "what ran under this name is wanted, {digest}, and its registry no longer has it; push it again, or update instead of going back"
                        ),
                    });
                }
                Err(Failure::Away(why)) => self.progress.line(&format!(
                    "{name}: its registry can't be reached ({why}). Going on with {digest}, which the nodes may have."
                )),
                Err(other) => return Err(other.about(&pinned.reference)),
            }
        }
        let files = match pinned.files_from {
            Some(_) => Some(self.map(name, &service.files).await?),
            None => None,
        };
        Ok(Some(Prepared { image: pinned.clone(), files }))
    }

    fn open(&self, name: &'a ServiceName, service: &'a Service) -> Open<'a> {
        let source = match &service.image {
            Image::Reference(reference) => Source::Reference(reference),
            Image::Build(build) => {
                let inputs = json(&("build", build, self.request.plan.inputs.get(name)));
                Source::Built(Digest::of(inputs.as_bytes()), name)
            }
        };
        let key = json(&(source.key(), &service.files));
        Open { name, service, source, key }
    }

    async fn base(&self, source: &Source<'_>, service: &Service) -> EngineResult<Base> {
        match (source, &service.image) {
            (Source::Built(inputs, name), Image::Build(build)) => {
                let built = self.built(inputs, name, build).await?;
                let pushed = built.pull_digest.as_deref().ok_or_else(|| {
                    EngineError::Refused(format!("the builder pushed {} under no digest", built.reference))
                })?;
                let at = Name::parse(pushed, &BTreeMap::new())?;
                let registry = self.registries.of(&at.place.host)?;
                let found =
                    Found::ask(&registry, &at).await.map_err(|failed| failed.about(&built.reference))?;
                Ok(Base::Found { reference: built.reference, found })
            }
            (Source::Reference(reference), _) => self.looked_up(reference).await,
            (Source::Built(_, name), _) => Err(EngineError::Refused(format!("service {name} is not built"))),
        }
    }

    async fn looked_up(&self, reference: &str) -> EngineResult<Base> {
        let name = Name::parse(reference, &self.cluster.mirrors)?;
        if self.home.as_ref().is_some_and(|home| home.holds(&name.place)) {
            return Err(EngineError::Refused(format!(
                "{reference} is where Slipway keeps images of deployments, whose files are not everybody's; name the image that it was made from"
            )));
        }
        let registry = self.registries.of(&name.place.host)?;
        let reference = reference.to_owned();
        match Found::ask(&registry, &name).await {
            Ok(found) => Ok(Base::Found { reference, found }),
            Err(Failure::Away(why)) => Ok(Base::Unasked { reference, why }),
            Err(other) => Err(other.about(&reference)),
        }
    }

    /// Has a `build:` built and pushed.
    async fn built(&self, inputs: &Digest, name: &ServiceName, build: &Build) -> EngineResult<ResolvedImage> {
        let workload = &self.request.plan.deployment;
        let needs = |what: &str| {
            EngineError::Refused(format!(
                "service {name} is built, for which a cluster needs a registry and a Docker infrastructure that builds; name {what} in the settings of the infrastructure"
            ))
        };
        let (home, builder) = match (&self.home, &self.request.builder) {
            (Some(home), Some(builder)) => (home, builder),
            (None, Some(_)) => return Err(needs("a registry")),
            (Some(_), None) => return Err(needs("a builder")),
            (None, None) => return Err(needs("a registry and a builder")),
        };
        let request = PublishRequest {
            workload: workload.clone(),
            service: name.clone(),
            build: build.clone(),
            files: self.bundle(name)?.to_owned(),
            inputs: inputs.clone(),
            repository: home.of(workload)?.to_string(),
            registries: self.request.registries.clone(),
        };
        builder.publish(&request, self.progress).await
    }

    /// A base with the service's files, in it or beside it.
    async fn finished(&self, base: Option<&Base>, one: &Open<'_>) -> EngineResult<Prepared> {
        let (name, files) = (one.name, one.service.files.as_slice());
        let base = base.ok_or_else(|| EngineError::Refused(format!("service {name} has no image")))?;
        match (&self.home, files.is_empty()) {
            (_, true) => Ok(Prepared { image: self.plain(base), files: None }),
            (None, false) => {
                let files = Some(self.map(name, files).await?);
                Ok(Prepared { image: self.plain(base), files })
            }
            (Some(home), false) => match base {
                Base::Found { reference, found } => {
                    let image = self.layered(home, reference, found, files, name).await?;
                    Ok(Prepared { image, files: None })
                }
                Base::Unasked { reference, why } => Err(EngineError::RegistryUnreachable {
                    image: reference.clone(),
                    detail: format!(
                        "{why}; files of the bundle go into a layer over it, so it has to be read"
                    ),
                }),
            },
        }
    }

    fn plain(&self, base: &Base) -> ResolvedImage {
        match base {
            Base::Found { reference, found } => ResolvedImage {
                pull_digest: Some(found.pull_digest()),
                exposed: found.exposed.clone(),
                ..ResolvedImage::new(found.manifest.digest.clone(), reference.clone())
            },
            Base::Unasked { reference, why } => {
                self.progress.line(&format!(
                    "{reference}: its registry can't be reached ({why}). Going on with it as the nodes have it, not pinned."
                ));
                ResolvedImage::new(reference.clone(), reference.clone())
            }
        }
    }

    /// The base with one layer more: there already under its tag, or pushed now.
    async fn layered(
        &self,
        home: &Home,
        reference: &str,
        found: &Found,
        mounts: &[FileMount],
        name: &ServiceName,
    ) -> EngineResult<ResolvedImage> {
        let place = home.of(&self.request.plan.deployment)?;
        let to = self.registries.of(&place.host)?;
        let covers = json(&("files", &found.manifest.digest, mounts, self.request.plan.inputs.get(name)));
        let tag = format!("files-{}", &Digest::of(covers.as_bytes()).as_str()[..32]);
        let there = match to.digest(&place.repository, &tag).await {
            // A repository that can't be looked into may be one that is made by the first push.
            Err(Failure::Denied(_)) => None,
            other => other.map_err(|failed| failed.about(&place.to_string()))?,
        };
        let digest = match there {
            Some(digest) => digest,
            None => {
                let files = self.list(name, mounts).await?;
                let from = self.registries.of(&found.place.host)?;
                let layering = Layering {
                    service: name.as_str(),
                    base: found,
                    from: &from,
                    home: &place,
                    to: &to,
                    progress: self.progress,
                };
                layering.push(files, &tag).await?
            }
        };
        Ok(ResolvedImage {
            pull_digest: Some(place.at(&digest)),
            exposed: found.exposed.clone(),
            ..ResolvedImage::new(digest, reference)
        })
    }

    async fn map(&self, name: &ServiceName, mounts: &[FileMount]) -> EngineResult<FileMap> {
        let files = self.list(name, mounts).await?;
        let service = name.to_string();
        let reading = tokio::task::spawn_blocking(move || FileMap::read(&service, &files));
        reading.await.unwrap_or_else(|error| Err(EngineError::Refused(error.to_string())))
    }

    async fn list(&self, name: &ServiceName, mounts: &[FileMount]) -> EngineResult<Files> {
        let (root, mounts) = (self.bundle(name)?.to_owned(), mounts.to_owned());
        let listing = tokio::task::spawn_blocking(move || Files::list(&root, &mounts));
        let listed = listing.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        listed.map_err(|error| {
            EngineError::Refused(format!("the files of service {name} can't be read: {error}"))
        })
    }

    fn bundle(&self, name: &ServiceName) -> EngineResult<&'a Path> {
        let missing = || {
            EngineError::Refused(format!("service {name} needs files of its bundle, which are not unpacked"))
        };
        self.request.files.as_deref().ok_or_else(missing)
    }
}

impl Source<'_> {
    fn key(&self) -> String {
        match self {
            Self::Reference(reference) => format!("reference {reference}"),
            Self::Built(inputs, _) => format!("built {inputs}"),
        }
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
