//! renga-deployer's API of a real Slipway, as its clients see it.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::process::House;
use crate::oidc::provider::TestProvider;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(90);

/// A client of it.
pub struct Renga<'a> {
    house: &'a House,
    bearer: String,
    client: reqwest::Client,
}

impl<'a> Renga<'a> {
    pub fn at(house: &'a House) -> Self {
        Self::with(house, &house.key)
    }

    /// With a token of its own.
    pub fn with(house: &'a House, bearer: &str) -> Self {
        // What never answers fails, and says what it was.
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Self { house, bearer: bearer.to_owned(), client }
    }

    /// Status and body.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, String) {
        let url = format!("http://{}/v1{path}", self.house.address);
        let request = self.client.request(method, url).bearer_auth(&self.bearer);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, text) = self.send(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Makes a context and an execution of it; the execution's path and identifier.
    pub async fn run(&self, spec: Value, engine: &str) -> (String, String) {
        let (status, text) = self.send(Method::POST, "/contexts", Some(&spec)).await;
        assert_eq!(status, 201, "{text}");
        let context: Value = serde_json::from_str(&text).unwrap();
        let of = format!("/contexts/{}/executions", context["identifier"].as_str().unwrap());
        let order =
            json!({ "engine": engine, "namespace": "default", "environment": { "WHO": "execution" } });
        let (status, text) = self.send(Method::POST, &of, Some(&order)).await;
        assert_eq!(status, 201, "{text}");
        let execution: Value = serde_json::from_str(&text).unwrap();
        let id = execution["identifier"].as_str().unwrap().to_owned();
        (format!("{of}/{id}"), id)
    }

    /// Waits until an execution is in that state.
    pub async fn state(&self, path: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let now = self.get(path).await;
            if now["state"] == wanted {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "it is not {wanted}: {now}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks the execution's port until it answers.
    pub async fn reach(&self, path: &str, specified: &str) -> String {
        let ports = self.get(&format!("{path}/ports")).await;
        let port = ports["ports"].as_array().unwrap().iter().find(|port| port["specified"] == specified);
        let port = port.unwrap_or_else(|| panic!("no port {specified}: {ports}"));
        let url = format!("http://{}:{}/", port["host"].as_str().unwrap(), port["exposed"].as_str().unwrap());
        let began = Instant::now();
        loop {
            let request = self.client.get(&url).timeout(Duration::from_secs(2));
            if let Ok(answer) = request.send().await {
                return answer.text().await.unwrap();
            }
            assert!(began.elapsed() < PATIENCE, "{url} never answered");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until it has written just this.
    pub async fn says(&self, path: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let (status, text) = self.send(Method::GET, &format!("{path}/logs"), None).await;
            if (status, text.as_str()) == (200, wanted) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "it says {status} {text:?}, not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops it by Slipway's own API, twice; what ran is kept.
    pub async fn stop(&self, path: &str, id: &str) {
        // Of one that was not seen to run, the start would be cancelled.
        self.state(path, "running").await;
        let own = format!("/executions/{id}/stop");
        let stopped = self.house.call(Method::POST, &own, None).await;
        assert_eq!(stopped["status"]["removed"], false, "{stopped}");
        self.state(path, "exited").await;
        self.house.call(Method::POST, &own, None).await;
        assert_eq!(self.get(&format!("{path}/ports")).await, json!({ "ports": [] }));
        let updates = self.house.call(Method::GET, &format!("/deployments/{id}/updates"), None).await;
        let kinds: Vec<&Value> =
            updates.as_array().unwrap().iter().map(|update| &update["spec"]["kind"]).collect();
        assert_eq!(kinds, ["halt", "update"], "what is stopped is not stopped again: {updates}");
    }

    /// Stops and removes it; its ports and logs are gone at once.
    pub async fn remove(&self, path: &str) {
        assert_eq!(self.send(Method::DELETE, path, None).await.0, 200);
        assert_eq!(self.get(&format!("{path}/ports")).await, json!({ "ports": [] }));
        assert_eq!(self.send(Method::GET, &format!("{path}/logs"), None).await.0, 404);
        self.state(path, "unavailable").await;
        assert_eq!(self.send(Method::DELETE, path, None).await.0, 200, "again is no error");
    }
}

/// An issuer, and tokens of it for renga's API.
pub struct Issuer {
    provider: TestProvider,
}

impl Issuer {
    pub async fn start() -> Self {
        Self { provider: TestProvider::start().await }
    }

    /// The lines of the configuration that have it believed, by the keys that it publishes or by one at hand.
    pub async fn believed(&self, by_key: bool) -> String {
        let issuer = &self.provider.issuer;
        let mut lines = format!("[renga]\nissuer = \"{issuer}\"\naudience = \"renga\"\n");
        if by_key {
            let keys = reqwest::get(format!("{issuer}/jwks")).await.unwrap().json::<Value>().await.unwrap();
            lines += &format!("jwt_key = '{}'\n", keys["keys"][0]);
        }
        lines
    }

    /// A token of somebody of group `ml` with these scopes.
    pub async fn token(&self, scopes: &str) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({ "iss": self.provider.issuer, "aud": "renga", "sub": "robot", "name": "Robot", "iat": now,
            "exp": now + 600, "groups": ["ml"], "scope": scopes });
        self.provider.sign(&claims, &json!({}), "provider").await
    }
}

/// Runs, reads and removes an execution on an engine, with tokens of a real issuer alone.
pub async fn by_tokens(house: &House, issuer: &Issuer, infrastructure: &str, engine: &str) -> String {
    let grant = format!("/infrastructures/{infrastructure}/grants/ml");
    house.call(Method::PUT, &grant, Some(json!({ "right": "deploy" }))).await;
    let all =
        "deployer:contexts_read deployer:contexts_write deployer:executions_read deployer:executions_write";
    let full = issuer.token(all).await;
    let (path, id) = Renga::with(house, &full)
        .run(json!({ "image": "busybox:lab", "command": "sh -c 'echo $WHO'" }), engine)
        .await;
    let reads = issuer.token("deployer:contexts_read deployer:executions_read").await;
    let reads = Renga::with(house, &reads);
    reads.state(&path, "exited").await;
    assert_eq!(reads.send(Method::GET, &format!("{path}/logs"), None).await, (200, "execution\n".to_owned()));
    assert_eq!(reads.send(Method::DELETE, &path, None).await.0, 403);
    assert_eq!(Renga::with(house, &format!("{full}x")).send(Method::GET, &path, None).await.0, 401);
    let own = house.call(Method::GET, &format!("/executions/{id}"), None).await;
    assert_eq!(own["createdBy"], "Robot", "{own}");
    let context = house
        .call(Method::GET, &format!("/contexts/{}", own["spec"]["context"].as_str().unwrap()), None)
        .await;
    assert_eq!((&context["group"], &context["createdBy"]), (&json!("ml"), &json!("Robot")), "{context}");
    Renga::with(house, &full).remove(&path).await;
    id
}

/// Makes an infrastructure restricted and runs an execution on it, which is `renga.user` (1234:2345) and may write where its
/// specification gives it a folder, nowhere else; answers its uuid.
pub async fn as_the_configured_user(house: &House, infrastructure: &str, engine: &str) -> String {
    let place = format!("/infrastructures/{infrastructure}");
    let mut spec = house.call(Method::GET, &place, None).await["spec"].take();
    spec["policy"]["profile"] = json!("restricted");
    house.call(Method::PUT, &place, Some(json!({ "spec": spec }))).await;
    let command = "sh -c 'id -u; id -g; echo kept > /work/x; cat /work/x; touch /x 2>/dev/null || echo root is read-only'";
    let spec = json!({ "image": "busybox:lab", "command": command,
        "volumes": [{ "name": "work", "emptyDir": {} }],
        "volumeMounts": [{ "name": "work", "mountPath": "/work" }] });
    let renga = Renga::at(house);
    let (path, id) = renga.run(spec, engine).await;
    renga.state(&path, "exited").await;
    renga.says(&path, "1234\n2345\nkept\nroot is read-only\n").await;
    renga.remove(&path).await;
    id
}
