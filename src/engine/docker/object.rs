//! A container in the shape that every engine's objects have: its labels, and its state as conditions.

use std::collections::HashMap;

use bollard::models::{ContainerState, ContainerStateStatusEnum, HealthStatusEnum};

use crate::domain::text::capital;
use crate::engine::{Condition, EngineObject, Phase, SlotState};

/// The object of a container whose replica was read to be so.
pub(super) fn object(
    name: &str,
    labels: &HashMap<String, String>,
    state: &ContainerState,
    replica: &SlotState,
) -> EngineObject {
    EngineObject {
        service: replica.slot.service.clone(),
        kind: "Container".to_owned(),
        name: name.to_owned(),
        namespace: None,
        uid: replica.engine_id.clone(),
        labels: labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        annotations: Default::default(),
        conditions: std::iter::once(running(state, replica)).chain(healthy(state, replica)).collect(),
    }
}

/// Whether its program runs, with the engine's own word as the reason.
fn running(state: &ContainerState, replica: &SlotState) -> Condition {
    let runs = matches!(replica.phase, Phase::Starting | Phase::Running | Phase::Unhealthy);
    let word = state.status.as_ref().map(ContainerStateStatusEnum::to_string).unwrap_or_default();
    let message = match replica.phase {
        Phase::Exited { oom_killed: true, .. } => "It used up its memory limit.".to_owned(),
        Phase::Exited { code, .. } => format!("It ended with code {code}."),
        _ if runs => String::new(),
        _ => replica.detail.clone(),
    };
    let since = if runs { replica.started_at } else { replica.ended_at.or(replica.started_at) };
    Condition::new("Running", runs, &capital(&word)).saying(message).since(since)
}

/// What its health check says, where it has one and runs.
fn healthy(state: &ContainerState, replica: &SlotState) -> Option<Condition> {
    let health = state.health.as_ref()?;
    let passes = match health.status {
        Some(HealthStatusEnum::HEALTHY) => true,
        Some(HealthStatusEnum::STARTING | HealthStatusEnum::UNHEALTHY) => false,
        _ => return None,
    };
    if !matches!(replica.phase, Phase::Starting | Phase::Running | Phase::Unhealthy) {
        return None;
    }
    let word = health.status.as_ref().map(HealthStatusEnum::to_string).unwrap_or_default();
    let told = Condition::new("Healthy", passes, &capital(&word)).saying(replica.detail.clone());
    let unknown = replica.phase == Phase::Starting;
    Some(if unknown { Condition { status: "Unknown".to_owned(), ..told } } else { told })
}
