//! Content-addressed files: what people upload, kept under the SHA-256 of its bytes.
//!
//! Three invariants hold. A file under `blobs/` is complete and on disk: it is written elsewhere, synced, and renamed
//! last. A folder under `unpacked/` is complete likewise, so that what exists may be used without looking again.
//! Whatever is unfinished lies in a `tmp/` folder that [`Store::sweep`] empties at start.
//!
//! Memory stays flat whatever the size: uploads and archives pass through fixed buffers. Everything that touches the
//! disk runs on the blocking pool.

pub mod archive;
mod store;
mod upload;

pub use archive::{Archive, Contents, Limits};
pub use store::{Blob, Store};
pub use upload::{Inspected, Staged, Upload};

use std::io;

use crate::domain::{Error, Kind, Result};

/// Runs `work` on the blocking pool.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

/// What a failed disk operation means to the caller: a full disk is said plainly, everything else is ours.
fn disk_error(error: io::Error) -> Error {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return Error::new(Kind::Unavailable, "disk_full", "the server's disk is full, so nothing was kept")
            .hint("Free space in the data directory, or have an administrator do so, then send it again.")
            .because(error);
    }
    Error::internal(error)
}
