//! A deployment's secrets: write-only. The value is sealed at rest and never shown again.

use secrecy::SecretString;

use crate::domain::clock::Timestamp;
use crate::domain::name::SecretName;

/// A secret's name and version, which may be shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretInfo {
    pub name: SecretName,
    /// Grows with every change: the revision of the save that set it.
    pub version: u32,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// What a save asks of one secret.
#[derive(Debug)]
pub enum SecretChange {
    Set(SecretString),
    Remove,
}
