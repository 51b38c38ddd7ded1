//! Tests on a real Kubernetes cluster: `tests/lab/lab k8s` starts one; `SLIPWAY_TEST_KUBECONFIG` names another. Plain
//! `cargo nextest run` leaves them out.

mod away;
mod conformance;
mod connection;
mod flow;
pub mod harness;
pub mod images;
mod inside;
mod kill;
pub mod lab;
mod pipeline;
mod pressure;
mod renga;
mod shown;
mod standards;
mod testing;

pub use harness::Kubernetes;
