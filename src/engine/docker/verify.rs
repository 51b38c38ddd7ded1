//! The made container against what was asked: whatever isolates it must be there before it starts.
//!
//! An engine, a plugin in front of it or a daemon's default may change a request (a privileged flag kept, a mount
//! added, a profile dropped). A container that differs is not started.

use std::collections::BTreeSet;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, HostConfig, MountType, PortMap};

/// Everything that differs, in words; empty when the container is what was asked for.
pub(super) fn differences(asked: &ContainerCreateBody, made: &ContainerInspectResponse) -> Vec<String> {
    let mut found = Differences::default();
    let (want, have) = (host(asked.host_config.as_ref()), host(made.host_config.as_ref()));
    found.compare("image", asked.image.as_deref(), made.image.as_deref());
    identity(&mut found, asked, made);
    isolation(&mut found, want, have);
    for what in super::unasked::found(have) {
        found.refuse(format!("{what}: never asked for, and made"));
    }
    limits(&mut found, want, have);
    found.compare("network mode", want.network_mode.as_deref(), have.network_mode.as_deref());
    found.compare("published ports", Some(ports(want)), Some(ports(have)));
    mounts(&mut found, want, have, made);
    found.0
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, asked: T, made: T) {
        if asked != made {
            self.0.push(format!("{what}: asked {asked:?}, made {made:?}"));
        }
    }

    fn refuse(&mut self, what: impl Into<String>) {
        self.0.push(what.into());
    }
}

fn identity(found: &mut Differences, asked: &ContainerCreateBody, made: &ContainerInspectResponse) {
    let config = made.config.clone().unwrap_or_default();
    if let Some(user) = &asked.user {
        found.compare("user", Some(user), config.user.as_ref());
    }
    if let Some(entrypoint) = &asked.entrypoint {
        found.compare("entrypoint", Some(entrypoint), config.entrypoint.as_ref());
    }
    if let Some(command) = &asked.cmd {
        found.compare("command", Some(command), config.cmd.as_ref());
    }
    if let Some(signal) = &asked.stop_signal {
        found.compare("stop signal", Some(signal), config.stop_signal.as_ref());
    }
    // Values may be secrets, so that only names are said.
    let have: BTreeSet<&String> = config.env.iter().flatten().collect();
    for variable in asked.env.iter().flatten().filter(|variable| !have.contains(variable)) {
        let name = variable.split('=').next().unwrap_or_default();
        found.refuse(format!("the variable {name} is not as asked"));
    }
    let labels = config.labels.unwrap_or_default();
    for (key, value) in asked.labels.iter().flatten() {
        found.compare(&format!("label {key}"), Some(value), labels.get(key));
    }
}

fn isolation(found: &mut Differences, want: &HostConfig, have: &HostConfig) {
    found.compare("privileged", want.privileged.unwrap_or(false), have.privileged.unwrap_or(false));
    found.compare("read-only root", want.readonly_rootfs, have.readonly_rootfs);
    found.compare("added capabilities", names(&want.cap_add), names(&have.cap_add));
    found.compare("dropped capabilities", names(&want.cap_drop), names(&have.cap_drop));
    found.compare("PID namespace", text(&want.pid_mode), text(&have.pid_mode));
    found.compare("IPC namespace", text(&want.ipc_mode), text(&have.ipc_mode));
    found.compare("UTS namespace", "", text(&have.uts_mode));
    found.compare("user namespace", "", text(&have.userns_mode));
    let devices = |config: &HostConfig| -> BTreeSet<String> {
        let all = config.devices.iter().flatten();
        all.filter_map(|device| device.path_on_host.clone()).collect()
    };
    found.compare("devices", devices(want), devices(have));
    if have.device_requests.as_ref().is_some_and(|requests| !requests.is_empty()) {
        found.refuse("device requests were added");
    }
    let options =
        |config: &HostConfig| -> BTreeSet<String> { config.security_opt.iter().flatten().cloned().collect() };
    let mut wanted = options(want);
    if want.privileged == Some(true) || text(&want.pid_mode) == "host" || text(&want.ipc_mode) == "host" {
        // The engine adds it by itself then: labels of SELinux can't hold across the host's namespaces.
        wanted.extend(options(have).into_iter().filter(|option| option == "label=disable"));
    }
    found.compare("security options", wanted, options(have));
    if have.sysctls.as_ref().is_some_and(|sysctls| !sysctls.is_empty()) {
        found.refuse("sysctls were added");
    }
    if have.volumes_from.as_ref().is_some_and(|volumes| !volumes.is_empty()) {
        found.refuse("volumes of other containers were added");
    }
}

fn limits(found: &mut Differences, want: &HostConfig, have: &HostConfig) {
    found.compare("memory limit", want.memory.unwrap_or(0), have.memory.unwrap_or(0));
    found.compare("CPU limit", want.nano_cpus.unwrap_or(0), have.nano_cpus.unwrap_or(0));
    found.compare("process limit", positive(want.pids_limit), positive(have.pids_limit));
    if let Some(bytes) = want.shm_size {
        found.compare("shared memory", Some(bytes), have.shm_size);
    }
    found.compare("folders in memory", folders(want), folders(have));
    found.compare("limits of processes", ulimits(want), ulimits(have));
    let restart = |config: &HostConfig| config.restart_policy.clone().unwrap_or_default();
    found.compare("restart policy", restart(want).name, restart(have).name);
    let log = |config: &HostConfig| config.log_config.clone().unwrap_or_default();
    found.compare("log driver", log(want), log(have));
}

fn folders(config: &HostConfig) -> BTreeSet<(&String, &String)> {
    config.tmpfs.iter().flatten().collect()
}

/// A daemon's own defaults are not among those of the container.
fn ulimits(config: &HostConfig) -> BTreeSet<(&str, Option<i64>, Option<i64>)> {
    let all = config.ulimits.iter().flatten();
    all.map(|limit| (text(&limit.name), limit.soft, limit.hard)).collect()
}

/// Host paths must be exactly those asked for. Volumes that the image itself declares are the engine's own to add.
fn mounts(found: &mut Differences, want: &HostConfig, have: &HostConfig, made: &ContainerInspectResponse) {
    if have.binds.as_ref().is_some_and(|binds| !binds.is_empty()) {
        found.refuse("binds were added");
    }
    let asked = |typ: MountType| -> BTreeSet<(String, String, bool)> {
        let all = want.mounts.iter().flatten().filter(|mount| mount.typ == Some(typ));
        all.map(|mount| {
            (text(&mount.source).into(), text(&mount.target).into(), mount.read_only == Some(true))
        })
        .collect()
    };
    let binds = asked(MountType::BIND);
    let volumes = asked(MountType::VOLUME);
    let mut seen = BTreeSet::new();
    for mount in made.mounts.iter().flatten() {
        let (target, read_only) = (text(&mount.destination).to_owned(), mount.rw == Some(false));
        match mount.typ.as_deref() {
            Some("bind") => {
                seen.insert((text(&mount.source).to_owned(), target, read_only));
            }
            Some("volume") => {
                let asked = volumes.iter().find(|(_, at, _)| *at == target);
                if let Some((source, _, asked_read_only)) = asked {
                    let same = source.is_empty() || source == text(&mount.name);
                    found.compare(
                        &format!("volume at {target}"),
                        (true, *asked_read_only),
                        (same, read_only),
                    );
                }
            }
            Some("tmpfs") => {}
            other => found.refuse(format!("a mount of kind {other:?} was added at {target}")),
        }
    }
    found.compare("host paths", &binds, &seen);
}

fn host(config: Option<&HostConfig>) -> &HostConfig {
    static NONE: std::sync::LazyLock<HostConfig> = std::sync::LazyLock::new(HostConfig::default);
    config.unwrap_or(&NONE)
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

/// 0, -1 and absent all mean no limit.
fn positive(limit: Option<i64>) -> Option<i64> {
    limit.filter(|limit| *limit > 0)
}

/// Capability names; newer engines give them their prefix.
fn names(list: &Option<Vec<String>>) -> BTreeSet<&str> {
    let all = list.iter().flatten().map(String::as_str);
    all.map(|name| name.strip_prefix("CAP_").unwrap_or(name)).collect()
}

fn ports(config: &HostConfig) -> BTreeSet<(String, String, String)> {
    let empty = PortMap::new();
    let all = config.port_bindings.as_ref().unwrap_or(&empty).iter();
    all.flat_map(|(port, bindings)| {
        bindings.iter().flatten().map(|binding| {
            let host_port = text(&binding.host_port).trim_start_matches('0').to_owned();
            (port.clone(), text(&binding.host_ip).to_owned(), host_port)
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerConfig, MountPoint};

    use super::*;

    fn asked() -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some("sha256:1".into()),
            env: Some(vec!["A=1".into()]),
            user: Some("1000".into()),
            host_config: Some(HostConfig {
                cap_drop: Some(vec!["ALL".into()]),
                cap_add: Some(vec!["CHOWN".into()]),
                security_opt: Some(vec!["no-new-privileges".into()]),
                privileged: Some(false),
                memory: Some(1 << 20),
                shm_size: Some(1 << 20),
                pids_limit: Some(0),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn made() -> ContainerInspectResponse {
        let asked = asked();
        let mut host = asked.host_config.unwrap();
        host.cap_add = Some(vec!["CAP_CHOWN".into()]);
        host.pids_limit = None;
        ContainerInspectResponse {
            image: asked.image,
            host_config: Some(host),
            config: Some(ContainerConfig {
                env: Some(vec!["PATH=/bin".into(), "A=1".into()]),
                user: asked.user,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn what_was_asked_is_accepted_in_the_engine_s_own_spelling() {
        assert_eq!(differences(&asked(), &made()), Vec::<String>::new());
    }

    #[test]
    fn every_field_that_isolates_is_compared() {
        type Change = fn(&mut ContainerInspectResponse, &mut HostConfig);
        let changes: [(&str, Change); 18] = [
            ("image", |made, _| made.image = Some("sha256:2".into())),
            ("user", |made, _| made.config.as_mut().unwrap().user = Some(String::new())),
            ("variable A", |made, _| made.config.as_mut().unwrap().env = None),
            ("privileged", |_, host| host.privileged = Some(true)),
            ("added cap", |_, host| host.cap_add.as_mut().unwrap().push("SYS_ADMIN".into())),
            ("dropped cap", |_, host| host.cap_drop = None),
            ("PID", |_, host| host.pid_mode = Some("host".into())),
            ("IPC", |_, host| host.ipc_mode = Some("host".into())),
            ("security", |_, host| host.security_opt.as_mut().unwrap().push("seccomp=unconfined".into())),
            ("memory", |_, host| host.memory = Some(0)),
            ("binds", |_, host| host.binds = Some(vec!["/:/host".into()])),
            ("shared memory", |_, host| host.shm_size = Some(64 << 20)),
            ("folders in memory", |_, host| {
                host.tmpfs = Some([("/run".into(), "exec".into())].into());
            }),
            ("limits of processes", |_, host| host.ulimits = Some(vec![Default::default()])),
            ("devices", |_, host| {
                host.devices = Some(vec![bollard::models::DeviceMapping {
                    path_on_host: Some("/dev/kvm".into()),
                    ..Default::default()
                }])
            }),
            ("network mode", |_, host| host.network_mode = Some("host".into())),
            ("ports", |_, host| {
                host.port_bindings = Some(PortMap::from([("80/tcp".into(), Some(vec![Default::default()]))]))
            }),
            ("host paths", |made, _| {
                made.mounts = Some(vec![MountPoint {
                    typ: Some("bind".into()),
                    source: Some("/var/run/docker.sock".into()),
                    destination: Some("/s".into()),
                    rw: Some(true),
                    ..Default::default()
                }])
            }),
        ];
        for (what, change) in changes {
            let mut made = made();
            let mut host = made.host_config.take().unwrap();
            change(&mut made, &mut host);
            made.host_config = Some(host);
            let found = differences(&asked(), &made);
            assert!(found.iter().any(|text| text.contains(what)), "{what}: {found:?}");
        }
    }
}
