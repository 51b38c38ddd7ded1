//! A state's messages: what happened, to what, what to do.

use super::fold::{Drift, Kind};
use crate::domain::health::{Message, Severity};
use crate::domain::name::{InfrastructureId, ServiceName};
use crate::domain::update::Failure;
use crate::domain::workload::MetricsEndpoint;
use crate::engine::{Phase, SlotState};

fn message(severity: Severity, code: &str, title: &str, message: String, details: &str) -> Message {
    Message {
        severity,
        code: code.to_owned(),
        title: title.to_owned(),
        message,
        details: details.to_owned(),
        is_fatal: false,
    }
}

pub(super) fn never_updated(updating: bool) -> Message {
    let (text, details) = if updating {
        ("Its first update is under way.", "")
    } else {
        ("Nothing was deployed yet.", "Update it to start what its settings ask for.")
    };
    message(Severity::Info, "NEVER_UPDATED", "Not deployed yet", text.to_owned(), details)
}

pub(super) fn stopped() -> Message {
    let text = "It is disabled, and everything was stopped.".to_owned();
    message(Severity::Info, "STOPPED", "Stopped", text, "Enable and update it to start it again.")
}

pub(super) fn unreachable(infrastructure: &InfrastructureId, words: &str) -> Message {
    message(
        Severity::Error,
        "ENGINE_UNREACHABLE",
        "The engine does not answer",
        format!("What runs on {infrastructure} can't be seen: {words}"),
        "Check that the engine runs and that the infrastructure's address of it is right. It is tried again all the time.",
    )
}

pub(super) fn update_failed(number: u32, failure: &Failure) -> Message {
    let details = format!("{} {}", failure.hint, failure.serving);
    let text = format!("Update {number}: {}", failure.message);
    message(Severity::Error, "UPDATE_FAILED", "The last update failed", text, details.trim())
}

pub(super) fn settings_refused(refusal: &str) -> Message {
    message(
        Severity::Error,
        "SETTINGS_REFUSED",
        "The settings can't be deployed",
        refusal.to_owned(),
        "Change the settings or the bundle; what runs goes on until then.",
    )
}

pub(super) fn settings_changed() -> Message {
    message(
        Severity::Warning,
        "SETTINGS_CHANGED",
        "Saved, not deployed",
        "The settings were saved since the last update: what runs is not what they ask for.".to_owned(),
        "Look at the plan's diff, then update.",
    )
}

pub(super) fn nothing_runs() -> Message {
    message(
        Severity::Warning,
        "NOTHING_RUNS",
        "Nothing runs",
        "The deployment is enabled, and nothing of it runs.".to_owned(),
        "Update it to start what its settings ask for.",
    )
}

pub(super) fn drifted(drift: &Drift, repairs: bool) -> Message {
    let (code, title) = match drift.kind {
        Kind::Removed => ("REPLICA_REMOVED", "A replica was removed"),
        Kind::Changed => ("REPLICA_CHANGED", "A replica was changed"),
        Kind::Stopped => ("REPLICA_STOPPED", "A replica was stopped"),
    };
    let details = if repairs {
        "It is being repaired, as the settings ask."
    } else {
        "Update the deployment to put it right, or switch repairing on in its settings."
    };
    let text =
        format!("Replica {} of service {} {}, not by Slipway.", drift.index, drift.service, drift.detail);
    message(Severity::Warning, code, title, text, details)
}

pub(super) fn restarted(state: &SlotState) -> Message {
    let times = if state.restarts == 1 { "once".to_owned() } else { format!("{} times", state.restarts) };
    let text = format!(
        "The engine had to start replica {} of service {} again, {times} so far.",
        state.slot.index, state.slot.service
    );
    message(Severity::Warning, "RESTARTED", "A replica was restarted", text, "Its log says why it ended.")
}

pub(super) fn not_ready(
    service: &ServiceName,
    is_task: bool,
    wanted: u32,
    bad: &[(u32, Option<&SlotState>)],
) -> Message {
    let down = u32::try_from(bad.len()).unwrap_or(u32::MAX);
    let each: Vec<String> = bad.iter().map(|(index, state)| one(*index, *state)).collect();
    if is_task {
        let text = format!("Task {service} did not end well: {}.", each.join("; "));
        return message(
            Severity::Error,
            "TASK_FAILED",
            "A task failed",
            text,
            "Look at its log, then update.",
        );
    }
    let text = format!(
        "{} of {wanted} replicas of service {service} are ready: {}.",
        wanted.saturating_sub(down),
        each.join("; ")
    );
    let details = "Look at the service's log. An update starts again what was stopped.";
    message(Severity::Error, "REPLICAS_NOT_READY", "Replicas are missing", text, details)
}

pub(super) fn probe_failing(
    service: &ServiceName,
    place: &MetricsEndpoint,
    unwell: &[(u32, String)],
) -> Message {
    let each: Vec<String> =
        unwell.iter().map(|(index, trouble)| format!("replica {index} {trouble}")).collect();
    let text = format!(
        "Service {service} is asked for its health at :{}{}: {}.",
        place.port,
        place.path,
        each.join("; ")
    );
    let details = "What it answers stands at the deployment's /health, and its log may say why.";
    message(Severity::Error, "PROBE_FAILING", "A program is not well", text, details)
}

fn one(index: u32, state: Option<&SlotState>) -> String {
    let Some(state) = state else {
        return format!("replica {index} is gone");
    };
    match &state.phase {
        Phase::Exited { oom_killed: true, .. } => format!("replica {index} used up its memory limit"),
        Phase::Exited { code, .. } => format!("replica {index} is stopped (exit code {code})"),
        Phase::Unhealthy if !state.detail.is_empty() => {
            let said = crate::domain::text::clean_line(&state.detail);
            format!("replica {index} is unhealthy ({said})")
        }
        phase => format!("replica {index} is {}", phase.word()),
    }
}
