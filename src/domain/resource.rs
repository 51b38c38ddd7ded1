//! What belongs to one group and is named by a uuid: a stream, a pipeline, a context. Its members may do everything with
//! it; to others it does not exist. To run it takes `deploy` on an infrastructure besides.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::domain::access::Guarded;
use crate::domain::clock::Timestamp;
use crate::domain::name::{GroupName, Label};

/// The kinds of resources: what each of them says of itself.
pub trait Noun: std::fmt::Debug + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What it is called in messages, in the journal and in the store.
    const NOUN: &'static str;

    /// Takes the values out that nobody may read, by the names that they are kept under, and leaves
    /// [`MASK`](crate::domain::stream::MASK) in their places.
    fn take_secrets(&mut self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// The names under which such values are kept, each with its place in the input.
    fn secrets(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// A resource as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource<S> {
    pub uuid: Uuid,
    /// For people; need not be unique.
    pub name: Label,
    /// Whose it is; `None`: the administrators'.
    pub group: Option<GroupName>,
    pub spec: S,
    pub created_at: Timestamp,
    /// The maker's name, as it was then.
    pub created_by: String,
    pub updated_at: Timestamp,
    /// Counts every save: its ETag.
    pub revision: u32,
}

/// The one right on what belongs to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupRight {
    /// To be in the group.
    Member,
}

impl std::fmt::Display for GroupRight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("member of its group")
    }
}

impl<S: Noun> Guarded for Resource<S> {
    type Right = GroupRight;
    const NOUN: &'static str = S::NOUN;
    const SEE: GroupRight = GroupRight::Member;
    const ALL: GroupRight = GroupRight::Member;
    fn id(&self) -> String {
        self.uuid.to_string()
    }
}
