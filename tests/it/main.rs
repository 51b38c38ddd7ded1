//! One binary for all integration tests: linking once keeps them fast.

mod archive;
mod docker;
mod harness;
mod http_base;
mod layers;
mod plan;
mod store;
