//! Finding this instance's containers, and stopping, removing and switching them.
//!
//! A container is ours by its labels, whatever its name; nothing else is stopped, removed or changed.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptions, RemoveContainerOptions, StopContainerOptions};

use crate::domain::name::{DeploymentId, ServiceName};
use crate::domain::workload::ServiceKind;
use crate::engine::docker::client::{ASK, CHANGE};
use crate::engine::docker::ensure::all;
use crate::engine::docker::observe::Seen;
use crate::engine::docker::{Core, error};
use crate::engine::{EngineError, EngineResult, Phase, ServiceRequest, SlotRef, label};

/// How much longer than its grace period a stop may take.
const STOP_SLACK: Duration = Duration::from_secs(30);

impl Core {
    /// Containers of this instance that bear all of `labels` as well, running or not.
    pub(super) async fn list(&self, labels: &[(&str, &str)]) -> EngineResult<Vec<ContainerSummary>> {
        let own = (label::INSTANCE, self.names.instance());
        let wanted = std::iter::once(&own).chain(labels);
        let wanted = wanted.map(|(key, value)| format!("{key}={value}")).collect();
        let options = ListContainersOptions {
            all: true,
            filters: Some(HashMap::from([("label".to_owned(), wanted)])),
            ..Default::default()
        };
        self.client
            .call("the list of containers", ASK, |docker| async move {
                docker.list_containers(Some(options)).await
            })
            .await
    }

    /// Every slot of a service, inspected; of two containers of one slot the one that bears its name.
    pub(super) async fn service_slots(
        &self,
        workload: &DeploymentId,
        service: &ServiceName,
    ) -> EngineResult<Vec<Seen>> {
        let labels = [(label::WORKLOAD, workload.as_str()), (label::SERVICE, service.as_str())];
        let listed = self.list(&labels).await?;
        let ids = listed.into_iter().filter_map(|one| one.id).collect();
        Ok(one_each(self.inspect_all(ids).await?))
    }

    /// The container of a slot: by its name, else by its labels.
    pub(super) async fn find(&self, slot: &SlotRef) -> EngineResult<Option<Seen>> {
        let named = self.inspect(&self.names.container(slot)).await?;
        let read = named.and_then(|container| super::observe::read(&self.names, container));
        if let Some(seen) = read.filter(|seen| seen.state.slot == *slot) {
            return Ok(Some(seen));
        }
        let index = slot.index.to_string();
        let labels = [
            (label::WORKLOAD, slot.workload.as_str()),
            (label::SERVICE, slot.service.as_str()),
            (label::HASH, slot.hash.as_str()),
            (label::SLOT, index.as_str()),
        ];
        let listed = self.list(&labels).await?;
        let ids = listed.into_iter().filter_map(|one| one.id).collect();
        Ok(self.inspect_all(ids).await?.pop())
    }

    /// The container of a slot, which must be there.
    pub(super) async fn found(&self, slot: &SlotRef) -> EngineResult<Seen> {
        self.find(slot).await?.ok_or(EngineError::NoSuchSlot)
    }

    /// Stops a slot's container and keeps it.
    pub(super) async fn stop_kept(&self, slot: &SlotRef) -> EngineResult<()> {
        match self.find(slot).await? {
            Some(seen) => self.stop(&seen).await,
            None => Ok(()),
        }
    }

    async fn stop(&self, seen: &Seen) -> EngineResult<()> {
        let id = seen.state.engine_id.as_str();
        if seen.state.phase == Phase::Paused {
            // A paused process can't act on the stop signal.
            let woken = self.client.call("waking a container", CHANGE, |docker| async move {
                docker.unpause_container(id).await
            });
            gone_is_fine(woken.await)?;
        }
        let docker = self.client.docker().await?;
        let limit = Duration::from_secs(seen.stop_timeout) + STOP_SLACK;
        let stopping = docker.stop_container(id, None::<StopContainerOptions>);
        match tokio::time::timeout(limit, stopping).await {
            Ok(Err(missing)) if error::is_missing(&missing) => Ok(()),
            Ok(done) => done.map_err(|error| self.client.failure(error)),
            Err(_) => Err(super::client::timeout("stopping a container", limit)),
        }
    }

    /// Removes a slot's container at once, with the volumes that are its alone.
    pub(super) async fn remove(&self, slot: &SlotRef) -> EngineResult<()> {
        match self.find(slot).await? {
            Some(seen) => self.remove_seen(&seen).await,
            None => Ok(()),
        }
    }

    async fn remove_seen(&self, seen: &Seen) -> EngineResult<()> {
        let options = RemoveContainerOptions { v: true, force: true, ..Default::default() };
        let id = seen.state.engine_id.as_str();
        let docker = self.client.docker().await?;
        match tokio::time::timeout(CHANGE, docker.remove_container(id, Some(options))).await {
            Ok(Err(missing)) if error::is_missing(&missing) => Ok(()),
            // Another removal of it is under way.
            Ok(Err(conflict)) if error::is_conflict(&conflict) => Ok(()),
            Ok(done) => done.map_err(|error| self.client.failure(error)),
            Err(_) => Err(super::client::timeout("removing a container", CHANGE)),
        }
    }

    pub(super) async fn retire_slot(&self, slot: &SlotRef) -> EngineResult<()> {
        let Some(seen) = self.find(slot).await? else {
            return Ok(());
        };
        if !matches!(seen.state.phase, Phase::Created | Phase::Exited { .. } | Phase::Dead) {
            self.stop(&seen).await?;
        }
        self.remove_seen(&seen).await
    }

    pub(super) async fn revive_slot(&self, slot: &SlotRef) -> EngineResult<()> {
        let Some(seen) = self.find(slot).await? else {
            return Ok(());
        };
        match seen.state.phase {
            Phase::Created | Phase::Exited { .. } => self.start(slot, &seen.state.engine_id).await,
            _ => Ok(()),
        }
    }

    pub(super) async fn switch_service(&self, request: &ServiceRequest) -> EngineResult<()> {
        if !request.has_peers || super::spec::on_host_network(&request.service) {
            return Ok(());
        }
        let replicas = match request.service.kind {
            ServiceKind::Task => 1,
            ServiceKind::Replicated => request.service.replicas,
        };
        let seen = self.service_slots(&request.workload, &request.name).await?;
        let is_wanted = |one: &Seen| one.state.slot.hash == request.hash && one.state.slot.index < replicas;
        let (wanted, others): (Vec<Seen>, Vec<Seen>) = seen.into_iter().partition(is_wanted);
        if wanted.len() < replicas as usize {
            return Err(EngineError::NoSuchSlot);
        }
        all(wanted.iter().map(|one| self.set_serving(one, true)).collect()).await?;
        // Nobody shall find them any more, so that they can be stopped without a request lost.
        all(others.iter().map(|one| self.set_serving(one, false)).collect()).await
    }

    async fn set_serving(&self, seen: &Seen, serving: bool) -> EngineResult<()> {
        let up = matches!(seen.state.phase, Phase::Starting | Phase::Running | Phase::Unhealthy);
        if seen.state.serving == serving || (!serving && !up) || seen.expected.network.is_empty() {
            return Ok(());
        }
        let aliases = if serving { vec![seen.state.slot.service.to_string()] } else { Vec::new() };
        let address = seen.address.clone();
        let moved = self.rejoin(&seen.state.engine_id, &seen.expected.network, aliases, address);
        gone_is_fine(moved.await)
    }
}

/// Of two containers of one slot (somebody copied one by hand) the one that bears the slot's name.
pub(super) fn one_each(mut seen: Vec<Seen>) -> Vec<Seen> {
    use crate::engine::docker::observe::Drift;
    seen.sort_by(|a, b| {
        let renamed = |one: &Seen| one.drift.contains(&Drift::Renamed);
        (&a.state.slot, renamed(a)).cmp(&(&b.state.slot, renamed(b)))
    });
    seen.dedup_by(|later, first| later.state.slot == first.state.slot);
    seen
}

fn gone_is_fine(done: EngineResult<()>) -> EngineResult<()> {
    match done {
        Err(EngineError::Refused(message))
            if message.contains("No such container") || message.contains("is not paused") =>
        {
            Ok(())
        }
        other => other,
    }
}
