//! Who may do what at renga-deployer's API, and what is refused.

use reqwest::Method;
use serde_json::{Value, json};
use slipway::domain::access::InfrastructureRight;
use slipway::domain::name::InfrastructureId;
use slipway::http::compat::renga::Settings;

use super::execution::{context, execution, of, run_on, state};
use super::refused;
use crate::harness::{Team, TestApp};

const ABSENT: &str = "00000000-0000-4000-8000-000000000000";

fn words(body: &Value, own: &str) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().remove("requestId");
    serde_json::from_str(&body.to_string().replace(own, "X")).unwrap()
}

#[tokio::test]
async fn what_is_foreign_answers_like_what_is_absent() {
    let team = Team::start().await;
    run_on(&team);
    let own = context(&team.deployer, json!({ "image": "busybox", "command": "sleep 600" })).await;
    let (path, made) = execution(&team.deployer, &own, json!({ "engine": "docker" })).await;
    state(&team.deployer, &path, "running").await;
    let (context_id, execution_id) =
        (own["identifier"].as_str().unwrap(), made["identifier"].as_str().unwrap());
    let mine = context(&team.stranger, json!({ "image": "busybox" })).await;
    let theirs = mine["identifier"].as_str().unwrap();
    let paths = ["", "/executions", "/executions/E", "/executions/E/logs", "/executions/E/ports"];
    for tail in paths {
        let at = |context: &str, execution: &str| {
            format!("/v1/contexts/{context}{}", tail.replace("/E", &format!("/{execution}")))
        };
        let foreign = refused(team.stranger.get(&at(context_id, execution_id)).await, 404);
        let absent = refused(team.stranger.get(&at(ABSENT, ABSENT)).await, 404);
        let same = words(&words(&foreign, context_id), execution_id) == words(&absent, ABSENT);
        assert!(same, "{tail}: {foreign} {absent}");
        if tail.contains("/E") {
            // Under a context of one's own it is absent, too; for its owner as for a stranger.
            refused(team.stranger.get(&at(theirs, execution_id)).await, 404);
            let other = context(&team.deployer, json!({ "image": "busybox" })).await;
            refused(team.deployer.get(&at(other["identifier"].as_str().unwrap(), execution_id)).await, 404);
            refused(team.deployer.get(&at(context_id, ABSENT)).await, 404);
        }
    }
    refused(team.stranger.delete(&path).await, 404);
    refused(team.stranger.post(&of(&own), &json!({ "engine": "docker" })).await, 404);
    assert_eq!(state(&team.deployer, &path, "running").await["identifier"], execution_id);
    let seen = team.stranger.get("/v1/contexts").await.expect(200).json();
    assert_eq!(seen["contexts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_is_let_in_without_a_credential() {
    let team = Team::start().await;
    let run = format!("/v1/contexts/{ABSENT}/executions");
    for (method, path) in [
        (Method::GET, "/v1/contexts".to_owned()),
        (Method::POST, "/v1/contexts".to_owned()),
        (Method::GET, format!("/v1/contexts/{ABSENT}")),
        (Method::GET, run.clone()),
        (Method::POST, run.clone()),
        (Method::GET, format!("{run}/{ABSENT}")),
        (Method::DELETE, format!("{run}/{ABSENT}")),
        (Method::GET, format!("{run}/{ABSENT}/logs")),
        (Method::GET, format!("{run}/{ABSENT}/ports")),
    ] {
        let nobody = team.it.nobody();
        refused(nobody.send(nobody.request(method, &path)).await, 401);
    }
}

#[tokio::test]
async fn what_is_no_uuid_is_400() {
    let team = Team::start().await;
    for path in
        ["/v1/contexts/x", "/v1/contexts/x/executions", &format!("/v1/contexts/{ABSENT}/executions/7/logs")]
    {
        let body = refused(team.deployer.get(path).await, 400);
        assert!(body["detail"].as_str().unwrap().contains("is no uuid"), "{body}");
    }
}

#[tokio::test]
async fn running_takes_deploy_on_the_infrastructure() {
    let team = Team::start().await;
    let own = context(&team.viewer, json!({ "image": "busybox" })).await;
    let body = refused(team.viewer.post(&of(&own), &json!({ "engine": "docker" })).await, 403);
    assert!(body["detail"].as_str().unwrap().contains("deploy"), "{body}");
    let own = context(&team.stranger, json!({ "image": "busybox" })).await;
    for engine in ["docker", "nowhere"] {
        let body = refused(team.stranger.post(&of(&own), &json!({ "engine": engine })).await, 400);
        assert_eq!(body["problems"][0]["place"], "engine", "{body}");
    }
    let body = refused(
        team.deployer
            .post(
                &of(&context(&team.deployer, json!({ "image": "busybox" })).await),
                &json!({ "engine": "k8s" }),
            )
            .await,
        400,
    );
    assert!(body["hint"].as_str().unwrap().contains("renga.k8s"), "{body}");
}

#[tokio::test]
async fn a_namespace_is_allowed_by_the_configuration_alone() {
    let meant = |id: &str| InfrastructureId::parse(id).unwrap();
    let namespaces = [("team-b".to_owned(), meant("b")), ("team-c".to_owned(), meant("c"))].into();
    let settings = Settings { namespaces, ..Settings::default() };
    let team = Team::on(TestApp::builder().renga(settings).start().await).await;
    for id in ["b", "c"] {
        let body = json!({ "name": id, "spec": { "stage": "dev", "engine": { "kind": "fake" } } });
        team.admin.post("/api/v1/infrastructures", &body).await.expect(200);
    }
    team.it.grant_infrastructure("b", "ml", InfrastructureRight::Deploy).await;
    let own = context(&team.deployer, json!({ "image": "busybox", "command": "true" })).await;
    let (path, made) =
        execution(&team.deployer, &own, json!({ "engine": "docker", "namespace": "team-b" })).await;
    assert_eq!(made["namespace"], "team-b");
    state(&team.deployer, &path, "exited").await;
    let deployment = format!("/api/v1/deployments/{}", made["identifier"].as_str().unwrap());
    assert_eq!(team.deployer.get(&deployment).await.expect(200).json()["spec"]["infrastructure"], "b");
    for namespace in ["team-c", "kube-system", ""] {
        let order = json!({ "engine": "docker", "namespace": namespace });
        let body = refused(team.deployer.post(&of(&own), &order).await, 403);
        assert!(body["hint"].as_str().unwrap().contains("Those that are: default, team-b."), "{body}");
    }
}

#[tokio::test]
async fn a_path_of_the_host_takes_an_exception() {
    let team = Team::start().await;
    let spec = json!({ "image": "busybox", "command": "true", "volumes": [{ "name": "d", "hostPath": { "path": "/srv/data" } }],
        "volumeMounts": [{ "name": "d", "mountPath": "/data" }] });
    let own = context(&team.deployer, spec).await;
    let body = refused(team.deployer.post(&of(&own), &json!({ "engine": "docker" })).await, 403);
    assert!(body["detail"].as_str().unwrap().contains("host path /srv/data"), "{body}");
    assert_eq!(body["code"], "exception_missing");
    let fetched = team.admin.get("/api/v1/infrastructures/local").await.expect(200).json();
    let mut spec = fetched["spec"].clone();
    spec["policy"]["exceptions"] = json!([{ "kind": "host_path", "value": "/srv/data" }]);
    team.admin.put("/api/v1/infrastructures/local", &json!({ "spec": spec })).await.expect(200);
    let (path, _) = execution(&team.deployer, &own, json!({ "engine": "docker" })).await;
    state(&team.deployer, &path, "exited").await;
}

#[tokio::test]
async fn what_is_wrong_is_named_by_its_place() {
    let team = Team::start().await;
    let spec = json!({ "image": "busy box", "ports": ["http"], "env": [{ "name": "..TOKEN", "value": "1" }], "privileged": true });
    let body = refused(team.deployer.post("/v1/contexts", &spec).await, 400);
    let places: Vec<&str> =
        body["problems"].as_array().unwrap().iter().map(|one| one["place"].as_str().unwrap()).collect();
    for place in ["image", "ports[0]", "privileged"] {
        assert!(places.contains(&place), "{place}: {body}");
    }
    let spec = json!({ "image": "busybox", "env": [{ "name": "..TOKEN", "value": "1" }] });
    let body = refused(team.deployer.post("/v1/contexts", &spec).await, 400);
    assert_eq!(body["problems"][0]["place"], "env...TOKEN", "{body}");
    let own = context(&team.deployer, json!({ "image": "busybox" })).await;
    let body =
        refused(team.deployer.post(&of(&own), &json!({ "engine": "docker", "namespaces": "x" })).await, 400);
    assert_eq!(body["problems"][0]["place"], "namespaces", "{body}");
    refused(team.deployer.post(&of(&own), &json!({})).await, 400);
}
