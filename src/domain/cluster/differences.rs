//! What Kubernetes does otherwise than Compose says, told with the plan and in the update's log: nothing is dropped
//! silently.

use super::{Cluster, NODE_PORTS, is_key};
use crate::domain::name::ServiceName;
use crate::domain::workload::{Restart, Service, ServiceKind, Workload};

impl Cluster {
    /// A line for each difference.
    pub fn differences(&self, workload: &Workload) -> Vec<String> {
        self.differences_of(workload.all())
    }

    /// The same, of some of a workload's services.
    pub fn differences_of<'a>(
        &self,
        services: impl Iterator<Item = (&'a ServiceName, &'a Service)>,
    ) -> Vec<String> {
        let lines = services.flat_map(|(name, service)| {
            of_service(service, self).into_iter().map(move |difference| format!("{name}: {difference}"))
        });
        lines.collect()
    }
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
            "port {port} of the host is not taken: a cluster gives ports {first} to {last} by itself, so nothing has to \
             stop first for it"
        );
        note(true, &words);
    }
    note(
        service.ports.iter().any(|port| port.host_ip.is_some()),
        "ports are the nodes', whatever address of the host `ports` names",
    );
    let ours = |label: &str| label.starts_with("io.slipway.");
    for label in service.labels.keys().filter(|label| !ours(label) && !is_key(label)) {
        note(true, &format!("label {label:?} is left out: Kubernetes takes no such name"));
    }
    found
}
