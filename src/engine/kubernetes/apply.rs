//! Reading, applying and removing objects: server-side, under one field manager, and only what is ours.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PropagationPolicy};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::names::{self, MANAGER, Map};
use super::{Core, error};
use crate::engine::{EngineError, EngineResult};

/// An object of the namespace.
pub(super) trait Object:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
{
}
impl<K> Object for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
{
}

/// How many objects one page of a list has.
const PAGE: u32 = 500;

impl Core {
    /// The objects of one kind in our namespace.
    pub(super) async fn objects<K: Object>(&self) -> EngineResult<Api<K>> {
        Ok(Api::namespaced(self.client.api().await?, &self.cluster.namespace))
    }

    /// The object of this name, if it is ours.
    ///
    /// # Errors
    /// `NameTaken` where it is somebody else's, and the transient ones.
    pub(super) async fn find<K: Object>(&self, name: &str) -> EngineResult<Option<K>> {
        let api = self.objects::<K>().await?;
        let found = self.client.call(&asking::<K>(name), || api.get_opt(name)).await?;
        match found {
            Some(object) if !names::is_ours(&self.instance, object.meta().labels.as_ref()) => {
                Err(taken::<K>(name))
            }
            found => Ok(found),
        }
    }

    /// All objects with these labels, a page at a time, and the version of the list.
    pub(super) async fn list<K: Object>(&self, labels: &Map) -> EngineResult<(Vec<K>, String)> {
        let api = self.objects::<K>().await?;
        let mut parameters = ListParams::default().labels(&names::selector(labels)).limit(PAGE);
        let mut all = Vec::new();
        loop {
            let what = format!("the list of {}", K::plural(&()));
            let page = self.client.call(&what, || api.list(&parameters)).await?;
            all.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok((all, page.metadata.resource_version.unwrap_or_default())),
            }
        }
    }

    /// Applies an object, whatever others did to the fields that we set.
    ///
    /// # Errors
    /// `NameTaken` where an object of that name is somebody else's; `Refused`, and the transient ones.
    pub(super) async fn apply<K: Object>(&self, object: &K) -> EngineResult<K> {
        self.find::<K>(&object.name_any()).await?;
        self.apply_known(object, false).await
    }

    /// Applies an object that is known to be ours, or to be absent; with `dry_run` only asks what would come of it.
    pub(super) async fn apply_known<K: Object>(&self, object: &K, dry_run: bool) -> EngineResult<K> {
        let name = object.name_any();
        let api = self.objects::<K>().await?;
        let parameters = PatchParams { dry_run, ..PatchParams::apply(MANAGER).force() };
        let what = format!("applying {}", titled::<K>(&name));
        let patch = Patch::Apply(object);
        self.client.call(&what, || api.patch(&name, &parameters, &patch)).await
    }

    /// Changes single fields of an object of ours.
    pub(super) async fn merge<K: Object>(&self, name: &str, fields: &serde_json::Value) -> EngineResult<K> {
        let api = self.objects::<K>().await?;
        let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        let what = format!("changing {}", titled::<K>(name));
        let patch = Patch::Merge(fields);
        self.client.call(&what, || api.patch(name, &parameters, &patch)).await
    }

    /// Removes an object, if it is there and ours, with what it owns.
    pub(super) async fn remove<K: Object>(&self, name: &str) -> EngineResult<()> {
        if self.find::<K>(name).await?.is_none() {
            return Ok(());
        }
        let api = self.objects::<K>().await?;
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        let what = format!("removing {}", titled::<K>(name));
        let removed = self.client.call(&what, || async {
            match api.delete(name, &parameters).await {
                Err(failed) if error::is_missing(&failed) => Ok(()),
                other => other.map(drop),
            }
        });
        removed.await
    }

    /// Removes all objects of a kind with these labels.
    pub(super) async fn remove_all<K: Object>(&self, labels: &Map) -> EngineResult<()> {
        let (found, _) = self.list::<K>(labels).await?;
        for object in found {
            self.remove::<K>(&object.name_any()).await?;
        }
        Ok(())
    }
}

fn titled<K: Object>(name: &str) -> String {
    format!("{} {name}", K::kind(&()))
}

fn asking<K: Object>(name: &str) -> String {
    format!("looking for {}", titled::<K>(name))
}

fn taken<K: Object>(name: &str) -> EngineError {
    EngineError::NameTaken { name: titled::<K>(name) }
}
