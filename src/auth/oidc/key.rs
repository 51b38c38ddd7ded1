//! A public key that the configuration gives, in place of those that an issuer publishes: PEM (SubjectPublicKeyInfo, RFC
//! 7468), its base64 alone as renga-deployer takes it, a JWK or a set of those.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openidconnect::core::{CoreJsonCurveType, CoreJsonWebKey};
use pkcs1::RsaPublicKey;
use serde_json::Value;
use spki::der::Decode as _;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use crate::auth::oidc::provider::Keys;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Bytes of the shortest RSA modulus that is taken: 2048 bits.
const LEAST_RSA: usize = 256;

/// The keys of `text`.
///
/// # Errors
/// What is wrong with it, in words that show none of it.
pub fn public_keys(text: &str) -> Result<Keys, String> {
    let text = text.trim();
    match text.starts_with('{') {
        true => of_json(text),
        false => of_der(&der(text)?).map(|key| Keys::new(vec![key])),
    }
}

fn of_json(text: &str) -> Result<Keys, String> {
    let broken = |_| "it begins like a JWK and is no JSON".to_owned();
    let value: Value = serde_json::from_str(text).map_err(broken)?;
    let all = match value.get("keys") {
        Some(keys) => keys.as_array().cloned().ok_or("its `keys` are no list")?,
        None => vec![value],
    };
    let keys: Result<Vec<_>, _> = all.into_iter().map(of_jwk).collect();
    match keys? {
        keys if keys.is_empty() => Err("it holds no key".to_owned()),
        keys => Ok(Keys::new(keys)),
    }
}

fn of_jwk(value: Value) -> Result<CoreJsonWebKey, String> {
    if value.get("d").is_some() {
        return Err("it is a private key: only the public one belongs here".to_owned());
    }
    let taken = [("RSA", None), ("EC", Some("P-256")), ("OKP", Some("Ed25519"))];
    let has = |name: &str, wanted: &str| value.get(name).and_then(Value::as_str) == Some(wanted);
    if !taken.iter().any(|(kind, curve)| has("kty", kind) && curve.is_none_or(|curve| has("crv", curve))) {
        return Err(UNKNOWN.to_owned());
    }
    serde_json::from_value(value).map_err(|error| format!("it is no JWK: {error}"))
}

const UNKNOWN: &str = "it is a key of a kind that is not taken: RSA, EC with the curve P-256 and Ed25519 are";

/// The bytes within PEM's armour, or of bare base64.
fn der(text: &str) -> Result<Vec<u8>, String> {
    let inside = match text.strip_prefix("-----BEGIN ") {
        None => text,
        Some(rest) => {
            let (label, body) = rest.split_once("-----").ok_or("its first line is not whole")?;
            if label.ends_with("PRIVATE KEY") {
                return Err("it is a private key: only the public one belongs here".to_owned());
            }
            if label != "PUBLIC KEY" {
                return Err(format!("it is a {label}, and not a PUBLIC KEY"));
            }
            body.split_once("-----END PUBLIC KEY-----").ok_or("its last line is missing")?.0
        }
    };
    let plain: String = inside.split_whitespace().collect();
    STANDARD.decode(plain).map_err(|_| "it is neither PEM nor base64 nor a JWK".to_owned())
}

fn of_der(bytes: &[u8]) -> Result<CoreJsonWebKey, String> {
    let broken = |_| "it is no public key in SubjectPublicKeyInfo's form".to_owned();
    let info = SubjectPublicKeyInfoRef::from_der(bytes).map_err(broken)?;
    let raw = info.subject_public_key.as_bytes().ok_or("its bits do not end at a byte")?;
    let curve = info.algorithm.parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    match (info.algorithm.oid, curve) {
        (RSA, _) => {
            let key = RsaPublicKey::from_der(raw).map_err(broken)?;
            let (modulus, exponent) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
            if modulus.len() < LEAST_RSA {
                return Err(format!("its {} bits are too few: RSA takes 2048 and more", modulus.len() * 8));
            }
            Ok(CoreJsonWebKey::new_rsa(modulus.to_vec(), exponent.to_vec(), None))
        }
        (ELLIPTIC, Some(P256)) => match raw {
            [4, point @ ..] if point.len() == 64 => {
                let (x, y) = point.split_at(32);
                Ok(CoreJsonWebKey::new_ec(x.to_vec(), y.to_vec(), CoreJsonCurveType::P256, None))
            }
            _ => Err("its point is not written out (uncompressed)".to_owned()),
        },
        (ED25519, None) if raw.len() == 32 => {
            Ok(CoreJsonWebKey::new_okp(raw.to_vec(), CoreJsonCurveType::Ed25519, None))
        }
        _ => Err(UNKNOWN.to_owned()),
    }
}
