//! A pipeline's deployment on a real engine, through DataCater's API: its configuration inside the container, its own
//! program's health and metrics, its log with a million lines, and its end.

use reqwest::Method;
use serde_json::{Value, json};

use super::scene::Scene;
use crate::harness::process::House;

/// Tells what it was given, then answers for its health and metrics.
pub const PROGRAM: &str = "mkdir -p /tmp/w/q; echo '{\"status\":\"UP\"}' > /tmp/w/q/health; echo 'up 1' > /tmp/w/q/metrics; \
     echo \"topic $MP_MESSAGING_INCOMING_STREAMIN_TOPIC\"; echo \"group $MP_MESSAGING_INCOMING_STREAMIN_GROUP_ID\"; \
     echo \"jaas $MP_MESSAGING_INCOMING_STREAMIN_SASL_JAAS_CONFIG\"; echo \"in $(cat /usr/app/mounts/stream-in)\"; \
     echo \"spec $(cat /usr/app/mounts/spec)\"; echo \"host $(hostname)\"; exec httpd -f -p 8080 -h /tmp/w";

/// Two streams and a pipeline between them that runs `program` on an infrastructure; answers the pipeline's uuid.
pub async fn pipeline(house: &House, infrastructure: &str, program: &str) -> String {
    let stream =
        |name: &str, options: Value| json!({ "name": name, "spec": { "kind": "KAFKA", "kafka": options } });
    let options = json!({ "bootstrap.servers": "kafka:9092", "sasl.jaas.config": "c4n4ry" });
    let stream_in = house.call(Method::POST, "/streams", Some(stream("orders", options))).await;
    let stream_out = house.call(Method::POST, "/streams", Some(stream("clean", json!({})))).await;
    let spec = json!({ "image": "busybox:lab", "command": ["sh", "-c", program], "steps": [{ "kind": "Map" }],
        "infrastructure": infrastructure });
    let metadata = json!({ "stream-in": stream_in["uuid"], "stream-out": stream_out["uuid"] });
    let made = json!({ "name": "clean", "spec": spec, "metadata": metadata });
    house.call(Method::POST, "/pipelines", Some(made)).await["uuid"].as_str().unwrap().to_owned()
}

/// Makes a deployment of it and waits for its first update; answers its uuid.
pub async fn deployed(house: &House, pipeline: &str, more: Value) -> String {
    let mut spec = json!({ "pipeline": pipeline });
    spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let made = house
        .call(Method::POST, "/deployments", Some(json!({ "name": "deployment-name", "spec": spec })))
        .await;
    let id = made["uuid"].as_str().unwrap().to_owned();
    house.wait(&id, 1).await;
    id
}

/// What its program says of what it was given.
pub async fn told(house: &House, id: &str) {
    let lines =
        house.call(Method::GET, &format!("/deployments/{id}/logs?replica=1&tailingLines=100"), None).await;
    let lines: Vec<&str> = lines.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let begins = |start: &str| {
        lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {lines:?}"))
    };
    begins("topic orders");
    begins(&format!("group {id}"));
    begins("jaas c4n4ry");
    let all: Value = serde_json::from_str(begins("in ").trim_start_matches("in ")).unwrap();
    assert_eq!(
        (&all["bootstrap.servers"], &all["sasl.jaas.config"]),
        (&json!("kafka:9092"), &json!("c4n4ry"))
    );
    let spec: Value = serde_json::from_str(begins("spec ").trim_start_matches("spec ")).unwrap();
    assert_eq!(spec["steps"], json!([{ "kind": "Map" }]));
}

/// Its own program answers, replica by replica.
pub async fn answers(house: &House, id: &str) {
    for replica in 1..=2 {
        let health =
            house.call(Method::GET, &format!("/deployments/{id}/health?replica={replica}"), None).await;
        assert_eq!(health, json!({ "status": "UP" }));
    }
    let (status, metrics) = text(house, &format!("/deployments/{id}/metrics?replica=2")).await;
    assert_eq!((status, metrics.as_str()), (200, "up 1\n"));
    // Each replica's own log, read and followed; the first one's where none is named.
    let mut hosts = Vec::new();
    for replica in ["?replica=1", "?replica=2", ""] {
        let lines = house.call(Method::GET, &format!("/deployments/{id}/logs{replica}"), None).await;
        hosts.push(
            lines
                .as_array()
                .unwrap()
                .iter()
                .find(|line| line.as_str().unwrap().starts_with("host "))
                .unwrap()
                .clone(),
        );
    }
    assert!(hosts[0] != hosts[1] && hosts[0] == hosts[2], "{hosts:?}");
    let url =
        format!("http://{}/api/v1/deployments/{id}/watch-logs?replica=2&tailingLines=100", house.address);
    let mut followed = reqwest::Client::new().get(url).bearer_auth(&house.key).send().await.unwrap();
    let (mut seen, wanted) = (String::new(), format!("data: {}\n", hosts[1].as_str().unwrap()));
    while !seen.contains(&wanted) {
        seen += &String::from_utf8_lossy(&followed.chunk().await.unwrap().expect("it is open"));
    }
    assert!(!seen.contains(hosts[0].as_str().unwrap()), "{seen}");
    let counters = house.call(Method::GET, &format!("/deployments/{id}/status"), None).await;
    assert_eq!((&counters["replicas"], &counters["readyReplicas"]), (&json!(2), &json!(2)), "{counters}");
}

/// An answer as it came.
pub async fn text(house: &House, path: &str) -> (u16, String) {
    let url = format!("http://{}/api/v1{path}", house.address);
    let answer = reqwest::Client::new().get(url).bearer_auth(&house.key).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Deletes it and waits until it is gone.
pub async fn deleted(house: &House, id: &str) {
    house.call(Method::DELETE, &format!("/deployments/{id}"), None).await;
    let began = std::time::Instant::now();
    while text(house, &format!("/deployments/{id}")).await.0 != 404 {
        assert!(began.elapsed() < super::scene::PATIENCE, "{id} does not go");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_runs_with_its_configuration_answers_for_itself_and_goes() {
    let scene = Scene::new("pipeline").await;
    let house = &scene.house;
    let pipeline = pipeline(house, "local", PROGRAM).await;
    let id = deployed(house, &pipeline, json!({ "replicas": 2 })).await;
    let deployment = scene.health(&id, "HEALTHY").await;
    let object = &deployment["status"][format!("datacater-deployment-{id}")];
    assert_eq!(object["datacater.io/uuid"], id.as_str(), "{deployment:#}");
    assert_eq!(object["Conditions"][0]["type"], "Available", "{object}");
    assert_eq!(object["Conditions"][0]["status"], "True", "{object}");
    told(house, &id).await;
    answers(house, &id).await;
    let containers = scene.containers(&id).await;
    assert_eq!(containers.len(), 2);
    let labels = containers[0].labels.clone().unwrap();
    assert_eq!(labels["datacater.io/pipeline"], pipeline);
    let held = house.call(Method::GET, "/deployments?in-cluster=true", None).await;
    assert_eq!(held[0]["uuid"], id.as_str());
    deleted(house, &id).await;
    assert_eq!((scene.containers(&id).await.len(), scene.networks(&id).await.len()), (0, 0));
}

/// Tells what it was given as variables and as files, and whether it reaches the image beside it.
const TELLING: &str = "echo \"env $DATACATER_STREAMIN_CONFIG\"; echo \"in $(cat /usr/app/mounts/stream-in)\"; \
     echo \"out $(cat /usr/app/mounts/stream-out)\"; echo \"config $(cat /usr/app/mounts/config)\"; \
     echo \"batch $DATACATER_CONFIG_BATCH\"; echo \"serde $DATACATER_SERDE_VALUE_DESERIALIZER\"; \
     until echo PING | nc -w 2 runner 6379 2>/dev/null | grep -q PONG; do sleep 0.2; done; echo runner reached; sleep 600";

/// What it told, by the first word of each line, once it has told all.
async fn heard(house: &House, id: &str) -> std::collections::BTreeMap<String, String> {
    let began = std::time::Instant::now();
    loop {
        let lines = house.call(Method::GET, &format!("/deployments/{id}/logs"), None).await;
        let lines = lines.as_array().unwrap().iter().filter_map(|line| line.as_str()?.split_once(' '));
        let heard: std::collections::BTreeMap<String, String> =
            lines.map(|(word, rest)| (word.to_owned(), rest.to_owned())).collect();
        if heard.contains_key("runner") {
            return heard;
        }
        assert!(began.elapsed() < super::scene::PATIENCE, "{heard:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"))
}

/// What reaches the containers of the first stream with the first configuration.
async fn first_again(house: &House, id: &str) {
    let heard = heard(house, id).await;
    let options = json!({ "bootstrap.servers": "kafka:9092", "group.id": id, "sasl.jaas.config": "c4n4ry" });
    assert_eq!(json_of(&heard["env"]), options);
    let whole = json_of(&heard["in"]);
    for (key, value) in options.as_object().unwrap() {
        assert_eq!(whole[key], *value, "{whole}");
    }
    assert_eq!(whole["topic"], json!({ "name": "orders" }));
    assert_eq!(whole["value.deserializer"], heard["serde"].as_str());
    assert_eq!(json_of(&heard["out"])["topic"]["name"], "clean");
    assert_eq!((json_of(&heard["config"]), heard["batch"].as_str()), (json!({ "batch": 5 }), "5"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_stream_and_the_way_back_reach_the_containers_whole() {
    let scene = Scene::new("streams").await;
    let house = &scene.house;
    let made = pipeline(house, "local", TELLING).await;
    let mut body = house.call(Method::GET, &format!("/pipelines/{made}"), None).await;
    body["spec"]["images"] = json!({ "runner": "redis:7" });
    house.call(Method::PUT, &format!("/pipelines/{made}"), Some(body)).await;
    let id = deployed(house, &made, json!({ "config": { "batch": 5 } })).await;
    first_again(house, &id).await;
    let other =
        json!({ "bootstrap.servers": "other:9092", "sasl.jaas.config": "0ther", "topic": { "name": "t2" } });
    let other = json!({ "name": "others", "spec": { "kind": "KAFKA", "kafka": other } });
    let other = house.call(Method::POST, "/streams", Some(other)).await["uuid"].as_str().unwrap().to_owned();
    // Replaced in YAML.
    let yaml = format!(
        "name: deployment-name\nspec:\n  pipeline: {made}\n  config: {{batch: 7}}\n  stream-in-config:\n    uuid: {other}\n    linger.ms: 3\n"
    );
    let url = format!("http://{}/api/v1/deployments/{id}", house.address);
    let request = reqwest::Client::new().put(url).bearer_auth(&house.key);
    let answer = request.header("content-type", "application/yaml").body(yaml).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    house.wait(&id, 2).await;
    let heard = heard(house, &id).await;
    let options = json_of(&heard["env"]);
    let wanted = json!({ "bootstrap.servers": "other:9092", "group.id": id, "sasl.jaas.config": "0ther", "linger.ms": 3 });
    assert_eq!((options, heard["batch"].as_str()), (wanted, "7"));
    assert_eq!(json_of(&heard["in"])["topic"], json!({ "name": "t2" }));
    house.call(Method::POST, &format!("/deployments/{id}/rollback"), Some(json!({ "to": 1 }))).await;
    house.wait(&id, 3).await;
    first_again(house, &id).await;
    deleted(house, &id).await;
}

/// Answers 503 for its health until its metrics were asked for, and 503 for those always.
const FAILING: &str = "mkdir -p /tmp/w/cgi-bin; cd /tmp/w/cgi-bin; printf '#!/bin/sh\\n[ -e /tmp/well ] && echo Status: 200 OK && echo && echo UP \
     || { echo Status: 503 Down; echo; echo DOWN; }\\n' > health; printf '#!/bin/sh\\ntouch /tmp/well; echo Status: 503 Down; echo; echo DOWN\\n' > mend; \
     chmod +x health mend; exec httpd -f -p 8080 -h /tmp/w";

/// A program's failure is passed on, and makes its deployment unhealthy until it is well again.
pub async fn fails_and_is_well_again(house: &House, infrastructure: &str) {
    let made = pipeline(house, infrastructure, FAILING).await;
    let mut body = house.call(Method::GET, &format!("/pipelines/{made}"), None).await;
    for (key, script) in [("health", "health"), ("metrics", "mend")] {
        body["spec"][key] = json!({ "port": 8080, "path": format!("/cgi-bin/{script}") });
    }
    house.call(Method::PUT, &format!("/pipelines/{made}"), Some(body)).await;
    let id = deployed(house, &made, json!({})).await;
    let began = std::time::Instant::now();
    while text(house, &format!("/deployments/{id}/health")).await != (503, "DOWN\n".to_owned()) {
        assert!(began.elapsed() < super::scene::PATIENCE, "it never answers");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let unwell = comes_to(house, &id, "UNHEALTHY").await;
    let message = &unwell["messages"][0];
    assert_eq!(message["code"], "PROBE_FAILING", "{unwell}");
    let text_of = "Service datacater-deployment is asked for its health at :8080/cgi-bin/health: replica 0 answers 503.";
    assert_eq!(message["message"], text_of);
    assert_eq!((&unwell["ready"], &unwell["sync"]), (&json!(1), &json!("in_sync")), "it runs: {unwell}");
    assert_eq!(text(house, &format!("/deployments/{id}/metrics")).await, (503, "DOWN\n".to_owned()));
    let well = comes_to(house, &id, "HEALTHY").await;
    assert_eq!(well["messages"], json!([]));
    deleted(house, &id).await;
}

/// Waits until the deployment is so; answers its status.
async fn comes_to(house: &House, id: &str, health: &str) -> Value {
    let began = std::time::Instant::now();
    loop {
        let status = house.call(Method::GET, &format!("/deployments/{id}"), None).await["status"].take();
        if status["health"] == health {
            println!("{health} after {:?}", began.elapsed());
            return status;
        }
        assert!(began.elapsed() < super::scene::PATIENCE, "never {health}: {status}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_answers_with_a_failure_is_passed_on_and_makes_it_unhealthy() {
    let scene = Scene::new("failing").await;
    fails_and_is_well_again(&scene.house, "local").await;
}

/// A million lines of a pipeline's program on an infrastructure, followed without a gap.
pub async fn follows_a_million_lines(house: &House, infrastructure: &str) {
    let program = "seq 1 1000000 | sed 's,^,line ,'; sleep 600";
    let pipeline = pipeline(house, infrastructure, program).await;
    let id = deployed(house, &pipeline, json!({})).await;
    // The engine's own reader may wait for ever where its files are rotated under it: it begins when all is written.
    let began = std::time::Instant::now();
    while text(house, &format!("/deployments/{id}/logs?tailingLines=1")).await.1 != "[\"line 1000000\"]" {
        assert!(began.elapsed() < 2 * super::scene::PATIENCE, "a million lines take too long");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let url = format!("http://{}/api/v1/deployments/{id}/watch-logs?tailingLines=all", house.address);
    let mut answer = reqwest::Client::new().get(url).bearer_auth(&house.key).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let (mut next, mut rest) = (1_u32, Vec::new());
    'lines: while let Some(chunk) = answer.chunk().await.unwrap() {
        rest.extend_from_slice(&chunk);
        let mut begin = 0;
        while let Some(end) = memchr::memchr(b'\n', &rest[begin..]) {
            let line = &rest[begin..begin + end];
            begin += end + 1;
            let Some(number) = line.strip_prefix(b"data: line ") else { continue };
            let number: u32 = std::str::from_utf8(number).unwrap().parse().unwrap();
            assert_eq!(number, next, "a line is missing or doubled");
            next += 1;
            if number == 1_000_000 {
                break 'lines;
            }
        }
        rest.drain(..begin);
    }
    assert_eq!(next, 1_000_001);
    drop(answer);
    deleted(house, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_of_a_million_lines_misses_none() {
    let scene = Scene::new("million").await;
    follows_a_million_lines(&scene.house, "local").await;
}
