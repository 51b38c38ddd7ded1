//! What a replica is made of: its image, values, files and ports.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use slipway::domain::bundle::Digest;
use slipway::domain::workload::{
    Build, EnvValue, FileMount, Image, Port, Protocol, Restart, SecretMount, ServiceKind, Tmpfs, Ulimit,
};
use slipway::engine::{EngineError, FileContent, LogOptions, Phase, PrepareRequest, ServiceRequest, SlotRef};

use super::bed::{Bed, Harness, Lacks, Lines, contents, sh};

pub async fn it_says_what_it_is<H: Harness>(bed: &Bed<H>) {
    let report = bed.engine.check().await.unwrap();
    assert!(!report.version.is_empty() && !report.api_version.is_empty());
    assert!(report.cpus > 0 && report.memory_bytes > 0);
    assert_eq!(report.missing, Vec::<String>::new());
}

pub async fn the_first_replicas_run_and_serve<H: Harness>(bed: &Bed<H>) {
    let mut service = sh("sleep 600");
    service.replicas = 2;
    let up = bed.up(service, 7).await;
    assert_eq!(up.ensured.slots.len(), 2);
    assert_eq!(up.ensured.fresh, up.ensured.slots);
    assert!(up.ensured.stopped.is_empty() && up.ensured.superseded.is_empty());
    for (index, slot) in (0..).zip(&up.ensured.slots) {
        let state = bed.running(slot).await;
        assert_eq!((state.slot.index, state.revision), (index, 7));
        assert_eq!(state.image_id, up.resolution.images[&bed.service].id);
        assert!(state.serving, "nothing served before, so it serves at once");
        assert!(state.started_at.is_some() && state.ended_at.is_none());
        assert_eq!((state.restarts, state.drift), (0, None));
    }
    assert_eq!(bed.states().await.len(), 2);
}

pub async fn values_reach_the_container_as_variables_and_files<H: Harness>(bed: &Bed<H>) {
    let script =
        "echo $PLAIN; echo $TOKEN; cat /run/secrets/password; cat /etc/app/app.conf; cat /etc/app/password";
    let mut service = sh(script);
    service.kind = ServiceKind::Task;
    let plain = EnvValue::Plain("a b=c".into());
    let secret = EnvValue::Secret { name: "TOKEN".parse().unwrap(), version: 3 };
    service.environment = BTreeMap::from([("PLAIN".into(), plain), ("TOKEN".into(), secret)]);
    let mount = |source: &str, target: &str| SecretMount {
        source: source.parse().unwrap(),
        target: target.into(),
        mode: 0o444,
    };
    service.secrets = vec![mount("password", "/run/secrets/password")];
    // A config may bear a secret's name.
    service.configs = vec![mount("app_conf", "/etc/app/app.conf"), mount("password", "/etc/app/password")];
    let plan = bed.plan(service);
    let (resolution, _) = bed.prepare(&plan, None).await;
    let mut request = bed.request(&plan, &resolution, 1);
    request.secrets = Arc::new(BTreeMap::from([("TOKEN".parse().unwrap(), "t0ken".into())]));
    request.contents = contents(
        &[("password", FileContent::Secret("hunter2\n".into()))],
        &[
            ("app_conf", FileContent::Plain("key = 1\n".into())),
            ("password", FileContent::Plain("12 letters\n".into())),
        ],
    );
    let ensured = bed.engine.ensure(&request).await.unwrap();
    assert_eq!(bed.output(&ensured.slots[0]).await, ["a b=c", "t0ken", "hunter2", "key = 1", "12 letters"]);
}

pub async fn a_read_only_service_writes_to_memory_alone<H: Harness>(bed: &Bed<H>) {
    let memory = |target: &str| Tmpfs {
        target: target.into(),
        size_bytes: Some(8 << 20),
        mode: None,
        executable: false,
    };
    let script = "ulimit -n; touch /scratch/x && echo written; touch /x && echo never";
    let mut service = sh(script);
    service.kind = ServiceKind::Task;
    service.restart = Restart::No;
    service.read_only = true;
    service.tmpfs = vec![memory("/scratch")];
    service.ulimits = BTreeMap::from([("nofile".into(), Ulimit { soft: 1_000, hard: 2_000 })]);
    let up = bed.up(service, 1).await;
    let slot = &up.ensured.slots[0];
    let lines = bed.output(slot).await;
    // What comes of two pipes is written down in either order.
    let (refused, said): (Vec<&str>, Vec<&str>) =
        lines.iter().map(String::as_str).partition(|line| line.contains("Read-only file system"));
    let own = if bed.lacks(Lacks::Ulimits) { said[0] } else { "1000" };
    assert_eq!((said.clone(), refused.len()), (vec![own, "written"], 1), "{lines:?}");
    assert_eq!(bed.exited(slot).await.phase, Phase::Exited { code: 1, oom_killed: false });
}

pub async fn files_of_the_bundle_are_there_and_built_once<H: Harness>(bed: &Bed<H>) {
    let bundle = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(bundle.path().join("conf/deep")).unwrap();
    std::fs::write(bundle.path().join("conf/deep/a.txt"), "from a folder\n").unwrap();
    std::fs::write(bundle.path().join("one.txt"), "from a file\n").unwrap();
    let mut service = sh("cat /app/conf/deep/a.txt; cat /app/one.txt");
    service.kind = ServiceKind::Task;
    let mount = |source: &str, target: &str| FileMount { source: source.into(), target: target.into() };
    service.files = vec![mount("conf", "/app/conf"), mount("one.txt", "/app/one.txt")];
    let mut plan = bed.plan(service);
    plan.inputs.insert(bed.service.clone(), Digest::of(b"inputs"));
    let (first, told) = bed.prepare(&plan, Some(bundle.path().to_owned())).await;
    assert!(!told.is_empty());
    let (again, told) = bed.prepare(&plan, Some(bundle.path().to_owned())).await;
    assert_eq!(first, again, "the same inputs give the same image");
    assert!(told.is_empty(), "nothing was built again: {told:?}");
    let request = bed.request(&plan, &first, 1);
    let ensured = bed.engine.ensure(&request).await.unwrap();
    assert_eq!(bed.output(&ensured.slots[0]).await, ["from a folder", "from a file"]);
    std::fs::write(bundle.path().join("one.txt"), "another\n").unwrap();
    plan.inputs.insert(bed.service.clone(), Digest::of(b"other inputs"));
    let (other, _) = bed.prepare(&plan, Some(bundle.path().to_owned())).await;
    assert_ne!(first.images, other.images);
}

fn build(dockerfile: &str) -> Build {
    Build {
        context: "src".into(),
        dockerfile: dockerfile.into(),
        target: None,
        args: BTreeMap::from([("WHO".into(), "world".into())]),
    }
}

pub async fn an_image_is_built_from_the_bundle_once<H: Harness>(bed: &Bed<H>) {
    let bundle = tempfile::tempdir().unwrap();
    std::fs::create_dir(bundle.path().join("src")).unwrap();
    let dockerfile = "FROM busybox:lab\nARG WHO\nRUN echo built for $WHO\nCOPY greeting /greeting\n";
    std::fs::write(bundle.path().join("src/Dockerfile"), dockerfile).unwrap();
    std::fs::write(bundle.path().join("src/greeting"), "hello\n").unwrap();
    let mut service = sh("sleep 600");
    service.image = Image::Build(build("Dockerfile"));
    let mut plan = bed.plan(service);
    plan.inputs.insert(bed.service.clone(), Digest::of(b"sources"));
    let (first, told) = bed.prepare(&plan, Some(bundle.path().to_owned())).await;
    assert!(!told.is_empty());
    let (again, told) = bed.prepare(&plan, Some(bundle.path().to_owned())).await;
    assert_eq!((first.clone(), told), (again, Vec::new()));
    let ensured = bed.engine.ensure(&bed.request(&plan, &first, 1)).await.unwrap();
    let state = bed.running(&ensured.slots[0]).await;
    assert_eq!(state.image_id, first.images[&bed.service].id);
}

pub async fn a_build_without_its_dockerfile_fails_in_words<H: Harness>(bed: &Bed<H>) {
    let bundle = tempfile::tempdir().unwrap();
    std::fs::create_dir(bundle.path().join("src")).unwrap();
    let mut service = sh("sleep 600");
    service.image = Image::Build(build("Dockerfile.missing"));
    let request = PrepareRequest {
        plan: Arc::new(bed.plan(service)),
        files: Some(bundle.path().to_owned()),
        registries: bed.harness.registries(),
        pinned: BTreeMap::new(),
        builder: bed.harness.builder(),
    };
    let error = bed.engine.prepare(&request, &Lines::default()).await.unwrap_err();
    let EngineError::BuildFailed { service, detail, .. } = error else { panic!("{error}") };
    assert_eq!(service, "api");
    assert!(detail.contains("Dockerfile.missing"), "{detail}");
}

fn port(container_port: u16, host_port: Option<u16>) -> Port {
    Port { container_port, protocol: Protocol::Tcp, host_port, host_ip: None }
}

/// A port of this host that is free now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

pub async fn ports_are_published_where_asked<H: Harness>(bed: &Bed<H>) {
    let fixed = free_port();
    let mut service = sh("sleep 600");
    service.ports = vec![port(8080, None), port(9090, Some(fixed))];
    let up = bed.up(service, 1).await;
    let state = bed.running(&up.ensured.slots[0]).await;
    let endpoints = &state.endpoints;
    assert_eq!(endpoints.len(), 2, "{endpoints:?}");
    assert_eq!((endpoints[0].container_port, endpoints[1].container_port), (8080, 9090));
    assert!(endpoints[0].host_port.unwrap() > 0);
    if bed.lacks(Lacks::HostPorts) {
        assert!(endpoints.iter().all(|endpoint| (30_000..32_768).contains(&endpoint.host_port.unwrap())));
        return;
    }
    assert_eq!(endpoints[1].host_port, Some(fixed));
    assert!(endpoints.iter().all(|endpoint| endpoint.host_ip == Some(Ipv4Addr::LOCALHOST.into())));
}

pub async fn a_held_port_is_named<H: Harness>(bed: &Bed<H>) {
    if bed.lacks(Lacks::HostPorts) {
        return a_held_node_port_is_named(bed).await;
    }
    let fixed = free_port();
    let mut service = sh("sleep 600");
    service.ports = vec![port(8080, Some(fixed))];
    service.replicas = 2;
    let plan = bed.plan(service);
    let (resolution, _) = bed.prepare(&plan, None).await;
    let request = bed.request(&plan, &resolution, 1);
    let error = bed.engine.ensure(&request).await.unwrap_err();
    assert!(matches!(error, EngineError::PortTaken { port, .. } if port == fixed), "{error}");
    assert!(!error.is_transient());
    for index in 0..2 {
        let slot = SlotRef { index, ..slot_of(bed, &request.hash) };
        bed.engine.retire(&slot).await.unwrap();
    }
    assert_eq!(bed.states().await, []);
}

/// Of the ports that the engine itself gives out, one that another service has.
async fn a_held_node_port_is_named<H: Harness>(bed: &Bed<H>) {
    let mut service = sh("sleep 600");
    service.ports = vec![port(8080, None)];
    let up = bed.up(service.clone(), 1).await;
    let held = bed.until(&up.ensured.slots[0], |state| !state.endpoints.is_empty()).await.endpoints[0]
        .host_port
        .unwrap();
    service.ports = vec![port(8081, Some(held))];
    let plan = bed.plan(service);
    let request = bed.request(&plan, &up.resolution, 1);
    let other = ServiceRequest { name: "other".parse().unwrap(), ..request };
    let error = bed.engine.ensure(&other).await.unwrap_err();
    assert!(matches!(error, EngineError::PortTaken { port, .. } if port == held), "{error}");
}

fn slot_of<H: Harness>(bed: &Bed<H>, hash: &str) -> SlotRef {
    SlotRef { workload: bed.workload.clone(), service: bed.service.clone(), hash: hash.to_owned(), index: 0 }
}

pub async fn what_is_not_there_is_no_such_slot<H: Harness>(bed: &Bed<H>) {
    let slot = slot_of(bed, "0123456789abcdef");
    let logs = bed.engine.logs(&slot, &LogOptions::default()).await;
    assert_eq!(logs.err(), Some(EngineError::NoSuchSlot));
    assert_eq!(bed.engine.stats(&slot).await, Err(EngineError::NoSuchSlot));
    assert_eq!(bed.engine.connect(&slot, 80).await, Err(EngineError::NoSuchSlot));
    let up = bed.up(sh("sleep 600"), 1).await;
    let state = bed.running(&up.ensured.slots[0]).await;
    let stats = bed.engine.stats(&state.slot).await;
    if bed.lacks(Lacks::Stats) {
        assert!(matches!(stats, Err(EngineError::Unsupported(_))), "{stats:?}");
        return;
    }
    let stats = stats.unwrap();
    assert_eq!(stats.memory_limit_bytes, 64 << 20);
    assert!(stats.memory_bytes < 64 << 20 && stats.pids > 0 && stats.cpus < 2.0, "{stats:?}");
    assert_eq!(state.phase, Phase::Running);
}
