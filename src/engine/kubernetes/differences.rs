//! What Kubernetes does otherwise than Compose says, told when an update is prepared: nothing is dropped silently.

use super::spec;
use crate::domain::cluster::{Cluster, NODE_PORTS};
use crate::domain::plan::Plan;
use crate::domain::workload::{Restart, Service, ServiceKind};

/// A line for each difference.
pub(super) fn lines(plan: &Plan, cluster: &Cluster) -> Vec<String> {
    let services = plan.workload.services.iter();
    let lines = services.flat_map(|(name, service)| {
        of_service(service, cluster).into_iter().map(move |difference| format!("{name}: {difference}"))
    });
    lines.collect()
}

fn of_service(service: &Service, cluster: &Cluster) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |holds: bool, words: &str| {
        if holds {
            found.push(words.to_owned());
        }
    };
    let restarts = matches!(service.restart, Restart::Always | Restart::UnlessStopped);
    let is_task = service.kind == ServiceKind::Task;
    note(!restarts && !is_task, "Kubernetes always starts its pods again, whatever `restart` says");
    note(service.stop_signal.is_some(), "the image's own stop signal is used, whatever `stop_signal` says");
    note(!service.ulimits.is_empty(), "`ulimits` are the node's");
    note(
        service.tmpfs.iter().any(|folder| folder.mode.is_some()),
        "folders in memory are open to all, whatever their `mode`",
    );
    let fixed = service.ports.iter().filter_map(|port| port.host_port);
    for port in fixed.filter(|port| !cluster.takes_port(*port)) {
        let (first, last) = (NODE_PORTS.start(), NODE_PORTS.end());
        let words = format!(
            "port {port} of the host is not taken: a cluster gives ports {first} to {last} by itself"
        );
        note(true, &words);
    }
    note(
        service.ports.iter().any(|port| port.host_ip.is_some()),
        "ports are the nodes', whatever address of the host `ports` names",
    );
    let (_, odd) = spec::annotations(&service.labels);
    for label in odd {
        note(true, &format!("label {label:?} is left out: Kubernetes takes no such name"));
    }
    found
}
