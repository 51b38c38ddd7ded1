//! Taking images off the registry that no retained revision needs.

use std::collections::{BTreeMap, BTreeSet};

use super::failure::{Asked, Failure};
use super::name::Home;
use super::registry::{Registries, Registry};
use crate::domain::cluster::Cluster;
use crate::domain::name::DeploymentId;
use crate::engine::{EngineResult, RegistryCredentials};

/// Deletes the images that were pushed for a workload, except those whose digest is in `keep`. Where the registry does
/// not let us delete, they stay; that is no error.
///
/// # Errors
/// `RegistryUnreachable`, `Refused` where the registry's name is none.
pub async fn forget(
    cluster: &Cluster,
    instance: &str,
    registries: &BTreeMap<String, RegistryCredentials>,
    workload: &DeploymentId,
    keep: &BTreeSet<String>,
) -> EngineResult<()> {
    let Some(registry) = &cluster.registry else {
        return Ok(());
    };
    let place = Home::new(registry, instance).of(workload)?;
    let registry = Registries::new(registries)?.of(&place.host)?;
    match delete(&registry, &place.repository, keep).await {
        // It has no deletes, or not for us.
        Ok(()) | Err(Failure::Refused(_) | Failure::Denied(_) | Failure::Missing(_)) => Ok(()),
        Err(away @ Failure::Away(_)) => Err(away.about(&place.to_string())),
    }
}

async fn delete(registry: &Registry, repository: &str, keep: &BTreeSet<String>) -> Asked<()> {
    let ours = |tag: &String| tag.starts_with("files-") || tag.starts_with("build-");
    let mut gone = BTreeSet::new();
    for tag in registry.tags(repository).await?.iter().filter(|tag| ours(tag)) {
        let Some(digest) = registry.digest(repository, tag).await? else { continue };
        if !keep.contains(&digest) && gone.insert(digest.clone()) {
            registry.delete_manifest(repository, &digest).await?;
        }
    }
    Ok(())
}
