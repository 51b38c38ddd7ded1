//! Secrets come in by the API, the console, the command line and the configuration, and are used on a real engine; then
//! they are searched for wherever anybody could read: logs, databases, answers, pages, streams, labels.

mod made;

use std::path::Path;

use base64::Engine as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::Docker;
use crate::harness::archive;
use crate::harness::process::House;

const BY_API: &str = "canary-by-api-7f3a91";
const BY_CONSOLE: &str = "canary-by-console-55d2c8";
const AS_FILE: &str = "canary-as-file-91be04";
const MISTYPED: &str = "canary-mistyped-20c7fe";
const PASSWORD: &str = "canary password e61d07 of ada";
const REGISTRY: &str = "canary-registry-c0a8d3";
const OIDC: &str = "canary-oidc-client-8d11f4";
const CLUSTER: &str = "canary-cluster-token-3b90ae";

const COMPOSE: &str = "services:
  api:
    image: busybox:lab
    command: [\"sh\", \"-c\", \"test -n \\\"$$TOKEN\\\" && test -s /run/secrets/file && echo has both; sleep 600\"]
    environment: {TOKEN: , OTHER: }
    secrets: [file]
    stop_grace_period: 0s
secrets: {file: {external: true}}
";

/// The ways in which a secret might be spelled.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = base64::engine::general_purpose::STANDARD.encode(secret);
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let percent = secret.replace(' ', "%20");
    // Base64 of a longer text agrees in the middle only; the end of this one is cut off.
    let base64 = base64[..base64.len() - 4].to_owned();
    [secret.to_owned(), hex, base64, encoded, percent].map(String::into_bytes).to_vec()
}

struct Search(Vec<(String, Vec<Vec<u8>>)>);

impl Search {
    fn new(extra: &[&str]) -> Self {
        let known = [BY_API, BY_CONSOLE, AS_FILE, MISTYPED, PASSWORD, REGISTRY, OIDC, CLUSTER];
        let all = known
            .iter()
            .chain(&made::ALL)
            .chain(extra)
            .map(|secret| ((*secret).to_owned(), spellings(secret)));
        Self(all.collect())
    }

    #[track_caller]
    fn through(&self, place: &str, content: &[u8]) {
        for (secret, spellings) in &self.0 {
            for spelling in spellings {
                let found = memchr::memmem::find(content, spelling);
                assert!(found.is_none(), "{secret} is readable in {place}");
            }
        }
    }

    fn below(&self, folder: &Path) -> usize {
        let mut files = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files += self.below(&path);
            } else {
                self.through(&path.display().to_string(), &std::fs::read(&path).unwrap());
                files += 1;
            }
        }
        files
    }
}

/// Sends a request as the console's user or with a key, answers status and text.
async fn send(request: reqwest::RequestBuilder) -> (StatusCode, String) {
    let answer = request.timeout(std::time::Duration::from_secs(20)).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap_or_default())
}

/// Everything that can be read of a house, by its own documentation's list of routes.
async fn answers(house: &House, id: &str) -> Vec<(String, String)> {
    let client = reqwest::Client::new();
    let base = format!("http://{}", house.address);
    let document = client.get(format!("{base}/api/v1/openapi.json")).send().await.unwrap().json::<Value>();
    let paths: Vec<String> = document.await.unwrap()["paths"].as_object().unwrap().keys().cloned().collect();
    let mut read = Vec::new();
    for path in paths {
        let kind = path.trim_start_matches("/api/v1").split('/').nth(1).unwrap_or_default().to_owned();
        let own = if kind == "deployments" { id } else { "local" };
        let filled = path.replace("{id}", own).replace("{key}", "canary").replace("{version}", "1");
        let filled = filled.replace("{number}", "1").replace("{path}", "compose.yaml");
        let filled = if filled.starts_with("/api/v1") { filled } else { format!("/api/v1{filled}") };
        if filled.contains("watch-logs")
            || filled.ends_with("/watch") && !filled.contains("updates")
            || filled.ends_with("/archive")
        {
            continue;
        }
        let request = client.get(format!("{base}{filled}")).bearer_auth(&house.key);
        let request = request.timeout(std::time::Duration::from_secs(3));
        if let Ok(answer) = request.send().await {
            let status = answer.status();
            read.push((format!("{status} {filled}"), answer.text().await.unwrap_or_default()));
        }
    }
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_readable_nowhere() {
    let own = tempfile::tempdir().unwrap();
    let (dir, logs) = (own.path().join("data"), own.path().join("logs"));
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(
        dir.join("config.toml"),
        format!(
            "[oidc]\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"slipway\"\nclient_secret = \"{OIDC}\"\n\
             [registry.\"registry.example.test\"]\nusername = \"robot\"\npassword = \"{REGISTRY}\"\n"
        ),
    )
    .unwrap();
    let mut house = House::at(&dir).await;
    house.stop(true);
    house.log = Some((logs.join("text.log"), "text"));
    house.start();
    house.call(Method::POST, "/infrastructures", Some(cluster(&format!("token: {CLUSTER}")))).await;
    let id = format!("canary-{}", std::process::id());
    house.upload(archive(&[("compose.yaml", COMPOSE)]), "?project=canary&version=1").await;
    let secrets = json!({ "TOKEN": BY_API, "OTHER": "another", "file": AS_FILE });
    let spec = json!({ "project": "canary", "bundle": "1", "infrastructure": "local", "secrets": secrets });
    house.call(Method::POST, "/deployments", Some(json!({ "name": id, "spec": spec }))).await;
    house.update(&id).await;

    // The other format, and the console: a local user signs in and sets a secret there.
    house.stop(true);
    house.log = Some((logs.join("json.log"), "json"));
    house.start();
    let (cookie, page) = console(&house, &id).await;
    house.update(&id).await;
    let mistakes = refused(&house, &id).await;
    let more = made::make(&house).await;
    let search = Search::new(&[&house.key, &cookie]);
    search.through("the console's pages", page.as_bytes());
    for (what, text) in mistakes {
        search.through(&what, text.as_bytes());
    }
    let mut read = answers(&house, &id).await;
    read.extend(made::answers(&house, &more).await);
    assert!(read.iter().filter(|(what, _)| what.starts_with("200")).count() > 25, "{} routes", read.len());
    for (what, text) in &read {
        search.through(what, text.as_bytes());
    }
    engine(&search, &id).await;
    for of in [&more.deployment, &more.execution] {
        pages(&search, &house, &cookie, of).await;
    }
    made::remove(&house, &more).await;
    house.remove(&id).await;
    house.stop(true);
    std::fs::remove_file(dir.join("config.toml")).unwrap();
    assert!(search.below(&dir) >= 4, "the data directory");
    assert_eq!(search.below(&logs), 2);
    for name in ["text.log", "json.log"] {
        let log = std::fs::read_to_string(logs.join(name)).unwrap();
        assert!(log.contains("DEBUG") && log.lines().count() > 20, "{name} is a log at level debug: {log}");
    }
}

/// An infrastructure on a cluster that nothing answers for, with this line in its user.
fn cluster(user: &str) -> Value {
    let text = format!(
        "clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:9'}}}}]\nusers:\n- name: u\n  user:\n    {user}\n\
         contexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n"
    );
    let engine = json!({ "kind": "kubernetes" });
    let spec = json!({ "stage": "prod", "engine": engine, "kubeconfig": text, "context": "x" });
    json!({ "name": "cluster", "spec": spec })
}

/// Signs in by password, sets a secret by the form, and reads the pages that know of it.
async fn console(house: &House, id: &str) -> (String, String) {
    let create = ["admin", "create-user", "--username", "ada", "--group", "admins", "--data-dir"];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.args(create).arg(&house.dir).stdin(std::process::Stdio::piped());
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), PASSWORD.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let base = format!("http://{}", house.address);
    let post = |path: &str| client.post(format!("{base}{path}")).header("sec-fetch-site", "same-origin");
    let form = [("username", "ada"), ("password", PASSWORD)];
    let answer = post("/login").header("accept", "text/html").form(&form).send().await.unwrap();
    let set = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let cookie = set.split(';').next().unwrap().to_owned();
    let get = |path: String| {
        client.get(format!("{base}{path}")).header("accept", "text/html").header("cookie", &cookie)
    };
    let (_, settings) = send(get(format!("/deployments/{id}/settings"))).await;
    let token = settings.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let token = token.expect("the form has its token");
    let form = [("csrf", token), ("name", "OTHER"), ("do", "set"), ("value", BY_CONSOLE)];
    let request =
        post(&format!("/deployments/{id}/secrets")).header("cookie", &cookie).header("accept", "text/html");
    let (status, said) = send(request.form(&form)).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{said}");
    let mut pages = settings + &said;
    for path in ["settings", "update", "history", "updates", "updates/1", "logs", ""] {
        pages += &send(get(format!("/deployments/{id}/{path}").trim_end_matches('/').to_owned())).await.1;
    }
    for path in [
        "/",
        "/deployments",
        "/infrastructures",
        "/infrastructures/cluster",
        "/infrastructures/cluster/settings",
        "/infrastructures/cluster/activity",
        "/admin/journal",
        "/admin/keys",
        "/admin",
        "/admin/system",
        "/account/keys",
        "/account/sessions",
    ] {
        pages += &send(get(path.to_owned())).await.1;
    }
    assert!(pages.contains("OTHER"), "the pages know of the secret by its name");
    (cookie.split_once('=').unwrap().1.to_owned(), pages)
}

/// The console's pages of what is made of a pipeline or a context.
async fn pages(search: &Search, house: &House, cookie: &str, id: &str) {
    for path in ["", "/updates", "/updates/1", "/logs", "/history", "/update"] {
        let url = format!("http://{}/deployments/{id}{path}", house.address);
        let cookie = format!("slipway={cookie}");
        let request = reqwest::Client::new().get(url).header("accept", "text/html").header("cookie", cookie);
        let (status, text) = send(request).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        search.through(path, text.as_bytes());
    }
}

/// Requests with a secret in them that are refused: the refusal does not repeat it.
async fn refused(house: &House, id: &str) -> Vec<(String, String)> {
    let client = reqwest::Client::new();
    let base = format!("http://{}/api/v1", house.address);
    let bodies = [
        json!({ "spec": { "secrets": MISTYPED } }),
        json!({ "spec": { "secrets": [MISTYPED] } }),
        json!({ "spec": { "secrets": { "TOKEN": [MISTYPED] } } }),
        json!({ "spec": { "secrets": { "TOKEN": { "value": MISTYPED } } } }),
        json!({ "spec": { "secrets": { "not a name!": MISTYPED } } }),
        json!({ "spec": { "secrets": { "TOKEN": MISTYPED }, "bundle": "no-such" } }),
    ];
    let mut all = Vec::new();
    for body in bodies {
        let request = client.patch(format!("{base}/deployments/{id}")).bearer_auth(&house.key).json(&body);
        let (status, text) = send(request).await;
        assert!(status.is_client_error(), "{body}: {status}");
        all.push((format!("the refusal of {body}"), text));
    }
    let bad = [format!("exec: {{command: {MISTYPED}}}"), format!("token: '{MISTYPED} {MISTYPED}'")];
    let wrong = bad.iter().map(|user| cluster(user));
    for body in
        wrong.chain([json!({ "name": "x", "spec": { "stage": "dev", "kubeconfig": { "a": MISTYPED } } })])
    {
        let request = client.post(format!("{base}/infrastructures")).bearer_auth(&house.key).json(&body);
        let (status, text) = send(request).await;
        assert!(status.is_client_error(), "{body}: {status}");
        all.push((format!("the refusal of {body}"), text));
    }
    let wrong = client.get(format!("{base}/me")).bearer_auth(format!("slw_{MISTYPED}"));
    all.push(("the refusal of a wrong key".to_owned(), send(wrong).await.1));
    all
}

/// What the engine shows of the workload, the container's own environment apart: there the program reads it.
async fn engine(search: &Search, id: &str) {
    let docker = Docker::by_hand();
    let filters = [("label".to_owned(), vec![format!("io.slipway.workload={id}")])];
    let options =
        bollard::query_parameters::ListContainersOptionsBuilder::default().all(true).filters(&filters.into());
    let found = docker.list_containers(Some(options.build())).await.unwrap();
    assert_eq!(found.len(), 1);
    for summary in &found {
        search.through("the engine's list", serde_json::to_string(summary).unwrap().as_bytes());
        let mut inspected = docker.inspect_container(summary.id.as_deref().unwrap(), None).await.unwrap();
        let config = inspected.config.as_mut().unwrap();
        let seen = config.env.take().unwrap();
        assert!(seen.contains(&format!("TOKEN={BY_API}")) && seen.contains(&format!("OTHER={BY_CONSOLE}")));
        search.through("the container's description", serde_json::to_string(&inspected).unwrap().as_bytes());
    }
}
