//! Connecting to a cluster: by token, by client certificate, by a kubeconfig of the configuration; and the connection
//! test, which names each right that is missing.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::lab::{self, Namespace};
use crate::harness::archive;
use crate::harness::process::House;

/// Makes a Kubernetes infrastructure of a kubeconfig.
async fn connect(house: &House, id: &str, kubeconfig: &str) -> Value {
    // Nobody answers there: the image is taken by its name, as the node has it.
    let engine = json!({ "kind": "kubernetes", "mirrors": { "docker.io": "127.0.0.1:1/hub" } });
    let spec = json!({ "stage": "test", "engine": engine, "kubeconfig": kubeconfig });
    house.call(Method::POST, "/infrastructures", Some(json!({ "name": id, "spec": spec }))).await
}

async fn tested(house: &House, id: &str) -> Value {
    house.call(Method::POST, &format!("/infrastructures/{id}/test"), None).await
}

/// Tests the connection until the missing rights are these: a cluster's authorizer hears of a Role a moment later.
async fn lacks(house: &House, id: &str, wanted: &[String]) -> Value {
    let mut last = Value::Null;
    for _ in 0..100 {
        last = tested(house, id).await;
        if last["missing"] == json!(wanted) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("wanted {wanted:?}, found {last:#}");
}

async fn role(house: &House, id: &str) -> String {
    let url = format!("http://{}/api/v1/infrastructures/{id}/role", house.address);
    let answer = reqwest::Client::new().get(url).bearer_auth(&house.key).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/yaml; charset=utf-8");
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_the_printed_role_lacks_nothing_and_each_right_taken_away_is_named() {
    let (house, namespace) = (House::fresh().await, Namespace::fresh());
    let name = &namespace.name;
    let made = connect(&house, "lab", &namespace.kubeconfig(&json!({ "token": namespace.token() }))).await;
    assert_eq!(made["spec"]["engine"]["namespace"], json!(name), "the context's");
    let bare = tested(&house, "lab").await;
    let missing = bare["missing"].as_array().unwrap();
    assert_eq!(missing.len(), 13, "{bare:#}");
    assert_eq!(missing[0], format!("It may not get, list, watch, delete pods in namespace {name}."));
    let (version, api) = (bare["version"].as_str().unwrap(), bare["apiVersion"].as_str().unwrap());
    assert!(version.starts_with(&format!("Kubernetes {api}.")) && api.starts_with("1."), "{bare:#}");
    assert_eq!((&bare["cpus"], bare["warnings"].as_array().unwrap().len()), (&json!(0), 5), "{bare:#}");

    let printed = role(&house, "lab").await;
    namespace.kubectl(&["apply", "-f", "-"], &printed);
    lacks(&house, "lab", &[]).await;

    let jobs = "resources: [jobs], verbs: [get, list, watch, create, patch, delete]";
    assert!(printed.contains(jobs), "{printed}");
    let less = printed.replace(jobs, "resources: [jobs], verbs: [get, list, watch, patch, delete]");
    namespace.kubectl(&["apply", "-f", "-"], &less);
    lacks(&house, "lab", &[format!("It may not create jobs.batch in namespace {name}.")]).await;

    // What is optional is asked for as well.
    let more = printed.replace("# - {apiGroups", "- {apiGroups").replace(
        "- {apiGroups: [\"\"], resources: [nodes], verbs: [list]}",
        "# the nodes are another role's",
    );
    namespace.kubectl(&["apply", "-f", "-"], &more);
    for _ in 0..100 {
        let warnings = tested(&house, "lab").await["warnings"].clone();
        if warnings == json!(["It may not list nodes in the cluster: the capacity is not known."]) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the optional rights are not seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_connects_and_its_key_survives_rotation_and_restart() {
    let (mut house, namespace) = (House::fresh().await, Namespace::fresh());
    let user = format!("{}-user", namespace.name);
    let (certificate, key) = namespace.certificate(&user);
    let by = json!({ "client-certificate-data": certificate, "client-key-data": key });
    let made = connect(&house, "lab", &namespace.kubeconfig(&by)).await;
    assert_eq!(made["spec"]["engine"]["access"]["credential"], "certificate");
    let subject = format!("- {{kind: ServiceAccount, name: slipway, namespace: {}}}", namespace.name);
    let printed = role(&house, "lab").await;
    assert!(printed.contains(&subject), "{printed}");
    let other = format!("- {{kind: User, name: {user}, apiGroup: rbac.authorization.k8s.io}}");
    namespace.kubectl(&["apply", "-f", "-"], &printed.replace(&subject, &other));
    lacks(&house, "lab", &[]).await;

    let mut rotate = std::process::Command::new(env!("CARGO_BIN_EXE_slipway"));
    let output = rotate.args(["admin", "rotate-key", "--data-dir"]).arg(&house.dir).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 sealed anew\n");
    lacks(&house, "lab", &[]).await;
    house.stop(true);
    house.start();
    lacks(&house, "lab", &[]).await;

    // A credential that the cluster does not know, and a namespace that is not there.
    let spec = json!({ "stage": "test", "kubeconfig": namespace.kubeconfig(&json!({ "token": "nobodys" })) });
    house.call(Method::PUT, "/infrastructures/lab", Some(json!({ "spec": spec }))).await;
    let url = format!("http://{}/api/v1/infrastructures/lab/test", house.address);
    let answer = reqwest::Client::new().post(url).bearer_auth(&house.key).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.unwrap();
    assert!(text.contains("does not accept the credential"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_names_a_kubeconfig_and_an_administrator_of_the_cluster_lacks_nothing() {
    let own = tempfile::tempdir().unwrap();
    let section = format!("[kubeconfig.lab]\nfile = \"{}\"\n", lab::kubeconfig().display());
    std::fs::write(own.path().join("config.toml"), section).unwrap();
    let (house, namespace) = (House::at(own.path()).await, Namespace::fresh());
    let access = json!({ "by": "configured", "name": "lab" });
    let engine = json!({ "kind": "kubernetes", "access": access, "namespace": namespace.name });
    let body = json!({ "name": "lab", "spec": { "stage": "test", "engine": engine } });
    house.call(Method::POST, "/infrastructures", Some(body)).await;
    let report = lacks(&house, "lab", &[]).await;
    assert!(
        report["cpus"].as_u64().unwrap() > 0 && report["memoryBytes"].as_u64().unwrap() > 1 << 28,
        "{report:#}"
    );

    let engine =
        json!({ "kind": "kubernetes", "access": access, "namespace": format!("{}-gone", namespace.name) });
    let body = json!({ "spec": { "stage": "test", "engine": engine } });
    house.call(Method::PUT, "/infrastructures/lab", Some(body)).await;
    let missing = tested(&house, "lab").await["missing"].to_string();
    assert!(
        missing.contains("There is no namespace") && missing.contains("kubectl create namespace"),
        "{missing}"
    );
}

/// A published port, a secret, a file of the bundle and a peer: every kind of object but volume claims and Jobs.
const COMPOSE: &str = "services:
  api:
    image: busybox:lab
    command: [sh, -c, 'test -n \"$$TOKEN\" && test -s /greeting && echo served >/tmp/index.html && exec httpd -f -p 8080 -h /tmp']
    environment: {TOKEN: }
    ports: ['8080']
    volumes: ['./greeting:/greeting:ro']
    stop_grace_period: 1s
  worker:
    image: busybox:lab
    command: [sh, -c, 'until wget -qO- http://api:8080/; do sleep 0.2; done; exec sleep 600']
    depends_on: [api]
    stop_grace_period: 1s
";

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_role_is_enough_to_deploy_to_change_and_to_remove() {
    let (house, namespace) = (House::fresh().await, Namespace::fresh());
    let kubeconfig = namespace.kubeconfig(&json!({ "token": namespace.token() }));
    let publish = json!({ "by": "ingress", "host": "{service}.{deployment}.example.org" });
    let engine = json!({ "kind": "kubernetes", "publish": publish });
    let spec = json!({ "stage": "test", "engine": engine, "kubeconfig": kubeconfig });
    house.call(Method::POST, "/infrastructures", Some(json!({ "name": "lab", "spec": spec }))).await;
    namespace.kubectl(&["apply", "-f", "-"], &role(&house, "lab").await);
    lacks(&house, "lab", &[]).await;
    for version in ["1", "2"] {
        let bundle = archive(&[("compose.yaml", COMPOSE), ("greeting", version)]);
        house.upload(bundle, &format!("?project=role&version={version}")).await;
    }
    let spec =
        json!({ "project": "role", "bundle": "1", "infrastructure": "lab", "secrets": { "TOKEN": "t" } });
    house.call(Method::POST, "/deployments", Some(json!({ "name": "role", "spec": spec }))).await;
    for version in ["1", "2"] {
        house.choose("role", version).await;
        let update = house.update("role").await;
        assert_eq!(update["status"]["state"], "succeeded", "{update:#}");
    }
    let kinds = "deployments,services,secrets,configmaps,ingresses,networkpolicies";
    let select = ["get", kinds, "-l", "io.slipway.workload=role", "-o", "name"];
    let there = namespace.kubectl(&select, "");
    for kind in
        ["deployment.apps", "service", "secret", "configmap", "ingress.", "networkpolicy.networking.k8s.io"]
    {
        assert!(there.lines().any(|line| line.starts_with(kind)), "{there}");
    }
    let maps = there.lines().filter(|line| line.starts_with("configmap")).count();
    assert_eq!(maps, 1, "the files of the revision before are gone: {there}");
    house.remove("role").await;
    assert_eq!(namespace.kubectl(&select, ""), "");
}
