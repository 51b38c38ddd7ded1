//! An API server that has no room for all that is asked of it (429), and a user who may do no more than the printed Role.

use reqwest::Method;
use serde_json::json;

use super::flow::{Scene, compose};
use super::lab::{self, Namespace};

const DEPLOYMENTS: usize = 10;

/// The server's own limit on what one service account asks at once, gone with the test.
struct Limit {
    name: String,
}

impl Limit {
    /// As little as the server can give; more than that is refused at once, not queued.
    fn on(namespace: &Namespace) -> Self {
        let name = namespace.name.clone();
        let versions = lab::kubectl(&["api-versions"], "");
        let version = ["v1", "v1beta3", "v1beta1"]
            .into_iter()
            .map(|version| format!("flowcontrol.apiserver.k8s.io/{version}"))
            .find(|version| versions.lines().any(|line| line == version))
            .expect("the server has priority and fairness");
        let shares = if version.ends_with("v1beta1") {
            "assuredConcurrencyShares"
        } else {
            "nominalConcurrencyShares"
        };
        let level = json!({ "apiVersion": version, "kind": "PriorityLevelConfiguration", "metadata": { "name": name },
            "spec": { "type": "Limited", "limited": { shares: 1, "limitResponse": { "type": "Reject" } } } });
        let rule = json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true });
        let account =
            json!({ "kind": "ServiceAccount", "serviceAccount": { "namespace": name, "name": "slipway" } });
        let schema = json!({ "apiVersion": version, "kind": "FlowSchema", "metadata": { "name": name }, "spec": {
            "matchingPrecedence": 50, "priorityLevelConfiguration": { "name": name },
            "rules": [{ "subjects": [account], "resourceRules": [rule] }] } });
        let limit = Self { name };
        for object in [level, schema] {
            lab::kubectl(&["create", "-f", "-"], &object.to_string());
        }
        limit
    }

    /// How many requests the server has refused for it.
    fn refused(&self) -> u64 {
        let metrics = lab::kubectl(&["get", "--raw", "/metrics"], "");
        let ours = format!("flow_schema=\"{}\"", self.name);
        metrics
            .lines()
            .filter(|line| {
                line.starts_with("apiserver_flowcontrol_rejected_requests_total") && line.contains(&ours)
            })
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
            .sum()
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        for kind in ["flowschema", "prioritylevelconfiguration"] {
            lab::kubectl(&["delete", kind, &self.name, "--ignore-not-found"], "");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_patience_gets_it_and_everything_goes_through() {
    let namespace = Namespace::fresh();
    let limit = Limit::on(&namespace);
    let kubeconfig = namespace.kubeconfig(&json!({ "token": namespace.token() }));
    let scene = Scene::connected(namespace, &kubeconfig, "").await;
    let house = &scene.house;
    let url = format!("http://{}/api/v1/infrastructures/k8s/role", house.address);
    let role =
        reqwest::Client::new().get(url).bearer_auth(&house.key).send().await.unwrap().text().await.unwrap();
    scene.namespace.kubectl(&["apply", "-f", "-"], &role);

    // A task, a published port and peers, as the smallest Role lets them be made.
    // Without the health check, whose programs thirty pods at once leave no room for.
    let lines = compose(1).replace("replicas: 2", "replicas: 1");
    let lines: Vec<&str> = lines.lines().filter(|line| !line.contains("healthcheck:")).collect();
    house.publish("pressed", "1", &lines.join("\n")).await;
    let ids: Vec<String> = (0..DEPLOYMENTS).map(|number| format!("pressed-{number}")).collect();
    for id in &ids {
        let spec = json!({ "project": "pressed", "bundle": "1", "infrastructure": "k8s" });
        house.call(Method::POST, "/deployments", Some(json!({ "name": id, "spec": spec }))).await;
    }
    for id in &ids {
        assert_eq!(house.ask(id).await, 1);
    }
    for id in &ids {
        house.wait(id, 1).await;
    }
    let refused = limit.refused();
    println!("the server refused {refused} requests for want of room");
    assert!(refused > 0, "nothing was refused: this shows nothing");
    for id in &ids {
        house.remove(id).await;
    }
}
