//! The Pod Security Standards as they stand in Kubernetes 1.34, for pods of Linux.

use serde_json::Value;

/// How tight a namespace is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Baseline,
    Restricted,
}

impl Level {
    /// As a namespace's label has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// What a level forbids of a pod's specification, each by the path of its field.
pub fn violations(level: Level, spec: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        if spec[field] == true {
            found.push(field.to_owned());
        }
    }
    let own = &spec["securityContext"];
    if own["sysctls"].as_array().is_some_and(|sysctls| !sysctls.is_empty()) {
        found.push("sysctls".to_owned());
    }
    for volume in list(spec, "volumes") {
        let kind = volume.as_object().unwrap().keys().find(|key| *key != "name").map_or("", String::as_str);
        let refused = match level {
            Level::Baseline => kind == "hostPath",
            Level::Restricted => !VOLUMES.contains(&kind),
        };
        if refused {
            found.push(format!("volumes[{}].{kind}", volume["name"]));
        }
    }
    for container in
        ["initContainers", "containers", "ephemeralContainers"].iter().flat_map(|kind| list(spec, kind))
    {
        let mut words = baseline(container, own);
        if level == Level::Restricted {
            words.extend(restricted(container, own));
        }
        found.extend(words.into_iter().map(|word| format!("{}.{word}", container["name"])));
    }
    found
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

/// A setting of a container, else its pod's.
fn setting<'a>(container: &'a Value, pod: &'a Value, path: &str) -> &'a Value {
    let own = container["securityContext"].pointer(path);
    own.or_else(|| pod.pointer(path)).unwrap_or(&Value::Null)
}

fn baseline(container: &Value, pod: &Value) -> Vec<&'static str> {
    let own = &container["securityContext"];
    let added = list(&own["capabilities"], "add");
    let profile = |path| setting(container, pod, path).as_str().unwrap_or_default();
    let probes = ["livenessProbe", "readinessProbe", "startupProbe"];
    let elsewhere = probes.iter().any(|probe| {
        let probe = &container[*probe];
        !probe["httpGet"]["host"].is_null() || !probe["tcpSocket"]["host"].is_null()
    });
    let broken = [
        (own["privileged"] == true, "privileged"),
        (added.into_iter().any(|name| !CAPABILITIES.contains(&name.as_str().unwrap())), "capabilities.add"),
        (list(container, "ports").any(|port| port["hostPort"].as_u64().unwrap_or(0) != 0), "hostPort"),
        (elsewhere, "probe.host"),
        (profile("/appArmorProfile/type") == "Unconfined", "appArmorProfile"),
        (profile("/seccompProfile/type") == "Unconfined", "seccompProfile"),
        (
            !matches!(profile("/seLinuxOptions/user"), "") || !matches!(profile("/seLinuxOptions/role"), ""),
            "seLinuxOptions",
        ),
        (!matches!(own["procMount"].as_str(), None | Some("Default")), "procMount"),
    ];
    broken.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect()
}

fn restricted(container: &Value, pod: &Value) -> Vec<&'static str> {
    let own = &container["securityContext"];
    let mut added = list(&own["capabilities"], "add");
    let seccomp = setting(container, pod, "/seccompProfile/type").as_str();
    let broken = [
        (own["allowPrivilegeEscalation"] != false, "allowPrivilegeEscalation"),
        (*setting(container, pod, "/runAsNonRoot") != true, "runAsNonRoot"),
        (*setting(container, pod, "/runAsUser") == 0, "runAsUser"),
        (!matches!(seccomp, Some("RuntimeDefault" | "Localhost")), "seccompProfile"),
        (!list(&own["capabilities"], "drop").any(|name| name == "ALL"), "capabilities.drop"),
        (added.any(|name| name != "NET_BIND_SERVICE"), "capabilities.add"),
    ];
    broken.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect()
}
