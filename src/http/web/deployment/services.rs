//! The services of a deployment as its overview lists them: what should run beside what was last seen to.

use crate::app::deployment::Detail;
use crate::domain::clock::Timestamp;
use crate::domain::name::ServiceName;
use crate::domain::plan::Plan;
use crate::domain::workload::{Image, Protocol, Service, ServiceKind};
use crate::engine::{Endpoint, Phase, SlotState};
use crate::http::web::page::State;
use crate::http::web::visit::Visit;

/// One service with its replicas.
pub struct ServiceView {
    pub name: String,
    pub state: State,
    pub ready: usize,
    pub wanted: u32,
    /// Whether an autoscaler says how many.
    pub autoscaled: bool,
    pub image: String,
    /// Where it answers from outside.
    pub endpoints: Vec<EndpointView>,
    pub replicas: Vec<ReplicaView>,
}

/// A published port.
pub struct EndpointView {
    pub text: String,
    /// What a browser might open.
    pub href: Option<String>,
}

/// One replica.
pub struct ReplicaView {
    /// `api-0`
    pub name: String,
    pub state: State,
    pub since: Option<Timestamp>,
    pub restarts: u32,
    pub revision: u32,
    /// Why it is so, or what was changed behind our back.
    pub detail: String,
    pub engine_id: String,
    pub serving: bool,
}

/// The services of what runs; of what is wanted while nothing does. Replicas of services that are gone come last.
pub fn views(visit: &Visit, detail: &Detail) -> Vec<ServiceView> {
    let plan = detail.running.as_ref().or(detail.wanted.as_ref().ok());
    let Some(plan) = plan else { return Vec::new() };
    let runs = detail.running.is_some();
    let known = plan.workload.services.iter().map(|(name, service)| {
        let wanted = if runs { service.replicas } else { 0 };
        view(visit, detail, (name, service), wanted)
    });
    known.chain(strays(visit, plan, detail)).collect()
}

fn of<'a>(detail: &'a Detail, name: &ServiceName) -> Vec<&'a SlotState> {
    let mut slots: Vec<&SlotState> = detail.slots.iter().filter(|slot| slot.slot.service == *name).collect();
    slots.sort_by_key(|slot| (slot.revision, slot.slot.index));
    slots
}

fn strays<'a>(
    visit: &'a Visit,
    plan: &'a Plan,
    detail: &'a Detail,
) -> impl Iterator<Item = ServiceView> + 'a {
    let mut names: Vec<&ServiceName> = detail.slots.iter().map(|slot| &slot.slot.service).collect();
    names.dedup();
    names.into_iter().filter(|name| plan.workload.any(name).is_none()).map(|name| {
        let slots = of(detail, name);
        ServiceView {
            name: name.to_string(),
            state: State::warn("No longer wanted"),
            ready: 0,
            wanted: 0,
            autoscaled: false,
            image: String::new(),
            endpoints: endpoints(visit, &slots),
            replicas: slots.iter().map(|slot| replica(slot, false, None)).collect(),
        }
    })
}

fn view(
    visit: &Visit,
    detail: &Detail,
    (name, service): (&ServiceName, &Service),
    wanted: u32,
) -> ServiceView {
    let slots = &of(detail, name);
    let is_task = service.kind == ServiceKind::Task;
    let replica = |slot: &&SlotState| replica(slot, is_task, detail.trouble(slot));
    let is_well = slots.iter().all(|slot| detail.trouble(slot).is_none());
    let autoscaled = slots.iter().find_map(|slot| slot.autoscaled).filter(|_| wanted > 0);
    let wanted = autoscaled.unwrap_or(wanted);
    let ready = slots.iter().filter(|slot| slot.phase.is_ready(is_task)).count();
    ServiceView {
        name: name.to_string(),
        state: if is_well || wanted == 0 {
            state(is_task, ready, wanted, slots)
        } else {
            State::unhealthy("Unhealthy")
        },
        ready,
        wanted,
        autoscaled: autoscaled.is_some(),
        image: image(&service.image),
        endpoints: endpoints(visit, slots),
        replicas: slots.iter().map(replica).collect(),
    }
}

fn state(is_task: bool, ready: usize, wanted: u32, slots: &[&SlotState]) -> State {
    if wanted == 0 {
        return if slots.is_empty() { State::unknown("Not running") } else { State::run("Stopping") };
    }
    if ready >= wanted as usize {
        return if is_task { State::ok("Done") } else { State::ok("Healthy") };
    }
    match slots.iter().find(|slot| !slot.phase.is_ready(is_task)) {
        Some(slot) => phase(&slot.phase, is_task),
        None => State::unhealthy("Missing"),
    }
}

/// A replica's phase for people.
pub fn phase(phase: &Phase, is_task: bool) -> State {
    match phase {
        Phase::Created => State::wait("Created"),
        Phase::Starting => State::run("Starting"),
        Phase::Running if is_task => State::run("Running"),
        Phase::Running => State::ok("Running"),
        Phase::Unhealthy => State::unhealthy("Unhealthy"),
        Phase::Restarting => State::unhealthy("Restarting"),
        Phase::Paused => State::warn("Paused"),
        Phase::Exited { oom_killed: true, .. } => State::error("Out of memory"),
        Phase::Exited { code: 0, .. } if is_task => State::ok("Done"),
        Phase::Exited { code, .. } => State::error(format!("Exited with {code}")),
        Phase::Pending => State::wait("Pending"),
        Phase::Blocked => State::error("Can't start"),
        Phase::Dead => State::error("Dead"),
    }
}

fn replica(slot: &SlotState, is_task: bool, trouble: Option<String>) -> ReplicaView {
    let state = match trouble {
        Some(_) => State::unhealthy("Unhealthy"),
        None => phase(&slot.phase, is_task),
    };
    let detail = match (&slot.drift, trouble) {
        (Some(drift), _) => format!("changed behind Slipway's back: {drift}"),
        (None, Some(trouble)) => format!("asked for its health, it {trouble}"),
        (None, None) => slot.detail.clone(),
    };
    ReplicaView {
        name: format!("{}-{}", slot.slot.service, slot.slot.index),
        state,
        since: slot.ended_at.or(slot.started_at),
        restarts: slot.restarts,
        revision: slot.revision,
        detail,
        engine_id: slot.engine_id.chars().take(12).collect(),
        serving: slot.serving,
    }
}

fn image(image: &Image) -> String {
    match image {
        Image::Reference(reference) => reference.clone(),
        Image::Build(build) if build.context.is_empty() => "built from the bundle".to_owned(),
        Image::Build(build) => format!("built from {}", build.context),
    }
}

fn endpoints(visit: &Visit, slots: &[&SlotState]) -> Vec<EndpointView> {
    let mut found: Vec<&Endpoint> = slots.iter().flat_map(|slot| &slot.endpoints).collect();
    found.sort_by_key(|endpoint| (endpoint.container_port, endpoint.host_port));
    found.dedup();
    let here = visit.state().settings.base_url.host_str();
    found.into_iter().map(|endpoint| endpoint_view(here, endpoint)).collect()
}

/// `https://api.example.org/`, or `127.0.0.1:32768 → 8000`: where the port is bound to every address, at the one that this
/// console is reached at.
fn endpoint_view(here: Option<&str>, endpoint: &Endpoint) -> EndpointView {
    let protocol = match endpoint.protocol {
        Protocol::Tcp => "",
        Protocol::Udp => "/udp",
    };
    let place = endpoint.place(here).or_else(|| endpoint.url.clone()).unwrap_or_default();
    EndpointView {
        href: endpoint.url.clone(),
        text: format!("{place} → {}{protocol}", endpoint.container_port),
    }
}
