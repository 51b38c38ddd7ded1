//! What a reference means to its registry.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;

use super::failure::{Asked, Failure};
use super::manifest::{self, Manifest};
use super::name::{Name, Place};
use super::registry::Registry;
use crate::domain::workload::Protocol;

/// An image that a registry has.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) place: Place,
    /// Of an index it is the index: nodes choose.
    pub(super) manifest: Manifest,
    pub(super) exposed: BTreeSet<(u16, Protocol)>,
}

/// One image of an index, or the only one.
pub(super) struct Platform {
    pub(super) manifest: Manifest,
    pub(super) config: Bytes,
    /// Its entry, where there is an index.
    pub(super) entry: Option<Value>,
}

impl Found {
    /// Asks the registry of `name`.
    pub(super) async fn ask(registry: &Registry, name: &Name) -> Asked<Self> {
        let manifest = registry.manifest(&name.place.repository, &name.version).await?;
        let mut found = Self { place: name.place.clone(), manifest, exposed: BTreeSet::new() };
        let first = match found.manifest.linux().first() {
            Some(entry) => Some((*entry).clone()),
            None if found.manifest.is_index() => {
                return Err(Failure::Missing("it has no image for Linux".into()));
            }
            None => None,
        };
        let platform = found.platform(registry, first).await?;
        found.exposed = manifest::exposed(&platform.config);
        Ok(found)
    }

    /// `host/name@sha256:…`
    pub(super) fn pull_digest(&self) -> String {
        self.place.at(&self.manifest.digest)
    }

    /// Every image for Linux that nodes may choose.
    pub(super) async fn platforms(&self, registry: &Registry) -> Asked<Vec<Platform>> {
        if !self.manifest.is_index() {
            return Ok(vec![self.platform(registry, None).await?]);
        }
        let mut platforms = Vec::new();
        for entry in self.manifest.linux() {
            platforms.push(self.platform(registry, Some(entry.clone())).await?);
        }
        Ok(platforms)
    }

    async fn platform(&self, registry: &Registry, entry: Option<Value>) -> Asked<Platform> {
        let repository = &self.place.repository;
        let manifest = match &entry {
            None => self.manifest.clone(),
            Some(entry) => registry.manifest(repository, &manifest::entry_digest(entry)?).await?,
        };
        if manifest.is_index() {
            return Err(Failure::Refused("its index leads to another index".into()));
        }
        let config = registry.small_blob(repository, &manifest.config()?.digest).await?;
        Ok(Platform { manifest, config, entry })
    }
}
