//! Who sets the number of a Deployment's replicas: an autoscaler that names it, else we. They are somebody else's objects,
//! which are read and never touched. Without the right to read them, what the cluster noted of who scaled has to do.

use std::collections::HashMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v1::HorizontalPodAutoscaler;
use kube::ResourceExt as _;
use kube::api::ListParams;

use super::Core;
use super::standing::Standing;
use crate::engine::{EngineError, EngineResult};

/// The Deployments that autoscalers name, by the autoscaler's own name; `None` where they can't be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Scalers(Option<HashMap<String, String>>);

impl Scalers {
    pub(super) fn of(all: Vec<HorizontalPodAutoscaler>) -> Self {
        let named = all.into_iter().filter_map(|one| Some((one.name_any(), target(&one)?)));
        Self(Some(named.collect()))
    }

    /// Takes in what became of one; the Deployments that are scaled otherwise now.
    pub(super) fn take(&mut self, one: &HorizontalPodAutoscaler, gone: bool) -> Vec<String> {
        let Some(known) = &mut self.0 else { return Vec::new() };
        let after = target(one).filter(|_| !gone);
        let before = match &after {
            Some(target) => known.insert(one.name_any(), target.clone()),
            None => known.remove(&one.name_any()),
        };
        if before == after { Vec::new() } else { before.into_iter().chain(after).collect() }
    }

    /// Whether one names this Deployment.
    pub(super) fn scale(&self, deployment: &str) -> Option<bool> {
        self.0.as_ref().map(|known| known.values().any(|target| target == deployment))
    }
}

/// The Deployment that an autoscaler scales.
fn target(one: &HorizontalPodAutoscaler) -> Option<String> {
    let target = &one.spec.scale_target_ref;
    let group = target.api_version.as_deref().is_none_or(|version| version.starts_with("apps/"));
    (target.kind == "Deployment" && group).then(|| target.name.clone())
}

impl Core {
    /// The autoscalers of the namespace and the version of the list, which is empty where they can't be read.
    pub(super) async fn scalers(&self) -> EngineResult<(Scalers, String)> {
        let api = self.objects::<HorizontalPodAutoscaler>().await?;
        let parameters = ListParams::default();
        match self.client.call("the list of autoscalers", || api.list(&parameters)).await {
            Ok(list) => {
                let version = list.metadata.resource_version.unwrap_or_default();
                Ok((Scalers::of(list.items), version))
            }
            Err(EngineError::Refused(_)) => Ok((Scalers::default(), String::new())),
            Err(other) => Err(other),
        }
    }

    /// A Deployment of ours as it stands, and whether an autoscaler sets its replicas.
    pub(super) async fn standing(&self, deployment: &Deployment) -> EngineResult<Option<Standing>> {
        let (scalers, _) = self.scalers().await?;
        Ok(Standing::read(deployment, scalers.scale(&deployment.name_any())))
    }
}
