//! From a service of the plan to what the engine is asked for: closed types in, closed types out.
//!
//! Policy has decided before; here every field of a container's configuration that matters to its isolation is set
//! explicitly, so that no default of an engine or daemon decides. What a service may not have without an exception is
//! only set where its `exceptions` name it.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType,
    NetworkingConfig, PortBinding, PortMap, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use secrecy::ExposeSecret;

use crate::domain::policy::{BASELINE_CAPABILITIES, Exception, Profile};
use crate::domain::workload::{
    EnvValue, HealthTest, Healthcheck, Protocol, Resources, Restart, Service, ServiceKind, Tmpfs, Ulimit,
};
use crate::engine::docker::names::{Expected, Names};
use crate::engine::docker::network::endpoint;
use crate::engine::{EngineError, EngineResult, ServiceRequest};

/// What of the engine and infrastructure decides about a container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) names: &'a Names,
    /// Where ports are published that name no address.
    pub(super) publish: std::net::IpAddr,
    /// API 1.44 and later know how often to check while starting.
    pub(super) knows_start_interval: bool,
}

/// The request for the container of slot `index`; with `serve` its peers reach it by the service's name from the start.
pub(super) fn container(
    request: &ServiceRequest,
    index: u32,
    serve: bool,
    setting: Setting<'_>,
) -> EngineResult<ContainerCreateBody> {
    let service = &*request.service;
    let expected = expected(request);
    let networking = (!on_host_network(service)).then(|| NetworkingConfig {
        endpoints_config: Some(HashMap::from([(
            request.network.clone(),
            endpoint(if serve { vec![request.name.to_string()] } else { Vec::new() }, None),
        )])),
    });
    Ok(ContainerCreateBody {
        image: Some(request.image.id.clone()),
        labels: Some(setting.names.slot_labels(request, index, &expected)),
        env: Some(environment(request)?),
        entrypoint: service.entrypoint.clone(),
        cmd: service.command.clone(),
        user: service.user.clone(),
        working_dir: service.working_dir.clone(),
        exposed_ports: Some(exposed(service)),
        healthcheck: service.healthcheck.as_ref().map(|check| health(check, setting.knows_start_interval)),
        stop_signal: service.stop_signal.clone(),
        stop_timeout: Some(service.stop_grace_seconds.into()),
        tty: Some(false),
        open_stdin: Some(false),
        host_config: Some(host(request, setting)?),
        networking_config: networking,
        ..Default::default()
    })
}

/// What drift is measured against.
pub(super) fn expected(request: &ServiceRequest) -> Expected {
    let limits = limits(&request.service.resources);
    let on_host = on_host_network(&request.service);
    Expected {
        image: request.image.id.clone(),
        network: if on_host { String::new() } else { request.network.clone() },
        memory: limits.memory,
        nano_cpus: limits.nano_cpus,
        pids: limits.pids,
        restarts: restart(&request.service).name != Some(RestartPolicyNameEnum::NO),
    }
}

/// Limits in the engine's units; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) memory: i64,
    pub(super) nano_cpus: i64,
    pub(super) pids: i64,
}

fn limits(resources: &Resources) -> Limits {
    let signed = |bytes: Option<u64>| bytes.map_or(0, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    Limits {
        memory: signed(resources.memory_limit_bytes),
        nano_cpus: resources.cpu_limit_milli.map_or(0, |milli| i64::from(milli) * 1_000_000),
        pids: resources.pids_limit.map_or(0, i64::from),
    }
}

pub(super) fn on_host_network(service: &Service) -> bool {
    service.exceptions.contains(&Exception::HostNetwork)
}

fn host(request: &ServiceRequest, setting: Setting<'_>) -> EngineResult<HostConfig> {
    let service = &*request.service;
    let limits = limits(&service.resources);
    let has = |exception: Exception| service.exceptions.contains(&exception);
    let shared = |exception: Exception, otherwise: &str| {
        if service.exceptions.contains(&exception) { "host".to_owned() } else { otherwise.to_owned() }
    };
    Ok(HostConfig {
        network_mode: Some(if on_host_network(service) { "host".into() } else { request.network.clone() }),
        port_bindings: Some(bindings(service, setting.publish)),
        restart_policy: Some(restart(service)),
        log_config: Some(log_rotation()),
        init: Some(true),
        auto_remove: Some(false),
        publish_all_ports: Some(false),
        memory: Some(limits.memory),
        // The same as memory: no swap beyond it.
        memory_swap: Some(limits.memory),
        memory_reservation: service
            .resources
            .memory_reservation_bytes
            .and_then(|bytes| bytes.try_into().ok()),
        nano_cpus: Some(limits.nano_cpus),
        pids_limit: Some(limits.pids),
        mounts: Some(mounts(request, setting.names)?),
        tmpfs: Some(tmpfs(request)),
        shm_size: service.shm_bytes.and_then(|bytes| bytes.try_into().ok()),
        ulimits: Some(ulimits(service)),
        privileged: Some(has(Exception::Privileged)),
        readonly_rootfs: Some(root_is_read_only(request)),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(capabilities(service, request.profile)),
        security_opt: Some(security_options(service)),
        devices: Some(devices(service)),
        pid_mode: Some(shared(Exception::HostPid, "")),
        ipc_mode: Some(shared(Exception::HostIpc, "private")),
        ..Default::default()
    })
}

/// Whether files reach the container only by what is mounted into it.
pub(super) fn root_is_read_only(request: &ServiceRequest) -> bool {
    request.service.read_only || request.profile == Profile::Restricted
}

fn capabilities(service: &Service, profile: Profile) -> Vec<String> {
    let base: &[&str] = match profile {
        Profile::Baseline => &BASELINE_CAPABILITIES,
        Profile::Restricted => &[],
    };
    let granted = service.exceptions.iter().filter_map(|exception| match exception {
        Exception::Capability(name) => Some(name.as_str()),
        _ => None,
    });
    let base = base.iter().copied().filter(|name| !service.dropped_capabilities.contains(*name));
    let mut all: Vec<String> = base.chain(granted).map(str::to_owned).collect();
    all.sort();
    all.dedup();
    all
}

fn security_options(service: &Service) -> Vec<String> {
    let unconfined = service.exceptions.iter().filter_map(|exception| match exception {
        Exception::Unconfined(profile) if profile == "selinux" => Some("label=disable".to_owned()),
        Exception::Unconfined(profile) => Some(format!("{profile}=unconfined")),
        _ => None,
    });
    std::iter::once("no-new-privileges".to_owned()).chain(unconfined).collect()
}

fn devices(service: &Service) -> Vec<DeviceMapping> {
    let paths = service.exceptions.iter().filter_map(|exception| match exception {
        Exception::Device(path) => Some(path),
        _ => None,
    });
    paths
        .map(|path| DeviceMapping {
            path_on_host: Some(path.clone()),
            path_in_container: Some(path.clone()),
            cgroup_permissions: Some("rwm".into()),
        })
        .collect()
}

/// Folders in memory; a restricted service has one at `/tmp` in any case.
fn tmpfs(request: &ServiceRequest) -> HashMap<String, String> {
    let options = |folder: &Tmpfs| {
        let mut text = format!("rw,nosuid,nodev,{}", if folder.executable { "exec" } else { "noexec" });
        text += &format!(",mode={:o}", folder.mode.unwrap_or(0o1777));
        text + &folder.size_bytes.map(|bytes| format!(",size={bytes}")).unwrap_or_default()
    };
    let asked = request.service.tmpfs.iter().map(|folder| (folder.target.clone(), options(folder)));
    let mut folders: HashMap<String, String> = asked.collect();
    if request.profile == Profile::Restricted {
        folders.entry("/tmp".to_owned()).or_insert_with(|| "rw,nosuid,nodev,mode=1777".to_owned());
    }
    folders
}

fn ulimits(service: &Service) -> Vec<ResourcesUlimits> {
    let one = |(name, limit): (&String, &Ulimit)| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    };
    service.ulimits.iter().map(one).collect()
}

/// Volumes, granted host paths, and where the root is read-only a place for the files of secrets and configs.
fn mounts(request: &ServiceRequest, names: &Names) -> EngineResult<Vec<Mount>> {
    let service = &*request.service;
    let mut mounts: Vec<Mount> = service
        .volumes
        .iter()
        .map(|mount| Mount {
            typ: Some(MountType::VOLUME),
            source: Some(names.volume(&request.workload, &mount.volume)),
            target: Some(mount.target.clone()),
            read_only: Some(mount.read_only),
            ..Default::default()
        })
        .collect();
    for mount in &service.host_mounts {
        if !service.exceptions.contains(&Exception::HostPath(mount.source.clone())) {
            let path = &mount.source;
            return Err(EngineError::Refused(format!(
                "the host path {path} was not granted to service {}",
                request.name
            )));
        }
        mounts.push(Mount {
            typ: Some(MountType::BIND),
            source: Some(mount.source.clone()),
            target: Some(mount.target.clone()),
            read_only: Some(mount.read_only),
            ..Default::default()
        });
    }
    if root_is_read_only(request) {
        mounts.extend(super::files::folders(service)?.into_iter().map(|folder| Mount {
            typ: Some(MountType::VOLUME),
            target: Some(folder),
            read_only: Some(false),
            ..Default::default()
        }));
    }
    Ok(mounts)
}

fn environment(request: &ServiceRequest) -> EngineResult<Vec<String>> {
    let value = |key: &String, value: &EnvValue| match value {
        EnvValue::Plain(text) => Ok(format!("{key}={text}")),
        EnvValue::Secret { name, .. } => match request.secrets.get(name) {
            Some(secret) => Ok(format!("{key}={}", secret.expose_secret())),
            None => Err(EngineError::Refused(format!(
                "the secret {name} of service {} has no value",
                request.name
            ))),
        },
        EnvValue::Json(_) | EnvValue::Required => Err(EngineError::Refused(format!(
            "the variable {key} of service {} has no value; set it in the deployment's settings",
            request.name
        ))),
    };
    request.service.environment.iter().map(|(key, text)| value(key, text)).collect()
}

/// `Always` becomes the engine's `unless-stopped`: what Slipway stopped must not come back when the engine restarts.
fn restart(service: &Service) -> RestartPolicy {
    let (name, most) = match (service.kind, service.restart) {
        (ServiceKind::Task, _) | (_, Restart::No) => (RestartPolicyNameEnum::NO, None),
        (_, Restart::Always | Restart::UnlessStopped) => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        (_, Restart::OnFailure { attempts }) => (RestartPolicyNameEnum::ON_FAILURE, attempts),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: Some(most.map_or(0, i64::from)) }
}

fn log_rotation() -> HostConfigLogConfig {
    let option = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    HostConfigLogConfig {
        typ: Some("json-file".into()),
        config: Some(HashMap::from([option("max-size", "50m"), option("max-file", "3")])),
    }
}

fn port_key(port: u16, protocol: Protocol) -> String {
    match protocol {
        Protocol::Tcp => format!("{port}/tcp"),
        Protocol::Udp => format!("{port}/udp"),
    }
}

fn exposed(service: &Service) -> Vec<String> {
    let published = service.ports.iter().map(|port| port_key(port.container_port, port.protocol));
    let inside = service.expose.iter().map(|port| port_key(*port, Protocol::Tcp));
    let mut all: Vec<String> = published.chain(inside).collect();
    all.sort();
    all.dedup();
    all
}

fn bindings(service: &Service, publish: std::net::IpAddr) -> PortMap {
    let mut map = PortMap::new();
    if on_host_network(service) {
        return map;
    }
    for port in &service.ports {
        let binding = PortBinding {
            host_ip: Some(port.host_ip.unwrap_or(publish).to_string()),
            host_port: Some(port.host_port.map(|port| port.to_string()).unwrap_or_default()),
        };
        let key = port_key(port.container_port, port.protocol);
        map.entry(key).or_default().get_or_insert_default().push(binding);
    }
    map
}

fn health(check: &Healthcheck, knows_start_interval: bool) -> HealthConfig {
    let nanos = |millis: u64| Some(i64::try_from(millis.saturating_mul(1_000_000)).unwrap_or(i64::MAX));
    let test = match &check.test {
        HealthTest::Disabled => vec!["NONE".to_owned()],
        HealthTest::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
        HealthTest::Exec(argv) => std::iter::once("CMD".to_owned()).chain(argv.iter().cloned()).collect(),
    };
    if check.test == HealthTest::Disabled {
        return HealthConfig { test: Some(test), ..Default::default() };
    }
    HealthConfig {
        test: Some(test),
        interval: nanos(check.interval_ms),
        timeout: nanos(check.timeout_ms),
        retries: Some(check.retries.into()),
        start_period: nanos(check.start_period_ms),
        start_interval: check.start_interval_ms.filter(|_| knows_start_interval).and_then(nanos),
    }
}

#[cfg(test)]
mod tests;
