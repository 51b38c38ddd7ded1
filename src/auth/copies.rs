//! Identities that were read a moment ago, which saves the lookups of a page's many requests.
//!
//! A copy counts only while no right has changed since *before* it was read ([`Bus::rights`]), so whoever was told that
//! a revocation is done is never contradicted, and a read that overlapped it is not believed either. The second that
//! a copy lives bounds what another process (the command line) revokes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;

use super::Identity;
use crate::bus::Bus;
use crate::domain::bundle::Digest;
use crate::domain::clock::{SharedClock, Timestamp};

/// How long a copy is believed.
const BELIEVED: TimeDelta = TimeDelta::seconds(1);
/// Copies kept at most; beyond that all are dropped.
const MOST: usize = 10_000;

/// As what a credential was shown: what one place found out of it is not believed at another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shown {
    Session,
    ApiKey,
    Token,
    /// A token at renga-deployer's API.
    RengaToken,
}

/// A credential's kind and hash.
pub type Key = (Shown, Digest);

/// When something is about to be read.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    rights: u64,
    at: Timestamp,
}

/// What credentials meant, by their kind and hash; `None` for those that open nothing.
pub struct Copies {
    bus: Bus,
    clock: SharedClock,
    kept: Mutex<HashMap<Key, (Option<Identity>, Moment)>>,
}

impl Copies {
    pub fn new(bus: Bus, clock: SharedClock) -> Self {
        Self { bus, clock, kept: Mutex::default() }
    }

    /// To be taken before the store is read.
    pub fn moment(&self) -> Moment {
        Moment { rights: self.bus.rights(), at: self.clock.now() }
    }

    /// What a credential means, where that is still known.
    pub fn get(&self, id: &Key) -> Option<Option<Identity>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, read) = kept.get(id)?;
        let now = self.moment();
        (read.rights == now.rights && read.at + BELIEVED > now.at).then(|| identity.clone())
    }

    /// Keeps what the store said when it was read after `read`.
    pub fn keep(&self, id: Key, identity: Option<Identity>, read: Moment) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(id, (identity, read));
    }
}
