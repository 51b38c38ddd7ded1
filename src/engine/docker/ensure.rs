//! Making a service's replicas exist and run.
//!
//! One list call finds what is there; each fresh replica then takes three calls: create, inspect, start. Replicas are
//! worked on side by side. A container that another attempt made is found by its name and adopted when its labels say
//! that it is the very same slot.

use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ContainerUpdateBody};
use bollard::query_parameters::CreateContainerOptions;
use futures_util::stream::{StreamExt, TryStreamExt, iter};

use crate::engine::docker::client::{CHANGE, INSPECT, START};
use crate::engine::docker::observe::{Drift, Seen};
use crate::engine::docker::{Core, error, spec, verify};
use crate::engine::slots::{self, Found};
use crate::engine::{EngineError, EngineResult, Ensured, Phase, ServiceRequest, SlotRef};

/// How many containers are worked on at a time.
const AT_ONCE: usize = 8;
/// How often, and how far apart, a container is looked for whose name is taken.
const ADOPT_TRIES: u32 = 40;
const ADOPT_PAUSE: Duration = Duration::from_millis(50);

impl Core {
    pub(super) async fn ensure_service(&self, request: &ServiceRequest) -> EngineResult<Ensured> {
        let seen = self.service_slots(&request.workload, &request.name).await?;
        let found: Vec<Found> = seen.iter().map(found).collect();
        let steps = slots::decide(request, &found);
        all(steps.stop.iter().map(|slot| self.stop_kept(slot)).collect()).await?;
        let serves = steps.superseded.is_empty();
        let kept = seen.iter().filter(|one| steps.keep.contains(&one.state.slot));
        all(kept.map(|one| self.repair(request, one, serves)).collect()).await?;
        let mut fresh: Vec<SlotRef> = steps.start.clone();
        all(steps.replace.iter().map(|slot| self.remove(slot)).collect()).await?;
        let known = |slot: &SlotRef| seen.iter().find(|one| one.state.slot == *slot);
        let serve = steps.serve_at_once;
        let standing = steps.start.iter();
        all(standing.map(|slot| self.start_again(request, slot, known(slot), serve)).collect()).await?;
        let made: Vec<SlotRef> = steps.replace.iter().chain(&steps.make).cloned().collect();
        all(made.iter().map(|slot| self.make(request, slot, serve)).collect()).await?;
        fresh.extend(made);
        fresh.sort();
        let mut wanted: Vec<SlotRef> = steps.keep.into_iter().chain(fresh.iter().cloned()).collect();
        wanted.sort();
        Ok(Ensured {
            slots: wanted,
            fresh,
            stopped: steps.stop.into_iter().chain(steps.stopped).collect(),
            superseded: steps.superseded,
        })
    }

    /// Makes, checks and starts one container.
    async fn make(&self, request: &ServiceRequest, slot: &SlotRef, serve: bool) -> EngineResult<()> {
        let body = spec::container(request, slot.index, serve, self.setting().await?)?;
        let name = self.names.container(slot);
        self.create(request, slot, &name, &body).await?;
        self.finish(request, slot, &name, &body).await
    }

    /// Creates a container, or finds that it was created before.
    async fn create(
        &self,
        request: &ServiceRequest,
        slot: &SlotRef,
        name: &str,
        body: &ContainerCreateBody,
    ) -> EngineResult<()> {
        let options = CreateContainerOptions { name: Some(name.to_owned()), ..Default::default() };
        let docker = self.client.docker().await?;
        let creating = docker.create_container(Some(options), body.clone());
        match tokio::time::timeout(CHANGE, creating).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(taken)) if error::is_conflict(&taken) => self.adopt(slot, name).await,
            Ok(Err(other)) => Err(match self.client.failure(other) {
                missing if error::names_missing_image(&missing) => EngineError::ImageNotFound {
                    image: request.image.reference.clone(),
                    detail: "it was there when the update was prepared and is gone now; try again".into(),
                },
                other => other,
            }),
            Err(_) => Err(super::client::timeout("making a container", CHANGE)),
        }
    }

    /// A container of the wanted name is there: ours only when every label of the slot matches. One that another
    /// attempt is just making has its name before it can be seen.
    async fn adopt(&self, slot: &SlotRef, name: &str) -> EngineResult<()> {
        for _ in 0..ADOPT_TRIES {
            if let Some(container) = self.inspect(name).await? {
                let labels = container.config.and_then(|config| config.labels);
                let found = labels.and_then(|labels| self.names.slot(&labels));
                let same = found.is_some_and(|found| found == *slot);
                return if same { Ok(()) } else { Err(EngineError::NameTaken { name: name.to_owned() }) };
            }
            tokio::time::sleep(ADOPT_PAUSE).await;
        }
        let what = format!("the name {name} is held by a container that is being made or removed; try again");
        Err(EngineError::Refused(what))
    }

    /// From created to started: its files, the check against what was asked, the start.
    async fn finish(
        &self,
        request: &ServiceRequest,
        slot: &SlotRef,
        name: &str,
        body: &ContainerCreateBody,
    ) -> EngineResult<()> {
        let Some(made) = self.inspect(name).await? else {
            return Err(EngineError::Refused(format!(
                "container {name} was removed while it was being made"
            )));
        };
        if is_up(&made) {
            return Ok(());
        }
        let differences = verify::differences(body, &made);
        if !differences.is_empty() {
            return Err(EngineError::StartFailed {
                service: slot.service.to_string(),
                detail: format!(
                    "the engine made it differently from what was asked, so it was not started: {}",
                    differences.join("; ")
                ),
            });
        }
        self.put_files(name, request).await?;
        self.start(slot, name).await
    }

    /// Starts a slot that is there: one that an attempt left behind unstarted is finished, others just start.
    async fn start_again(
        &self,
        request: &ServiceRequest,
        slot: &SlotRef,
        seen: Option<&Seen>,
        serve: bool,
    ) -> EngineResult<()> {
        let name = self.names.container(slot);
        match seen.map(|one| &one.state.phase) {
            Some(Phase::Created) => {
                let body = spec::container(request, slot.index, serve, self.setting().await?)?;
                match self.finish(request, slot, &name, &body).await {
                    // Left behind by a request of another kind: made anew.
                    Err(EngineError::StartFailed { .. }) => {
                        self.remove(slot).await?;
                        self.make(request, slot, serve).await
                    }
                    done => done,
                }
            }
            Some(Phase::Paused) => {
                self.client
                    .call("waking a container", CHANGE, |docker| async move {
                        docker.unpause_container(&name).await
                    })
                    .await
            }
            _ => {
                if let Some(one) = seen {
                    self.repair(request, one, serve).await?;
                }
                self.start(slot, &name).await
            }
        }
    }

    /// Starts a container; one that lost its address to another while it was stopped gets a new one.
    pub(super) async fn start(&self, slot: &SlotRef, container: &str) -> EngineResult<()> {
        let start = || {
            self.client.call("starting a container", START, |docker| async move {
                docker.start_container(container, None).await
            })
        };
        let mut started = start().await;
        if started.as_ref().is_err_and(error::is_address_taken)
            && let Some(seen) = self.find(slot).await?
        {
            let aliases = vec![slot.service.to_string()];
            self.rejoin(container, &seen.expected.network, aliases, None).await?;
            started = start().await;
        }
        started.map_err(|error| error::start_failed(slot.service.as_str(), error))
    }

    /// Puts right what somebody changed by hand on a slot that stays.
    async fn repair(&self, request: &ServiceRequest, seen: &Seen, serve: bool) -> EngineResult<()> {
        let id = seen.state.engine_id.as_str();
        for drift in &seen.drift {
            match drift {
                Drift::Limits => self.restore_limits(seen).await?,
                Drift::Detached => {
                    let aliases = if serve { vec![request.name.to_string()] } else { Vec::new() };
                    self.join(id, &seen.expected.network, aliases, None).await?;
                }
                Drift::Renamed => {
                    let options = bollard::query_parameters::RenameContainerOptions {
                        name: self.names.container(&seen.state.slot),
                    };
                    self.client
                        .call("renaming a container", CHANGE, |docker| async move {
                            docker.rename_container(id, options).await
                        })
                        .await?;
                }
                Drift::Joined => self.leave_others(id, &seen.expected.network).await?,
                // Such a slot is replaced, not kept.
                Drift::Image => {}
            }
        }
        Ok(())
    }

    async fn restore_limits(&self, seen: &Seen) -> EngineResult<()> {
        let expected = &seen.expected;
        let update = ContainerUpdateBody {
            memory: Some(expected.memory),
            memory_swap: Some(if expected.memory == 0 { -1 } else { expected.memory }),
            nano_cpus: Some(expected.nano_cpus),
            pids_limit: Some(expected.pids),
            ..Default::default()
        };
        let id = seen.state.engine_id.as_str();
        let restored =
            self.client
                .call("restoring limits", CHANGE, |docker| async move {
                    docker.update_container(id, update).await
                })
                .await;
        restored.map(|_| ())
    }

    async fn leave_others(&self, id: &str, own: &str) -> EngineResult<()> {
        let Some(container) = self.inspect(id).await? else {
            return Ok(());
        };
        let networks = container.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        for other in networks.keys().filter(|name| *name != own) {
            self.leave(id, other).await?;
        }
        Ok(())
    }

    /// A container by name or id; `None` when there is none.
    pub(super) async fn inspect(&self, container: &str) -> EngineResult<Option<ContainerInspectResponse>> {
        let docker = self.client.docker().await?;
        match tokio::time::timeout(INSPECT, docker.inspect_container(container, None)).await {
            Ok(Ok(found)) => Ok(Some(found)),
            Ok(Err(missing)) if error::is_missing(&missing) => Ok(None),
            Ok(Err(other)) => Err(self.client.failure(other)),
            Err(_) => Err(super::client::timeout("inspecting a container", INSPECT)),
        }
    }

    /// Inspects containers, some side by side; those that are gone or not ours are left out.
    pub(super) async fn inspect_all(&self, ids: Vec<String>) -> EngineResult<Vec<Seen>> {
        let inspections: Vec<_> = ids.iter().map(|id| self.inspect(id)).collect();
        let found: Vec<Option<ContainerInspectResponse>> =
            iter(inspections).buffered(AT_ONCE).try_collect().await?;
        let ours = found.into_iter().flatten();
        Ok(ours.filter_map(|container| super::observe::read(&self.names, container)).collect())
    }
}

/// Works some side by side and sees all of them to their end; the first failure is the answer.
pub(super) async fn all<F>(work: Vec<F>) -> EngineResult<()>
where
    F: Future<Output = EngineResult<()>>,
{
    let results: Vec<EngineResult<()>> = iter(work).buffer_unordered(AT_ONCE).collect().await;
    results.into_iter().collect()
}

fn found(seen: &Seen) -> Found {
    let exchanged = seen.drift.contains(&Drift::Image);
    Found {
        slot: seen.state.slot.clone(),
        phase: if exchanged { Phase::Dead } else { seen.state.phase.clone() },
        serving: seen.state.serving,
    }
}

fn is_up(container: &ContainerInspectResponse) -> bool {
    container.state.as_ref().is_some_and(|state| state.running == Some(true))
}
