//! A stateful in-memory engine.
