//! A team's way on a real cluster, through the front door: promoted from Docker, updated without a gap, rolled back, and
//! what fails explained while the old revision serves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{MIRROR, mirror};
use super::images::stage::LAB;
use super::lab::{self, Namespace};
use crate::harness::process::House;

/// A Slipway with infrastructure `k8s` in a namespace of its own.
pub struct Scene {
    pub house: House,
    pub namespace: Namespace,
    _dir: tempfile::TempDir,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with("").await
    }

    /// With more lines of configuration.
    pub async fn with(more: &str) -> Self {
        let kubeconfig = std::fs::read_to_string(lab::kubeconfig()).unwrap();
        Self::connected(Namespace::fresh(), &kubeconfig, more).await
    }

    /// By this kubeconfig.
    pub async fn connected(namespace: Namespace, kubeconfig: &str, more: &str) -> Self {
        slipway::tls::install();
        mirror("busybox", "lab").await;
        let dir = tempfile::tempdir().unwrap();
        let config = format!("[registry.\"{LAB}\"]\nusername = \"lab\"\npassword = \"lab-secret\"\n{more}");
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        let house = House::at(dir.path()).await;
        let spec = json!({
            "stage": "prod",
            "kubeconfig": kubeconfig,
            "engine": {
                "kind": "kubernetes", "namespace": namespace.name, "registry": format!("{LAB}/slwtest"),
                "mirrors": { "docker.io": MIRROR }, "builder": "local", "volumeSize": "64Mi",
            },
        });
        house.call(Method::POST, "/infrastructures", Some(json!({ "name": "k8s", "spec": spec }))).await;
        Self { house, namespace, _dir: dir }
    }

    /// The names of all objects that are ours there, of these kinds.
    pub fn objects(&self, kinds: &str) -> Vec<String> {
        let label = "-l=io.slipway.workload";
        let listed = self.namespace.kubectl(&["get", kinds, label, "-o", "name"], "");
        listed.lines().map(ToOwned::to_owned).collect()
    }

    /// The pods that stay, by service and hash.
    pub fn pods(&self) -> Vec<String> {
        let columns = "-o=custom-columns=S:.metadata.labels.io\\.slipway\\.service,H:.metadata.labels.io\\.slipway\\.hash,\
                       P:.status.phase,D:.metadata.deletionTimestamp";
        let listed =
            self.namespace.kubectl(&["get", "pods", "-l=io.slipway.workload", "--no-headers", columns], "");
        let mut stay: Vec<String> = listed
            .lines()
            .filter(|line| line.ends_with("<none>"))
            .map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
            .collect();
        stay.sort();
        stay
    }

    /// Waits until the API shows what is looked for.
    pub async fn until(&self, id: &str, found: impl Fn(&Value) -> bool) -> Value {
        let began = std::time::Instant::now();
        loop {
            let deployment = self.house.call(Method::GET, &format!("/deployments/{id}"), None).await;
            if found(&deployment) {
                return deployment;
            }
            assert!(began.elapsed() < Duration::from_secs(90), "waited in vain: {deployment:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where a service answers.
    pub async fn endpoint(&self, id: &str, service: &str) -> String {
        let status = self.house.call(Method::GET, &format!("/deployments/{id}"), None).await;
        let slots = status["status"]["slots"].as_array().unwrap();
        let endpoint = slots.iter().filter(|slot| slot["service"] == service).find_map(|slot| {
            let endpoint = slot["endpoints"].as_array()?.first()?;
            Some(format!("http://{}:{}/", endpoint["hostIp"].as_str()?, endpoint["hostPort"]))
        });
        endpoint.unwrap_or_else(|| panic!("{service} answers nowhere: {status}"))
    }
}

/// What asks for no CPU at all gets next to none beside a busy neighbour, and then answers too late.
pub fn compose(version: usize) -> String {
    format!(
        "services:
  web:
    image: busybox:lab
    command: [\"sh\", \"-c\", \"mkdir -p /tmp/w && echo {version} > /tmp/w/index.html && exec httpd -f -p 8080 -h /tmp/w\"]
    stop_grace_period: 1s
    ports: [\"8080\"]
    deploy: {{replicas: 2, resources: {{reservations: {{cpus: \"0.05\"}}}}}}
    healthcheck: {{test: [\"CMD\", \"wget\", \"-q\", \"-O\", \"-\", \"http://127.0.0.1:8080/\"], interval: 1s, timeout: 2s, retries: 10}}
    depends_on: {{setup: {{condition: service_completed_successfully}}}}
  caller:
    image: busybox:lab
    command: [\"sh\", \"-c\", \"until wget -q -O - http://web:8080/; do sleep 1; done; echo heard; sleep 100000\"]
    stop_grace_period: 0s
  setup:
    image: busybox:lab
    command: [\"sh\", \"-c\", \"echo set up {version}\"]
    x-slipway: {{kind: task}}
"
    )
}

/// Asks an address over and over; notes what it does not answer.
pub struct Traffic {
    over: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    missed: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Traffic {
    pub fn at(address: String) -> Self {
        let (over, asked, missed) = (Arc::default(), Arc::default(), Arc::default());
        let (ended, all, none) = (Arc::clone(&over), Arc::clone(&asked), Arc::clone(&missed));
        let task = tokio::spawn(async move {
            let over: Arc<AtomicBool> = ended;
            let (asked, missed): (Arc<AtomicUsize>, Arc<Mutex<Vec<String>>>) = (all, none);
            let began = std::time::Instant::now();
            let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
            while !over.load(Ordering::Relaxed) {
                let sent = std::time::Instant::now();
                let answer = client.get(&address).timeout(Duration::from_secs(5)).send().await;
                asked.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = answer.and_then(reqwest::Response::error_for_status) {
                    missed.lock().unwrap().push(format!(
                        "{:?} after {:?}: {error:?}",
                        began.elapsed(),
                        sent.elapsed()
                    ));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { over, asked, missed, task }
    }

    /// How many requests there were, and each that was not answered.
    pub async fn end(self) -> (usize, Vec<String>) {
        self.over.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        (self.asked.load(Ordering::Relaxed), std::mem::take(&mut *self.missed.lock().unwrap()))
    }
}

/// What an address says, or why it says nothing: a node may hold a port open before it leads anywhere.
async fn said(address: &str) -> String {
    let request = reqwest::Client::new().get(address).timeout(Duration::from_secs(2));
    let answer = async { request.send().await?.text().await };
    answer.await.map_or_else(|error| error.to_string(), |text| text.trim().to_owned())
}

/// Waits until an address says this: the nodes hear of where a Service leads a moment after the API does.
pub async fn says(address: &str, wanted: &str) {
    let mut last = String::new();
    for _ in 0..100 {
        last = said(address).await;
        if last == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(last, wanted, "{address}");
}

/// Waits until the peer has heard the server by its bare name; it asks once a second.
async fn hears(house: &House, id: &str) {
    let mut logs = Value::Null;
    for _ in 0..150 {
        logs = house.call(Method::GET, &format!("/deployments/{id}/logs?service=caller"), None).await;
        if logs.to_string().contains("heard") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("peers hear each other by their bare names: {logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_promoted_from_docker_updated_without_a_gap_and_rolled_back() {
    let scene = Scene::new().await;
    let (house, here) = (&scene.house, format!("flow-{}", std::process::id()));
    for version in 1..=2 {
        house.publish("flow", &version.to_string(), &compose(version)).await;
    }
    house.deploy(&here, "flow", "1").await;
    house.update(&here).await;
    let to = json!({ "to": "k8s" });
    let promoted = house.call(Method::POST, &format!("/deployments/{here}/promote"), Some(to)).await;
    let id = promoted["name"].as_str().unwrap().to_owned();
    assert_eq!(promoted["spec"]["infrastructure"], "k8s", "{promoted}");
    if promoted["status"]["lastUpdate"] == 0 {
        house.update(&id).await;
    } else {
        house.wait(&id, 1).await;
    }
    house.remove(&here).await;
    let address = scene.endpoint(&id, "web").await;
    says(&address, "1").await;
    hears(house, &id).await;

    let traffic = Traffic::at(address.clone());
    house.choose(&id, "2").await;
    house.update(&id).await;
    let (asked, missed) = traffic.end().await;
    println!("{asked} requests while it was updated");
    assert!(asked > 20);
    assert!(missed.is_empty(), "{missed:#?} of {asked}");
    says(&address, "2").await;
    let kept: Vec<String> = scene.pods();
    assert_eq!(kept.len(), 4, "{kept:?}");

    let back =
        house.call(Method::POST, &format!("/deployments/{id}/rollback"), Some(json!({ "to": 1 }))).await;
    house.wait(&id, back["number"].as_u64().unwrap()).await;
    says(&address, "1").await;
    house.remove(&id).await;
    let left = scene.objects("deployments,jobs,services,secrets,configmaps,networkpolicies,ingresses");
    assert_eq!(left, Vec::<String>::new(), "everything of it is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_rollout_from_going_through_is_told_and_the_old_revision_serves() {
    let scene = Scene::with("[updates]\nverify_timeout = \"25s\"\n").await;
    let (house, id) = (&scene.house, "failing");
    house.publish("failing", "1", &compose(1)).await;
    let crash = compose(2).replace("exec httpd -f", "exit 3; exec httpd -f");
    let image = compose(3).replace("busybox:lab", "busybox:nowhere");
    let command = compose(4).replace("\"sh\", \"-c\", \"mkdir", "\"/no-such-shell\", \"-c\", \"mkdir");
    let room = compose(5)
        .replace("reservations: {cpus: \"0.05\"}", "reservations: {memory: 900g}, limits: {memory: 900g}");
    for (version, compose) in [("2", crash), ("3", image), ("4", command), ("5", room)] {
        house.publish("failing", version, &compose).await;
    }
    let spec = json!({ "project": "failing", "bundle": "1", "infrastructure": "k8s" });
    house.call(Method::POST, "/deployments", Some(json!({ "name": id, "spec": spec }))).await;
    house.update(id).await;
    let address = scene.endpoint(id, "web").await;
    says(&address, "1").await;
    let before = scene.pods();
    let told = [
        ("2", "crash_loop", "3"),
        ("3", "image_not_found", "busybox:nowhere"),
        ("4", "start_failed", "/no-such-shell"),
        ("5", "never_ready", "no node takes it"),
    ];
    for (version, code, words) in told {
        house.choose(id, version).await;
        let traffic = Traffic::at(address.clone());
        let number = house.ask(id).await;
        let update: Value = house.ended(id, number).await;
        let (asked, missed) = traffic.end().await;
        let failure = &update["status"]["failure"];
        assert_eq!(failure["code"], code, "{update}");
        assert!(failure["message"].as_str().unwrap().contains(words), "{failure}");
        assert!(!failure["hint"].as_str().unwrap().is_empty());
        assert!(missed.is_empty(), "{missed:#?} of {asked} requests while bundle {version} failed");
        says(&address, "1").await;
        let web =
            |pods: &[String]| pods.iter().filter(|pod| pod.starts_with("web ")).cloned().collect::<Vec<_>>();
        assert_eq!(web(&scene.pods()), web(&before), "the pods of before");
    }
    house.choose(id, "1").await;
    house.update(id).await;
    house.remove(id).await;
}
