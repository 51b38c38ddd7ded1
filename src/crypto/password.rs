//! Passwords of local users: Argon2id, off the async threads, a bounded number at a time.
//!
//! Each hash takes 19 MiB and some ten milliseconds; whoever floods the login can make only [`AT_ONCE`] of them run.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use crate::domain::{Error, Result};

/// The shortest password that is taken, in characters (ASVS 5.0, 6.2.1, asks for 8 at least).
pub const SHORTEST: usize = 12;
/// The longest, so that nobody makes us hash a novel.
pub const LONGEST: usize = 256;
/// How many hashes run at a time.
const AT_ONCE: usize = 2;

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
/// Internal errors alone.
pub async fn hash(password: SecretString) -> Result<String> {
    on_the_side(move || {
        let hash = argon2().hash_password(password.expose_secret().as_bytes());
        hash.map(|hash| hash.to_string()).map_err(|error| Error::internal(error.to_string()))
    })
    .await?
}

/// Whether `password` is the one of `kept`. With no hash kept it takes as long and answers `false`, so that the time
/// does not tell whether an account exists.
///
/// # Errors
/// Internal errors alone.
pub async fn verify(password: SecretString, kept: Option<String>) -> Result<bool> {
    on_the_side(move || {
        let bytes = password.expose_secret().as_bytes();
        match kept.as_deref().map(PasswordHash::new) {
            Some(Ok(kept)) => argon2().verify_password(bytes, &kept).is_ok(),
            _ => {
                let _ = argon2().hash_password(bytes);
                false
            }
        }
    })
    .await
}

async fn on_the_side<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
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
