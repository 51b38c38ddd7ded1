//! The journal: append-only, each entry carrying a keyed hash over itself and the hash of the one before.

use serde::{Deserialize, Serialize};

use crate::domain::access::Origin;
use crate::domain::clock::Timestamp;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    pub sequence: i64,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who, by name as it was then.
    pub actor: String,
    pub origin: Origin,
    /// A verb in the past, e.g. `deployment.created`.
    pub action: String,
    /// The noun, e.g. `deployment`.
    pub noun: String,
    /// Its id.
    pub object: String,
    /// Why, where the caller said so.
    pub reason: Option<String>,
    /// What exactly, without secrets.
    pub detail: serde_json::Value,
    /// The request's id.
    pub request_id: String,
    pub address: Option<String>,
}
