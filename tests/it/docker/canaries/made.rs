//! Secrets of streams, pipelines and contexts, and of what is made of them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::docker::pipeline::deleted;
use crate::harness::process::House;

const STREAM: &str = "canary-stream-5be1c0";
const PIPELINE: &str = "canary-pipeline-77a2d4";
const OPTION: &str = "canary-option-e0419b";
const CONTEXT: &str = "canary-context-1c8f36";
const EXECUTION: &str = "canary-execution-a95d02";

/// Every one of them.
pub const ALL: [&str; 5] = [STREAM, PIPELINE, OPTION, CONTEXT, EXECUTION];

const PROGRAM: &str = "test -n \"$MP_MESSAGING_INCOMING_STREAMIN_SASL_JAAS_CONFIG\" && test -n \"$DATACATER_CONFIG_API_KEY\" && \
     grep -q jaas /usr/app/mounts/stream-in && echo has them; sleep 600";

/// What holds them.
pub struct Made {
    /// Of Slipway's own API.
    paths: Vec<String>,
    pub deployment: String,
    pub execution: String,
    context: String,
}

async fn made(house: &House, noun: &str, body: Value) -> String {
    house.call(Method::POST, &format!("/{noun}"), Some(body)).await["uuid"].as_str().unwrap().to_owned()
}

/// Makes all of it and waits until it runs.
pub async fn make(house: &House) -> Made {
    let kafka = json!({ "bootstrap.servers": "kafka:9092", "sasl.jaas.config": STREAM });
    let stream =
        made(house, "streams", json!({ "name": "orders", "spec": { "kind": "KAFKA", "kafka": kafka } }))
            .await;
    let spec = json!({ "image": "busybox:lab", "command": ["sh", "-c", PROGRAM], "stream-in": stream, "stream-out": stream,
        "infrastructure": "local", "config": { "api.key": PIPELINE } });
    let pipeline = made(house, "pipelines", json!({ "name": "clean", "spec": spec })).await;
    let spec = json!({ "pipeline": pipeline, "stream-out-config": { "ssl.key.password": OPTION } });
    let deployment = made(house, "deployments", json!({ "name": "clean", "spec": spec })).await;
    house.wait(&deployment, 1).await;
    let env = json!([{ "name": "MY_TOKEN", "value": CONTEXT }]);
    let specification = json!({ "image": "busybox:lab", "command": "sh -c 'test -n \"$MY_TOKEN\" && test -n \"$OWN_SECRET\" && echo has them; sleep 600'", "env": env });
    let context = made(house, "contexts", json!({ "spec": { "specification": specification } })).await;
    let spec = json!({ "context": context, "engine": "docker", "environment": { "OWN_SECRET": EXECUTION } });
    let execution = made(house, "executions", json!({ "spec": spec })).await;
    house.wait(&execution, 1).await;
    for id in [&deployment, &execution] {
        let lines = house.call(Method::GET, &format!("/deployments/{id}/logs"), None).await;
        assert_eq!(lines, json!(["has them"]), "they are used");
    }
    let paths =
        [("streams", &stream), ("pipelines", &pipeline), ("contexts", &context), ("executions", &execution)];
    let mut paths: Vec<String> =
        paths.iter().flat_map(|(noun, id)| [format!("/{noun}"), format!("/{noun}/{id}")]).collect();
    paths.push(format!("/executions/{execution}/environment"));
    for id in [&deployment, &execution] {
        let tails = [
            "",
            "/plan",
            "/updates",
            "/updates/1",
            "/updates/1/log",
            "/slots",
            "/events",
            "/status",
            "/journal",
        ];
        paths.extend(tails.iter().map(|tail| format!("/deployments/{id}{tail}")));
    }
    Made { paths, deployment, execution, context }
}

/// Everything that can be read of it.
pub async fn answers(house: &House, of: &Made) -> Vec<(String, String)> {
    let own = of.paths.iter().map(|path| format!("/api/v1{path}"));
    let context = format!("/v1/contexts/{}", of.context);
    let runs = format!("{context}/executions");
    let run = format!("{runs}/{}", of.execution);
    let wire = [
        "/v1/contexts".to_owned(),
        context,
        runs,
        run.clone(),
        format!("{run}/logs"),
        format!("{run}/ports"),
    ];
    let mut read = Vec::new();
    for path in own.chain(wire) {
        let url = format!("http://{}{path}", house.address);
        let answer = reqwest::Client::new().get(url).bearer_auth(&house.key).send().await.unwrap();
        let status = answer.status();
        read.push((format!("{status} {path}"), answer.text().await.unwrap()));
    }
    let good = read.iter().filter(|(what, _)| what.starts_with("200")).count();
    assert!(good > 20, "{good} of {}", read.len());
    read
}

/// Takes it all away again.
pub async fn remove(house: &House, of: &Made) {
    house.call(Method::DELETE, &format!("/executions/{}", of.execution), None).await;
    deleted(house, &of.deployment).await;
    let began = std::time::Instant::now();
    while house.call(Method::GET, "/executions", None).await != json!([]) {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "the execution does not go");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
