//! The fake engine keeps the promises of every engine.

use std::sync::Arc;

use async_trait::async_trait;
use slipway::domain::clock::SystemClock;
use slipway::engine::fake::{Controls, FakeEngine};
use slipway::engine::{Engine, Phase, SlotState};

use crate::conformance::{Harness, Tamper};

struct Fake {
    engine: FakeEngine,
    controls: Controls,
}

impl Fake {
    fn new() -> Self {
        let engine = FakeEngine::new(Arc::new(SystemClock));
        let controls = engine.controls();
        Self { engine, controls }
    }
}

#[async_trait]
impl Harness for Fake {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(self.engine.clone())
    }

    async fn tamper(&self, slot: &SlotState, how: Tamper) {
        let done = match how {
            Tamper::Stop => self.controls.end(&slot.slot, 143),
            Tamper::Remove => self.controls.remove(&slot.slot),
            Tamper::Limits => self.controls.drift(&slot.slot, Some("memory limit changed")),
            Tamper::Detach => self.controls.detach(&slot.slot),
            Tamper::Pause => self.controls.set_phase(&slot.slot, Phase::Paused, "pause"),
            Tamper::Unpause => self.controls.set_phase(&slot.slot, Phase::Running, "unpause"),
        };
        assert!(done, "{how:?} of {:?}", slot.slot);
    }
}

mod conformance {
    crate::conformance::every_case!(super::Fake);
}
