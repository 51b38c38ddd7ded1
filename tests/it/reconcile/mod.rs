//! Reconcilers against the fake engine: every outcome, every place to be killed at, every right taken away.

mod cancelling;
mod drift;
mod failures;
mod journal;
mod kills;
mod outcomes;
mod probe;
mod release;
mod rights;
mod silence;
mod testing;
mod world;
