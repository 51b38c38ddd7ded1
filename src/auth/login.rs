//! Signing in and out through the provider. What a sign-in needs later stays here while the browser is away: under the
//! hash of its `state`, sealed, for ten minutes, for one use, and for the browser that began it, which shows that by a
//! cookie of its own. Users are known by (issuer, subject); their groups are those of the last word of the provider.

use std::net::IpAddr;

use chrono::TimeDelta;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::auth::oidc::{Bearer, Callback, LoggedOut, Pending, Person, Provider, Settings};
use crate::auth::{Auth, Credential, Identity};
use crate::bus::Topic;
use crate::crypto::Context;
use crate::domain::access::{Caller, Origin, Subject};
use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;
use crate::domain::group::Groups;
use crate::domain::user::{Preferences, User};
use crate::domain::{Error, Kind, Result, random};
use crate::store::audit::Entry;
use crate::store::session::LoginFlow;
use crate::store::{self, Tx};

/// How long a browser may be at the provider.
pub const FLOW_LIFE: TimeDelta = TimeDelta::minutes(10);

/// A browser that leaves for the provider.
#[derive(Debug)]
pub struct Departure {
    /// Where to.
    pub url: String,
    /// What it shows when it comes back: the value of a cookie.
    pub browser: SecretString,
}

/// A browser that came back with somebody signed in.
#[derive(Debug)]
pub struct Arrival {
    pub user: User,
    /// The provider's session and the ID token, to begin our session with.
    pub provider: (Option<String>, SecretString),
    /// Where the visitor wanted to go: a path of ours, as it was given at departure.
    pub return_to: String,
}

/// What is kept, sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    pending: Pending,
    /// The hash of the browser's cookie.
    browser: Digest,
}

impl Auth {
    /// Signs people in through this provider from now on. Nothing is asked of it yet.
    ///
    /// # Errors
    /// Settings that no provider can have; a second provider.
    pub fn use_provider(&self, settings: Settings) -> Result<()> {
        let provider = Provider::new(settings, self.clock.clone())?;
        self.provider.set(provider).map_err(|_| Error::internal("a second identity provider was configured"))
    }

    /// What the button says that leads to the provider; `None` where there is none.
    pub fn provider_label(&self) -> Option<&str> {
        self.provider.get().map(|provider| provider.settings.label.as_str())
    }

    fn provider(&self) -> Result<&Provider> {
        self.provider.get().ok_or_else(|| {
            Error::new(Kind::NotFound, "no_provider", "no identity provider is configured here")
                .hint("Sign in by password, or have an administrator set the options of [oidc].")
        })
    }

    /// Sends a browser to the provider. `browser` is what an earlier departure of the same browser gave it: it is used
    /// on, so that two tabs may be away at once.
    ///
    /// # Errors
    /// `provider_unavailable`; `too_many_attempts`; `no_provider`.
    pub async fn depart(
        &self,
        return_to: String,
        browser: Option<&str>,
        address: Option<IpAddr>,
    ) -> Result<Departure> {
        let provider = self.provider()?;
        self.attempts.count_departure(address)?;
        let started = provider.begin().await?;
        let browser =
            browser.filter(|value| looks_like_token(value)).map_or_else(random::token, str::to_owned);
        let kept = Kept { pending: started.pending, browser: Digest::of(browser.as_bytes()) };
        let state = Digest::of(started.state.as_bytes());
        let clear = serde_json::to_vec(&kept).map_err(Error::internal)?;
        let flow = LoginFlow {
            sealed: self.keys.seal(&flow_context(&state), &clear),
            return_to,
            expires_at: self.clock.now() + FLOW_LIFE,
        };
        self.store.write(move |tx| store::session::put_flow(tx, &state, &flow)).await?;
        Ok(Departure { url: started.url, browser: browser.into() })
    }

    /// Takes a browser back, with what it carries.
    ///
    /// # Errors
    /// `sign_in_lost` when nothing is known of it; what the provider or the checks say; `account_disabled`.
    pub async fn arrive(
        &self,
        state: &str,
        browser: Option<&str>,
        callback: Callback,
        address: Option<IpAddr>,
    ) -> Result<Arrival> {
        let provider = self.provider()?;
        let (kept, return_to) = self.take_flow(state).await?;
        if browser.map(|browser| Digest::of(browser.as_bytes())) != Some(kept.browser) {
            return Err(lost());
        }
        let signed_in = provider.finish(callback, kept.pending).await?;
        let (issuer, now) = (provider.issuer().to_owned(), self.clock.now());
        let user = self.welcome(issuer, signed_in.person, now, address).await?;
        Ok(Arrival { user, provider: (signed_in.sid, signed_in.id_token), return_to })
    }

    async fn take_flow(&self, state: &str) -> Result<(Kept, String)> {
        let (state, now) = (Digest::of(state.as_bytes()), self.clock.now());
        let key = state.clone();
        let flow = self.store.write(move |tx| store::session::take_flow(tx, &key)).await?;
        let flow = flow.filter(|flow| flow.expires_at > now).ok_or_else(lost)?;
        let clear = self.keys.open(&flow_context(&state), &flow.sealed)?;
        Ok((serde_json::from_slice(&clear).map_err(Error::internal)?, flow.return_to))
    }

    /// Keeps who signed in, and writes it down.
    async fn welcome(
        &self,
        issuer: String,
        person: Person,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Result<User> {
        let (journal_key, admins) = (self.journal_key.clone(), self.admin_groups.clone());
        self.store
            .write(move |tx| {
                let known = store::user::find_subject(tx, &issuer, &person.subject)?;
                let user = updated(known, issuer, person, now)?;
                store::user::put(tx, &user)?;
                tx.publish(Topic::Access);
                let subject = Subject::of_user(&user, &admins).ok_or_else(disabled)?;
                let caller = Caller { subject, origin: Origin::Console, request_id: String::new(), address };
                let detail = json!({ "issuer": user.issuer, "subject": user.subject, "groups": user.groups });
                note(tx, &journal_key, &caller, "user.signed_in", &user, detail, now)?;
                Ok(user)
            })
            .await
    }

    /// Where a browser goes to sign out at the provider, too; `None` where that is not to be had.
    pub async fn provider_logout(&self, id_token: Option<&SecretString>) -> Option<String> {
        self.provider.get()?.logout_url(id_token).await
    }

    /// Ends the sessions that the provider's logout token names; says how many.
    ///
    /// # Errors
    /// `token_refused`, also for a token that came before; `provider_unavailable`; `no_provider`.
    pub async fn back_channel_logout(&self, token: &str) -> Result<usize> {
        let provider = self.provider()?;
        let logout = provider.logout_token(token).await?;
        let (issuer, now) = (provider.issuer().to_owned(), self.clock.now());
        let journal_key = self.journal_key.clone();
        self.store
            .write(move |tx| {
                if !store::session::first_seen(tx, &format!("logout {}", logout.jti), logout.expires_at)? {
                    return Err(crate::auth::oidc::refused("logout token", "it came before"));
                }
                let (ended, who) = match logout.who {
                    LoggedOut::Session(sid) => (store::session::delete_of(tx, None, Some(&sid))?, None),
                    LoggedOut::Subject(subject) => match store::user::find_subject(tx, &issuer, &subject)? {
                        Some(user) => (store::session::delete_of(tx, Some(user.id), None)?, Some(user)),
                        None => (0, None),
                    },
                };
                tx.publish(Topic::Access);
                if ended > 0 {
                    let object = who.map(|user| user.id.to_string()).unwrap_or_default();
                    let entry = Entry {
                        caller: &Caller::system(),
                        action: "user.signed_out_by_provider",
                        noun: "user",
                        object: &object,
                        reason: None,
                        detail: json!({ "sessions": ended }),
                    };
                    store::audit::append(tx, &journal_key, &entry, now)?;
                }
                Ok(ended)
            })
            .await
    }

    /// Who a token of the provider speaks for; its people are kept under the issuer's name `people`.
    ///
    /// # Errors
    /// `token_refused`; `provider_unavailable`; `account_disabled`.
    pub(super) async fn by_token(&self, provider: &Provider, people: &str, token: &str) -> Result<Identity> {
        let bearer = provider.bearer(token).await?;
        let scopes = bearer.scopes.clone();
        let (issuer, now) = (people.to_owned(), self.clock.now());
        let (user, groups) = self.store.write(move |tx| speaker(tx, issuer, bearer, now)).await?;
        let speaker = User { groups, ..user };
        let subject = Subject::of_user(&speaker, &self.admin_groups).ok_or_else(disabled)?;
        Ok(Identity { subject, credential: Credential::Token(scopes), preferences: speaker.preferences })
    }
}

/// The user of a bearer token with the groups that it acts with. The provider's newer word counts: a token from before
/// the last sign-in has no group that the sign-in took away; one from after it brings what is kept up to date.
fn speaker(tx: &Tx<'_>, issuer: String, bearer: Bearer, now: Timestamp) -> Result<(User, Groups)> {
    let known = store::user::find_subject(tx, &issuer, &bearer.person.subject)?;
    let told = bearer.person.groups.clone();
    let Some(user) = known else {
        let user = updated(None, issuer, bearer.person, bearer.issued_at.unwrap_or(now))?;
        store::user::put(tx, &user)?;
        return Ok((user, told));
    };
    if user.disabled {
        return Err(disabled());
    }
    let newer = bearer.issued_at.is_some_and(|issued| user.last_login_at.is_none_or(|login| issued > login));
    if !newer {
        let groups = told.intersection(&user.groups).cloned().collect();
        return Ok((user, groups));
    }
    if bearer.states_groups && told != user.groups {
        let user = User { groups: told.clone(), last_login_at: bearer.issued_at, ..user };
        store::user::put(tx, &user)?;
        tx.publish(Topic::Access);
        return Ok((user, told));
    }
    Ok((user, told))
}

fn updated(known: Option<User>, issuer: String, person: Person, at: Timestamp) -> Result<User> {
    if known.as_ref().is_some_and(|user| user.disabled) {
        return Err(disabled());
    }
    let (id, created_at, preferences) = match known {
        Some(user) => (user.id, user.created_at, user.preferences),
        None => (random::uuid(), at, Preferences::default()),
    };
    Ok(User {
        id,
        issuer,
        subject: person.subject,
        name: person.name,
        email: person.email,
        groups: person.groups,
        disabled: false,
        created_at,
        last_login_at: Some(at),
        preferences,
    })
}

fn note(
    tx: &Tx<'_>,
    key: &store::audit::JournalKey,
    caller: &Caller,
    action: &str,
    user: &User,
    detail: serde_json::Value,
    now: Timestamp,
) -> Result<()> {
    let entry = Entry { caller, action, noun: "user", object: &user.id.to_string(), reason: None, detail };
    store::audit::append(tx, key, &entry, now)
}

fn looks_like_token(value: &str) -> bool {
    value.len() == 43 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn flow_context(state: &Digest) -> Context<'_> {
    Context { table: "login_flow", row: state.as_str(), name: "sealed", version: 1 }
}

fn lost() -> Error {
    Error::new(
        Kind::Unauthenticated,
        "sign_in_lost",
        "this sign-in was begun in another browser, took longer than ten minutes, or was finished already",
    )
    .hint("Begin again on the sign-in page.")
}

fn disabled() -> Error {
    Error::new(Kind::Unauthenticated, "account_disabled", "this account is disabled")
        .hint("An administrator of this Slipway can enable it again.")
}
