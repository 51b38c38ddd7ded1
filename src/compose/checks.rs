//! What can be judged only when all services are read: who waits for whom, what runs to its end, who holds which port.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::compose::report::Report;
use crate::compose::service::Draft;
use crate::compose::testing;
use crate::domain::name::ServiceName;
use crate::domain::plan::is_under;
use crate::domain::policy::Exception;
use crate::domain::workload::{Condition, HealthTest, Port, Restart, Service, ServiceKind};

pub(super) type Drafts = BTreeMap<ServiceName, Draft>;

/// Settles kinds and restarts, fills the dependencies, and reports what does not fit together.
pub fn settle(drafts: &mut Drafts, report: &mut Report) {
    dependencies(drafts, report);
    kinds(drafts, report);
    conditions(drafts, report);
    cycles(drafts, report);
    testing::settle(drafts, report);
    for (name, draft) in drafts.iter_mut() {
        restarts(name, draft, report);
    }
    for (name, draft) in drafts.iter() {
        ports_fit(name, draft, report);
        targets_differ(name, draft, report);
        files_are_seen(name, draft, report);
    }
    host_ports(drafts, report);
}

fn dependencies(drafts: &mut Drafts, report: &mut Report) {
    let names: BTreeSet<ServiceName> = drafts.keys().cloned().collect();
    for (name, draft) in drafts.iter_mut() {
        for written in &draft.depends {
            if written.on == name.as_str() {
                report.at(
                    written.at,
                    format!("{}: a service can't wait for itself", written.path),
                    "Remove it.",
                );
            } else if let Some(on) = names.get(written.on.as_str()) {
                draft.service.depends_on.insert(on.clone(), written.dependency);
            } else {
                let hint = match report.nearest(&written.on, names.iter().map(ServiceName::as_str)) {
                    Some(near) => format!("Did you mean `{near}`?"),
                    None => "Add the service, or remove the dependency.".to_owned(),
                };
                report.at(
                    written.at,
                    format!("{}: there is no service {:?}", written.path, written.on),
                    hint,
                );
            }
        }
    }
}

/// A service is what `x-slipway.kind` or `deploy.mode` says; else a task when somebody waits for its end.
fn kinds(drafts: &mut Drafts, report: &mut Report) {
    let awaited: BTreeSet<ServiceName> = drafts
        .values()
        .flat_map(|draft| &draft.service.depends_on)
        .filter(|(_, dependency)| dependency.condition == Condition::CompletedSuccessfully)
        .map(|(on, _)| on.clone())
        .collect();
    for (name, draft) in drafts.iter_mut() {
        let inferred = if awaited.contains(name) { ServiceKind::Task } else { ServiceKind::Replicated };
        draft.service.kind = draft.kind.unwrap_or(inferred);
        let task = draft.service.kind == ServiceKind::Task;
        if task && draft.service.replicas != 1 {
            let key = if draft.place("scale") == draft.at { "deploy" } else { "scale" };
            let kind = if draft.is_test { "test" } else { "task" };
            let what = format!("services.{name}: a {kind} runs once, not {} times", draft.service.replicas);
            report.at(draft.place(key), what, format!("Remove the replicas, or `x-slipway.kind: {kind}`."));
        }
    }
}

fn conditions(drafts: &Drafts, report: &mut Report) {
    for draft in drafts.values() {
        for written in &draft.depends {
            let Some(on) = drafts.get(written.on.as_str()) else {
                continue;
            };
            let checked =
                on.service.healthcheck.as_ref().is_some_and(|check| check.test != HealthTest::Disabled);
            match written.dependency.condition {
                Condition::Healthy if !checked => {
                    let hint = format!(
                        "Give {} a `healthcheck` with a `test`, its image's own written out too, or wait for service_started.",
                        written.on
                    );
                    report.at(
                        written.at,
                        format!("{}: {} has no healthcheck", written.path, written.on),
                        hint,
                    );
                }
                Condition::CompletedSuccessfully if on.service.kind != ServiceKind::Task => {
                    let hint = format!(
                        "Write `x-slipway: {{kind: task}}` in {}, or wait for service_started.",
                        written.on
                    );
                    report.at(
                        written.at,
                        format!("{}: {} is kept running and never ends", written.path, written.on),
                        hint,
                    );
                }
                _ => {}
            }
        }
    }
}

/// Each cycle at the dependency that closes it: a walk in depth that visits every dependency once.
fn cycles(drafts: &Drafts, report: &mut Report) {
    let mut done: HashSet<&str> = HashSet::new();
    for start in drafts.keys() {
        let mut path: Vec<(&str, usize)> = vec![(start.as_str(), 0)];
        let mut on_path = HashMap::from([(start.as_str(), 0)]);
        while let Some((name, next)) = path.last_mut() {
            let written = drafts.get(*name).and_then(|draft| draft.depends.get(*next));
            let Some(written) = written.filter(|_| !done.contains(*name)) else {
                done.insert(*name);
                on_path.remove(*name);
                path.pop();
                continue;
            };
            *next += 1;
            let on = written.on.as_str();
            if on == *name || !drafts.contains_key(on) {
                continue;
            }
            match on_path.get(on) {
                Some(from) => {
                    let what = format!(
                        "{}: the services wait for each other: {}",
                        written.path,
                        round(&path[*from..])
                    );
                    report.at(
                        written.at,
                        what,
                        "Remove one of these dependencies; none of them could start.",
                    );
                }
                None => {
                    on_path.insert(on, path.len());
                    path.push((on, 0));
                }
            }
        }
    }
}

/// `a → b → a`, a long one cut in its middle.
fn round(path: &[(&str, usize)]) -> String {
    const SHOWN: usize = 10;
    let mut names: Vec<&str> = path.iter().take(SHOWN).map(|(name, _)| *name).collect();
    if path.len() > SHOWN {
        names.push("…");
    }
    names.extend(path.first().map(|(name, _)| *name));
    names.join(" → ")
}

fn restarts(name: &ServiceName, draft: &mut Draft, report: &mut Report) {
    if draft.service.kind != ServiceKind::Task || draft.is_test {
        return;
    }
    match draft.restart {
        None => draft.service.restart = Restart::No,
        Some(Restart::Always | Restart::UnlessStopped) => {
            let what = format!("services.{name}.restart: the service is a task, which runs once to its end");
            let hint = "Remove it, or write on-failure to try again. A service is a task by `x-slipway.kind: task` or \
                        because another waits for service_completed_successfully.";
            report.at(draft.place("restart"), what, hint);
        }
        Some(Restart::No | Restart::OnFailure { .. }) => {}
    }
}

fn ports_fit(name: &ServiceName, draft: &Draft, report: &mut Report) {
    let service = &draft.service;
    if let Some(port) = service.ports.iter().find_map(|port| port.host_port)
        && service.replicas > 1
    {
        let what = format!(
            "services.{name}.ports: {} replicas can't share the host's port {port}",
            service.replicas
        );
        let hint = "Leave the host's port out, so that each replica gets one of its own, or run one replica.";
        report.at(draft.place("ports"), what, hint);
    }
    if !service.ports.is_empty() && service.exceptions.contains(&Exception::HostNetwork) {
        let what = format!("services.{name}.ports: with network_mode host there is nothing to publish");
        report.at(draft.place("ports"), what, "Remove `ports` or `network_mode`.");
    }
    if service.exposed && service.ports.is_empty() && service.expose.is_empty() {
        let what =
            format!("services.{name}.x-slipway.expose: the service names no port that could be reached");
        report.at(draft.place("x-slipway"), what, "Name it: `expose: [\"8000\"]`, or under `ports`.");
    }
}

fn targets_differ(name: &ServiceName, draft: &Draft, report: &mut Report) {
    let Service { files, volumes, host_mounts, tmpfs, secrets, configs, .. } = &draft.service;
    let mounts = files.iter().map(|mount| &mount.target).chain(volumes.iter().map(|mount| &mount.target));
    let mounts = mounts.chain(host_mounts.iter().map(|mount| &mount.target));
    let mounts = mounts.chain(tmpfs.iter().map(|mount| &mount.target));
    let mounts = mounts.chain(secrets.iter().chain(configs).map(|mount| &mount.target));
    let mut targets: Vec<&String> = mounts.collect();
    targets.sort();
    for pair in targets.windows(2).filter(|pair| pair[0] == pair[1]) {
        let what = format!("services.{name}: two things are mounted at {}", pair[0]);
        report.at(draft.place("volumes"), what, "Give one of them another path.");
    }
}

/// Files of secrets and configs lie in the container itself: below something mounted they would be hidden, or stay
/// behind in it, and a root that can't be written has no place for them.
fn files_are_seen(name: &ServiceName, draft: &Draft, report: &mut Report) {
    let service = &draft.service;
    let mounted = service.volumes.iter().map(|mount| &mount.target);
    let mounted = mounted.chain(service.host_mounts.iter().map(|mount| &mount.target));
    let mounted: Vec<&String> = mounted.chain(service.tmpfs.iter().map(|mount| &mount.target)).collect();
    for (key, mounts) in [("secrets", &service.secrets), ("configs", &service.configs)] {
        for mount in mounts {
            let target = &mount.target;
            if let Some(over) = mounted.iter().find(|over| target != **over && is_under(target, over)) {
                let what =
                    format!("services.{name}.{key}: {target} lies below {over}, where something is mounted");
                report.at(draft.place(key), what, "Give it a `target` elsewhere, e.g. in /run/secrets.");
            } else if service.read_only && target.rfind('/') == Some(0) {
                let what = format!("services.{name}.{key}: {target} can't be placed: the root is read-only");
                let hint = format!("Give it a `target` in a folder, e.g. /run/configs/{}.", mount.source);
                report.at(draft.place(key), what, hint);
            }
        }
    }
}

fn host_ports(drafts: &Drafts, report: &mut Report) {
    let mut held: BTreeMap<u16, Vec<(&ServiceName, &Port)>> = BTreeMap::new();
    for (name, draft) in drafts {
        for port in &draft.service.ports {
            let Some(host) = port.host_port else { continue };
            let holders = held.entry(host).or_default();
            if let Some((other, _)) = holders.iter().find(|(_, known)| meet(known, port)) {
                let what = if *other == name {
                    format!("services.{name}.ports: the host's port {host} is published twice")
                } else {
                    format!("services.{name}.ports: {other} publishes the host's port {host} too")
                };
                report.at(
                    draft.place("ports"),
                    what,
                    "Choose another port, or leave it out: the engine chooses one then.",
                );
            }
            holders.push((name, port));
        }
    }
}

/// Whether two fixed ports of one number can't both be bound.
fn meet(a: &Port, b: &Port) -> bool {
    let everywhere = |port: &Port| port.host_ip.is_none_or(|ip| ip.is_unspecified());
    a.protocol == b.protocol && (everywhere(a) || everywhere(b) || a.host_ip == b.host_ip)
}
