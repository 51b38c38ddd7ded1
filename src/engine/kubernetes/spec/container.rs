//! A service's container: its program, variables, limits, probe and what it may do.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, ExecAction, Probe, ResourceRequirements,
    SeccompProfile, SecretKeySelector, SecurityContext, VolumeMount,
};

use super::{milli, quantity};
use crate::domain::policy::{BASELINE_CAPABILITIES, Exception, Profile};
use crate::domain::workload::{EnvValue, HealthTest, Healthcheck, Protocol, Resources, Service};
use crate::engine::ServiceRequest;
use crate::engine::kubernetes::names;

/// The name of the one container of a pod of ours.
pub(crate) const NAME: &str = "main";

/// The container of a service, with these mounts.
pub(super) fn container(request: &ServiceRequest, mounts: Vec<VolumeMount>) -> Container {
    let service = &*request.service;
    let image = request.image.pull_digest.as_ref().unwrap_or(&request.image.reference);
    Container {
        name: NAME.into(),
        image: Some(image.clone()),
        image_pull_policy: Some("IfNotPresent".into()),
        command: service.entrypoint.as_deref().map(argv),
        args: service.command.as_deref().map(argv),
        env: some(variables(request)),
        ports: some(ports(request)),
        readiness_probe: service.healthcheck.as_ref().and_then(probe),
        resources: Some(resources(&service.resources)),
        security_context: Some(security(service, request.profile)),
        volume_mounts: some(mounts),
        working_dir: service.working_dir.clone(),
        ..Container::default()
    }
}

pub(super) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

fn argv(words: &[String]) -> Vec<String> {
    words.iter().map(|word| literal(word)).collect()
}

/// Kubernetes replaces `$(NAME)` in commands and variables; a doubled `$` is one.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn variables(request: &ServiceRequest) -> Vec<EnvVar> {
    let secret = names::of_hash(&request.workload, &request.name, &request.hash);
    let variables = request.service.environment.iter().filter_map(|(name, value)| {
        let variable = EnvVar { name: name.clone(), ..EnvVar::default() };
        match value {
            EnvValue::Plain(text) => Some(EnvVar { value: Some(literal(text)), ..variable }),
            EnvValue::Secret { name: key, .. } => Some(EnvVar {
                value_from: Some(EnvVarSource {
                    secret_key_ref: Some(SecretKeySelector {
                        name: secret.clone(),
                        key: super::contents::variable_key(key),
                        ..SecretKeySelector::default()
                    }),
                    ..EnvVarSource::default()
                }),
                ..variable
            }),
            EnvValue::Json(_) | EnvValue::Required => None,
        }
    });
    variables.collect()
}

/// Every port that anybody may speak to, published or not.
pub(super) fn all_ports(request: &ServiceRequest) -> BTreeMap<(u16, Protocol), bool> {
    let service = &*request.service;
    let mut ports: BTreeMap<(u16, Protocol), bool> =
        request.image.exposed.iter().map(|port| (*port, false)).collect();
    ports.extend(service.expose.iter().map(|port| ((*port, Protocol::Tcp), false)));
    ports.extend(service.metrics.iter().map(|metrics| ((metrics.port, Protocol::Tcp), false)));
    ports.extend(service.ports.iter().map(|port| ((port.container_port, port.protocol), true)));
    ports
}

pub(super) fn protocol(protocol: Protocol) -> String {
    match protocol {
        Protocol::Tcp => "TCP".into(),
        Protocol::Udp => "UDP".into(),
    }
}

fn ports(request: &ServiceRequest) -> Vec<ContainerPort> {
    let port = |(number, transport): (u16, Protocol)| ContainerPort {
        container_port: i32::from(number),
        protocol: Some(protocol(transport)),
        ..ContainerPort::default()
    };
    all_ports(request).into_keys().map(port).collect()
}

/// A health check decides who gets traffic; as on Docker, a failing one does not restart anything.
fn probe(check: &Healthcheck) -> Option<Probe> {
    let command = match &check.test {
        HealthTest::Exec(argv) => argv.clone(),
        HealthTest::Shell(line) => vec!["/bin/sh".into(), "-c".into(), line.clone()],
        HealthTest::Disabled => return None,
    };
    Some(Probe {
        exec: Some(ExecAction { command: Some(command) }),
        period_seconds: Some(seconds(
            check.start_interval_ms.unwrap_or(check.interval_ms).min(check.interval_ms),
        )),
        timeout_seconds: Some(seconds(check.timeout_ms)),
        failure_threshold: Some(i32::try_from(check.retries.max(1)).unwrap_or(i32::MAX)),
        success_threshold: Some(1),
        ..Probe::default()
    })
}

/// Whole seconds, at least one: what a probe can have.
fn seconds(milliseconds: u64) -> i32 {
    i32::try_from(milliseconds.div_ceil(1_000).max(1)).unwrap_or(i32::MAX)
}

fn resources(asked: &Resources) -> ResourceRequirements {
    let map = |cpu: Option<u32>, memory: Option<u64>| {
        let cpu = cpu.map(|cpu| ("cpu".to_owned(), milli(cpu)));
        let memory = memory.map(|memory| ("memory".to_owned(), quantity(memory)));
        Some(cpu.into_iter().chain(memory).collect::<BTreeMap<_, _>>()).filter(|map| !map.is_empty())
    };
    // Without a request of its own Kubernetes sets aside all of the limit: then nobody shares a node.
    let cpu = asked.cpu_reservation_milli.or(asked.cpu_limit_milli.map(|limit| limit.min(LEAST_CPU)));
    let memory =
        asked.memory_reservation_bytes.or(asked.memory_limit_bytes.map(|limit| limit.min(LEAST_MEMORY)));
    ResourceRequirements {
        limits: map(asked.cpu_limit_milli, asked.memory_limit_bytes),
        requests: map(cpu, memory),
        ..ResourceRequirements::default()
    }
}

/// What is set aside for a service that asks for nothing: thousandths of a CPU, and bytes.
const LEAST_CPU: u32 = 10;
const LEAST_MEMORY: u64 = 32 << 20;

fn security(service: &Service, profile: Profile) -> SecurityContext {
    let asked = |exception: &Exception| service.exceptions.contains(exception);
    let privileged = asked(&Exception::Privileged);
    let (user, group) = user(service);
    let restricted = profile == Profile::Restricted;
    let kept = BASELINE_CAPABILITIES.iter().filter(|_| !restricted).map(|name| (*name).to_owned());
    let kept = kept.filter(|name| !service.dropped_capabilities.contains(name));
    let granted = service.exceptions.iter().filter_map(|exception| match exception {
        Exception::Capability(name) => Some(name.clone()),
        _ => None,
    });
    let unconfined = asked(&Exception::Unconfined("seccomp".into()));
    SecurityContext {
        allow_privilege_escalation: Some(privileged),
        privileged: privileged.then_some(true),
        capabilities: (!privileged).then(|| Capabilities {
            add: some(kept.chain(granted).collect()),
            drop: Some(vec!["ALL".into()]),
        }),
        read_only_root_filesystem: Some(service.read_only || restricted),
        run_as_user: user,
        run_as_group: group,
        run_as_non_root: restricted.then_some(true),
        seccomp_profile: (!privileged).then(|| SeccompProfile {
            type_: if unconfined { "Unconfined" } else { "RuntimeDefault" }.into(),
            ..SeccompProfile::default()
        }),
        ..SecurityContext::default()
    }
}

/// Numeric user and group; names are refused when the plan is made.
pub(super) fn user(service: &Service) -> (Option<i64>, Option<i64>) {
    let mut parts = service.user.as_deref().unwrap_or_default().splitn(2, ':');
    let mut number = || parts.next().and_then(|part| part.parse().ok());
    (number(), number())
}
