//! A pipeline's deployment on a real cluster, through DataCater's API: the Deployment and what the cluster says of it in
//! the shape of DataCater's document, health and metrics reached from outside the cluster, and nothing left in the end.

use reqwest::Method;
use serde_json::{Value, json};

use super::flow::Scene;
use crate::docker::pipeline::{
    PROGRAM, answers, deleted, deployed, fails_and_is_well_again, follows_a_million_lines, pipeline, told,
};

const KINDS: &str = "deployments,services,secrets,configmaps,networkpolicies,pods";

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_is_a_deployment_as_datacater_describes_it() {
    let scene = Scene::new().await;
    let house = &scene.house;
    let pipeline = pipeline(house, "k8s", PROGRAM).await;
    let id = deployed(house, &pipeline, json!({ "replicas": 2 })).await;
    let name = format!("datacater-deployment-{id}");
    let deployment = scene.until(&id, |deployment| deployment["status"]["health"] == "HEALTHY").await;
    let told_of = &deployment["status"][&name];
    let text = scene.namespace.kubectl(&["get", "deployment", &name, "-o", "json"], "");
    let object: Value = serde_json::from_str(&text).unwrap();
    // Every label and annotation that is not Slipway's own, and the conditions, as the cluster has them.
    let mut wanted = serde_json::Map::new();
    for kind in ["labels", "annotations"] {
        for (key, value) in object["metadata"][kind].as_object().unwrap() {
            if !key.starts_with("io.slipway.") {
                wanted.insert(key.clone(), value.clone());
            }
        }
    }
    let keys = ["datacater.io/app", "datacater.io/pipeline", "datacater.io/revision", "datacater.io/uuid"];
    let mut expected: Vec<&str> = keys.to_vec();
    expected.push("deployment.kubernetes.io/revision");
    assert_eq!(wanted.keys().map(String::as_str).collect::<Vec<_>>(), expected, "as in DataCater's document");
    wanted.insert("Conditions".to_owned(), object["status"]["conditions"].clone());
    assert_eq!(*told_of, Value::Object(wanted));
    assert_eq!(told_of["Conditions"][0]["message"], "Deployment has minimum availability.");
    assert_eq!(told_of["Conditions"][1]["reason"], "NewReplicaSetAvailable");
    told(house, &id).await;
    answers(house, &id).await;
    let counters = house.call(Method::GET, &format!("/deployments/{id}/status"), None).await;
    assert_eq!(counters["conditions"], object["status"]["conditions"], "{counters}");
    let secret = scene.namespace.kubectl(&["get", "deployment", &name, "-o", "yaml"], "");
    assert!(!secret.contains("c4n4ry"), "a secret option stands in no object but the Secret");
    let held = house.call(Method::GET, "/deployments?in-cluster=true", None).await;
    assert_eq!(held[0]["uuid"], id.as_str());
    deleted(house, &id).await;
    // Its pods take their grace period to end.
    let pod = |name: &String| name.starts_with("pod/");
    assert_eq!(
        scene.objects(KINDS).into_iter().filter(|name| !pod(name)).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    assert_eq!(scene.pods(), Vec::<String>::new(), "none that stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_answers_with_a_failure_is_passed_on_and_makes_it_unhealthy() {
    let scene = Scene::new().await;
    fails_and_is_well_again(&scene.house, "k8s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_of_a_million_lines_misses_none() {
    let scene = Scene::new().await;
    follows_a_million_lines(&scene.house, "k8s").await;
}
