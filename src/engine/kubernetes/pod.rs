//! What a pod's status means: where the replica stands, and why, in words.

use chrono::TimeDelta;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodCondition,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::names::{Map, note};
use super::spec::container;
use crate::domain::clock::Timestamp;
use crate::domain::text::clean_line;
use crate::engine::Phase;

/// Reasons for which the kubelet can't get an image.
const PULL: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ImageInspectError",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];
/// Reasons for which it can't make a container from it.
const MAKE: [&str; 3] = ["CreateContainerConfigError", "CreateContainerError", "RunContainerError"];
/// Reasons of an end that was no run at all.
const NO_START: [&str; 2] = ["ContainerCannotRun", "StartError"];

/// Where a pod stands, and the last words about it; `said` is the newest warning about it.
pub(super) fn phase(pod: &Pod, said: Option<&str>, now: Timestamp) -> (Phase, String) {
    let status = pod.status.as_ref();
    if let Some(ended) = status.filter(|_| has_ended(pod)) {
        let terminated = main(pod).and_then(|main| main.state.as_ref()?.terminated.as_ref());
        return match terminated {
            Some(end) => (exited(end), end_words(end)),
            None => {
                let words = [ended.reason.as_deref(), ended.message.as_deref()];
                let words: Vec<&str> = words.into_iter().flatten().collect();
                (Phase::Exited { code: -1, oom_killed: false }, clean_line(&words.join(": ")))
            }
        };
    }
    let Some(main) = main(pod) else {
        return (Phase::Pending, waits(pod, said));
    };
    match main.state.as_ref() {
        Some(ContainerState { running: Some(_), .. }) if main.ready => (Phase::Running, String::new()),
        Some(ContainerState { running: Some(running), .. }) => {
            let since = running.started_at.as_ref().map_or(now, moment);
            not_ready(pod, said, now - since)
        }
        Some(ContainerState { terminated: Some(end), .. }) => ended(end),
        Some(ContainerState { waiting: Some(waiting), .. }) => {
            let reason = waiting.reason.as_deref().unwrap_or_default();
            let message = waiting.message.as_deref().or(said).unwrap_or_default();
            match reason {
                "CrashLoopBackOff" => crash_loop(main),
                reason if PULL.contains(&reason) => (Phase::Blocked, pull_words(main, message)),
                reason if MAKE.contains(&reason) => (Phase::Blocked, start_words(message)),
                _ => (Phase::Pending, waits(pod, said)),
            }
        }
        _ => (Phase::Pending, waits(pod, said)),
    }
}

/// The status of our container.
pub(super) fn main(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.iter().flatten().find(|status| status.name == container::NAME)
}

pub(super) fn moment(time: &Time) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::nanoseconds(time.0.as_nanosecond().try_into().unwrap_or(i64::MAX))
}

/// Why a pod has not begun.
fn waits(pod: &Pod, said: Option<&str>) -> String {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let unscheduled =
        |condition: &&PodCondition| condition.type_ == "PodScheduled" && condition.status == "False";
    match conditions.iter().find(unscheduled) {
        Some(condition) => format!(
            "no node takes it: {}; ask for less CPU or memory, or add nodes",
            clean_line(condition.message.as_deref().unwrap_or("the scheduler says no more"))
        ),
        None => said.map(clean_line).unwrap_or_default(),
    }
}

/// It runs, and its health check has not passed: at first it may take its time.
fn not_ready(pod: &Pod, said: Option<&str>, running: TimeDelta) -> (Phase, String) {
    let own =
        pod.spec.as_ref().and_then(|spec| spec.containers.iter().find(|one| one.name == container::NAME));
    let Some(probe) = own.and_then(|own| own.readiness_probe.as_ref()) else {
        return (Phase::Starting, String::new());
    };
    let (period, failures) = (probe.period_seconds.unwrap_or(10), probe.failure_threshold.unwrap_or(3));
    let tries = TimeDelta::seconds(i64::from(period) * i64::from(failures.max(1)));
    let notes = pod.metadata.annotations.as_ref();
    let grace = notes.and_then(|notes| notes.get(note::START_PERIOD)?.parse().ok());
    // Not any warning about the pod is about its health.
    let said = said.filter(|words| words.contains("probe"));
    let words = format!("its health check fails: {}", said.map(clean_line).unwrap_or_default());
    // Two seconds for the kubelet's own pace.
    if running > tries + TimeDelta::milliseconds(grace.unwrap_or(0)) + TimeDelta::seconds(2) {
        return (Phase::Unhealthy, words);
    }
    (Phase::Starting, said.map(|_| words).unwrap_or_default())
}

fn exited(end: &ContainerStateTerminated) -> Phase {
    Phase::Exited { code: i64::from(end.exit_code), oom_killed: end.reason.as_deref() == Some("OOMKilled") }
}

/// An end after which the kubelet starts it again.
fn ended(end: &ContainerStateTerminated) -> (Phase, String) {
    if is_no_start(end) {
        return (Phase::Blocked, start_words(end.message.as_deref().unwrap_or_default()));
    }
    (Phase::Restarting, end_words(end))
}

fn crash_loop(main: &ContainerStatus) -> (Phase, String) {
    match main.last_state.as_ref().and_then(|last| last.terminated.as_ref()) {
        Some(end) => ended(end),
        None => (Phase::Restarting, String::new()),
    }
}

fn is_no_start(end: &ContainerStateTerminated) -> bool {
    end.reason.as_deref().is_some_and(|reason| NO_START.contains(&reason))
}

fn end_words(end: &ContainerStateTerminated) -> String {
    match end.reason.as_deref() {
        Some("OOMKilled") => "it used up its memory limit".to_owned(),
        _ if end.exit_code == 0 => String::new(),
        _ => {
            let message = end.message.as_deref().map(clean_line).unwrap_or_default();
            format!("it exited with code {} {message}", end.exit_code).trim_end().to_owned()
        }
    }
}

fn start_words(message: &str) -> String {
    format!(
        "its program can't be started: {}; check the service's `command` and `entrypoint`",
        clean_line(message)
    )
}

fn pull_words(main: &ContainerStatus, message: &str) -> String {
    format!(
        "no node can pull image {}: {}; check its name and tag, and the registry's credentials",
        main.image,
        clean_line(message)
    )
}

/// The labels and annotations of a pod.
pub(super) fn marks(pod: &Pod) -> (Map, Map) {
    let metadata = &pod.metadata;
    (metadata.labels.clone().unwrap_or_default(), metadata.annotations.clone().unwrap_or_default())
}

/// Pods in the order in which they were made: what their replicas' places are counted by.
pub(super) fn sort_by_age<P: std::borrow::Borrow<Pod>>(pods: &mut [P]) {
    let age = |pod: &P| {
        let metadata = &pod.borrow().metadata;
        (metadata.creation_timestamp.clone(), metadata.name.clone())
    };
    pods.sort_by_key(age);
}

/// Whether it has been asked to go.
pub(super) fn is_leaving(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether nothing of it runs, nor will.
pub(super) fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(status: serde_json::Value) -> (Phase, String) {
        let container =
            json!({ "name": "main", "readinessProbe": { "periodSeconds": 2, "failureThreshold": 3 } });
        let pod = json!({ "metadata": {}, "spec": { "containers": [container] }, "status": status });
        let now = Timestamp::UNIX_EPOCH + TimeDelta::seconds(1_000);
        phase(&serde_json::from_value(pod).unwrap(), Some("Readiness probe failed: no answer"), now)
    }

    fn main_is(state: serde_json::Value, last: serde_json::Value) -> (Phase, String) {
        let main = json!({ "name": "main", "image": "redis:8", "imageID": "", "ready": false, "restartCount": 2,
            "state": state, "lastState": last });
        read(json!({ "phase": "Running", "containerStatuses": [main] }))
    }

    #[test]
    fn what_keeps_a_pod_from_starting_is_told_with_a_way_out() {
        let cases = [
            (json!({ "waiting": { "reason": "ImagePullBackOff", "message": "not found" } }), "image redis:8"),
            (json!({ "waiting": { "reason": "SignatureValidationFailed" } }), "image redis:8"),
            (json!({ "waiting": { "reason": "RunContainerError", "message": "no /x" } }), "`command`"),
            (
                json!({ "terminated": { "exitCode": 127, "reason": "ContainerCannotRun", "message": "no /x" } }),
                "no /x",
            ),
        ];
        for (state, words) in cases {
            let (phase, detail) = main_is(state.clone(), json!({}));
            assert!(phase == Phase::Blocked && detail.contains(words), "{state}: {phase:?} {detail}");
        }
        let unscheduled =
            json!({ "type": "PodScheduled", "status": "False", "message": "0/3 nodes: memory" });
        let (phase, detail) = read(json!({ "phase": "Pending", "conditions": [unscheduled] }));
        assert!(
            phase == Phase::Pending && detail.contains("0/3 nodes") && detail.contains("add nodes"),
            "{detail}"
        );
    }

    #[test]
    fn a_crash_loop_says_how_it_ended() {
        let last = json!({ "terminated": { "exitCode": 3, "reason": "Error" } });
        let (phase, detail) = main_is(json!({ "waiting": { "reason": "CrashLoopBackOff" } }), last);
        assert_eq!((phase, detail.as_str()), (Phase::Restarting, "it exited with code 3"));
        let oom = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } });
        assert!(main_is(oom, json!({})).1.contains("memory limit"));
    }

    #[test]
    fn a_health_check_may_fail_for_as_long_as_it_is_let() {
        let since = |seconds: i64| {
            let at = chrono::DateTime::from_timestamp(1_000 - seconds, 0).unwrap().to_rfc3339();
            main_is(json!({ "running": { "startedAt": at } }), json!({})).0
        };
        assert_eq!(since(5), Phase::Starting);
        assert_eq!(since(9), Phase::Unhealthy);
    }
}
