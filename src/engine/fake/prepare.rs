//! Getting images ready in the fake world: every reference exists unless a fault says otherwise, a build needs its
//! Dockerfile, and files of the bundle are read so that fake programs can print them.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use crate::domain::bundle::Digest;
use crate::domain::name::ServiceName;
use crate::domain::plan::Plan;
use crate::domain::workload::{Build, FileMount, Image, Service};
use crate::engine::fake::world::World;
use crate::engine::{EngineError, EngineResult, PrepareRequest, Progress, Resolution, ResolvedImage};

pub(super) fn prepare(
    world: &mut World,
    request: &PrepareRequest,
    progress: &dyn Progress,
) -> EngineResult<Resolution> {
    let plan = &request.plan;
    let mut images = BTreeMap::new();
    for (name, service) in plan.to_prepare() {
        if let Some(error) = world.faults(name).prepare {
            return Err(error);
        }
        let image = match request.pinned.get(name) {
            Some(pinned) => pinned.clone(),
            None => image(request, name, service)?,
        };
        let tags = world.tags.entry(plan.deployment.clone()).or_default();
        if tags.insert(image.id.clone()) {
            progress.line(&format!("{name}: image {} made ready", image.reference));
        }
        let files = read_files(request.files.as_deref(), &service.files)?;
        world.files.insert((plan.deployment.clone(), name.clone()), files);
        images.insert(name.clone(), image);
    }
    world.networks.insert(plan.deployment.clone());
    let volumes = plan.workload.volumes.iter();
    world.volumes.extend(volumes.map(|volume| (plan.deployment.clone(), volume.clone())));
    Ok(Resolution { images, network: format!("fake-{}", plan.deployment) })
}

fn image(request: &PrepareRequest, name: &ServiceName, service: &Service) -> EngineResult<ResolvedImage> {
    let inputs = inputs(&request.plan, name);
    let (reference, pull_digest) = match &service.image {
        Image::Reference(reference) => {
            let digest = Digest::of(reference.as_bytes());
            (reference.clone(), Some(format!("{reference}@sha256:{digest}")))
        }
        Image::Build(build) => {
            check_build(request.files.as_deref(), name, build)?;
            (format!("built/{name}:{}", &inputs.as_str()[..12]), None)
        }
    };
    let id = Digest::of(format!("{reference}\n{inputs}").as_bytes());
    Ok(ResolvedImage { pull_digest, ..ResolvedImage::new(format!("sha256:{id}"), reference) })
}

fn inputs(plan: &Plan, name: &ServiceName) -> Digest {
    plan.inputs.get(name).cloned().unwrap_or_else(|| Digest::of(b""))
}

fn check_build(files: Option<&Path>, name: &ServiceName, build: &Build) -> EngineResult<()> {
    let dockerfile = files.map(|files| files.join(&build.context).join(&build.dockerfile));
    if dockerfile.is_some_and(|path| path.is_file()) {
        return Ok(());
    }
    Err(EngineError::BuildFailed {
        service: name.to_string(),
        detail: format!("the bundle has no {} in its context", build.dockerfile),
        tail: Vec::new(),
    })
}

fn read_files(root: Option<&Path>, mounts: &[FileMount]) -> EngineResult<BTreeMap<String, Bytes>> {
    let mut files = BTreeMap::new();
    for mount in mounts {
        let Some(root) = root else { continue };
        let source = root.join(&mount.source);
        read_below(&source, mount.target.clone(), &mut files).map_err(|error| {
            EngineError::Refused(format!("{} of the bundle can't be read: {error}", mount.source))
        })?;
    }
    Ok(files)
}

fn read_below(source: &Path, target: String, files: &mut BTreeMap<String, Bytes>) -> std::io::Result<()> {
    if !source.is_dir() {
        files.insert(target, Bytes::from(std::fs::read(source)?));
        return Ok(());
    }
    for entry in std::fs::read_dir(source)? {
        let entry = entry?;
        let name = entry.file_name();
        read_below(&entry.path(), format!("{target}/{}", name.to_string_lossy()), files)?;
    }
    Ok(())
}
