//! The profiles beside Kubernetes' Pod Security Standards, and pods that a cluster refuses.
//!
//! Clusters enforce the standards from 1.23 on. Pods are compared with them here in any case, so that an older cluster shows
//! what a newer one would let in.

mod rules;

use serde_json::{Value, json};
use slipway::domain::plan::Plan;
use slipway::domain::policy::Profile;
use slipway::domain::workload::{Port, Protocol, SecretMount, Service, ServiceKind, VolumeMount};
use slipway::engine::{FileContent, Phase, ServiceRequest};

use self::rules::{Level, violations};
use super::harness::Kubernetes;
use super::lab;
use crate::conformance::{Bed, Harness as _, contents, sh};

/// A bed whose namespace asks for a level of the standards; says whether the cluster holds it to that.
fn at(level: Level) -> (Bed<Kubernetes>, bool) {
    let bed = Bed::new(Kubernetes::new());
    let namespace = &bed.harness.namespace;
    let word = level.word();
    for (key, value) in [("enforce", word), ("enforce-version", "latest")] {
        let label = format!("pod-security.kubernetes.io/{key}={value}");
        lab::kubectl(&["label", "namespace", &namespace.name, &label], "");
    }
    let arguments =
        ["--namespace", namespace.name.as_str(), "create", "--dry-run=server", "-f", "-", "-o", "name"];
    let enforced = match lab::attempt(&arguments, &privileged().to_string()) {
        Err(refused) => {
            assert!(refused.contains("PodSecurity"), "{refused}");
            true
        }
        Ok(_) => false,
    };
    if !enforced {
        let version: Value = serde_json::from_str(&lab::kubectl(&["get", "--raw", "/version"], "")).unwrap();
        println!(
            "Kubernetes {} does not hold a namespace to {word}: the pods alone were compared",
            version["gitVersion"].as_str().unwrap()
        );
    }
    (bed, enforced)
}

/// What no level lets in.
fn privileged() -> Value {
    let container =
        json!({ "name": "main", "image": "busybox:lab", "securityContext": { "privileged": true } });
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "privileged" },
        "spec": { "containers": [container], "hostNetwork": true } })
}

/// A request for a service under a profile, with a secret in a file.
async fn request(bed: &Bed<Kubernetes>, mut service: Service, profile: Profile) -> ServiceRequest {
    let secret =
        SecretMount { source: "one".parse().unwrap(), target: "/run/secrets/one".into(), mode: 0o444 };
    service.secrets = vec![secret];
    let plan = Plan { profile, ..bed.plan(service) };
    let (resolution, _) = bed.prepare(&plan, None).await;
    let mut request = bed.request(&plan, &resolution, 1);
    request.contents = contents(&[("one", FileContent::Secret("s3cret\n".into()))], &[]);
    request
}

/// A service with everything that comes from a bundle without an administrator's leave.
fn server(user: Option<&str>) -> Service {
    let mut service = sh("touch /data/mine && exec httpd -f -p 8080 -h /run/secrets");
    service.user = user.map(ToOwned::to_owned);
    service.ports =
        vec![Port { container_port: 8_080, host_port: None, host_ip: None, protocol: Protocol::Tcp }];
    service.shm_bytes = Some(1 << 20);
    service.volumes = vec![VolumeMount {
        volume: "data".parse().unwrap(),
        target: "/data".into(),
        read_only: false,
        scratch: false,
    }];
    service
}

/// What the standard says of the pods there.
fn found(bed: &Bed<Kubernetes>, level: Level) -> Vec<String> {
    let listed: Value =
        serde_json::from_str(&bed.harness.namespace.kubectl(&["get", "pods", "-o", "json"], "")).unwrap();
    let pods = listed["items"].as_array().unwrap();
    assert!(!pods.is_empty());
    pods.iter().flat_map(|pod| violations(level, &pod["spec"])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_run_at_the_level_of_their_profile() {
    for (level, profile, user) in [
        (Level::Baseline, Profile::Baseline, None),
        (Level::Restricted, Profile::Restricted, Some("1000:1000")),
    ] {
        let (bed, _) = at(level);
        bed.harness.provide_volume().await;
        let request = request(&bed, server(user), profile).await;
        let ensured = bed.engine.ensure(&request).await.unwrap();
        bed.running(&ensured.slots[0]).await;
        assert_eq!(found(&bed, level), Vec::<String>::new(), "{}", level.word());
        bed.engine.retire(&ensured.slots[0]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restricted_tasks_read_their_secrets_and_write_only_to_tmp() {
    let (bed, _) = at(Level::Restricted);
    let script = "id -u; cat /run/secrets/one; touch /x 2>/dev/null || echo root is read-only; \
                  touch /tmp/x && echo tmp is not; grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status";
    let mut task = sh(script);
    task.kind = ServiceKind::Task;
    task.user = Some("1000:1000".into());
    let request = request(&bed, task, Profile::Restricted).await;
    let ensured = bed.engine.ensure(&request).await.unwrap();
    let lines = bed.output(&ensured.slots[0]).await;
    assert_eq!(lines[..4], ["1000", "s3cret", "root is read-only", "tmp is not"]);
    assert_eq!(lines[4..], ["CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]);
    assert_eq!(found(&bed, Level::Restricted), Vec::<String>::new());
    bed.engine.retire(&ensured.slots[0]).await.unwrap();
}

#[test]
fn what_the_standards_forbid_is_found() {
    let privileged = privileged();
    let words = violations(Level::Baseline, &privileged["spec"]).join("\n");
    assert!(words.contains("privileged") && words.contains("hostNetwork"), "{words}");
    let words = violations(Level::Restricted, &json!({ "containers": [{ "name": "main" }] })).join("\n");
    for lacking in ["allowPrivilegeEscalation", "runAsNonRoot", "seccompProfile", "drop"] {
        assert!(words.contains(lacking), "{lacking}: {words}");
    }
}

/// What a cluster that refuses a service's pods is quoted with, by a service and by a task.
async fn refused(bed: &Bed<Kubernetes>) -> [String; 2] {
    let mut task = sh("true");
    task.kind = ServiceKind::Task;
    let mut said = Vec::new();
    for service in [sh("sleep 1000"), task] {
        let request = request(bed, service, Profile::Baseline).await;
        let ensured = bed.engine.ensure(&request).await.unwrap();
        let state = bed.until(&ensured.slots[0], |state| state.phase == Phase::Blocked).await;
        assert!(!state.serving && state.started_at.is_none());
        said.push(state.detail);
        bed.engine.retire(&ensured.slots[0]).await.unwrap();
        let gone = bed.state(&ensured.slots[0]).await;
        assert!(gone.is_none(), "{gone:?}");
    }
    said.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_a_cluster_refuses_are_told_in_its_words() {
    let bed = Bed::new(Kubernetes::new());
    bed.harness.namespace.kubectl(&["create", "quota", "none", "--hard=pods=0"], "");
    let full = |words: &str| words.contains("exceeded quota: none");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    // Until it is counted for the first time, a quota refuses everything in other words.
    while bed
        .harness
        .namespace
        .kubectl(&["get", "quota", "none", "-o", "jsonpath={.status.hard}"], "")
        .is_empty()
    {
        assert!(std::time::Instant::now() < until, "nobody counts the quota");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let said = refused(&bed).await;
    assert!(said.iter().all(|words| full(words)), "{said:?}");

    let (bed, enforced) = at(Level::Restricted);
    if enforced {
        let said = refused(&bed).await;
        assert!(said.iter().all(|words| words.contains("PodSecurity")), "{said:?}");
    }
}
