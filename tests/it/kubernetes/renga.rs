//! Executions of renga-deployer's API on a real cluster.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::flow::Scene;
use crate::harness::renga_client::{Issuer, Renga, as_the_configured_user, by_tokens};

const KINDS: &str = "jobs,pods,services,ingresses,secrets,configmaps,networkpolicies,persistentvolumeclaims";

fn server() -> Value {
    json!({
        "image": "busybox:lab",
        "command": "sh -c 'echo $WHO $DEPLOYER_BASE_URL > /work/index.html && echo $MY_TOKEN > /fast/token && echo serving && httpd -p 8080 -h /work; trap exit TERM; while :; do sleep 0.1; done'",
        "ports": ["8080", "5353/udp"],
        "resources": { "requests": { "cpu": "50m", "memory": "16Mi" }, "limits": { "memory": "64Mi" } },
        "env": [{ "name": "MY_TOKEN", "value": "hunter2" }],
        "volumes": [{ "name": "work", "emptyDir": {} }, { "name": "fast", "emptyDir": { "medium": "Memory" } }],
        "volumeMounts": [{ "name": "work", "mountPath": "/work" }, { "name": "fast", "mountPath": "/fast", "readOnly": false }],
    })
}

fn json_of(scene: &Scene, kind: &str) -> Vec<Value> {
    let text = scene.namespace.kubectl(&["get", kind, "-l=io.slipway.workload", "-o", "json"], "");
    serde_json::from_str::<Value>(&text).unwrap()["items"].as_array().unwrap().clone()
}

async fn nothing_left(scene: &Scene) {
    let began = Instant::now();
    loop {
        let left = scene.objects(KINDS);
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(90), "{left:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_is_a_job_with_services_that_is_reached_on_a_port_of_the_node() {
    let scene = Scene::with("[renga]\nk8s = \"k8s\"\n").await;
    let renga = Renga::at(&scene.house);
    let (path, id) = renga.run(server(), "k8s").await;
    renga.state(&path, "running").await;
    assert_eq!(renga.reach(&path, "8080").await, "execution /\n");
    let (_, logs) = renga.send(Method::GET, &format!("{path}/logs"), None).await;
    assert_eq!(logs, "serving\n");
    let jobs = json_of(&scene, "jobs");
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0]["spec"]["backoffLimit"], 0);
    assert_eq!(jobs[0]["metadata"]["labels"]["io.slipway.workload"], json!(id));
    let pod = &jobs[0]["spec"]["template"]["spec"];
    assert!(!jobs[0].to_string().contains("hunter2"), "a secret stands in no object but the Secret");
    let own = &pod["containers"][0];
    let variables = own["env"].as_array().unwrap();
    let secret = variables.iter().find(|variable| variable["name"] == "MY_TOKEN").unwrap();
    assert!(secret["valueFrom"]["secretKeyRef"]["name"].is_string(), "{secret}");
    assert_eq!(
        (&own["resources"]["limits"]["memory"], &own["resources"]["requests"]["cpu"]),
        (&json!("67108864"), &json!("50m"))
    );
    let folders: Vec<&Value> =
        pod["volumes"].as_array().unwrap().iter().map(|volume| &volume["emptyDir"]).collect();
    assert!(
        folders.contains(&&json!({})) && folders.contains(&&json!({ "medium": "Memory" })),
        "{folders:?}"
    );
    assert!(json_of(&scene, "persistentvolumeclaims").is_empty(), "they go with the pod");
    let environment = scene.house.call(Method::GET, &format!("/executions/{id}/environment"), None).await;
    assert_eq!((&environment["MY_TOKEN"], &environment["WHO"]), (&json!("********"), &json!("execution")));
    let udp = renga.get(&format!("{path}/ports")).await["ports"][0].clone();
    assert_eq!((&udp["specified"], &udp["protocol"]), (&json!("5353"), &json!("UDP")), "{udp}");
    let mut kinds: Vec<String> = json_of(&scene, "services")
        .iter()
        .map(|service| service["spec"]["type"].as_str().unwrap().to_owned())
        .collect();
    kinds.sort();
    assert_eq!(kinds, ["ClusterIP", "NodePort"]);
    renga.remove(&path).await;
    nothing_left(&scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_that_ends_keeps_its_output() {
    let scene = Scene::with("[renga]\nk8s = \"k8s\"\n").await;
    let renga = Renga::at(&scene.house);
    let spec = json!({ "image": "busybox:lab", "command": "sh -c 'echo $WHO; exit 4'" });
    let (path, id) = renga.run(spec, "k8s").await;
    renga.state(&path, "exited").await;
    assert_eq!(renga.send(Method::GET, &format!("{path}/logs"), None).await, (200, "execution\n".to_owned()));
    let status = scene.house.call(Method::GET, &format!("/deployments/{id}"), None).await;
    assert_eq!(status["status"]["slots"][0]["exitCode"], 4, "{status}");
    assert!(json_of(&scene, "services").is_empty(), "nothing listens");
    assert_eq!(json_of(&scene, "pods").len(), 1, "it is not tried again");
    renga.remove(&path).await;
    nothing_left(&scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_an_ingress_it_leads_to_the_execution() {
    let scene = Scene::with("[renga]\nk8s = \"k8s\"\n").await;
    let fetched = scene.house.call(Method::GET, "/infrastructures/k8s", None).await;
    let mut spec = fetched["spec"].clone();
    spec["engine"]["publish"] =
        json!({ "by": "ingress", "class": "nginx", "host": "apps.example.org", "path": "/{deployment}" });
    scene.house.call(Method::PUT, "/infrastructures/k8s", Some(json!({ "spec": spec }))).await;
    let renga = Renga::at(&scene.house);
    let mut wanted = server();
    wanted["ports"] = json!(["8080", "9090"]);
    let (path, id) = renga.run(wanted, "k8s").await;
    renga.state(&path, "running").await;
    let ingresses = json_of(&scene, "ingresses");
    assert_eq!(ingresses.len(), 1, "{ingresses:?}");
    let spec = &ingresses[0]["spec"];
    assert_eq!(spec["ingressClassName"], "nginx");
    let paths: Vec<(&Value, &Value)> = spec["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["http"]["paths"][0])
        .map(|path| (&path["path"], &path["backend"]["service"]["port"]["number"]))
        .collect();
    let own = format!("/interactive/{id}");
    assert_eq!(paths, [(&json!(own), &json!(8080)), (&json!(format!("{own}/9090")), &json!(9090))]);
    let ports = renga.get(&format!("{path}/ports")).await;
    let expected = json!({ "specified": "8080", "host": "apps.example.org", "exposed": "80", "protocol": "TCP", "path": own });
    assert_eq!(ports["ports"][0], expected, "{ports}");
    let job = &json_of(&scene, "jobs")[0];
    let told = job["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    assert!(told.contains(&json!({ "name": "DEPLOYER_BASE_URL", "value": own })), "{told:?}");
    renga.remove(&path).await;
    nothing_left(&scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_that_is_stopped_keeps_its_pod_and_its_output() {
    let scene = Scene::with("[renga]\nk8s = \"k8s\"\n").await;
    let renga = Renga::at(&scene.house);
    let command = "sh -c 'trap \"echo bye; exit 5\" TERM; echo hello; while :; do sleep 0.1; done'";
    let (path, id) = renga.run(json!({ "image": "busybox:lab", "command": command }), "k8s").await;
    renga.says(&path, "hello\n").await;
    renga.stop(&path, &id).await;
    renga.says(&path, "hello\nbye\n").await;
    let pods = json_of(&scene, "pods");
    assert_eq!(pods.len(), 1);
    assert_eq!(pods[0]["status"]["phase"], "Failed");
    assert_eq!(pods[0]["status"]["reason"], "DeadlineExceeded");
    let own = scene.house.call(Method::GET, &format!("/executions/{id}"), None).await;
    assert_eq!(own["status"].get("exitCode"), None, "nobody knows it: {own}");
    renga.remove(&path).await;
    nothing_left(&scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_real_issuer_run_read_and_remove() {
    let issuer = Issuer::start().await;
    let scene = Scene::with(&format!("{}k8s = \"k8s\"\n", issuer.believed(true).await)).await;
    by_tokens(&scene.house, &issuer, "k8s", "k8s").await;
    nothing_left(&scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restricted_infrastructure_runs_it_as_the_configured_user() {
    let scene = Scene::with("[renga]\nk8s = \"k8s\"\nuser = \"1234:2345\"\n").await;
    as_the_configured_user(&scene.house, "k8s", "k8s").await;
    nothing_left(&scene).await;
}
