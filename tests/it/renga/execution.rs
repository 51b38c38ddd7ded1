//! Contexts and executions at renga-deployer's API, on the fake engine: their whole life.

use reqwest::Method;
use serde_json::{Value, json};
use slipway::domain::context::execution_service;
use slipway::domain::name::DeploymentId;
use slipway::domain::plan::Plan;
use slipway::engine::fake::Faults;
use slipway::http::compat::renga::Settings;
use slipway::store;

use super::refused;
use crate::harness::{Client, Team, TestApp};

const CONTEXTS: &str = "/v1/contexts";

pub async fn context(client: &Client, spec: Value) -> Value {
    client.post(CONTEXTS, &spec).await.expect(201).json()
}

/// Where the executions of a context are.
pub fn of(context: &Value) -> String {
    format!("{CONTEXTS}/{}/executions", context["identifier"].as_str().unwrap())
}

pub async fn execution(client: &Client, context: &Value, order: Value) -> (String, Value) {
    let made = client.post(&of(context), &order).await.expect(201).json();
    (format!("{}/{}", of(context), made["identifier"].as_str().unwrap()), made)
}

/// Waits until an execution is so.
pub async fn state(client: &Client, path: &str, wanted: &str) -> Value {
    let mut last = Value::Null;
    for _ in 0..400 {
        last = client.get(path).await.expect(200).json();
        if last["state"] == wanted {
            return last;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("it stayed {last}");
}

/// Has executions run on, though the fake engine ends tasks at once.
pub fn run_on(team: &Team) {
    let own = execution_service();
    team.it.fake.controls().fault(&own, Faults { task_runs_on: true, ..Faults::default() });
}

/// The frozen plan of an execution's start.
async fn plan_of(team: &Team, id: &str) -> Plan {
    let id = DeploymentId::parse(id).unwrap();
    let read = team.it.instance.app.store.read(move |db| store::update::plan(db, &id, 1));
    read.await.unwrap().unwrap()
}

fn server() -> Value {
    json!({ "image": "python:3.11-slim", "command": "sh -c 'echo up; sleep 600'", "ports": ["8000", "53/udp"],
        "labels": ["team=data"], "env": [{ "name": "GREETING", "value": "hello" }] })
}

#[tokio::test]
async fn a_context_is_answered_as_it_was_sent() {
    let team = Team::start().await;
    let request = team.deployer.request(Method::POST, CONTEXTS).header("Renga-Projects-Project", "iris");
    let made = team.deployer.send(request.json(&server())).await.expect(201).json();
    assert_eq!(made["spec"], server());
    assert!(made["created"].is_string(), "{made}");
    let uuid = made["identifier"].as_str().unwrap();
    assert_eq!(team.deployer.get(&format!("{CONTEXTS}/{uuid}")).await.expect(200).json(), made);
    assert_eq!(team.deployer.get(CONTEXTS).await.expect(200).json(), json!({ "contexts": [made] }));
    assert_eq!(team.deployer.get(&of(&made)).await.expect(200).json(), json!({ "executions": [] }));
}

#[tokio::test]
async fn a_restricted_infrastructure_takes_a_user_from_the_configuration() {
    let restricted = json!({ "spec": { "stage": "dev", "policy": { "profile": "restricted" } } });
    let order = || json!({ "engine": "docker", "namespace": "default", "environment": {} });
    let team = Team::start().await;
    team.admin.put("/api/v1/infrastructures/local", &restricted).await.expect(200);
    let made = context(&team.deployer, server()).await;
    let answer = team.deployer.post(&of(&made), &order()).await.expect(400).json();
    let problem = &answer["problems"][0];
    assert_eq!(problem["place"], "engine", "{answer}");
    assert!(problem["hint"].as_str().unwrap().contains("renga.user"), "{answer}");

    let user = Some("1000:1000".to_owned());
    let it = TestApp::builder().renga(Settings { user, ..Settings::default() }).start().await;
    let team = Team::on(it).await;
    run_on(&team);
    let made = context(&team.deployer, server()).await;
    for (profile, user) in [("baseline", None), ("restricted", Some("1000:1000"))] {
        let policy = json!({ "spec": { "stage": "dev", "policy": { "profile": profile } } });
        team.admin.put("/api/v1/infrastructures/local", &policy).await.expect(200);
        let (path, run) = execution(&team.deployer, &made, order()).await;
        state(&team.deployer, &path, "running").await;
        let plan = plan_of(&team, run["identifier"].as_str().unwrap()).await;
        assert_eq!(plan.workload.services[&execution_service()].user.as_deref(), user);
    }
}

#[tokio::test]
async fn an_execution_runs_shows_its_ports_and_goes() {
    let team = Team::start().await;
    run_on(&team);
    let context = context(&team.deployer, server()).await;
    let order = json!({ "engine": "docker", "namespace": "default", "environment": { "DEPTH": 3 } });
    let (path, made) = execution(&team.deployer, &context, order).await;
    for (key, value) in [
        ("engine", json!("docker")),
        ("namespace", json!("default")),
        ("environment", json!({ "DEPTH": "3" })),
    ] {
        assert_eq!(made[key], value, "{made}");
    }
    let now = state(&team.deployer, &path, "running").await;
    assert_eq!(team.deployer.get(&of(&context)).await.expect(200).json(), json!({ "executions": [now] }));
    let ports = team.deployer.get(&format!("{path}/ports")).await.expect(200).json();
    let specified: Vec<(&str, &str)> = ports["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| (port["specified"].as_str().unwrap(), port["protocol"].as_str().unwrap()))
        .collect();
    assert_eq!(specified, [("53", "UDP"), ("8000", "TCP")], "{ports}");
    for port in ports["ports"].as_array().unwrap() {
        assert!(
            port["exposed"].as_str().unwrap().parse::<u16>().unwrap() > 0 && port["host"].is_string(),
            "{port}"
        );
    }
    let logs = team.deployer.get(&format!("{path}/logs")).await.expect(200);
    assert!(logs.header("content-type").unwrap().starts_with("text/plain"));
    assert_eq!(logs.text, "up\n");
    let id = made["identifier"].as_str().unwrap();
    let own = team.deployer.get(&format!("/api/v1/deployments/{id}/logs")).await.expect(200).json();
    assert_eq!(own, json!(["up"]), "its pages and logs are a deployment's");
    assert_eq!(
        team.deployer.get("/api/v1/deployments").await.expect(200).json(),
        json!([]),
        "no list has it"
    );

    team.deployer.delete(&path).await.expect(200);
    assert_eq!(team.deployer.get(&format!("{path}/ports")).await.expect(200).json(), json!({ "ports": [] }));
    refused(team.deployer.get(&format!("{path}/logs")).await, 404);
    let gone = state(&team.deployer, &path, "unavailable").await;
    assert_eq!(gone["identifier"], made["identifier"], "it stays listed");
    for _ in 0..400 {
        if team.it.fake.controls().slots().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert!(team.it.fake.controls().slots().is_empty(), "nothing of it is left");
    team.deployer.delete(&path).await.expect(200);
    let list = team.deployer.get(&of(&context)).await.expect(200).json();
    assert_eq!(list["executions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn however_it_ends_that_is_its_result() {
    let team = Team::start().await;
    for code in [0, 7] {
        let spec = json!({ "image": "busybox", "command": format!("sh -c 'echo $WHO; exit {code}'"),
            "env": [{ "name": "WHO", "value": "context" }] });
        let context = context(&team.deployer, spec).await;
        let order = json!({ "engine": "local", "environment": { "WHO": "execution" } });
        let (path, made) = execution(&team.deployer, &context, order).await;
        state(&team.deployer, &path, "exited").await;
        assert_eq!(team.deployer.get(&format!("{path}/logs")).await.expect(200).text, "execution\n");
        assert_eq!(
            team.deployer.get(&format!("{path}/ports")).await.expect(200).json(),
            json!({ "ports": [] })
        );
        let updates = format!("/api/v1/deployments/{}/updates/1", made["identifier"].as_str().unwrap());
        let update = team.ended(&updates).await;
        assert_eq!(update["status"]["state"], "succeeded", "{update}");
    }
}

#[tokio::test]
async fn a_container_is_told_its_context_and_where_it_is_reached() {
    let settings = Settings { base_url: "/apps/".into(), ..Settings::default() };
    let team = Team::on(TestApp::builder().renga(settings).start().await).await;
    let spec = json!({ "image": "busybox", "command": "sh -c 'printenv RENGA_CONTEXT_ID; printenv DEPLOYER_BASE_URL'" });
    let context = context(&team.deployer, spec).await;
    let (path, _) = execution(&team.deployer, &context, json!({ "engine": "docker" })).await;
    state(&team.deployer, &path, "exited").await;
    let told = format!("{}\n/apps/\n", context["identifier"].as_str().unwrap());
    assert_eq!(team.deployer.get(&format!("{path}/logs")).await.expect(200).text, told);
}

#[tokio::test]
async fn secrets_reach_the_container_and_nothing_else() {
    let team = Team::start().await;
    let command = "sh -c 'printenv API_TOKEN; printenv DB_PASSWORD; printenv OWN_SECRET'";
    let env = json!([{ "name": "API_TOKEN", "value": "hunter2-context" }, { "name": "DB_PASSWORD", "value": "hunter2-over" }]);
    let context =
        context(&team.deployer, json!({ "image": "busybox", "command": command, "env": env })).await;
    assert_eq!(context["spec"]["env"][0], json!({ "name": "API_TOKEN", "value": "********" }));
    let environment =
        json!({ "DB_PASSWORD": "hunter2-mine", "OWN_SECRET": "hunter2-own", "API_TOKEN": "********" });
    let order = json!({ "engine": "docker", "environment": environment });
    let (path, made) = execution(&team.deployer, &context, order).await;
    for name in ["DB_PASSWORD", "OWN_SECRET", "API_TOKEN"] {
        assert_eq!(made["environment"][name], "********", "{made}");
    }
    state(&team.deployer, &path, "exited").await;
    let logs = team.deployer.get(&format!("{path}/logs")).await.expect(200).text;
    assert_eq!(
        logs, "hunter2-context\nhunter2-mine\nhunter2-own\n",
        "a run's own wins, a mask means the context's"
    );

    let id = made["identifier"].as_str().unwrap();
    let places = [
        CONTEXTS.to_owned(),
        of(&context),
        path,
        format!("/api/v1/deployments/{id}"),
        format!("/api/v1/deployments/{id}/updates"),
        "/api/v1/journal".to_owned(),
    ];
    for place in places {
        let text = team.admin.get(&place).await.expect(200).text;
        assert!(!text.contains("hunter2"), "{place}: {text}");
    }
    assert!(!serde_json::to_string(&plan_of(&team, id).await).unwrap().contains("hunter2"));
    let order = json!({ "engine": "docker", "environment": { "UNKNOWN_TOKEN": "********" } });
    let body = refused(team.deployer.post(&of(&context), &order).await, 400);
    assert_eq!(body["problems"][0]["place"], "environment.UNKNOWN_TOKEN");
}

#[tokio::test]
async fn asking_twice_with_one_key_makes_one() {
    let team = Team::start().await;
    let once = |path: String, body: Value| {
        let request = team.deployer.request(Method::POST, &path).header("idempotency-key", "k").json(&body);
        team.deployer.send(request)
    };
    let first = once(CONTEXTS.to_owned(), server()).await.expect(201).json();
    assert_eq!(once(CONTEXTS.to_owned(), server()).await.expect(201).json(), first);
    let again = || async {
        let request = team.deployer.request(Method::POST, &of(&first)).header("idempotency-key", "run");
        team.deployer.send(request.json(&json!({ "engine": "docker" }))).await.expect(201).json()["identifier"].clone()
    };
    assert_eq!(again().await, again().await);
    let list = team.deployer.get(&of(&first)).await.expect(200).json();
    assert_eq!(list["executions"].as_array().unwrap().len(), 1);
}
