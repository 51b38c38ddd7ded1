//! Tests on a real Docker engine: `tests/lab/lab docker images` starts one. Plain `cargo nextest run` leaves them out.
//!
//! Every test of the engine itself has an instance of its own and removes all of it in the end.

mod away;
mod canaries;
mod crowd;
mod disk;
mod drain;
mod drift;
mod failing;
pub mod harness;
mod iris;
mod isolation;
mod kill;
mod own;
pub mod pipeline;
mod registry;
mod release;
mod renga;
mod revoke;
mod rotation;
mod scene;
mod second;
mod tampered;
mod testing;
mod traffic;

use harness::Docker;

mod conformance {
    crate::conformance::every_case!(super::Docker);
}
