//! Local users: the administrator that the one-time setup link makes, and those that the command line makes.
//!
//! Attempts to sign in are bounded by account and by address; a bounded number of hashes runs at a time.

use std::net::IpAddr;
use std::num::NonZeroU32;

use chrono::TimeDelta;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use secrecy::SecretString;
use serde_json::json;

use crate::auth::Auth;
use crate::bus::Topic;
use crate::crypto::password;
use crate::domain::access::{Caller, Origin, Subject};
use crate::domain::bundle::Digest;
use crate::domain::group::Groups;
use crate::domain::user::{LOCAL_ISSUER, User};
use crate::domain::{Error, Kind, Result, random};
use crate::store::audit::Entry;
use crate::store::{self, Tx};

/// How long a setup link works.
const SETUP_LIFE: TimeDelta = TimeDelta::hours(24);
const SETUP: &str = "setup";
/// Attempts in a row for one account, and for one address; they come back at that many a minute.
const PER_ACCOUNT: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
const PER_ADDRESS: NonZeroU32 = NonZeroU32::new(30).expect("not zero");
/// Departures for the provider from one address, which may be that of a whole company.
const DEPARTURES: NonZeroU32 = NonZeroU32::new(120).expect("not zero");
/// Beyond this many keys the limiters drop those that are full again.
const LIMITER_KEYS: usize = 10_000;

/// Bounds attempts to sign in.
pub struct Attempts {
    accounts: DefaultKeyedRateLimiter<String>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    departures: DefaultKeyedRateLimiter<IpAddr>,
}

impl Attempts {
    /// Nobody has tried yet.
    pub fn new() -> Self {
        Self {
            accounts: RateLimiter::keyed(Quota::per_minute(PER_ACCOUNT)),
            addresses: RateLimiter::keyed(Quota::per_minute(PER_ADDRESS)),
            departures: RateLimiter::keyed(Quota::per_minute(DEPARTURES)),
        }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// `too_many_attempts`.
    pub fn count(&self, account: &str, address: Option<IpAddr>) -> Result<()> {
        if self.accounts.len() + self.addresses.len() > LIMITER_KEYS {
            self.accounts.retain_recent();
            self.addresses.retain_recent();
        }
        let by_address = address.is_none_or(|address| self.addresses.check_key(&address).is_ok());
        if by_address && self.accounts.check_key(&account.to_lowercase()).is_ok() {
            return Ok(());
        }
        Err(too_many())
    }

    /// Counts a departure for the provider, each of which leaves a row here.
    ///
    /// # Errors
    /// `too_many_attempts`.
    pub fn count_departure(&self, address: Option<IpAddr>) -> Result<()> {
        if self.departures.len() > LIMITER_KEYS {
            self.departures.retain_recent();
        }
        if address.is_none_or(|address| self.departures.check_key(&address).is_ok()) {
            return Ok(());
        }
        Err(too_many())
    }
}

impl Default for Attempts {
    fn default() -> Self {
        Self::new()
    }
}

/// A local user to be made.
#[derive(Debug)]
pub struct NewLocal {
    /// What one signs in as.
    pub username: String,
    pub name: String,
    pub password: SecretString,
    pub groups: Groups,
}

impl Auth {
    /// A fresh one-time token for the setup link, while no local user exists.
    ///
    /// # Errors
    /// Internal ones only.
    pub async fn setup_token(&self) -> Result<Option<String>> {
        let (token, now) = (random::token(), self.clock.now());
        let hash = Digest::of(token.as_bytes());
        let made = self
            .store
            .write(move |tx| {
                if store::user::any_local(tx)? {
                    return Ok(false);
                }
                store::session::put_token(tx, &hash, SETUP, "administrator", now + SETUP_LIFE)?;
                Ok(true)
            })
            .await?;
        Ok(made.then_some(token))
    }

    /// Whether a setup link still works.
    ///
    /// # Errors
    /// Internal ones only.
    pub async fn setup_token_is_live(&self, token: &str) -> Result<bool> {
        let (hash, now) = (Digest::of(token.as_bytes()), self.clock.now());
        self.store.read(move |db| store::session::token_is_live(db, &hash, SETUP, now)).await
    }

    /// Makes the first administrator; the link works once.
    ///
    /// # Errors
    /// `setup_link_dead`; a weak password; a bad name.
    pub async fn set_up(&self, token: &str, mut new: NewLocal) -> Result<User> {
        new.groups = self.admin_groups.iter().take(1).cloned().collect();
        let (hash, now) = (Digest::of(token.as_bytes()), self.clock.now());
        if !self.setup_token_is_live(token).await? {
            return Err(dead_link());
        }
        let (user, password) = prepare(new, now).await?;
        let journal_key = self.journal_key.clone();
        self.store
            .write(move |tx| {
                store::session::take_token(tx, &hash, SETUP, now)?.ok_or_else(dead_link)?;
                let mut caller = Caller::system();
                caller.origin = Origin::Console;
                caller.subject.name = "the setup link".to_owned();
                insert(tx, &journal_key, &caller, &user, &password)
            })
            .await
    }

    /// Makes a local user.
    ///
    /// # Errors
    /// `user_exists`; a weak password; a bad name.
    pub async fn create_local(&self, caller: &Caller, new: NewLocal) -> Result<User> {
        let (user, password) = prepare(new, self.clock.now()).await?;
        let (journal_key, caller) = (self.journal_key.clone(), caller.clone());
        self.store.write(move |tx| insert(tx, &journal_key, &caller, &user, &password)).await
    }

    /// Sets a local user's password anew and ends its sessions.
    ///
    /// # Errors
    /// `not_found`; a weak password.
    pub async fn reset_password(
        &self,
        caller: &Caller,
        username: &str,
        password: SecretString,
    ) -> Result<()> {
        password::demand_strength(&password)?;
        let hash = password::hash(password).await?;
        let (username, now) = (username.to_owned(), self.clock.now());
        let (journal_key, caller) = (self.journal_key.clone(), caller.clone());
        self.store
            .write(move |tx| {
                let user = store::user::find_subject(tx, LOCAL_ISSUER, &username)?;
                let user = user.ok_or_else(|| Error::not_found("user", &username))?;
                store::user::set_password_hash(tx, user.id, Some(&hash))?;
                store::session::delete_of(tx, Some(user.id), None)?;
                tx.publish(Topic::Access);
                note(tx, &journal_key, &caller, "user.password_reset", &user, now)
            })
            .await
    }

    /// Who a local user is, by password. A wrong name and a wrong password answer alike, in the same time.
    ///
    /// # Errors
    /// `too_many_attempts`; `wrong_password`.
    pub async fn by_password(
        &self,
        username: &str,
        password: SecretString,
        address: Option<IpAddr>,
    ) -> Result<User> {
        self.attempts.count(username, address)?;
        let (name, now) = (username.to_owned(), self.clock.now());
        let found = self
            .store
            .read(move |db| {
                let Some(user) = store::user::find_subject(db, LOCAL_ISSUER, &name)? else {
                    return Ok(None);
                };
                let hash = store::user::password_hash(db, user.id)?;
                Ok(Some((user, hash)))
            })
            .await?;
        let (user, hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
        let right = password::verify(password, hash).await?;
        let user = user.filter(|_| right);
        let subject = user.as_ref().and_then(|user| Subject::of_user(user, &self.admin_groups));
        match user.zip(subject) {
            None => {
                Err(Error::new(Kind::Unauthenticated, "wrong_password", "the name or the password is wrong")
                    .hint("An administrator can set a new one with `slipway admin reset-password`."))
            }
            Some((user, subject)) => {
                let user = User { last_login_at: Some(now), ..user };
                let kept = user.clone();
                let journal_key = self.journal_key.clone();
                self.store
                    .write(move |tx| {
                        store::user::put(tx, &kept)?;
                        let caller =
                            Caller { subject, origin: Origin::Console, request_id: String::new(), address };
                        note(tx, &journal_key, &caller, "user.signed_in", &kept, now)
                    })
                    .await?;
                Ok(user)
            }
        }
    }
}

fn too_many() -> Error {
    Error::new(Kind::TooMany, "too_many_attempts", "too many attempts to sign in")
        .hint("Wait a minute, then try again.")
}

fn dead_link() -> Error {
    Error::new(Kind::Forbidden, "setup_link_dead", "this setup link was used already, or is too old")
        .hint("Restart Slipway: it prints a fresh link as long as no local administrator exists.")
}

async fn prepare(new: NewLocal, now: crate::domain::clock::Timestamp) -> Result<(User, String)> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    if new.username.is_empty() || new.username.len() > 120 || !new.username.chars().all(good) {
        return Err(Error::field(
            "username",
            "a user name has 1 to 120 letters, digits, '-', '_', '.' or '@'",
        ));
    }
    password::demand_strength(&new.password)?;
    let hash = password::hash(new.password).await?;
    let name = if new.name.trim().is_empty() { new.username.clone() } else { new.name.trim().to_owned() };
    let user = User {
        id: random::uuid(),
        issuer: LOCAL_ISSUER.to_owned(),
        subject: new.username,
        name,
        email: None,
        groups: new.groups,
        disabled: false,
        created_at: now,
        last_login_at: None,
        preferences: crate::domain::user::Preferences::default(),
    };
    Ok((user, hash))
}

fn insert(
    tx: &Tx<'_>,
    journal_key: &store::audit::JournalKey,
    caller: &Caller,
    user: &User,
    hash: &str,
) -> Result<User> {
    if store::user::find_subject(tx, LOCAL_ISSUER, &user.subject)?.is_some() {
        return Err(Error::conflict("user_exists", format!("the user name {} is taken", user.subject)));
    }
    store::user::put(tx, user)?;
    store::user::set_password_hash(tx, user.id, Some(hash))?;
    tx.publish(Topic::Access);
    note(tx, journal_key, caller, "user.created", user, user.created_at)?;
    Ok(user.clone())
}

fn note(
    tx: &Tx<'_>,
    key: &store::audit::JournalKey,
    caller: &Caller,
    action: &str,
    user: &User,
    now: crate::domain::clock::Timestamp,
) -> Result<()> {
    let id = user.id.to_string();
    let detail = json!({ "issuer": user.issuer, "subject": user.subject, "groups": user.groups });
    let entry = Entry { caller, action, noun: "user", object: &id, reason: None, detail };
    store::audit::append(tx, key, &entry, now)
}
