//! Removes from engines what deleted deployments left there: networks, image tags, and volumes where somebody asked for
//! that. It is asked for in the transaction that deletes, and tried until the engine has done it: a network that a
//! container of somebody else still uses goes when that has left.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, sleep_until, timeout};

use super::table::Reach;
use super::{Shared, removal};
use crate::bus::Topic;
use crate::domain::access::{InfrastructureRight, Subject};
use crate::domain::{Error, Result};
use crate::store;
use crate::store::release::Release;

/// How often it is tried although nobody woke us.
const PERIOD: Duration = Duration::from_secs(30);

/// The longest that one of them may take of the others' time.
const LONGEST: Duration = Duration::from_secs(120);

/// Works until the reconcilers are stopped.
pub(super) async fn work(shared: Arc<Shared>) {
    let mut topics = shared.store.bus().subscribe();
    loop {
        let timed = shared.timed("releases");
        timed.done(all(&shared).await);
        let next = Instant::now() + PERIOD;
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = woken(&mut topics) => {}
            () = sleep_until(next) => {}
        }
    }
}

/// Waits for what may mean that there is something to release, or that it can be done now.
async fn woken(topics: &mut broadcast::Receiver<Topic>) {
    loop {
        match topics.recv().await {
            Ok(Topic::Work | Topic::Infrastructure(_)) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

async fn all(shared: &Shared) -> Result<()> {
    removal::all(shared).await?;
    for release in shared.store.read(store::release::all).await? {
        if shared.stop.is_cancelled() {
            return Ok(());
        }
        if *shared.table.reach(&release.infrastructure).borrow() == Reach::Reachable {
            one(shared, release).await?;
        }
    }
    Ok(())
}

async fn one(shared: &Shared, release: Release) -> Result<()> {
    let on = release.infrastructure.clone();
    let found = shared.store.read(move |db| store::infrastructure::find(db, &on, &Subject::system())).await?;
    let Some(found) = found else { return Ok(()) };
    let infrastructure = found.authorize(&Subject::system(), InfrastructureRight::View)?.into_inner();
    let engine = shared.engines.get(&infrastructure);
    let _turn = shared.turns.acquire().await.map_err(Error::internal)?;
    if !is_wanted(shared, &release).await? {
        return Ok(());
    }
    let asked = timeout(LONGEST, engine.release(&release.workload, release.volumes)).await;
    match asked {
        Ok(Ok(())) => {
            tracing::info!(workload = %release.workload, infrastructure = %release.infrastructure,
                volumes = release.volumes, "removed what a deleted deployment left");
            let Release { workload, infrastructure, .. } = release;
            shared.store.write(move |tx| store::release::forget(tx, &workload, &infrastructure)).await
        }
        Ok(Err(error)) => {
            tracing::warn!(workload = %release.workload, infrastructure = %release.infrastructure, %error,
                "what a deleted deployment left can't be removed now; it is tried again");
            Ok(())
        }
        Err(_) => Ok(()),
    }
}

/// Whether it is still asked for: a new deployment of the same id takes the network over.
async fn is_wanted(shared: &Shared, release: &Release) -> Result<bool> {
    let release = release.clone();
    shared.store.read(move |db| Ok(store::release::all(db)?.contains(&release))).await
}
