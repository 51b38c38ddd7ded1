//! What engines tell: replicas, events, log lines, usage, and what they are themselves.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{EngineObject, SlotRef};
use crate::domain::clock::Timestamp;
use crate::domain::name::DeploymentId;
use crate::domain::workload::Protocol;

/// Where a replica stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum Phase {
    /// Made, not started.
    Created,
    /// Runs; its health check has not passed yet.
    Starting,
    /// Runs, and passes its health check where it has one.
    Running,
    /// Runs and fails its health check.
    Unhealthy,
    /// Between an end and the engine's own next start.
    Restarting,
    Paused,
    /// Ended.
    Exited {
        code: i64,
        oom_killed: bool,
    },
    /// The engine has yet to start it, and does so by itself.
    Pending,
    /// Something keeps the engine from starting it, and it goes on trying: the detail says what.
    Blocked,
    /// The engine can't tell, or can't remove it.
    Dead,
}

impl Phase {
    /// In one word, for people.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Created => "made and not started",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Unhealthy => "unhealthy",
            Self::Restarting => "restarting",
            Self::Paused => "paused",
            Self::Exited { .. } => "stopped",
            Self::Pending => "waiting to be started",
            Self::Blocked => "not startable",
            Self::Dead => "dead",
        }
    }

    /// In one word, as conditions spell their reasons.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Unhealthy => "Unhealthy",
            Self::Restarting => "Restarting",
            Self::Paused => "Paused",
            Self::Exited { oom_killed: true, .. } => "OutOfMemory",
            Self::Exited { code: 0, .. } => "Completed",
            Self::Exited { .. } => "Failed",
            Self::Pending => "Pending",
            Self::Blocked => "Blocked",
            Self::Dead => "Dead",
        }
    }

    /// Whether it counts as ready: running and healthy, or a task that ended well.
    pub fn is_ready(&self, is_task: bool) -> bool {
        match self {
            Self::Running => !is_task,
            Self::Exited { code, .. } => is_task && *code == 0,
            _ => false,
        }
    }
}

/// Where a published port answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub container_port: u16,
    pub protocol: Protocol,
    /// Of a port of a host; `0.0.0.0` where that is every address of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub host_ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// Where a browser finds it, whatever it speaks: of an Ingress its address, of a TCP port of a host `http://…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl Endpoint {
    /// A port of a host.
    pub fn of_host(container_port: u16, protocol: Protocol, host_ip: IpAddr, host_port: u16) -> Self {
        Self { container_port, protocol, host_ip: Some(host_ip), host_port: Some(host_port), url: None }
    }

    /// `127.0.0.1:32768`, of a port of a host; `here` is the name of the host whose every address is meant.
    pub fn place(&self, here: Option<&str>) -> Option<String> {
        let (ip, port) = self.host_ip.zip(self.host_port)?;
        Some(match here {
            Some(here) if ip.is_unspecified() => format!("{here}:{port}"),
            _ => SocketAddr::new(ip, port).to_string(),
        })
    }

    /// Says where a browser finds a TCP port of a host, where that can be known.
    pub fn locate(&mut self, here: Option<&str>) {
        let known = here.is_some() || self.host_ip.is_some_and(|ip| !ip.is_unspecified());
        if self.url.is_none() && self.protocol == Protocol::Tcp && known {
            self.url = self.place(here).map(|place| format!("http://{place}/"));
        }
    }
}

/// One replica as the engine has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotState {
    pub slot: SlotRef,
    /// The engine's own id of the container or pod.
    pub engine_id: String,
    /// The update that made it.
    pub revision: u32,
    pub phase: Phase,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// The engine's own restarts of it.
    pub restarts: u32,
    /// The last words of a failing health check or start, for people; empty when there are none.
    pub detail: String,
    pub image_id: String,
    pub endpoints: Vec<Endpoint>,
    /// Whether peers reach it by the service's name.
    pub serving: bool,
    /// What somebody changed behind our back, in words (limits, networks, image).
    pub drift: Option<String>,
    /// How many replicas of this hash an autoscaler wants, where one sets the number: it goes before the plan's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaled: Option<u32>,
}

/// Everything of ours at one moment, and where to go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub slots: Vec<SlotState>,
    /// The objects behind them, each with its workload.
    pub objects: Vec<(DeploymentId, EngineObject)>,
    pub cursor: Cursor,
}

/// A place in an engine's stream of events; opaque outside the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// Something changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineEvent {
    /// This replica is now so. `at` is the engine's own time of the event; `what` a word for people (`die`, `start`…).
    Slot { state: Box<SlotState>, what: String, at: Timestamp },
    /// This replica's process has just ended, which is all that the engine says so far: a `Slot` with the rest follows.
    Ended { slot: SlotRef, engine_id: String, phase: Phase, at: Timestamp },
    /// This replica is no more, nor is the object of that id.
    Gone { slot: SlotRef, engine_id: String, at: Timestamp },
    /// This object says something new of itself.
    Object { workload: DeploymentId, object: Box<EngineObject> },
    /// The object of this id is no more, or has nothing to say.
    ObjectGone { workload: DeploymentId, uid: String },
}

/// What the engine is, and whether it lets us do our work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EngineReport {
    /// e.g. `Docker 20.10.24`
    pub version: String,
    /// e.g. `1.41`
    pub api_version: String,
    pub cpus: u32,
    pub memory_bytes: u64,
    /// Rights that are missing, in words; empty when all is well.
    pub missing: Vec<String>,
    /// What works but deserves a word.
    pub warnings: Vec<String>,
}

/// Which of a container's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// One line of a container's output, without its line end; bytes as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerLine {
    /// Nanoseconds since the epoch, the engine's own.
    pub at_nanos: i64,
    pub stream: LogStream,
    pub text: Bytes,
}

/// What a replica uses right now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// CPUs in use, e.g. 0.31.
    pub cpus: f64,
    pub memory_bytes: u64,
    /// 0 when there is no limit.
    pub memory_limit_bytes: u64,
    pub pids: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_a_host_is_found_where_its_host_is_known() {
        let at = |ip: &str, protocol, here| {
            let mut endpoint = Endpoint::of_host(80, protocol, ip.parse().unwrap(), 32_768);
            endpoint.locate(here);
            endpoint.url
        };
        let (tcp, here) = (Protocol::Tcp, Some("slipway.example.org"));
        assert_eq!(at("127.0.0.1", tcp, here).unwrap(), "http://127.0.0.1:32768/");
        assert_eq!(at("::1", tcp, None).unwrap(), "http://[::1]:32768/");
        assert_eq!(at("0.0.0.0", tcp, here).unwrap(), "http://slipway.example.org:32768/");
        assert_eq!(at("0.0.0.0", tcp, None), None);
        assert_eq!(at("127.0.0.1", Protocol::Udp, here), None);
    }
}
