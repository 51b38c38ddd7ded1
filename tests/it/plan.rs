//! The plan: settings laid over a bundle, its digest, its hashes and its diff.

use slipway::domain::bundle::{Bundle, BundleFile, Digest, Manifest};
use slipway::domain::clock::{Clock as _, SystemClock};
use slipway::domain::deployment::{ServiceSettings, Settings};
use slipway::domain::diff;
use slipway::domain::infrastructure::{EngineConnection, GovernPolicy, HostPorts, Infrastructure};
use slipway::domain::name::{
    DeploymentId, InfrastructureId, ProjectKey, SecretName, ServiceName, StageId, Version, VolumeName,
};
use slipway::domain::plan::{self, Inputs, Plan};
use slipway::domain::policy::{Exception, Policy, Profile};
use slipway::domain::secret::SecretInfo;
use slipway::domain::workload::{FileMount, Image, Port, Protocol, Service, VolumeMount, Workload};

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

fn bundle(change: impl FnOnce(&mut Workload)) -> Bundle {
    let mut api = Service::new(Image::Reference("registry.test:5000/team/api:1.0".into()));
    api.files = vec![FileMount { source: "app".into(), target: "/app".into() }];
    let redis = Service::new(Image::Reference("redis:7".into()));
    let mut workload = Workload::default();
    workload.services.insert(name("api"), api);
    workload.services.insert(name("redis"), redis);
    change(&mut workload);
    let file = |path: &str, content: &str| BundleFile {
        path: path.into(),
        size: content.len() as u64,
        sha256: Digest::of(content.as_bytes()),
        executable: false,
    };
    Bundle {
        project: ProjectKey::parse("churn").unwrap(),
        version: Version::parse("1.0.0").unwrap(),
        digest: Digest::of(b"archive"),
        size: 7,
        manifest: Manifest { name: None, version: None, workload, made_of: None, warnings: Vec::new() },
        files: vec![file("app/main.py", "print()"), file("README.md", "read me")],
        uploader: "bob".into(),
        created_at: SystemClock.now(),
    }
}

fn infrastructure(policy: Policy) -> Infrastructure {
    Infrastructure {
        id: InfrastructureId::parse("local").unwrap(),
        stage: StageId::parse("dev").unwrap(),
        engine: EngineConnection::Fake {},
        credential: None,
        govern_policy: GovernPolicy::NoCheck,
        policy,
        created_at: SystemClock.now(),
        updated_at: SystemClock.now(),
        revision: 1,
    }
}

fn resolve(
    bundle: &Bundle,
    settings: &Settings,
    secrets: &[SecretInfo],
    policy: Policy,
) -> slipway::domain::Result<Plan> {
    plan::resolve(&Inputs {
        deployment: &DeploymentId::parse("churn-on-local").unwrap(),
        bundle,
        infrastructure: &infrastructure(policy),
        enabled: true,
        settings,
        secrets,
    })
}

fn plain(bundle: &Bundle, settings: &Settings) -> Plan {
    resolve(bundle, settings, &[], Policy::default()).unwrap()
}

fn override_of(service: &str, own: ServiceSettings) -> Settings {
    Settings { services: [(name(service), own)].into(), ..Settings::default() }
}

#[test]
fn equal_inputs_give_equal_digests_and_every_change_another() {
    let base = bundle(|_| {});
    let first = plain(&base, &Settings::default()).digest();
    assert_eq!(first, plain(&bundle(|_| {}), &Settings::default()).digest());
    let env = Settings { environment: [("A".to_owned(), "1".to_owned())].into(), ..Settings::default() };
    assert_ne!(first, plain(&base, &env).digest());
    let tighter = Policy { profile: Profile::Baseline, max_replicas: 3, ..Policy::default() };
    assert_eq!(
        first,
        resolve(&base, &Settings::default(), &[], tighter).unwrap().digest(),
        "a limit that bites nothing"
    );
    let secret = |version| SecretInfo {
        name: SecretName::parse("TOKEN").unwrap(),
        version,
        updated_at: SystemClock.now(),
    };
    let one = resolve(&base, &Settings::default(), &[secret(1)], Policy::default()).unwrap().digest();
    let two = resolve(&base, &Settings::default(), &[secret(2)], Policy::default()).unwrap().digest();
    assert!(first != one && one != two);
}

#[test]
fn scaling_keeps_the_template_and_everything_else_changes_it() {
    let base = plain(&bundle(|_| {}), &Settings::default());
    let scaled = plain(
        &bundle(|_| {}),
        &override_of("api", ServiceSettings { replicas: Some(5), ..Default::default() }),
    );
    assert_eq!(scaled.workload.services[&name("api")].replicas, 5);
    assert_eq!(base.template_hash(&name("api")), scaled.template_hash(&name("api")));
    let tagged = plain(
        &bundle(|_| {}),
        &override_of("api", ServiceSettings { image_tag: Some("2.0".into()), ..Default::default() }),
    );
    assert_ne!(base.template_hash(&name("api")), tagged.template_hash(&name("api")));
    assert_eq!(
        base.template_hash(&name("redis")),
        tagged.template_hash(&name("redis")),
        "the other is not touched"
    );
}

#[test]
fn only_files_that_a_service_uses_count_for_it() {
    let base = bundle(|_| {});
    let mut readme = bundle(|_| {});
    readme.files[1].sha256 = Digest::of(b"another text");
    let mut code = bundle(|_| {});
    code.files[0].sha256 = Digest::of(b"another program");
    let hash = |bundle: &Bundle| plain(bundle, &Settings::default()).template_hash(&name("api"));
    assert_eq!(hash(&base), hash(&readme));
    assert_ne!(hash(&base), hash(&code));
}

#[test]
fn the_diff_names_places_and_never_a_secret() {
    let before = plain(&bundle(|_| {}), &Settings::default());
    let after = plain(
        &bundle(|_| {}),
        &override_of("api", ServiceSettings { replicas: Some(3), ..Default::default() }),
    );
    let changes = diff::plans(Some(&before), &after);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].place, "services.api.deploy.replicas");
    assert_eq!((changes[0].before.as_deref(), changes[0].after.as_deref()), (Some("1"), Some("3")));
    assert!(diff::plans(Some(&before), &before).is_empty());
}

#[test]
fn every_problem_is_named_at_once_with_a_way_out() {
    let bundle = bundle(|workload| {
        let api = workload.services.get_mut(&name("api")).unwrap();
        api.exceptions.insert(Exception::Privileged);
        api.replicas = 99;
    });
    let settings = override_of("nobody", ServiceSettings::default());
    let error = resolve(&bundle, &settings, &[], Policy::default()).unwrap_err();
    let places: Vec<&str> = error.problems.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(places, ["settings.services.nobody", "services.api", "services.api.deploy.replicas"]);
    assert!(error.problems.iter().all(|problem| problem.hint.is_some()));
    let granted =
        Policy { exceptions: [Exception::Privileged].into(), max_replicas: 99, ..Policy::default() };
    resolve(&bundle, &Settings::default(), &[], granted).unwrap();
}

#[test]
fn restricted_wants_a_user_that_is_not_root() {
    let restricted = || Policy { profile: Profile::Restricted, ..Policy::default() };
    let with_user = |user: Option<&str>| {
        bundle(|workload| {
            for service in workload.services.values_mut() {
                service.user = user.map(ToOwned::to_owned);
            }
        })
    };
    for root in [None, Some("0"), Some("root"), Some("0:1000"), Some("app"), Some("")] {
        let error = resolve(&with_user(root), &Settings::default(), &[], restricted()).unwrap_err();
        assert!(error.problems[0].hint.as_deref().unwrap().contains("user:"), "{root:?}");
    }
    resolve(&with_user(Some("1000:1000")), &Settings::default(), &[], restricted()).unwrap();
}

#[test]
fn a_writable_volume_or_a_fixed_port_means_downtime() {
    let with_volume = |image: &str| {
        let image = image.to_owned();
        bundle(move |workload| {
            let api = workload.services.get_mut(&name("api")).unwrap();
            api.image = Image::Reference(image);
            api.volumes = vec![VolumeMount {
                volume: VolumeName::parse("data").unwrap(),
                target: "/d".into(),
                read_only: false,
                scratch: false,
            }];
        })
    };
    let before = plain(&with_volume("api:1"), &Settings::default());
    let after = plain(&with_volume("api:2"), &Settings::default());
    let downtime = after.downtime(Some(&before), HostPorts::OfTheService);
    assert_eq!(downtime.len(), 1);
    assert_eq!(downtime[0].because, "volume data is writable");
    assert!(after.downtime(None, HostPorts::OfReplicas).is_empty(), "a first start interrupts nothing");
    assert!(before.downtime(Some(&before), HostPorts::OfReplicas).is_empty());
}

#[test]
fn a_fixed_port_stops_first_only_where_replicas_hold_it() {
    let with_port = |image: &str| {
        let image = image.to_owned();
        bundle(move |workload| {
            let api = workload.services.get_mut(&name("api")).unwrap();
            api.image = Image::Reference(image);
            api.ports = vec![Port {
                container_port: 8000,
                protocol: Protocol::Tcp,
                host_port: Some(8443),
                host_ip: None,
            }];
        })
    };
    let before = plain(&with_port("api:1"), &Settings::default());
    let after = plain(&with_port("api:2"), &Settings::default());
    let because = |engine: &EngineConnection| -> Vec<String> {
        let downtime = after.downtime(Some(&before), engine.host_ports());
        downtime.into_iter().map(|each| each.because).collect()
    };
    let docker = EngineConnection::local_docker();
    assert_eq!(because(&docker), ["host port 8443 is fixed"]);
    assert_eq!(docker.differences(&after.workload), Vec::<String>::new());
    let cluster =
        serde_json::json!({ "kind": "kubernetes", "access": { "by": "in_cluster" }, "namespace": "ml" });
    let cluster: EngineConnection = serde_json::from_value(cluster).unwrap();
    assert_eq!(because(&cluster), Vec::<String>::new());
    let told = cluster.differences(&after.workload);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("api: port 8443 of the host is not taken"), "{told:?}");
}
