//! Stopping a task's pod and keeping it. The API has no word for that: a pod that is deleted takes its output along. What
//! can be changed of a running one is its deadline; the kubelet ends a pod that is past it, with its grace period, and
//! keeps it as failed.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::retire::{MARGIN, PAUSE};
use super::{Core, names, pod};
use crate::engine::{EngineError, EngineResult, SlotRef, label};

impl Core {
    pub(super) async fn halt_slot(&self, slot: &SlotRef) -> EngineResult<()> {
        let mut labels = names::service_labels(&self.instance, &slot.workload, &slot.service);
        labels.insert(label::HASH.into(), slot.hash.clone());
        let past = json!({ "spec": { "activeDeadlineSeconds": 1 } });
        let began = Instant::now();
        loop {
            let (pods, _) = self.list::<Pod>(&labels).await?;
            let running: Vec<&Pod> =
                pods.iter().filter(|pod| !pod::is_leaving(pod) && !pod::has_ended(pod)).collect();
            if running.is_empty() {
                return Ok(());
            }
            let told = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.active_deadline_seconds) == Some(1);
            for pod in running.iter().filter(|pod| !told(pod)) {
                self.merge::<Pod>(&pod.name_any(), &past).await?;
            }
            let grace = running.iter().filter_map(|pod| pod.spec.as_ref()?.termination_grace_period_seconds);
            let grace = grace.max().and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
            let limit = MARGIN.saturating_add(Duration::from_secs(grace));
            if began.elapsed() > limit {
                return Err(EngineError::Timeout {
                    what: format!("the kubelet to end {} pods of {}", running.len(), slot.service),
                    seconds: limit.as_secs(),
                });
            }
            sleep(PAUSE).await;
        }
    }
}
