//! A deployment's secrets: write-only. The value is sealed at rest and never shown again.

use secrecy::SecretString;

use crate::domain::clock::Timestamp;
use crate::domain::name::SecretName;

/// A secret's name and version, which may be shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct SecretInfo {
    pub name: SecretName,
    /// Counts up with every change.
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

/// Where a sealed value lies; a value opens only in the place that it was sealed for.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub table: &'a str,
    pub row: &'a str,
    pub name: &'a str,
    pub version: u32,
}

/// Seals values at rest under the instance's key ring.
pub trait Sealer: Send + Sync {
    /// The sealed form of `value` for this place.
    ///
    /// # Errors
    /// Internal ones only.
    fn seal(&self, context: &Context<'_>, value: &[u8]) -> crate::domain::Result<Vec<u8>>;

    /// The value again.
    ///
    /// # Errors
    /// When it was sealed for another place, under a key that is gone, or was tampered with.
    fn open(&self, context: &Context<'_>, sealed: &[u8]) -> crate::domain::Result<SecretString>;
}
