//! `slipway admin rotate-key`

use crate::app::keys;
use crate::cli::admin::operator;
use crate::domain::Result;
use crate::instance::Instance;

/// Rotates, and says how many secrets were sealed anew.
pub async fn rotate(instance: &Instance) -> Result<()> {
    let sealed = keys::rotate(&instance.app, &operator()).await?;
    crate::cli::print(&format!("{sealed} sealed anew\n"))
}
