//! One sealed value: `format (1) · key id (4) · nonce (24) · ciphertext and tag`.
//!
//! The header and the place are authenticated with the value, so that neither can be exchanged: a blob moved to another
//! row, name or version does not open.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroizing;

use crate::domain::random;

const FORMAT: u8 = 1;
const HEADER: usize = 5;
const NONCE: usize = 24;

/// The place a value is sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context<'a> {
    pub table: &'a str,
    /// The row's id.
    pub row: &'a str,
    /// What it is within the row, e.g. the secret's name or the column.
    pub name: &'a str,
    /// The value's version; 0 where there is one only.
    pub version: u32,
}

impl Context<'_> {
    /// The place as bytes that no other place has: each part carries its length.
    fn bytes(&self, header: &[u8]) -> Vec<u8> {
        let mut bytes = header.to_vec();
        for part in [self.table, self.row, self.name] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes.extend(self.version.to_be_bytes());
        bytes
    }
}

/// Seals `clear` under the key `id` with a fresh nonce.
pub fn seal(key: &[u8; 32], id: u32, context: &Context<'_>, clear: &[u8]) -> Vec<u8> {
    let mut blob = vec![FORMAT];
    blob.extend(id.to_be_bytes());
    let nonce = random::bytes::<NONCE>();
    let payload = Payload { msg: clear, aad: &context.bytes(&blob) };
    let ciphertext = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(nonce), payload)
        .expect("a value in memory is far shorter than the cipher's limit");
    blob.extend(nonce);
    blob.extend(ciphertext);
    blob
}

/// The key that `blob` names; `None` when it is no blob of ours.
pub fn key_id(blob: &[u8]) -> Option<u32> {
    let (format, rest) = blob.split_first()?;
    let (id, _) = rest.split_first_chunk::<4>()?;
    (*format == FORMAT).then(|| u32::from_be_bytes(*id))
}

/// Opens `blob`; `None` when key or place differ, or any bit of it was changed.
pub fn open(key: &[u8; 32], context: &Context<'_>, blob: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (header, rest) = blob.split_at_checked(HEADER)?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>()?;
    let payload = Payload { msg: ciphertext, aad: &context.bytes(header) };
    XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
}
