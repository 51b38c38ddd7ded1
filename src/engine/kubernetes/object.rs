//! Objects of the cluster as they are passed through: their names, labels, annotations, and their conditions word for word.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::{names, pod};
use crate::domain::clock::Timestamp;
use crate::domain::name::DeploymentId;
use crate::engine::{Condition, EngineObject};

/// Holds a copy of the whole object, which is no word about it.
const COPY: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object, with its workload.
pub(super) type Owned = (DeploymentId, EngineObject);

pub(super) fn deployment(deployment: &Deployment) -> Option<Owned> {
    let status = deployment.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let condition = |one: &k8s_openapi::api::apps::v1::DeploymentCondition| Condition {
        kind: one.type_.clone().unwrap_or_default(),
        status: one.status.clone().unwrap_or_default(),
        reason: one.reason.clone(),
        message: one.message.clone(),
        last_transition_time: moment(one.last_transition_time.as_ref()),
        last_update_time: moment(one.last_update_time.as_ref()),
        last_probe_time: None,
    };
    object("Deployment", &deployment.metadata, conditions.iter().map(condition).collect())
}

pub(super) fn job(job: &Job) -> Option<Owned> {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let condition = |one: &k8s_openapi::api::batch::v1::JobCondition| Condition {
        kind: one.type_.clone(),
        status: one.status.clone(),
        reason: one.reason.clone(),
        message: one.message.clone(),
        last_transition_time: moment(one.last_transition_time.as_ref()),
        last_update_time: None,
        last_probe_time: moment(one.last_probe_time.as_ref()),
    };
    object("Job", &job.metadata, conditions.iter().map(condition).collect())
}

/// A pod whose conditions explain something: one of them does not hold, and it is not about to go.
pub(super) fn pod(pod: &Pod) -> Option<Owned> {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ended = pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Succeeded"));
    if pod::is_leaving(pod) || ended || conditions.iter().all(|condition| condition.status == "True") {
        return None;
    }
    let condition = |one: &k8s_openapi::api::core::v1::PodCondition| Condition {
        kind: one.type_.clone(),
        status: one.status.clone(),
        reason: one.reason.clone(),
        message: one.message.clone(),
        last_transition_time: moment(one.last_transition_time.as_ref()),
        last_update_time: None,
        last_probe_time: moment(one.last_probe_time.as_ref()),
    };
    object("Pod", &pod.metadata, conditions.iter().map(condition).collect())
}

fn object(kind: &str, metadata: &ObjectMeta, conditions: Vec<Condition>) -> Option<Owned> {
    let labels = metadata.labels.clone().unwrap_or_default();
    let mut annotations = metadata.annotations.clone().unwrap_or_default();
    annotations.remove(COPY);
    let (workload, service) = names::whose(&labels, &annotations)?;
    let object = EngineObject {
        service,
        kind: kind.to_owned(),
        name: metadata.name.clone()?,
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone()?,
        labels,
        annotations,
        conditions,
    };
    Some((workload, object))
}

fn moment(time: Option<&Time>) -> Option<Timestamp> {
    time.map(pod::moment)
}
