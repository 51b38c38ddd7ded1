//! Sessions: kept on the server; the cookie holds a random id whose SHA-256 is the key.

use uuid::Uuid;

use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;

/// A signed-in browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the cookie's value.
    pub id: Digest,
    pub user: Uuid,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// The absolute end, whatever happens.
    pub expires_at: Timestamp,
    /// The provider's session id, for back-channel logout.
    pub provider_sid: Option<String>,
    pub user_agent: String,
    pub address: String,
}
