//! One service, key by key. What depends on other services is checked when all of them are read.

use std::collections::{BTreeMap, BTreeSet};

use crate::compose::Context;
use crate::compose::depends::{self, Written};
use crate::compose::field::{Field, Table};
use crate::compose::report::Place;
use crate::compose::secrets::{self, Noun};
use crate::compose::unsupported::{DEPLOY, SERVICE, UPDATE_CONFIG};
use crate::compose::{
    environment, health, image, networks, paths, ports, privileges, process, resources, scratch, slipway,
    volumes,
};
use crate::domain::notation::{BadLine, SHELL, USER, is_user, words};
use crate::domain::policy::Exception;
use crate::domain::workload::{Port, Restart, Service, ServiceKind, UpdateOrder};

/// A service as far as it can be read alone.
#[derive(Debug)]
pub struct Draft {
    /// Where its name stands.
    pub at: Place,
    pub service: Service,
    /// What the file says of its kind.
    pub kind: Option<ServiceKind>,
    /// Whether it is a task that runs on request alone.
    pub is_test: bool,
    /// What the file says of its restart.
    pub restart: Option<Restart>,
    pub depends: Vec<Written>,
    /// The networks that the file has it join; `None` where it names none.
    pub networks: Option<std::collections::BTreeSet<String>>,
    places: BTreeMap<&'static str, Place>,
}

impl Draft {
    /// Where the value of `key` stands, else the service's name.
    pub fn place(&self, key: &str) -> Place {
        self.places.get(key).copied().unwrap_or(self.at)
    }
}

/// Reads the service `field`; `None` when it has nothing to run.
pub fn read(name: &str, at: Place, field: &Field<'_>, cx: &mut Context<'_>) -> Option<Draft> {
    let table = field.table(&SERVICE, &mut cx.report)?;
    let deploy = table.get("deploy").and_then(|field| field.table(&DEPLOY, &mut cx.report));
    let deploy = deploy.as_ref();
    let extension = slipway::read(&table, cx);
    let image = image::read(&table, cx);
    let mounts = volumes::read(&table, cx);
    let ports = ports::published(&table, cx);
    let privileges::Asked { mut exceptions, dropped } = privileges::read(&table, cx);
    exceptions.extend(mounts.host.iter().map(|mount| Exception::HostPath(mount.source.clone())));
    exceptions.extend(low_ports(&ports));
    let restart = table.get("restart").and_then(|field| restart(&field, cx));
    let kind = extension.kind.or_else(|| deploy.and_then(|deploy| mode(deploy, cx)));
    let read_only = table.get("read_only").and_then(|field| field.boolean(&mut cx.report)).unwrap_or(false);
    let read = Service {
        replicas: replicas(&table, deploy, cx),
        entrypoint: table.get("entrypoint").and_then(|field| argv(&field, cx)),
        command: table.get("command").and_then(|field| argv(&field, cx)),
        environment: environment::read(&table, cx),
        files: mounts.files,
        volumes: mounts.volumes,
        tmpfs: scratch::folders(&table, cx).into_iter().chain(mounts.tmpfs).collect(),
        shm_bytes: scratch::shared(&table, cx),
        host_mounts: mounts.host,
        secrets: secrets::mounted(&table, Noun::Secret, cx),
        configs: secrets::mounted(&table, Noun::Config, cx),
        ports,
        expose: ports::exposed(&table, cx),
        healthcheck: health::read(&table, cx),
        resources: resources::read(&table, deploy, cx),
        restart: restart.unwrap_or_default(),
        working_dir: table.get("working_dir").and_then(|field| directory(&field, cx)),
        user: table.get("user").and_then(|field| user(&field, cx)),
        labels: labels(&table, cx),
        read_only,
        dropped_capabilities: dropped,
        ulimits: process::ulimits(&table, cx),
        stop_signal: process::stop_signal(&table, cx),
        stop_grace_seconds: grace(&table, cx),
        order: deploy.and_then(|deploy| order(deploy, cx)).unwrap_or_default(),
        metrics: extension.metrics,
        exposed: extension.exposed,
        exceptions,
        ..Service::new(image.unwrap_or_else(|| crate::domain::workload::Image::Reference(String::new())))
    };
    let depends = depends::read(&table, cx);
    let networks = networks::joined(name, &table, cx);
    let keys = [
        "ports",
        "restart",
        "scale",
        "deploy",
        "healthcheck",
        "x-slipway",
        "volumes",
        "networks",
        "secrets",
        "configs",
    ];
    let places = keys.into_iter().filter_map(|key| Some((key, table.get(key)?.at()))).collect();
    let is_test = extension.is_test;
    Some(Draft { at, service: read, kind, is_test, restart, depends, networks, places })
}

fn low_ports(ports: &[Port]) -> BTreeSet<Exception> {
    ports
        .iter()
        .filter_map(|port| port.host_port)
        .filter(|port| *port < 1_024)
        .map(Exception::LowPort)
        .collect()
}

/// Argv: a list as it stands, a text split into words as a shell would, without being one.
fn argv(field: &Field<'_>, cx: &mut Context<'_>) -> Option<Vec<String>> {
    if field.is_list() {
        let items = field.items("", &mut cx.report)?;
        return items.iter().map(|item| item.text(&mut cx.report).map(str::to_owned)).collect();
    }
    let line = field.text(&mut cx.report)?;
    match words(line, &SHELL) {
        Ok(words) => Some(words),
        Err(BadLine::OpenQuote) => {
            field.refuse(&mut cx.report, "a quote is not closed", "Close it, or write the words as a list.");
            None
        }
        Err(BadLine::Operator(operator)) => {
            let what = format!("`{operator}` would need a shell, and none reads this line");
            let hint = "Write `[\"sh\", \"-c\", \"…\"]`, or put the character into quotes if it is meant as it stands.";
            field.refuse(&mut cx.report, what, hint);
            None
        }
    }
}

fn restart(field: &Field<'_>, cx: &mut Context<'_>) -> Option<Restart> {
    let text = field.filled(&mut cx.report)?;
    let attempts = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    match text {
        "no" | "false" => Some(Restart::No),
        "always" => Some(Restart::Always),
        "unless-stopped" => Some(Restart::UnlessStopped),
        "on-failure" => Some(Restart::OnFailure { attempts: None }),
        _ => match text.strip_prefix("on-failure:").and_then(attempts) {
            Some(attempts) => Some(Restart::OnFailure { attempts: Some(attempts) }),
            None => {
                let hint = "Write always, unless-stopped, on-failure, on-failure:3 or \"no\".";
                field.refuse(&mut cx.report, format!("{text:?} is no way to restart"), hint);
                None
            }
        },
    }
}

fn mode(deploy: &Table<'_>, cx: &mut Context<'_>) -> Option<ServiceKind> {
    let field = deploy.get("mode")?;
    match field.filled(&mut cx.report)? {
        "replicated" => None,
        "replicated-job" => Some(ServiceKind::Task),
        other => {
            let hint = "Write `replicated` with `replicas`, or `replicated-job` for what runs to its end.";
            field.refuse(&mut cx.report, format!("the mode {other:?} is not supported"), hint);
            None
        }
    }
}

fn replicas(service: &Table<'_>, deploy: Option<&Table<'_>>, cx: &mut Context<'_>) -> u32 {
    let old = service.get("scale");
    let new = deploy.and_then(|deploy| deploy.get("replicas"));
    let mut read =
        |field: &Field<'_>| field.whole(0..=10_000, &mut cx.report).and_then(|n| u32::try_from(n).ok());
    let (a, b) = (old.as_ref().and_then(&mut read), new.as_ref().and_then(&mut read));
    if let (Some(old), Some(a), Some(b)) = (&old, a, b)
        && a != b
    {
        old.refuse(
            &mut cx.report,
            format!("{a} differs from the {b} of deploy.replicas"),
            "Keep one of the two.",
        );
    }
    b.or(a).unwrap_or(1)
}

fn directory(field: &Field<'_>, cx: &mut Context<'_>) -> Option<String> {
    let text = field.filled(&mut cx.report)?;
    if text == "/" {
        return Some(text.to_owned());
    }
    paths::container(text, field, &mut cx.report)
}

fn user(field: &Field<'_>, cx: &mut Context<'_>) -> Option<String> {
    let text = field.filled(&mut cx.report)?;
    if is_user(text) {
        return Some(text.to_owned());
    }
    field.refuse(&mut cx.report, format!("{text:?} is no user"), USER);
    None
}

fn labels(service: &Table<'_>, cx: &mut Context<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Some(field) = service.get("labels") else {
        return labels;
    };
    for pair in field.pairs(&mut cx.report).unwrap_or_default() {
        if pair.name.is_empty() || pair.name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            cx.report.at(
                pair.at,
                format!("{}: {:?} is no label", pair.path, pair.name),
                "Write `name: value`.",
            );
        } else if pair.name.starts_with("io.slipway.") {
            let hint = "Choose another name: by those labels Slipway knows its own containers.";
            cx.report.at(
                pair.at,
                format!("{}: labels that begin with io.slipway. are reserved", pair.path),
                hint,
            );
        } else {
            let value = if pair.value.is_none() { Some(String::new()) } else { pair.text(&mut cx.report) };
            labels.extend(value.map(|value| (pair.name, value)));
        }
    }
    labels
}

fn grace(service: &Table<'_>, cx: &mut Context<'_>) -> u32 {
    const DEFAULT: u32 = 10;
    const LONGEST_MS: u64 = 24 * 3_600_000;
    let Some(field) = service.get("stop_grace_period") else {
        return DEFAULT;
    };
    match health::duration(&field, cx) {
        None => DEFAULT,
        Some(ms) if ms <= LONGEST_MS => u32::try_from(ms.div_ceil(1_000)).unwrap_or(DEFAULT),
        Some(_) => {
            field.refuse(
                &mut cx.report,
                "longer than a day",
                "Write a shorter time: an update waits for it.",
            );
            DEFAULT
        }
    }
}

fn order(deploy: &Table<'_>, cx: &mut Context<'_>) -> Option<UpdateOrder> {
    let field = deploy.get("update_config")?.table(&UPDATE_CONFIG, &mut cx.report)?.get("order")?;
    match field.filled(&mut cx.report)? {
        "start-first" => Some(UpdateOrder::StartFirst),
        "stop-first" => Some(UpdateOrder::StopFirst),
        other => {
            field.refuse(
                &mut cx.report,
                format!("{other:?} is no order"),
                "Write start-first or stop-first.",
            );
            None
        }
    }
}
