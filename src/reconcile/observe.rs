//! The observers: one task for each infrastructure, which lists what the engine has, then follows its events.
//!
//! Whatever an observer learns goes to the in-memory [`Table`](super::table::Table) at once, and to `observed.db` in
//! batches of a few milliseconds. Events may get lost and engines may restart or hang, so an observer trusts no stream
//! for long: it lists anew when the stream ends, when somebody asks, and every so often.

mod batch;
mod objects;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::batch::Batch;
use self::objects::Objects;
use super::table::Reach;
use super::{Child, Shared};
use crate::bus::Topic;
use crate::domain::Result;
use crate::domain::infrastructure::Infrastructure;
use crate::domain::name::InfrastructureId;
use crate::engine::{Engine, EngineError, EngineEvent, EngineResult, SlotState, Snapshot};
use crate::store;
use crate::store::observation::EngineState;

/// Between a failed attempt and the next: quick at first, so that a restarted engine is seen soon.
const BACKOFF: [Duration; 6] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(700),
    Duration::from_secs(1),
];

/// Keeps one observer running for each infrastructure, as they come, change and go.
pub(super) async fn supervise(shared: Arc<Shared>) {
    let mut topics = shared.store.bus().subscribe();
    let mut running: HashMap<InfrastructureId, (Infrastructure, Child)> = HashMap::new();
    loop {
        let timed = shared.timed("observers");
        timed.done(adjust(&shared, &mut running).await);
        tokio::select! {
            () = shared.stop.cancelled() => break,
            () = infrastructure_changed(&mut topics) => {}
            () = sleep(Duration::from_secs(60)) => {}
        }
    }
}

async fn infrastructure_changed(topics: &mut broadcast::Receiver<Topic>) {
    loop {
        match topics.recv().await {
            Ok(Topic::Infrastructure(_)) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

async fn adjust(
    shared: &Arc<Shared>,
    running: &mut HashMap<InfrastructureId, (Infrastructure, Child)>,
) -> Result<()> {
    let all = shared.store.read(store::infrastructure::all).await?;
    let gone: Vec<_> = running.keys().filter(|id| !all.iter().any(|one| one.id == **id)).cloned().collect();
    for id in gone {
        running.remove(&id);
        shared.table.forget(&id);
        shared.engines.forget(&id);
        shared.store.observe(move |tx| store::observation::clear(tx, &id)).await?;
    }
    for infrastructure in all {
        let same = |(known, task): &(Infrastructure, Child)| {
            known.engine == infrastructure.engine && !task.0.is_finished()
        };
        if running.get(&infrastructure.id).is_some_and(same) {
            continue;
        }
        running.remove(&infrastructure.id);
        let (sender, asked) = mpsc::channel(16);
        shared.set_relist(infrastructure.id.clone(), sender);
        let observer = Observer {
            engine: shared.engines.get(&infrastructure),
            id: infrastructure.id.clone(),
            shared: Arc::clone(shared),
            asked,
            waiting: Vec::new(),
        };
        let task = Child(tokio::spawn(observer.run()));
        running.insert(infrastructure.id.clone(), (infrastructure, task));
    }
    Ok(())
}

struct Observer {
    id: InfrastructureId,
    engine: Arc<dyn Engine>,
    shared: Arc<Shared>,
    /// Those who want a fresh list.
    asked: mpsc::Receiver<oneshot::Sender<()>>,
    waiting: Vec<oneshot::Sender<()>>,
}

/// Why an observer lists anew.
enum Again {
    /// Somebody asked, or it is time.
    Wanted,
    /// The stream ended: events may be lost.
    Lost,
}

impl Observer {
    async fn run(mut self) {
        let mut batch = self.batch().await;
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let timed = self.shared.timed(&format!("observe:{}", self.id));
            let pause = match self.session(&mut batch).await {
                Ok(Again::Wanted) => {
                    timed.done(Ok(()));
                    failures = 0;
                    Duration::ZERO
                }
                // A stream that was good for a while is followed up at once; one that breaks at once is not.
                Ok(Again::Lost) if began.elapsed() > Duration::from_secs(1) => {
                    timed.done(Ok(()));
                    failures = 0;
                    Duration::ZERO
                }
                Ok(Again::Lost) => {
                    timed.done(Ok(()));
                    failures += 1;
                    BACKOFF[failures.min(BACKOFF.len()) - 1]
                }
                Err(error) => {
                    self.lost(&error).await;
                    timed.failed(error.to_string());
                    failures += 1;
                    BACKOFF[failures.min(BACKOFF.len()) - 1]
                }
            };
            if batch.is_broken() {
                batch = self.batch().await;
            }
            sleep(pause).await;
        }
    }

    /// What the store holds of this infrastructure, so that only differences are written.
    async fn batch(&self) -> Batch {
        loop {
            let id = self.id.clone();
            match self
                .shared
                .store
                .read_much(move |db| {
                    Ok((store::observation::slots_on::<SlotState>(db, &id)?, Objects::written(db, &id)?))
                })
                .await
            {
                Ok((slots, objects)) => return Batch::new(self.id.clone(), slots, objects),
                Err(error) => tracing::warn!(infrastructure = %self.id, %error, "observations can't be read"),
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// One list and the events after it.
    async fn session(&mut self, batch: &mut Batch) -> EngineResult<Again> {
        let snapshot = self.engine.snapshot().await?;
        let mut events = self.engine.watch(&snapshot.cursor).await?;
        self.take_in(snapshot, batch);
        self.reached();
        batch.flush(&self.shared).await;
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(());
        }
        self.follow(&mut events, batch).await
    }

    fn take_in(&self, snapshot: Snapshot, batch: &mut Batch) {
        for (workload, engine_id) in batch.missing_from(&snapshot.slots) {
            batch.gone(&engine_id, &workload);
        }
        let present: HashSet<&str> = snapshot.slots.iter().map(|state| state.engine_id.as_str()).collect();
        for (workload, engine_id) in self.shared.table.ids(&self.id) {
            if !present.contains(engine_id.as_str()) {
                self.shared.table.remove(&self.id, &workload, &engine_id);
            }
        }
        for state in snapshot.slots {
            batch.put(&state);
            self.shared.table.put(&self.id, state);
        }
        for (workload, uid) in batch.objects_missing_from(&snapshot.objects) {
            batch.object_gone(&uid, &workload);
        }
        for (workload, object) in &snapshot.objects {
            batch.put_object(workload, object);
        }
    }

    async fn follow(
        &mut self,
        events: &mut BoxStream<'static, EngineResult<EngineEvent>>,
        batch: &mut Batch,
    ) -> EngineResult<Again> {
        let until = Instant::now() + self.shared.settings.relist;
        loop {
            let due = batch.due().unwrap_or(until);
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => self.apply(event, batch),
                    Some(Err(error)) => {
                        tracing::info!(infrastructure = %self.id, %error, "listing anew");
                        batch.flush(&self.shared).await;
                        return Ok(Again::Lost);
                    }
                    None => {
                        batch.flush(&self.shared).await;
                        return Ok(Again::Lost);
                    }
                },
                asked = self.asked.recv() => {
                    self.waiting.extend(asked);
                    return Ok(Again::Wanted);
                }
                () = sleep_until(due) => {
                    batch.flush(&self.shared).await;
                    if batch.is_broken() || Instant::now() >= until {
                        return Ok(Again::Wanted);
                    }
                }
            }
        }
    }

    fn apply(&self, event: EngineEvent, batch: &mut Batch) {
        match event {
            EngineEvent::Slot { state, what, at } => {
                batch.put(&state);
                batch.note(&state.slot, what, state.detail.clone(), at);
                self.shared.table.put(&self.id, *state);
            }
            EngineEvent::Ended { slot, engine_id, phase, at } => {
                let slots = self.shared.table.slots(&self.id, &slot.workload);
                if let Some(seen) = slots.iter().find(|seen| seen.state.engine_id == engine_id) {
                    let state = SlotState { phase, ended_at: Some(at), ..seen.state.clone() };
                    batch.put(&state);
                    self.shared.table.put(&self.id, state);
                }
            }
            EngineEvent::Gone { slot, engine_id, at } => {
                batch.gone(&engine_id, &slot.workload);
                batch.note(&slot, "destroy".to_owned(), String::new(), at);
                self.shared.table.remove(&self.id, &slot.workload, &engine_id);
            }
            EngineEvent::Object { workload, object } => batch.put_object(&workload, &object),
            EngineEvent::ObjectGone { workload, uid } => batch.object_gone(&uid, &workload),
        }
    }

    /// The engine answers; when that is news, it is written, and the engine is asked what it is.
    fn reached(&self) {
        if !self.shared.table.set_reach(&self.id, Reach::Reachable) {
            return;
        }
        tracing::info!(infrastructure = %self.id, "the engine answers");
        let (shared, engine, id) = (Arc::clone(&self.shared), Arc::clone(&self.engine), self.id.clone());
        self.write_reach(true, String::new(), None);
        tokio::spawn(async move {
            if let Ok(Ok(report)) = timeout(Duration::from_secs(30), engine.check()).await {
                let report = serde_json::to_value(&report).ok();
                write_reach(&shared, &id, true, String::new(), report);
            }
        });
    }

    async fn lost(&self, error: &EngineError) {
        if self.shared.table.set_reach(&self.id, Reach::Unreachable(error.to_string())) {
            tracing::warn!(infrastructure = %self.id, %error, "the engine does not answer");
            self.write_reach(false, error.to_string(), None);
        }
    }

    fn write_reach(&self, reachable: bool, message: String, report: Option<serde_json::Value>) {
        write_reach(&self.shared, &self.id, reachable, message, report);
    }
}

fn write_reach(
    shared: &Shared,
    id: &InfrastructureId,
    reachable: bool,
    message: String,
    report: Option<serde_json::Value>,
) {
    let state = EngineState { reachable, message, report, at: shared.clock.now() };
    let id = id.clone();
    drop(shared.store.observe(move |tx| {
        store::observation::put_engine(tx, &id, &state)?;
        tx.publish(Topic::Infrastructure(id));
        Ok(())
    }));
}
