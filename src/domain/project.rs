//! A project: the key under which bundles are published, with its grants.

use crate::domain::access::{Guarded, ProjectRight};
use crate::domain::clock::Timestamp;
use crate::domain::name::ProjectKey;

/// A project as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    pub key: ProjectKey,
    /// For people; empty when nobody wrote one.
    pub description: String,
    pub tags: Vec<String>,
    pub created_at: Timestamp,
    /// The maker's name, as it was then.
    pub created_by: String,
    pub updated_at: Timestamp,
    /// Counts every change: the settings' ETag.
    pub revision: u32,
}

impl Guarded for Project {
    type Right = ProjectRight;
    const NOUN: &'static str = "project";
    const SEE: ProjectRight = ProjectRight::View;
    const ALL: ProjectRight = ProjectRight::Admin;
    fn id(&self) -> String {
        self.key.to_string()
    }
}
