//! Slipway in a pod of the cluster that it deploys to, by the pod's own service account.
//!
//! The lab's API server listens on the loopback address alone, so the pod shares its node's network; what it is known by
//! and trusts is what the cluster mounts into it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::flow::compose;
use super::harness::{MIRROR, mirror};
use super::lab::{self, Namespace};
use crate::harness::archive;

const KEY: &str = "the key: ";

/// The address of the cluster's API server, as the kubeconfig has it.
fn server() -> url::Url {
    let view =
        lab::kubectl(&["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"], "");
    view.parse().unwrap()
}

/// The pod, with the binary that is tested from its node's disk.
fn pod(address: std::net::SocketAddr) -> Value {
    let server = server();
    let script = format!(
        "set -e; echo \"{KEY}$(/slipway admin create-api-key --data-dir /tmp/s --name t --group admins)\"; \
         exec /slipway serve --data-dir /tmp/s --listen {address}"
    );
    let (host, port) = (server.host_str().unwrap(), server.port_or_known_default().unwrap().to_string());
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "slipway" },
        "spec": {
            "serviceAccountName": "slipway", "hostNetwork": true, "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 5,
            "containers": [{
                "name": "slipway", "image": format!("{MIRROR}/library/python:3.11-slim"), "command": ["sh", "-c", script],
                "env": [{ "name": "KUBERNETES_SERVICE_HOST", "value": host },
                    { "name": "KUBERNETES_SERVICE_PORT", "value": port }],
                "volumeMounts": [{ "name": "binary", "mountPath": "/slipway", "readOnly": true }],
            }],
            "volumes": [{ "name": "binary", "hostPath": { "path": env!("CARGO_BIN_EXE_slipway"), "type": "File" } }],
            "imagePullSecrets": [{ "name": "lab" }],
        },
    })
}

struct Inside {
    base: String,
    key: String,
}

impl Inside {
    async fn start(namespace: &Namespace) -> Self {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let login =
            ["--docker-server=127.0.0.1:5000", "--docker-username=lab", "--docker-password=lab-secret"];
        namespace.kubectl(&[&["create", "secret", "docker-registry", "lab"][..], &login[..]].concat(), "");
        namespace.kubectl(&["create", "-f", "-"], &pod(address).to_string());
        let base = format!("http://{address}");
        for _ in 0..600 {
            if reqwest::get(format!("{base}/readyz")).await.is_ok_and(|answer| answer.status() == 200) {
                // The node tells of the pod a moment after the pod answers.
                namespace.kubectl(&["wait", "--for=condition=Ready", "pod/slipway", "--timeout=30s"], "");
                let log = namespace.kubectl(&["logs", "slipway"], "");
                let key = log.lines().find_map(|line| line.strip_prefix(KEY)).unwrap().trim().to_owned();
                return Self { base, key };
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{}", namespace.kubectl(&["describe", "pod", "slipway"], ""));
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, String) {
        let request = reqwest::Client::new().request(method, format!("{}/api/v1{path}", self.base));
        let request = request.bearer_auth(&self.key);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, text) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_deploys_to_its_own_cluster_by_its_service_account() {
    slipway::tls::install();
    mirror("python", "3.11-slim").await;
    let namespace = Namespace::fresh();
    let inside = Inside::start(&namespace).await;
    let engine = json!({ "kind": "kubernetes", "access": { "by": "in_cluster" }, "namespace": namespace.name,
        "mirrors": { "docker.io": "127.0.0.1:1/hub" }, "volumeSize": "64Mi" });
    let body = json!({ "name": "here", "spec": { "stage": "prod", "engine": engine } });
    inside.call(Method::POST, "/infrastructures", body).await;
    let bare = inside.call(Method::POST, "/infrastructures/here/test", Value::Null).await;
    assert_eq!(bare["missing"].as_array().unwrap().len(), 13, "{bare:#}");
    let (_, role) = inside.ask(Method::GET, "/infrastructures/here/role", Value::Null).await;
    namespace.kubectl(&["apply", "-f", "-"], &role);
    for _ in 0..100 {
        let tested = inside.call(Method::POST, "/infrastructures/here/test", Value::Null).await;
        if tested["missing"] == json!([]) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let kept =
        compose(1).replace("stop_grace_period: 0s", "stop_grace_period: 0s\n    volumes: [\"data:/data\"]");
    let kept = format!("{kept}volumes: {{data: {{}}}}\n");
    let bundle = archive(&[("compose.yaml", kept.as_str())]);
    let request = reqwest::Client::new().post(format!("{}/api/v1/bundles?project=p&version=1", inside.base));
    let request = request.bearer_auth(&inside.key).header("content-type", "application/zip").body(bundle);
    let published = request.send().await.unwrap();
    assert!(published.status().is_success(), "{}", published.text().await.unwrap());
    let spec = json!({ "project": "p", "bundle": "1", "infrastructure": "here" });
    inside.call(Method::POST, "/deployments", json!({ "name": "inside", "spec": spec })).await;
    inside.call(Method::POST, "/deployments/inside/updates", json!({})).await;
    namespace.provide_next_volume().await;
    let mut update = Value::Null;
    for _ in 0..600 {
        update = inside.call(Method::GET, "/deployments/inside/updates/1", Value::Null).await;
        if !matches!(update["status"]["state"].as_str(), Some("queued" | "running")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(update["status"]["state"], "succeeded", "{update}");
    let pods = namespace.kubectl(&["get", "pods", "-l=io.slipway.workload=inside", "-o", "name"], "");
    assert_eq!(pods.lines().count(), 4, "{pods}");
}
