//! Users: an issuer's subject, never an e-mail address.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::domain::group::Groups;

/// The issuer of users that Slipway itself keeps.
pub const LOCAL_ISSUER: &str = "local";

/// Somebody who has signed in at least once, or a local user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: Uuid,
    /// The provider's issuer URL, or [`LOCAL_ISSUER`].
    pub issuer: String,
    pub subject: String,
    pub name: String,
    pub email: Option<String>,
    /// As of the last login.
    pub groups: Groups,
    pub disabled: bool,
    pub created_at: Timestamp,
    pub last_login_at: Option<Timestamp>,
    pub preferences: Preferences,
}

/// How somebody likes the console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Preferences {
    pub theme: Theme,
    /// Single-key shortcuts on or off.
    pub keys: bool,
}

impl Default for Preferences {
    fn default() -> Self {
        Self { theme: Theme::System, keys: true }
    }
}

/// Light, dark, or as the system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}
