//! Slipway: a self-hosted deployer for data projects. `ARCHITECTURE.md` has the map.

pub mod domain;
pub mod engine;
