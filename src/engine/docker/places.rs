//! What each snapshot saw, so that watching from it can tell what changed even where the engine forgot the events.
//!
//! An engine keeps its last 256 events only, all containers' together, and none over a restart. A cursor therefore
//! stands for a time and for what was seen; the events from that time on are asked for, and beneath them lies a
//! comparison of what is there now with what was seen.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::clock::Timestamp;
use crate::engine::docker::observe::Seen;
use crate::engine::{Phase, SlotRef};

/// How many snapshots are remembered.
const KEPT: usize = 8;

/// One snapshot.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) at: Timestamp,
    /// Slot and phase by the engine's id.
    pub(super) seen: HashMap<String, (SlotRef, Phase)>,
}

/// The latest snapshots by their cursors.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Snapshots so far, so that no two cursors are equal.
    count: u64,
    places: VecDeque<(String, Arc<Place>)>,
}

impl Places {
    /// Keeps a snapshot; its cursor.
    pub(super) fn remember(&self, at: Timestamp, seen: &[Seen]) -> String {
        let one =
            |seen: &Seen| (seen.state.engine_id.clone(), (seen.state.slot.clone(), seen.state.phase.clone()));
        let seen = seen.iter().map(one).collect();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.count += 1;
        let cursor = format!("{}.{}", at.timestamp_millis(), kept.count);
        kept.places.push_back((cursor.clone(), Arc::new(Place { at, seen })));
        if kept.places.len() > KEPT {
            kept.places.pop_front();
        }
        cursor
    }

    /// The snapshot of a cursor, while it is remembered.
    pub(super) fn find(&self, cursor: &str) -> Option<Arc<Place>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.places.iter().find(|(name, _)| name == cursor)?;
        Some(Arc::clone(&found.1))
    }
}
