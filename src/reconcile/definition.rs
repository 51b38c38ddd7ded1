//! What an engine was, or is to be, asked for: an update's frozen plan and the images that preparing found for it.
//! Slots belong to a definition by their derived identity alone, so that every process comes to the same answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;

use crate::domain::Result;
use crate::domain::name::{DeploymentId, ServiceName};
use crate::domain::plan::Plan;
use crate::domain::workload::ServiceKind;
use crate::engine::{Resolution, SlotRef, slot_hash};
use crate::reconcile::table::{self, Seen};
use crate::store;

/// A plan with its resolution.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The update that it belongs to.
    pub number: u32,
    pub plan: Arc<Plan>,
    pub resolution: Resolution,
    hashes: BTreeMap<ServiceName, String>,
}

impl Definition {
    /// Derives the hash of every service whose image is known.
    pub fn new(number: u32, plan: Arc<Plan>, resolution: Resolution) -> Self {
        let hash = |name: &ServiceName| {
            let image = resolution.images.get(name)?;
            Some((name.clone(), slot_hash(&plan.template_hash(name)?, &image.id)))
        };
        let hashes = plan.workload.services.keys().filter_map(hash).collect();
        Self { number, plan, resolution, hashes }
    }

    /// The definition of an update, read back; `None` when the update is gone or was never prepared.
    ///
    /// # Errors
    /// What SQLite says; a plan or resolution that can't be read.
    pub fn load(db: &Connection, deployment: &DeploymentId, number: u32) -> Result<Option<Self>> {
        let plan = store::update::plan(db, deployment, number)?;
        let resolution = store::update::resolution(db, deployment, number)?;
        let (Some(plan), Some(resolution)) = (plan, resolution) else {
            return Ok(None);
        };
        let resolution = serde_json::from_str(&resolution).map_err(crate::domain::Error::internal)?;
        Ok(Some(Self::new(number, Arc::new(plan), resolution)))
    }

    /// The hash of a service's slots; `None` before its image is known.
    pub fn hash(&self, service: &ServiceName) -> Option<&str> {
        self.hashes.get(service).map(String::as_str)
    }

    /// Whether the service runs to its end.
    pub fn is_task(&self, service: &ServiceName) -> bool {
        let service = self.plan.workload.services.get(service);
        service.is_some_and(|service| service.kind == ServiceKind::Task)
    }

    /// Whether a service of it says where it answers for its health.
    pub fn answers_for_health(&self) -> bool {
        self.plan.workload.services.values().any(|service| service.health.is_some())
    }

    /// How many replicas of the service are wanted.
    pub fn replicas(&self, service: &ServiceName) -> u32 {
        match self.plan.workload.services.get(service) {
            Some(service) if !self.plan.enabled || service.replicas == 0 => 0,
            Some(service) if service.kind == ServiceKind::Task => 1,
            Some(service) => service.replicas,
            None => 0,
        }
    }

    /// How many replicas of the service are wanted now: as an autoscaler has it, where one sets the number.
    pub fn replicas_now(&self, service: &ServiceName, slots: &[Arc<Seen>]) -> u32 {
        let planned = self.replicas(service);
        let hash = self.hash(service).filter(|_| planned > 0);
        hash.and_then(|hash| table::autoscaled(slots, service, hash)).unwrap_or(planned)
    }

    /// The slots of one service that are wanted now.
    pub fn slots_now<'a>(
        &'a self,
        service: &'a ServiceName,
        slots: &[Arc<Seen>],
    ) -> impl Iterator<Item = SlotRef> + use<'a> {
        self.slots_below(service, self.replicas_now(service, slots))
    }

    /// Whether the slot is one of those wanted now.
    pub fn wants_now(&self, slot: &SlotRef, slots: &[Arc<Seen>]) -> bool {
        slot.workload == self.plan.deployment
            && self.hash(&slot.service) == Some(slot.hash.as_str())
            && slot.index < self.replicas_now(&slot.service, slots)
    }

    /// The slots of one service.
    pub fn slots_of<'a>(&'a self, service: &'a ServiceName) -> impl Iterator<Item = SlotRef> + 'a {
        self.slots_below(service, self.replicas(service))
    }

    fn slots_below<'a>(
        &'a self,
        service: &'a ServiceName,
        replicas: u32,
    ) -> impl Iterator<Item = SlotRef> + use<'a> {
        let hash = self.hash(service);
        (0..replicas).filter_map(move |index| {
            Some(SlotRef {
                workload: self.plan.deployment.clone(),
                service: service.clone(),
                hash: hash?.to_owned(),
                index,
            })
        })
    }

    /// Every wanted slot.
    pub fn slots(&self) -> impl Iterator<Item = SlotRef> + '_ {
        self.plan.workload.services.keys().flat_map(|service| self.slots_of(service))
    }

    /// Whether the slot is one of those wanted.
    pub fn wants(&self, slot: &SlotRef) -> bool {
        slot.workload == self.plan.deployment
            && self.hash(&slot.service) == Some(slot.hash.as_str())
            && slot.index < self.replicas(&slot.service)
    }

    /// Whether every service has an image: whether nothing is missing from [`Definition::slots`].
    pub fn is_resolved(&self) -> bool {
        self.plan.workload.services.keys().all(|name| self.hashes.contains_key(name))
    }
}

/// Definitions for tests.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::domain::bundle::Digest;
    use crate::domain::policy::Profile;
    use crate::domain::workload::{Service, Workload};
    use crate::engine::ResolvedImage;

    /// A plan of deployment `d` with these services, every image resolved to `sha256:<name>`.
    pub fn definition<'a>(number: u32, services: impl IntoIterator<Item = (&'a str, Service)>) -> Definition {
        let services: BTreeMap<ServiceName, Service> =
            services.into_iter().map(|(name, service)| (name.parse().unwrap(), service)).collect();
        let image = |name: &ServiceName| ResolvedImage::new(format!("sha256:{name}"), name.to_string());
        let resolution = Resolution {
            images: services.keys().map(|name| (name.clone(), image(name))).collect(),
            network: "net".into(),
        };
        let plan = Plan {
            deployment: "d".parse().unwrap(),
            project: "p".parse().unwrap(),
            version: number.to_string().parse().unwrap(),
            bundle: Digest::of(b"bundle"),
            infrastructure: "i".parse().unwrap(),
            enabled: true,
            profile: Profile::Baseline,
            workload: Workload { services, ..Workload::default() },
            inputs: BTreeMap::new(),
            secrets: BTreeMap::new(),
            testing: Default::default(),
        };
        Definition::new(number, Arc::new(plan), resolution)
    }
}
