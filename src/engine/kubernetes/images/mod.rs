//! Images of bundles for a cluster: what each reference means, and the bundle's files brought along, with no engine but
//! the registry's API.
//!
//! Nodes pull by digest, so every image is asked for here first. A service with files of its bundle gets its base image
//! with one layer more, pushed to the infrastructure's registry; without a registry the files go as a ConfigMap.

mod auth;
mod base;
mod failure;
mod files;
mod forget;
mod http;
mod layer;
mod layering;
mod manifest;
mod map;
mod name;
mod registry;
mod secret;
mod tree;
mod work;

use std::collections::BTreeMap;

use crate::domain::cluster::Cluster;
use crate::domain::name::ServiceName;
use crate::engine::{EngineResult, PrepareRequest, Progress, ResolvedImage};

pub use forget::forget;
pub use map::{FileMap, MappedFile};
pub use secret::{hosts, pull_secret};

/// A service's image, and what of its bundle the image does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// `id` is the digest; of an image whose registry gave no answer it is the reference, and nothing is pinned.
    pub image: ResolvedImage,
    /// What has to go as a ConfigMap, where there is no registry.
    pub files: Option<FileMap>,
}

/// Finds the image of every service and pushes what has to be pushed; what `prepare` of the engine begins with.
/// `instance` keeps the repositories of two instances apart that share a registry.
///
/// # Errors
/// `ImageNotFound`, `ImageDenied`, `RegistryUnreachable`; `Refused` where files or a `build:` need what the
/// infrastructure does not have; and whatever its builder fails with.
pub async fn prepare(
    cluster: &Cluster,
    instance: &str,
    request: &PrepareRequest,
    progress: &dyn Progress,
) -> EngineResult<BTreeMap<ServiceName, Prepared>> {
    work::Work::new(cluster, instance, request, progress)?.all().await
}
