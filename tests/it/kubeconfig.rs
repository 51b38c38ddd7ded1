//! Kubeconfigs through REST and the console: what is refused says where and what to do, and nothing of a credential
//! comes out again. Nothing listens at these servers; `kubernetes::connection` asks a real one.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::harness::process::House;
use crate::harness::{Answer, Client, TestApp};

const CANARY: &str = "canary-kubeconfig-0a77c3";

/// A kubeconfig whose user has these lines.
fn kubeconfig(server: &str, user: &str) -> String {
    format!(
        "clusters:\n- name: c\n  cluster:\n    server: {server}\nusers:\n- name: u\n  user:\n    {user}\ncontexts:\n\
         - name: here\n  context: {{cluster: c, user: u, namespace: ml}}\ncurrent-context: here\n"
    )
}

fn good() -> String {
    kubeconfig("https://127.0.0.1:9", &format!("token: {CANARY}"))
}

fn spec(more: Value) -> Value {
    let mut spec = json!({ "stage": "test", "engine": { "kind": "kubernetes" } });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

async fn make(client: &Client, more: Value) -> Answer {
    client.post("/api/v1/infrastructures", &json!({ "name": "lab", "spec": spec(more) })).await
}

#[tokio::test]
async fn what_a_kubeconfig_may_not_hold_is_refused_with_its_place_and_the_way_out() {
    let it = TestApp::builder().start().await;
    let admin = it.admin().await;
    let console = it.session("Ada Admin", &["admins"]).await;
    for (text, place, words, way) in [
        (
            kubeconfig("https://c", &format!("exec: {{command: {CANARY}}}")),
            "8:5",
            "run a program",
            "service account",
        ),
        (kubeconfig("https://c", &format!("tokenFile: /etc/{CANARY}")), "8:5", "read a file", "`token`"),
        (
            kubeconfig("https://c", &format!("auth-provider: {{name: {CANARY}}}")),
            "8:5",
            "plugin",
            "service account",
        ),
        (kubeconfig("https://c", &format!("token: t\n    as: {CANARY}")), "9:5", "somebody else", "remove"),
        (
            kubeconfig("https://c", &format!("username: {CANARY}")),
            "8:5",
            "basic authentication",
            "service account",
        ),
        (kubeconfig("http://c", "token: t"), "4:13", "http://", "https://"),
        (
            kubeconfig("https://c\n    insecure-skip-tls-verify: true", "token: t"),
            "5:5",
            "whoever",
            "authority",
        ),
        (kubeconfig("https://c\n    proxy-url: http://p", "token: t"), "5:5", "another machine", "Remove"),
        (kubeconfig("https://c", "token: t").replace("user: u,", "user: v,"), "11:31", "no user v", "u"),
        (format!("users: [{CANARY}"), "1:8", "not YAML", "kubectl"),
    ] {
        let answer = make(&admin, json!({ "kubeconfig": text })).await.expect(400);
        assert!(!answer.text.contains(CANARY), "{}", answer.text);
        let body = answer.json();
        assert_eq!(body["code"], "kubeconfig_refused");
        let one = &body["problems"][0];
        assert_eq!(
            (&one["place"], &body["problems"][1]),
            (&json!(format!("kubeconfig:{place}")), &Value::Null),
            "{body:#}"
        );
        assert!(one["message"].as_str().unwrap().contains(words), "{one}");
        assert!(one["hint"].as_str().unwrap().contains(way), "{one}");

        let fields = [("id", "lab"), ("stage", "test"), ("kind", "kubernetes"), ("access", "kubeconfig")];
        let more = [
            ("kubeconfig", text.as_str()),
            ("namespace", "typed-before"),
            ("registry", "r.example.org/typed"),
        ];
        let page = console.form("/infrastructures/new", &[&fields[..], &more[..]].concat()).await.expect(400);
        assert!(!page.text.contains(CANARY), "the page repeats what was pasted");
        let line = format!("line {}:", place.split(':').next().unwrap());
        assert!(
            page.text.to_lowercase().contains(&line) && page.text.contains("f-kubeconfig-error"),
            "{}",
            page.text
        );
        for typed in ["value=\"lab\"", "value=\"typed-before\"", "value=\"r.example.org/typed\""] {
            assert!(page.text.contains(typed), "{typed} was typed");
        }
    }
    admin.get("/api/v1/infrastructures/lab").await.expect(404);
}

#[tokio::test]
async fn what_was_typed_of_a_cluster_is_judged_field_by_field() {
    let it = TestApp::builder().start().await;
    let admin = it.admin().await;
    let engine = json!({ "kind": "kubernetes", "namespace": "A", "registry": "https://r", "builder": "local",
        "mirrors": { "docker.io": "a b" }, "storageClass": "A", "volumeSize": "much",
        "publish": { "by": "ingress", "host": "{name}.example.org", "path": "x" } });
    let refused = make(&admin, json!({ "engine": engine, "kubeconfig": good() })).await.expect(400).json();
    let places: Vec<&str> =
        refused["problems"].as_array().unwrap().iter().map(|one| one["place"].as_str().unwrap()).collect();
    let wanted = [
        "engine.namespace",
        "engine.registry",
        "engine.mirrors",
        "engine.storageClass",
        "engine.volumeSize",
        "engine.publish.host",
        "engine.publish.path",
        "engine.builder",
    ];
    assert_eq!(places, wanted, "{refused:#}");
    assert!(refused["problems"].as_array().unwrap().iter().all(|one| one["hint"].is_string()), "{refused:#}");

    let console = it.session("Ada Admin", &["admins"]).await;
    let fields = [
        ("id", "lab"),
        ("stage", "test"),
        ("kind", "kubernetes"),
        ("access", "kubeconfig"),
        ("kubeconfig", &good()),
        ("namespace", "A"),
        ("registry", "https://r"),
        ("mirrors", "docker.io=a b"),
        ("storage_class", "A"),
        ("volume_size", "much"),
        ("publish_by", "ingress"),
        ("ingress_host", "{name}.example.org"),
        ("ingress_path", "x"),
        ("builder", "local"),
    ];
    let page = console.form("/infrastructures/new", &fields).await.expect(400);
    for name in [
        "namespace",
        "registry",
        "mirrors",
        "storage_class",
        "volume_size",
        "ingress_host",
        "ingress_path",
        "builder",
    ] {
        assert!(page.text.contains(&format!("id=\"f-{name}-error\"")), "{name} has its error beside it");
    }
    assert!(page.text.contains("value=\"{name}.example.org\"") && !page.text.contains(CANARY));
}

#[tokio::test]
async fn a_connection_says_how_the_cluster_is_reached() {
    let it = TestApp::builder().start().await;
    let admin = it.admin().await;
    let access = json!({ "by": "kubeconfig", "server": "https://evil.example.org", "credential": "token" });
    let named = json!({ "by": "configured", "name": "prod" });
    for (more, place) in [
        (json!({}), "kubeconfig"),
        (json!({ "context": "here" }), "spec.context"),
        (json!({ "engine": { "kind": "kubernetes", "access": access } }), "engine.access"),
        (json!({ "engine": { "kind": "kubernetes", "access": named } }), "engine.access"),
        (
            json!({ "engine": { "kind": "kubernetes", "access": named }, "kubeconfig": good() }),
            "engine.access",
        ),
        (json!({ "engine": { "kind": "docker" }, "kubeconfig": good() }), "kubeconfig"),
        (json!({ "kubeconfig": good(), "context": "elsewhere" }), "kubeconfig:1:1"),
        (json!({ "kubeconfig": [CANARY] }), "spec.kubeconfig"),
        (json!({ "kubeconfig": "x".repeat(300 << 10) }), "kubeconfig:1:1"),
    ] {
        let answer = make(&admin, more.clone()).await.expect(400);
        assert!(!answer.text.contains(CANARY));
        let body = answer.json();
        assert_eq!(body["problems"][0]["place"], place, "{body:#}");
    }
    let lead = it.key(&["leads"]).await;
    make(&lead, json!({ "kubeconfig": good() })).await.expect(403);
}

#[tokio::test]
async fn a_credential_goes_to_no_other_server_and_nowhere_else() {
    let it = TestApp::builder().start().await;
    let admin = it.admin().await;
    let made = make(&admin, json!({ "kubeconfig": good() })).await.expect(200).json();
    let engine = made["spec"]["engine"].clone();
    assert_eq!(
        engine["access"],
        json!({ "by": "kubeconfig", "server": "https://127.0.0.1:9", "credential": "token" })
    );
    assert_eq!(engine["namespace"], "ml");
    let path = "/api/v1/infrastructures/lab";
    // What was read may be sent back as it is, by who may save and is no administrator too.
    admin.put(&format!("{path}/grants/leads"), &json!({ "right": "admin" })).await.expect(200);
    let lead = it.key(&["leads"]).await;
    lead.put(path, &json!({ "spec": made["spec"] })).await.expect(200);
    lead.put(path, &json!({ "spec": spec(json!({ "kubeconfig": good() })) })).await.expect(403);
    let mut other = engine.clone();
    other["builder"] = json!("nowhere");
    let refused = lead.put(path, &json!({ "spec": { "stage": "test", "engine": other } })).await.expect(403);
    assert!(!refused.text.contains("nowhere"), "no more is told than that it takes an administrator");
    other = engine.clone();
    other["namespace"] = json!("mine");
    lead.put(path, &json!({ "spec": { "stage": "test", "engine": other } })).await.expect(403);

    let sealed = |it: &TestApp| {
        let store = it.instance.app.store.clone();
        async move {
            let read = |db: &rusqlite::Connection| {
                Ok(db.query_row(
                    "SELECT credential_version, credential FROM infrastructure WHERE id = 'lab'",
                    [],
                    |row| Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?)),
                )?)
            };
            store.read(read).await.unwrap()
        }
    };
    let first = sealed(&it).await;
    assert_eq!(first.0, 1);
    let mut elsewhere = engine.clone();
    elsewhere["access"]["server"] = json!("https://evil.example.org");
    let refused = admin
        .put(path, &json!({ "spec": { "stage": "test", "engine": elsewhere } }))
        .await
        .expect(400)
        .json();
    assert_eq!(refused["problems"][0]["place"], "engine.access", "{refused:#}");
    let moved =
        admin.put(path, &json!({ "spec": { "stage": "test", "engine": other } })).await.expect(200).json();
    assert_eq!((&moved["spec"]["engine"]["namespace"], sealed(&it).await), (&json!("mine"), first.clone()));

    let fresh = kubeconfig("https://127.0.0.1:8", "token: another");
    let saved =
        admin.put(path, &json!({ "spec": spec(json!({ "kubeconfig": fresh })) })).await.expect(200).json();
    assert_eq!(saved["spec"]["engine"]["access"]["server"], "https://127.0.0.1:8");
    let second = sealed(&it).await;
    assert_eq!(u64::from(second.0), saved["status"]["revision"].as_u64().unwrap());
    assert_ne!(second.1, first.1);
    // To the pod's own account: the credential is gone.
    let in_cluster = json!({ "kind": "kubernetes", "access": { "by": "in_cluster" }, "namespace": "ml" });
    admin.put(path, &json!({ "spec": { "stage": "test", "engine": in_cluster } })).await.expect(200);
    let store = it.instance.app.store.clone();
    let left = store.read(|db| {
        Ok(db.query_row("SELECT count(credential) FROM infrastructure", [], |row| row.get::<_, u32>(0))?)
    });
    assert_eq!(left.await.unwrap(), 0);

    let journal = admin.get("/api/v1/journal").await.expect(200);
    let encoded = base64::engine::general_purpose::STANDARD.encode(CANARY);
    for text in [journal.text.clone(), admin.get(path).await.text] {
        assert!(!text.contains(CANARY) && !text.contains(&encoded));
    }
    assert!(journal.text.contains("\"credential_replaced\":true"), "{}", journal.text);
}

#[tokio::test]
async fn a_builder_is_a_docker_infrastructure_and_stays_while_it_is_named() {
    let it = TestApp::builder().start().await;
    let admin = it.admin().await;
    let docker = json!({ "name": "host", "spec": { "stage": "dev", "engine": { "kind": "docker" } } });
    admin.post("/api/v1/infrastructures", &docker).await.expect(200);
    let engine = json!({ "kind": "kubernetes", "builder": "host" });
    make(&admin, json!({ "engine": engine, "kubeconfig": good() })).await.expect(200);
    let refused = admin.delete("/api/v1/infrastructures/host").await.expect(409).json();
    assert!(refused["message"].as_str().unwrap().contains("builds images for lab"), "{refused}");
    admin.delete("/api/v1/infrastructures/lab").await.expect(200);
    admin.delete("/api/v1/infrastructures/host").await.expect(200);
}

#[tokio::test]
async fn the_pods_own_account_is_for_a_slipway_in_a_pod() {
    let house = House::fresh().await;
    let engine = json!({ "kind": "kubernetes", "access": { "by": "in_cluster" }, "namespace": "ml" });
    let body = json!({ "name": "lab", "spec": { "stage": "test", "engine": engine } });
    house.call(reqwest::Method::POST, "/infrastructures", Some(body)).await;
    let url = format!("http://{}/api/v1/infrastructures/lab/test", house.address);
    let answer = reqwest::Client::new().post(url).bearer_auth(&house.key).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.unwrap();
    assert!(text.contains("has to run in a pod with a service account"), "{text}");
}

#[tokio::test]
async fn the_role_to_copy_is_yaml_for_this_namespace() {
    let it = TestApp::builder().start().await;
    let admin = it.admin().await;
    make(&admin, json!({ "kubeconfig": good() })).await.expect(200);
    let role = admin.get("/api/v1/infrastructures/lab/role").await.expect(200);
    assert_eq!(role.header("content-type"), Some("text/yaml; charset=utf-8"));
    assert!(role.text.contains("kind: RoleBinding") && role.text.contains("namespace: ml"), "{}", role.text);
    let other = admin.get("/api/v1/infrastructures/local/role").await.expect(409).json();
    assert_eq!(other["code"], "no_role");
}

#[tokio::test]
async fn the_settings_page_keeps_the_credential_and_takes_a_new_one() {
    let it = TestApp::builder().start().await;
    let console = it.session("Ada Admin", &["admins"]).await;
    let (kubeconfig, id) = (good(), "lab");
    let form = [
        ("id", id),
        ("stage", "test"),
        ("kind", "kubernetes"),
        ("access", "kubeconfig"),
        ("kubeconfig", &*kubeconfig),
    ];
    console.form("/infrastructures/new", &form).await.expect(303);
    let page = console.get("/infrastructures/lab").await.expect(200).text;
    for fact in ["https://127.0.0.1:9", "<dd><code>token</code>", "<dd><code>ml</code>", "kind: RoleBinding"]
    {
        assert!(page.contains(fact), "{fact} is on the page");
    }
    assert!(!page.contains(CANARY));
    let settings = console.get("/infrastructures/lab/settings").await.expect(200).text;
    assert!(
        settings.contains("name=\"kubeconfig\"")
            && settings.contains("value=\"ml\"")
            && !settings.contains(CANARY)
    );
    let save = [
        ("revision", "1"),
        ("stage", "test"),
        ("govern", "NO_CHECK"),
        ("profile", "baseline"),
        ("max_replicas", "10"),
        ("access", "kubeconfig"),
        ("namespace", "other"),
        ("mirrors", "docker.io=mirror.example.org/hub\n"),
        ("publish_by", "nowhere"),
    ];
    console.form("/infrastructures/lab/settings", &save).await.expect(303);
    let admin = it.admin().await;
    let saved = admin.get("/api/v1/infrastructures/lab").await.expect(200).json();
    let engine = &saved["spec"]["engine"];
    assert_eq!(engine["access"]["server"], "https://127.0.0.1:9", "an empty kubeconfig keeps the connection");
    assert_eq!(engine["mirrors"], json!({ "docker.io": "mirror.example.org/hub" }));
    assert_eq!((&engine["namespace"], &engine["publish"]["by"]), (&json!("other"), &json!("nowhere")));
    let bad = kubeconfig_of_exec();
    let again: Vec<(&str, &str)> =
        save.iter().skip(1).copied().chain([("revision", "2"), ("kubeconfig", &*bad)]).collect();
    let page = console.form("/infrastructures/lab/settings", &again).await.expect(400).text;
    assert!(
        page.contains("run a program") && page.contains("value=\"other\"") && !page.contains(CANARY),
        "{page}"
    );
}

fn kubeconfig_of_exec() -> String {
    kubeconfig("https://c", &format!("exec: {{command: {CANARY}}}"))
}
