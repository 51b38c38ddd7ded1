//! What a service asks for beyond the workload policy, and what it gives up that every container gives up anyway.
//!
//! The first become [`Exception`]s, which only an administrator's grant lets through; the second are accepted, since
//! what they say holds. Everything between the two is refused here, because no grant exists for it.

use std::collections::BTreeSet;

use crate::compose::Context;
use crate::compose::field::{Field, Table};
use crate::compose::paths;
use crate::domain::policy::{BASELINE_CAPABILITIES, Exception};

const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// What a service wants of its privileges.
#[derive(Debug)]
pub struct Asked {
    pub exceptions: BTreeSet<Exception>,
    /// Capabilities of the baseline that it gives up.
    pub dropped: BTreeSet<String>,
}

/// What the keys of the service `table` ask for.
pub fn read(service: &Table<'_>, cx: &mut Context<'_>) -> Asked {
    let mut asked = BTreeSet::new();
    if flag(service, "privileged", cx) {
        asked.insert(Exception::Privileged);
    }
    asked.extend(namespace(service, "network_mode", Exception::HostNetwork, &[], cx));
    asked.extend(namespace(service, "pid", Exception::HostPid, &[], cx));
    asked.extend(namespace(service, "ipc", Exception::HostIpc, &["private"], cx));
    let (mut kept, mut dropped) = (BTreeSet::new(), BTreeSet::new());
    items(service, "cap_add", "`- SYS_PTRACE`", cx, |item, cx| {
        if let Some(name) = capability(item, cx) {
            match BASELINE_CAPABILITIES.contains(&name.as_str()) {
                true => kept.insert(name),
                false => asked.insert(Exception::Capability(name)),
            };
        }
    });
    items(service, "cap_drop", "`- NET_RAW`", cx, |item, cx| match capability(item, cx).as_deref() {
        Some("ALL") => dropped.extend(BASELINE_CAPABILITIES.map(str::to_owned)),
        Some(name) if BASELINE_CAPABILITIES.contains(&name) => dropped.extend([name.to_owned()]),
        // Every container lacks the others.
        _ => {}
    });
    items(service, "devices", "`- /dev/fuse`", cx, |item, cx| asked.extend(device(item, cx)));
    items(service, "security_opt", "`- no-new-privileges:true`", cx, |item, cx| {
        asked.extend(security(item, cx))
    });
    refuse_set(service, cx);
    Asked { exceptions: asked, dropped: &dropped - &kept }
}

fn items(
    service: &Table<'_>,
    key: &str,
    example: &str,
    cx: &mut Context<'_>,
    mut each: impl FnMut(&Field<'_>, &mut Context<'_>),
) {
    let Some(field) = service.get(key) else { return };
    for item in field.items(example, &mut cx.report).unwrap_or_default() {
        each(&item, cx);
    }
}

fn flag(service: &Table<'_>, key: &str, cx: &mut Context<'_>) -> bool {
    service.get(key).and_then(|field| field.boolean(&mut cx.report)).unwrap_or(false)
}

/// Keys that may stand there with the value that holds anyway, and with no other.
fn refuse_set(service: &Table<'_>, cx: &mut Context<'_>) {
    let keys = [
        (
            "tty",
            "Remove it: a service runs without a terminal. For colours or line buffering set the program's own option.",
        ),
        ("stdin_open", "Remove it: nobody is attached to a service's input."),
    ];
    for (key, hint) in keys {
        if flag(service, key, cx)
            && let Some(field) = service.get(key)
        {
            field.refuse(&mut cx.report, "only `false` is supported", hint);
        }
    }
    if let Some(field) = service.get("init")
        && field.boolean(&mut cx.report) == Some(false)
    {
        field.refuse(
            &mut cx.report,
            "only `true` is supported",
            "Remove it: every container runs under an init that reaps children and hands signals on.",
        );
    }
    if let Some(field) = service.get("cgroup")
        && field.text(&mut cx.report).is_some_and(|mode| mode != "private")
    {
        field.refuse(
            &mut cx.report,
            "only `private` is supported",
            "Remove it: a container has a cgroup of its own.",
        );
    }
}

/// `host` asks for the exception; `already` are values that hold anyway.
fn namespace(
    service: &Table<'_>,
    key: &str,
    exception: Exception,
    already: &[&str],
    cx: &mut Context<'_>,
) -> Option<Exception> {
    let field = service.get(key)?;
    let text = field.filled(&mut cx.report)?;
    if text == "host" {
        return Some(exception);
    }
    if !already.contains(&text) {
        let hint = match key {
            "network_mode" => {
                "Remove it: services of a workload share a network of their own and reach each other by name."
            }
            _ => "Remove it: every container has a namespace of its own.",
        };
        field.refuse(&mut cx.report, format!("{text:?} is not supported"), hint);
    }
    None
}

fn capability(item: &Field<'_>, cx: &mut Context<'_>) -> Option<String> {
    let text = item.filled(&mut cx.report)?;
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned();
    if name == "ALL" || CAPABILITIES.contains(&name.as_str()) {
        return Some(name);
    }
    let hint = match cx.report.nearest(&name, CAPABILITIES.into_iter()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => "`man capabilities` lists them.".to_owned(),
    };
    item.refuse(&mut cx.report, format!("{text:?} is no capability"), hint);
    None
}

/// A device under its own path, for reading, writing and making nodes: what an exception names.
fn device(item: &Field<'_>, cx: &mut Context<'_>) -> Option<Exception> {
    const HINT: &str =
        "Write the device's path alone, such as `/dev/fuse`; it needs an administrator's exception.";
    if item.is_map() {
        item.refuse(&mut cx.report, "the long syntax of devices is not supported", HINT);
        return None;
    }
    let text = item.filled(&mut cx.report)?;
    let parts: Vec<&str> = text.split(':').collect();
    let same = match parts.as_slice() {
        [_] => true,
        [host, container] => host == container,
        [host, container, "rwm"] => host == container,
        _ => false,
    };
    if !same || !parts[0].starts_with("/dev/") {
        item.refuse(&mut cx.report, format!("{text:?} is not supported"), HINT);
        return None;
    }
    paths::host(parts[0], item, &mut cx.report).map(Exception::Device)
}

fn security(item: &Field<'_>, cx: &mut Context<'_>) -> Option<Exception> {
    let text = item.filled(&mut cx.report)?;
    match text.replacen('=', ":", 1).as_str() {
        // Imposed on every container.
        "no-new-privileges" | "no-new-privileges:true" => None,
        "seccomp:unconfined" => Some(Exception::Unconfined("seccomp".to_owned())),
        "apparmor:unconfined" => Some(Exception::Unconfined("apparmor".to_owned())),
        "label:disable" => Some(Exception::Unconfined("selinux".to_owned())),
        _ => {
            let hint = "Remove it: containers run under the engine's profiles, without new privileges. \
                        `seccomp:unconfined`, `apparmor:unconfined` and `label:disable` need an administrator's exception.";
            item.refuse(&mut cx.report, format!("{text:?} is not supported"), hint);
            None
        }
    }
}
