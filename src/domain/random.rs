//! Randomness and ids: the one place that asks the machine for them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use uuid::Uuid;

/// `N` bytes from the operating system's generator.
///
/// # Panics
/// When the operating system gives no randomness: nothing may go on then.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0; N];
    rand::rngs::SysRng.try_fill_bytes(&mut buffer).expect("the operating system gives randomness");
    buffer
}

/// 256 random bits as 43 URL-safe characters: API keys, session ids, one-time links.
pub fn token() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>())
}

/// A fresh uuid that sorts by time (version 7).
#[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
pub fn uuid() -> Uuid {
    Uuid::now_v7()
}
