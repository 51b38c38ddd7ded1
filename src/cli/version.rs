//! `slipway version`

use crate::domain::Result;

/// Says which version this is.
pub fn run() -> Result<()> {
    super::print(&format!("slipway {}\n", env!("CARGO_PKG_VERSION")))
}
