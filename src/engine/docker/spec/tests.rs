//! Every field of what an engine is asked for is decided: each is named here without a rest, so that one that the
//! engine's API gains breaks the build until somebody has said what becomes of it.

use std::sync::Arc;

use bollard::models::EndpointSettings;

use super::*;
use crate::domain::workload::{HostMount, Image, Port, Tmpfs, UpdateOrder, VolumeMount};
use crate::engine::ResolvedImage;

/// A service that asks for all there is.
fn greedy() -> Service {
    let argv = || Some(vec!["a".to_owned()]);
    Service {
        kind: ServiceKind::Replicated,
        image: Image::Reference("a".into()),
        replicas: 2,
        entrypoint: argv(),
        command: argv(),
        environment: [("A".to_owned(), EnvValue::Plain("1".into()))].into(),
        files: Vec::new(),
        volumes: vec![VolumeMount {
            volume: crate::domain::name::VolumeName::parse("data").unwrap(),
            target: "/data".into(),
            read_only: false,
            scratch: true,
        }],
        tmpfs: vec![Tmpfs { target: "/t".into(), size_bytes: Some(1), mode: None, executable: true }],
        shm_bytes: Some(1),
        host_mounts: vec![HostMount { source: "/srv".into(), target: "/srv".into(), read_only: false }],
        secrets: Vec::new(),
        configs: Vec::new(),
        health: None,
        object_labels: [("datacater.io/app".to_owned(), "a".to_owned())].into(),
        any_end: false,
        ingress_path: None,
        ports: vec![Port { container_port: 80, protocol: Protocol::Tcp, host_ip: None, host_port: Some(80) }],
        expose: [81].into(),
        healthcheck: None,
        depends_on: std::collections::BTreeMap::new(),
        resources: Resources::default(),
        restart: Restart::Always,
        working_dir: Some("/".into()),
        user: Some("0".into()),
        labels: [("io.slipway.instance".to_owned(), "forged".to_owned())].into(),
        read_only: true,
        dropped_capabilities: std::collections::BTreeSet::new(),
        ulimits: [("nofile".to_owned(), Ulimit { soft: 1, hard: 1 })].into(),
        stop_signal: Some("SIGINT".into()),
        stop_grace_seconds: 1,
        order: UpdateOrder::StartFirst,
        metrics: None,
        exposed: false,
        exceptions: [Exception::HostPath("/srv".into())].into(),
    }
}

fn request(service: Service, profile: Profile) -> ServiceRequest {
    ServiceRequest {
        workload: crate::domain::name::DeploymentId::parse("iris").unwrap(),
        name: crate::domain::name::ServiceName::parse("api").unwrap(),
        revision: 1,
        hash: "hash".into(),
        service: Arc::new(service),
        profile,
        image: ResolvedImage::new("sha256:1", "a"),
        network: "net".into(),
        has_peers: true,
        secrets: Arc::default(),
        contents: Arc::default(),
    }
}

fn asked(service: Service, profile: Profile) -> ContainerCreateBody {
    let names = Names::new("instance");
    let publish = std::net::Ipv4Addr::LOCALHOST.into();
    let setting = Setting { names: &names, publish, knows_start_interval: true };
    container(&request(service, profile), 0, true, setting).unwrap()
}

#[test]
fn every_field_of_a_container_is_decided_or_never_asked_for() {
    let ContainerCreateBody {
        // Decided, by the service and the policy.
        image,
        labels,
        env,
        entrypoint: _,
        cmd: _,
        user: _,
        working_dir: _,
        exposed_ports: _,
        healthcheck: _,
        stop_signal: _,
        stop_timeout: _,
        tty,
        open_stdin,
        host_config,
        networking_config,
        // Never asked for: names of hosts are the engine's, streams are read from its log.
        hostname,
        domainname,
        attach_stdin,
        attach_stdout,
        attach_stderr,
        stdin_once,
        args_escaped,
        volumes,
        network_disabled,
        on_build,
        shell,
    } = asked(greedy(), Profile::Baseline);
    assert_eq!((image.as_deref(), tty, open_stdin), (Some("sha256:1"), Some(false), Some(false)));
    assert_eq!(labels.unwrap()["io.slipway.instance"], "instance", "a label of ours can't be forged");
    assert_eq!(env.unwrap(), ["A=1"]);
    assert_eq!((hostname, domainname, shell, on_build), (None, None, None, None));
    assert_eq!((attach_stdin, attach_stdout, attach_stderr, stdin_once), (None, None, None, None));
    assert_eq!((args_escaped, volumes, network_disabled), (None, None, None));
    host_is_decided(&host_config.unwrap());
    let NetworkingConfig { endpoints_config } = networking_config.unwrap();
    for (network, endpoint) in endpoints_config.unwrap() {
        assert_eq!(network, "net");
        endpoint_is_decided(endpoint);
    }
}

/// What isolates is always said, so that no default of a daemon decides; the rest is never asked for.
fn host_is_decided(host: &HostConfig) {
    assert_eq!(super::super::unasked::found(host), Vec::<&str>::new());
    let said = [
        host.privileged.is_some(),
        host.readonly_rootfs == Some(true),
        host.cap_drop.as_deref() == Some(&["ALL".to_owned()]),
        host.cap_add.is_some(),
        host.security_opt.as_deref() == Some(&["no-new-privileges".to_owned()]),
        host.devices.as_deref() == Some(&[]),
        host.pid_mode.as_deref() == Some(""),
        host.ipc_mode.as_deref() == Some("private"),
        host.network_mode.as_deref() == Some("net"),
        host.port_bindings.is_some(),
        host.restart_policy.is_some(),
        host.log_config.is_some(),
        host.memory.is_some() && host.memory == host.memory_swap,
        host.nano_cpus.is_some(),
        host.pids_limit.is_some(),
        host.mounts.is_some(),
        host.tmpfs.is_some(),
        host.ulimits.is_some(),
        host.init.is_some(),
        host.auto_remove == Some(false),
        host.publish_all_ports == Some(false),
    ];
    assert!(said.iter().all(|said| *said), "{said:?}: {host:?}");
    // By name: what is left when the decided ones are taken out must be empty.
    let left = HostConfig {
        privileged: None,
        readonly_rootfs: None,
        cap_drop: None,
        cap_add: None,
        security_opt: None,
        devices: None,
        pid_mode: None,
        ipc_mode: None,
        network_mode: None,
        port_bindings: None,
        restart_policy: None,
        log_config: None,
        memory: None,
        memory_swap: None,
        memory_reservation: None,
        nano_cpus: None,
        pids_limit: None,
        mounts: None,
        tmpfs: None,
        shm_size: None,
        ulimits: None,
        init: None,
        auto_remove: None,
        publish_all_ports: None,
        ..host.clone()
    };
    assert_eq!(left, HostConfig::default(), "asked for, and classified by nobody");
}

fn endpoint_is_decided(endpoint: EndpointSettings) {
    let EndpointSettings {
        aliases,
        // Never asked for: addresses are the engine's to give.
        ipam_config,
        links,
        mac_address,
        driver_opts,
        gw_priority,
        // What it answers.
        network_id: _,
        endpoint_id: _,
        gateway: _,
        ip_address: _,
        ip_prefix_len: _,
        ipv6_gateway: _,
        global_ipv6_address: _,
        global_ipv6_prefix_len: _,
        dns_names: _,
    } = endpoint;
    assert_eq!(aliases.as_deref(), Some(&["api".to_owned()][..]));
    assert_eq!((ipam_config, links, mac_address, driver_opts, gw_priority), (None, None, None, None, None));
}

#[test]
fn each_exception_opens_its_own_door_and_no_other() {
    let plain = || Service { exceptions: [Exception::HostPath("/srv".into())].into(), ..greedy() };
    let host = |service: Service| asked(service, Profile::Baseline).host_config.unwrap();
    let base = host(plain());
    type Undo = fn(&mut HostConfig, &HostConfig);
    let cases: [(Exception, Undo); 7] = [
        (Exception::Privileged, |host, base| host.privileged = base.privileged),
        (Exception::Capability("NET_ADMIN".into()), |host, base| host.cap_add = base.cap_add.clone()),
        (Exception::Device("/dev/kvm".into()), |host, base| host.devices = base.devices.clone()),
        (Exception::HostPid, |host, base| host.pid_mode = base.pid_mode.clone()),
        (Exception::HostIpc, |host, base| host.ipc_mode = base.ipc_mode.clone()),
        (Exception::Unconfined("seccomp".into()), |host, base| host.security_opt = base.security_opt.clone()),
        (Exception::HostNetwork, |host, base| {
            host.network_mode = base.network_mode.clone();
            host.port_bindings = base.port_bindings.clone();
        }),
    ];
    for (exception, undo) in cases {
        let mut service = plain();
        service.exceptions.insert(exception.clone());
        let mut opened = host(service);
        assert_ne!(opened, base, "{exception} does nothing");
        undo(&mut opened, &base);
        assert_eq!(opened, base, "{exception} opens more than its own");
    }
    let mut without = greedy();
    without.exceptions.clear();
    let setting = Setting {
        names: &Names::new("i"),
        publish: std::net::Ipv4Addr::LOCALHOST.into(),
        knows_start_interval: true,
    };
    let refused = container(&request(without, Profile::Baseline), 0, true, setting);
    assert!(matches!(refused, Err(EngineError::Refused(_))), "a host path without its exception");
}
