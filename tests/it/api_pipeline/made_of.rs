//! What a pipeline's deployment is made of: streams of other groups, secrets that are theirs, definitions gone back to,
//! saves that a deployment can't take.

use serde_json::{Value, json};

use super::{DEPLOYMENT, Flow, PIPELINE, STREAM, made, uuid};
use crate::harness::Client;

/// A stream with a password, of a group.
async fn stream(client: &Client, name: &str, group: &str) -> Value {
    let kafka =
        json!({ "bootstrap.servers": format!("{name}:9092"), "sasl.jaas.config": format!("login {name}") });
    made(client, STREAM, json!({ "name": name, "group": group, "spec": { "kind": "KAFKA", "kafka": kafka } }))
        .await
}

impl Flow {
    /// One option of the JSON that the containers get of the stream-in, from the newest plan.
    async fn stream_in(&self, id: &str) -> Value {
        self.service(id).await["environment"]["DATACATER_STREAMIN_CONFIG"]["json"].clone()
    }

    async fn refused_with(&self, id: &str, words: &str) -> Value {
        let now = self.healthy(id, "OUT_OF_SYNC").await;
        let messages = now["status"]["messages"].to_string();
        assert!(messages.contains(words), "{messages}");
        now
    }
}

#[tokio::test]
async fn another_stream_by_its_uuid_and_a_roll_back_that_brings_all_of_the_first_one_back() {
    let flow = Flow::start().await;
    let id = uuid(&flow.deployed().await).to_owned();
    let path = format!("{DEPLOYMENT}/{id}");
    let other = stream(&flow.team.deployer, "others", "ml").await;
    let mut body = flow.payload();
    body["spec"]["stream-in-config"] = json!({ "uuid": other["uuid"], "linger.ms": 7 });
    flow.team.deployer.put(&path, &body).await.expect(200);
    flow.team.ended(&format!("{path}/updates/2")).await;
    let options = flow.stream_in(&id).await;
    assert_eq!(
        (&options["plain"]["bootstrap.servers"], &options["plain"]["linger.ms"]),
        (&json!("others:9092"), &json!(7))
    );
    let environment = flow.service(&id).await["environment"].clone();
    assert_eq!(environment["MP_MESSAGING_INCOMING_STREAMIN_TOPIC"]["plain"], "others");
    // The first stream is nobody's any more but the pipeline's, the other one's user is named.
    let first = format!("{STREAM}/{}", uuid(&flow.stream_in));
    let used = flow.team.deployer.delete(&first).await.expect(409).json()["message"].to_string();
    assert!(used.contains("clean") && !used.contains(&id), "{used}");
    let second = format!("{STREAM}/{}", uuid(&other));
    assert!(flow.team.deployer.delete(&second).await.expect(409).json()["message"].to_string().contains(&id));

    flow.team.deployer.post(&format!("{path}/rollback"), &json!({ "to": 1 })).await.expect(200);
    flow.team.ended(&format!("{path}/updates/3")).await;
    let options = flow.stream_in(&id).await;
    assert_eq!(options["plain"]["bootstrap.servers"], "kafka:9092");
    assert!(options["plain"].get("linger.ms").is_none(), "{options}");
    flow.healthy(&id, "HEALTHY").await;
    assert!(flow.team.deployer.delete(&first).await.expect(409).json()["message"].to_string().contains(&id));
    flow.team.deployer.delete(&second).await.expect(200);
    // What it was made of is gone by now.
    let gone =
        flow.team.deployer.post(&format!("{path}/rollback"), &json!({ "to": 2 })).await.expect(409).json();
    assert_eq!(gone["code"], "not_rollable", "{gone}");
}

#[tokio::test]
async fn a_mask_stands_for_what_the_deployment_was_given_and_for_no_stream_s_secret() {
    let flow = Flow::start().await;
    let id = uuid(&flow.deployed().await).to_owned();
    let path = format!("{DEPLOYMENT}/{id}");
    let mut body = flow.payload();
    body["spec"]["stream-in-config"]["sasl.jaas.config"] = json!("********");
    let refused = flow.team.deployer.put(&path, &body).await.expect(400).json();
    assert_eq!(refused["problems"][0]["place"], "stream-in-config.sasl.jaas.config", "{refused}");
    body["spec"]["stream-in-config"]["sasl.jaas.config"] = json!("own");
    let saved = flow.team.deployer.put(&path, &body).await.expect(200).json();
    flow.team.deployer.put(&path, &saved).await.expect(200);
}

#[tokio::test]
async fn who_may_not_see_a_stream_changes_nothing_that_reads_it() {
    let flow = Flow::start().await;
    let both = flow.team.it.key(&["ml", "science"]).await;
    let secret = stream(&both, "secret", "science").await;
    let id = uuid(&flow.deployed().await).to_owned();
    let path = format!("{DEPLOYMENT}/{id}");
    let mut body = flow.payload();
    body["spec"]["stream-in-config"] = json!({ "uuid": secret["uuid"] });
    // Neither by a deployment nor by a pipeline is a stream of another group named.
    let refused = flow.team.deployer.put(&path, &body).await.expect(400).json();
    assert_eq!(refused["problems"][0]["place"], "spec.stream-in-config.uuid");
    let mut pipeline = flow.pipeline.clone();
    pipeline["metadata"]["stream-in"] = secret["uuid"].clone();
    let at = format!("{PIPELINE}/{}", uuid(&flow.pipeline));
    assert_eq!(
        flow.team.deployer.put(&at, &pipeline).await.expect(400).json()["problems"][0]["place"],
        "spec.stream-in"
    );

    both.put(&path, &body).await.expect(200);
    flow.team.ended(&format!("{path}/updates/2")).await;
    flow.healthy(&id, "HEALTHY").await;
    // Another program is not handed the stream's password by somebody who may not see the stream.
    let mut pipeline = flow.pipeline.clone();
    pipeline["spec"]["image"] = json!("team/thief:1");
    flow.team.deployer.put(&at, &pipeline).await.expect(200);
    let now = flow.refused_with(&id, "pipeline clean was saved").await;
    assert!(!now["status"].to_string().contains("thief"), "{now}");
    flow.team.deployer.post(&format!("{path}/updates"), &json!({})).await.expect(200);
    flow.team.ended(&format!("{path}/updates/3")).await;
    assert_eq!(flow.service(&id).await["image"]["reference"], "team/clean:1");
    flow.healthy(&id, "OUT_OF_SYNC").await;
    // The stream's own group hands its new password on.
    let mut rotated = secret.clone();
    rotated["spec"]["kafka"]["sasl.jaas.config"] = json!("login rotated");
    let science = flow.team.it.key(&["science"]).await;
    science.put(&format!("{STREAM}/{}", uuid(&secret)), &rotated).await.expect(200);
    // And who sees both lets the other program have it.
    both.put(&at, &pipeline).await.expect(200);
    flow.healthy(&id, "OUT_OF_SYNC").await;
    both.post(&format!("{path}/updates"), &json!({})).await.expect(200);
    flow.team.ended(&format!("{path}/updates/4")).await;
    assert_eq!(flow.service(&id).await["image"]["reference"], "team/thief:1");
    flow.healthy(&id, "HEALTHY").await;
}

#[tokio::test]
async fn one_deployment_that_can_t_take_a_save_keeps_nobody_from_saving() {
    let flow = Flow::start().await;
    let id = uuid(&flow.deployed().await).to_owned();
    let other = uuid(&flow.deployed().await).to_owned();
    let mut body = flow.payload();
    body["spec"]["stream-in-config"]["a.b"] = json!(1);
    flow.team.deployer.put(&format!("{DEPLOYMENT}/{id}"), &body).await.expect(200);
    flow.team.ended(&format!("{DEPLOYMENT}/{id}/updates/2")).await;
    let mut stream_in = flow.stream_in.clone();
    stream_in["spec"]["kafka"]["a_b"] = json!(2);
    let at = format!("{STREAM}/{}", uuid(&flow.stream_in));
    flow.team.deployer.put(&at, &stream_in).await.expect(200);
    flow.refused_with(&id, "stream orders was saved").await;
    let taken = flow.healthy(&other, "OUT_OF_SYNC").await;
    assert!(taken["status"]["changes"].to_string().contains("A_B"), "{taken}");
    // What it was again, it can take again.
    flow.team.deployer.put(&at, &flow.stream_in).await.expect(200);
    flow.healthy(&id, "HEALTHY").await;
}

#[tokio::test]
async fn a_name_touches_nothing_that_runs() {
    let flow = Flow::start().await;
    let id = uuid(&flow.deployed().await).to_owned();
    let path = format!("{DEPLOYMENT}/{id}");
    let mut body = flow.payload();
    body["name"] = json!("renamed");
    flow.team.deployer.put(&path, &body).await.expect(200);
    let update = flow.team.ended(&format!("{path}/updates/2")).await;
    assert_eq!(update["changes"], json!([]), "{update}");
    let mut pipeline = flow.pipeline.clone();
    pipeline["name"] = json!("cleaner");
    flow.team.deployer.put(&format!("{PIPELINE}/{}", uuid(&flow.pipeline)), &pipeline).await.expect(200);
    let now = flow.healthy(&id, "HEALTHY").await;
    assert_eq!(now["name"], "renamed");
    assert_eq!(now["status"][format!("datacater-deployment-{id}")]["datacater.io/revision"], "1");
}

#[tokio::test]
async fn what_datacaters_clients_send_along_says_nothing() {
    let flow = Flow::start().await;
    let mut pipeline = flow.pipeline.clone();
    pipeline["spec"].as_object_mut().unwrap().remove("infrastructure");
    let at = format!("{PIPELINE}/{}", uuid(&flow.pipeline));
    flow.team.deployer.put(&at, &pipeline).await.expect(200);
    let spec = json!({ "pipeline": flow.pipeline["uuid"], "stream-in-config": { "uuid": "" }, "stream-out-config": null, "config": null });
    let body = json!({ "name": "as it is", "spec": spec, "labels": {}, "configSelector": null });
    let made = made(&flow.team.deployer, DEPLOYMENT, body).await;
    assert_eq!(made["spec"]["infrastructure"], "local", "the configured one");
    flow.healthy(uuid(&made), "HEALTHY").await;
    let body = json!({ "name": "x", "spec": { "pipeline": flow.pipeline["uuid"] }, "labels": { "a": "b" } });
    let refused = flow.team.deployer.post(DEPLOYMENT, &body).await.expect(400).json();
    assert!(refused["message"].to_string().contains("labels"), "{refused}");
}

#[tokio::test]
async fn what_the_policy_forbids_by_now_is_deleted_all_the_same() {
    let flow = Flow::start().await;
    let id = uuid(&flow.deployed().await).to_owned();
    let tightened = json!({ "spec": { "stage": "dev", "policy": { "profile": "restricted" } } });
    flow.team.admin.put("/api/v1/infrastructures/local", &tightened).await.expect(200);
    flow.healthy(&id, "OUT_OF_SYNC").await;
    let path = format!("{DEPLOYMENT}/{id}");
    flow.team.deployer.delete(&path).await.expect(200);
    for _ in 0..400 {
        if flow.team.deployer.get(&path).await.status == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    flow.team.deployer.get(&path).await.expect(404);
    assert!(flow.team.it.fake.controls().slots().is_empty());
    // A pipeline says whom it runs as, and may run there.
    let mut pipeline = flow.pipeline.clone();
    pipeline["spec"]["user"] = json!("1000:1000");
    flow.team.deployer.put(&format!("{PIPELINE}/{}", uuid(&flow.pipeline)), &pipeline).await.expect(200);
    flow.deployed().await;
}
