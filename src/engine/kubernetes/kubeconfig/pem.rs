//! Certificates and keys of a kubeconfig: base64 of PEM, of which only what is meant is kept.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

/// The text behind base64, line breaks in it aside.
pub(super) fn decoded(base64: Option<&str>) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let joined: Zeroizing<String> =
        Zeroizing::new(base64.unwrap_or_default().split_ascii_whitespace().collect());
    STANDARD.decode(joined.as_bytes()).map(Zeroizing::new).map_err(|_| "is no base64")
}

/// The certificates of authorities in a text, and nothing else of it.
pub(super) fn authorities(text: &[u8]) -> Result<String, &'static str> {
    let read = certificates(text)?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in &read {
        roots.add(certificate.clone()).map_err(|_| "holds a certificate that can't be read")?;
    }
    Ok(read.iter().map(|certificate| block("CERTIFICATE", certificate)).collect())
}

/// A certificate, those above it and its key in one text. The flag of an error tells whether the key is at fault.
pub(super) fn pair(chain: &[u8], key: &[u8]) -> Result<SecretString, (bool, &'static str)> {
    let chain = certificates(chain).map_err(|why| (false, why))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| (true, "holds no private key as PEM"))?;
    let mut text = Zeroizing::new(String::new());
    for certificate in &chain {
        text.push_str(&block("CERTIFICATE", certificate));
    }
    let label = match &key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    text.push_str(&Zeroizing::new(block(label, key.secret_der())));
    let provider = rustls::crypto::ring::default_provider();
    let loaded = provider.key_provider.load_private_key(key);
    let loaded = loaded.map_err(|_| (true, "holds a private key of a kind that is not supported"))?;
    match rustls::sign::CertifiedKey::new(chain, loaded).keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(SecretString::from(text.as_str()))
        }
        Err(rustls::Error::InconsistentKeys(_)) => Err((true, "does not belong to the certificate")),
        Err(_) => Err((false, "holds a certificate that can't be read")),
    }
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err("holds no certificate as PEM"),
    }
}

fn block(label: &str, der: &[u8]) -> String {
    let encoded = Zeroizing::new(STANDARD.encode(der));
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        let _ = writeln!(text, "{}", String::from_utf8_lossy(line));
    }
    let _ = writeln!(text, "-----END {label}-----");
    text
}
