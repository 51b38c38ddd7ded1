//! What the cluster says of itself, passed through: conditions as `kubectl` shows them, in the API and on the page.

use reqwest::Method;
use serde_json::{Value, json};

use super::flow::{Scene, Traffic, compose, says};
use super::harness::MIRROR;

/// The objects that a deployment's status holds, of one kind.
async fn objects(scene: &Scene, id: &str, kind: &str) -> Vec<Value> {
    let status = scene.house.call(Method::GET, &format!("/deployments/{id}"), None).await;
    let objects = status["status"]["objects"].as_array().unwrap().clone();
    objects.into_iter().filter(|object| object["kind"] == kind).collect()
}

/// What `kubectl` has of one object: all that is passed through.
fn by_hand(scene: &Scene, kind: &str, name: &str) -> Value {
    let text = scene.namespace.kubectl(&["get", kind, name, "-o", "json"], "");
    let object: Value = serde_json::from_str(&text).unwrap();
    let (meta, mut conditions) = (&object["metadata"], object["status"]["conditions"].clone());
    for condition in conditions.as_array_mut().unwrap() {
        // Newer clusters' pods say this as well.
        let condition = condition.as_object_mut().unwrap();
        condition.retain(|key, value| !value.is_null() && key != "observedGeneration");
    }
    json!({ "kind": object["kind"], "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"],
        "labels": meta["labels"], "annotations": meta["annotations"], "conditions": conditions })
}

/// Waits until what is told of the object of this kind is what `kubectl` shows.
async fn alike(scene: &Scene, id: &str, kind: &str, service: &str) -> Value {
    let mut last = (Value::Null, Value::Null);
    for _ in 0..100 {
        let found = objects(scene, id, kind).await.into_iter().find(|object| object["service"] == service);
        if let Some(mut told) = found {
            told.as_object_mut().unwrap().remove("service");
            let shown = by_hand(scene, kind, told["name"].as_str().unwrap());
            if told == shown {
                return told;
            }
            last = (told, shown);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("told {:#}, shown {:#}", last.0, last.1);
}

fn states(object: &Value) -> Vec<(&str, &str)> {
    let all = object["conditions"].as_array().unwrap().iter();
    all.map(|one| (one["type"].as_str().unwrap(), one["status"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_are_those_of_the_cluster_word_for_word() {
    let scene = Scene::new().await;
    let (house, id) = (&scene.house, "said");
    house.publish("said", "1", &compose(1)).await;
    let spec = json!({ "project": "said", "bundle": "1", "infrastructure": "k8s" });
    house.call(Method::POST, "/deployments", Some(json!({ "name": id, "spec": spec }))).await;
    house.update(id).await;
    let web = alike(&scene, id, "Deployment", "web").await;
    assert_eq!(web["name"], "said-web");
    assert_eq!(web["labels"]["io.slipway.workload"], id);
    assert!(
        states(&web).contains(&("Available", "True")) && states(&web).contains(&("Progressing", "True")),
        "{web:#}"
    );
    let condition =
        web["conditions"].as_array().unwrap().iter().find(|one| one["type"] == "Available").unwrap();
    for key in ["reason", "message", "lastTransitionTime", "lastUpdateTime"] {
        assert!(condition[key].as_str().is_some_and(|text| !text.is_empty()), "{condition}");
    }
    let task = alike(&scene, id, "Job", "setup").await;
    assert!(states(&task).contains(&("Complete", "True")), "{task:#}");
    assert_eq!(
        objects(&scene, id, "Pod").await,
        Vec::<Value>::new(),
        "pods that are as they should be say nothing"
    );

    // Somebody makes a pod fail: it explains itself, for as long as it does.
    let pod = scene.namespace.kubectl(&["get", "pods", "-l=io.slipway.service=web", "-o", "name"], "");
    let pod = pod.lines().next().unwrap();
    scene.namespace.kubectl(&["exec", pod, "--", "sh", "-c", "rm /tmp/w/index.html"], "");
    let mut told = Vec::new();
    for _ in 0..300 {
        told = objects(&scene, id, "Pod").await;
        if !told.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(states(&told[0]).contains(&("Ready", "False")), "{told:#?}");
    assert_eq!(format!("pod/{}", told[0]["name"].as_str().unwrap()), pod);
    scene.namespace.kubectl(&["exec", pod, "--", "sh", "-c", "echo 1 > /tmp/w/index.html"], "");
    for _ in 0..300 {
        told = objects(&scene, id, "Pod").await;
        if told.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(told, Vec::<Value>::new());
    let slots = house.call(Method::GET, &format!("/deployments/{id}/slots"), None).await;
    let restarts = slots.as_array().unwrap().iter().map(|slot| &slot["restarts"]).collect::<Vec<_>>();
    assert!(restarts.iter().all(|count| **count == 0), "a failing check restarts nothing: {slots:#}");
    house.remove(id).await;
    let status = house.call(Method::GET, "/deployments", None).await;
    assert_eq!(status.as_array().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_port_costs_no_downtime_on_a_cluster() {
    let scene = Scene::new().await;
    let (house, id) = (&scene.house, "fixed");
    for version in 1..=2 {
        let fixed = compose(version).replace("ports: [\"8080\"]", "ports: [\"8443:8080\"]");
        let fixed = fixed.replace("replicas: 2", "replicas: 1");
        house.publish("fixed", &version.to_string(), &fixed).await;
    }
    let spec = json!({ "project": "fixed", "bundle": "1", "infrastructure": "k8s" });
    house.call(Method::POST, "/deployments", Some(json!({ "name": id, "spec": spec }))).await;
    house.update(id).await;
    let address = scene.endpoint(id, "web").await;
    says(&address, "1").await;
    house.choose(id, "2").await;
    let plan = house.call(Method::GET, &format!("/deployments/{id}/plan"), None).await;
    assert_eq!(plan["downtime"], json!([]), "{plan}");
    let told = plan["differences"][0].as_str().unwrap();
    assert!(told.starts_with("web: port 8443 of the host is not taken"), "{plan}");
    let traffic = Traffic::at(address.clone());
    house.update(id).await;
    let (asked, missed) = traffic.end().await;
    assert!(asked > 20 && missed.is_empty(), "{missed:#?} of {asked}");
    says(&address, "2").await;
    let strategy = ["get", "deployment", "fixed-web", "-o", "jsonpath={.spec.strategy.type}"];
    assert_eq!(scene.namespace.kubectl(&strategy, ""), "RollingUpdate");
    house.remove(id).await;
}

/// Waits until a deployment's status is so many ready of so many wanted, in this sync.
async fn settles(scene: &Scene, id: &str, replicas: u64, sync: &str) -> Value {
    let mut last = Value::Null;
    for _ in 0..600 {
        last = scene.house.call(Method::GET, &format!("/deployments/{id}"), None).await["status"].clone();
        let web = last["slots"].as_array().unwrap().iter().filter(|slot| slot["service"] == "web").count();
        // The caller and the task that ended are two more.
        let (ready, wanted) = (last["ready"].as_u64(), last["wanted"].as_u64());
        let counted = ready == wanted && wanted == Some(replicas + 2) && web as u64 == replicas;
        if counted && last["sync"] == sync {
            return last;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("wanted {replicas} and {sync}: {last:#}");
}

/// An autoscaler of `scaled-web` that wants just so many.
fn autoscaler(replicas: u32) -> String {
    let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled-web" });
    json!({ "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "scaler" },
        "spec": { "minReplicas": replicas, "maxReplicas": replicas, "scaleTargetRef": target } })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_autoscaler_wants_is_wanted_and_what_a_hand_scales_is_drift() {
    let scene = Scene::new().await;
    let (house, id) = (&scene.house, "scaled");
    for version in 1..=2 {
        house.publish("scaled", &version.to_string(), &compose(version)).await;
    }
    let spec = json!({ "project": "scaled", "bundle": "1", "infrastructure": "k8s" });
    house.call(Method::POST, "/deployments", Some(json!({ "name": id, "spec": spec }))).await;
    house.update(id).await;
    settles(&scene, id, 2, "in_sync").await;

    // It acts without metrics where its own bounds tell it enough.
    scene.namespace.kubectl(&["apply", "-f", "-"], &autoscaler(3));
    let more = settles(&scene, id, 3, "in_sync").await;
    assert_eq!(more["health"], "HEALTHY", "{more:#}");
    let address = scene.endpoint(id, "web").await;
    house.choose(id, "2").await;
    let traffic = Traffic::at(address.clone());
    house.update(id).await;
    let (asked, missed) = traffic.end().await;
    assert!(asked > 20 && missed.is_empty(), "{missed:#?} of {asked}");
    says(&address, "2").await;
    settles(&scene, id, 3, "in_sync").await;

    scene.namespace.kubectl(&["apply", "-f", "-"], &autoscaler(1));
    let fewer = settles(&scene, id, 1, "in_sync").await;
    assert_eq!(fewer["health"], "HEALTHY", "{fewer:#}");

    scene.namespace.kubectl(&["delete", "horizontalpodautoscaler", "scaler"], "");
    house.update(id).await;
    settles(&scene, id, 2, "in_sync").await;
    scene.namespace.kubectl(&["scale", "deployment", "scaled-web", "--replicas=1"], "");
    let mut last = Value::Null;
    for _ in 0..300 {
        last = house.call(Method::GET, &format!("/deployments/{id}"), None).await["status"].clone();
        if last["sync"] == "out_of_sync" && last.to_string().contains("scaled by hand") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(last.to_string().contains("scaled by hand from 2 to 1"), "{last:#}");
    assert_eq!(last["sync"], "out_of_sync");
    house.update(id).await;
    settles(&scene, id, 2, "in_sync").await;
    house.remove(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_says_where_a_service_answers() {
    let scene = Scene::new().await;
    let (house, id) = (&scene.house, "led");
    let publish = json!({ "by": "ingress", "host": "{service}-{deployment}.apps.example.org", "path": "/at",
        "tlsSecret": "wildcard" });
    let engine = json!({ "kind": "kubernetes", "namespace": scene.namespace.name, "publish": publish,
        "mirrors": { "docker.io": MIRROR } });
    let spec = json!({ "stage": "prod", "engine": engine });
    house.call(Method::PUT, "/infrastructures/k8s", Some(json!({ "spec": spec }))).await;
    house.publish("led", "1", &compose(1)).await;
    let spec = json!({ "project": "led", "bundle": "1", "infrastructure": "k8s" });
    house.call(Method::POST, "/deployments", Some(json!({ "name": id, "spec": spec }))).await;
    house.update(id).await;
    let address = |told: &Value| {
        let slots = told.as_array().unwrap().iter().filter(|slot| slot["service"] == "web");
        slots.map(|slot| slot["endpoints"].clone()).collect::<Vec<_>>()
    };
    let of = |scheme| json!([{ "containerPort": 8080, "protocol": "tcp", "url": format!("{scheme}://web-led.apps.example.org/at") }]);
    let told = house.call(Method::GET, &format!("/deployments/{id}/slots"), None).await;
    assert_eq!(address(&told), [of("https"), of("https")], "{told:#}");

    // What counts is what the Ingress has.
    let name = scene.namespace.kubectl(&["get", "ingress", "-o", "jsonpath={.items[0].metadata.name}"], "");
    let plain = r#"[{"op": "remove", "path": "/spec/tls"}]"#;
    scene.namespace.kubectl(&["patch", "ingress", &name, "--type=json", "-p", plain], "");
    let mut told = Value::Null;
    for _ in 0..100 {
        told = house.call(Method::GET, &format!("/deployments/{id}/slots"), None).await;
        if address(&told) == [of("http"), of("http")] {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(address(&told), [of("http"), of("http")], "{told:#}");
    house.remove(id).await;
}
