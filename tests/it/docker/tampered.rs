//! A container that is not what was asked for is never started, whoever made it so: something in front of the engine,
//! or a hand that knew its name and every label.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, HostConfig};
use bollard::query_parameters::CreateContainerOptions;

use slipway::domain::workload::Image;
use slipway::engine::{EngineError, PrepareRequest};

use super::Docker;
use crate::conformance::{Bed, Lines, sh};

async fn inspect(id: &str) -> Option<ContainerInspectResponse> {
    Docker::by_hand().inspect_container(id, None).await.ok()
}

/// What is made of the host's configuration behind Slipway's back.
type Change = fn(&mut HostConfig);

const CHANGES: &[(&str, Change)] = &[
    ("privileged", |host| host.privileged = Some(true)),
    ("the engine's socket", |host| host.binds = Some(vec!["/var/run/docker.sock:/s".into()])),
    ("the host's processes", |host| host.pid_mode = Some("host".into())),
    ("the host's network", |host| host.network_mode = Some("host".into())),
    ("a capability", |host| host.cap_add = Some(vec!["SYS_ADMIN".into()])),
    ("no profile", |host| host.security_opt = Some(vec!["seccomp=unconfined".into()])),
    ("rules for devices", |host| host.device_cgroup_rules = Some(vec!["a *:* rwm".into()])),
    ("a group", |host| host.group_add = Some(vec!["0".into()])),
    ("another's name", |host| host.extra_hosts = Some(vec!["db:192.0.2.1".into()])),
    ("name servers", |host| host.dns = Some(vec!["192.0.2.1".into()])),
    ("no memory limit", |host| (host.memory, host.memory_swap) = (Some(0), Some(0))),
    ("sight of the kernel", |host| host.masked_paths = Some(Vec::new())),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_has_more_than_was_asked_for_is_never_started() {
    let bed = Bed::new(Docker::new());
    let up = bed.up(sh("sleep 600"), 1).await;
    let slot = &up.ensured.slots[0];
    let honest = inspect(&bed.running(slot).await.engine_id).await.unwrap();
    let name = honest.name.clone().unwrap().trim_start_matches('/').to_owned();
    let config = honest.config.unwrap();
    let labels: HashMap<String, String> = config.labels.clone().unwrap();
    for (what, change) in CHANGES {
        bed.engine.retire(slot).await.unwrap();
        let mut host = honest.host_config.clone().unwrap();
        change(&mut host);
        let body = ContainerCreateBody {
            image: honest.image.clone(),
            labels: Some(labels.clone()),
            env: config.env.clone(),
            cmd: config.cmd.clone(),
            entrypoint: config.entrypoint.clone(),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
        let forged = Docker::by_hand().create_container(Some(options), body).await.unwrap().id;
        let ensured = bed.engine.ensure(&up.request).await.unwrap();
        let running = inspect(&bed.running(&ensured.slots[0]).await.engine_id).await.unwrap();
        assert_ne!(running.id.as_deref(), Some(forged.as_str()), "{what}: the forged one runs");
        assert!(inspect(&forged).await.is_none(), "{what}: it is still there");
        assert_eq!(bed.states().await.len(), 1, "{what}: one replica, not two");
        let (made, before) = (running.host_config.unwrap(), honest.host_config.clone().unwrap());
        assert_eq!((made.privileged, &made.binds), (before.privileged, &before.binds), "{what}");
        assert_eq!((made.memory, &made.security_opt), (before.memory, &before.security_opt), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_made_for_a_deployment_is_no_other_ones_to_name() {
    let bed = Bed::new(Docker::new());
    let up = bed.up(sh("sleep 600"), 1).await;
    let image = inspect(&bed.running(&up.ensured.slots[0]).await.engine_id).await.unwrap().image.unwrap();
    let tags = Docker::by_hand().inspect_image(&image).await.unwrap().repo_tags.unwrap();
    let ours =
        tags.iter().find(|tag| tag.starts_with("slipway/") && tag.contains(&bed.harness.instance[..8]));
    let ours = ours.unwrap_or_else(|| panic!("it keeps no tag of ours: {tags:?}"));
    let id = image.trim_start_matches("sha256:").to_owned();
    for reference in [ours.clone(), format!("docker.io/{ours}"), id[..12].to_owned(), id] {
        let mut service = sh("sleep 600");
        service.image = Image::Reference(reference.clone());
        let plan = Arc::new(bed.plan(service));
        let request = PrepareRequest {
            plan,
            files: None,
            registries: BTreeMap::new(),
            pinned: BTreeMap::new(),
            builder: None,
        };
        let refused = bed.engine.prepare(&request, &Lines::default()).await.unwrap_err();
        let by_us = matches!(&refused, EngineError::Refused(said) if said.contains("as its registry does"));
        assert!(by_us, "{reference}: {refused}");
    }
}
