//! What may come between an execution and its end: a policy that is tightened, a stop that came to nothing, an engine that
//! is away, a second start.

use serde_json::{Value, json};
use slipway::domain::name::DeploymentId;
use slipway::store;

use super::execution::{context, execution, of, run_on, state};
use super::refused;
use crate::harness::{Client, Team};

const RUNS: &str = "sleep 600";

async fn gone(client: &Client, path: &str) {
    for _ in 0..400 {
        if client.get(path).await.status == 404 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("{path} does not go");
}

async fn policy(team: &Team, policy: Value) {
    let body = json!({ "spec": { "stage": "dev", "policy": policy } });
    team.admin.put("/api/v1/infrastructures/local", &body).await.expect(200);
}

#[tokio::test]
async fn what_the_policy_forbids_by_now_is_removed_all_the_same() {
    let team = Team::start().await;
    run_on(&team);
    policy(&team, json!({ "exceptions": [{ "kind": "host_path", "value": "/srv/data" }] })).await;
    let spec = json!({ "image": "busybox", "command": RUNS, "volumes": [{ "name": "d", "hostPath": { "path": "/srv/data" } }],
        "volumeMounts": [{ "name": "d", "mountPath": "/data" }] });
    let context = context(&team.deployer, spec).await;
    let (path, _) = execution(&team.deployer, &context, json!({ "engine": "docker" })).await;
    state(&team.deployer, &path, "running").await;
    policy(&team, json!({ "exceptions": [] })).await;
    let body = refused(team.deployer.post(&of(&context), &json!({ "engine": "docker" })).await, 403);
    assert_eq!(body["code"], "exception_missing", "{body}");
    team.deployer.delete(&path).await.expect(200);
    state(&team.deployer, &path, "unavailable").await;
    for _ in 0..400 {
        if team.it.fake.controls().slots().is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("it runs on");
}

#[tokio::test]
async fn a_removal_that_came_to_nothing_is_tried_again_when_it_is_asked_for_again() {
    let team = Team::start().await;
    run_on(&team);
    let context = context(&team.deployer, json!({ "image": "busybox", "command": RUNS })).await;
    let (path, made) = execution(&team.deployer, &context, json!({ "engine": "docker" })).await;
    state(&team.deployer, &path, "running").await;
    let updates = format!("/api/v1/deployments/{}/updates", made["identifier"].as_str().unwrap());
    team.ended(&format!("{updates}/1")).await;
    // A stop that keeps what ran is slow, and the removal behind it is cancelled while it waits.
    team.it.fake.controls().slow(std::time::Duration::from_secs(1));
    let own = format!("/api/v1/executions/{}", made["identifier"].as_str().unwrap());
    team.deployer.post(&format!("{own}/stop"), &json!({})).await.expect(200);
    team.deployer.delete(&path).await.expect(200);
    team.deployer.post(&format!("{updates}/3/cancel"), &json!({})).await.expect(200);
    team.it.fake.controls().slow(std::time::Duration::ZERO);
    team.ended(&format!("{updates}/2")).await;
    assert_eq!(team.ended(&format!("{updates}/3")).await["status"]["state"], "cancelled");
    assert_eq!(team.it.fake.controls().slots().len(), 1, "it is still there");
    team.deployer.delete(&path).await.expect(200);
    assert_eq!(team.ended(&format!("{updates}/4")).await["status"]["state"], "succeeded");
    team.deployer.delete(&path).await.expect(200);
    team.deployer.get(&format!("{updates}/5")).await.expect(404);
    assert!(team.it.fake.controls().slots().is_empty());
}

#[tokio::test]
async fn what_was_started_is_not_started_again() {
    let team = Team::start().await;
    let context =
        context(&team.deployer, json!({ "image": "busybox", "command": "sh -c 'echo once; exit 7'" })).await;
    let (path, made) = execution(&team.deployer, &context, json!({ "engine": "docker" })).await;
    state(&team.deployer, &path, "exited").await;
    let own = format!("/api/v1/deployments/{}", made["identifier"].as_str().unwrap());
    team.ended(&format!("{own}/updates/1")).await;
    let refused = team.deployer.post(&format!("{own}/updates"), &json!({})).await.expect(409).json();
    assert_eq!(refused["code"], "one_run", "{refused}");
    assert_eq!(team.deployer.get(&format!("{path}/logs")).await.expect(200).text, "once\n");
    // For Dataiku's clients there is no such deployment, nor a future of it.
    let key = team.it.key(&["ml"]).await;
    let at = format!("/dip/publicapi/project-deployer/deployments/{}", made["identifier"].as_str().unwrap());
    key.get(&at).await.expect(404);
    key.get(&format!("{at}/settings")).await.expect(404);
}

#[tokio::test]
async fn an_engine_that_is_away_leaves_what_ran_unknown_and_what_has_ended_ended() {
    let team = Team::start().await;
    let spec = json!({ "image": "busybox", "command": "sh -c 'exit 0'" });
    let ends = context(&team.deployer, spec).await;
    let (ended, _) = execution(&team.deployer, &ends, json!({ "engine": "docker" })).await;
    state(&team.deployer, &ended, "exited").await;
    run_on(&team);
    let spec = json!({ "image": "busybox", "command": RUNS, "ports": ["80"] });
    let runs = context(&team.deployer, spec).await;
    let (path, _) = execution(&team.deployer, &runs, json!({ "engine": "docker" })).await;
    state(&team.deployer, &path, "running").await;
    team.it.fake.controls().down(true);
    state(&team.deployer, &path, "unavailable").await;
    assert_eq!(team.deployer.get(&format!("{path}/ports")).await.expect(200).json(), json!({ "ports": [] }));
    state(&team.deployer, &ended, "exited").await;
    team.it.fake.controls().down(false);
    state(&team.deployer, &path, "running").await;
    let (own, wire) = ("/api/v1/executions", path.rsplit('/').next().unwrap().to_owned());
    team.deployer.delete(&format!("{own}/{wire}")).await.expect(200);
    gone(&team.deployer, &format!("{own}/{wire}")).await;
}

#[tokio::test]
async fn what_is_reserved_is_not_more_than_the_limit_that_is_imposed() {
    let team = Team::start().await;
    run_on(&team);
    policy(&team, json!({ "defaultLimits": { "memoryLimitBytes": 1 << 30, "cpuLimitMilli": 1000 } })).await;
    let spec = json!({ "image": "busybox", "command": RUNS, "resources": { "requests": { "memory": "4Gi", "cpu": "2" } } });
    let context = context(&team.deployer, spec).await;
    let (path, made) = execution(&team.deployer, &context, json!({ "engine": "docker" })).await;
    state(&team.deployer, &path, "running").await;
    let id = DeploymentId::parse(made["identifier"].as_str().unwrap()).unwrap();
    let plan =
        team.it.instance.app.store.read(move |db| store::update::plan(db, &id, 1)).await.unwrap().unwrap();
    let resources = plan.workload.services["execution"].resources;
    assert_eq!((resources.memory_limit_bytes, resources.cpu_limit_milli), (Some(4 << 30), Some(2000)));
    policy(&team, json!({ "maxLimits": { "memoryLimitBytes": 2_u64 << 30 } })).await;
    let body = refused(team.deployer.post(&of(&context), &json!({ "engine": "docker" })).await, 400);
    assert_eq!(body["code"], "plan_refused", "{body}");
}

#[tokio::test]
async fn governance_says_what_it_says_of_every_deployment() {
    let team = Team::start().await;
    run_on(&team);
    let govern = |how: &str| json!({ "spec": { "stage": "dev", "governPolicy": how } });
    team.admin.put("/api/v1/infrastructures/local", &govern("WARN")).await.expect(200);
    let context = context(&team.deployer, json!({ "image": "busybox", "command": RUNS })).await;
    let order = json!({ "engine": "docker" });
    let warned = refused(team.deployer.post(&of(&context), &order).await, 409);
    assert_eq!(warned["code"], "governance_warns", "{warned}");
    let run = format!("{}?ignoreWarnings=true", of(&context));
    let made = team.deployer.post(&run, &order).await.expect(201).json();
    state(&team.deployer, &format!("{}/{}", of(&context), made["identifier"].as_str().unwrap()), "running")
        .await;

    team.admin.put("/api/v1/infrastructures/local", &govern("PREVENT")).await.expect(200);
    let (path, made) = execution(&team.deployer, &context, order).await;
    state(&team.deployer, &path, "unavailable").await;
    let id = made["identifier"].as_str().unwrap();
    let refused = team.deployer.post(&format!("/api/v1/deployments/{id}/updates"), &json!({})).await;
    assert_eq!(refused.expect(409).json()["code"], "governance_prevents");
    // Once a second person has approved its plan it is started like any update.
    let asked = team
        .deployer
        .post(&format!("/api/v1/deployments/{id}/approvals"), &json!({}))
        .await
        .expect(200)
        .json();
    let at = format!("/api/v1/approvals/{}/approve", asked["name"].as_str().unwrap());
    team.admin.post(&at, &json!({})).await.expect(200);
    team.deployer.post(&format!("/api/v1/deployments/{id}/updates"), &json!({})).await.expect(200);
    state(&team.deployer, &path, "running").await;
}
