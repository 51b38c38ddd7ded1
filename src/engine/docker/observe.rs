//! A container as the engine shows it, in domain words.

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, HealthStatusEnum, PortMap,
};
use chrono::{DateTime, SubsecRound, Utc};

use crate::domain::clock::Timestamp;
use crate::domain::workload::Protocol;
use crate::engine::docker::error::plain;
use crate::engine::docker::names::{Expected, Names};
use crate::engine::docker::object::object;
use crate::engine::{Endpoint, EngineObject, Phase, SlotState, label};

/// A container of ours, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) state: SlotState,
    pub(super) object: EngineObject,
    pub(super) expected: Expected,
    /// On the workload's network, where it is on it.
    pub(super) address: Option<String>,
    pub(super) drift: Vec<Drift>,
    /// Seconds between the stop signal and the kill.
    pub(super) stop_timeout: u64,
}

/// What somebody changed by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drift {
    /// Memory, CPU or process limit.
    Limits,
    /// Taken off the workload's network.
    Detached,
    /// Joined another network.
    Joined,
    /// Made again from another image.
    Image,
    /// Bears another name.
    Renamed,
}

/// Reads an inspected container; `None` when it is not one of ours.
pub(super) fn read(names: &Names, container: ContainerInspectResponse) -> Option<Seen> {
    let labels = container.config.as_ref()?.labels.as_ref()?;
    let slot = names.slot(labels)?;
    let expected = Expected::from_labels(labels)?;
    let revision = labels.get(label::REVISION)?.parse().ok()?;
    let stop_timeout = container.config.as_ref()?.stop_timeout.and_then(|seconds| seconds.try_into().ok());
    let state = container.state.clone().unwrap_or_default();
    let settings = container.network_settings.clone().unwrap_or_default();
    let networks = settings.networks.unwrap_or_default();
    let endpoint = networks.get(&expected.network);
    let phase = phase(&state);
    let up = matches!(phase, Phase::Starting | Phase::Running | Phase::Unhealthy);
    let aliased = endpoint.and_then(|endpoint| endpoint.aliases.as_ref());
    let on_host = expected.network.is_empty();
    let serving = up
        && (on_host || aliased.is_some_and(|names| names.iter().any(|name| *name == *slot.service.as_str())));
    let mut drift = Vec::new();
    let mut words = Vec::new();
    let mut differs = |kind: Drift, text: String| {
        drift.push(kind);
        words.push(text);
    };
    limits_drift(&expected, &container, &mut differs);
    if !on_host && endpoint.is_none() {
        differs(Drift::Detached, format!("taken off the network {}", expected.network));
    }
    for other in networks.keys().filter(|name| **name != expected.network && !(on_host && *name == "host")) {
        differs(Drift::Joined, format!("joined to the network {other}"));
    }
    let image_id = container.image.clone().unwrap_or_default();
    if image_id != expected.image {
        differs(Drift::Image, format!("made again from another image, {image_id}"));
    }
    let name = container.name.as_deref().unwrap_or_default().trim_start_matches('/');
    if name != names.container(&slot) {
        differs(Drift::Renamed, format!("renamed to {name}"));
    }
    let started_at = time(state.started_at.as_deref());
    let ended_at = time(state.finished_at.as_deref()).filter(|_| !up);
    let replica = SlotState {
        slot,
        engine_id: container.id.clone().unwrap_or_default(),
        revision,
        started_at,
        // The engine may note the end of a very short life before its start.
        ended_at: ended_at.map(|ended| started_at.map_or(ended, |started| ended.max(started))),
        restarts: container.restart_count.and_then(|count| count.try_into().ok()).unwrap_or(0),
        detail: detail(&state, &phase, container.path.as_deref().unwrap_or_default()),
        phase,
        image_id,
        endpoints: endpoints(settings.ports.unwrap_or_default()),
        serving,
        drift: (!words.is_empty()).then(|| words.join("; ")),
        autoscaled: None,
    };
    Some(Seen {
        address: endpoint
            .and_then(|endpoint| endpoint.ip_address.clone())
            .filter(|address| !address.is_empty()),
        object: object(name, labels, &state, &replica),
        state: replica,
        expected,
        drift,
        stop_timeout: stop_timeout.unwrap_or(10),
    })
}

fn limits_drift(
    expected: &Expected,
    container: &ContainerInspectResponse,
    differs: &mut impl FnMut(Drift, String),
) {
    let host = container.host_config.clone().unwrap_or_default();
    let positive = |limit: Option<i64>| limit.filter(|limit| *limit > 0).unwrap_or(0);
    let mut check = |what: &str, asked: i64, has: i64| {
        if asked != has {
            differs(Drift::Limits, format!("{what} limit changed from {asked} to {has}"));
        }
    };
    check("memory", expected.memory, positive(host.memory));
    check("CPU", expected.nano_cpus, cpus(&host));
    check("process", expected.pids, positive(host.pids_limit));
}

/// The CPU limit, also where somebody set it by period and quota.
fn cpus(host: &bollard::models::HostConfig) -> i64 {
    match (host.nano_cpus, host.cpu_quota, host.cpu_period) {
        (Some(nano), ..) if nano > 0 => nano,
        (_, Some(quota), Some(period)) if quota > 0 && period > 0 => {
            quota.saturating_mul(1_000_000_000) / period
        }
        _ => 0,
    }
}

/// Where a container stands.
pub(super) fn phase(state: &ContainerState) -> Phase {
    use ContainerStateStatusEnum as Status;
    match state.status {
        Some(Status::CREATED) => Phase::Created,
        Some(Status::RUNNING | Status::STOPPING) => {
            match state.health.as_ref().and_then(|health| health.status) {
                Some(HealthStatusEnum::STARTING) => Phase::Starting,
                Some(HealthStatusEnum::UNHEALTHY) => Phase::Unhealthy,
                _ => Phase::Running,
            }
        }
        Some(Status::PAUSED) => Phase::Paused,
        Some(Status::RESTARTING) => Phase::Restarting,
        Some(Status::EXITED) => Phase::Exited {
            code: state.exit_code.unwrap_or(0),
            oom_killed: state.oom_killed.unwrap_or(false),
        },
        Some(Status::REMOVING | Status::DEAD | Status::EMPTY) | None => Phase::Dead,
    }
}

/// The last words of a failing check, start or run.
fn detail(state: &ContainerState, phase: &Phase, program: &str) -> String {
    let checked = matches!(phase, Phase::Starting | Phase::Unhealthy);
    if let Some(health) = state.health.as_ref().filter(|_| checked) {
        let last = health.log.as_ref().and_then(|log| log.last());
        if let Some(last) = last.filter(|last| last.exit_code != Some(0)) {
            let code = last.exit_code.unwrap_or(-1);
            let output = plain(last.output.clone().unwrap_or_default());
            let said: String = output.trim().chars().take(500).collect();
            return if said.is_empty() {
                format!("the health check ended with {code}")
            } else {
                format!("the health check ended with {code}: {said}")
            };
        }
    }
    let error = plain(state.error.clone().unwrap_or_default());
    if error.is_empty() && matches!(phase, Phase::Exited { .. } | Phase::Restarting) {
        return end_words(state, program);
    }
    error
}

/// What the codes say by which an init program or a shell tells that it could not run something.
fn end_words(state: &ContainerState, program: &str) -> String {
    let check = "check `command`, `entrypoint` and `working_dir` against what the image holds";
    match state.exit_code {
        _ if state.oom_killed == Some(true) => "it was killed for using more than its memory limit".into(),
        Some(127) => {
            format!("{program}, or a command that it calls, was not found; {check}")
        }
        Some(126) => {
            format!("{program}, or a command that it calls, may not be run; {check}")
        }
        _ => String::new(),
    }
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    let at = DateTime::parse_from_rfc3339(text?).ok()?.with_timezone(&Utc);
    (at.timestamp() > 0).then(|| at.trunc_subsecs(3))
}

/// Published ports, in order; both protocols of an address family share one line each.
fn endpoints(ports: PortMap) -> Vec<Endpoint> {
    let mut all: Vec<Endpoint> = ports
        .iter()
        .flat_map(|(port, bindings)| {
            bindings.iter().flatten().filter_map(|binding| {
                let (number, protocol) = port.split_once('/')?;
                let protocol = if protocol == "udp" { Protocol::Udp } else { Protocol::Tcp };
                let (ip, port) = (binding.host_ip.as_deref()?, binding.host_port.as_deref()?);
                Some(Endpoint::of_host(number.parse().ok()?, protocol, ip.parse().ok()?, port.parse().ok()?))
            })
        })
        .collect();
    all.sort_by_key(|endpoint| (endpoint.container_port, endpoint.host_ip, endpoint.host_port));
    all
}
