//! What stands in for an engine whose connection can't be used at all: every call answers why.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::domain::name::DeploymentId;
use crate::engine::{
    ContainerLine, Cursor, Engine, EngineError, EngineEvent, EngineReport, EngineResult, Ensured, LogOptions,
    PrepareRequest, Progress, Resolution, ServiceRequest, SlotRef, Snapshot, Stats,
};

/// An engine that refuses every call with the same words.
pub struct Broken(EngineError);

impl Broken {
    /// Refuses with `error`.
    pub fn new(error: EngineError) -> Self {
        Self(error)
    }

    fn refuse<T>(&self) -> EngineResult<T> {
        Err(self.0.clone())
    }
}

#[async_trait]
impl Engine for Broken {
    async fn check(&self) -> EngineResult<EngineReport> {
        self.refuse()
    }
    async fn prepare(&self, _: &PrepareRequest, _: &dyn Progress) -> EngineResult<Resolution> {
        self.refuse()
    }
    async fn ensure(&self, _: &ServiceRequest) -> EngineResult<Ensured> {
        self.refuse()
    }
    async fn switch(&self, _: &ServiceRequest) -> EngineResult<()> {
        self.refuse()
    }
    async fn revive(&self, _: &[SlotRef]) -> EngineResult<()> {
        self.refuse()
    }
    async fn halt(&self, _: &SlotRef) -> EngineResult<()> {
        self.refuse()
    }
    async fn retire(&self, _: &SlotRef) -> EngineResult<()> {
        self.refuse()
    }
    async fn release(&self, _: &DeploymentId, _: bool) -> EngineResult<()> {
        self.refuse()
    }
    async fn forget_images(&self, _: &DeploymentId, _: &BTreeSet<String>) -> EngineResult<()> {
        self.refuse()
    }
    async fn snapshot(&self) -> EngineResult<Snapshot> {
        self.refuse()
    }
    async fn watch(&self, _: &Cursor) -> EngineResult<BoxStream<'static, EngineResult<EngineEvent>>> {
        self.refuse()
    }
    async fn logs(
        &self,
        _: &SlotRef,
        _: &LogOptions,
    ) -> EngineResult<BoxStream<'static, EngineResult<Vec<ContainerLine>>>> {
        self.refuse()
    }
    async fn stats(&self, _: &SlotRef) -> EngineResult<Stats> {
        self.refuse()
    }
    async fn connect(&self, _: &SlotRef, _: u16) -> EngineResult<std::net::SocketAddr> {
        self.refuse()
    }
}
