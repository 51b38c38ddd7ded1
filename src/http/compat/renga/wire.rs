//! What goes over the wire, in upstream's words.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::domain::workload::Protocol;

/// A context; `spec` as it was sent.
#[derive(Debug, Serialize)]
pub struct Context {
    pub identifier: Uuid,
    pub spec: Value,
    pub created: Timestamp,
}

/// A list of contexts.
#[derive(Debug, Serialize)]
pub struct Contexts {
    pub contexts: Vec<Context>,
}

/// An execution; engine and namespace as they were asked for.
#[derive(Debug, Serialize)]
pub struct Execution {
    pub identifier: Uuid,
    pub engine: String,
    pub namespace: String,
    pub environment: BTreeMap<String, String>,
    pub created: Timestamp,
    pub state: ExecutionState,
}

/// A list of executions.
#[derive(Debug, Serialize)]
pub struct Executions {
    pub executions: Vec<Execution>,
}

/// What was last observed of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionState {
    Running,
    Exited,
    /// Waiting, restarting, paused, gone, or not to be found out.
    Unavailable,
}

/// Where an execution's ports are reached.
#[derive(Debug, Serialize)]
pub struct Ports {
    pub ports: Vec<ExposedPort>,
}

/// One port; numbers are text, as upstream describes them.
#[derive(Debug, Serialize)]
pub struct ExposedPort {
    /// Of the container.
    pub specified: String,
    pub host: String,
    /// Of the host.
    pub exposed: String,
    pub protocol: &'static str,
    /// Below which the ingress serves it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A transport as upstream writes it.
pub fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    }
}
