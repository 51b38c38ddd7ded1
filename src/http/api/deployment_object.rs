//! The engine's objects behind a deployment in DataCater's shape: by name, each with its labels, annotations and
//! `Conditions`. On Docker, where a service has containers and nothing that stands for all of them, the same is made of
//! these, under the name that the service has on Kubernetes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::domain::name::{DeploymentId, ServiceName};
use crate::engine::{Condition, EngineObject};

/// What one object says of itself: labels and annotations as they are, and its conditions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ObjectStatus {
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, String>)]
    pub said: BTreeMap<String, String>,
    #[serde(rename = "Conditions")]
    pub conditions: Vec<Value>,
}

/// Every object that stands for a service, by name.
pub fn by_name(workload: &DeploymentId, objects: &[EngineObject]) -> BTreeMap<String, ObjectStatus> {
    let own = objects.iter().filter(|object| !matches!(object.kind.as_str(), "Pod" | "Container"));
    let mut named: BTreeMap<String, ObjectStatus> =
        own.map(|object| (object.name.clone(), told(object))).collect();
    let mut replicas: BTreeMap<&ServiceName, Vec<&EngineObject>> = BTreeMap::new();
    for object in objects.iter().filter(|object| object.kind == "Container") {
        replicas.entry(&object.service).or_default().push(object);
    }
    named.extend(replicas.into_iter().map(|(service, containers)| {
        let name = match workload.as_uuid() {
            Some(uuid) => format!("{service}-{uuid}"),
            None => format!("{workload}-{service}"),
        };
        (name, together(service, &containers))
    }));
    named
}

/// What is Slipway's own is left out: its labels say nothing that `status` does not.
fn said<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> BTreeMap<String, String> {
    let theirs = pairs.filter(|(key, _)| !key.starts_with("io.slipway."));
    theirs.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn told(object: &EngineObject) -> ObjectStatus {
    ObjectStatus {
        said: said(object.labels.iter().chain(&object.annotations)),
        conditions: object.conditions.iter().map(value).collect(),
    }
}

fn value(condition: &Condition) -> Value {
    serde_json::to_value(condition).unwrap_or(Value::Null)
}

/// A service's containers as one, in the words of a Kubernetes Deployment.
fn together(service: &ServiceName, containers: &[&EngineObject]) -> ObjectStatus {
    let holds = |object: &EngineObject| object.conditions.iter().all(|condition| condition.status == "True");
    let since =
        containers.iter().flat_map(|object| &object.conditions).filter_map(|c| c.last_transition_time).max();
    let (ready, all) = (containers.iter().filter(|object| holds(object)).count(), containers.len());
    let available = ready == all && all > 0;
    let condition = |kind: &str, reason: &str, message: String| Condition {
        last_update_time: since,
        ..Condition::new(kind, available, reason).saying(message).since(since)
    };
    let (has, progress) = match available {
        true => (
            condition("Available", "MinimumReplicasAvailable", "Deployment has minimum availability.".into()),
            condition(
                "Progressing",
                "NewReplicaSetAvailable",
                format!("{all} of {all} containers of {service} run."),
            ),
        ),
        false => {
            let words = "Deployment does not have minimum availability.".to_owned();
            let progress = format!("{ready} of {all} containers of {service} run.");
            (
                condition("Available", "MinimumReplicasUnavailable", words),
                Condition {
                    status: "True".into(),
                    ..condition("Progressing", "ReplicaSetUpdated", progress)
                },
            )
        }
    };
    ObjectStatus {
        said: said(containers.iter().flat_map(|object| object.labels.iter().chain(&object.annotations))),
        conditions: [has, progress].iter().map(value).collect(),
    }
}
