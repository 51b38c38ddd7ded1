//! Every field of a pod that a service can set is one of these, and nothing that policy closed comes in by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::domain::cluster::{Cluster, ClusterAccess};
use crate::domain::policy::{Exception, Profile};
use crate::domain::workload::{
    EnvValue, HealthTest, Healthcheck, HostMount, Image, Port, Protocol, Resources, SecretMount, Service,
    Tmpfs, VolumeMount,
};
use crate::engine::{FileContent, ResolvedImage};

/// What a pod of ours may hold, by kind.
const FIELDS: [&str; 54] = [
    "automountServiceAccountToken",
    "containers[].args[]",
    "containers[].command[]",
    "containers[].env[].name",
    "containers[].env[].value",
    "containers[].env[].valueFrom.secretKeyRef.key",
    "containers[].env[].valueFrom.secretKeyRef.name",
    "containers[].image",
    "containers[].imagePullPolicy",
    "containers[].name",
    "containers[].ports[].containerPort",
    "containers[].ports[].protocol",
    "containers[].readinessProbe.exec.command[]",
    "containers[].readinessProbe.failureThreshold",
    "containers[].readinessProbe.periodSeconds",
    "containers[].readinessProbe.successThreshold",
    "containers[].readinessProbe.timeoutSeconds",
    "containers[].resources.limits.cpu",
    "containers[].resources.limits.memory",
    "containers[].resources.requests.cpu",
    "containers[].resources.requests.memory",
    "containers[].securityContext.allowPrivilegeEscalation",
    "containers[].securityContext.capabilities.add[]",
    "containers[].securityContext.capabilities.drop[]",
    "containers[].securityContext.readOnlyRootFilesystem",
    "containers[].securityContext.runAsGroup",
    "containers[].securityContext.runAsNonRoot",
    "containers[].securityContext.runAsUser",
    "containers[].securityContext.seccompProfile.type",
    "containers[].volumeMounts[].mountPath",
    "containers[].volumeMounts[].name",
    "containers[].volumeMounts[].readOnly",
    "containers[].volumeMounts[].subPath",
    "containers[].workingDir",
    "enableServiceLinks",
    "hostAliases[].hostnames[]",
    "hostAliases[].ip",
    "imagePullSecrets[].name",
    "restartPolicy",
    "securityContext.fsGroup",
    "securityContext.fsGroupChangePolicy",
    "terminationGracePeriodSeconds",
    "volumes[].configMap.items[].key",
    "volumes[].configMap.items[].mode",
    "volumes[].configMap.items[].path",
    "volumes[].configMap.name",
    "volumes[].emptyDir.medium",
    "volumes[].emptyDir.sizeLimit",
    "volumes[].name",
    "volumes[].persistentVolumeClaim.claimName",
    "volumes[].secret.items[].key",
    "volumes[].secret.items[].mode",
    "volumes[].secret.items[].path",
    "volumes[].secret.secretName",
];

/// What each exception opens, and nothing else does.
const OPENED: [(&str, &str); 4] = [
    ("privileged", "containers[].securityContext.privileged"),
    ("host network", "hostNetwork"),
    ("host PID namespace", "hostPID"),
    ("host IPC namespace", "hostIPC"),
];

fn full() -> Service {
    let mut service = Service::new(Image::Reference("redis:7".into()));
    let words = |text: &str| Some(text.split(' ').map(ToOwned::to_owned).collect());
    service.entrypoint = words("/bin/$(HOME)");
    service.command = words("serve $HOME");
    service.environment = BTreeMap::from([
        ("A".into(), EnvValue::Plain("$(A)".into())),
        ("B".into(), EnvValue::Secret { name: "B".parse().unwrap(), version: 1 }),
    ]);
    service.volumes = vec![VolumeMount {
        volume: "data".parse().unwrap(),
        target: "/data".into(),
        read_only: true,
        scratch: false,
    }];
    service.tmpfs =
        vec![Tmpfs { target: "/scratch".into(), size_bytes: Some(1 << 20), mode: None, executable: false }];
    service.shm_bytes = Some(1 << 20);
    service.secrets =
        vec![SecretMount { source: "s".parse().unwrap(), target: "/run/secrets/s".into(), mode: 0o400 }];
    service.ports =
        vec![Port { container_port: 80, protocol: Protocol::Tcp, host_port: None, host_ip: None }];
    service.healthcheck = Some(Healthcheck {
        test: HealthTest::Shell("true".into()),
        interval_ms: 1_500,
        timeout_ms: 200,
        retries: 3,
        start_period_ms: 0,
        start_interval_ms: None,
    });
    service.resources =
        Resources { cpu_limit_milli: Some(500), memory_limit_bytes: Some(1 << 20), ..Resources::default() };
    service.user = Some("1000:1000".into());
    service.working_dir = Some("/srv".into());
    service
}

/// The pod of a service as it is sent.
fn pod(service: Service, profile: Profile) -> Value {
    let contents = crate::engine::Contents {
        secrets: BTreeMap::from([("s".parse().unwrap(), FileContent::Secret("x".into()))]),
        ..crate::engine::Contents::default()
    };
    let request = ServiceRequest {
        workload: "iris".parse().unwrap(),
        name: "api".parse().unwrap(),
        revision: 2,
        hash: "0123456789abcdef".into(),
        service: Arc::new(service),
        profile,
        image: ResolvedImage::new("sha256:1", "redis:7"),
        network: String::new(),
        has_peers: true,
        secrets: Arc::new(BTreeMap::from([("B".parse().unwrap(), "b".into())])),
        contents: Arc::new(contents),
    };
    let cluster = Cluster {
        access: ClusterAccess::InCluster {},
        namespace: "n".into(),
        registry: None,
        mirrors: BTreeMap::new(),
        builder: None,
        publish: Default::default(),
        storage_class: None,
        volume_size: "1Gi".into(),
    };
    let peers = BTreeMap::from([("db".parse().unwrap(), "10.0.0.1".parse().unwrap())]);
    let files = Paths::from([("0-a".to_owned(), ("/app/a".to_owned(), true))]);
    let setting = Setting {
        instance: "i",
        cluster: &cluster,
        peers: &peers,
        pull_secret: Some("pull"),
        files: Some(("files", &files)),
    };
    let contents = super::contents(&request, &setting).unwrap();
    serde_json::to_value(template(&request, &setting, contents.as_ref()).spec).unwrap()
}

/// The path of every leaf.
fn fields(value: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, path: String, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(value, path, found);
            }),
            Value::Array(list) => list.iter().for_each(|value| walk(value, format!("{path}[]"), found)),
            _ => drop(found.insert(path)),
        }
    }
    let mut found = BTreeSet::new();
    walk(value, String::new(), &mut found);
    found
}

#[test]
fn every_field_of_a_pod_is_a_known_one() {
    let known: BTreeSet<String> = FIELDS.iter().map(|field| (*field).to_owned()).collect();
    let found: BTreeSet<String> = [Profile::Baseline, Profile::Restricted]
        .into_iter()
        .flat_map(|profile| fields(&pod(full(), profile)))
        .collect();
    assert_eq!(found, known);
}

#[test]
fn what_policy_closed_opens_by_its_exception_alone() {
    let exceptions = [Exception::Privileged, Exception::HostNetwork, Exception::HostPid, Exception::HostIpc];
    let plain = fields(&pod(full(), Profile::Baseline));
    for (exception, (word, field)) in exceptions.into_iter().zip(OPENED) {
        assert_eq!(exception.to_string(), word);
        assert!(!plain.contains(field), "{field}");
        let mut service = full();
        service.exceptions.insert(exception);
        assert!(fields(&pod(service, Profile::Baseline)).contains(field), "{field}");
    }
    let mut service = full();
    service.host_mounts = vec![HostMount { source: "/srv".into(), target: "/host".into(), read_only: true }];
    assert!(fields(&pod(service, Profile::Baseline)).contains("volumes[].hostPath.path"));
}

#[test]
fn profiles_hold_as_tightly_as_on_docker() {
    let security = |profile| pod(full(), profile)["containers"][0]["securityContext"].clone();
    let (baseline, restricted) = (security(Profile::Baseline), security(Profile::Restricted));
    assert_eq!(baseline["capabilities"]["drop"], serde_json::json!(["ALL"]));
    assert_eq!(
        baseline["capabilities"]["add"],
        serde_json::json!(crate::domain::policy::BASELINE_CAPABILITIES)
    );
    assert_eq!(restricted["capabilities"].get("add"), None);
    assert_eq!(
        (&restricted["runAsNonRoot"], &restricted["readOnlyRootFilesystem"]),
        (&true.into(), &true.into())
    );
    for security in [baseline, restricted] {
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
    }
}

#[test]
fn volumes_are_given_to_those_who_are_not_root() {
    let group = |user: Option<&str>, has_volumes: bool| {
        let mut service = full();
        service.user = user.map(ToOwned::to_owned);
        service.volumes.retain(|_| has_volumes);
        pod(service, Profile::Baseline)["securityContext"]["fsGroup"].as_i64()
    };
    let given =
        [Some("1000:2000"), Some("1000"), Some("1000:0"), Some("0:0"), None].map(|user| group(user, true));
    assert_eq!(given, [Some(2_000), Some(1_000), Some(1_000), None, None]);
    assert_eq!(group(Some("1000:2000"), false), None);
}

#[test]
fn nothing_that_a_bundle_wrote_is_taken_for_a_variable() {
    let pod = pod(full(), Profile::Baseline);
    let container = &pod["containers"][0];
    assert_eq!(container["command"][0], "/bin/$$(HOME)");
    assert_eq!(container["args"][1], "$$HOME");
    assert_eq!(container["env"][0]["value"], "$$(A)");
}
