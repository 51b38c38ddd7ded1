//! After-commit topics: what live pages and reconcilers listen to.
//!
//! A topic says only *what* changed, never how: whoever hears it reads the store. A listener that falls behind is
//! told so and reads everything it shows again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast;
use uuid::Uuid;

use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey};

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A deployment's row, settings or folded state.
    Deployment(DeploymentId),
    /// An update's state, steps or log.
    Update(DeploymentId, u32),
    /// Work was queued or a cancellation asked for: the update reconciler wakes.
    Work,
    /// A project, its bundles or its tags.
    Project(ProjectKey),
    /// An infrastructure's settings or reachability.
    Infrastructure(InfrastructureId),
    /// Rights may have changed: grants, groups, keys, sessions.
    Access,
    /// Stages were edited.
    Stages,
    /// A stream, a pipeline, a context.
    Resource(Uuid),
}

/// Hands topics to everyone who listens.
#[derive(Debug, Clone)]
pub struct Bus {
    sender: broadcast::Sender<Topic>,
    rights: Arc<AtomicU64>,
}

impl Bus {
    /// How many topics a slow listener may be behind before it has to start afresh.
    const BACKLOG: usize = 8_192;

    /// A bus without listeners.
    pub fn new() -> Self {
        Self { sender: broadcast::channel(Self::BACKLOG).0, rights: Arc::default() }
    }

    /// Tells everyone. Nobody listening is no error.
    pub fn publish(&self, topic: Topic) {
        if topic == Topic::Access {
            self.rights.fetch_add(1, Ordering::SeqCst);
        }
        let _ = self.sender.send(topic);
    }

    /// How often [`Topic::Access`] was published; it has grown by the time that a revocation's caller hears of success.
    pub fn rights(&self) -> u64 {
        self.rights.load(Ordering::SeqCst)
    }

    /// Hears everything published from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Topic> {
        self.sender.subscribe()
    }
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}
