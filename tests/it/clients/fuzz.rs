//! A fuzzer asks whatever the descriptions allow, and what they do not: every answer has a status, a type and a shape that
//! the description names, and none is the server's fault.

use reqwest::Method;
use serde_json::{Value, json};

use super::Stage;

/// How many requests are made up for each operation, besides those that its description's limits suggest.
const EACH: &str = "20";

/// What ends the fuzzer's own credential, and streams, which have no end.
const LEFT_OUT: &str = "(api-keys/|revoke-sessions|watch)";

const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// A Slipway with an in-memory infrastructure that group `ml` administers: nothing of a real engine is touched.
async fn stage() -> Stage {
    let stage = Stage::new(".").await;
    let house = &stage.house;
    let fake = json!({ "name": "fake", "spec": { "stage": "dev", "engine": { "kind": "fake" } } });
    house.call(Method::POST, "/infrastructures", Some(fake)).await;
    house.call(Method::PUT, "/infrastructures/fake/grants/ml", Some(json!({ "right": "admin" }))).await;
    stage
}

/// Runs the fuzzer over a description as group `ml`, with `more` arguments and these values for parameters of paths.
async fn fuzz(stage: &Stage, description: &str, base: &str, more: &[&str], paths: &[(&str, &str)]) {
    let header = format!("Authorization: Bearer {}", stage.keys["ml"].as_str().unwrap());
    let home = tempfile::tempdir().unwrap();
    let (folder, config) = (home.path().to_str().unwrap(), home.path().join("fuzz.toml"));
    let values = paths.iter().map(|(name, value)| format!("\"path.{name}\" = \"{value}\"\n"));
    std::fs::write(&config, format!("[parameters]\n{}", values.collect::<String>())).unwrap();
    let mut arguments =
        vec!["-m", "schemathesis.cli", "--config-file", config.to_str().unwrap(), "run", description];
    arguments.extend([
        "--url",
        base,
        "-H",
        &header,
        "-n",
        EACH,
        "--checks",
        CHECKS,
        "--seed",
        "1",
        "--no-color",
    ]);
    arguments.extend(["--request-timeout", "10", "--continue-on-failure", "--generation-database", "none"]);
    arguments.extend(["--phases", "examples,coverage,fuzzing", "--report-dir", folder]);
    arguments.extend(["--exclude-path-regex", LEFT_OUT]);
    arguments.extend(more);
    let said = stage.run(&arguments, &[("HOME", folder)]).await;
    assert!(said.contains(" passed") && !said.contains("401 Unauthorized ("), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_a_fuzzer_as_its_description_says() {
    let stage = stage().await;
    let house = &stage.house;
    let made = |noun: &'static str, body: Value| {
        let url = format!("http://{}/api/v1/{noun}", house.address);
        let key = stage.keys["ml"].as_str().unwrap();
        let request = reqwest::Client::new().post(url).bearer_auth(key).json(&body);
        async move {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.json::<Value>().await.unwrap()["uuid"].as_str().unwrap().to_owned()
        }
    };
    let kafka = json!({ "bootstrap.servers": "kafka:9092", "sasl.jaas.config": "secret" });
    let stream =
        made("streams", json!({ "name": "orders", "spec": { "kind": "KAFKA", "kafka": kafka } })).await;
    let spec = json!({ "image": "a:1", "stream-in": stream, "stream-out": stream, "infrastructure": "fake" });
    let pipeline = made("pipelines", json!({ "name": "clean", "spec": spec })).await;
    let deployment = made("deployments", json!({ "name": "clean", "spec": { "pipeline": pipeline } })).await;
    let specification = json!({ "image": "busybox", "command": "sleep 600", "ports": ["80"] });
    let context = made("contexts", json!({ "spec": { "specification": specification } })).await;
    let execution = made("executions", json!({ "spec": { "context": context, "engine": "fake" } })).await;
    let description = format!("http://{}/api/v1/openapi.json", house.address);
    let base = format!("http://{}/api/v1", house.address);
    // What is there, first; then whatever ids are made up.
    for (noun, parameter, id) in [
        ("deployments", "id", &deployment),
        ("pipelines", "uuid", &pipeline),
        ("streams", "uuid", &stream),
        ("executions", "uuid", &execution),
        ("contexts", "uuid", &context),
    ] {
        let only = format!("^/{noun}/\\{{{parameter}\\}}");
        let more = ["--include-path-regex", &only, "--exclude-method", "DELETE"];
        fuzz(&stage, &description, &base, &more, &[(parameter, id), ("number", "1")]).await;
    }
    fuzz(&stage, &description, &base, &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rengas_api_answers_a_fuzzer_as_its_description_says() {
    let stage = stage().await;
    let base = format!("http://{}/v1", stage.house.address);
    let made = |path: String, body: Value| {
        let key = stage.keys["ml"].as_str().unwrap();
        let request = reqwest::Client::new().post(format!("{base}{path}")).bearer_auth(key).json(&body);
        async move {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 201);
            answer.json::<Value>().await.unwrap()["identifier"].as_str().unwrap().to_owned()
        }
    };
    let context = made("/contexts".to_owned(), json!({ "image": "busybox", "ports": ["80"] })).await;
    let order = json!({ "engine": "fake", "environment": { "A": "1" } });
    let execution = made(format!("/contexts/{context}/executions"), order).await;
    let description = format!("{base}/swagger.json");
    let more = ["--exclude-method", "DELETE"];
    let there = [("context_id", context.as_str()), ("execution_id", execution.as_str())];
    fuzz(&stage, &description, &base, &more, &there).await;
    fuzz(&stage, &description, &base, &[], &[]).await;
}
