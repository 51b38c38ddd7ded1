//! Images, network and volumes: got ready before anything is started, and kept as the update's resolution.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::load::Work;
use super::run::{Halt, Run};
use super::words;
use crate::domain::plan::Plan;
use crate::domain::update::Step;
use crate::domain::workload::{Image, Source};
use crate::domain::{Error, Kind};
use crate::engine::{PrepareRequest, Resolution};
use crate::reconcile::definition::Definition;
use crate::store;

impl Run {
    /// Has the engine get everything ready. Nothing is started, so being cut off here leaves nothing to take back but
    /// an empty network.
    pub(super) async fn prepare(&self, work: &Work) -> Result<Definition, Halt> {
        self.journal.begin(Step::Prepare);
        let request = PrepareRequest {
            plan: Arc::clone(&work.plan),
            files: self.files(&work.plan).await?,
            registries: self.shared.settings.registries.clone(),
            pinned: work.pinned.clone(),
            builder: work.builder.clone(),
        };
        let _turn = self.shared.prepares.acquire().await.map_err(Error::internal)?;
        self.interrupted()?;
        self.prepared.store(true, Ordering::Relaxed);
        let resolution = tokio::select! {
            resolution = work.engine.prepare(&request, &self.journal) => resolution,
            halt = self.interruption() => return Err(halt),
        };
        let mut resolution = resolution.map_err(|error| self.engine_halt(error))?;
        keep_running(work, &mut resolution);
        let definition = Definition::new(self.update.number, Arc::clone(&work.plan), resolution);
        if !definition.is_resolved() {
            let failure = words::failure(
                "engine_refused",
                Step::Prepare,
                "the engine prepared fewer images than the plan has services",
                "Retry; if it stays, look at the server's log.",
            );
            return Err(Halt::Failed(failure));
        }
        self.keep(&definition.resolution);
        let images = words::count(work.plan.to_prepare().count(), "image");
        self.journal.done(format!("{images} ready."));
        Ok(definition)
    }

    /// Writes the resolution behind the run, for a process that has to take over; the switch writes it once more.
    fn keep(&self, resolution: &Resolution) {
        let (id, number, resolution) =
            (self.update.deployment.clone(), self.update.number, store::row::json(resolution));
        drop(self.shared.store.write(move |tx| store::update::set_resolution(tx, &id, number, &resolution)));
    }

    async fn files(&self, plan: &Plan) -> Result<Option<PathBuf>, Halt> {
        if !needs_files(plan) {
            return Ok(None);
        }
        let limits = self.shared.settings.archive_limits;
        let folder = self.shared.blobs.unpack(&plan.bundle, limits).await;
        folder.map(Some).map_err(|error| self.bundle_halt(plan, error))
    }

    /// What it means that a bundle's files can't be had.
    pub(super) fn bundle_halt(&self, plan: &Plan, error: Error) -> Halt {
        if error.kind == Kind::Unavailable || error.kind == Kind::Internal {
            return Halt::Store(error);
        }
        Halt::Failed(words::failure(
            "bundle_gone",
            self.journal.step(),
            format!("the files of bundle {} can't be read: {}", plan.version, error.message),
            "Publish the bundle again under another version and update to that.",
        ))
    }
}

/// Of a run of tests: what runs is what it is, and is not made ready anew.
fn keep_running(work: &Work, resolution: &mut Resolution) {
    let Some(running) = work.running.as_ref().filter(|_| !work.plan.testing.is_empty()) else { return };
    let images = &running.resolution.images;
    let others = images.iter().filter(|(name, _)| !work.plan.testing.contains(*name));
    resolution.images.extend(others.map(|(name, image)| (name.clone(), image.clone())));
}

fn needs_files(plan: &Plan) -> bool {
    let workload = &plan.workload;
    let from_bundle = |source: &Source| matches!(source, Source::BundleFile(_));
    plan.to_prepare()
        .any(|(_, service)| !service.files.is_empty() || matches!(service.image, Image::Build(_)))
        || workload.secrets.values().chain(workload.configs.values()).any(from_bundle)
}
