//! The engine's own objects behind a service (a Deployment, a Job, a container), and what they say of themselves: told as
//! the engine tells it, in one shape for every engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::clock::Timestamp;
use crate::domain::name::ServiceName;

/// An object of the engine's own that stands for a service or for one of its replicas.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EngineObject {
    /// Whose it is.
    pub service: ServiceName,
    /// `Deployment`, `Job` or `Pod`; `Container` on Docker.
    pub kind: String,
    pub name: String,
    /// Where the engine has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The engine's own id; of a replica its `engineId`.
    pub uid: String,
    pub labels: BTreeMap<String, String>,
    /// Kubernetes' alone; without the copy of the whole object that `kubectl apply` leaves behind.
    pub annotations: BTreeMap<String, String>,
    pub conditions: Vec<Condition>,
}

/// One aspect of an object, as the engine tells it, in the shape of Kubernetes' conditions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// E.g. `Available`, `Progressing`, `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the status last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_transition_time: Option<Timestamp>,
    /// Of Deployments: when it was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_update_time: Option<Timestamp>,
    /// Of Jobs and pods: when it was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_probe_time: Option<Timestamp>,
}

impl Condition {
    /// One that is or is not so.
    pub fn new(kind: &str, is: bool, reason: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            status: if is { "True" } else { "False" }.to_owned(),
            reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
            message: None,
            last_transition_time: None,
            last_update_time: None,
            last_probe_time: None,
        }
    }

    /// With these words, where there are any.
    #[must_use]
    pub fn saying(self, message: String) -> Self {
        Self { message: Some(message).filter(|words| !words.is_empty()), ..self }
    }

    /// Since that moment.
    #[must_use]
    pub fn since(self, at: Option<Timestamp>) -> Self {
        Self { last_transition_time: at, ..self }
    }
}
