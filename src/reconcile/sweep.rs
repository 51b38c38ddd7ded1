//! Removes what is over: sessions, one-time tokens, idempotency keys, and bundles' files that nothing names any more.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::sleep;

use super::Shared;
use crate::domain::{Error, Result};
use crate::store;

/// Between two sweeps.
const PERIOD: Duration = Duration::from_secs(600);

/// How long the first result of a request with an `Idempotency-Key` is remembered.
const IDEMPOTENCY: TimeDelta = TimeDelta::hours(24);

/// Works until the reconcilers are stopped.
pub(super) async fn work(shared: Arc<Shared>) {
    let mut pause = Duration::from_secs(20);
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = sleep(pause) => {}
        }
        pause = PERIOD;
        let timed = shared.timed("sweep");
        let rows = rows(&shared).await;
        timed.done(match rows {
            Ok(()) => files(&shared).await,
            failed => failed,
        });
    }
}

async fn rows(shared: &Shared) -> Result<()> {
    let now = shared.clock.now();
    let idle = TimeDelta::from_std(shared.settings.session_idle).map_err(Error::internal)?;
    shared
        .store
        .write(move |tx| {
            store::session::sweep(tx, now, now - idle)?;
            store::idempotency::sweep(tx, now - IDEMPOTENCY)
        })
        .await
}

/// A bundle's files go once neither a bundle nor an update that could be rolled back to names them. An upload's file
/// is kept before its row is written, so a file has to be seen unused twice.
async fn files(shared: &Shared) -> Result<()> {
    let before = unused(shared).await?;
    if before.is_empty() {
        return Ok(());
    }
    sleep(Duration::from_secs(60)).await;
    for digest in unused(shared).await?.into_iter().filter(|digest| before.contains(digest)) {
        tracing::info!(%digest, "removing a bundle's files that nothing uses");
        shared.blobs.delete(&digest).await?;
    }
    Ok(())
}

async fn unused(shared: &Shared) -> Result<Vec<crate::domain::bundle::Digest>> {
    let kept = shared.blobs.list().await?;
    shared
        .store
        .read_much(move |db| {
            let mut unused = Vec::new();
            for digest in kept.into_iter().map(|blob| blob.digest) {
                if !store::bundle::digest_in_use(db, &digest)? {
                    unused.push(digest);
                }
            }
            Ok(unused)
        })
        .await
}
