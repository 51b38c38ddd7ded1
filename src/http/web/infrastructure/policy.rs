//! An infrastructure's settings: stage, governance, limits, profile and the exceptions that administrators grant.

use std::collections::BTreeSet;

use actix_web::web;
use askama::Template;

use super::cluster::{ClusterForm, at_fields, cluster_of};
use super::{Frame, id_of, page};
use crate::app::infrastructure::{self, Changes};
use crate::app::stage;
use crate::domain::access::InfrastructureRight;
use crate::domain::cluster::Cluster;
use crate::domain::infrastructure::{EngineConnection, Infrastructure};
use crate::domain::name::{InfrastructureId, StageId};
use crate::domain::policy::{Exception, Policy, Profile};
use crate::domain::workload::Resources;
use crate::domain::{Error, Kind, Problem, Result};
use crate::http::error::status;
use crate::http::routes::Routes;
use crate::http::web::deployment::settings::text::{
    parse_count, parse_cpus, parse_mebibytes, show_cpus, show_mebibytes,
};
use crate::http::web::fields::Fields;
use crate::http::web::infrastructures::{connection_of, govern_choices, govern_of, govern_word};
use crate::http::web::page::{Choice, Field, Page, Tone, Trouble, blame};
use crate::http::web::visit::{Answer, Visit};

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/infrastructures/{id}/settings", show);
    routes.post("/infrastructures/{id}/settings", save);
}

#[derive(Template)]
#[template(path = "infrastructure/settings.html")]
struct Settings {
    page: Page,
    frame: Frame,
    trouble: Option<Trouble>,
    form: Form,
    revision: u32,
    may_save: bool,
    stale: bool,
    docker: bool,
    kubernetes: bool,
    cluster: ClusterForm,
}

impl Settings {
    fn all(&mut self) -> Vec<&mut Field> {
        let mut all = self.form.all();
        all.extend(self.cluster.all());
        all
    }
}

struct Form {
    stage: Field,
    govern: Field,
    profile: Field,
    exceptions: Field,
    /// Default CPUs, memory, processes; then the most of each.
    limits: Vec<Field>,
    max_replicas: Field,
    host: Field,
    publish: Field,
    pool: Field,
}

impl Form {
    fn all(&mut self) -> Vec<&mut Field> {
        let mut all = vec![
            &mut self.stage,
            &mut self.govern,
            &mut self.profile,
            &mut self.exceptions,
            &mut self.max_replicas,
            &mut self.host,
            &mut self.publish,
            &mut self.pool,
        ];
        all.extend(self.limits.iter_mut());
        all
    }
}

async fn form(visit: &Visit, id: InfrastructureId) -> Result<Settings> {
    let (found, _, frame) = Frame::load(visit, id, "Settings").await?;
    let stages = stage::list(&visit.app).await?;
    let stages =
        stages.iter().map(|stage| Choice::new(stage.id.as_str(), stage.description.clone())).collect();
    let may_save = found.may(InfrastructureRight::Admin);
    let mut form = fields(&found, stages);
    let held = held(&found);
    let mut cluster = ClusterForm::load(&visit.app, &visit.caller, held).await?;
    if !visit.caller.subject.is_admin {
        cluster.all().into_iter().for_each(|field| field.read_only = true);
        cluster.access.hint = "Takes an administrator.".to_owned();
    }
    if !may_save {
        form.all().into_iter().for_each(|field| field.read_only = true);
    } else if !visit.caller.subject.is_admin {
        for field in
            [&mut form.profile, &mut form.exceptions, &mut form.host, &mut form.publish, &mut form.pool]
        {
            field.read_only = true;
            field.hint.push_str(" Takes an administrator.");
        }
    }
    Ok(Settings {
        page: page(visit, &frame.id),
        docker: matches!(found.engine, EngineConnection::Docker { .. }),
        kubernetes: held.is_some(),
        cluster,
        revision: found.revision,
        frame,
        trouble: None,
        form,
        may_save,
        stale: false,
    })
}

fn fields(of: &Infrastructure, stages: Vec<Choice>) -> Form {
    let policy = &of.policy;
    let (host, publish, pool) = match &of.engine {
        EngineConnection::Docker { host, publish_address, network_pool } => {
            (host.clone(), publish_address.to_string(), network_pool.clone())
        }
        EngineConnection::Kubernetes(_) | EngineConnection::Fake {} => Default::default(),
    };
    let profile = match policy.profile {
        Profile::Baseline => "baseline",
        Profile::Restricted => "restricted",
    };
    let profiles = vec![
        Choice::new("baseline", "baseline: what official images need, and no more"),
        Choice::new("restricted", "restricted: not root, no capabilities, read-only root"),
    ];
    let exceptions: Vec<String> = policy.exceptions.iter().map(show_exception).collect();
    let (given, most) = (&policy.default_limits, &policy.max_limits);
    let pids = |pids: Option<u32>| pids.map(|pids| pids.to_string()).unwrap_or_default();
    Form {
        stage: Field::select("stage", "Stage", stages).value(of.stage.as_str()).required(),
        govern: Field::select("govern", "Governance", govern_choices()).value(govern_word(of.govern_policy)).required(),
        profile: Field::radio("profile", "Profile", profiles).value(profile).required(),
        exceptions: Field::area("exceptions", "Exceptions", 4)
            .hint(
                "One a line: privileged, capability NET_ADMIN, device /dev/nvidia0, host-network, host-pid, host-ipc, \
                 host-path /srv/data, unconfined seccomp, low-port 443.",
            )
            .value(exceptions.join("\n"))
            .mono(),
        limits: vec![
            Field::text("default_cpus", "CPUs where none is said").value(show_cpus(given.cpu_limit_milli)),
            Field::text("default_memory", "Memory where none is said, MiB").value(show_mebibytes(given.memory_limit_bytes)),
            Field::text("default_pids", "Processes where none is said").value(pids(given.pids_limit)),
            Field::text("max_cpus", "CPUs at most").value(show_cpus(most.cpu_limit_milli)),
            Field::text("max_memory", "Memory at most, MiB").value(show_mebibytes(most.memory_limit_bytes)),
            Field::text("max_pids", "Processes at most").value(pids(most.pids_limit)),
        ],
        max_replicas: Field::input("number", "max_replicas", "Replicas of a service at most")
            .value(policy.max_replicas.to_string())
            .required(),
        host: Field::text("host", "Socket").value(host).mono(),
        publish: Field::text("publish", "Address that published ports bind to").value(publish).mono(),
        pool: Field::text("pool", "Network pool").value(pool).mono(),
    }
}

fn held(of: &Infrastructure) -> Option<&Cluster> {
    match &of.engine {
        EngineConnection::Kubernetes(cluster) => Some(cluster),
        _ => None,
    }
}

async fn show(visit: Visit, path: web::Path<String>) -> Answer {
    let page = form(&visit, id_of(&path)?).await?;
    visit.show(&page)
}

async fn save(visit: Visit, path: web::Path<String>, typed: Fields) -> Answer {
    let id = id_of(&path)?;
    let (found, _) = infrastructure::get(&visit.app, &visit.caller, id.clone()).await?;
    found.demand(InfrastructureRight::Admin)?;
    let saved = match changes(&typed, &found) {
        Ok(changes) => infrastructure::save(&visit.app, &visit.caller, id.clone(), changes).await,
        Err(error) => Err(error),
    };
    match saved {
        Ok(_) => {
            let text =
                "Saved. Deployments on it were planned again: those that it changes are out of sync now.";
            visit.go(&format!("/infrastructures/{id}/settings"), Tone::Ok, text)
        }
        Err(error) if matches!(error.kind, Kind::Invalid | Kind::Stale) => {
            let mut page = form(&visit, id).await?;
            for field in page.form.all() {
                let value = typed.raw(&field.name).to_owned();
                *field = field.clone().value(value);
            }
            page.cluster.typed(&typed);
            page.stale = error.kind == Kind::Stale;
            let error = at_fields(error);
            page.trouble = Some(blame(&mut page.all(), &error));
            visit.show_as(status(error.kind), &page)
        }
        Err(error) => Err(error.into()),
    }
}

fn changes(typed: &Fields, before: &Infrastructure) -> Result<Changes> {
    let mut problems: Vec<Problem> = Vec::new();
    let policy = policy(typed, before, &mut problems);
    let stage = StageId::parse(typed.get("stage")).map_err(|error| problems.extend(error.problems)).ok();
    let govern = govern_of(typed.get("govern")).map_err(|error| problems.extend(error.problems)).ok();
    let (engine, kubeconfig) = match &before.engine {
        EngineConnection::Docker { .. } => {
            let with_kind = typed.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
            let with_kind = Fields::of(with_kind.chain([("kind".to_owned(), "docker".to_owned())]));
            (connection_of(&with_kind).map_err(|error| problems.extend(error.problems)).ok(), None)
        }
        // A form without the connection's fields leaves it as it is.
        EngineConnection::Kubernetes(cluster) if typed.optional("access").is_some() => {
            let read = cluster_of(typed, Some(cluster)).map_err(|error| problems.extend(error.problems)).ok();
            read.map_or((None, None), |(engine, pasted)| (Some(engine), pasted))
        }
        EngineConnection::Kubernetes(_) | EngineConnection::Fake {} => (None, None),
    };
    if !problems.is_empty() {
        return Err(Error::problems("invalid_input", problems));
    }
    Ok(Changes {
        stage,
        engine,
        kubeconfig,
        govern_policy: govern,
        policy: Some(policy),
        grants: None,
        revision: typed.get("revision").parse().ok(),
    })
}

fn policy(typed: &Fields, before: &Infrastructure, problems: &mut Vec<Problem>) -> Policy {
    let limits = |prefix: &str, before: &Resources, problems: &mut Vec<Problem>| {
        let name = |what: &str| format!("{prefix}_{what}");
        let mut took = |result: Result<Option<u64>>| {
            result.map_err(|error| problems.extend(error.problems)).unwrap_or_default()
        };
        let cpus = took(parse_cpus(typed.get(&name("cpus")), &name("cpus")).map(|cpus| cpus.map(u64::from)));
        let bytes = took(parse_mebibytes(typed.get(&name("memory")), &name("memory")));
        let pids = took(
            parse_count(typed.get(&name("pids")), &name("pids"), "processes").map(|pids| pids.map(u64::from)),
        );
        Resources {
            cpu_limit_milli: cpus.and_then(|cpus| u32::try_from(cpus).ok()),
            memory_limit_bytes: bytes,
            pids_limit: pids.and_then(|pids| u32::try_from(pids).ok()),
            ..*before
        }
    };
    let default_limits = limits("default", &before.policy.default_limits, problems);
    let max_limits = limits("max", &before.policy.max_limits, problems);
    let replicas = parse_count(typed.get("max_replicas"), "max_replicas", "replicas");
    let mut exceptions = BTreeSet::new();
    for line in typed.raw("exceptions").lines().map(str::trim).filter(|line| !line.is_empty()) {
        match parse_exception(line) {
            Some(exception) => {
                exceptions.insert(exception);
            }
            None => problems.push(
                Problem::new("exceptions", format!("{line:?} is no exception"))
                    .hint("Write one as the hint shows it."),
            ),
        }
    }
    Policy {
        profile: if typed.get("profile") == "restricted" { Profile::Restricted } else { Profile::Baseline },
        exceptions,
        default_limits,
        max_limits,
        max_replicas: replicas
            .map_err(|error| problems.extend(error.problems))
            .unwrap_or_default()
            .unwrap_or(before.policy.max_replicas),
    }
}

fn show_exception(exception: &Exception) -> String {
    match exception {
        Exception::Privileged => "privileged".to_owned(),
        Exception::Capability(name) => format!("capability {name}"),
        Exception::Device(path) => format!("device {path}"),
        Exception::HostNetwork => "host-network".to_owned(),
        Exception::HostPid => "host-pid".to_owned(),
        Exception::HostIpc => "host-ipc".to_owned(),
        Exception::HostPath(path) => format!("host-path {path}"),
        Exception::Unconfined(profile) => format!("unconfined {profile}"),
        Exception::LowPort(port) => format!("low-port {port}"),
    }
}

fn parse_exception(line: &str) -> Option<Exception> {
    let (word, value) = match line.split_once(char::is_whitespace) {
        Some((word, value)) => (word, value.trim().to_owned()),
        None => (line, String::new()),
    };
    Some(match (word, value.is_empty()) {
        ("privileged", true) => Exception::Privileged,
        ("host-network", true) => Exception::HostNetwork,
        ("host-pid", true) => Exception::HostPid,
        ("host-ipc", true) => Exception::HostIpc,
        ("capability", false) => Exception::Capability(value.trim_start_matches("CAP_").to_ascii_uppercase()),
        ("device", false) if value.starts_with('/') => Exception::Device(value),
        ("host-path", false) if value.starts_with('/') => Exception::HostPath(value),
        ("unconfined", false) if ["seccomp", "apparmor", "selinux"].contains(&value.as_str()) => {
            Exception::Unconfined(value)
        }
        ("low-port", false) => {
            Exception::LowPort(value.parse().ok().filter(|port| (1..1024).contains(port))?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_travel_both_ways() {
        for line in [
            "privileged",
            "capability NET_ADMIN",
            "device /dev/fuse",
            "host-network",
            "host-pid",
            "host-ipc",
            "host-path /srv/data",
            "unconfined seccomp",
            "low-port 443",
        ] {
            assert_eq!(show_exception(&parse_exception(line).unwrap()), line);
        }
        for bad in ["root", "device", "device fuse", "low-port 8080", "unconfined all", "privileged yes"] {
            assert!(parse_exception(bad).is_none(), "{bad}");
        }
    }
}
