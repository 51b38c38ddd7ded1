use chrono::DateTime;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;
use crate::domain::pipeline::{PipelineSpec, StreamUse};
use crate::domain::resource::Resource;
use crate::domain::stream::StreamSpec;

fn resource<S>(name: &str, spec: S) -> Resource<S> {
    let at = DateTime::UNIX_EPOCH;
    Resource {
        uuid: Uuid::nil(),
        name: name.parse().unwrap(),
        group: None,
        spec,
        created_at: at,
        created_by: String::new(),
        updated_at: at,
        revision: 1,
    }
}

fn stream(name: &str, options: Value) -> Stream {
    resource(name, StreamSpec::parse(&json!({ "kind": "KAFKA", "kafka": options })).unwrap())
}

fn used(stream_in: Value, config: Value) -> PipelineUse {
    let object = |value: Value| value.as_object().cloned().unwrap();
    PipelineUse {
        pipeline: Uuid::nil(),
        pipeline_name: "clean".parse().unwrap(),
        name: "mine".parse().unwrap(),
        stream_in_config: StreamUse { uuid: None, options: object(stream_in) },
        stream_out_config: StreamUse::default(),
        config: object(config),
    }
}

fn made(of: &PipelineUse, own: [&Secrets; 3]) -> Result<Definition> {
    let spec = json!({ "image": "team/p:1", "images": { "python-runner": "runner:1" }, "steps": [1], "config": { "batch": 5, "mode": "a" } });
    let pipeline = resource("clean", PipelineSpec::parse(&spec, None).unwrap());
    let (none, defaults) = (Secrets::new(), Defaults::default());
    let known = Secrets::from([("sasl.jaas.config".to_owned(), SecretString::from("login pw"))]);
    let stream_in = stream(
        "orders",
        json!({ "bootstrap.servers": "a:9092", "sasl.jaas.config": MASK, "topic": { "num.partitions": 3 } }),
    );
    let stream_out = stream("clean-orders", json!({ "value.serializer": "x.Y" }));
    derive(&Parts {
        uuid: Uuid::nil(),
        revision: 3,
        of,
        pipeline: (&pipeline, &none),
        stream_in: (&stream_in, &known),
        stream_out: (&stream_out, &none),
        own,
        defaults: &defaults,
    })
}

fn plain<'a>(service: &'a Service, key: &str) -> Option<&'a str> {
    match service.environment.get(key) {
        Some(EnvValue::Plain(text)) => Some(text),
        _ => None,
    }
}

#[test]
fn options_reach_the_containers_and_the_deployment_wins() {
    let none = Secrets::new();
    let of = used(json!({ "bootstrap.servers": "b:9092" }), json!({ "mode": "b" }));
    let definition = made(&of, [&none, &none, &none]).unwrap();
    let service = &definition.workload.services[SERVICE];
    let wanted = [
        ("MP_MESSAGING_INCOMING_STREAMIN_BOOTSTRAP_SERVERS", Some("b:9092")),
        ("MP_MESSAGING_INCOMING_STREAMIN_GROUP_ID", Some("00000000-0000-0000-0000-000000000000")),
        ("MP_MESSAGING_INCOMING_STREAMIN_TOPIC", Some("orders")),
        ("MP_MESSAGING_OUTGOING_STREAMOUT_TOPIC", Some("clean-orders")),
        ("MP_MESSAGING_OUTGOING_STREAMOUT_BOOTSTRAP_SERVERS", Some("localhost:9092")),
        ("DATACATER_SERDE_KEY_DESERIALIZER", Some(JSON_DESERIALIZER)),
        ("DATACATER_SERDE_VALUE_SERIALIZER", Some("x.Y")),
        ("MP_MESSAGING_OUTGOING_STREAMOUT_VALUE_SERIALIZER", None),
        ("DATACATER_CONFIG_BATCH", Some("5")),
        ("DATACATER_CONFIG_MODE", Some("b")),
        ("DATACATER_STREAMOUT_CONFIG", Some(r#"{"bootstrap.servers":"localhost:9092"}"#)),
    ];
    for (key, value) in wanted {
        assert_eq!(plain(service, key), value, "{key}");
    }
    let Source::Inline(spec) = &definition.workload.configs["spec"] else { panic!("the spec is no secret") };
    let spec: Value = serde_json::from_str(spec).unwrap();
    assert_eq!(spec["steps"], json!([1]));
    assert_eq!(spec["config"], json!({ "batch": 5, "mode": "b" }));
    let targets: Vec<&str> = service.configs.iter().map(|mount| mount.target.as_str()).collect();
    let files = ["config", "spec", "stream-in", "stream-out"];
    assert_eq!(targets, files.map(|file| format!("/usr/app/mounts/{file}")));
    assert_eq!(service.object_labels["datacater.io/revision"], "3");
    assert!(definition.workload.services.contains_key("python-runner"));
}

#[test]
fn a_secret_option_is_a_secret_everywhere() {
    let none = Secrets::new();
    let definition = made(&used(json!({}), json!({})), [&none, &none, &none]).unwrap();
    let value = |name: &str| definition.secrets[&SecretName::parse(name).unwrap()].expose_secret().to_owned();
    assert_eq!(value("MP_MESSAGING_INCOMING_STREAMIN_SASL_JAAS_CONFIG"), "login pw");
    let Source::Json(file) = &definition.workload.configs["stream-in"] else { panic!("a secret is in it") };
    assert_eq!(file.secret["sasl.jaas.config"], name("MP_MESSAGING_INCOMING_STREAMIN_SASL_JAAS_CONFIG"));
    assert_eq!(file.plain["bootstrap.servers"], "a:9092", "what is no secret stands in the plan");
    assert_eq!(file.plain["topic"], json!({ "num.partitions": 3, "name": "orders" }));
    assert_eq!(file.plain["key.deserializer"], JSON_DESERIALIZER);
    let whole = &definition.workload.services[SERVICE].environment["DATACATER_STREAMIN_CONFIG"];
    let EnvValue::Json(whole) = whole else { panic!("a secret is in it") };
    assert!(whole.plain.get("topic").is_none() && whole.plain.get("key.deserializer").is_none());
    let told = serde_json::to_string(&definition.workload).unwrap();
    assert!(!told.contains("login pw"), "{told}");
}

#[test]
fn what_has_no_value_or_two_is_named() {
    let none = Secrets::new();
    let of = used(json!({ "ssl.key.password": MASK, "a.b": 1, "a_b": 2 }), json!({}));
    let error = made(&of, [&none, &none, &none]).unwrap_err();
    let places: Vec<&str> = error.problems.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(places, ["stream-in-config.ssl.key.password", "a_b"]);
    let given = Secrets::from([("ssl.key.password".to_owned(), SecretString::from("s"))]);
    let of = used(json!({ "ssl.key.password": MASK }), json!({}));
    assert!(made(&of, [&given, &none, &none]).is_ok());
}
