//! The template of a service's pods.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, HostAlias, HostPathVolumeSource, KeyToPath,
    LocalObjectReference, PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, PodTemplateSpec,
    Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::container::{container, some, user};
use super::{Contents, Setting, quantity};
use crate::domain::policy::{Exception, Profile};
use crate::domain::workload::{Service, ServiceKind};
use crate::engine::kubernetes::names::{self, note};
use crate::engine::{ServiceRequest, label};

/// The pods of a service, of the request's hash.
pub(in crate::engine::kubernetes) fn template(
    request: &ServiceRequest,
    setting: &Setting<'_>,
    contents: Option<&Contents>,
) -> PodTemplateSpec {
    let service = &*request.service;
    let mut labels = super::labels(setting.instance, request);
    labels.insert(label::HASH.into(), request.hash.clone());
    labels.insert(label::REVISION.into(), request.revision.to_string());
    let mut annotations = super::annotations(&service.labels);
    annotations.extend(names::whole(&request.workload, &request.name));
    annotations.insert(note::IMAGE.into(), request.image.id.clone());
    if let Some(check) = &service.healthcheck {
        annotations.insert(note::START_PERIOD.into(), check.start_period_ms.to_string());
    }
    let (mut volumes, mut mounts) = storage(request, setting);
    if let Some(contents) = contents {
        volumes.extend(contents.volume.clone());
        mounts.extend(contents.mounts.clone());
    }
    let asked = |exception: &Exception| service.exceptions.contains(exception).then_some(true);
    let is_task = service.kind == ServiceKind::Task;
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: vec![container(request, mounts)],
            volumes: some(volumes),
            host_aliases: some(aliases(request, setting)),
            restart_policy: Some(if is_task { "Never" } else { "Always" }.into()),
            termination_grace_period_seconds: Some(i64::from(service.stop_grace_seconds)),
            image_pull_secrets: setting
                .pull_secret
                .map(|name| vec![LocalObjectReference { name: name.to_owned() }]),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            host_network: asked(&Exception::HostNetwork),
            host_pid: asked(&Exception::HostPid),
            host_ipc: asked(&Exception::HostIpc),
            security_context: volume_group(service).map(|group| PodSecurityContext {
                fs_group: Some(group),
                fs_group_change_policy: Some("OnRootMismatch".into()),
                ..PodSecurityContext::default()
            }),
            ..PodSpec::default()
        }),
    }
}

/// The group that named volumes are given to: a fresh one is root's, and a service that is not root could not write there.
fn volume_group(service: &Service) -> Option<i64> {
    let (user, group) = user(service);
    let group = group.filter(|group| *group != 0).or(user);
    group.filter(|group| *group != 0 && !service.volumes.is_empty())
}

/// Peers by their bare names, whatever the cluster's DNS does.
fn aliases(request: &ServiceRequest, setting: &Setting<'_>) -> Vec<HostAlias> {
    let peers = setting.peers.iter().filter(|(name, _)| **name != request.name);
    let alias = |(name, address): (&crate::domain::name::ServiceName, &IpAddr)| HostAlias {
        ip: address.to_string(),
        hostnames: Some(vec![name.to_string()]),
    };
    peers.map(alias).collect()
}

/// Named volumes, folders that go with the pod, folders in memory, host paths, and files of the bundle that come by ConfigMap.
fn storage(request: &ServiceRequest, setting: &Setting<'_>) -> (Vec<Volume>, Vec<VolumeMount>) {
    let service = &*request.service;
    let (mut volumes, mut mounts): (Vec<Volume>, Vec<VolumeMount>) = (Vec::new(), Vec::new());
    let mut add = |volume: Volume, mount: VolumeMount| {
        mounts.push(VolumeMount { name: volume.name.clone(), ..mount });
        if !volumes.iter().any(|known| known.name == volume.name) {
            volumes.push(volume);
        }
    };
    for mount in &service.volumes {
        let claim_name = names::volume(&request.workload, &mount.volume);
        if mount.scratch {
            let folder = Some(EmptyDirVolumeSource::default());
            add(
                Volume { name: claim_name, empty_dir: folder, ..Volume::default() },
                at(&mount.target, mount.read_only),
            );
            continue;
        }
        let source = PersistentVolumeClaimVolumeSource { claim_name: claim_name.clone(), read_only: None };
        let volume = Volume { name: claim_name, persistent_volume_claim: Some(source), ..Volume::default() };
        add(volume, at(&mount.target, mount.read_only));
    }
    let shared = service.shm_bytes.map(|size| ("/dev/shm", Some(size)));
    let folders = service.tmpfs.iter().map(|folder| (folder.target.as_str(), folder.size_bytes));
    let scratch = needs_scratch(request).then_some((SCRATCH, None));
    for (number, (target, size)) in shared.into_iter().chain(folders).chain(scratch).enumerate() {
        let source = EmptyDirVolumeSource {
            medium: Some("Memory".into()),
            size_limit: size.map(quantity),
            ..EmptyDirVolumeSource::default()
        };
        let volume =
            Volume { name: format!("memory-{number}"), empty_dir: Some(source), ..Volume::default() };
        add(volume, at(target, false));
    }
    for (number, mount) in service.host_mounts.iter().enumerate() {
        let source = HostPathVolumeSource { path: mount.source.clone(), type_: None };
        let volume = Volume { name: format!("host-{number}"), host_path: Some(source), ..Volume::default() };
        add(volume, at(&mount.target, mount.read_only));
    }
    if let Some((name, files)) = setting.files {
        let item = |(key, (_, executable)): (&String, &(String, bool))| KeyToPath {
            key: key.clone(),
            path: key.clone(),
            mode: Some(if *executable { 0o755 } else { 0o644 }),
            ..KeyToPath::default()
        };
        let source = ConfigMapVolumeSource {
            name: name.to_owned(),
            items: Some(files.iter().map(item).collect()),
            ..ConfigMapVolumeSource::default()
        };
        let volume = Volume { name: "bundle".into(), config_map: Some(source), ..Volume::default() };
        for (key, (path, _)) in files {
            add(volume.clone(), VolumeMount { sub_path: Some(key.clone()), ..at(path, true) });
        }
    }
    (volumes, mounts)
}

/// Where programs expect to write whatever else they may.
const SCRATCH: &str = "/tmp";

/// A restricted service, whose root is read-only, has a folder in memory there where it has nothing else, as on Docker.
fn needs_scratch(request: &ServiceRequest) -> bool {
    let service = &*request.service;
    let volumes = service.volumes.iter().map(|mount| &mount.target);
    let mut targets = volumes
        .chain(service.tmpfs.iter().map(|folder| &folder.target))
        .chain(service.host_mounts.iter().map(|mount| &mount.target));
    request.profile == Profile::Restricted && !targets.any(|target| target.trim_end_matches('/') == SCRATCH)
}

fn at(path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}
