//! What is answered of something that belongs to a group: DataCater's `uuid`, `name`, `spec`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::domain::name::{GroupName, Label};
use crate::domain::resource::{self, Noun};

/// A stream or a pipeline.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    pub uuid: Uuid,
    pub name: Label,
    /// Whose it is; absent for the administrators' own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    pub created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// As it was sent, secrets masked.
    #[schema(value_type = Object)]
    pub spec: Value,
    /// Of pipelines: DataCater's `metadata`, which names the streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

impl Resource {
    /// Of what is stored.
    pub fn new<S: Noun>(resource: resource::Resource<S>, metadata: Option<Map<String, Value>>) -> Self {
        Self {
            uuid: resource.uuid,
            name: resource.name,
            group: resource.group,
            created_at: resource.created_at,
            created_by: resource.created_by,
            updated_at: resource.updated_at,
            spec: serde_json::to_value(&resource.spec).unwrap_or_else(|_| json!({})),
            metadata,
        }
    }
}

/// Which are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Listed {
    /// Part of the name or of the uuid.
    pub q: Option<String>,
    /// At most this many entries, 1 to 500. Without it all come.
    pub limit: Option<u32>,
    /// The cursor of the page before, from its `Link` header.
    pub after: Option<String>,
}
