//! The nouns and their rules: pure, no IO, importing no other module of the crate.
//!
//! Everything that decides (may this caller do it, may this workload run here, what would an update change, how
//! healthy is it) lives here, so that the console, the REST API, the façades and the reconcilers cannot disagree.

pub mod access;
pub mod api_key;
pub mod approval;
pub mod audit;
pub mod bundle;
pub mod clock;
pub mod cluster;
pub mod context;
pub mod deployment;
pub mod diff;
pub mod error;
pub mod governance;
pub mod group;
pub mod health;
pub mod infrastructure;
pub mod name;
pub mod notation;
pub mod page;
pub mod pipeline;
pub mod plan;
pub mod policy;
pub mod project;
pub mod random;
pub mod resource;
pub mod secret;
pub mod session;
pub mod stage;
pub mod stream;
pub mod template;
pub mod test;
pub mod text;
pub mod update;
pub mod user;
pub mod workload;

pub use error::{Error, Kind, Problem, Result};
