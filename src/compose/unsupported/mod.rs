//! Every key of the Compose Specification, level by level: read, or refused with what to do instead.
//!
//! `docs/compose.md` holds the same tables for people; a test keeps the two together.

mod deploy;
mod parts;
mod service;
mod top;

pub use deploy::{DEPLOY, LIMITS, RESERVATIONS, RESOURCES, UPDATE_CONFIG};
pub use parts::{
    DEPENDENCY, ENV_FILE, FILE_REFERENCE, HEALTHCHECK, METRICS, MOUNT, MOUNT_BIND, MOUNT_TMPFS, MOUNT_VOLUME,
    PORT, SLIPWAY,
};
pub use service::{BUILD, SERVICE, SERVICE_NETWORK, ULIMIT};
pub use top::{CONFIG, NETWORK, SECRET, SLIPWAY_TOP, TOP, VOLUME};

const ONE_FILE: &str = "A bundle has one compose file: write what it brings in here, with anchors (`&x`, `*x`, `<<`) \
                        for what is shared.";
const OWN_NETWORK: &str =
    "Remove it: every workload has a network of its own, in which services reach each other by name.";
const VOLUME_LABEL: &str = "Remove it: Slipway labels what it makes, and nothing reads labels of volumes, networks, secrets or configs.";

#[cfg(test)]
mod tests;
