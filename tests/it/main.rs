//! One binary for all integration tests: linking once keeps them fast.

#![expect(clippy::disallowed_methods, reason = "these tests start the built binary and real services")]

mod api_access;
mod api_approval;
mod api_deployment;
mod api_doc;
mod api_log;
mod api_manner;
mod api_pipeline;
mod api_table;
mod api_test;
mod archive;
mod big;
mod browser;
mod cli;
mod clients;
mod compose;
mod conformance;
mod deputy;
mod docker;
mod docs;
mod examples;
mod fake;
mod faults;
mod harness;
mod http_base;
mod kubeconfig;
mod kubernetes;
mod layers;
mod oidc;
mod overload;
mod plan;
mod probes;
mod reconcile;
mod renga;
mod routes;
mod session;
mod sign_in;
mod store;
mod web;
