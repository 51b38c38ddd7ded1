//! API keys: 256 random bits, shown once, kept as SHA-256, tied to groups that never exceed their maker's.

use uuid::Uuid;

use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;
use crate::domain::group::Groups;
use crate::domain::name::Label;

/// Every key starts with this, so that secret scanners know one.
pub const PREFIX: &str = "slw_";

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: Uuid,
    pub name: Label,
    /// SHA-256 of the whole secret.
    pub hash: Digest,
    /// The first characters of the secret, to tell keys apart.
    pub hint: String,
    pub groups: Groups,
    /// Who made it; `None` when the command line did.
    pub owner: Option<Uuid>,
    /// The key that made it for its owner, which it ends with.
    pub parent: Option<Uuid>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it opens anything at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}
