//! Tokens that come without a code exchange: bearer tokens for the API. Signature, issuer, audience, times.

use chrono::{DateTime, Utc};

use crate::auth::oidc::claims::Claims;
use crate::auth::oidc::jws::{Jws, Refusal};
use crate::auth::oidc::provider::Provider;
use crate::auth::oidc::{LEEWAY, Person, refused};
use crate::auth::scope::Scopes;
use crate::domain::Result;
use crate::domain::clock::Timestamp;

/// Who a bearer token speaks for.
#[derive(Debug, Clone)]
pub struct Bearer {
    pub person: Person,
    /// Whether it says anything of groups.
    pub states_groups: bool,
    pub issued_at: Option<Timestamp>,
    /// Of the scopes' claim: `scope` (RFC 9068), where the settings name no other.
    pub scopes: Scopes,
    pub expires_at: Timestamp,
}

impl Provider {
    /// Checks a bearer token: an access token in JWT form (RFC 9068) or an ID token, for our client or one of the
    /// configured audiences.
    ///
    /// # Errors
    /// `token_refused` with the reason; `provider_unavailable`.
    pub async fn bearer(&self, token: &str) -> Result<Bearer> {
        const WHAT: &str = "bearer token";
        let claims = self.signed_claims(WHAT, token, &["jwt", "at+jwt"]).await?;
        let ours = self.settings.api_audiences.iter().map(String::as_str);
        let ours = ours.chain([self.settings.client_id.as_str()]);
        self.issued_for(&claims, ours).map_err(|why| refused(WHAT, why))?;
        if claims.get("events").is_some() {
            return Err(refused(WHAT, "it tells of an event and lets nobody in"));
        }
        let expires_at = self.unexpired(&claims).map_err(|why| refused(WHAT, why))?;
        let subject = claims.subject().ok_or_else(|| refused(WHAT, "it has no subject"))?;
        let scopes = claims.at(&self.settings.scope_claim).map(Claims::texts).unwrap_or_default();
        Ok(Bearer {
            person: claims.person(subject, &self.settings),
            states_groups: claims.at(&self.settings.groups_claim).is_some(),
            issued_at: claims.time("iat").and_then(time),
            scopes: Scopes::new(
                self.settings.scope_claim.as_str(),
                scopes.into_iter().flat_map(str::split_whitespace),
            ),
            expires_at,
        })
    }

    /// The claims of a token that one of the provider's keys signed; the keys are fetched anew, once, for one unknown.
    /// Where the configuration gives keys, those alone count, and nothing is fetched.
    pub(super) async fn signed_claims(&self, what: &str, token: &str, kinds: &[&str]) -> Result<Claims> {
        let token = Jws::parse(token, kinds).map_err(|why| refused(what, why))?;
        if let Some(keys) = &self.settings.keys {
            return token.verify_configured(keys).map_err(|why| refused(what, why));
        }
        let known = self.known().await?;
        let verified = match token.verify(known.keys()) {
            Err(Refusal::UnknownKey) => match self.refreshed(&known).await? {
                Some(fresh) => token.verify(fresh.keys()),
                None => Err(Refusal::UnknownKey),
            },
            other => other,
        };
        verified.map_err(|why| refused(what, why))
    }

    /// Issuer and audience.
    pub(super) fn issued_for<'a>(
        &self,
        claims: &Claims,
        audiences: impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        let issuer = claims.text("iss").unwrap_or_default();
        if issuer != self.issuer() {
            return Err(format!("its issuer is {issuer:?}, not {:?}", self.issuer()));
        }
        if !claims.is_for(audiences) {
            return Err("it is meant for another audience".to_owned());
        }
        Ok(())
    }

    /// Its end, which must lie ahead; neither its issue nor its beginning may.
    pub(super) fn unexpired(&self, claims: &Claims) -> Result<Timestamp, String> {
        let now = self.clock.now();
        let end = claims.time("exp").ok_or("it has no end (exp)")?;
        let end = time(end).ok_or("its end (exp) is no time")?;
        if end + LEEWAY <= now {
            return Err(format!("it ended at {end}"));
        }
        for name in ["iat", "nbf"] {
            let at = claims.time(name).and_then(time);
            if let Some(at) = at.filter(|at| *at > now + LEEWAY) {
                return Err(format!("it is from the future ({name} is {at}): do the clocks agree?"));
            }
        }
        Ok(end)
    }
}

/// A time of a token; `None` beyond what a calendar has.
pub fn time(seconds: i64) -> Option<Timestamp> {
    let in_reach = (-62_135_596_800..=253_402_300_799).contains(&seconds);
    in_reach.then(|| DateTime::<Utc>::from_timestamp(seconds, 0)).flatten()
}
