//! Keys that the configuration gives in place of published ones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::KeyPair as _;

use super::issuer::{KEYS, Signer, jwks};
use super::*;

/// A DER value: tag, length, content.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = match length {
        0..128 => vec![tag, length as u8],
        128..256 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [head, content.to_vec()].concat()
}

/// SubjectPublicKeyInfo.
fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = [&[0], key].concat();
    value(0x30, &[value(0x30, algorithm), value(0x03, &bits)].concat())
}

fn rsa() -> Vec<u8> {
    let algorithm = [&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1][..], &[5, 0]].concat();
    spki(&algorithm, KEYS.provider.public_key().as_ref())
}

fn elliptic() -> Vec<u8> {
    let ec = [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    let p256 = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    spki(&[&ec[..], &p256].concat(), KEYS.elliptic.public_key().as_ref())
}

fn edwards() -> Vec<u8> {
    spki(&[6, 3, 0x2b, 0x65, 0x70], KEYS.edwards.public_key().as_ref())
}

/// As `openssl` writes it.
fn pem(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<&str> =
        base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

async fn with_key(text: &str) -> Setup {
    let keys = public_keys(text).unwrap();
    Setup::with(|settings| settings.keys = Some(keys)).await
}

#[tokio::test]
async fn a_configured_key_verifies_in_every_form_and_nothing_is_asked() {
    let jwk = |at: usize| jwks()["keys"][at].to_string();
    let forms = [
        ("RS256", Signer::Rs256, pem(&rsa())),
        ("RS256", Signer::Rs256, STANDARD.encode(rsa())),
        ("PS256", Signer::Ps256, pem(&rsa())),
        ("RS256", Signer::Rs256, jwk(0)),
        ("RS256", Signer::Rs256, json!({ "keys": [jwks()["keys"][1], jwks()["keys"][0]] }).to_string()),
        ("ES256", Signer::Es256, pem(&elliptic())),
        ("ES256", Signer::Es256, jwk(1)),
        ("EdDSA", Signer::EdDsa, pem(&edwards())),
        ("EdDSA", Signer::EdDsa, jwk(2)),
    ];
    for (alg, signer, form) in forms {
        let setup = with_key(&form).await;
        let mut token = setup.token();
        // The issuer's own name for the key, which a bare key does not know.
        token.signed(alg, "called-otherwise", signer);
        let bearer = setup.provider.bearer(&token.compact()).await.expect(&form);
        assert_eq!(bearer.person.subject, "alice");
        assert_eq!(setup.issuer.count("/.well-known/openid-configuration"), 0);
    }
}

#[tokio::test]
async fn no_attack_works_on_a_configured_key() {
    let setup = with_key(&pem(&rsa())).await;
    for (name, change, _) in ATTACKS {
        let mut token = setup.token();
        change(&mut token);
        assert_refused(name, setup.provider.bearer(&token.compact()).await, "");
    }
    let mut confused = setup.token();
    confused.signed("HS256", "rsa", Signer::Hs256(pem(&rsa()).into_bytes()));
    assert_refused("a MAC with the PEM", setup.provider.bearer(&confused.compact()).await, "algorithm");
    assert_refused("tampered", setup.provider.bearer(&tampered(&setup.token())).await, "signature");
    setup.provider.bearer(&setup.token().compact()).await.unwrap();
}

#[test]
fn what_is_no_public_key_is_refused_without_being_shown() {
    let private = include_str!("keys/stranger.pem");
    let short = spki(
        &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0],
        &value(0x30, &[value(2, &[0x7f; 128]), value(2, &[1, 0, 1])].concat()),
    );
    let p384 = spki(&[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 34], &[4; 97]);
    let point = [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let compressed = spki(&point, &[2; 33]);
    let mut with_d = jwks()["keys"][0].clone();
    with_d["d"] = json!("canary");
    let cases = [
        ("", "public key"),
        ("canary!", "neither PEM"),
        (private, "private key"),
        ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----", "CERTIFICATE"),
        ("-----BEGIN PUBLIC KEY-----\nMAA=", "last line"),
        (&pem(&rsa()[..200]), "public key"),
        (&pem(&short), "1024 bits"),
        (&pem(&p384), "kind"),
        (&pem(&compressed), "uncompressed"),
        ("{\"kty\": \"oct\", \"k\": \"canary\"}", "kind"),
        ("{\"kty\": \"EC\", \"crv\": \"P-384\", \"x\": \"\", \"y\": \"\"}", "kind"),
        (&with_d.to_string(), "private key"),
        ("{\"keys\": []}", "no key"),
        ("{\"keys\": {}}", "no list"),
        ("{canary", "no JSON"),
    ];
    for (text, why) in cases {
        let said = public_keys(text).expect_err(text);
        assert!(said.contains(why) && !said.contains("canary"), "{text}: {said}");
    }
}
