//! Slipway: a self-hosted deployer for data projects. `ARCHITECTURE.md` has the map.

pub mod app;
pub mod auth;
pub mod blob;
pub mod bus;
pub mod cli;
pub mod compose;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod engine;
pub mod http;
pub mod instance;
pub mod reconcile;
pub mod store;
pub mod tls;
