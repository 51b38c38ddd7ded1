//! Who asks: turns what a request shows (session cookie, API key, OIDC token) into a [`Subject`].
//!
//! Every identity is read from the store, with a short-lived copy in memory ([`copies`]).

mod copies;
pub mod local;
pub mod login;
pub mod oidc;
pub mod renga;
pub mod scope;
mod seen;
pub mod session;

use std::sync::{Arc, OnceLock};

use chrono::TimeDelta;
use uuid::Uuid;

use crate::auth::copies::Shown;
use crate::auth::scope::Scopes;
use crate::crypto::KeyRing;
use crate::domain::Result;
use crate::domain::access::Subject;
use crate::domain::api_key::PREFIX;
use crate::domain::bundle::Digest;
use crate::domain::clock::SharedClock;
use crate::domain::group::Groups;
use crate::domain::user::Preferences;
use crate::store::audit::JournalKey;
use crate::store::{self, Store};

/// How often "last used" is written at most.
const TOUCH_EVERY: TimeDelta = TimeDelta::minutes(1);

/// What was shown to prove an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A console session, by the hash of its cookie.
    Session(Digest),
    ApiKey(Uuid),
    /// A token of the identity provider, or of another issuer that is believed.
    Token(Scopes),
}

/// Who asks, and how that was shown.
#[derive(Debug, Clone)]
pub struct Identity {
    pub subject: Subject,
    pub credential: Credential,
    pub preferences: Preferences,
}

/// How long sessions live.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// Without anything that somebody did; pages that keep themselves live don't count.
    pub idle: TimeDelta,
    /// Whatever happens.
    pub absolute: TimeDelta,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { idle: TimeDelta::hours(8), absolute: TimeDelta::days(7) }
    }
}

/// Turns credentials into identities.
pub struct Auth {
    store: Store,
    clock: SharedClock,
    keys: Arc<KeyRing>,
    admin_groups: Groups,
    lifetimes: Lifetimes,
    journal_key: JournalKey,
    attempts: local::Attempts,
    /// Set once the address is known that the provider sends browsers back to.
    provider: OnceLock<oidc::Provider>,
    /// Whose tokens renga-deployer's API takes.
    renga: OnceLock<renga::Taken>,
    copies: copies::Copies,
    seen: seen::Seen,
}

impl Auth {
    /// Ready to answer.
    pub fn new(
        store: Store,
        clock: SharedClock,
        keys: Arc<KeyRing>,
        admin_groups: Groups,
        lifetimes: Lifetimes,
    ) -> Arc<Self> {
        let journal_key = JournalKey(keys.journal_key());
        let copies = copies::Copies::new(store.bus().clone(), Arc::clone(&clock));
        Arc::new(Self {
            store,
            clock,
            keys,
            admin_groups,
            lifetimes,
            journal_key,
            attempts: local::Attempts::new(),
            provider: OnceLock::new(),
            renga: OnceLock::new(),
            copies,
            seen: seen::Seen::default(),
        })
    }

    /// Who holds the session that a cookie names; `None` when it has ended.
    ///
    /// # Errors
    /// Internal ones only.
    pub async fn by_session(&self, cookie: &str) -> Result<Option<Identity>> {
        let id = Digest::of(cookie.as_bytes());
        let key = (Shown::Session, id.clone());
        if let Some(known) = self.copies.get(&key) {
            return Ok(known);
        }
        let read = self.copies.moment();
        let found = self.read_session(id).await?;
        self.copies.keep(key, found.clone(), read);
        Ok(found)
    }

    async fn read_session(&self, id: Digest) -> Result<Option<Identity>> {
        let now = self.clock.now();
        let key = id.clone();
        let found = self
            .store
            .read(move |db| {
                let Some(session) = store::session::find(db, &key)? else {
                    return Ok(None);
                };
                Ok(store::user::find(db, session.user)?.map(|user| (session, user)))
            })
            .await?;
        let Some((session, user)) = found else {
            return Ok(None);
        };
        let over = session.expires_at <= now || session.last_seen_at + self.lifetimes.idle <= now;
        let Some(subject) = Subject::of_user(&user, &self.admin_groups).filter(|_| !over) else {
            return Ok(None);
        };
        Ok(Some(Identity { subject, credential: Credential::Session(id), preferences: user.preferences }))
    }

    /// Who shows a bearer token: an API key, or a token of the provider; `None` when it is neither.
    ///
    /// # Errors
    /// `token_refused` with the reason for a token that is not believed; `provider_unavailable`; `account_disabled`;
    /// `token_narrowed` for one that was made for renga-deployer's API.
    pub async fn by_bearer(&self, token: &str) -> Result<Option<Identity>> {
        let Some(provider) = self.provider.get().filter(|_| token.matches('.').count() == 2) else {
            return self.by_api_key(token).await;
        };
        let key = (Shown::Token, Digest::of(token.as_bytes()));
        if let Some(known) = self.copies.get(&key) {
            return Ok(known);
        }
        let read = self.copies.moment();
        let identity = self.by_token(provider, provider.issuer(), token).await?;
        identity.refuse_narrowed()?;
        self.copies.keep(key, Some(identity.clone()), read);
        Ok(Some(identity))
    }

    /// Who holds an API key; `None` when it opens nothing (any more). A key never outlives its maker, nor has more.
    ///
    /// # Errors
    /// Internal ones only.
    pub async fn by_api_key(&self, secret: &str) -> Result<Option<Identity>> {
        if !secret.starts_with(PREFIX) {
            return Ok(None);
        }
        let hash = Digest::of(secret.as_bytes());
        let key = (Shown::ApiKey, hash.clone());
        if let Some(known) = self.copies.get(&key) {
            return Ok(known);
        }
        let read = self.copies.moment();
        let found = self.read_key(hash).await?;
        self.copies.keep(key, found.clone(), read);
        Ok(found)
    }

    async fn read_key(&self, hash: Digest) -> Result<Option<Identity>> {
        let now = self.clock.now();
        let found = self
            .store
            .read(move |db| {
                let Some(key) = store::api_key::find_hash(db, &hash)? else {
                    return Ok(None);
                };
                let owner = key.owner.map(|id| store::user::find(db, id)).transpose()?.flatten();
                Ok(Some((key, owner)))
            })
            .await?;
        let Some((key, owner)) = found else { return Ok(None) };
        let Some(subject) = Subject::of_key(&key, owner.as_ref(), &self.admin_groups, now) else {
            return Ok(None);
        };
        if key.last_used_at.is_none_or(|used| used + TOUCH_EVERY <= now) {
            let id = key.id;
            self.store.write(move |tx| store::api_key::touch(tx, id, now)).await?;
        }
        let preferences = Preferences::default();
        Ok(Some(Identity { subject, credential: Credential::ApiKey(key.id), preferences }))
    }
}
