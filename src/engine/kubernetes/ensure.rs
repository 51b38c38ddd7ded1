//! Services made to run: a Deployment applied and held until the switch, or a Job.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, PodTemplateSpec, Secret, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt as _;
use kube::api::PostParams;

use super::group::Group;
use super::names::{self, Map, note};
use super::spec::{self, Paths, Setting};
use super::standing::{self, Decision, decide};
use super::{Core, verify};
use crate::domain::name::{DeploymentId, ServiceName};
use crate::domain::workload::ServiceKind;
use crate::engine::{EngineError, EngineResult, Ensured, ServiceRequest, SlotState};

impl Core {
    pub(super) async fn ensure_service(&self, request: &ServiceRequest) -> EngineResult<Ensured> {
        let peers = self.peers(&request.workload).await?;
        let files = self.bundle_files(request).await?;
        let pull_secret = names::of_workload(&request.workload, "pull");
        let pull_secret = self.find::<Secret>(&pull_secret).await?.map(|secret| secret.name_any());
        let setting = Setting {
            instance: &self.instance,
            cluster: &self.cluster,
            peers: &peers,
            pull_secret: pull_secret.as_deref(),
            files: files.as_ref().map(|(name, files)| (name.as_str(), files)),
        };
        let contents = spec::contents(request, &setting)?;
        if let Some(contents) = &contents {
            self.apply(&contents.secret).await?;
        }
        let template = spec::template(request, &setting, contents.as_ref());
        if request.service.kind == ServiceKind::Task {
            return self.ensure_task(request, &setting, template).await;
        }
        self.ensure_replicas(request, &setting, template).await
    }

    async fn ensure_replicas(
        &self,
        request: &ServiceRequest,
        setting: &Setting<'_>,
        mut template: PodTemplateSpec,
    ) -> EngineResult<Ensured> {
        let name = names::object(&request.workload, &request.name);
        let before = self.find::<Deployment>(&name).await?;
        let standing = match &before {
            Some(before) => self.standing(before).await?,
            None => None,
        };
        let pods = self.states_of(request, before.clone()).await?;
        let Decision { rollout, ensured } = decide(request, standing.as_ref(), &pods);
        self.apply_services(request, setting, &rollout.serving).await?;
        if let Some(before) =
            before.as_ref().filter(|_| standing.as_ref().is_some_and(|s| s.hash == request.hash))
        {
            keep_what_stays(before, &mut template);
        }
        let wanted = spec::deployment(request, setting, template, &rollout);
        let autoscaled = standing.is_some_and(|standing| standing.autoscaled);
        self.apply_deployment(before.as_ref(), wanted, autoscaled).await?;
        Ok(ensured)
    }

    /// Applies a Deployment once a dry run has shown that nothing came into it that was not asked for, and notes how it
    /// was left.
    pub(super) async fn apply_deployment(
        &self,
        before: Option<&Deployment>,
        mut wanted: Deployment,
        autoscaled: bool,
    ) -> EngineResult<()> {
        let name = wanted.name_any();
        // A field that is ours by the cluster's notes would fall back to 1 if it were left out.
        if autoscaled && before.is_some_and(standing::is_scaled_by_controller) {
            wanted.spec.replicas = None;
        }
        if before.is_some_and(|before| !standing::foreign_managers(before).is_empty()) {
            self.take_over(&wanted).await?;
        }
        let shown = self.apply_known(&wanted, true).await?;
        verify::template(&wanted, &shown)?;
        let made = self.apply_known(&wanted, false).await?;
        let noted = made.metadata.annotations.as_ref().and_then(|notes| notes.get(note::APPLIED));
        let applied = standing::applied(&made);
        if noted != Some(&applied) {
            self.note_applied(&name, &applied).await?;
        }
        Ok(())
    }

    pub(super) async fn note_applied(&self, name: &str, applied: &str) -> EngineResult<()> {
        let note = serde_json::json!({ "metadata": { "annotations": { note::APPLIED: applied } } });
        self.merge::<Deployment>(name, &note).await.map(drop)
    }

    /// Replaces what other hands wrote into a Deployment: an apply leaves alone what others own. A dry run comes first
    /// here as well.
    async fn take_over(&self, wanted: &Deployment) -> EngineResult<()> {
        let mut whole = wanted.clone();
        // An empty list resets who owns which field.
        whole.metadata.managed_fields = Some(Vec::new());
        let api = self.objects::<Deployment>().await?;
        let name = whole.name_any();
        for dry_run in [true, false] {
            let parameters = PostParams { dry_run, field_manager: Some(names::MANAGER.into()) };
            let replacing = || api.replace(&name, &parameters, &whole);
            let shown = self.client.call("putting a Deployment right", replacing).await?;
            verify::template(wanted, &shown)?;
        }
        Ok(())
    }

    async fn ensure_task(
        &self,
        request: &ServiceRequest,
        setting: &Setting<'_>,
        template: PodTemplateSpec,
    ) -> EngineResult<Ensured> {
        let slot = crate::engine::slots::slot(request, 0);
        let name = names::of_hash(&request.workload, &request.name, &request.hash);
        let there = self.find::<Job>(&name).await?;
        let fresh = if there.is_none() { vec![slot.clone()] } else { Vec::new() };
        if there.is_none() {
            let job = spec::job(request, setting, template);
            let shown = self.apply_known(&job, true).await?;
            verify::job(&job, &shown)?;
            self.apply_known(&job, false).await?;
        }
        // A task's pod is led to as it starts: nothing is switched to it.
        self.apply_services(request, setting, &request.hash).await?;
        let pods = self.states_of(request, None).await?;
        let superseded = pods.into_iter().map(|pod| pod.slot).filter(|other| *other != slot).collect();
        Ok(Ensured { slots: vec![slot], fresh, stopped: Vec::new(), superseded })
    }

    /// The replicas of a service, listed now.
    pub(super) async fn states_of(
        &self,
        request: &ServiceRequest,
        deployment: Option<Deployment>,
    ) -> EngineResult<Vec<SlotState>> {
        let labels = names::service_labels(&self.instance, &request.workload, &request.name);
        let (pods, _) = self.list::<Pod>(&labels).await?;
        let pods = pods.into_iter().filter_map(|pod| Some((pod.metadata.uid.clone()?, pod))).collect();
        let group = Group { pods, deployment, ..Group::default() };
        Ok(group.states(self.clock.now()))
    }

    /// Applies what reaches a service, with the traffic going to the pods of `serving`.
    pub(super) async fn apply_services(
        &self,
        request: &ServiceRequest,
        setting: &Setting<'_>,
        serving: &str,
    ) -> EngineResult<()> {
        if let Some(service) = spec::service(request, setting, serving) {
            self.apply(&service).await?;
        }
        let public = names::public(&request.workload, &request.name);
        let by_node = matches!(self.cluster.publish, crate::domain::cluster::Publish::NodePort);
        match spec::node_ports(request, setting, serving).filter(|_| by_node) {
            Some(service) => {
                self.apply(&service).await.map(drop).map_err(|error| port_taken(request, error))?
            }
            None => self.remove::<Service>(&public).await?,
        }
        match spec::ingress(request, setting) {
            Some(ingress) => self.apply(&ingress).await.map(drop),
            None => self.remove::<Ingress>(&public).await,
        }
    }

    /// Where the services of a workload are reached by each other.
    async fn peers(&self, workload: &DeploymentId) -> EngineResult<BTreeMap<ServiceName, IpAddr>> {
        let (services, _) = self.list::<Service>(&names::workload_labels(&self.instance, workload)).await?;
        let peer = |service: &Service| {
            let name: ServiceName = service.annotations().get(note::SERVICE)?.parse().ok()?;
            let own = service.name_any() == names::object(workload, &name);
            let address = service.spec.as_ref()?.cluster_ip.as_ref()?.parse().ok()?;
            own.then_some((name, address))
        };
        Ok(services.iter().filter_map(peer).collect())
    }

    /// The ConfigMap that brings a service's files of the bundle, and the path of each of its keys.
    async fn bundle_files(&self, request: &ServiceRequest) -> EngineResult<Option<(String, Paths)>> {
        let Some(name) = &request.image.files_from else {
            return Ok(None);
        };
        let Some(found) = self.find::<ConfigMap>(name).await? else {
            return Err(EngineError::Refused(format!(
                "the ConfigMap {name} with files of the bundle is gone; ask for the update again"
            )));
        };
        let paths = found.annotations().get(note::PATHS).and_then(|text| serde_json::from_str(text).ok());
        Ok(Some((name.clone(), paths.unwrap_or_default())))
    }
}

/// An unchanged service is not started anew because a later update or a new peer writes other words around it: the
/// revision stays that of its pods, and so do names of peers that still lead where they did.
fn keep_what_stays(before: &Deployment, template: &mut PodTemplateSpec) {
    let old = &before.spec.template;
    let label =
        |labels: Option<&Map>| labels.and_then(|labels| labels.get(crate::engine::label::REVISION).cloned());
    let revision = label(old.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref()));
    if let (Some(revision), Some(labels)) =
        (revision, template.metadata.as_mut().and_then(|metadata| metadata.labels.as_mut()))
    {
        labels.insert(crate::engine::label::REVISION.into(), revision);
    }
    let (Some(old), Some(new)) = (&old.spec, &mut template.spec) else { return };
    let fresh = new.host_aliases.clone().unwrap_or_default();
    let still = old.host_aliases.iter().flatten().all(|alias| fresh.contains(alias));
    if still {
        new.host_aliases.clone_from(&old.host_aliases);
    }
}

/// A fixed port of the nodes that somebody else has.
fn port_taken(request: &ServiceRequest, error: EngineError) -> EngineError {
    let fixed = request.service.ports.iter().filter_map(|port| port.host_port);
    match error {
        EngineError::Refused(words) if words.contains("already allocated") => {
            let port = fixed.into_iter().find(|port| words.contains(&port.to_string())).unwrap_or(0);
            EngineError::PortTaken { port, detail: words }
        }
        other => other,
    }
}
