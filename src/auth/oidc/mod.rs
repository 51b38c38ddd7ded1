//! The OpenID provider: what Slipway says to it, and what it believes of what comes back.
//!
//! What holds: the issuer is compared letter by letter; only the algorithms of [`jws::ALGORITHMS`] sign; state, nonce
//! and PKCE (S256) tie an answer to the browser that asked; a claim counts once its token's signature, issuer, audience
//! and times were checked; missing groups mean none. Nothing is asked of the provider before somebody signs in, so
//! Slipway starts while it is down.
//!
//! The discovery, the authorization request, the exchange and the ID token go through `openidconnect`; it knows no
//! back-channel logout and no bearer tokens, so those are checked here by hand on its keys ([`token`]).

mod claims;
mod http;
mod id_token;
pub mod jws;
mod key;
mod login;
mod logout;
mod provider;
#[cfg(test)]
mod tests;
mod token;
mod userinfo;

use chrono::TimeDelta;
use secrecy::SecretString;

use crate::domain::group::Groups;
use crate::domain::{Error, Kind};

pub use claims::ClaimPath;
pub use key::public_keys;
pub use login::{Callback, Pending, Started};
pub use logout::{LoggedOut, LogoutToken};
pub use provider::{Keys, Provider};
pub use token::Bearer;

/// How far the provider's clock may be from ours.
const LEEWAY: TimeDelta = TimeDelta::seconds(30);

/// What the configuration says of the provider.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Letter by letter as the discovery document has it.
    pub issuer: String,
    pub client_id: String,
    /// `None` for a public client.
    pub client_secret: Option<SecretString>,
    /// Where the provider sends browsers after a sign-in.
    pub redirect_uri: String,
    /// Where the provider sends browsers after a sign-out.
    pub post_logout_redirect: String,
    pub scopes: Vec<String>,
    pub groups_claim: ClaimPath,
    pub groups_from: GroupsFrom,
    pub name_claim: ClaimPath,
    pub username_claim: ClaimPath,
    /// Where a bearer token has its scopes.
    pub scope_claim: ClaimPath,
    /// Audiences of bearer tokens besides the client.
    pub api_audiences: Vec<String>,
    /// The keys that sign bearer tokens; `None` for those that the provider publishes.
    pub keys: Option<Keys>,
    /// What the sign-in page's button says.
    pub label: String,
    /// Certificates in PEM to trust besides the system's.
    pub ca: Option<Vec<u8>>,
}

/// Where the groups claim is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupsFrom {
    /// In the ID token, else in userinfo.
    Either,
    IdToken,
    Userinfo,
}

/// Somebody as the provider knows them, checked.
#[derive(Debug, Clone)]
pub struct Person {
    pub subject: String,
    /// Never empty, without control characters.
    pub name: String,
    /// For showing only: nobody is ever found by it.
    pub email: Option<String>,
    pub groups: Groups,
}

/// A finished sign-in.
#[derive(Debug)]
pub struct SignedIn {
    pub person: Person,
    /// The provider's session, for its back-channel logout.
    pub sid: Option<String>,
    /// For the provider's logout page.
    pub id_token: SecretString,
}

/// What the provider gave is not believed.
pub(super) fn refused(what: &str, why: impl std::fmt::Display) -> Error {
    let why = one_line(&why.to_string(), 300);
    Error::new(
        Kind::Unauthenticated,
        "token_refused",
        format!("the identity provider's {what} was refused: {why}"),
    )
    .hint("Sign in again; if it stays, an administrator should compare Slipway's [oidc] options with the provider's.")
}

/// The provider says no.
fn provider_said(code: &str, description: Option<&str>) -> Error {
    let code = one_line(code, 60);
    let message = match description.map(|said| one_line(said, 300)).filter(|said| !said.is_empty()) {
        Some(said) => format!("the identity provider said {code}: {said}"),
        None => format!("the identity provider said {code}"),
    };
    Error::new(Kind::Unauthenticated, "provider_refused", message)
        .hint("Sign in again; if it stays, ask whoever runs the identity provider.")
}

/// The provider does not answer, or not as a provider does.
fn unavailable(issuer: &str, why: impl std::fmt::Display) -> Error {
    let why = one_line(&why.to_string(), 300);
    Error::new(
        Kind::Unavailable,
        "provider_unavailable",
        format!("the identity provider {issuer} can't be used now: {why}"),
    )
    .hint("Try again in a moment. Local users can still sign in by password.")
}

/// Text of the provider as one harmless line: without control characters and marks that turn text around, and bounded.
fn one_line(text: &str, longest: usize) -> String {
    let harmless = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let clean: String = text.chars().filter(harmless).take(longest).collect();
    clean.trim().to_owned()
}
