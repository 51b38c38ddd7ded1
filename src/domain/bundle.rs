//! A bundle: an immutable zip with a `compose.yaml`, published under a project and a version.

use serde::{Deserialize, Serialize};

use crate::domain::Problem;
use crate::domain::clock::Timestamp;
use crate::domain::deployment::Source;
use crate::domain::name::{ProjectKey, Version};
use crate::domain::workload::Workload;

/// SHA-256 in lower-case hex: the bundle's archive by its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
pub struct Digest(String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self::from_hash(&sha2::Sha256::digest(bytes))
    }

    /// From the 32 bytes of a SHA-256.
    pub fn from_hash(hash: &[u8]) -> Self {
        use std::fmt::Write as _;
        let mut hex = String::with_capacity(64);
        for byte in hash {
            let _ = write!(hex, "{byte:02x}");
        }
        Self(hex)
    }

    /// From stored text; `None` unless it is 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let good = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        good.then(|| Self(text.to_owned()))
    }

    /// All 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, for people and for derived names.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a compose file says, before any settings: the name and version it carries and its workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Compose `name:`.
    pub name: Option<String>,
    /// `x-slipway.version`.
    pub version: Option<String>,
    pub workload: Workload,
    /// Of a definition that Slipway made: what from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_of: Option<Box<Source>>,
    /// What is taken, but works differently from what its author may expect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
}

/// One file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BundleFile {
    /// Path inside the bundle, `/`-separated.
    pub path: String,
    /// Bytes after inflation.
    pub size: u64,
    /// SHA-256 of the content.
    pub sha256: Digest,
    /// Whether the archive marks it executable.
    pub executable: bool,
}

/// A published bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    pub project: ProjectKey,
    pub version: Version,
    /// Digest of the archive as it was uploaded.
    pub digest: Digest,
    /// Bytes of the archive.
    pub size: u64,
    pub manifest: Manifest,
    pub files: Vec<BundleFile>,
    /// The uploader's name, as it was then.
    pub uploader: String,
    pub created_at: Timestamp,
}
