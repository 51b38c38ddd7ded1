//! What is ours, what is not, and what is told when the engine or a registry is away.

use std::collections::BTreeMap;
use std::sync::Arc;

use bollard::models::{ContainerCreateBody, NetworkCreateRequest};
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions, StartContainerOptions};
use slipway::domain::clock::SystemClock;
use slipway::domain::infrastructure::EngineConnection;
use slipway::domain::workload::{Build, Image, Port};
use slipway::engine::docker::DockerEngine;
use slipway::engine::{Engine, EngineError, Phase, PrepareRequest, label};

use super::Docker;
use crate::conformance::{Bed, Lines, sh};

/// A container that somebody else made, removed in the end.
struct Foreign(String);

impl Foreign {
    async fn new(name: &str, labels: &[(&str, &str)]) -> Self {
        let body = ContainerCreateBody {
            image: Some("busybox:lab".into()),
            cmd: Some(vec!["sleep".into(), "600".into()]),
            labels: Some(labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()),
            ..Default::default()
        };
        let options = CreateContainerOptions { name: Some(name.into()), ..Default::default() };
        let made = Docker::by_hand().create_container(Some(options), body).await.unwrap();
        Docker::by_hand().start_container(&made.id, None::<StartContainerOptions>).await.unwrap();
        Self(made.id)
    }

    async fn started_at(&self) -> Option<String> {
        let container = Docker::by_hand().inspect_container(&self.0, None).await.ok()?;
        container.state?.started_at
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let id = self.0.clone();
        super::harness::aside(async move {
            let options = RemoveContainerOptions { force: true, ..Default::default() };
            let _ = Docker::by_hand().remove_container(&id, Some(options)).await;
        });
    }
}

async fn name_of(id: &str) -> String {
    let container = Docker::by_hand().inspect_container(id, None).await.unwrap();
    container.name.unwrap().trim_start_matches('/').to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_of_our_name_that_is_not_ours_is_left_alone() {
    let bed = Bed::new(Docker::new());
    let up = bed.up(sh("sleep 600"), 1).await;
    let slot = &up.ensured.slots[0];
    let name = name_of(&bed.running(slot).await.engine_id).await;
    assert!(name.starts_with(&format!("slw-{}-conformance-api-", &bed.harness.instance[..8])), "{name}");
    bed.engine.retire(slot).await.unwrap();
    for labels in [
        vec![],
        vec![(label::INSTANCE, "another"), (label::HASH, slot.hash.as_str())],
        vec![(label::INSTANCE, bed.harness.instance.as_str()), (label::HASH, "another")],
    ] {
        let foreign = Foreign::new(&name, &labels).await;
        let before = foreign.started_at().await;
        let error = bed.engine.ensure(&up.request).await.unwrap_err();
        assert_eq!(error, EngineError::NameTaken { name: name.clone() });
        bed.engine.retire(slot).await.unwrap();
        bed.engine.revive(std::slice::from_ref(slot)).await.unwrap();
        assert_eq!(bed.states().await, []);
        assert_eq!(foreign.started_at().await, before, "not touched");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_s_containers_are_neither_seen_nor_released() {
    let (mine, other) = (Bed::new(Docker::new()), Bed::new(Docker::new()));
    let theirs = other.up(sh("sleep 600"), 1).await;
    let up = mine.up(sh("sleep 600"), 1).await;
    assert_eq!(mine.states().await.len(), 1);
    mine.engine.retire(&up.ensured.slots[0]).await.unwrap();
    mine.engine.release(&mine.workload, true).await.unwrap();
    assert!(other.running(&theirs.ensured.slots[0]).await.serving);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_of_our_name_that_is_not_ours_is_left_alone() {
    let bed = Bed::new(Docker::new());
    let name = format!("slw-{}-conformance", &bed.harness.instance[..8]);
    let request = NetworkCreateRequest { name: name.clone(), ..Default::default() };
    let made = Docker::by_hand().create_network(request).await.unwrap();
    let asked = prepare(&bed, Image::Reference("busybox:lab".into())).await;
    bed.engine.release(&bed.workload, true).await.unwrap();
    Docker::by_hand().remove_network(&made.id).await.expect("it is still there");
    assert_eq!(asked, Err(EngineError::NameTaken { name }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks_made_at_once_differ_and_fill_the_pool() {
    let instance = Docker::new();
    let connection = EngineConnection::Docker {
        host: "unix:///var/run/docker.sock".into(),
        publish_address: std::net::Ipv4Addr::LOCALHOST.into(),
        network_pool: "10.203.7.0/25".into(),
    };
    let engine = |_| DockerEngine::connect(&connection, &instance.instance, Arc::new(SystemClock)).unwrap();
    let engines: Vec<DockerEngine> = (0..3).map(engine).collect();
    let bed = Bed::new(instance);
    let asked = engines.iter().enumerate().map(|(number, engine)| {
        let mut plan = bed.plan(sh("sleep 600"));
        plan.deployment = format!("workload-{number}").parse().unwrap();
        let request = request(plan);
        async move { engine.prepare(&request, &Lines::default()).await }
    });
    let answers = futures_util::future::join_all(asked).await;
    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(good.len(), 2, "the pool holds two: {bad:?}");
    assert_eq!(bad, [Err(EngineError::NoNetworkLeft { pool: "10.203.7.0/25".into() })]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_whose_start_failed_is_found_and_started_later() {
    let bed = Bed::new(Docker::new());
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let mut service = sh("sleep 600");
    service.ports =
        vec![Port { container_port: 80, protocol: Default::default(), host_port: Some(port), host_ip: None }];
    let plan = bed.plan(service);
    let (resolution, _) = bed.prepare(&plan, None).await;
    let request = bed.request(&plan, &resolution, 1);
    let error = bed.engine.ensure(&request).await.unwrap_err();
    assert!(matches!(error, EngineError::PortTaken { port: named, .. } if named == port), "{error}");
    let made = bed.states().await.remove(0);
    assert_eq!(made.phase, Phase::Created);
    drop(held);
    let ensured = bed.engine.ensure(&request).await.unwrap();
    assert_eq!(ensured.fresh.len(), 1);
    assert_eq!(bed.running(&ensured.slots[0]).await.engine_id, made.engine_id, "adopted, not doubled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_ensure_at_once_make_one_container() {
    let bed = Bed::new(Docker::new());
    let plan = bed.plan(sh("sleep 600"));
    let (resolution, _) = bed.prepare(&plan, None).await;
    let request = bed.request(&plan, &resolution, 1);
    let (one, other) = tokio::join!(bed.engine.ensure(&request), bed.engine.ensure(&request));
    assert_eq!(one.unwrap().slots, other.unwrap().slots);
    assert_eq!(bed.states().await.len(), 1);
}

fn request(plan: slipway::domain::plan::Plan) -> PrepareRequest {
    PrepareRequest {
        plan: Arc::new(plan),
        files: None,
        registries: BTreeMap::new(),
        pinned: BTreeMap::new(),
        builder: None,
    }
}

async fn prepare(bed: &Bed<Docker>, image: Image) -> Result<(), EngineError> {
    let mut service = sh("sleep 600");
    service.image = image;
    let prepared = bed.engine.prepare(&request(bed.plan(service)), &Lines::default()).await;
    prepared.map(|_| ())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_away_is_worth_another_try() {
    let bed = Bed::new(Docker::new());
    let image = "127.0.0.1:1/team/api:1";
    let error = prepare(&bed, Image::Reference(image.into())).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::RegistryUnreachable { image: named, .. } if named == image),
        "{error}"
    );
    assert!(error.is_transient());
    let error = prepare(&bed, Image::Reference("Not An Image".into())).await.unwrap_err();
    assert!(matches!(&error, EngineError::ImageNotFound { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_build_keeps_the_end_of_its_output() {
    let bed = Bed::new(Docker::new());
    let bundle = tempfile::tempdir().unwrap();
    std::fs::write(bundle.path().join("Dockerfile"), "FROM busybox:lab\nRUN echo about to fail; exit 7\n")
        .unwrap();
    let mut service = sh("sleep 600");
    service.image = Image::Build(Build {
        context: String::new(),
        dockerfile: "Dockerfile".into(),
        target: None,
        args: BTreeMap::new(),
    });
    let mut request = request(bed.plan(service));
    request.files = Some(bundle.path().to_owned());
    let lines = Lines::default();
    let error = bed.engine.prepare(&request, &lines).await.unwrap_err();
    let EngineError::BuildFailed { service, detail, tail } = error else { panic!("{error}") };
    assert_eq!(service, "api");
    assert!(detail.contains('7'), "{detail}");
    assert!(tail.iter().any(|line| line == "about to fail"), "{tail:?}");
    assert!(lines.0.lock().unwrap().iter().any(|line| line == "api: about to fail"));
}

#[tokio::test]
async fn an_engine_that_is_away_is_named_with_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let connection = EngineConnection::Docker {
        host: format!("unix://{}", socket.display()),
        publish_address: std::net::Ipv4Addr::LOCALHOST.into(),
        network_pool: "10.201.0.0/16".into(),
    };
    let engine = DockerEngine::connect(&connection, "instance", Arc::new(SystemClock)).unwrap();
    let missing = engine.check().await.unwrap_err();
    assert!(
        matches!(&missing, EngineError::Unreachable(what) if what.contains("engine.sock") && what.contains("running")),
        "{missing}"
    );
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    drop(listener);
    let refused = engine.snapshot().await.unwrap_err();
    assert!(
        matches!(&refused, EngineError::Unreachable(what) if what.contains("nothing listens")),
        "{refused}"
    );
}

#[tokio::test]
async fn an_engine_that_hangs_is_given_up_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let connection = EngineConnection::Docker {
        host: format!("unix://{}", socket.display()),
        publish_address: std::net::Ipv4Addr::LOCALHOST.into(),
        network_pool: "10.201.0.0/16".into(),
    };
    let engine = DockerEngine::connect(&connection, "instance", Arc::new(SystemClock)).unwrap();
    let asked = tokio::time::timeout(std::time::Duration::from_secs(20), engine.snapshot()).await;
    let error = asked.expect("an answer in time").unwrap_err();
    assert!(matches!(error, EngineError::Timeout { .. }) && error.is_transient(), "{error}");
}
