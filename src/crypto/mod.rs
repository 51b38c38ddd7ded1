//! Keys and what is done with them: sealing of secrets at rest, derived keys, password hashes.
//!
//! What holds: a sealed value opens only in the place it was sealed for (table, row, name, version), every value says
//! which key opens it, and no key or clear value has a `Debug` or `Display` that shows it.

mod key_file;
pub mod password;
mod ring;
mod sealed;

pub use ring::KeyRing;
pub use sealed::Context;
