//! Stands before an engine and holds a call back, or its answer: there a test kills the process.

use std::collections::BTreeSet;
use std::sync::Mutex;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::stream::BoxStream;
use slipway::domain::name::DeploymentId;
use slipway::engine::fake::FakeEngine;
use slipway::engine::{
    ContainerLine, Cursor, Engine, EngineEvent, EngineReport, EngineResult, Ensured, LogOptions,
    PrepareRequest, Progress, Resolution, ServiceRequest, SlotRef, Snapshot, Stats,
};
use tokio::sync::Notify;

/// Where a call is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The engine has not heard of it.
    Before,
    /// The engine has done it, and nobody was told.
    After,
}

/// The engine.
pub struct Probe {
    inner: FakeEngine,
    held: Mutex<Option<(&'static str, Moment)>>,
    reached: Notify,
    released: Notify,
}

impl Probe {
    pub fn new(inner: FakeEngine) -> Self {
        Self { inner, held: Mutex::default(), reached: Notify::new(), released: Notify::new() }
    }

    /// Holds the next call of that name.
    pub fn hold(&self, call: &'static str, moment: Moment) {
        // A held call that its caller gave up took neither of these with it.
        let _ = self.reached.notified().now_or_never();
        let _ = self.released.notified().now_or_never();
        *self.held.lock().unwrap() = Some((call, moment));
    }

    /// Waits until a call is held.
    pub async fn reached(&self) {
        let reached = self.reached.notified();
        tokio::time::timeout(std::time::Duration::from_secs(10), reached).await.expect("the call is made");
    }

    /// Lets the held call go on.
    pub fn release(&self) {
        self.released.notify_one();
    }

    async fn stand(&self, call: &str, moment: Moment) {
        let here = self.held.lock().unwrap().take_if(|held| *held == (call, moment));
        if here.is_some() {
            self.reached.notify_one();
            self.released.notified().await;
        }
    }

    async fn through<T>(&self, call: &str, work: impl Future<Output = T>) -> T {
        self.stand(call, Moment::Before).await;
        let done = work.await;
        self.stand(call, Moment::After).await;
        done
    }
}

#[async_trait]
impl Engine for Probe {
    async fn check(&self) -> EngineResult<EngineReport> {
        self.inner.check().await
    }
    async fn prepare(&self, request: &PrepareRequest, progress: &dyn Progress) -> EngineResult<Resolution> {
        self.through("prepare", self.inner.prepare(request, progress)).await
    }
    async fn ensure(&self, request: &ServiceRequest) -> EngineResult<Ensured> {
        self.through("ensure", self.inner.ensure(request)).await
    }
    async fn switch(&self, request: &ServiceRequest) -> EngineResult<()> {
        self.through("switch", self.inner.switch(request)).await
    }
    async fn revive(&self, slots: &[SlotRef]) -> EngineResult<()> {
        self.through("revive", self.inner.revive(slots)).await
    }
    async fn halt(&self, slot: &SlotRef) -> EngineResult<()> {
        self.through("halt", self.inner.halt(slot)).await
    }
    async fn retire(&self, slot: &SlotRef) -> EngineResult<()> {
        self.through("retire", self.inner.retire(slot)).await
    }
    async fn release(&self, workload: &DeploymentId, volumes: bool) -> EngineResult<()> {
        self.through("release", self.inner.release(workload, volumes)).await
    }
    async fn forget_images(&self, workload: &DeploymentId, keep: &BTreeSet<String>) -> EngineResult<()> {
        self.inner.forget_images(workload, keep).await
    }
    async fn snapshot(&self) -> EngineResult<Snapshot> {
        self.inner.snapshot().await
    }
    async fn watch(&self, cursor: &Cursor) -> EngineResult<BoxStream<'static, EngineResult<EngineEvent>>> {
        self.inner.watch(cursor).await
    }
    async fn logs(
        &self,
        slot: &SlotRef,
        options: &LogOptions,
    ) -> EngineResult<BoxStream<'static, EngineResult<Vec<ContainerLine>>>> {
        self.inner.logs(slot, options).await
    }
    async fn stats(&self, slot: &SlotRef) -> EngineResult<Stats> {
        self.inner.stats(slot).await
    }
    async fn connect(&self, slot: &SlotRef, port: u16) -> EngineResult<std::net::SocketAddr> {
        self.inner.connect(slot, port).await
    }
}
