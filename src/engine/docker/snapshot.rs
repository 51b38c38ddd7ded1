//! Everything of ours at one moment: one list call, which the engine filters by our label, and an inspect of each
//! container, some side by side.

use crate::engine::docker::Core;
use crate::engine::docker::containers::one_each;
use crate::engine::docker::observe::Seen;
use crate::engine::{Cursor, EngineResult, Snapshot};

impl Core {
    pub(super) async fn take_snapshot(&self) -> EngineResult<Snapshot> {
        // Before the list: what happens meanwhile is told again by the events.
        let at = self.clock.now();
        let seen = self.all_slots().await?;
        let cursor = self.places.remember(at, &seen);
        let object = |one: &Seen| (one.state.slot.workload.clone(), one.object.clone());
        let objects = seen.iter().map(object).collect();
        let slots = seen.into_iter().map(|one| one.state).collect();
        Ok(Snapshot { slots, objects, cursor: Cursor(cursor) })
    }

    pub(super) async fn all_slots(&self) -> EngineResult<Vec<Seen>> {
        let listed = self.list(&[]).await?;
        let ids = listed.into_iter().filter_map(|one| one.id).collect();
        Ok(one_each(self.inspect_all(ids).await?))
    }
}
