//! One binary for all integration tests: linking once keeps them fast.

mod archive;
