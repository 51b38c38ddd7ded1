//! The engine's objects that an observer has heard of. They are large and seldom read, so of what is written a digest is kept
//! and nothing else; pages read the rest from the store.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use rusqlite::Connection;

use crate::domain::Result;
use crate::domain::name::{DeploymentId, InfrastructureId};
use crate::engine::EngineObject;
use crate::store;

/// What becomes of an object: its workload and JSON, or nothing.
type Change = Option<(DeploymentId, String)>;

/// What is written of one infrastructure's objects, and what is to be.
#[derive(Debug, Default)]
pub(super) struct Objects {
    written: HashMap<String, (DeploymentId, u64)>,
    pending: HashMap<String, Change>,
}

impl Objects {
    /// What the store holds.
    ///
    /// # Errors
    /// Of the store.
    pub fn written(db: &Connection, infrastructure: &InfrastructureId) -> Result<Self> {
        let all = store::observation::objects_on(db, infrastructure, digest)?;
        let written = all.into_iter().map(|(uid, workload, digest)| (uid, (workload, digest))).collect();
        Ok(Self { written, pending: HashMap::new() })
    }

    /// An object says this of itself; whether that is news.
    pub fn put(&mut self, workload: &DeploymentId, object: &EngineObject) -> bool {
        let Ok(text) = serde_json::to_string(object) else { return false };
        let known = match self.pending.get(&object.uid) {
            Some(change) => change.as_ref().map(|(_, text)| digest(text)),
            None => self.written.get(&object.uid).map(|(_, digest)| *digest),
        };
        let is_news = known != Some(digest(&text));
        if is_news {
            self.pending.insert(object.uid.clone(), Some((workload.clone(), text)));
        }
        is_news
    }

    /// An object is no more; whether that is news.
    pub fn gone(&mut self, uid: &str) -> bool {
        let was_there = match self.pending.get(uid) {
            Some(change) => change.is_some(),
            None => self.written.contains_key(uid),
        };
        if was_there {
            self.pending.insert(uid.to_owned(), None);
        }
        was_there
    }

    /// Objects that are written and not among `present`.
    pub fn missing_from(&self, present: &[(DeploymentId, EngineObject)]) -> Vec<(DeploymentId, String)> {
        let present: HashSet<&str> = present.iter().map(|(_, object)| object.uid.as_str()).collect();
        let gone = self.written.iter().filter(|(uid, _)| !present.contains(uid.as_str()));
        gone.map(|(uid, (workload, _))| (workload.clone(), uid.clone())).collect()
    }

    /// What is to be written; it counts as written.
    pub fn take(&mut self) -> HashMap<String, Change> {
        let pending = std::mem::take(&mut self.pending);
        for (uid, change) in &pending {
            match change {
                Some((workload, text)) => {
                    self.written.insert(uid.clone(), (workload.clone(), digest(text)));
                }
                None => {
                    self.written.remove(uid);
                }
            }
        }
        pending
    }
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
