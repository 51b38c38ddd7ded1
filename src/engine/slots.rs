//! What `ensure` has to do, decided without an engine: the same rules for every engine that keeps slots itself.
//!
//! Invariants: a slot of the wanted hash that runs is never touched; a slot of another hash is stopped only where the
//! service must be replaced stop-first; a fresh slot serves at once only where nothing of the service serves, or where
//! the workload has no other service that could call it by name.

use crate::domain::infrastructure::HostPorts;
use crate::domain::workload::ServiceKind;
use crate::engine::{Phase, ServiceRequest, SlotRef};

/// One slot of the service as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub slot: SlotRef,
    pub phase: Phase,
    /// Whether peers reach it by the service's name.
    pub serving: bool,
}

/// What is to be done, in this order: stop, then start and make.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Steps {
    /// Wanted and running, or a task that has ended: left as they are.
    pub keep: Vec<SlotRef>,
    /// Wanted and there, but not running: to be started.
    pub start: Vec<SlotRef>,
    /// Wanted, and there in a state that can't be started: to be removed and made again.
    pub replace: Vec<SlotRef>,
    /// Wanted and not there.
    pub make: Vec<SlotRef>,
    /// Of other hashes and running: to be stopped first, and kept.
    pub stop: Vec<SlotRef>,
    /// Of other hashes and not running, where the service is replaced stop-first: an earlier attempt stopped them.
    pub stopped: Vec<SlotRef>,
    /// To be retired after the switch.
    pub superseded: Vec<SlotRef>,
    /// Whether slots that are made now get the service's name at once.
    pub serve_at_once: bool,
}

/// Compares what is wanted with what is there.
pub fn decide(request: &ServiceRequest, found: &[Found]) -> Steps {
    let is_task = request.service.kind == ServiceKind::Task;
    let replicas = if is_task { 1 } else { request.service.replicas };
    let stop_first = request.service.stop_first_because(HostPorts::OfReplicas).is_some();
    let mut steps = Steps::default();
    let mut serves = false;
    for one in found {
        let wanted = one.slot.hash == request.hash && one.slot.index < replicas;
        let stops = !wanted && stop_first && one.slot.hash != request.hash;
        serves |= one.serving && is_up(&one.phase) && !stops;
        let list = match (wanted, stops) {
            (true, _) => match one.phase {
                Phase::Exited { .. } if is_task => &mut steps.keep,
                Phase::Created | Phase::Exited { .. } | Phase::Paused => &mut steps.start,
                Phase::Dead => &mut steps.replace,
                _ => &mut steps.keep,
            },
            (false, true) if is_up(&one.phase) => &mut steps.stop,
            (false, true) => &mut steps.stopped,
            (false, false) => &mut steps.superseded,
        };
        list.push(one.slot.clone());
    }
    steps.make = (0..replicas)
        .map(|index| slot(request, index))
        .filter(|slot| !found.iter().any(|one| one.slot == *slot))
        .collect();
    steps.serve_at_once = !serves || !request.has_peers;
    steps
}

/// The slot of a request's service at an index.
pub fn slot(request: &ServiceRequest, index: u32) -> SlotRef {
    SlotRef {
        workload: request.workload.clone(),
        service: request.name.clone(),
        hash: request.hash.clone(),
        index,
    }
}

fn is_up(phase: &Phase) -> bool {
    matches!(phase, Phase::Starting | Phase::Running | Phase::Unhealthy | Phase::Restarting | Phase::Paused)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::workload::{Image, Service, UpdateOrder};
    use crate::engine::ResolvedImage;

    fn request(replicas: u32, order: UpdateOrder) -> ServiceRequest {
        let mut service = Service::new(Image::Reference("busybox".into()));
        service.replicas = replicas;
        service.order = order;
        ServiceRequest {
            workload: "iris".parse().unwrap(),
            name: "api".parse().unwrap(),
            revision: 2,
            hash: "new".into(),
            service: Arc::new(service),
            profile: Default::default(),
            image: ResolvedImage::new("sha256:1", "busybox"),
            network: "net".into(),
            has_peers: true,
            secrets: Arc::default(),
            contents: Arc::default(),
        }
    }

    fn found(hash: &str, index: u32, phase: Phase) -> Found {
        let mut slot = slot(&request(1, UpdateOrder::StartFirst), index);
        slot.hash = hash.into();
        let serving = true;
        Found { slot, phase, serving }
    }

    #[test]
    fn the_first_replicas_serve_at_once() {
        let steps = decide(&request(2, UpdateOrder::StartFirst), &[]);
        assert_eq!(steps.make.len(), 2);
        assert!(steps.serve_at_once);
    }

    #[test]
    fn start_first_leaves_the_old_ones_serving() {
        let old = found("old", 0, Phase::Running);
        let steps = decide(&request(1, UpdateOrder::StartFirst), std::slice::from_ref(&old));
        assert_eq!((steps.make.len(), &steps.superseded), (1, &vec![old.slot]));
        assert!(steps.stop.is_empty() && !steps.serve_at_once);
    }

    #[test]
    fn nothing_is_switched_for_a_service_without_peers() {
        let alone = ServiceRequest { has_peers: false, ..request(1, UpdateOrder::StartFirst) };
        let steps = decide(&alone, &[found("old", 0, Phase::Running)]);
        assert!(steps.serve_at_once && steps.superseded.len() == 1);
    }

    #[test]
    fn stop_first_stops_and_remembers_what_an_earlier_attempt_stopped() {
        let old = [
            found("old", 0, Phase::Running),
            found("old", 1, Phase::Exited { code: 143, oom_killed: false }),
        ];
        let steps = decide(&request(1, UpdateOrder::StopFirst), &old);
        assert_eq!(steps.stop, [old[0].slot.clone()]);
        assert_eq!(steps.stopped, [old[1].slot.clone()]);
        assert!(steps.superseded.is_empty() && steps.serve_at_once);
    }

    #[test]
    fn scaling_keeps_what_runs() {
        let running: Vec<Found> = (0..3).map(|index| found("new", index, Phase::Running)).collect();
        let up = decide(&request(4, UpdateOrder::StopFirst), &running);
        assert_eq!((up.keep.len(), up.make.len(), up.superseded.len()), (3, 1, 0));
        assert!(!up.serve_at_once, "a fresh replica waits for its switch");
        let down = decide(&request(1, UpdateOrder::StopFirst), &running);
        assert_eq!((down.keep.len(), down.make.len(), down.superseded.len()), (1, 0, 2));
        assert!(down.stop.is_empty(), "fewer replicas are no new revision");
    }

    #[test]
    fn a_task_that_has_ended_is_left() {
        let mut request = request(1, UpdateOrder::StartFirst);
        Arc::make_mut(&mut request.service).kind = ServiceKind::Task;
        let ended = Phase::Exited { code: 1, oom_killed: false };
        let steps = decide(&request, &[found("new", 0, ended)]);
        assert_eq!((steps.keep.len(), steps.start.len(), steps.make.len()), (1, 0, 0));
    }
}
