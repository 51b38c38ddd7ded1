//! What changes between two plans or bundles, place by place, in the compose file's own words.
//!
//! Secrets appear by name and version only. A place whose value is Compose's default is left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::plan::Plan;
use crate::domain::workload::{
    Condition, EnvValue, HealthTest, Healthcheck, Image, Port, Protocol, Restart, Service, ServiceKind,
    Source, UpdateOrder, Workload,
};

/// One changed place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// Dotted path, e.g. `services.api.deploy.replicas`.
    pub place: String,
    /// What runs; absent for an addition.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<String>,
    /// What is wanted; absent for a removal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
}

type Flat = BTreeMap<String, String>;

/// Place by place what `after` changes against `before` (`None`: nothing runs).
pub fn plans(before: Option<&Plan>, after: &Plan) -> Vec<Change> {
    maps(&before.map(flat_plan).unwrap_or_default(), &flat_plan(after))
}

/// Place by place what differs between two bundles' workloads.
pub fn workloads(before: &Workload, after: &Workload) -> Vec<Change> {
    maps(&flat_workload(before), &flat_workload(after))
}

/// Key by key what differs between two maps.
pub fn maps(old: &Flat, new: &Flat) -> Vec<Change> {
    let places: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differs = |place: &&String| old.get(*place) != new.get(*place);
    let change = |place: &String| Change {
        place: place.clone(),
        before: old.get(place).cloned(),
        after: new.get(place).cloned(),
    };
    places.into_iter().filter(differs).map(change).collect()
}

fn flat_plan(plan: &Plan) -> Flat {
    let mut flat = flat_workload(&plan.workload);
    flat.insert("bundle".to_owned(), format!("{} (sha256:{})", plan.version, plan.bundle.short()));
    if !plan.enabled {
        flat.insert("enabled".to_owned(), "false: everything stops".to_owned());
    }
    for (name, digest) in &plan.inputs {
        flat.insert(format!("services.{name}.files"), format!("sha256:{}", digest.short()));
    }
    flat
}

fn flat_workload(workload: &Workload) -> Flat {
    let mut flat = Flat::new();
    for (name, service) in workload.all() {
        let mut put = |key: &str, value: String| {
            if !value.is_empty() {
                flat.insert(format!("services.{name}.{key}"), value);
            }
        };
        if workload.tests.contains_key(name) {
            put("kind", "test".to_owned());
        } else if service.kind == ServiceKind::Task {
            put("kind", "task".to_owned());
        }
        what_runs(service, &mut put);
        how_it_runs(service, &mut put);
        what_it_sees(service, &mut put);
    }
    for volume in &workload.volumes {
        flat.insert(format!("volumes.{volume}"), "named volume".to_owned());
    }
    for (kind, sources) in [("secrets", &workload.secrets), ("configs", &workload.configs)] {
        for (name, source) in sources {
            flat.insert(format!("{kind}.{name}"), source_words(source));
        }
    }
    flat
}

fn what_runs(service: &Service, put: &mut impl FnMut(&str, String)) {
    match &service.image {
        Image::Reference(reference) => put("image", reference.clone()),
        Image::Build(build) => {
            put("build", format!("./{} ({})", build.context, build.dockerfile));
            put("build.target", build.target.clone().unwrap_or_default());
            put("build.args", pairs(&build.args));
        }
    }
    put("entrypoint", service.entrypoint.as_deref().map(line).unwrap_or_default());
    put("command", service.command.as_deref().map(line).unwrap_or_default());
    put("working_dir", service.working_dir.clone().unwrap_or_default());
    put("user", service.user.clone().unwrap_or_default());
    for (key, value) in &service.environment {
        let words = match value {
            EnvValue::Plain(text) => text.clone(),
            EnvValue::Secret { name, version } => format!("(secret {name}, version {version})"),
            EnvValue::Json(template) => template.masked(),
            EnvValue::Required => "(given by the settings)".to_owned(),
        };
        put(&format!("environment.{key}"), if words.is_empty() { "\"\"".to_owned() } else { words });
    }
    for (key, value) in &service.labels {
        put(&format!("labels.{key}"), value.clone());
    }
}

fn how_it_runs(service: &Service, put: &mut impl FnMut(&str, String)) {
    put("deploy.replicas", service.replicas.to_string());
    let resources = &service.resources;
    put("deploy.resources.limits.cpus", resources.cpu_limit_milli.map(cpus).unwrap_or_default());
    put("deploy.resources.limits.memory", resources.memory_limit_bytes.map(size).unwrap_or_default());
    put(
        "deploy.resources.limits.pids",
        resources.pids_limit.map(|pids| pids.to_string()).unwrap_or_default(),
    );
    put("deploy.resources.reservations.cpus", resources.cpu_reservation_milli.map(cpus).unwrap_or_default());
    put(
        "deploy.resources.reservations.memory",
        resources.memory_reservation_bytes.map(size).unwrap_or_default(),
    );
    if service.order == UpdateOrder::StopFirst {
        put("deploy.update_config.order", "stop-first".to_owned());
    }
    put(
        "restart",
        match service.restart {
            Restart::Always => String::new(),
            Restart::No => "no".to_owned(),
            Restart::UnlessStopped => "unless-stopped".to_owned(),
            Restart::OnFailure { attempts: None } => "on-failure".to_owned(),
            Restart::OnFailure { attempts: Some(most) } => format!("on-failure:{most}"),
        },
    );
    put("stop_signal", service.stop_signal.clone().unwrap_or_default());
    if service.read_only {
        put("read_only", "true".to_owned());
    }
    put("cap_drop", service.dropped_capabilities.iter().cloned().collect::<Vec<_>>().join(", "));
    put("shm_size", service.shm_bytes.map(size).unwrap_or_default());
    let ulimits = service.ulimits.iter().map(|(name, limit)| format!("{name} {}:{}", limit.soft, limit.hard));
    put("ulimits", ulimits.collect::<Vec<_>>().join(", "));
    if service.stop_grace_seconds != 10 {
        put("stop_grace_period", format!("{} s", service.stop_grace_seconds));
    }
    put("healthcheck", service.healthcheck.as_ref().map(health_words).unwrap_or_default());
    let depends = service.depends_on.iter().map(|(name, dependency)| {
        let condition = match dependency.condition {
            Condition::Started => "started",
            Condition::Healthy => "healthy",
            Condition::CompletedSuccessfully => "completed",
        };
        format!("{name} ({condition}{})", if dependency.required { "" } else { ", optional" })
    });
    put("depends_on", depends.collect::<Vec<_>>().join(", "));
    put("exceptions", service.exceptions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
}

fn what_it_sees(service: &Service, put: &mut impl FnMut(&str, String)) {
    put("ports", service.ports.iter().map(port_words).collect::<Vec<_>>().join(", "));
    put("expose", service.expose.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    let read_only = |read_only| if read_only { ":ro" } else { "" };
    let named = service
        .volumes
        .iter()
        .map(|one| format!("{}:{}{}", one.volume, one.target, read_only(one.read_only)));
    let files = service.files.iter().map(|one| format!("./{}:{}:ro", one.source, one.target));
    let host = service
        .host_mounts
        .iter()
        .map(|one| format!("{}:{}{}", one.source, one.target, read_only(one.read_only)));
    put("volumes", named.chain(files).chain(host).collect::<Vec<_>>().join(", "));
    let folders = service.tmpfs.iter().map(|folder| match folder.size_bytes {
        Some(bytes) => format!("{} ({})", folder.target, size(bytes)),
        None => folder.target.clone(),
    });
    put("tmpfs", folders.collect::<Vec<_>>().join(", "));
    for (key, mounts) in [("secrets", &service.secrets), ("configs", &service.configs)] {
        let words = mounts.iter().map(|one| format!("{} at {}", one.source, one.target));
        put(key, words.collect::<Vec<_>>().join(", "));
    }
    if service.exposed {
        put("x-slipway.expose", "true".to_owned());
    }
    for (key, place) in [("x-slipway.metrics", &service.metrics), ("health", &service.health)] {
        put(key, place.as_ref().map(|place| format!(":{}{}", place.port, place.path)).unwrap_or_default());
    }
}

fn source_words(source: &Source) -> String {
    match source {
        Source::BundleFile(path) => format!("file ./{path}"),
        Source::Inline(text) => format!("{} bytes in the compose file", text.len()),
        Source::Setting(name) => format!("the deployment's secret {name}"),
        Source::Json(template) => template.masked(),
    }
}

fn pairs(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

/// argv as one would type it.
fn line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let plain = !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || "\"'$\\".contains(c));
        if plain { word.clone() } else { format!("{word:?}") }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn port_words(port: &Port) -> String {
    let ip = port.host_ip.map(|ip| format!("{ip}:")).unwrap_or_default();
    let host = port.host_port.map_or_else(|| "free port".to_owned(), |host| host.to_string());
    let protocol = if port.protocol == Protocol::Udp { "/udp" } else { "" };
    format!("{ip}{host} → {}{protocol}", port.container_port)
}

fn health_words(check: &Healthcheck) -> String {
    let test = match &check.test {
        HealthTest::Exec(words) => line(words),
        HealthTest::Shell(text) => text.clone(),
        HealthTest::Disabled => return "switched off".to_owned(),
    };
    format!(
        "{test} (every {}, within {}, {} tries, after {})",
        seconds(check.interval_ms),
        seconds(check.timeout_ms),
        check.retries,
        seconds(check.start_period_ms)
    )
}

fn seconds(millis: u64) -> String {
    if millis.is_multiple_of(1_000) { format!("{} s", millis / 1_000) } else { format!("{millis} ms") }
}

fn cpus(milli: u32) -> String {
    let text = format!("{}.{:03}", milli / 1_000, milli % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = units.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    fits.map_or_else(|| format!("{bytes} bytes"), |(unit, word)| format!("{} {word}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_write_them() {
        assert_eq!(line(&["sh".into(), "-c".into(), "echo hi".into()]), "sh -c \"echo hi\"");
        assert_eq!((cpus(500), cpus(2_000), cpus(1_250)), ("0.5".into(), "2".into(), "1.25".into()));
        assert_eq!(
            (size(256 << 20), size(3 << 30), size(1_000)),
            ("256 MiB".into(), "3 GiB".into(), "1000 bytes".into())
        );
        assert_eq!((seconds(3_000), seconds(250)), ("3 s".into(), "250 ms".into()));
    }
}
