//! Specifications through their front door.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::policy::{self, Policy};
use crate::domain::workload::Workload;

fn parse(value: Value) -> Specification {
    Specification::parse(value.clone()).unwrap_or_else(|error| panic!("{value}: {:?}", error.problems))
}

fn run(spec: &Specification, environment: &[(&str, &str)]) -> Service {
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    spec.service(&Run { context: Uuid::nil(), environment: &environment, base_url: "/", ingress_path: None })
}

/// Every refusal as `place: message`, each with a way out.
fn problems(error: Error) -> Vec<String> {
    let shown = error.problems.into_iter().map(|problem| {
        assert!(problem.hint.is_some_and(|hint| hint.len() > 5), "{} has no way out", problem.place);
        format!("{}: {}", problem.place, problem.message)
    });
    shown.collect()
}

fn refused(value: Value) -> Vec<String> {
    let error = Specification::parse(value).unwrap_err();
    assert_eq!(error.code, "context_refused");
    problems(error)
}

/// An image, and this besides.
fn with(more: Value) -> Value {
    let mut spec = json!({ "image": "hello-world" });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

#[test]
fn an_image_alone_is_a_task_that_knows_its_context() {
    let sent = json!({ "image": "hello-world" });
    let spec = parse(sent.clone());
    assert_eq!(spec.sent(), &sent);
    let service = run(&spec, &[]);
    let plain = |value: &str| EnvValue::Plain(value.to_owned());
    let expected = Service {
        kind: ServiceKind::Task,
        restart: Restart::No,
        any_end: true,
        environment: BTreeMap::from([
            (CONTEXT_VARIABLE.to_owned(), plain(&Uuid::nil().to_string())),
            (BASE_URL_VARIABLE.to_owned(), plain("/")),
        ]),
        ..Service::new(Image::Reference("hello-world:latest".to_owned()))
    };
    assert_eq!(service, expected);
}

#[test]
fn every_field_reaches_the_service_and_comes_back_as_it_was_sent() {
    let sent = json!({
        "image": "jupyter/minimal-notebook:4.0",
        "command": "start.sh jupyter notebook --NotebookApp.token='a b' # &c",
        "ports": ["8888", "53/udp", "9000/TCP"],
        "labels": ["team = data", "empty="],
        "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "spec" }, { "name": "C" }],
        "volumes": [
            { "name": "work", "emptyDir": {} },
            { "name": "fast", "emptyDir": { "medium": "Memory", "sizeLimit": "64Mi" } },
            { "name": "kept", "persistentVolumeClaim": { "claimName": "claim", "readOnly": true } },
            { "name": "host", "hostPath": { "path": "/srv/data/", "type": "Directory" } },
            { "name": "plain" },
        ],
        "volumeMounts": [
            { "name": "work", "mountPath": "/work" },
            { "name": "work", "mountPath": "/again/", "readOnly": true },
            { "name": "fast", "mountPath": "/fast" },
            { "name": "kept", "mountPath": "/kept" },
            { "name": "host", "mountPath": "/host", "readOnly": true },
            { "name": "plain", "mountPath": "/plain" },
        ],
        "resources": { "limits": { "cpu": "1.5", "memory": "1Gi" }, "requests": { "cpu": 1, "memory": "512M" } },
    });
    let spec = parse(sent.clone());
    let kept: Specification = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
    assert_eq!((&kept, Value::from(spec.clone())), (&spec, sent));
    let service = run(&spec, &[("B", "run"), (CONTEXT_VARIABLE, "forged"), (BASE_URL_VARIABLE, "/own/")]);
    assert_eq!(service.image, Image::Reference("jupyter/minimal-notebook:4.0".to_owned()));
    let words = ["start.sh", "jupyter", "notebook", "--NotebookApp.token=a b", "#", "&c"];
    assert_eq!(service.command.unwrap(), words);
    let ports: Vec<_> = service.ports.iter().map(|port| (port.container_port, port.protocol)).collect();
    assert_eq!(ports, [(8888, Protocol::Tcp), (53, Protocol::Udp), (9000, Protocol::Tcp)]);
    assert!(service.ports.iter().all(|port| port.host_port.is_none() && port.host_ip.is_none()));
    let label = |name: &str| service.labels.get(name).map(String::as_str);
    assert_eq!((label("team"), label("empty"), service.labels.len()), (Some("data"), Some(""), 2));
    let variables = [
        ("A", "1"),
        ("B", "run"),
        ("C", ""),
        (BASE_URL_VARIABLE, "/own/"),
        (CONTEXT_VARIABLE, "00000000-0000-0000-0000-000000000000"),
    ];
    let variable = |(name, value): (&str, &str)| (name.to_owned(), EnvValue::Plain(value.to_owned()));
    assert_eq!(service.environment, variables.map(variable).into());
    let volumes: Vec<_> = service
        .volumes
        .iter()
        .map(|mount| (mount.volume.as_str(), mount.target.as_str(), mount.read_only))
        .collect();
    assert_eq!(
        volumes,
        [
            ("work", "/work", false),
            ("work", "/again", true),
            ("claim", "/kept", true),
            ("plain", "/plain", false)
        ]
    );
    assert_eq!(service.tmpfs.len(), 1);
    assert_eq!((service.tmpfs[0].target.as_str(), service.tmpfs[0].size_bytes), ("/fast", Some(64 << 20)));
    let resources = Resources {
        cpu_limit_milli: Some(1_500),
        memory_limit_bytes: Some(1 << 30),
        cpu_reservation_milli: Some(1_000),
        memory_reservation_bytes: Some(512_000_000),
        pids_limit: None,
    };
    assert_eq!(service.resources, resources);
}

#[test]
fn a_path_of_the_host_is_an_exception_that_policy_decides_over() {
    let spec = parse(with(json!({
        "volumes": [{ "name": "host", "hostPath": { "path": "/var/run/docker.sock" } }],
        "volumeMounts": [{ "name": "host", "mountPath": "/var/run/docker.sock" }],
    })));
    let service = run(&spec, &[]);
    let exception = Exception::HostPath("/var/run/docker.sock".to_owned());
    assert_eq!(service.exceptions.iter().collect::<Vec<_>>(), [&exception]);
    let name = crate::domain::name::ServiceName::parse("execution").unwrap();
    let workload = Workload { services: [(name, service)].into(), ..Workload::default() };
    let refusals = policy::refusals(&workload, &Policy::default());
    assert!(refusals[0].message.contains("host path /var/run/docker.sock"), "{refusals:?}");
    let granting = Policy { exceptions: [exception].into(), ..Policy::default() };
    assert!(policy::refusals(&workload, &granting).is_empty());
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let told = refused(json!({
        "image": "Hello World",
        "command": "echo 'a",
        "ports": ["8888", 9999, "8888/tcp", "70000", "80/sctp", "0"],
        "labels": ["team", "=x", "io.slipway.instance=x", "a=1", "a=2"],
        "env": [
            { "name": "1A", "value": "x" }, { "value": "x" }, { "name": "A", "value": 1 },
            { "name": "B", "valueFrom": { "secretKeyRef": {} } }, { "name": "C" }, { "name": "C" },
        ],
        "securityContext": { "privileged": true },
    }));
    let expected = [
        "securityContext: this is not supported",
        "image: \"Hello World\" is no image: its name is not made of lower-case letters, digits, `.`, `_` and `-`",
        "command: a quote is not closed, or a backslash stands at its end",
        "ports[1]: it is a number, not a text",
        "ports[2]: \"8888/tcp\" stands there twice",
        "ports[3]: \"70000\" is no port",
        "ports[4]: \"80/sctp\" is no port",
        "ports[5]: \"0\" is no port",
        "labels[0]: \"team\" is no label",
        "labels[1]: \"=x\" is no label",
        "labels[2]: labels that begin with io.slipway. are reserved",
        "labels[4]: the label a stands there twice",
        "env[0].name: \"1A\" is no name of a variable",
        "env[1].name: it is missing",
        "env[2].value: it is a number, not a text",
        "env[3].valueFrom: this is not supported",
        "env[5].name: C stands there twice",
    ];
    assert_eq!(told, expected);
}

#[test]
fn no_volume_but_the_three_kinds_is_taken() {
    let told = refused(with(json!({
        "volumes": [
            { "name": "a", "nfs": { "server": "x" } },
            { "name": "b", "emptyDir": { "medium": "HugePages" } },
            { "name": "c", "emptyDir": { "sizeLimit": "1Gi" } },
            { "name": "d", "emptyDir": { "medium": "Memory", "sizeLimit": "much" } },
            { "name": "e", "hostPath": { "path": "../etc" } },
            { "name": "f", "hostPath": { "path": "/x", "type": "DirectoryOrCreate" } },
            { "name": "g", "emptyDir": {}, "hostPath": { "path": "/x" } },
            { "name": "../h" },
            { "name": "i", "persistentVolumeClaim": {} },
            { "name": "j", "persistentVolumeClaim": { "claimName": "k" } },
            { "name": "k" }, { "name": "k" }, {},
            { "name": "m", "emptyDir": { "medium": "Memory" } },
        ],
        "volumeMounts": [
            { "name": "k", "mountPath": "/" },
            { "name": "k", "mountPath": "k" },
            { "name": "k", "mountPath": "/k", "subPath": "x" },
            { "name": "k", "mountPath": "/k" },
            { "name": "nowhere", "mountPath": "/n" },
            { "name": "m", "mountPath": "/m", "readOnly": true },
            { "mountPath": "/o", "readOnly": "yes" },
        ],
    })));
    let expected = [
        "volumes[0].nfs: this is not supported",
        "volumes[1].emptyDir.medium: \"HugePages\" is not supported",
        "volumes[2].emptyDir.sizeLimit: it holds for folders in memory only",
        "volumes[3].emptyDir.sizeLimit: \"much\" is no amount that can be had",
        "volumes[4].hostPath.path: \"../etc\" is no plain path of the host",
        "volumes[5].hostPath.type: \"DirectoryOrCreate\" is not supported",
        "volumes[6]: it has more than one kind",
        "volumes[7].name: \"../h\" is no name of a volume",
        "volumes[8].persistentVolumeClaim.claimName: it is missing",
        "volumes[11].name: the volume \"k\" stands there twice",
        "volumes[12].name: it is missing",
        "volumes: the claim of the volume \"j\" is called like another volume",
        "volumeMounts[0].mountPath: \"/\" is no place to mount at",
        "volumeMounts[1].mountPath: \"k\" is no place to mount at",
        "volumeMounts[2].subPath: this is not supported",
        "volumeMounts[3].mountPath: volumeMounts[2] is mounted at /k, too",
        "volumeMounts[4].name: there is no volume \"nowhere\"",
        "volumeMounts[5].readOnly: a folder in memory can't be read-only",
        "volumeMounts[6].name: it is missing",
        "volumeMounts[6].readOnly: it is a text",
    ];
    assert_eq!(told, expected);
}

#[test]
fn resources_are_cpu_and_memory_in_kubernetes_words() {
    let told = refused(with(json!({ "resources": {
        "limits": { "cpu": "1", "memory": "512m", "nvidia.com/gpu": 1 },
        "requests": { "cpu": "1100m", "ephemeral-storage": "1Gi" },
        "claims": [],
    } })));
    let expected = [
        "resources.claims: this is not supported",
        "resources.limits.nvidia.com/gpu: this is not supported",
        "resources.limits.memory: \"512m\" is no amount that can be had",
        "resources.requests.ephemeral-storage: this is not supported",
        "resources.requests.cpu: it is more than the limit",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_is_of_another_shape_is_refused_and_what_is_null_is_not_there() {
    for (value, place) in [
        (json!([]), "body: it is a list, not an object"),
        (json!("hello-world"), "body: it is a text, not an object"),
        (json!({}), "image: it is missing"),
        (json!({ "image": null }), "image: it is missing"),
        (json!({ "image": "" }), "image: \"\" is no image: "),
        (with(json!({ "command": ["a"] })), "command: it is a list, not a text"),
        (with(json!({ "command": "a\u{0}" })), "command: it holds a NUL character"),
        (with(json!({ "ports": "8888" })), "ports: it is a text, not a list"),
        (with(json!({ "env": { "A": "1" } })), "env: it is an object, not a list"),
        (with(json!({ "env": ["A=1"] })), "env[0]: it is a text, not an object"),
        (with(json!({ "resources": [] })), "resources: it is a list, not an object"),
    ] {
        let told = refused(value);
        assert!(told[0].starts_with(place), "{told:?}");
    }
    let nothing = json!({ "command": null, "ports": null, "env": [], "volumes": null, "resources": { "limits": null } });
    assert_eq!(run(&parse(with(nothing)), &[]), run(&parse(with(json!({}))), &[]));
    assert_eq!(run(&parse(with(json!({ "command": "  " }))), &[]).command, None);
    let many = vec![json!(1); 5_000];
    assert!(refused(with(json!({ "labels": many }))).len() <= 100);
    assert_eq!(refused(with(json!({ "ports": many }))), ["ports: more than 100 ports"]);
}

#[test]
fn an_order_names_its_engine() {
    let order = Order::parse(&json!({ "engine": "docker" })).unwrap();
    assert_eq!((order.engine.as_str(), order.namespace.as_str()), ("docker", "default"));
    let sent = json!({ "engine": "k8s", "namespace": "lab", "environment": {
        "A": "x", "N": 1.5, "T": true, "F": false, "EMPTY": "",
    } });
    let order = Order::parse(&sent).unwrap();
    let expected = [("A", "x"), ("EMPTY", ""), ("F", "False"), ("N", "1.5"), ("T", "True")];
    let shown: Vec<_> =
        order.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(shown, expected);
    let wrong =
        json!({ "namespace": 1, "environment": { "a b": "x", "N": null, "L": [] }, "state": "running" });
    let told = problems(Order::parse(&wrong).unwrap_err());
    let expected =
        ["state: this is not supported", "engine: it is missing", "namespace: it is a number, not a text"];
    assert_eq!(told, expected);
    let wrong = json!({ "engine": "docker", "environment": { "a b": "x", "N": null, "L": [] } });
    let told = problems(Order::parse(&wrong).unwrap_err());
    let expected = [
        "environment.L: it is a list, not a text",
        "environment.N: it is null, not a text",
        "environment.a b: \"a b\" is no name of a variable",
    ];
    assert_eq!(told, expected);
    assert_eq!(problems(Order::parse(&json!({ "engine": "x", "environment": [] })).unwrap_err()).len(), 1);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof!["hello-world", "/data", "data", "8888", "Memory", "1Gi"].prop_map(Value::from),
    ];
    let keys = prop_oneof![
        "image|command|ports|labels|env|volumes|volumeMounts|resources|name|value|emptyDir|hostPath|path",
        "mountPath|readOnly|medium|sizeLimit|limits|requests|cpu|memory|claimName|persistentVolumeClaim|[a-z]{1,4}",
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::hash_map(keys.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn ports_are_what_they_say_or_none(port in any::<u16>(), udp in any::<bool>(), text in ".{0,12}") {
        let word = if udp { "udp" } else { "tcp" };
        let parsed = ContextPort::parse(&format!("{port}/{word}"));
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
        prop_assert_eq!(parsed, (port > 0).then_some(ContextPort { port, protocol }));
        if let Some(found) = ContextPort::parse(&text) {
            let number = text.split('/').next().unwrap_or_default().trim_start_matches('0');
            prop_assert_eq!(found.port.to_string(), number);
        }
    }

    #[test]
    fn no_json_is_too_odd(value in any_json()) {
        match Specification::parse(value.clone()) {
            Ok(spec) => {
                prop_assert_eq!(spec.sent(), &value);
                prop_assert_eq!(run(&spec, &[]).kind, ServiceKind::Task);
            }
            Err(error) => prop_assert!(!error.problems.is_empty()),
        }
        let _ = Order::parse(&value);
    }
}
