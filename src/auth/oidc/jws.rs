//! Signed tokens in compact form (RFC 7515): taken apart, and their signature checked on the provider's keys.
//!
//! The header decides nothing but which of the provider's own public keys is tried: the algorithm must be one of
//! [`ALGORITHMS`], so neither `none` nor a MAC keyed with a public key ever verifies.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreJsonWebKey, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKey as _, JsonWebKeyAlgorithm};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::oidc::claims::Claims;
use crate::auth::oidc::provider::Keys;

/// The longest token that is looked at.
const LONGEST: usize = 64 * 1024;

/// Every algorithm that may sign: asymmetric ones alone.
pub const ALGORITHMS: [CoreJwsSigningAlgorithm; 4] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];

#[derive(Debug, Deserialize)]
struct Header {
    alg: Value,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// A token, taken apart and not believed yet.
#[derive(Debug)]
pub struct Jws<'a> {
    header: Header,
    algorithm: CoreJwsSigningAlgorithm,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it is not a signed token")]
    Malformed,
    #[error("its algorithm {0} is not one that is taken")]
    Algorithm(String),
    #[error("it demands extensions that are not known")]
    Critical,
    #[error("it is a token of another kind ({0})")]
    Kind(String),
    #[error("it is signed with a key that the provider does not publish")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
}

impl<'a> Jws<'a> {
    /// Takes a token apart. `kinds` are the values of `typ` that this place takes, in lower case; a token without one
    /// is taken anywhere.
    pub fn parse(token: &'a str, kinds: &[&str]) -> Result<Self, Refusal> {
        if token.len() > LONGEST {
            return Err(Refusal::Malformed);
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed);
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Refusal::Malformed)?;
        let named = serde_json::from_value::<CoreJwsSigningAlgorithm>(header.alg.clone()).ok();
        let algorithm = named.filter(|algorithm| ALGORITHMS.contains(algorithm));
        let algorithm = algorithm.ok_or_else(|| Refusal::Algorithm(header.alg.to_string()))?;
        if header.crit.is_some() {
            return Err(Refusal::Critical);
        }
        if let Some(typ) = &header.typ {
            let typ = typ.to_ascii_lowercase();
            if !kinds.contains(&typ.strip_prefix("application/").unwrap_or(&typ)) {
                return Err(Refusal::Kind(typ));
            }
        }
        Ok(Self { header, algorithm, signed, payload: decode(payload)?, signature: decode(signature)? })
    }

    /// The claims, once one of `keys` made the signature.
    pub fn verify(&self, keys: &Keys) -> Result<Claims, Refusal> {
        let named = |key: &&CoreJsonWebKey| match &self.header.kid {
            Some(kid) => key.key_id().is_some_and(|id| id.as_str() == kid),
            None => true,
        };
        let candidates: Vec<_> = keys.keys().iter().filter(named).filter(|key| self.suits(key)).collect();
        if candidates.is_empty() {
            return Err(Refusal::UnknownKey);
        }
        self.verify_by(candidates.into_iter())
    }

    /// The claims, once one of `keys` made the signature that the configuration gives: those need not have the id that
    /// the issuer calls them by.
    pub fn verify_configured(&self, keys: &Keys) -> Result<Claims, Refusal> {
        self.verify_by(keys.keys().iter().filter(|key| self.suits(key)))
    }

    fn verify_by<'k>(
        &self,
        mut candidates: impl Iterator<Item = &'k CoreJsonWebKey>,
    ) -> Result<Claims, Refusal> {
        let signed = |key: &CoreJsonWebKey| {
            key.verify_signature(&self.algorithm, self.signed.as_bytes(), &self.signature).is_ok()
        };
        if !candidates.any(signed) {
            return Err(Refusal::Signature);
        }
        Claims::parse(&self.payload).ok_or(Refusal::Malformed)
    }

    /// Whether a key is meant for signatures of this token's kind.
    fn suits(&self, key: &CoreJsonWebKey) -> bool {
        let by_algorithm = match key.signing_alg() {
            JsonWebKeyAlgorithm::Unspecified => true,
            JsonWebKeyAlgorithm::Algorithm(algorithm) => *algorithm == self.algorithm,
            JsonWebKeyAlgorithm::Unsupported => false,
        };
        let signs =
            key.key_use().is_none_or(|usage| *usage == openidconnect::core::CoreJsonWebKeyUse::Signature);
        by_algorithm && signs
    }
}

/// The claims of a token whose signature was checked elsewhere.
pub fn payload(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    Claims::parse(&URL_SAFE_NO_PAD.decode(payload).ok()?)
}
