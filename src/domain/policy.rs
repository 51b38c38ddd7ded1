//! Whether a workload may run, where and for whom: one pure function, used by upload, plan, update, façade, job,
//! roll back, restore and cluster alike.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::Problem;
use crate::domain::workload::{Resources, Service, Workload};

/// One thing beyond the policy that an administrator may grant an infrastructure, by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind", content = "value")]
pub enum Exception {
    Privileged,
    /// A capability beyond the baseline, without `CAP_`, upper case.
    Capability(String),
    /// A host device, by its path.
    Device(String),
    HostNetwork,
    HostPid,
    HostIpc,
    /// A host path that a container mounts.
    HostPath(String),
    /// A security profile switched off: `seccomp`, `apparmor` or `selinux`.
    Unconfined(String),
    /// A host port below 1024.
    LowPort(u16),
}

impl std::fmt::Display for Exception {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Privileged => f.write_str("privileged"),
            Self::Capability(name) => write!(f, "capability {name}"),
            Self::Device(path) => write!(f, "device {path}"),
            Self::HostNetwork => f.write_str("host network"),
            Self::HostPid => f.write_str("host PID namespace"),
            Self::HostIpc => f.write_str("host IPC namespace"),
            Self::HostPath(path) => write!(f, "host path {path}"),
            Self::Unconfined(profile) => write!(f, "unconfined {profile}"),
            Self::LowPort(port) => write!(f, "host port {port}"),
        }
    }
}

/// How tightly containers are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// What official images need to step down from root, and no more.
    #[default]
    Baseline,
    /// All capabilities dropped, not root, read-only root file system.
    Restricted,
}

/// The capabilities that `baseline` leaves a container: enough for an entrypoint that chowns its data and steps
/// down to its own user, or binds port 80.
pub const BASELINE_CAPABILITIES: [&str; 8] =
    ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];

/// What an infrastructure allows and imposes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    pub profile: Profile,
    /// Granted one by one by an administrator.
    pub exceptions: BTreeSet<Exception>,
    /// Imposed where a service names none; `cpu_limit_milli`, `memory_limit_bytes` and `pids_limit` are used.
    pub default_limits: Resources,
    /// The most that one replica may ask for; `None` is no bound.
    pub max_limits: Resources,
    /// The most replicas of one service.
    pub max_replicas: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            profile: Profile::Baseline,
            exceptions: BTreeSet::new(),
            default_limits: Resources {
                cpu_limit_milli: Some(2_000),
                memory_limit_bytes: Some(2 << 30),
                pids_limit: Some(1_024),
                ..Resources::default()
            },
            max_limits: Resources::default(),
            max_replicas: 50,
        }
    }
}

/// Everything that `policy` forbids of `workload`, each with its place and the way out; empty when it may run.
pub fn refusals(workload: &Workload, policy: &Policy) -> Vec<Problem> {
    workload.all().flat_map(|(name, service)| service_refusals(name.as_str(), service, policy)).collect()
}

/// What no infrastructure of `policies` would allow: refused at upload already.
pub fn refused_everywhere<'a>(
    workload: &Workload,
    policies: impl IntoIterator<Item = &'a Policy>,
) -> Vec<Problem> {
    let allowed: BTreeSet<&Exception> = policies.into_iter().flat_map(|policy| &policy.exceptions).collect();
    let mut problems = Vec::new();
    for (name, service) in workload.all() {
        for exception in service.exceptions.iter().filter(|exception| !allowed.contains(exception)) {
            problems.push(exception_refused(
                name.as_str(),
                exception,
                "no infrastructure's policy allows it",
            ));
        }
    }
    problems
}

fn service_refusals(name: &str, service: &Service, policy: &Policy) -> Vec<Problem> {
    let mut problems: Vec<Problem> = service
        .exceptions
        .iter()
        .filter(|exception| !policy.exceptions.contains(exception))
        .map(|exception| exception_refused(name, exception, "this infrastructure's policy forbids it"))
        .collect();
    if service.replicas > policy.max_replicas {
        problems.push(
            Problem::new(
                format!("services.{name}.deploy.replicas"),
                format!(
                    "{} replicas are more than the {} that this infrastructure allows",
                    service.replicas, policy.max_replicas
                ),
            )
            .hint("Ask for fewer replicas, or have an administrator raise the infrastructure's limit."),
        );
    }
    problems.extend(limit_refusals(name, &service.resources, &policy.max_limits));
    problems.extend(memory_refusals(name, service, policy));
    if policy.profile == Profile::Restricted && runs_as_root(service) {
        problems.push(
            Problem::new(
                format!("services.{name}.user"),
                "this infrastructure's profile is restricted, and the service would run as root",
            )
            .hint("Set `user:` to a numeric id other than 0, e.g. `user: \"1000:1000\"`."),
        );
    }
    problems
}

/// Shared memory and folders in memory count against the service's memory: more than that can never be used.
fn memory_refusals(name: &str, service: &Service, policy: &Policy) -> Vec<Problem> {
    let limit = effective_limits(&service.resources, policy).memory_limit_bytes;
    let folders = service.tmpfs.iter().map(|folder| ("tmpfs", folder.size_bytes));
    let asked = std::iter::once(("shm_size", service.shm_bytes)).chain(folders);
    let too_much = asked.filter_map(|(key, asked)| Some((key, asked?, limit?))).filter(|(_, a, b)| a > b);
    too_much
        .map(|(key, asked, limit)| {
            Problem::new(
                format!("services.{name}.{key}"),
                format!("{asked} bytes in memory are more than the {limit} bytes that the service may use"),
            )
            .hint("Ask for less, or raise `deploy.resources.limits.memory`, of which it is a part.")
        })
        .collect()
}

fn exception_refused(service: &str, exception: &Exception, why: &str) -> Problem {
    Problem::new(format!("services.{service}"), format!("asks for {exception}: {why}")).hint(format!(
        "Remove it from the compose file, or have an administrator grant the exception “{exception}” to an infrastructure."
    ))
}

fn runs_as_root(service: &Service) -> bool {
    let user = service.user.as_deref().unwrap_or("root");
    let id = user.split(':').next().unwrap_or_default();
    id.is_empty() || id == "root" || id.parse::<u32>().map_or(true, |id| id == 0)
}

fn limit_refusals(name: &str, asked: &Resources, most: &Resources) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut check = |what: &str, asked: Option<u64>, most: Option<u64>, unit: &str| {
        if let (Some(asked), Some(most)) = (asked, most)
            && asked > most
        {
            problems.push(
                Problem::new(
                    format!("services.{name}.deploy.resources.limits.{what}"),
                    format!("{asked} {unit} are more than the {most} {unit} that this infrastructure allows"),
                )
                .hint("Ask for less, or have an administrator raise the infrastructure's limit."),
            );
        }
    };
    check(
        "cpus",
        asked.cpu_limit_milli.map(u64::from),
        most.cpu_limit_milli.map(u64::from),
        "thousandths of a CPU",
    );
    check("memory", asked.memory_limit_bytes, most.memory_limit_bytes, "bytes");
    check("pids", asked.pids_limit.map(u64::from), most.pids_limit.map(u64::from), "processes");
    problems
}

/// The limits in force: what the service asks for, else what the policy imposes, which is never less than what the
/// service has reserved: no engine takes that.
pub fn effective_limits(asked: &Resources, policy: &Policy) -> Resources {
    let imposed = &policy.default_limits;
    let cpu = imposed.cpu_limit_milli.map(|limit| limit.max(asked.cpu_reservation_milli.unwrap_or(0)));
    let memory =
        imposed.memory_limit_bytes.map(|limit| limit.max(asked.memory_reservation_bytes.unwrap_or(0)));
    Resources {
        cpu_limit_milli: asked.cpu_limit_milli.or(cpu),
        memory_limit_bytes: asked.memory_limit_bytes.or(memory),
        pids_limit: asked.pids_limit.or(imposed.pids_limit),
        ..*asked
    }
}
