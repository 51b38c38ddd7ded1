//! Passwords of local users: Argon2id, off the async threads, a bounded number at a time.
//!
//! Each hash takes 19 MiB and some ten milliseconds; whoever floods the login, from however many addresses, can make only
//! [`AT_ONCE`] of them run and [`WAITING`] wait. Those beyond are sent away at once.

use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use crate::domain::{Error, Kind, Result, random};

/// The shortest password that is taken, in characters (ASVS 5.0, 6.2.1, asks for 8 at least).
pub const SHORTEST: usize = 12;
/// The longest, so that nobody makes us hash a novel.
pub const LONGEST: usize = 256;
/// Bytes of a hash.
const LENGTH: usize = 32;
/// How many hashes run at a time.
const AT_ONCE: usize = 2;

/// How many may wait for their turn.
const WAITING: usize = 64;

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE + WAITING);
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// 19 MiB, two passes, one lane: the OWASP password storage cheat sheet's first choice.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("these parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Refuses passwords that are too short or too long.
///
/// # Errors
/// A problem with the field `password`.
pub fn demand_strength(password: &SecretString) -> Result<()> {
    let length = password.expose_secret().chars().count();
    if (SHORTEST..=LONGEST).contains(&length) {
        return Ok(());
    }
    Err(Error::field(
        "password",
        format!("a password has {SHORTEST} to {LONGEST} characters; this one has {length}"),
    )
    .hint("Several words in a row are easy to remember and long enough."))
}

/// Hashes a password for keeping, as a PHC string with a salt of its own.
///
/// # Errors
/// `too_many_attempts`; internal ones.
pub async fn hash(password: SecretString) -> Result<String> {
    on_the_side(move || {
        let (argon2, salt) = (argon2(), random::bytes::<16>());
        let mut out = [0; LENGTH];
        fill(&argon2, password.expose_secret().as_bytes(), &salt, &mut out);
        let kept = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(argon2.params()).map_err(internal)?,
            salt: Some(Salt::new(&salt).map_err(internal)?),
            hash: Some(Output::new(&out).map_err(internal)?),
        };
        Ok(kept.to_string())
    })
    .await?
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::internal(error.to_string())
}

/// Whether `password` is the one of `kept`. With no hash kept it takes as long and answers `false`, so that the time
/// does not tell whether an account exists.
///
/// # Errors
/// `too_many_attempts`; internal ones.
pub async fn verify(password: SecretString, kept: Option<String>) -> Result<bool> {
    on_the_side(move || {
        let bytes = password.expose_secret().as_bytes();
        let fits = kept.as_deref().and_then(|kept| fits(bytes, kept));
        fits.unwrap_or_else(|| {
            fill(&argon2(), bytes, &[0; 16], &mut [0; LENGTH]);
            false
        })
    })
    .await
}

/// Whether a password is that of a PHC string; `None` when that is none of ours.
fn fits(password: &[u8], kept: &str) -> Option<bool> {
    let kept = PasswordHash::new(kept).ok()?;
    if kept.algorithm != Algorithm::Argon2id.ident() || kept.version != Some(Version::V0x13.into()) {
        return None;
    }
    let params = Params::try_from(&kept).ok()?;
    let (salt, hash) = (kept.salt?, kept.hash?);
    let mut out = vec![0; hash.len()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    // Compared in constant time, as the type does it.
    fill(&argon2, password, &salt, &mut out).then(|| Output::new(&out).is_ok_and(|out| out == hash))
}

/// Computes into `out`; `false` where the parameters do not allow it.
///
/// The working memory is kept for the next hash, at most [`AT_ONCE`] pieces of it, wiped: left to the allocator, a piece
/// of this size and alignment is not found again, and every sign-in would cost its memory for good.
fn fill(argon2: &Argon2<'_>, password: &[u8], salt: &[u8], out: &mut [u8]) -> bool {
    static MEMORY: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());
    let kept = || MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let mut memory = kept().pop().unwrap_or_default();
    memory.resize(argon2.params().block_count(), Block::new());
    let filled = argon2.hash_password_into_with_memory(password, salt, out, &mut memory);
    memory.fill(Block::new());
    kept().push(memory);
    filled.is_ok()
}

async fn on_the_side<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let _place = PLACES.try_acquire().map_err(|_| {
        Error::new(Kind::TooMany, "too_many_attempts", "too many people are signing in at this moment")
            .hint("Wait a minute, then try again.")
    })?;
    let _turn = TURNS.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        text.to_owned().into()
    }

    #[tokio::test]
    async fn only_the_right_password_fits() {
        let kept = hash(secret("correct horse battery staple")).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(verify(secret("correct horse battery staple"), Some(kept.clone())).await.unwrap());
        for (wrong, kept) in [
            ("correct horse battery stapl", Some(kept.clone())),
            ("", Some(kept)),
            ("correct horse battery staple", None),
            ("correct horse battery staple", Some("not a hash".into())),
        ] {
            assert!(!verify(secret(wrong), kept).await.unwrap());
        }
    }

    #[tokio::test]
    async fn the_same_password_never_hashes_alike() {
        let twice = [hash(secret("a password of length")).await, hash(secret("a password of length")).await];
        let [one, two] = twice.map(Result::unwrap);
        assert_ne!(one, two);
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(demand_strength(&secret(&"ä".repeat(SHORTEST))).is_ok());
        for bad in ["", "eleven char", &"x".repeat(LONGEST + 1)] {
            assert!(demand_strength(&secret(bad)).is_err(), "{bad:?}");
        }
    }
}
