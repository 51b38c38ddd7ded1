//! The Kubernetes engine on a real cluster: the lab's, or the one of `SLIPWAY_TEST_KUBECONFIG`.

mod conformance;
mod harness;
mod images;

pub use harness::Kubernetes;
