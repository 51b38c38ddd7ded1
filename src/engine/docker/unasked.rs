//! What Slipway never asks an engine for. Every field of a container's host configuration is named here once, without a
//! rest: a field that a new version of the engine's API adds breaks the build until somebody has said what it is.

use bollard::models::{HostConfig, HostConfigIsolationEnum};

/// What a container has of that, in words; empty for one that is as it was asked for.
///
/// Fields that are asked for are compared in [`super::verify`]. Fields that only share the host's time out, and those
/// that an engine fills with its own default (its runtime, its cgroup), are the engine's business.
pub(super) fn found(config: &HostConfig) -> Vec<&'static str> {
    let HostConfig {
        // Asked for, and compared.
        memory: _,
        devices: _,
        nano_cpus: _,
        pids_limit: _,
        ulimits: _,
        log_config: _,
        network_mode: _,
        port_bindings: _,
        restart_policy: _,
        mounts: _,
        cap_add: _,
        cap_drop: _,
        ipc_mode: _,
        pid_mode: _,
        privileged,
        readonly_rootfs: _,
        security_opt: _,
        tmpfs: _,
        shm_size: _,
        // Never asked for, and compared with nothing.
        device_requests: _,
        binds: _,
        volumes_from: _,
        uts_mode: _,
        userns_mode: _,
        sysctls: _,
        // Asked for; an engine on an older kernel leaves it out, with no harm to anybody else.
        memory_reservation: _,
        memory_swap: _,
        init: _,
        auto_remove,
        publish_all_ports,
        // Shares of time and of the disk's turns: the engine's business.
        cpu_shares: _,
        cgroup_parent: _,
        blkio_weight: _,
        blkio_weight_device: _,
        blkio_device_read_bps: _,
        blkio_device_write_bps: _,
        blkio_device_read_iops: _,
        blkio_device_write_iops: _,
        cpu_period: _,
        cpu_quota: _,
        cpuset_cpus: _,
        cpuset_mems: _,
        memory_swappiness: _,
        cpu_count: _,
        cpu_percent: _,
        io_maximum_iops: _,
        io_maximum_bandwidth: _,
        console_size: _,
        // The engine's own defaults. On cgroup v1 the namespace is the host's by default.
        runtime: _,
        cgroupns_mode: _,
        annotations: _,
        volume_driver: _,
        container_id_file: _,
        // What gives a container more than was asked for, or leads it elsewhere.
        cpu_realtime_period,
        cpu_realtime_runtime,
        device_cgroup_rules,
        oom_kill_disable,
        oom_score_adj,
        dns,
        dns_options,
        dns_search,
        extra_hosts,
        group_add,
        cgroup,
        links,
        storage_opt,
        isolation,
        masked_paths,
        readonly_paths,
    } = config;
    // `None` is the engine's own list; an empty one hides nothing of the kernel's.
    let bared = |paths: &Option<Vec<String>>| {
        *privileged != Some(true) && paths.as_ref().is_some_and(|paths| paths.is_empty())
    };
    let all = [
        ("realtime shares of the CPU", more(*cpu_realtime_period) || more(*cpu_realtime_runtime)),
        ("rules for devices", filled(device_cgroup_rules)),
        ("no end when memory runs out", *oom_kill_disable == Some(true)),
        ("a place behind others when memory runs out", oom_score_adj.is_some_and(|score| score < 0)),
        ("name servers", filled(dns) || filled(dns_options) || filled(dns_search)),
        ("names of other hosts", filled(extra_hosts)),
        ("groups", filled(group_add)),
        ("another container's cgroup", cgroup.as_ref().is_some_and(|cgroup| !cgroup.is_empty())),
        ("links to other containers", filled(links)),
        ("options of the storage", storage_opt.as_ref().is_some_and(|options| !options.is_empty())),
        (
            "another isolation",
            isolation.is_some_and(|kind| {
                !matches!(kind, HostConfigIsolationEnum::EMPTY | HostConfigIsolationEnum::DEFAULT)
            }),
        ),
        ("sight of the kernel's hidden paths", bared(masked_paths)),
        ("writing to the kernel's read-only paths", bared(readonly_paths)),
        ("its own removal", *auto_remove == Some(true)),
        ("every port published", *publish_all_ports == Some(true)),
    ];
    all.into_iter().filter_map(|(what, has)| has.then_some(what)).collect()
}

fn filled(list: &Option<Vec<String>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

fn more(share: Option<i64>) -> bool {
    share.is_some_and(|share| share > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_them_is_found() {
        type Change = fn(&mut HostConfig);
        let changes: [(&str, Change); 17] = [
            ("realtime", |host| host.cpu_realtime_runtime = Some(1)),
            ("realtime", |host| host.cpu_realtime_period = Some(1)),
            ("rules for devices", |host| host.device_cgroup_rules = Some(vec!["a *:* rwm".into()])),
            ("memory runs out", |host| host.oom_kill_disable = Some(true)),
            ("memory runs out", |host| host.oom_score_adj = Some(-1)),
            ("name servers", |host| host.dns = Some(vec!["192.0.2.1".into()])),
            ("name servers", |host| host.dns_search = Some(vec!["evil.example".into()])),
            ("other hosts", |host| host.extra_hosts = Some(vec!["db:192.0.2.1".into()])),
            ("groups", |host| host.group_add = Some(vec!["docker".into()])),
            ("cgroup", |host| host.cgroup = Some("container:x".into())),
            ("links", |host| host.links = Some(vec!["db:db".into()])),
            ("storage", |host| host.storage_opt = Some([("size".into(), "1T".into())].into())),
            ("isolation", |host| host.isolation = Some(HostConfigIsolationEnum::PROCESS)),
            ("hidden paths", |host| host.masked_paths = Some(Vec::new())),
            ("read-only paths", |host| host.readonly_paths = Some(Vec::new())),
            ("removal", |host| host.auto_remove = Some(true)),
            ("every port", |host| host.publish_all_ports = Some(true)),
        ];
        for (what, change) in changes {
            let mut host = HostConfig::default();
            assert_eq!(found(&host), Vec::<&str>::new());
            change(&mut host);
            assert!(found(&host).iter().any(|found| found.contains(what)), "{what}: {:?}", found(&host));
        }
    }

    #[test]
    fn what_an_engine_fills_in_by_itself_is_let_pass() {
        let host = HostConfig {
            runtime: Some("runc".into()),
            isolation: Some(HostConfigIsolationEnum::EMPTY),
            oom_kill_disable: Some(false),
            oom_score_adj: Some(0),
            dns: Some(Vec::new()),
            masked_paths: Some(vec!["/proc/kcore".into()]),
            readonly_paths: Some(vec!["/proc/sys".into()]),
            cgroup: Some(String::new()),
            ..HostConfig::default()
        };
        assert_eq!(found(&host), Vec::<&str>::new());
        let privileged = HostConfig { privileged: Some(true), masked_paths: Some(Vec::new()), ..host };
        assert_eq!(found(&privileged), Vec::<&str>::new());
    }
}
