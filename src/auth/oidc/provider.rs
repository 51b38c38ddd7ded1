//! The provider: its discovery document and keys, fetched when first needed, kept for an hour, and fetched again when a
//! token names a key that is not known, so that a rotation needs no restart.

use std::sync::{Arc, PoisonError, RwLock};

use chrono::TimeDelta;
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, DiscoveryError, IssuerUrl, JsonWebKeySet, ProviderMetadata};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use url::Url;

use crate::auth::oidc::http::{Http, HttpError};
use crate::auth::oidc::{Settings, unavailable};
use crate::domain::clock::{SharedClock, Timestamp};
use crate::domain::{Error, Result};

/// How long the document and the keys are used without asking again.
const FRESH: TimeDelta = TimeDelta::hours(1);
/// How long they are used on while the provider does not answer.
const STALE: TimeDelta = TimeDelta::hours(24);
/// How soon after an answer, or a failure, the provider is asked again: unknown keys in forged tokens are no lever.
const PAUSE: TimeDelta = TimeDelta::seconds(5);

/// What the document holds besides the core: logout, and RFC 9207's mark.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct Extra {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_session_endpoint: Option<Url>,
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Extra {}

/// The discovery document.
pub type Metadata = ProviderMetadata<
    Extra,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// The provider's keys.
pub type Keys = JsonWebKeySet<CoreJsonWebKey>;

/// The document with its keys, and when they came.
#[derive(Debug)]
pub struct Known {
    pub metadata: Metadata,
    at: Timestamp,
}

impl Known {
    /// The keys that sign.
    pub fn keys(&self) -> &Keys {
        self.metadata.jwks()
    }
}

/// The provider of this Slipway.
pub struct Provider {
    pub(in crate::auth) settings: Settings,
    pub(super) http: Http,
    pub(super) clock: SharedClock,
    issuer: IssuerUrl,
    known: RwLock<Option<Arc<Known>>>,
    /// Held while asking, so that many waiters ask once; the last failure, which they share.
    asking: Mutex<Option<(Timestamp, String)>>,
}

impl Provider {
    /// A provider of which nothing has been asked yet.
    ///
    /// # Errors
    /// An issuer that is no URL; certificates that are none.
    pub fn new(settings: Settings, clock: SharedClock) -> Result<Self> {
        let issuer = IssuerUrl::new(settings.issuer.clone())
            .map_err(|error| Error::field("oidc.issuer", format!("this is no URL: {error}")))?;
        let http = Http::new(issuer.url(), settings.ca.as_deref())?;
        Ok(Self { settings, http, clock, issuer, known: RwLock::default(), asking: Mutex::default() })
    }

    /// The issuer, letter by letter.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Where browsers begin a sign-in, as the document says; `None` where it is not to be had, or nothing is ever asked.
    pub async fn authorization_url(&self) -> Option<String> {
        if self.settings.keys.is_some() {
            return None;
        }
        let known = self.known().await.ok()?;
        Some(known.metadata.authorization_endpoint().url().to_string())
    }

    /// The document and the keys, fetched when they are missing or old.
    ///
    /// # Errors
    /// `provider_unavailable`.
    pub(super) async fn known(&self) -> Result<Arc<Known>> {
        let now = self.clock.now();
        match self.copy() {
            Some(known) if known.at + FRESH > now => Ok(known),
            Some(known) if known.at + STALE > now => match self.fetch(known.at).await {
                Ok(fresh) => Ok(fresh),
                Err(error) => {
                    tracing::warn!(%error, "going on with older keys of the identity provider");
                    Ok(known)
                }
            },
            Some(known) => self.fetch(known.at).await,
            None => self.fetch(Timestamp::MIN_UTC).await,
        }
    }

    /// Fetches anew, because a token names a key that `known` lacks; `None` when that was tried just now.
    ///
    /// # Errors
    /// `provider_unavailable`.
    pub(super) async fn refreshed(&self, known: &Known) -> Result<Option<Arc<Known>>> {
        if known.at + PAUSE > self.clock.now() {
            return Ok(None);
        }
        self.fetch(known.at).await.map(Some)
    }

    fn copy(&self) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the provider, unless somebody else did since `than`.
    async fn fetch(&self, than: Timestamp) -> Result<Arc<Known>> {
        let mut failed = self.asking.lock().await;
        if let Some(known) = self.copy().filter(|known| known.at > than) {
            return Ok(known);
        }
        let now = self.clock.now();
        if let Some((at, why)) = failed.as_ref().filter(|(at, _)| *at + PAUSE > now) {
            tracing::debug!(%at, "the identity provider failed just now and is not asked again yet");
            return Err(unavailable(self.issuer(), why));
        }
        match Metadata::discover_async(self.issuer.clone(), &self.http).await {
            Ok(metadata) => {
                let known = Arc::new(Known { metadata, at: now });
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
                *failed = None;
                Ok(known)
            }
            Err(error) => {
                let why = in_words(&error);
                tracing::warn!(issuer = self.issuer(), why, "the identity provider can't be used");
                *failed = Some((now, why.clone()));
                Err(unavailable(self.issuer(), why))
            }
        }
    }
}

fn in_words(error: &DiscoveryError<HttpError>) -> String {
    match error {
        DiscoveryError::Request(error) => error.to_string(),
        DiscoveryError::Response(_, _, said) => {
            format!("its discovery document or keys did not come: {said}")
        }
        DiscoveryError::Parse(error) => format!("its discovery document or keys can't be read: {error}"),
        DiscoveryError::Validation(said) => format!("its discovery document names another issuer: {said}"),
        other => other.to_string(),
    }
}
