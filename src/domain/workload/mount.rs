//! What a container sees at paths of its own: files of the bundle, volumes, folders, paths of the host, secrets.

use serde::{Deserialize, Serialize};

use crate::domain::name::{SecretName, VolumeName};

/// A file or folder of the bundle at a path of the container, always read-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMount {
    /// Path in the bundle without leading `./`; `""` is the whole bundle.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
}

/// A path of the engine's host at a path of the container. Each one is also an [`Exception::HostPath`](crate::domain::policy::Exception::HostPath) of its service,
/// so that policy decides over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMount {
    /// Absolute path on the host.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    #[serde(default)]
    pub read_only: bool,
}

/// A named volume at a path of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    pub volume: VolumeName,
    pub target: String,
    #[serde(default)]
    pub read_only: bool,
    /// It is made with the containers and goes with them: on Kubernetes a folder of the node, and no claim.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scratch: bool,
}

/// A folder in memory: empty at every start, gone at every stop, counted against the service's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    /// Absolute path in the container.
    pub target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Permission bits of the folder; the engine's 0o1777 unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// Whether programs may be run from it.
    #[serde(default)]
    pub executable: bool,
}

/// A secret or config as a file of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretMount {
    pub source: SecretName,
    /// Absolute path; secrets default to `/run/secrets/<name>`, configs to `/<name>`.
    pub target: String,
    /// Permission bits, 0o444 unless said otherwise.
    pub mode: u32,
}
