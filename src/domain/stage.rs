//! Stages: the lifecycle order of infrastructures (dev, test, prod to begin with).

use crate::domain::name::StageId;

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Stage {
    pub id: StageId,
    /// For people, e.g. `Prod`.
    pub description: String,
}

/// What a fresh instance starts with, in order.
pub const INITIAL: [(&str, &str); 3] = [("dev", "Dev"), ("test", "Test"), ("prod", "Prod")];
