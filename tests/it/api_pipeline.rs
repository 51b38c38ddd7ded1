//! Streams, pipelines and their deployments over REST, on the fake engine: DataCater's payloads as they are.

mod made_of;

use reqwest::Method;
use serde_json::{Value, json};
use slipway::domain::name::DeploymentId;
use slipway::engine::fake::Faults;
use slipway::store;

use crate::harness::{Client, Team};

const STREAM: &str = "/api/v1/streams";
const PIPELINE: &str = "/api/v1/pipelines";
const DEPLOYMENT: &str = "/api/v1/deployments";

/// Two streams and a pipeline of group `ml` between them.
struct Flow {
    team: Team,
    stream_in: Value,
    stream_out: Value,
    pipeline: Value,
}

fn uuid(of: &Value) -> &str {
    of["uuid"].as_str().unwrap()
}

async fn made(client: &Client, path: &str, body: Value) -> Value {
    client.post(path, &body).await.expect(200).json()
}

impl Flow {
    async fn start() -> Self {
        let team = Team::start().await;
        let kafka = |options: Value| json!({ "kind": "KAFKA", "kafka": options });
        let stream_in = json!({ "name": "orders", "spec": kafka(json!({ "bootstrap.servers": "kafka:9092", "sasl.jaas.config": "login hunter2" })) });
        let stream_in = made(&team.deployer, STREAM, stream_in).await;
        let stream_out =
            json!({ "name": "clean-orders", "spec": kafka(json!({ "bootstrap.servers": "kafka:9092" })) });
        let stream_out = made(&team.deployer, STREAM, stream_out).await;
        let spec = json!({ "image": "team/clean:1", "infrastructure": "local", "config": { "batch": 5 }, "steps": [{ "kind": "Map" }] });
        let metadata = json!({ "stream-in": stream_in["uuid"], "stream-out": stream_out["uuid"] });
        let pipeline =
            made(&team.deployer, PIPELINE, json!({ "name": "clean", "spec": spec, "metadata": metadata }))
                .await;
        Self { team, stream_in, stream_out, pipeline }
    }

    /// The seed's payload, as it is.
    fn payload(&self) -> Value {
        json!({ "name": "deployment-name", "spec": { "pipeline": self.pipeline["uuid"],
            "stream-in-config": { "uuid": self.stream_in["uuid"] }, "stream-out-config": { "uuid": self.stream_out["uuid"] } } })
    }

    async fn deployed(&self) -> Value {
        let made = made(&self.team.deployer, DEPLOYMENT, self.payload()).await;
        self.healthy(uuid(&made), "HEALTHY").await
    }

    /// Has the pipeline's own program answer there.
    fn answers_at(&self, address: std::net::SocketAddr) {
        let faults = Faults { answers_at: Some(address), ..Faults::default() };
        self.team.it.fake.controls().fault(&"datacater-deployment".parse().unwrap(), faults);
    }

    /// Waits until the deployment is unhealthy for what its program says.
    async fn unwell(&self, id: &str, says: &str) {
        let now = self.healthy(id, "UNHEALTHY").await;
        let message = &now["status"]["messages"][0];
        assert_eq!(message["code"], "PROBE_FAILING", "{now}");
        assert!(message["message"].as_str().unwrap().contains(says), "{message}");
        let trouble = now["status"]["slots"][0]["trouble"].as_str().unwrap();
        assert!(says.contains(trouble) || trouble.contains("answers no more"), "{now}");
    }

    async fn healthy(&self, id: &str, health: &str) -> Value {
        let mut last = Value::Null;
        for _ in 0..400 {
            last = self.team.deployer.get(&format!("{DEPLOYMENT}/{id}")).await.expect(200).json();
            if last["status"]["health"] == health {
                return last;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("it stayed {}", last["status"]);
    }

    /// What a deployment's plan says of the pipeline's own service.
    async fn service(&self, id: &str) -> Value {
        self.plan(id).await["workload"]["services"]["datacater-deployment"].clone()
    }

    /// The plan that a deployment's newest update has.
    async fn plan(&self, id: &str) -> Value {
        let id = DeploymentId::parse(id).unwrap();
        let read = move |db: &rusqlite::Connection| {
            let newest = store::update::list(db, &id, None, 1)?.remove(0);
            store::update::plan(db, &id, newest.number)
        };
        serde_json::to_value(self.team.it.instance.app.store.read(read).await.unwrap().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn the_seeds_payload_runs_at_once_and_is_answered_in_its_shape() {
    let flow = Flow::start().await;
    let made = made(&flow.team.deployer, DEPLOYMENT, flow.payload()).await;
    let id = uuid(&made).to_owned();
    assert_eq!(made["name"], "deployment-name");
    assert_eq!(made["spec"]["pipeline"], flow.pipeline["uuid"]);
    assert_eq!(made["spec"]["stream-in-config"], json!({ "uuid": flow.stream_in["uuid"] }));
    assert_eq!(made["status"]["lastUpdate"], 1, "an update is queued at once");
    let now = flow.healthy(&id, "HEALTHY").await;
    let object = &now["status"][format!("datacater-deployment-{id}")];
    for (key, value) in [("app", "datacater-pipeline"), ("uuid", id.as_str()), ("revision", "1")] {
        assert_eq!(object[format!("datacater.io/{key}")], value, "{object}");
    }
    assert_eq!(object["datacater.io/pipeline"], flow.pipeline["uuid"]);
    let kinds: Vec<&str> =
        object["Conditions"].as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Available", "Progressing"]);
    assert!(object["Conditions"][0]["lastTransitionTime"].is_string(), "{object}");
    assert!(!object.as_object().unwrap().keys().any(|key| key.starts_with("io.slipway.")), "{object}");
    let service = flow.service(&id).await;
    let environment = &service["environment"];
    assert_eq!(environment["MP_MESSAGING_INCOMING_STREAMIN_GROUP_ID"]["plain"], id);
    assert_eq!(environment["MP_MESSAGING_INCOMING_STREAMIN_TOPIC"]["plain"], "orders");
    assert_eq!(environment["DATACATER_CONFIG_BATCH"]["plain"], "5");
}

#[tokio::test]
async fn deployments_of_bundles_and_pipelines_are_one_list_of_one_shape() {
    let flow = Flow::start().await;
    flow.team.deployment(json!({})).await;
    flow.team.update().await;
    flow.team.healthy("HEALTHY").await;
    let of_pipeline = flow.deployed().await;
    let list = flow.team.deployer.get(DEPLOYMENT).await.expect(200).json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2, "{list:?}");
    for one in list {
        for key in ["uuid", "name", "createdAt", "updatedAt", "spec", "status"] {
            assert!(!one[key].is_null(), "{key} of {one}");
        }
        let objects: Vec<&String> = one["status"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| value["Conditions"].is_array())
            .map(|(key, _)| key)
            .collect();
        assert!(!objects.is_empty(), "{one}");
    }
    let stopped = flow
        .team
        .deployer
        .post(&format!("{DEPLOYMENT}/iris-on-local/stop"), &json!({}))
        .await
        .expect(200)
        .json();
    flow.team.ended(&format!("{DEPLOYMENT}/iris-on-local/updates/{}", stopped["number"])).await;
    let mut held = Value::Null;
    for _ in 0..400 {
        held = flow.team.deployer.get(&format!("{DEPLOYMENT}?in-cluster=true")).await.expect(200).json();
        if held.as_array().unwrap().len() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(held.as_array().unwrap().len(), 1, "the engine holds nothing of what is stopped");
    assert_eq!(held[0]["uuid"], of_pipeline["uuid"]);
    let found = flow.team.deployer.get(&format!("{DEPLOYMENT}?q=deployment-n")).await.expect(200).json();
    assert_eq!(found[0]["uuid"], of_pipeline["uuid"], "found by its name");
}

#[tokio::test]
async fn a_put_updates_at_once_and_the_deployments_options_win() {
    let flow = Flow::start().await;
    let id = uuid(&flow.deployed().await).to_owned();
    let path = format!("{DEPLOYMENT}/{id}");
    let mut body = flow.team.deployer.get(&path).await.expect(200).json();
    body["name"] = json!("renamed");
    body["spec"]["replicas"] = json!(2);
    body["spec"]["config"] = json!({ "batch": 50 });
    body["spec"]["stream-in-config"] = json!({ "bootstrap.servers": "other:9092", "group.id": "mine" });
    let saved = flow.team.deployer.put(&path, &body).await.expect(200).json();
    assert_eq!((&saved["name"], &saved["spec"]["replicas"]), (&json!("renamed"), &json!(2)));
    assert_eq!(saved["status"]["lastUpdate"], 2);
    flow.team.ended(&format!("{path}/updates/2")).await;
    let service = flow.service(&id).await;
    let plain = |key: &str| service["environment"][key]["plain"].clone();
    assert_eq!(plain("MP_MESSAGING_INCOMING_STREAMIN_BOOTSTRAP_SERVERS"), "other:9092");
    assert_eq!(plain("MP_MESSAGING_INCOMING_STREAMIN_GROUP_ID"), "mine");
    assert_eq!(plain("DATACATER_CONFIG_BATCH"), "50");
    assert_eq!(service["replicas"], 2);
    let counters = flow.team.deployer.get(&format!("{path}/status")).await.expect(200).json();
    assert_eq!((&counters["replicas"], &counters["readyReplicas"]), (&json!(2), &json!(2)), "{counters}");
    assert_eq!(counters["conditions"][0]["type"], "Available");
    // What it was before is one roll back away, options and all.
    flow.team.deployer.post(&format!("{path}/rollback"), &json!({ "to": 1 })).await.expect(200);
    flow.team.ended(&format!("{path}/updates/3")).await;
    let back = flow.team.deployer.get(&path).await.expect(200).json();
    assert_eq!(back["name"], "renamed", "what people call it is not what it runs");
    assert_eq!(back["spec"]["stream-in-config"], json!({ "uuid": flow.stream_in["uuid"] }));
    flow.healthy(&id, "HEALTHY").await;
}

#[tokio::test]
async fn a_delete_stops_updates_and_deletes() {
    let flow = Flow::start().await;
    let id = uuid(&flow.deployed().await).to_owned();
    let path = format!("{DEPLOYMENT}/{id}");
    flow.team.deployer.delete(&path).await.expect(200);
    for _ in 0..400 {
        if flow.team.deployer.get(&path).await.status == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    flow.team.deployer.get(&path).await.expect(404);
    assert_eq!(flow.team.deployer.get(DEPLOYMENT).await.expect(200).json(), json!([]));
    let journal = flow.team.admin.get("/api/v1/journal?limit=20").await.expect(200).json();
    let actions: Vec<&str> =
        journal.as_array().unwrap().iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert!(actions.contains(&"deployment.deleted"), "{actions:?}");
    // Nothing is left that would keep pipeline and streams.
    flow.team.deployer.delete(&format!("{PIPELINE}/{}", uuid(&flow.pipeline))).await.expect(200);
    flow.team.deployer.delete(&format!("{STREAM}/{}", uuid(&flow.stream_in))).await.expect(200);
}

#[tokio::test]
async fn a_saved_stream_or_pipeline_puts_what_is_made_of_it_out_of_sync() {
    let flow = Flow::start().await;
    let id = uuid(&flow.deployed().await).to_owned();
    let stream = format!("{STREAM}/{}", uuid(&flow.stream_out));
    let mut body = flow.stream_out.clone();
    body["spec"]["kafka"]["bootstrap.servers"] = json!("next:9092");
    flow.team.deployer.put(&stream, &body).await.expect(200);
    let now = flow.healthy(&id, "OUT_OF_SYNC").await;
    assert_eq!(now["status"]["lastUpdate"], 1, "nothing is updated by itself");
    let changes = now["status"]["changes"].to_string();
    assert!(changes.contains("next:9092") && changes.contains("BOOTSTRAP_SERVERS"), "{changes}");
    flow.team.deployer.post(&format!("{DEPLOYMENT}/{id}/updates"), &json!({})).await.expect(200);
    flow.team.ended(&format!("{DEPLOYMENT}/{id}/updates/2")).await;
    flow.healthy(&id, "HEALTHY").await;
    let used = flow.team.deployer.delete(&stream).await.expect(409).json();
    assert_eq!(used["code"], "in_use");
    assert!(used["message"].as_str().unwrap().contains(&id), "{used}");
}

#[tokio::test]
async fn secret_options_are_never_shown_and_reach_the_containers() {
    let flow = Flow::start().await;
    assert_eq!(flow.stream_in["spec"]["kafka"]["sasl.jaas.config"], "********");
    let now = flow.deployed().await;
    let id = uuid(&now).to_owned();
    assert!(!now.to_string().contains("hunter2"), "{now}");
    let names: Vec<&str> =
        now["status"]["secrets"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["MP_MESSAGING_INCOMING_STREAMIN_SASL_JAAS_CONFIG"]);
    let plan = flow.plan(&id).await.to_string();
    assert!(!plan.contains("hunter2"), "{plan}");
    // Masked it stays as it is; a new value is a new version.
    let stream = format!("{STREAM}/{}", uuid(&flow.stream_in));
    flow.team.deployer.put(&stream, &flow.stream_in).await.expect(200);
    flow.healthy(&id, "HEALTHY").await;
    let mut body = flow.stream_in.clone();
    body["spec"]["kafka"]["sasl.jaas.config"] = json!("login swordfish");
    flow.team.deployer.put(&stream, &body).await.expect(200);
    flow.healthy(&id, "OUT_OF_SYNC").await;
    // By hand neither of them is set nor removed.
    let name = "MP_MESSAGING_INCOMING_STREAMIN_SASL_JAAS_CONFIG";
    let by_hand = json!({ "spec": { "secrets": { name: null } } });
    let refused = flow.team.deployer.patch(&format!("{DEPLOYMENT}/{id}"), &by_hand).await.expect(400).json();
    assert_eq!(refused["problems"][0]["place"], format!("secrets.{name}"));
    // One that was never given is asked for.
    let new =
        json!({ "name": "x", "spec": { "kind": "KAFKA", "kafka": { "ssl.key.password": "********" } } });
    let refused = flow.team.deployer.post(STREAM, &new).await.expect(400).json();
    assert_eq!(refused["problems"][0]["place"], "spec.kafka.ssl.key.password");
    // A deployment's own, once in clear and then masked.
    let mut body = flow.payload();
    body["spec"]["stream-out-config"] = json!({ "ssl.key.password": "s3same" });
    let path = format!("{DEPLOYMENT}/{id}");
    let saved = flow.team.deployer.put(&path, &body).await.expect(200).json();
    assert_eq!(saved["spec"]["stream-out-config"], json!({ "ssl.key.password": "********" }));
    flow.team.deployer.put(&path, &saved).await.expect(200);
    let journal = flow.team.admin.get("/api/v1/journal?limit=50").await.expect(200).json().to_string();
    for secret in ["hunter2", "swordfish", "s3same"] {
        assert!(!journal.contains(secret));
    }
}

#[tokio::test]
async fn yaml_says_the_same_as_json() {
    let flow = Flow::start().await;
    let text = format!(
        "name: from-yaml\nspec:\n  pipeline: {}\n  replicas: 2\n  config:\n    mode: \"7\"\n",
        uuid(&flow.pipeline)
    );
    let send = |path: &str, text: String| {
        let request = flow
            .team
            .deployer
            .request(Method::POST, path)
            .header("content-type", "application/yaml")
            .body(text);
        flow.team.deployer.send(request)
    };
    let made = send(DEPLOYMENT, text).await.expect(200).json();
    assert_eq!((&made["name"], &made["spec"]["replicas"]), (&json!("from-yaml"), &json!(2)));
    assert_eq!(made["spec"]["config"]["mode"], "7");
    let stream =
        send(STREAM, "name: y\nspec: {kind: KAFKA, kafka: {linger.ms: 5}}\n".into()).await.expect(200).json();
    assert_eq!(stream["spec"]["kafka"]["linger.ms"], 5);
    let refused = send(STREAM, "name: y\nname: z\n".into()).await.expect(400).json();
    assert_eq!(refused["problems"][0]["place"], "body:2:1");
    let refused = send(STREAM, "name: y\nspec: {kind: KAFKA, kafak: {}}\n".into()).await.expect(400).json();
    assert_eq!(refused["problems"][0]["place"], "spec.kafak");
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_place() {
    let flow = Flow::start().await;
    let absent = "b6cf4b5a-5e0a-4b0b-8b0e-3a4c9f2d6a11";
    let cases = [
        (json!({ "pipeline": absent }), "spec.pipeline"),
        (json!({ "pipeline": "no" }), "spec.pipeline"),
        (json!({ "pipeline": flow.pipeline["uuid"], "enabled": false }), "spec.enabled"),
        (
            json!({ "pipeline": flow.pipeline["uuid"], "stream-in-config": { "uuid": absent } }),
            "spec.stream-in-config.uuid",
        ),
        (json!({ "pipeline": flow.pipeline["uuid"], "infrastructure": "nowhere" }), "spec.infrastructure"),
        (
            json!({ "pipeline": flow.pipeline["uuid"], "stream-out-config": { "a": [1] } }),
            "spec.stream-out-config.a",
        ),
        (
            json!({ "pipeline": flow.pipeline["uuid"], "stream-in-config": { "a.password": "********" } }),
            "stream-in-config.a.password",
        ),
    ];
    for (spec, place) in cases {
        let refused = flow
            .team
            .deployer
            .post(DEPLOYMENT, &json!({ "name": "x", "spec": spec }))
            .await
            .expect(400)
            .json();
        assert_eq!(refused["problems"][0]["place"], place, "{refused}");
    }
    let unknown = json!({ "name": "x", "spec": { "pipeline": flow.pipeline["uuid"], "replica": 2 } });
    let refused = flow.team.deployer.post(DEPLOYMENT, &unknown).await.expect(400).json();
    assert!(refused["message"].as_str().unwrap().contains("`replica`"), "{refused}");
    assert_eq!(flow.team.deployer.get(DEPLOYMENT).await.expect(200).json(), json!([]), "nothing was made");
}

#[tokio::test]
async fn to_others_it_does_not_exist() {
    let flow = Flow::start().await;
    let id = uuid(&flow.deployed().await).to_owned();
    let (pipeline, stream) =
        (format!("{PIPELINE}/{}", uuid(&flow.pipeline)), format!("{STREAM}/{}", uuid(&flow.stream_in)));
    for other in [&flow.team.viewer, &flow.team.stranger] {
        for path in [&pipeline, &stream, &format!("{DEPLOYMENT}/{id}")] {
            other.get(path).await.expect(404);
            other.delete(path).await.expect(404);
        }
        other.put(&pipeline, &flow.pipeline).await.expect(404);
        other.put(&stream, &flow.stream_in).await.expect(404);
        for list in [PIPELINE, STREAM, DEPLOYMENT] {
            assert_eq!(other.get(list).await.expect(200).json(), json!([]));
        }
        let refused = other.post(DEPLOYMENT, &flow.payload()).await.expect(400).json();
        assert_eq!(refused["problems"][0]["place"], "spec.pipeline");
        other.get(&format!("/api/v1/projects/{id}")).await.expect(404);
    }
    // Who is in the group and may not deploy there makes a pipeline, and runs it nowhere.
    let member: Client = flow.team.it.key(&["readers"]).await;
    let own = made(&member, STREAM, json!({ "name": "mine", "spec": { "kind": "KAFKA" } })).await;
    assert_eq!(own["group"], "readers");
    let spec = json!({ "stream-in": own["uuid"], "stream-out": own["uuid"], "infrastructure": "local" });
    let own = made(&member, PIPELINE, json!({ "name": "mine", "spec": spec })).await;
    member.post(DEPLOYMENT, &json!({ "name": "x", "spec": { "pipeline": own["uuid"] } })).await.expect(403);
    let refused = member
        .post(STREAM, &json!({ "name": "x", "group": "ml", "spec": { "kind": "KAFKA" } }))
        .await
        .expect(400)
        .json();
    assert_eq!(refused["problems"][0]["place"], "group");
    // Nobody publishes into what keeps a deployment's definitions, nor deploys from it.
    let of_bundle =
        json!({ "name": "y", "spec": { "project": id, "bundle": "1", "infrastructure": "local" } });
    flow.team.deployer.post(DEPLOYMENT, &of_bundle).await.expect(404);
    assert!(!flow.team.admin.get("/api/v1/projects").await.expect(200).json().to_string().contains(&id));
}

#[tokio::test]
async fn the_pipelines_own_program_answers_for_its_health_and_metrics() {
    let flow = Flow::start().await;
    let id = uuid(&flow.deployed().await).to_owned();
    let path = format!("{DEPLOYMENT}/{id}");
    let silent = flow.team.deployer.get(&format!("{path}/health")).await.expect(503).json();
    assert_eq!(silent["statusCode"], 503, "{silent}");
    let program =
        answering(&[("/q/health", 503, r#"{"status":"DOWN"}"#), ("/q/metrics", 200, "up 1\n")]).await;
    flow.answers_at(program);
    let down = flow.team.deployer.get(&format!("{path}/health?replica=1")).await.expect(503).json();
    assert_eq!(down, json!({ "status": "DOWN" }), "passed on as it came");
    let metrics = flow.team.deployer.get(&format!("{path}/metrics")).await.expect(200);
    assert_eq!(metrics.text, "up 1\n");
    flow.unwell(&id, "replica 0 answers 503").await;
    let program = answering(&[("/q/health", 200, r#"{"status":"UP"}"#)]).await;
    flow.answers_at(program);
    assert_eq!(flow.healthy(&id, "HEALTHY").await["status"]["messages"], json!([]));
    // A port that nobody listens at any more.
    flow.answers_at(std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    flow.unwell(&id, "replica 0 answers no more (").await;
    let refused = flow.team.deployer.get(&format!("{path}/health?replica=7")).await.expect(400).json();
    assert_eq!(refused["problems"][0]["place"], "replica");
    flow.team.stranger.get(&format!("{path}/health")).await.expect(404);
    flow.team.stranger.get(&format!("{path}/metrics")).await.expect(404);
    flow.team.stranger.get(&format!("{path}/status")).await.expect(404);
}

/// A server that answers each of these paths so.
pub async fn answering(answers: &'static [(&'static str, u16, &'static str)]) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 2048];
            let read = stream.read(&mut asked).await.unwrap_or(0);
            let asked = String::from_utf8_lossy(&asked[..read]).into_owned();
            let path = asked.split(' ').nth(1).unwrap_or_default();
            let found = answers.iter().find(|(known, ..)| *known == path);
            let (status, body) = found.map_or((404, ""), |(_, status, body)| (*status, *body));
            let text = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(text.as_bytes()).await;
        }
    });
    address
}
