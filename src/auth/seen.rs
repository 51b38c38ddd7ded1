//! When sessions were last used by somebody. What a page asks by itself, to stay live, is no use: an open page alone
//! would keep its session for ever.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Auth, Credential, Identity, TOUCH_EVERY};
use crate::domain::Result;
use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;
use crate::store;

/// Sessions remembered at most; beyond that all are forgotten, which costs a write for each.
const MOST: usize = 10_000;

/// When each session's use was last written down.
#[derive(Default)]
pub struct Seen(Mutex<HashMap<Digest, Timestamp>>);

impl Seen {
    /// Whether a use at `now` is to be written down; it is taken as written then.
    fn is_due(&self, id: &Digest, now: Timestamp) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(id).is_some_and(|last| *last + TOUCH_EVERY > now) {
            return false;
        }
        if seen.len() >= MOST {
            seen.clear();
        }
        seen.insert(id.clone(), now);
        true
    }
}

impl Auth {
    /// Notes that somebody used their session, at most once a minute.
    ///
    /// # Errors
    /// Internal ones only.
    pub async fn note_use(&self, identity: &Identity) -> Result<()> {
        let Credential::Session(id) = &identity.credential else { return Ok(()) };
        let now = self.clock.now();
        if !self.seen.is_due(id, now) {
            return Ok(());
        }
        let id = id.clone();
        self.store.write(move |tx| store::session::touch(tx, &id, now)).await
    }
}
