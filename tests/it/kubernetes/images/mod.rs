//! Images of bundles for a cluster, through the lab's registry (`tests/lab/lab registry`) and with the lab's Docker engine
//! as the node that pulls them.

mod build;
mod bundle;
mod counter;
mod odd;
mod refused;
pub mod stage;
