//! Getting a workload ready: its images, side by side and each one once; its network; its volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bollard::models::VolumeCreateRequest;
use futures_util::stream::{StreamExt, TryStreamExt, iter};

use crate::domain::name::{DeploymentId, ServiceName, VolumeName};
use crate::domain::plan::Plan;
use crate::domain::workload::{Build, Image, Service};
use crate::engine::docker::client::CHANGE;
use crate::engine::docker::ensure::all;
use crate::engine::docker::names::digest;
use crate::engine::docker::{Core, build, images};
use crate::engine::{EngineError, EngineResult, PrepareRequest, Progress, Resolution, ResolvedImage, label};

/// How many images are pulled or built at a time.
const AT_ONCE: usize = 4;

/// Where the image of a service comes from, before its files are laid over it. Services with the same source share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Source<'a> {
    Reference(&'a str),
    /// Tag and first service of a build.
    Built(String, &'a ServiceName),
}

impl Core {
    pub(super) async fn prepare_workload(
        &self,
        request: &PrepareRequest,
        progress: &dyn Progress,
    ) -> EngineResult<Resolution> {
        let plan = &*request.plan;
        let workload = &plan.deployment;
        let (network, images, ()) = tokio::try_join!(
            self.network(workload),
            self.all_images(request, progress),
            self.volumes(workload, plan),
        )?;
        Ok(Resolution { images, network })
    }

    async fn all_images(
        &self,
        request: &PrepareRequest,
        progress: &dyn Progress,
    ) -> EngineResult<BTreeMap<ServiceName, ResolvedImage>> {
        let plan = &*request.plan;
        let services: Vec<(&ServiceName, &Service)> = plan.to_prepare().collect();
        let asked: BTreeSet<&ServiceName> = services.iter().map(|(name, _)| *name).collect();
        let mut ready: BTreeMap<ServiceName, ResolvedImage> = BTreeMap::new();
        for (name, pinned) in &request.pinned {
            if asked.contains(name) && self.image(&pinned.id).await?.is_some() {
                ready.insert(name.clone(), pinned.clone());
            }
        }
        let open: Vec<_> = services.into_iter().filter(|(name, _)| !ready.contains_key(*name)).collect();
        let mut sources: BTreeMap<String, Source<'_>> = BTreeMap::new();
        for (name, service) in &open {
            let source = source(request, name, service)?;
            sources.entry(key(&source)).or_insert(source);
        }
        let working: Vec<_> = sources.values().map(|source| self.base(request, source, progress)).collect();
        let found: Vec<ResolvedImage> = iter(working).buffered(AT_ONCE).try_collect().await?;
        let bases: BTreeMap<&String, &ResolvedImage> = sources.keys().zip(&found).collect();
        let mut layering = Vec::new();
        for (name, service) in &open {
            let source = source(request, name, service)?;
            let base = bases.get(&key(&source)).copied().cloned();
            let base = base.ok_or_else(|| EngineError::Refused(format!("service {name} has no image")))?;
            layering.push(self.with_files(request, name, service, base, progress));
        }
        let finished: Vec<ResolvedImage> = iter(layering).buffered(AT_ONCE).try_collect().await?;
        let names = open.iter().map(|(name, _)| (*name).clone());
        let finished = names.zip(finished);
        ready.extend(finished);
        Ok(ready)
    }

    /// The image of a source: there already, else pulled or built.
    async fn base(
        &self,
        request: &PrepareRequest,
        source: &Source<'_>,
        progress: &dyn Progress,
    ) -> EngineResult<ResolvedImage> {
        let workload = &request.plan.deployment;
        match source {
            Source::Reference(reference) => {
                let there = match self.image(reference).await? {
                    Some(found)
                        if self.is_current(reference, &found, &request.registries, progress).await =>
                    {
                        Some(found)
                    }
                    _ => {
                        self.pull(reference, &request.registries, progress).await?;
                        self.image(reference).await?
                    }
                };
                let found = there.ok_or_else(|| vanished(reference))?;
                images::refuse_anothers(&self.names, reference, &found)?;
                self.keep(workload, &found).await?;
                Ok(images::resolved(reference, &found))
            }
            Source::Built(tag, name) => {
                let Some(Image::Build(build)) =
                    request.plan.workload.services.get(*name).map(|service| &service.image)
                else {
                    return Err(EngineError::Refused(format!("service {name} is not built")));
                };
                let files = bundle_files(request, name)?;
                self.once(
                    workload,
                    name,
                    tag,
                    progress,
                    || build::job(workload, name.as_str(), tag.clone(), build, files),
                    request,
                )
                .await
            }
        }
    }

    /// `base` with the service's files over it.
    async fn with_files(
        &self,
        request: &PrepareRequest,
        name: &ServiceName,
        service: &Service,
        base: ResolvedImage,
        progress: &dyn Progress,
    ) -> EngineResult<ResolvedImage> {
        if service.files.is_empty() {
            return Ok(base);
        }
        let workload = &request.plan.deployment;
        let files = bundle_files(request, name)?;
        let tag = short(&("files", &base.id, &service.files, request.plan.inputs.get(name)));
        let layered = self
            .once(
                workload,
                name,
                &tag,
                progress,
                || Ok(build::layer(workload, name.as_str(), tag.clone(), &base.id, &service.files, files)),
                request,
            )
            .await?;
        Ok(ResolvedImage { id: layered.id, ..base })
    }

    /// Builds what bears `tag`, unless it is there.
    async fn once<'a>(
        &self,
        workload: &DeploymentId,
        name: &ServiceName,
        tag: &str,
        progress: &dyn Progress,
        job: impl FnOnce() -> EngineResult<build::Job<'a>>,
        request: &PrepareRequest,
    ) -> EngineResult<ResolvedImage> {
        let reference = format!("{}:{tag}", self.names.repository(workload));
        if let Some(found) = self.image(&reference).await? {
            return Ok(images::resolved(&reference, &found));
        }
        progress.line(&format!("{name}: building its image"));
        self.build(job()?, &request.registries, progress).await?;
        let built = self.image(&reference).await?;
        built.map(|found| images::resolved(&reference, &found)).ok_or_else(|| vanished(&reference))
    }

    async fn volumes(&self, workload: &DeploymentId, plan: &Plan) -> EngineResult<()> {
        all(plan.workload.volumes.iter().map(|volume| self.volume(workload, volume)).collect()).await
    }

    /// Makes a volume; the engine answers with the one that is there, whoever made it.
    async fn volume(&self, workload: &DeploymentId, volume: &VolumeName) -> EngineResult<()> {
        let name = self.names.volume(workload, volume);
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            labels: Some(self.names.labels(workload)),
            ..Default::default()
        };
        let made = self
            .client
            .call("making a volume", CHANGE, |docker| async move { docker.create_volume(request).await })
            .await?;
        let same = made.labels.get(label::WORKLOAD).map(String::as_str) == Some(workload.as_str());
        if same && self.names.is_ours(&made.labels) { Ok(()) } else { Err(EngineError::NameTaken { name }) }
    }
}

/// Where a service's image comes from; a pinned image that is gone comes from its digest and nowhere else.
fn source<'a>(
    request: &'a PrepareRequest,
    name: &'a ServiceName,
    service: &'a Service,
) -> EngineResult<Source<'a>> {
    match (&service.image, request.pinned.get(name)) {
        (Image::Build(build), _) => Ok(Source::Built(build_tag(&request.plan, name, build), name)),
        (Image::Reference(_), Some(pinned)) => match &pinned.pull_digest {
            Some(digest) => Ok(Source::Reference(digest)),
            None => Err(EngineError::ImageNotFound {
                image: pinned.reference.clone(),
                detail: format!(
                    "the engine no longer has {}, and no registry knows it",
                    images::tag_of(&pinned.id)
                ),
            }),
        },
        (Image::Reference(reference), None) => Ok(Source::Reference(reference)),
    }
}

fn key(source: &Source<'_>) -> String {
    match source {
        Source::Reference(reference) => format!("reference {reference}"),
        Source::Built(tag, _) => format!("built {tag}"),
    }
}

fn build_tag(plan: &Plan, name: &ServiceName, build: &Build) -> String {
    short(&("build", build, plan.inputs.get(name)))
}

/// 16 hex digits over a value.
fn short(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    digest(&text)[..16].to_owned()
}

fn bundle_files<'a>(request: &'a PrepareRequest, name: &ServiceName) -> EngineResult<&'a Path> {
    let missing =
        || EngineError::Refused(format!("service {name} needs files of its bundle, which are not unpacked"));
    request.files.as_deref().ok_or_else(missing)
}

fn vanished(image: &str) -> EngineError {
    EngineError::ImageNotFound {
        image: image.to_owned(),
        detail: "it was removed right after it was made ready; try again".into(),
    }
}
