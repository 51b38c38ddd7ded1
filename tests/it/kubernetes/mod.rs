//! The Kubernetes engine on a real cluster: the lab's, or the one of `SLIPWAY_TEST_KUBECONFIG`.

mod conformance;
mod harness;

pub use harness::Kubernetes;
