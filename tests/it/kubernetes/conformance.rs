//! Kubernetes keeps the promises of every engine.

crate::conformance::every_case!(super::Kubernetes);
