//! The ID token of a sign-in (OpenID Connect Core, section 3.1.3.7), checked by `openidconnect`, and what that leaves to
//! its callers: the authorized party, the issue time, the access token's hash.

use chrono::{DateTime, Utc};
use openidconnect::core::{CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier};
use openidconnect::{
    AccessToken, AccessTokenHash, ClaimsVerificationError, ClientId, IssuerUrl, Nonce,
    SignatureVerificationError,
};

use crate::auth::oidc::claims::Claims;
use crate::auth::oidc::jws::{self, ALGORITHMS, Refusal};
use crate::auth::oidc::provider::{Keys, Provider};
use crate::auth::oidc::{LEEWAY, refused};
use crate::domain::Result;

const WHAT: &str = "ID token";

impl Provider {
    /// The claims of an ID token that was made for this very sign-in.
    ///
    /// # Errors
    /// `token_refused` with the reason; `provider_unavailable`.
    pub(super) async fn id_token_claims(
        &self,
        token: &CoreIdToken,
        access: &AccessToken,
        nonce: &Nonce,
    ) -> Result<Claims> {
        let known = self.known().await?;
        let mut checked = self.check(token, access, nonce, known.keys());
        if let Err(Unfit::Key) = checked
            && let Some(fresh) = self.refreshed(&known).await?
        {
            checked = self.check(token, access, nonce, fresh.keys());
        }
        checked.map_err(|why| refused(WHAT, why))?;
        jws::payload(&token.to_string()).ok_or_else(|| refused(WHAT, Refusal::Malformed))
    }

    fn check(
        &self,
        token: &CoreIdToken,
        access: &AccessToken,
        nonce: &Nonce,
        keys: &Keys,
    ) -> Result<(), Unfit> {
        let verifier = self.verifier(keys)?;
        let claims = token.claims(&verifier, nonce)?;
        self.check_party(claims)?;
        if claims.subject().is_empty() || claims.subject().len() > 255 {
            return Err(Unfit::Other("it has no subject".to_owned()));
        }
        let Some(expected) = claims.access_token_hash() else {
            return Ok(());
        };
        let (algorithm, key) = (token.signing_alg()?, token.signing_key(&verifier)?);
        let actual = AccessTokenHash::from_token(access, algorithm, key);
        if actual.is_ok_and(|actual| actual == *expected) {
            return Ok(());
        }
        Err(Unfit::Other("it belongs to another access token (at_hash)".to_owned()))
    }

    fn verifier<'a>(&self, keys: &Keys) -> Result<CoreIdTokenVerifier<'a>, Unfit> {
        let issuer =
            IssuerUrl::new(self.issuer().to_owned()).map_err(|error| Unfit::Other(error.to_string()))?;
        let client = ClientId::new(self.settings.client_id.clone());
        let now = self.clock.now();
        // As for a public client, so that the client's secret never is a key.
        let verifier = CoreIdTokenVerifier::new_public_client(client, issuer, keys.clone())
            .set_allowed_algs(ALGORITHMS)
            // Other audiences are taken where the token says that it was issued to us: see `check_party`.
            .set_other_audience_verifier_fn(|_| true)
            .set_time_fn(move || now - LEEWAY)
            .set_issue_time_verifier_fn(move |at| not_ahead(at, now));
        Ok(verifier)
    }

    /// Steps 4 and 5: with several audiences the token says to whom it was issued, and whenever it does, that is us.
    fn check_party(&self, claims: &CoreIdTokenClaims) -> Result<(), Unfit> {
        let party = claims.authorized_party().map(|party| party.as_str());
        match party {
            None if claims.audiences().len() > 1 => Err(Unfit::Other(
                "it is for several audiences and does not say to whom it was issued (azp)".to_owned(),
            )),
            Some(party) if party != self.settings.client_id => {
                Err(Unfit::Other(format!("it was issued to {party} (azp)")))
            }
            _ => Ok(()),
        }
    }
}

fn not_ahead(issued: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), String> {
    if issued <= now + LEEWAY {
        return Ok(());
    }
    Err(format!("it is from the future (iat is {issued}): do the clocks agree?"))
}

/// Why it is not believed.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    /// Worth fetching the keys anew.
    #[error("{}", Refusal::UnknownKey)]
    Key,
    #[error("{0}")]
    Other(String),
}

impl From<SignatureVerificationError> for Unfit {
    fn from(error: SignatureVerificationError) -> Self {
        match error {
            SignatureVerificationError::NoMatchingKey => Self::Key,
            SignatureVerificationError::CryptoError(_) => Self::Other(Refusal::Signature.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<ClaimsVerificationError> for Unfit {
    fn from(error: ClaimsVerificationError) -> Self {
        match error {
            ClaimsVerificationError::SignatureVerification(error) => error.into(),
            other => Self::Other(other.to_string()),
        }
    }
}
