//! Sessions begin at a login with a fresh id, and end by logout, by the provider, by idleness or by age.

use secrecy::SecretString;
use uuid::Uuid;

use crate::auth::Auth;
use crate::bus::Topic;
use crate::crypto::Context;
use crate::domain::bundle::Digest;
use crate::domain::session::Session;
use crate::domain::{Result, random};
use crate::store;

/// What a session is begun with.
#[derive(Debug)]
pub struct Begin {
    pub user: Uuid,
    /// The provider's session id and ID token, for its logout.
    pub provider: Option<(Option<String>, SecretString)>,
    pub user_agent: String,
    pub address: String,
    /// A session that the same browser held before: it ends, so that no id survives a login.
    pub replaces: Option<Digest>,
}

impl Auth {
    /// Begins a session; answers the cookie's value.
    ///
    /// # Errors
    /// Internal ones only.
    pub async fn begin_session(&self, begin: Begin) -> Result<SecretString> {
        use secrecy::ExposeSecret as _;
        let (cookie, now) = (random::token(), self.clock.now());
        let id = Digest::of(cookie.as_bytes());
        let (sid, id_token) = match begin.provider {
            None => (None, None),
            Some((sid, token)) => {
                (sid, Some(self.keys.seal(&token_context(&id), token.expose_secret().as_bytes())))
            }
        };
        let session = Session {
            id,
            user: begin.user,
            created_at: now,
            last_seen_at: now,
            expires_at: now + self.lifetimes.absolute,
            provider_sid: sid,
            user_agent: begin.user_agent.chars().take(200).collect(),
            address: begin.address,
        };
        self.store
            .write(move |tx| {
                if let Some(old) = &begin.replaces {
                    store::session::delete(tx, old)?;
                }
                tx.publish(Topic::Access);
                store::session::insert(tx, &session, id_token.as_deref())
            })
            .await?;
        Ok(SecretString::from(cookie))
    }

    /// Ends a session; answers its ID token where the provider gave one, for logging out there too.
    ///
    /// # Errors
    /// Internal ones only; a session that has ended already is none.
    pub async fn end_session(&self, id: Digest) -> Result<Option<SecretString>> {
        let key = id.clone();
        let sealed = self
            .store
            .write(move |tx| {
                let sealed = store::session::id_token(tx, &key)?;
                store::session::delete(tx, &key)?;
                tx.publish(Topic::Access);
                Ok(sealed)
            })
            .await?;
        let Some(sealed) = sealed else { return Ok(None) };
        let clear = self.keys.open(&token_context(&id), &sealed)?;
        Ok(Some(SecretString::from(String::from_utf8_lossy(&clear).into_owned())))
    }
}

fn token_context(id: &Digest) -> Context<'_> {
    Context { table: "session", row: id.as_str(), name: "id_token", version: 1 }
}
