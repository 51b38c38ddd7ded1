//! Signing out: at the provider through the browser (RP-Initiated Logout 1.0), and by the provider behind the browser's
//! back (Back-Channel Logout 1.0).

use chrono::TimeDelta;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::auth::oidc::claims::Claims;
use crate::auth::oidc::provider::Provider;
use crate::auth::oidc::token::time;
use crate::auth::oidc::{LEEWAY, refused};
use crate::domain::Result;
use crate::domain::clock::Timestamp;

/// The event of a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How old a logout token may be.
const OLDEST: TimeDelta = TimeDelta::minutes(10);
const WHAT: &str = "logout token";

/// Whose sessions end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutToken {
    /// Its id: the caller takes one only once.
    pub jti: String,
    /// How long it has to be remembered.
    pub expires_at: Timestamp,
    pub who: LoggedOut,
}

/// One session, or all of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoggedOut {
    Session(String),
    Subject(String),
}

impl Provider {
    /// Where the browser goes to sign out at the provider as well; `None` where it has no such page, or does not
    /// answer: then signing out here has to do.
    pub async fn logout_url(&self, id_token: Option<&SecretString>) -> Option<String> {
        let known = self.known().await.ok()?;
        let mut url: Url = known.metadata.additional_metadata().end_session_endpoint.clone()?;
        self.http.demand_encrypted(&url).ok()?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("client_id", &self.settings.client_id);
            query.append_pair("post_logout_redirect_uri", &self.settings.post_logout_redirect);
            if let Some(token) = id_token {
                query.append_pair("id_token_hint", token.expose_secret());
            }
        }
        Some(url.into())
    }

    /// Checks a logout token (Back-Channel Logout 1.0, section 2.6). Whether it came before is for the caller to say,
    /// by its `jti`.
    ///
    /// # Errors
    /// `token_refused` with the reason; `provider_unavailable`.
    pub async fn logout_token(&self, token: &str) -> Result<LogoutToken> {
        let claims = self.signed_claims(WHAT, token, &["jwt", "logout+jwt"]).await?;
        let client = [self.settings.client_id.as_str()];
        self.issued_for(&claims, client.into_iter())
            .and_then(|()| self.logout_claims(&claims))
            .map_err(|why| refused(WHAT, why))
    }

    fn logout_claims(&self, claims: &Claims) -> Result<LogoutToken, String> {
        let expires_at = self.unexpired(claims)?;
        let issued = claims.time("iat").and_then(time).ok_or("it does not say when it was issued (iat)")?;
        if issued + OLDEST < self.clock.now() {
            return Err(format!("it is too old: it was issued at {issued}"));
        }
        if claims.get("nonce").is_some() {
            return Err("it has a nonce, as an ID token has".to_owned());
        }
        let event = claims.get("events").and_then(|events| events.get(EVENT));
        if !event.is_some_and(serde_json::Value::is_object) {
            return Err("it does not tell of a logout (events)".to_owned());
        }
        let jti = claims.text("jti").filter(|jti| !jti.is_empty() && jti.len() <= 255);
        let who = match (claims.text("sid"), claims.subject()) {
            (Some(sid), _) if !sid.is_empty() => LoggedOut::Session(sid.to_owned()),
            (_, Some(subject)) => LoggedOut::Subject(subject.to_owned()),
            _ => return Err("it names neither a session nor a person".to_owned()),
        };
        Ok(LogoutToken {
            jti: jti.ok_or("it has no id (jti)")?.to_owned(),
            expires_at: expires_at.min(issued + OLDEST) + LEEWAY,
            who,
        })
    }
}
