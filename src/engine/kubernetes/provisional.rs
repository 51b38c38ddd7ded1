//! The connection test alone, until the rest of the engine is there.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::KubernetesEngine;
use crate::domain::name::DeploymentId;
use crate::engine::{
    ContainerLine, Cursor, Engine, EngineError, EngineEvent, EngineReport, EngineResult, Ensured, LogOptions,
    PrepareRequest, Progress, Resolution, ServiceRequest, SlotRef, Snapshot, Stats,
};

#[async_trait]
impl Engine for KubernetesEngine {
    async fn check(&self) -> EngineResult<EngineReport> {
        self.core.report().await
    }
    async fn prepare(&self, _: &PrepareRequest, _: &dyn Progress) -> EngineResult<Resolution> {
        Err(EngineError::Unsupported("this on Kubernetes yet".into()))
    }
    async fn ensure(&self, _: &ServiceRequest) -> EngineResult<Ensured> {
        Err(EngineError::Unsupported("this on Kubernetes yet".into()))
    }
    async fn switch(&self, _: &ServiceRequest) -> EngineResult<()> {
        Err(EngineError::Unsupported("this on Kubernetes yet".into()))
    }
    async fn revive(&self, _: &[SlotRef]) -> EngineResult<()> {
        Err(EngineError::Unsupported("this on Kubernetes yet".into()))
    }
    async fn retire(&self, _: &SlotRef) -> EngineResult<()> {
        Err(EngineError::Unsupported("this on Kubernetes yet".into()))
    }
    async fn release(&self, _: &DeploymentId, _: bool) -> EngineResult<()> {
        Err(EngineError::Unsupported("this on Kubernetes yet".into()))
    }
    async fn forget_images(&self, _: &DeploymentId, _: &BTreeSet<String>) -> EngineResult<()> {
        Err(EngineError::Unsupported("this on Kubernetes yet".into()))
    }
    async fn snapshot(&self) -> EngineResult<Snapshot> {
        Err(EngineError::Unsupported("this on Kubernetes yet".into()))
    }
    async fn watch(&self, _: &Cursor) -> EngineResult<BoxStream<'static, EngineResult<EngineEvent>>> {
        Err(EngineError::Unsupported("this on Kubernetes yet".into()))
    }
    async fn logs(
        &self,
        _: &SlotRef,
        _: &LogOptions,
    ) -> EngineResult<BoxStream<'static, EngineResult<Vec<ContainerLine>>>> {
        Err(EngineError::Unsupported("this on Kubernetes yet".into()))
    }
    async fn stats(&self, _: &SlotRef) -> EngineResult<Stats> {
        Err(EngineError::Unsupported("this on Kubernetes yet".into()))
    }
    async fn connect(&self, _: &SlotRef, _: u16) -> EngineResult<std::net::SocketAddr> {
        Err(EngineError::Unsupported("this on Kubernetes yet".into()))
    }
}
