//! Contexts and executions in Slipway's own API: the same things as below `/v1`.

use serde_json::{Value, json};

use super::execution::run_on;
use crate::harness::{Client, Team};

const CONTEXTS: &str = "/api/v1/contexts";
const EXECUTIONS: &str = "/api/v1/executions";

async fn context(client: &Client) -> Value {
    let specification = json!({ "image": "busybox", "command": "sleep 600", "ports": ["80"],
        "env": [{ "name": "MY_TOKEN", "value": "hunter2" }, { "name": "DEPTH", "value": "1" }] });
    let body = json!({ "spec": { "specification": specification, "project": "iris" } });
    client.post(CONTEXTS, &body).await.expect(200).json()
}

async fn execution(client: &Client, context: &Value) -> (String, Value) {
    let spec = json!({ "context": context["uuid"], "engine": "docker", "environment": { "DEPTH": "2" } });
    let made = client.post(EXECUTIONS, &json!({ "spec": spec })).await.expect(200).json();
    (format!("{EXECUTIONS}/{}", made["uuid"].as_str().unwrap()), made)
}

async fn until(client: &Client, path: &str, state: &str) -> Value {
    let mut last = Value::Null;
    for _ in 0..400 {
        last = client.get(path).await.expect(200).json();
        if last["status"]["state"] == state {
            return last;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("it stayed {last}");
}

#[tokio::test]
async fn a_context_runs_and_goes_for_good() {
    let team = Team::start().await;
    run_on(&team);
    let context = context(&team.deployer).await;
    assert_eq!(context["name"], "busybox:latest");
    assert_eq!(context["spec"]["project"], "iris");
    assert_eq!(context["spec"]["specification"]["env"][0]["value"], "********");
    let (path, made) = execution(&team.deployer, &context).await;
    assert_eq!(made["name"], "execution of busybox:latest");
    let now = until(&team.deployer, &path, "running").await;
    assert_eq!(now["status"]["ports"][0]["specified"], 80, "{now}");
    let environment = team.deployer.get(&format!("{path}/environment")).await.expect(200).json();
    let expected = json!({ "DEPTH": "2", "MY_TOKEN": "********", "DEPLOYER_BASE_URL": "/", "RENGA_CONTEXT_ID": context["uuid"] });
    assert_eq!(environment, expected);
    let listed =
        team.deployer.get(&format!("{EXECUTIONS}?context={}", context["uuid"].as_str().unwrap())).await;
    assert_eq!(listed.expect(200).json(), json!([now]));
    let wire = format!("/v1/contexts/{}/executions", context["uuid"].as_str().unwrap());
    let wire = team.deployer.get(&wire).await.expect(200).json();
    assert_eq!(wire["executions"][0]["identifier"], made["uuid"], "one thing under two names");

    let own = format!("{CONTEXTS}/{}", context["uuid"].as_str().unwrap());
    assert_eq!(team.deployer.delete(&own).await.expect(409).json()["code"], "in_use");
    let removed = team.deployer.post(&format!("{path}/remove"), &json!({})).await.expect(200).json();
    assert_eq!((&removed["status"]["removed"], &removed["status"]["ports"]), (&json!(true), &json!([])));
    until(&team.deployer, &path, "unavailable").await;
    team.deployer.delete(&path).await.expect(200);
    for _ in 0..400 {
        if team.deployer.get(&path).await.status == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    team.deployer.get(&path).await.expect(404);
    team.deployer.delete(&own).await.expect(200);
    assert_eq!(team.deployer.get(CONTEXTS).await.expect(200).json(), json!([]));
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended() {
    let team = Team::start().await;
    let context = context(&team.deployer).await;
    let mut made: Vec<Value> = Vec::new();
    for _ in 0..5 {
        made.push(execution(&team.deployer, &context).await.1["uuid"].clone());
    }
    made.reverse();
    let (mut seen, mut next) = (Vec::new(), Some(format!("{EXECUTIONS}?limit=2")));
    while let Some(path) = next.take() {
        let answer = team.deployer.get(&path).await.expect(200);
        seen.extend(answer.json().as_array().unwrap().iter().map(|one| one["uuid"].clone()));
        let link = answer.header("link").map(|link| link[1..].split('>').next().unwrap().to_owned());
        next = link.map(|link| link[link.find("/api/").unwrap()..].to_owned());
    }
    assert_eq!(seen, made, "newest first");
    team.deployer.get(&format!("{EXECUTIONS}?limit=2&after=x")).await.expect(400);
}

#[tokio::test]
async fn others_do_not_see_them() {
    let team = Team::start().await;
    run_on(&team);
    let context = context(&team.deployer).await;
    let (path, _) = execution(&team.deployer, &context).await;
    let uuid = context["uuid"].as_str().unwrap();
    let own = format!("{CONTEXTS}/{uuid}");
    for other in [&team.stranger, &team.viewer] {
        for place in [&own, &path, &format!("{path}/environment"), &format!("{EXECUTIONS}?context={uuid}")] {
            other.get(place).await.expect(404);
        }
        other.delete(&own).await.expect(404);
        other.delete(&path).await.expect(404);
        other.post(&format!("{path}/stop"), &json!({})).await.expect(404);
        other.post(&format!("{path}/remove"), &json!({})).await.expect(404);
        let order = json!({ "spec": { "context": uuid, "engine": "docker" } });
        other.post(EXECUTIONS, &order).await.expect(404);
        for list in [CONTEXTS, EXECUTIONS] {
            assert_eq!(other.get(list).await.expect(200).json(), json!([]), "{list}");
        }
    }
    until(&team.deployer, &path, "running").await;
    for place in [CONTEXTS, EXECUTIONS, &own, &path] {
        team.it.nobody().get(place).await.expect(401);
    }
}
