//! Bearer tokens for renga-deployer's API: of an issuer of their own, with scopes; or API keys, which have every scope.
//!
//! A token is taken here when it is meant for this API, whatever the API of Slipway itself makes of it: what either
//! found out about a token is kept apart.

use crate::auth::copies::Shown;
use crate::auth::oidc::{ClaimPath, GroupsFrom, Keys, Provider, Settings};
use crate::auth::{Auth, Identity};
use crate::domain::bundle::Digest;
use crate::domain::{Error, Kind, Result};

/// Whose tokens are taken.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Letter by letter as tokens name it.
    pub issuer: String,
    /// Each of them will do.
    pub audiences: Vec<String>,
    /// The keys that sign; `None` for those that the issuer publishes.
    pub keys: Option<Keys>,
    pub scope_claim: ClaimPath,
    pub groups_claim: ClaimPath,
    pub name_claim: ClaimPath,
    pub username_claim: ClaimPath,
    /// Certificates in PEM to trust besides the system's.
    pub ca: Option<Vec<u8>>,
    /// Whether its word on people counts at this API alone, though the provider that people sign in at has the same name:
    /// other keys sign it, or other claims say who is in which group.
    pub apart: bool,
}

/// An issuer whose tokens are taken.
pub(super) struct Taken {
    provider: Provider,
    /// Under which issuer's name its people are kept.
    people: String,
}

impl Issuer {
    /// As settings of a provider at which nobody signs in: of a client there is nothing but its audience.
    fn settings(self) -> Settings {
        let mut audiences = self.audiences.into_iter();
        Settings {
            issuer: self.issuer,
            client_id: audiences.next().unwrap_or_default(),
            client_secret: None,
            redirect_uri: String::new(),
            post_logout_redirect: String::new(),
            scopes: Vec::new(),
            groups_claim: self.groups_claim,
            groups_from: GroupsFrom::IdToken,
            name_claim: self.name_claim,
            username_claim: self.username_claim,
            scope_claim: self.scope_claim,
            api_audiences: audiences.collect(),
            keys: self.keys,
            label: String::new(),
            ca: self.ca,
        }
    }
}

impl Auth {
    /// Takes tokens of this issuer at renga-deployer's API from now on. Nothing is asked of it yet.
    ///
    /// # Errors
    /// An issuer without an audience, or that is no URL; a second one.
    pub fn use_renga(&self, issuer: Issuer) -> Result<()> {
        if issuer.audiences.iter().all(String::is_empty) {
            return Err(Error::field("renga.audience", "an issuer's tokens are taken for an audience only"));
        }
        let people = if issuer.apart { format!("{}#renga", issuer.issuer) } else { issuer.issuer.clone() };
        let provider = Provider::new(issuer.settings(), self.clock.clone())?;
        self.renga
            .set(Taken { provider, people })
            .map_err(|_| Error::internal("a second issuer of renga's tokens was configured"))
    }

    /// Who shows a bearer token at renga-deployer's API; `None` when it is neither an API key nor a token of an issuer.
    ///
    /// # Errors
    /// `token_refused` with the reason; `provider_unavailable`; `account_disabled`.
    pub async fn by_renga_bearer(&self, token: &str) -> Result<Option<Identity>> {
        let Some(taken) = self.renga.get().filter(|_| token.matches('.').count() == 2) else {
            return self.by_api_key(token).await;
        };
        let key = (Shown::RengaToken, Digest::of(token.as_bytes()));
        if let Some(known) = self.copies.get(&key) {
            return Ok(known);
        }
        let read = self.copies.moment();
        let identity = self.by_token(&taken.provider, &taken.people, token).await.map_err(hinted)?;
        self.copies.keep(key, Some(identity.clone()), read);
        Ok(Some(identity))
    }

    /// Where people would get a token: what the issuer publishes of itself, else the issuer; `None` where there is none.
    pub async fn renga_authorization_url(&self) -> Option<String> {
        let issuer = &self.renga.get()?.provider;
        Some(issuer.authorization_url().await.unwrap_or_else(|| issuer.issuer().to_owned()))
    }
}

fn hinted(error: Error) -> Error {
    match error.kind {
        Kind::Unauthenticated if error.code == "token_refused" => error.hint(
            "Get a new token; if it stays, an administrator should compare Slipway's [renga] options with the issuer's.",
        ),
        _ => error,
    }
}
