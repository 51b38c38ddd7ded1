//! Settings.
pub mod text;
