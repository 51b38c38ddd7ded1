//! The switch, and the ways down: old pods that go, revisions that come back, workloads that are left.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use kube::ResourceExt as _;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::names::{self, Map, note};
use super::spec::{self, Rollout};
use super::standing::{self, Standing};
use super::{Core, pod};
use crate::domain::name::DeploymentId;
use crate::engine::{EngineError, EngineResult, ServiceRequest, SlotRef, label};

/// Between two looks at pods that are to go.
pub(super) const PAUSE: Duration = Duration::from_millis(250);
/// How long a controller may take to see what it has to do.
pub(super) const MARGIN: Duration = Duration::from_secs(45);

impl Core {
    /// Moves the traffic, then lets the controller take away what is old.
    pub(super) async fn switch_service(&self, request: &ServiceRequest) -> EngineResult<()> {
        let name = names::object(&request.workload, &request.name);
        let found = self.find::<Deployment>(&name).await?.ok_or(EngineError::NoSuchSlot)?;
        let standing = self.standing(&found).await?.filter(|standing| standing.hash == request.hash);
        let standing = standing.ok_or(EngineError::NoSuchSlot)?;
        for service in [name.clone(), names::public(&request.workload, &request.name)] {
            self.point(&service, &request.hash).await?;
        }
        let replicas = if standing.autoscaled { standing.replicas } else { request.service.replicas };
        let settled = standing.serving == request.hash
            && !standing.held
            && standing.previous.is_none()
            && standing.replicas == replicas;
        if settled {
            return Ok(());
        }
        let notes = json!({ note::SERVING: request.hash, note::PREVIOUS: null });
        self.settle(&name, replicas, notes).await
    }

    /// Releases the hold, and notes how the Deployment was left.
    async fn settle(&self, name: &str, replicas: u32, notes: serde_json::Value) -> EngineResult<()> {
        let released = json!({
            "metadata": { "annotations": notes },
            "spec": { "minReadySeconds": 0, "progressDeadlineSeconds": spec::PROGRESS_SECONDS, "replicas": replicas },
        });
        let after = self.merge::<Deployment>(name, &released).await?;
        self.note_applied(name, &standing::applied(&after)).await
    }

    /// Has a Service lead to the pods of a hash.
    async fn point(&self, name: &str, hash: &str) -> EngineResult<()> {
        let Some(service) = self.find::<Service>(name).await? else {
            return Ok(());
        };
        let selects = service.spec.and_then(|spec| spec.selector?.get(label::HASH).cloned());
        if selects.as_deref() == Some(hash) {
            return Ok(());
        }
        let selector = json!({ "spec": { "selector": { label::HASH: hash } } });
        self.merge::<Service>(name, &selector).await.map(drop)
    }

    pub(super) async fn retire_slot(&self, slot: &SlotRef) -> EngineResult<()> {
        self.remove::<Job>(&names::of_hash(&slot.workload, &slot.service, &slot.hash)).await?;
        let name = names::object(&slot.workload, &slot.service);
        let found = self.find::<Deployment>(&name).await?;
        let standing = match &found {
            Some(found) => self.standing(found).await?,
            None => None,
        };
        let standing = standing.filter(|standing| standing.hash == slot.hash);
        let mut stay = 0;
        if let (Some(found), Some(standing)) = (&found, standing) {
            let unsettled = standing.previous.clone().filter(|(hash, _)| *hash != slot.hash);
            match unsettled {
                Some((hash, replicas)) => self.bring_back(found, &standing, &hash, replicas).await?,
                None if slot.index == 0 => self.remove::<Deployment>(&name).await?,
                // The autoscaler's to take away.
                None if standing.autoscaled => return Ok(()),
                None => {
                    stay = slot.index.min(standing.replicas);
                    if stay < standing.replicas {
                        let notes = json!({ note::SERVING: standing.serving });
                        self.settle(&name, stay, notes).await?;
                    }
                }
            }
        }
        self.wait_for_pods(slot, stay).await?;
        if stay == 0 {
            // A roll back to this revision prepares them anew.
            let own = names::of_hash(&slot.workload, &slot.service, &slot.hash);
            self.remove::<Secret>(&own).await?;
            self.remove::<ConfigMap>(&own).await?;
        }
        if found.is_none() { self.remove_addresses(slot).await } else { Ok(()) }
    }

    /// Removes what led to a task's pod, unless it leads to its successor by now.
    async fn remove_addresses(&self, slot: &SlotRef) -> EngineResult<()> {
        let own = names::object(&slot.workload, &slot.service);
        let service = self.find::<Service>(&own).await?;
        let selects = service.and_then(|service| service.spec?.selector?.get(label::HASH).cloned());
        if selects.as_deref() != Some(slot.hash.as_str()) {
            return Ok(());
        }
        let public = names::public(&slot.workload, &slot.service);
        self.remove::<Ingress>(&public).await?;
        self.remove::<Service>(&public).await?;
        self.remove::<Service>(&own).await
    }

    /// Waits until all but `stay` pods of the slot's hash were told to end; that they do is the kubelet's promise.
    async fn wait_for_pods(&self, slot: &SlotRef, stay: u32) -> EngineResult<()> {
        let mut labels = names::service_labels(&self.instance, &slot.workload, &slot.service);
        labels.insert(label::HASH.into(), slot.hash.clone());
        let began = Instant::now();
        loop {
            let (pods, _) = self.list::<Pod>(&labels).await?;
            let left = pods.iter().filter(|pod| !pod::is_leaving(pod)).count();
            if left <= stay as usize {
                return Ok(());
            }
            if began.elapsed() > MARGIN {
                return Err(EngineError::Timeout {
                    what: format!("the controller to end {left} pods of {}", slot.service),
                    seconds: MARGIN.as_secs(),
                });
            }
            sleep(PAUSE).await;
        }
    }

    /// Makes a Deployment what it was: its controller keeps the templates of earlier revisions.
    async fn bring_back(
        &self,
        found: &Deployment,
        standing: &Standing,
        hash: &str,
        replicas: u32,
    ) -> EngineResult<()> {
        let mut labels: Map = found.metadata.labels.clone().unwrap_or_default();
        labels.insert(label::HASH.into(), hash.to_owned());
        let (sets, _) = self.list::<ReplicaSet>(&labels).await?;
        let number = |set: &ReplicaSet| {
            set.annotations()
                .get("deployment.kubernetes.io/revision")
                .and_then(|text| text.parse::<u64>().ok())
        };
        let kept = sets.iter().max_by_key(|set| number(set)).and_then(|set| set.spec.template.clone());
        let Some(mut template) = kept else {
            return Err(EngineError::Refused(format!(
                "revision {hash} of {} is no longer kept by the cluster; roll back to it by an update",
                found.name_any()
            )));
        };
        if let Some(labels) = template.metadata.as_mut().and_then(|metadata| metadata.labels.as_mut()) {
            labels.remove("pod-template-hash");
        }
        let rollout = Rollout {
            replicas,
            held: false,
            serving: hash.to_owned(),
            previous: None,
            // Pods of the old revision come back before those of the new one go, unless both would write a volume.
            stop_first: is_stop_first(found),
        };
        for service in addresses(found) {
            self.point(&service, hash).await?;
        }
        let before = spec::again(found, template, &rollout);
        self.apply_deployment(Some(found), before, standing.autoscaled).await
    }

    pub(super) async fn revive_slots(&self, slots: &[SlotRef]) -> EngineResult<()> {
        let mut wanted: std::collections::BTreeMap<(String, &str), u32> = std::collections::BTreeMap::new();
        for slot in slots {
            let key = (names::object(&slot.workload, &slot.service), slot.hash.as_str());
            let replicas = wanted.entry(key).or_default();
            *replicas = (*replicas).max(slot.index + 1);
        }
        for ((name, hash), replicas) in wanted {
            let Some(found) = self.find::<Deployment>(&name).await? else { continue };
            let Some(standing) = self.standing(&found).await? else { continue };
            if standing.hash != hash {
                let replicas = standing.autoscaled_to(hash).unwrap_or(replicas);
                self.bring_back(&found, &standing, hash, replicas).await?;
            } else if standing.replicas < replicas && !standing.autoscaled {
                let notes = json!({ note::SERVING: hash, note::PREVIOUS: null });
                self.settle(&name, replicas, notes).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn release_workload(&self, workload: &DeploymentId, volumes: bool) -> EngineResult<()> {
        let labels = names::workload_labels(&self.instance, workload);
        let (pods, _) = self.list::<Pod>(&labels).await?;
        let stay = pods.iter().filter(|pod| !pod::is_leaving(pod)).count();
        let makers =
            self.list::<Deployment>(&labels).await?.0.len() + self.list::<Job>(&labels).await?.0.len();
        let left = stay.max(makers);
        if left > 0 {
            return Err(EngineError::Refused(format!("{left} replicas of {workload} are left")));
        }
        self.remove_all::<Ingress>(&labels).await?;
        self.remove_all::<Service>(&labels).await?;
        self.remove_all::<NetworkPolicy>(&labels).await?;
        self.remove_all::<Secret>(&labels).await?;
        self.remove_all::<ConfigMap>(&labels).await?;
        if volumes {
            self.remove_all::<PersistentVolumeClaim>(&labels).await?;
        }
        Ok(())
    }
}

/// The names of the Services that lead to a Deployment's pods.
fn addresses(found: &Deployment) -> Vec<String> {
    let noted = |key: &str| found.annotations().get(key);
    let workload = noted(note::WORKLOAD).and_then(|text| text.parse().ok());
    let service = noted(note::SERVICE).and_then(|text| text.parse().ok());
    match (workload, service) {
        (Some(workload), Some(service)) => {
            vec![names::object(&workload, &service), names::public(&workload, &service)]
        }
        _ => Vec::new(),
    }
}

fn is_stop_first(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref());
    strategy == Some("Recreate")
}
