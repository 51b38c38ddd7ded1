//! The Deployment of a service, held or released, and the Job of a task.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Setting;
use crate::engine::kubernetes::names::{self, note};
use crate::engine::{ServiceRequest, label};

/// A held rollout counts no pod of the new revision as available for a day, so that no old one goes before the switch.
const HOLD_SECONDS: i32 = 86_400;

/// How long a released one may take before Kubernetes itself calls it stuck.
pub(in crate::engine::kubernetes) const PROGRESS_SECONDS: i32 = 600;

/// Revisions that Kubernetes keeps the templates of.
const HISTORY: i32 = 10;

/// Where a service's rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine::kubernetes) struct Rollout {
    pub replicas: u32,
    /// Whether old pods stay until the switch.
    pub held: bool,
    /// The hash whose pods get the traffic.
    pub serving: String,
    /// The hash and number of replicas to go back to.
    pub previous: Option<(String, u32)>,
    /// All old pods end before new ones start.
    pub stop_first: bool,
}

/// The Deployment of a service.
pub(in crate::engine::kubernetes) fn deployment(
    request: &ServiceRequest,
    setting: &Setting<'_>,
    template: PodTemplateSpec,
    rollout: &Rollout,
) -> Deployment {
    let mut metadata = setting.meta(request, names::object(&request.workload, &request.name));
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(note::SERVING.into(), rollout.serving.clone());
    annotations.insert(note::REPLICAS.into(), request.service.replicas.to_string());
    if let Some((hash, replicas)) = &rollout.previous {
        annotations.insert(note::PREVIOUS.into(), format!("{hash}/{replicas}"));
    }
    let selector = names::service_labels(setting.instance, &request.workload, &request.name);
    Deployment {
        metadata,
        spec: DeploymentSpec {
            replicas: i32::try_from(rollout.replicas).ok(),
            min_ready_seconds: Some(if rollout.held { HOLD_SECONDS } else { 0 }),
            progress_deadline_seconds: Some(if rollout.held { 7 * HOLD_SECONDS } else { PROGRESS_SECONDS }),
            revision_history_limit: Some(HISTORY),
            selector: LabelSelector { match_labels: Some(selector), ..LabelSelector::default() },
            strategy: Some(strategy(rollout.stop_first)),
            template,
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}

/// A Deployment of ours with another template: one that it had before.
pub(in crate::engine::kubernetes) fn again(
    found: &Deployment,
    template: PodTemplateSpec,
    rollout: &Rollout,
) -> Deployment {
    let mut notes = found.metadata.annotations.clone().unwrap_or_default();
    notes.retain(|key, _| key.starts_with("io.slipway."));
    for key in [note::PREVIOUS, note::APPLIED] {
        notes.remove(key);
    }
    notes.insert(note::SERVING.into(), rollout.serving.clone());
    notes.insert(note::REPLICAS.into(), rollout.replicas.to_string());
    let selector = found.spec.selector.clone();
    Deployment {
        metadata: ObjectMeta {
            name: found.metadata.name.clone(),
            labels: found.metadata.labels.clone(),
            annotations: Some(notes),
            ..ObjectMeta::default()
        },
        spec: DeploymentSpec {
            replicas: i32::try_from(rollout.replicas).ok(),
            min_ready_seconds: Some(0),
            progress_deadline_seconds: Some(PROGRESS_SECONDS),
            revision_history_limit: Some(HISTORY),
            selector,
            strategy: Some(strategy(rollout.stop_first)),
            template,
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}

fn strategy(stop_first: bool) -> DeploymentStrategy {
    if stop_first {
        return DeploymentStrategy { type_: Some("Recreate".into()), rolling_update: None };
    }
    DeploymentStrategy {
        type_: Some("RollingUpdate".into()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::String("100%".into())),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}

/// The Job of a task: one pod, run once.
pub(in crate::engine::kubernetes) fn job(
    request: &ServiceRequest,
    setting: &Setting<'_>,
    template: PodTemplateSpec,
) -> Job {
    let name = names::of_hash(&request.workload, &request.name, &request.hash);
    let mut metadata = setting.meta(request, name);
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(label::HASH.into(), request.hash.clone());
    labels.insert(label::REVISION.into(), request.revision.to_string());
    Job {
        metadata,
        spec: Some(JobSpec {
            backoff_limit: Some(0),
            completions: Some(1),
            parallelism: Some(1),
            template,
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}
