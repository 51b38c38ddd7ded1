//! What a Deployment says of itself, and what has to become of it: decided without a cluster.

use k8s_openapi::api::apps::v1::Deployment;

use super::names::note;
use super::spec::Rollout;
use crate::domain::bundle::Digest;
use crate::domain::infrastructure::HostPorts;
use crate::engine::{Ensured, ServiceRequest, SlotRef, SlotState, label};

/// A service's Deployment as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// Of the pods that it makes.
    pub hash: String,
    pub replicas: u32,
    pub held: bool,
    pub serving: String,
    pub previous: Option<(String, u32)>,
    /// What was changed by hand since it was applied, in words.
    pub drift: Option<String>,
    /// Whether an autoscaler sets the number of replicas.
    pub autoscaled: bool,
}

impl Standing {
    /// Reads a Deployment of ours; `None` where it lacks what ours have. `autoscaled` says whether an autoscaler names it,
    /// where that is known.
    pub(super) fn read(deployment: &Deployment, autoscaled: Option<bool>) -> Option<Self> {
        let autoscaled = autoscaled.unwrap_or_else(|| is_scaled_by_controller(deployment));
        let spec = &deployment.spec;
        let labels = spec.template.metadata.as_ref()?.labels.as_ref()?;
        let hash = labels.get(label::HASH)?.clone();
        let notes = deployment.metadata.annotations.as_ref();
        let noted = |key: &str| notes.and_then(|notes| notes.get(key));
        let previous = noted(note::PREVIOUS).and_then(|text| {
            let (hash, replicas) = text.split_once('/')?;
            Some((hash.to_owned(), replicas.parse().ok()?))
        });
        Some(Self {
            serving: noted(note::SERVING).cloned().unwrap_or_else(|| hash.clone()),
            hash,
            replicas: spec.replicas.and_then(|replicas| u32::try_from(replicas).ok()).unwrap_or(1),
            held: spec.min_ready_seconds.unwrap_or(0) > 0,
            previous,
            drift: drift(deployment, noted(note::APPLIED), autoscaled),
            autoscaled,
        })
    }

    /// How many replicas an autoscaler wants of a hash that this Deployment makes, or made before.
    pub(super) fn autoscaled_to(&self, hash: &str) -> Option<u32> {
        let before =
            self.previous.as_ref().filter(|(before, _)| before == hash).map(|(_, replicas)| *replicas);
        let wanted = if self.hash == hash { Some(self.replicas) } else { before };
        wanted.filter(|_| self.autoscaled)
    }
}

/// What is noted of a Deployment that was just applied: its generation, a digest of what it says, and its replicas.
pub(super) fn applied(deployment: &Deployment) -> String {
    let (generation, replicas) = (deployment.metadata.generation, deployment.spec.replicas);
    format!("{}/{}/{}", generation.unwrap_or(0), spec_digest(deployment), replicas.unwrap_or(1))
}

/// A Deployment whose generation moved on since we applied it says something else, unless it was changed back.
fn drift(deployment: &Deployment, noted: Option<&String>, autoscaled: bool) -> Option<String> {
    let mut parts = noted?.split('/');
    let (generation, digest, replicas) = (parts.next()?, parts.next()?, parts.next());
    let now = deployment.metadata.generation.unwrap_or(0);
    if generation == now.to_string() {
        return None;
    }
    let hands = foreign_managers(deployment);
    let by = if hands.is_empty() { String::new() } else { format!(" by {}", hands.join(", ")) };
    if digest != spec_digest(deployment) {
        return Some(format!("its Deployment was changed by hand{by}"));
    }
    let now = deployment.spec.replicas.unwrap_or(1).to_string();
    let before = replicas.filter(|before| *before != now && !autoscaled)?;
    Some(format!("its Deployment was scaled by hand{by} from {before} to {now}"))
}

/// Replicas are left out: an autoscaler may set them.
fn spec_digest(deployment: &Deployment) -> String {
    let mut spec = deployment.spec.clone();
    spec.replicas = None;
    let text = serde_json::to_vec(&spec).unwrap_or_default();
    Digest::of(&text).as_str()[..32].to_owned()
}

/// Whether an autoscaler set the number of replicas last. Clusters before 1.21 do not note who scaled.
pub(super) fn is_scaled_by_controller(deployment: &Deployment) -> bool {
    owners(deployment).any(|(manager, fields)| {
        manager == "kube-controller-manager" && fields.pointer("/f:spec/f:replicas").is_some()
    })
}

/// Who else set something of the specification.
pub(super) fn foreign_managers(deployment: &Deployment) -> Vec<String> {
    let mut found: Vec<String> = owners(deployment)
        .filter(|(manager, fields)| {
            *manager != super::names::MANAGER
                && *manager != "kube-controller-manager"
                && fields.get("f:spec").is_some()
        })
        .map(|(manager, _)| manager.to_owned())
        .collect();
    found.dedup();
    found
}

fn owners(deployment: &Deployment) -> impl Iterator<Item = (&str, &serde_json::Value)> {
    let entries = deployment.metadata.managed_fields.iter().flatten();
    entries.filter_map(|entry| Some((entry.manager.as_deref()?, &entry.fields_v1.as_ref()?.0)))
}

/// What is applied for a service, and what `ensure` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub rollout: Rollout,
    pub ensured: Ensured,
}

/// Compares what is wanted of a replicated service with what stands and which pods there are.
pub(super) fn decide(request: &ServiceRequest, standing: Option<&Standing>, pods: &[SlotState]) -> Decision {
    let stop_first = request.service.stop_first_because(HostPorts::OfTheService).is_some();
    let wanted = standing.filter(|standing| standing.autoscaled).map(|standing| standing.replicas);
    let wanted = wanted.unwrap_or(request.service.replicas);
    let slots: Vec<SlotRef> = (0..wanted).map(|index| crate::engine::slots::slot(request, index)).collect();
    // What stands already is the controller's to keep.
    let kept =
        standing.filter(|standing| standing.hash == request.hash).map_or(0, |standing| standing.replicas);
    let fresh: Vec<SlotRef> = slots.iter().filter(|slot| slot.index >= kept).cloned().collect();
    let others: Vec<SlotRef> =
        pods.iter().map(|pod| pod.slot.clone()).filter(|slot| !slots.contains(slot)).collect();
    let first =
        Rollout { replicas: wanted, held: false, serving: request.hash.clone(), previous: None, stop_first };
    let rollout = match standing {
        None => first,
        Some(standing) if standing.hash == request.hash => Rollout {
            // Fewer are wanted only from the switch on.
            replicas: wanted.max(standing.replicas),
            held: standing.held,
            serving: standing.serving.clone(),
            previous: standing.previous.clone(),
            stop_first,
        },
        Some(standing) => {
            let back = standing.previous.clone().filter(|_| standing.serving != standing.hash || stop_first);
            let back = back.unwrap_or_else(|| (standing.serving.clone(), standing.replicas));
            let serves = pods.iter().any(|pod| pod.slot.hash == standing.serving && pod.started_at.is_some());
            let held = serves && !stop_first;
            let serving = if held { standing.serving.clone() } else { request.hash.clone() };
            Rollout { held, serving, previous: Some(back), ..first }
        }
    };
    let stopped = stopped(request, &rollout);
    let superseded = others.into_iter().filter(|slot| !stopped.contains(slot)).collect();
    Decision { ensured: Ensured { slots, fresh, stopped, superseded }, rollout }
}

/// What a stop-first rollout stopped and can bring back.
fn stopped(request: &ServiceRequest, rollout: &Rollout) -> Vec<SlotRef> {
    let Some((hash, replicas)) = rollout.previous.as_ref().filter(|(hash, _)| *hash != request.hash) else {
        return Vec::new();
    };
    if !rollout.stop_first {
        return Vec::new();
    }
    let slot = |index| SlotRef { hash: hash.clone(), ..crate::engine::slots::slot(request, index) };
    (0..*replicas).map(slot).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::workload::{Image, Service, UpdateOrder};
    use crate::engine::{Phase, ResolvedImage};

    fn request(hash: &str, replicas: u32, order: UpdateOrder) -> ServiceRequest {
        let mut service = Service::new(Image::Reference("busybox".into()));
        service.replicas = replicas;
        service.order = order;
        ServiceRequest {
            workload: "iris".parse().unwrap(),
            name: "api".parse().unwrap(),
            revision: 2,
            hash: hash.into(),
            service: Arc::new(service),
            profile: Default::default(),
            image: ResolvedImage::new("sha256:1", "busybox"),
            network: String::new(),
            has_peers: true,
            secrets: Arc::default(),
            contents: Arc::default(),
        }
    }

    fn standing(hash: &str, replicas: u32) -> Standing {
        let serving = hash.to_owned();
        Standing {
            hash: hash.into(),
            replicas,
            held: false,
            serving,
            previous: None,
            drift: None,
            autoscaled: false,
        }
    }

    fn running(request: &ServiceRequest, index: u32) -> SlotState {
        SlotState {
            slot: crate::engine::slots::slot(request, index),
            engine_id: format!("uid-{index}"),
            revision: 1,
            phase: Phase::Running,
            started_at: Some(crate::domain::clock::Timestamp::UNIX_EPOCH),
            ended_at: None,
            restarts: 0,
            detail: String::new(),
            image_id: String::new(),
            endpoints: Vec::new(),
            serving: true,
            drift: None,
            autoscaled: None,
        }
    }

    #[test]
    fn what_is_new_serves_at_once() {
        let Decision { rollout, ensured } = decide(&request("b", 2, UpdateOrder::StartFirst), None, &[]);
        assert!(!rollout.held && rollout.previous.is_none() && rollout.serving == "b");
        assert_eq!((ensured.slots.len(), ensured.fresh.len()), (2, 2));
    }

    #[test]
    fn start_first_holds_and_knows_the_way_back() {
        let old = running(&request("a", 3, UpdateOrder::StartFirst), 0);
        let wanted = request("b", 2, UpdateOrder::StartFirst);
        let Decision { rollout, ensured } =
            decide(&wanted, Some(&standing("a", 3)), std::slice::from_ref(&old));
        assert!(rollout.held && rollout.serving == "a" && !rollout.stop_first);
        assert_eq!((rollout.previous, rollout.replicas), (Some(("a".into(), 3)), 2));
        assert_eq!((ensured.superseded, ensured.stopped.len()), (vec![old.slot], 0));
    }

    #[test]
    fn a_rollout_on_top_of_one_that_was_never_switched_goes_back_to_what_serves() {
        let half =
            Standing { held: true, serving: "a".into(), previous: Some(("a".into(), 3)), ..standing("b", 2) };
        let old = running(&request("a", 3, UpdateOrder::StartFirst), 0);
        let Decision { rollout, .. } = decide(&request("c", 1, UpdateOrder::StartFirst), Some(&half), &[old]);
        assert!(rollout.held);
        assert_eq!((rollout.serving.as_str(), rollout.previous), ("a", Some(("a".into(), 3))));
    }

    #[test]
    fn stop_first_serves_at_once_and_remembers_what_it_stopped() {
        let old = running(&request("a", 1, UpdateOrder::StopFirst), 0);
        let wanted = request("b", 1, UpdateOrder::StopFirst);
        let first = decide(&wanted, Some(&standing("a", 1)), std::slice::from_ref(&old));
        assert!(first.rollout.stop_first && !first.rollout.held && first.rollout.serving == "b");
        assert_eq!((first.ensured.stopped, first.ensured.superseded.len()), (vec![old.slot.clone()], 0));
        // Cut off and asked again.
        let after = Standing { previous: first.rollout.previous, ..standing("b", 1) };
        let again = decide(&wanted, Some(&after), &[running(&wanted, 0)]);
        assert_eq!((again.ensured.stopped, again.ensured.fresh.len()), (vec![old.slot], 0));
    }

    #[test]
    fn what_an_autoscaler_set_goes_before_the_plan() {
        let scaled = Standing { autoscaled: true, ..standing("a", 3) };
        let same = decide(&request("a", 1, UpdateOrder::StartFirst), Some(&scaled), &[]);
        assert_eq!((same.rollout.replicas, same.ensured.slots.len()), (3, 3));
        let next = decide(&request("b", 5, UpdateOrder::StartFirst), Some(&scaled), &[]);
        assert_eq!((next.rollout.replicas, next.ensured.slots.len()), (3, 3));
        assert_eq!((scaled.autoscaled_to("a"), scaled.autoscaled_to("b")), (Some(3), None));
        let rolling = Standing { previous: Some(("a".into(), 3)), hash: "b".into(), ..scaled };
        assert_eq!(rolling.autoscaled_to("a"), Some(3));
        assert_eq!(standing("a", 3).autoscaled_to("a"), None);
    }

    fn scaled_by_hand(replicas: i32, autoscaled: bool) -> Option<String> {
        let labels = serde_json::json!({ "io.slipway.hash": "a" });
        let template = serde_json::json!({ "metadata": { "labels": labels } });
        let deployment = serde_json::json!({ "metadata": { "generation": 1 },
            "spec": { "replicas": 2, "selector": {}, "template": template } });
        let mut deployment: Deployment = serde_json::from_value(deployment).unwrap();
        let notes = [(note::APPLIED.to_owned(), applied(&deployment))];
        deployment.metadata.annotations = Some(notes.into());
        deployment.metadata.generation = Some(2);
        deployment.spec.replicas = Some(replicas);
        Standing::read(&deployment, Some(autoscaled)).unwrap().drift
    }

    #[test]
    fn a_hand_that_scales_is_drift_and_an_autoscaler_is_not() {
        assert_eq!(scaled_by_hand(5, true), None);
        assert_eq!(scaled_by_hand(2, false), None, "it was put back");
        let told = scaled_by_hand(5, false).unwrap();
        assert_eq!(told, "its Deployment was scaled by hand from 2 to 5");
    }

    #[test]
    fn fewer_replicas_wait_for_the_switch() {
        let wanted = request("a", 1, UpdateOrder::StartFirst);
        let pods: Vec<SlotState> = (0..3).map(|index| running(&wanted, index)).collect();
        let Decision { rollout, ensured } = decide(&wanted, Some(&standing("a", 3)), &pods);
        assert_eq!((rollout.replicas, ensured.superseded.len(), ensured.fresh.len()), (3, 2, 0));
        let more = request("a", 5, UpdateOrder::StartFirst);
        let grown = decide(&more, Some(&standing("a", 3)), &pods);
        assert_eq!((grown.rollout.replicas, grown.ensured.fresh.len()), (5, 2));
    }
}
