//! How tests make the fake engine misbehave, and see what it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::name::{DeploymentId, ServiceName};
use crate::engine::fake::world::Shared;
use crate::engine::{EngineError, Phase, SlotRef, SlotState};

/// What goes wrong with one service from now on; everything is off at first.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// `prepare` answers this.
    pub prepare: Option<EngineError>,
    /// `ensure` answers this, after `ensure_after` of its replicas were started.
    pub ensure: Option<EngineError>,
    pub ensure_after: u32,
    /// Fresh replicas never pass their health check, whether the service has one or not.
    pub never_healthy: bool,
    /// Fresh replicas stay in `Starting` until [`Controls::healthy`] is called.
    pub held: bool,
    /// Fresh replicas end at once with this code.
    pub exits: Option<i64>,
    /// A task runs on until [`Controls::end`] is called.
    pub task_runs_on: bool,
    /// `switch` answers this.
    pub switch: Option<EngineError>,
    /// `retire` answers this.
    pub retire: Option<EngineError>,
    /// Where `connect` leads, whatever the port.
    pub answers_at: Option<SocketAddr>,
}

/// A handle on a fake engine's world.
#[derive(Clone)]
pub struct Controls {
    pub(super) shared: Arc<Shared>,
}

impl Controls {
    /// Sets what goes wrong with a service; `Faults::default()` heals it.
    pub fn fault(&self, service: &ServiceName, faults: Faults) {
        self.shared.world().faults.insert(service.clone(), faults);
    }

    /// Makes every call answer `Unreachable` and every stream end, or ends that.
    pub fn down(&self, down: bool) {
        let mut world = self.shared.world();
        world.down = down;
        world.epoch += u64::from(down);
        drop(world);
        self.shared.wake();
    }

    /// Ends every open [`crate::engine::Engine::watch`] stream, as when events were lost.
    pub fn lose_events(&self) {
        self.shared.world().epoch += 1;
        self.shared.wake();
    }

    /// Every call takes this long from now on.
    pub fn slow(&self, by: Duration) {
        self.shared.world().delay = by;
    }

    /// Changes a replica behind Slipway's back, as a crash or a hand would. `false` when there is no such replica.
    pub fn set_phase(&self, slot: &SlotRef, phase: Phase, what: &str) -> bool {
        let done = self.shared.world().set_phase(slot, phase, what);
        self.shared.wake();
        done
    }

    /// The replica passes its health check now.
    pub fn healthy(&self, slot: &SlotRef) -> bool {
        self.set_phase(slot, Phase::Running, "health_status: healthy")
    }

    /// The replica's process ends now.
    pub fn end(&self, slot: &SlotRef, code: i64) -> bool {
        let phase = Phase::Exited { code, oom_killed: false };
        self.set_phase(slot, phase, "die")
    }

    /// Somebody removes the replica by hand.
    pub fn remove(&self, slot: &SlotRef) -> bool {
        let done = self.shared.world().remove(slot);
        self.shared.wake();
        done
    }

    /// Somebody changes the replica by hand: its drift is now so.
    pub fn drift(&self, slot: &SlotRef, drift: Option<&str>) -> bool {
        let done = self.shared.world().set_drift(slot, drift);
        self.shared.wake();
        done
    }

    /// Somebody takes the replica off its network: peers no longer find it.
    pub fn detach(&self, slot: &SlotRef) -> bool {
        let done = {
            let mut world = self.shared.world();
            world.set_serving(slot, false) && world.set_drift(slot, Some("taken off its network"))
        };
        self.shared.wake();
        done
    }

    /// The replica prints a line.
    pub fn print(&self, slot: &SlotRef, text: &str) -> bool {
        let done = self.shared.world().print(slot, text);
        self.shared.wake();
        done
    }

    /// All replicas as they are now.
    pub fn slots(&self) -> Vec<SlotState> {
        self.shared.world().states()
    }

    /// The replicas that serve under a service's name.
    pub fn serving(&self, workload: &DeploymentId, service: &ServiceName) -> Vec<SlotRef> {
        let states = self.slots().into_iter();
        states
            .filter(|state| state.serving && state.phase == Phase::Running)
            .filter(|state| state.slot.workload == *workload && state.slot.service == *service)
            .map(|state| state.slot)
            .collect()
    }

    /// The networks that are there, by workload.
    pub fn networks(&self) -> BTreeSet<DeploymentId> {
        self.shared.world().networks.clone()
    }

    /// The image ids that are kept for each workload.
    pub fn images(&self) -> BTreeMap<DeploymentId, BTreeSet<String>> {
        self.shared.world().tags.clone()
    }

    /// Every call so far that could change something, e.g. `ensure iris/api`.
    pub fn calls(&self) -> Vec<String> {
        self.shared.world().calls.clone()
    }
}
