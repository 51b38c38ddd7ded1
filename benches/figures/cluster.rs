//! Two thousand deployments on one Kubernetes infrastructure: what watching them asks of the API server, by the server's
//! own count, and how soon a change is seen among them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use reqwest::Method;
use serde_json::json;

use crate::Figure;
use crate::house::House;
use crate::kubelet::{Kubelet, say};
use crate::lab::{self, Namespace};
use crate::probe::memory;
use crate::stats::{median, ms, show_ms};

const DEPLOYMENTS: usize = 2_000;
const AT_ONCE: usize = 8;
const QUIET: Duration = Duration::from_secs(60);
const ROUNDS: usize = 15;
const NODE: &str = "slwbench-node";
/// What Slipway watches.
const KINDS: [&str; 7] =
    ["pods", "deployments", "jobs", "services", "ingresses", "horizontalpodautoscalers", "events"];
const COMPOSE: &str =
    "services:\n  app:\n    image: busybox:lab\n    command: sleep 600\n    stop_grace_period: 0s\n";

pub async fn figures() -> Vec<Figure> {
    let client = client().await;
    let namespace = Namespace::fresh();
    let kubelet = Kubelet::join(client.clone(), NODE).await;
    let mut house = House::fresh().await;
    connect(&house, &namespace).await;
    let begun = Instant::now();
    deploy_all(&house).await;
    let rate = DEPLOYMENTS as f64 / begun.elapsed().as_secs_f64();

    let watched = asked_in(QUIET).await;
    println!("asked within {QUIET:?} while watched: {watched:?}");
    let resident = memory(&house);
    let took = seen_after(&house, &client, &namespace).await;
    house.stop(true);
    let unwatched = asked_in(QUIET).await;
    let before = asked();
    let begun = Instant::now();
    let up = house.start();
    all_healthy(&house).await;
    println!("all {DEPLOYMENTS} were known {:?} after the start", begun.elapsed());
    let restart = begun_with(&before);
    house.stop(true);
    kubelet.leave().await;

    let count = |asked: &BTreeMap<String, u64>| asked.values().sum::<u64>().to_string();
    let plain = |name: String, value: String, reference: String, aim| Figure {
        name,
        value,
        reference,
        ratio: String::new(),
        aim,
    };
    println!(
        "asked within {QUIET:?} while watched: {watched:?}; while not: {unwatched:?}; by a start: {restart:?}"
    );
    let (ours, raw): (Vec<f64>, Vec<f64>) = took.into_iter().unzip();
    vec![
        plain(
            format!("{DEPLOYMENTS} on a cluster: updates at {AT_ONCE} at a time"),
            format!("{rate:.1}/s"),
            String::new(),
            "",
        ),
        plain(
            "requests in 60 quiet seconds, not watched as reference".into(),
            count(&watched),
            count(&unwatched),
            "not one per deployment",
        ),
        plain(
            "requests of a start, until all is known".into(),
            count(&restart),
            String::new(),
            "a list and a watch of each kind",
        ),
        plain("start to first answer".into(), show_ms(ms(up)), String::new(), "<= 200 ms"),
        plain(
            "pod's change -> API; a watch of one's own as reference".into(),
            show_ms(median(ours)),
            show_ms(median(raw)),
            "",
        ),
        plain("memory, watching them".into(), format!("{resident:.1} MB"), String::new(), ""),
    ]
}

async fn client() -> kube::Client {
    let kubeconfig = Kubeconfig::read_from(lab::kubeconfig()).expect("tests/lab/lab k8s starts a cluster");
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

async fn connect(house: &House, namespace: &Namespace) {
    // Nobody answers at that mirror: the image is taken by its name.
    let engine = json!({ "kind": "kubernetes", "namespace": namespace.name, "mirrors": { "docker.io": "127.0.0.1:1/hub" } });
    let kubeconfig = std::fs::read_to_string(lab::kubeconfig()).unwrap();
    let spec = json!({ "stage": "prod", "engine": engine, "kubeconfig": kubeconfig });
    house.call(Method::POST, "/infrastructures", Some(json!({ "name": "k8s", "spec": spec }))).await;
    house.publish("bench-cluster", "1", COMPOSE).await;
}

fn id(number: usize) -> String {
    format!("bench-cluster-{number:04}")
}

async fn deploy_all(house: &House) {
    let one = |number| async move {
        let spec = json!({ "project": "bench-cluster", "bundle": "1", "infrastructure": "k8s" });
        house.call(Method::POST, "/deployments", Some(json!({ "name": id(number), "spec": spec }))).await;
        let update = house.ask(&id(number)).await;
        let watch = format!("/deployments/{}/updates/{update}/watch", id(number));
        house.call(Method::GET, &watch, None).await;
        house.wait(&id(number), update).await;
    };
    stream::iter(0..DEPLOYMENTS).for_each_concurrent(AT_ONCE, one).await;
}

/// Waits until nothing but health is shown, of all of them.
async fn all_healthy(house: &House) {
    let begun = Instant::now();
    for other in ["UNKNOWN", "ERROR", "UNHEALTHY", "WARNING", "OUT_OF_SYNC"] {
        let path = format!("/deployments?infrastructure=k8s&health={other}&limit=1");
        while house.call(Method::GET, &path, None).await.as_array().is_none_or(|left| !left.is_empty()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "some stay {other}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// How many requests the server has had for what Slipway watches, in one namespace, by verb and kind.
fn asked() -> BTreeMap<String, u64> {
    let metrics = lab::kubectl(&["get", "--raw", "/metrics"], "");
    let mut asked = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let (Some(verb), Some(kind), Some(scope)) = (label("verb"), label("resource"), label("scope")) else {
            continue;
        };
        if KINDS.contains(&kind.as_str())
            && scope == "namespace"
            && ["LIST", "WATCH", "GET"].contains(&verb.as_str())
        {
            let count = line.rsplit_once(' ').and_then(|(_, count)| count.parse::<u64>().ok()).unwrap_or(0);
            *asked.entry(format!("{verb} {kind}")).or_default() += count;
        }
    }
    asked
}

fn begun_with(before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let more = asked().into_iter().map(|(what, count)| {
        let less = before.get(&what).copied().unwrap_or(0);
        (what, count - less)
    });
    more.filter(|(_, count)| *count > 0).collect()
}

async fn asked_in(time: Duration) -> BTreeMap<String, u64> {
    let before = asked();
    tokio::time::sleep(time).await;
    begun_with(&before)
}

/// A pod that says that it is not ready any more: milliseconds until the API says so, and until a watch of one's own does.
async fn seen_after(house: &House, client: &kube::Client, namespace: &Namespace) -> Vec<(f64, f64)> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace.name);
    let id = id(DEPLOYMENTS / 2);
    let labelled = ListParams::default().labels(&format!("io.slipway.workload={id}"));
    let pod = pods.list(&labelled).await.unwrap().items.remove(0);
    let mut took = Vec::new();
    for round in 0..ROUNDS * 2 {
        let ready = round % 2 == 1;
        let watch = tokio::spawn(heard(pods.clone(), pod.metadata.name.clone().unwrap(), ready));
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        let (said, seen) = tokio::join!(say(&pods, &pod, ready), when_ready(house, &id, u64::from(ready)));
        said.unwrap();
        let heard = watch.await.unwrap();
        took.push((ms(seen - begun), ms(heard - begun)));
    }
    took
}

async fn when_ready(house: &House, id: &str, wanted: u64) -> Instant {
    let begun = Instant::now();
    loop {
        let got = house.call(Method::GET, &format!("/deployments/{id}"), None).await;
        if got["status"]["ready"] == wanted {
            return Instant::now();
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "never {wanted} ready: {}", got["status"]);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn heard(pods: Api<Pod>, name: String, wanted: bool) -> Instant {
    let field = format!("metadata.name={name}");
    // Of the list, not of the pod: what nobody changed for a while has a version that the server no longer knows.
    let list = pods.list(&ListParams::default().fields(&field)).await.unwrap();
    let at = list.metadata.resource_version.unwrap();
    let only = WatchParams::default().fields(&field);
    let mut events = std::pin::pin!(pods.watch(&only, &at).await.unwrap());
    while let Some(event) = events.next().await {
        let Ok(WatchEvent::Modified(pod)) = event else { continue };
        let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
        let ready = conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True");
        if ready == wanted {
            return Instant::now();
        }
    }
    panic!("the watch ended");
}
