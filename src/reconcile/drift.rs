//! Queues repairs of what drifted, for deployments whose settings ask for that.
//!
//! How long to wait before the next repair follows from the repairs that the store already holds, so a thing that
//! breaks again and again is repaired less and less often, whatever process does it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::health::{self, Drift};
use super::{Note, Shared};
use crate::bus::Topic;
use crate::domain::Result;
use crate::domain::access::{Origin, Subject};
use crate::domain::clock::Timestamp;
use crate::domain::deployment::DeploymentRight;
use crate::domain::name::DeploymentId;
use crate::domain::update::{Update, UpdateKind, UpdateState};
use crate::store::audit::JournalKey;
use crate::store::{self, Tx};

/// What looks like drift may be somebody's restart: it has to last.
const LASTS: Duration = Duration::from_millis(500);

/// After so many repairs within the last hour, how long since the newest the next one waits.
const WAITS: [TimeDelta; 6] = [
    TimeDelta::zero(),
    TimeDelta::seconds(10),
    TimeDelta::seconds(60),
    TimeDelta::minutes(5),
    TimeDelta::minutes(15),
    TimeDelta::hours(1),
];

/// Works until the reconcilers are stopped.
pub(super) async fn work(shared: Arc<Shared>) {
    let mut due: BTreeMap<DeploymentId, Instant> = BTreeMap::new();
    loop {
        let next = due.values().min().copied();
        let next = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = shared.drifted.wait() => {
                for id in shared.drifted.take(usize::MAX) {
                    due.entry(id).or_insert_with(|| Instant::now() + LASTS);
                }
            }
            () = sleep_until(next) => {
                let now = Instant::now();
                let ready: Vec<_> = due.iter().filter(|(_, at)| **at <= now).map(|(id, _)| id.clone()).collect();
                for id in ready {
                    due.remove(&id);
                    let timed = shared.timed("drift");
                    let result = repair(&shared, &id).await;
                    if let Ok(Some(wait)) = &result {
                        due.insert(id, now + *wait);
                    }
                    timed.done(result.map(drop));
                }
            }
        }
    }
}

/// Queues a repair if it is wanted and due; answers how long to wait when it is too early.
async fn repair(shared: &Shared, id: &DeploymentId) -> Result<Option<Duration>> {
    let drift = health::drift(shared, id).await?;
    if drift.is_empty() {
        return Ok(None);
    }
    let (id, now, key) = (id.clone(), shared.clock.now(), shared.journal_key.clone());
    shared.store.write(move |tx| enqueue(tx, &key, &id, &drift, now)).await
}

fn enqueue(
    tx: &Tx<'_>,
    key: &JournalKey,
    id: &DeploymentId,
    drift: &[Drift],
    now: Timestamp,
) -> Result<Option<Duration>> {
    let system = Subject::system();
    let Some(found) = store::deployment::find(tx, id, &system)? else {
        return Ok(None);
    };
    let deployment = found.authorize(&system, DeploymentRight::View)?;
    let Some(running) = deployment.running_update else {
        return Ok(None);
    };
    let busy = !store::update::open_of(tx, id)?.is_empty();
    if busy || !deployment.enabled || !deployment.auto_repair {
        return Ok(None);
    }
    if let Some(wait) = wait(&store::run::repairs_since(tx, id, now - TimeDelta::hours(1))?, now) {
        return Ok(Some(wait));
    }
    let Some(plan) = store::update::plan(tx, id, running)? else {
        return Ok(None);
    };
    let update = Update {
        deployment: id.clone(),
        number: 0,
        kind: UpdateKind::Repair,
        state: UpdateState::Queued,
        version: plan.version.clone(),
        plan_digest: plan.digest(),
        requester: system,
        origin: Origin::System,
        reason: Some(reason(drift)),
        rolls_back_to: None,
        created_at: now,
        cancel_requested_by: None,
        switched: false,
        attempt: 0,
    };
    let number = store::update::enqueue(tx, &update, &plan, &[])?;
    if let Some(settings) = store::update::settings(tx, id, running)? {
        store::update::set_settings(tx, id, number, &settings)?;
    }
    let detail = json!({ "number": number, "kind": update.kind, "version": update.version,
        "plan": update.plan_digest, "repairs": running });
    let reason = update.reason.as_deref();
    super::note(tx, key, id, Note { action: "update.requested", reason, detail }, now)?;
    tx.publish(Topic::Work);
    tx.publish(Topic::Update(id.clone(), number));
    tx.publish(Topic::Deployment(id.clone()));
    Ok(None)
}

fn reason(drift: &[Drift]) -> String {
    let each: Vec<String> = drift
        .iter()
        .take(5)
        .map(|one| format!("replica {} of {} {}", one.index, one.service, one.detail))
        .collect();
    each.join("; ")
}

/// How long until the next repair may be asked for; `None`: now.
fn wait(repairs: &[Timestamp], now: Timestamp) -> Option<Duration> {
    let newest = repairs.first()?;
    let pause = WAITS[repairs.len().min(WAITS.len() - 1)];
    (*newest + pause - now).to_std().ok().filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_again_waits_longer() {
        let now = Timestamp::UNIX_EPOCH + TimeDelta::days(1);
        let ago = |seconds: i64| now - TimeDelta::seconds(seconds);
        assert_eq!(wait(&[], now), None);
        assert_eq!(wait(&[ago(4)], now), Some(Duration::from_secs(6)));
        assert_eq!(wait(&[ago(10)], now), None);
        assert_eq!(wait(&[ago(10), ago(30)], now), Some(Duration::from_secs(50)));
        assert_eq!(wait(&vec![ago(60); 40], now), Some(Duration::from_secs(3_540)));
    }
}
