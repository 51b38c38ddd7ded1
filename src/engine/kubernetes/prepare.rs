//! What replicas need before any is started: images, addresses that peers know each other by, claims of volumes, files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service};

use super::Core;
use super::images::{self, FileMap, Prepared};
use super::names::{self, note};
use super::spec::{self, Paths, Setting};
use crate::domain::name::{DeploymentId, ServiceName, VolumeName};
use crate::domain::plan::Plan;
use crate::engine::{
    EngineError, EngineResult, PrepareRequest, Progress, RegistryCredentials, Resolution, ResolvedImage,
    ServiceRequest, slot_hash,
};

/// The hash of no pod: where a Service leads that nothing serves yet.
const NOBODY: &str = "none";

impl Core {
    pub(super) async fn prepare_workload(
        &self,
        request: &PrepareRequest,
        progress: &dyn Progress,
    ) -> EngineResult<Resolution> {
        let plan = &*request.plan;
        self.remember(&request.registries);
        for difference in self.cluster.differences_of(plan.to_prepare()) {
            progress.line(&difference);
        }
        let prepared = images::prepare(&self.cluster, &self.instance, request, progress).await?;
        let setting = Setting {
            instance: &self.instance,
            cluster: &self.cluster,
            peers: &BTreeMap::new(),
            pull_secret: None,
            files: None,
        };
        self.prepare_storage(plan, &setting).await?;
        self.prepare_pull_secret(request, &prepared).await?;
        self.apply(&spec::policy(&self.instance, &plan.deployment, &plan.workload)).await?;
        let mut images = BTreeMap::new();
        for (name, Prepared { mut image, files }) in prepared {
            let bare = bare_request(plan, &name, &image)?;
            if let Some(files) = files {
                image.files_from = Some(self.prepare_files(&bare, &setting, &files).await?);
            }
            // Nobody asks a test anything.
            if !plan.testing.contains(&name) {
                self.prepare_address(&bare, &setting).await?;
            }
            images.insert(name, image);
        }
        Ok(Resolution { images, network: String::new() })
    }

    /// Who may ask which registry: needed again when images are forgotten.
    fn remember(&self, registries: &BTreeMap<String, RegistryCredentials>) {
        self.registries.lock().unwrap_or_else(PoisonError::into_inner).clone_from(registries);
    }

    /// Takes images off the registry that no retained revision needs.
    pub(super) async fn forget(&self, workload: &DeploymentId, keep: &BTreeSet<String>) -> EngineResult<()> {
        let registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner).clone();
        images::forget(&self.cluster, &self.instance, &registries, workload, keep).await
    }

    /// Claims each volume once, those that go with the pods apart; what is there stays as it is.
    async fn prepare_storage(&self, plan: &Plan, setting: &Setting<'_>) -> EngineResult<()> {
        let mounts = || plan.workload.all().flat_map(|(_, service)| &service.volumes);
        let scratch = |volume: &&VolumeName| mounts().any(|mount| mount.scratch && mount.volume == **volume);
        for volume in plan.workload.volumes.iter().filter(|volume| !scratch(volume)) {
            let claim = spec::claim(setting, &plan.deployment, volume);
            let name = names::volume(&plan.deployment, volume);
            if self.find::<PersistentVolumeClaim>(&name).await?.is_none() {
                self.apply_known(&claim, false).await?;
            }
        }
        Ok(())
    }

    /// Who pulls, for the nodes.
    async fn prepare_pull_secret(
        &self,
        request: &PrepareRequest,
        prepared: &BTreeMap<ServiceName, Prepared>,
    ) -> EngineResult<()> {
        let plan = &request.plan;
        // Replicas that run may have to be pulled again by another node.
        let images = prepared.values().map(|one| &one.image).chain(request.pinned.values());
        let hosts = images::hosts(images);
        let Some(config) = images::pull_secret(&request.registries, &hosts) else {
            return Ok(());
        };
        let labels = names::workload_labels(&self.instance, &plan.deployment);
        let name = names::of_workload(&plan.deployment, "pull");
        let secret = Secret {
            metadata: spec::of_workload(labels, &plan.deployment, name),
            type_: Some("kubernetes.io/dockerconfigjson".into()),
            data: Some(BTreeMap::from([(".dockerconfigjson".to_owned(), ByteString(config))])),
            ..Secret::default()
        };
        self.apply(&secret).await.map(drop)
    }

    /// Files of the bundle where no registry takes them: a ConfigMap of their own for each revision.
    async fn prepare_files(
        &self,
        request: &ServiceRequest,
        setting: &Setting<'_>,
        files: &FileMap,
    ) -> EngineResult<String> {
        let name = names::of_hash(&request.workload, &request.name, &request.hash);
        let mut metadata = setting.meta(request, name.clone());
        let paths: Paths =
            files.files.iter().map(|file| (file.key.clone(), (file.path.clone(), file.executable))).collect();
        let paths = serde_json::to_string(&paths).map_err(|error| EngineError::Refused(error.to_string()))?;
        metadata.annotations.get_or_insert_default().insert(note::PATHS.into(), paths);
        let data = files.files.iter().map(|file| (file.key.clone(), ByteString(file.bytes.to_vec())));
        let map = ConfigMap { metadata, binary_data: Some(data.collect()), ..ConfigMap::default() };
        self.apply(&map).await?;
        Ok(name)
    }

    /// The Service of a service that has none yet, so that peers can be told its address before it runs.
    async fn prepare_address(&self, request: &ServiceRequest, setting: &Setting<'_>) -> EngineResult<()> {
        let name = names::object(&request.workload, &request.name);
        let Some(service) = spec::service(request, setting, NOBODY) else {
            return Ok(());
        };
        if self.find::<Service>(&name).await?.is_none() {
            self.apply_known(&service, false).await?;
        }
        Ok(())
    }
}

/// The request for a service, without secrets and files.
fn bare_request(plan: &Plan, name: &ServiceName, image: &ResolvedImage) -> EngineResult<ServiceRequest> {
    let service = plan.workload.services.get(name);
    let (Some(service), Some(template)) = (service, plan.template_hash(name)) else {
        return Err(EngineError::Refused(format!("the plan has no service {name}")));
    };
    Ok(ServiceRequest {
        workload: plan.deployment.clone(),
        name: name.clone(),
        revision: 0,
        hash: slot_hash(&template, &image.id),
        service: Arc::new(service.clone()),
        profile: plan.profile,
        image: image.clone(),
        network: String::new(),
        has_peers: plan.workload.services.len() > 1,
        secrets: Arc::default(),
        contents: Arc::default(),
    })
}
