//! The core flows as forms, redirects and pages: no script runs here.

use reqwest::Method;
use serde_json::json;

use super::{Dom, Visitors, page};
use crate::harness::{Answer, Client, archive, publish};

const COMPOSE: &str = "name: churn\nservices:\n  api:\n    image: redis:7\n    environment: [MODEL]\n";

/// Sends a file as a browser's form does.
async fn upload(client: &Client, path: &str, name: &str, bytes: Vec<u8>) -> Answer {
    let token = client.csrf();
    let mut body = format!(
        "--cut\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{token}\r\n\
         --cut\r\nContent-Disposition: form-data; name=\"version\"\r\n\r\n\r\n\
         --cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/zip\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(&bytes);
    body.extend_from_slice(b"\r\n--cut--\r\n");
    let request = client
        .request(Method::POST, path)
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "multipart/form-data; boundary=cut")
        .body(body);
    client.send(request).await
}

/// Where a refused form's errors stand: the summary's items, and the fields they are beside.
fn errors(dom: &Dom) -> (Vec<String>, Vec<String>) {
    let beside = dom
        .all(".field.wrong [name]")
        .iter()
        .filter_map(|each| each.attr("name"))
        .map(ToOwned::to_owned)
        .collect();
    (dom.texts(".trouble li"), beside)
}

#[tokio::test]
async fn from_the_upload_to_the_log_and_back() {
    let it = Visitors::start().await;
    let sent =
        upload(&it.deployer, "/upload", "2.0.zip", archive(&[("compose.yaml", COMPOSE)])).await.expect(303);
    assert_eq!(sent.header("location"), Some("/projects/churn/bundles/2.0"));
    let bundle = page(&it.deployer, "/projects/churn/bundles/2.0").await;
    assert_eq!(bundle.texts("tbody th")[0], "api");
    let form = page(&it.deployer, "/deployments/new?project=churn").await;
    assert!(!form.all("input[name='env.MODEL']").is_empty(), "the bundle leaves it to the settings");
    let fields = [("project", "churn"), ("version", "2.0"), ("infrastructure", "local")];
    let refused = it.deployer.form("/deployments/new", &fields).await.expect(400);
    let (told, beside) = errors(&Dom::of(&refused));
    assert!(told[0].starts_with("MODEL:") && beside == ["env.MODEL"], "{told:?} {beside:?}");
    let secret = [("env.MODEL", "s3cr3t-model"), ("is-secret.MODEL", "true")];
    let made = it.deployer.form("/deployments/new", &[&fields[..], &secret[..]].concat()).await.expect(303);
    assert_eq!(made.header("location"), Some("/deployments/churn-on-local/update"));
    let plan = page(&it.deployer, "/deployments/churn-on-local/update").await;
    let digest = plan.attribute("input[name=plan]", "value").unwrap();
    let begun = it
        .deployer
        .form("/deployments/churn-on-local/update", &[("plan", &digest), ("reason", "first")])
        .await
        .expect(303);
    assert_eq!(begun.header("location"), Some("/deployments/churn-on-local/updates/1"));
    it.team.ended("/api/v1/deployments/churn-on-local/updates/1").await;
    let run = it.deployer.get("/deployments/churn-on-local/updates/1").await.expect(200);
    assert_eq!(Dom::of(&run).text("#pills .state"), "Succeeded", "{}", run.text);
    for path in ["", "/settings", "/settings?view=json", "/history", "/updates/1", "/logs"] {
        let shown = it.deployer.get(&format!("/deployments/churn-on-local{path}")).await.expect(200);
        assert!(!shown.text.contains("s3cr3t-model"), "{path} shows the secret");
    }
    let log = it.deployer.get("/deployments/churn-on-local/updates/1/log.txt").await.expect(200);
    assert!(log.text.contains("start"), "{}", log.text);
}

#[tokio::test]
async fn a_wrong_bundle_is_refused_with_its_places() {
    let it = Visitors::start().await;
    let wrong = COMPOSE.replace("image: redis:7", "image: redis:7\n    pid: host\n    nonsense: 1");
    let refused =
        upload(&it.deployer, "/upload", "2.0.zip", archive(&[("compose.yaml", &wrong)])).await.expect(400);
    let (told, _) = errors(&Dom::of(&refused));
    assert!(told.iter().any(|item| item.contains("compose.yaml:") && item.contains("nonsense")), "{told:?}");
    let nothing = upload(&it.deployer, "/upload", "", Vec::new()).await.expect(400);
    assert_eq!(errors(&Dom::of(&nothing)).1, ["file"]);
    upload(&it.viewer, "/projects/iris/upload", "9.zip", archive(&[("compose.yaml", COMPOSE)]))
        .await
        .expect(403);
    upload(&it.stranger, "/projects/iris/upload", "9.zip", archive(&[("compose.yaml", COMPOSE)]))
        .await
        .expect(404);
}

#[tokio::test]
async fn settings_are_reviewed_saved_and_kept_apart_when_somebody_was_faster() {
    let it = Visitors::deployed().await;
    let path = "/deployments/iris-on-local/settings";
    let form = page(&it.deployer, path).await;
    let revision = form.attribute("form[data-guard] input[name=revision]", "value").unwrap();
    let typed = [
        ("revision", revision.as_str()),
        ("step", "review"),
        ("version", "1.1"),
        ("environment", "MODE=fast"),
        ("service", "api"),
        ("s.api.replicas", "2"),
        ("service", "cache"),
    ];
    let review = Dom::of(&it.deployer.form(path, &typed).await.expect(200));
    assert!(
        review.texts(".diff .add").iter().any(|line| line.contains("MODE")),
        "{:?}",
        review.texts(".diff div")
    );
    let json = review.attribute("input[name=settings]", "value").unwrap();
    let save = [("revision", revision.as_str()), ("step", "save"), ("version", "1.1"), ("settings", &json)];
    it.deployer.form(path, &save).await.expect(303);
    let faster = it.deployer.form(path, &save).await.expect(412);
    let dom = Dom::of(&faster);
    assert!(dom.text(".message").contains("Somebody else saved"), "{}", dom.text("main"));
    let fresh = dom.attribute("input[name=revision]", "value").unwrap();
    assert_ne!(fresh, revision);
    let mine = [("revision", fresh.as_str()), ("step", "update"), ("version", "1.1"), ("settings", &json)];
    let over = it.deployer.form(path, &mine).await.expect(303);
    assert_eq!(over.header("location"), Some("/deployments/iris-on-local/update"));
    let wrong = [
        ("revision", fresh.as_str()),
        ("step", "review"),
        ("version", "1.1"),
        ("service", "api"),
        ("s.api.replicas", "many"),
    ];
    let refused = Dom::of(&it.deployer.form(path, &wrong).await.expect(400));
    assert_eq!(errors(&refused).1, ["s.api.replicas"]);
    assert_eq!(
        refused.attribute("[name='s.api.replicas']", "value").as_deref(),
        Some("many"),
        "what was typed is kept"
    );
}

#[tokio::test]
async fn what_cannot_be_taken_back_asks_for_the_name() {
    let it = Visitors::deployed().await;
    let path = "/deployments/iris-on-local";
    let wrong = it.deployer.form(&format!("{path}/stop"), &[("confirm", "iris")]).await.expect(422);
    assert!(Dom::of(&wrong).text(".error").contains("not the name"));
    let refused =
        it.deployer.form(&format!("{path}/delete"), &[("confirm", "iris-on-local")]).await.expect(409);
    assert!(Dom::of(&refused).text(".trouble").contains("disabled"), "{}", refused.text);
    let stopped =
        it.deployer.form(&format!("{path}/stop"), &[("confirm", "iris-on-local")]).await.expect(303);
    assert_eq!(stopped.header("location"), Some("/deployments/iris-on-local/updates/2"));
    it.team.ended("/api/v1/deployments/iris-on-local/updates/2").await;
    // What is shown is folded a moment after the update's end.
    let mut state = String::new();
    for _ in 0..100 {
        state = page(&it.viewer, path).await.text("#pills .state");
        if state == "Stopped" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(state, "Stopped");
    it.deployer.form(&format!("{path}/resume"), &[]).await.expect(303);
    it.team.ended("/api/v1/deployments/iris-on-local/updates/3").await;
    it.deployer.form(&format!("{path}/stop"), &[("confirm", "iris-on-local")]).await.expect(303);
    it.team.ended("/api/v1/deployments/iris-on-local/updates/4").await;
    it.deployer.form(&format!("{path}/delete"), &[("confirm", "iris-on-local")]).await.expect(303);
    it.viewer.get(path).await.expect(404);
}

#[tokio::test]
async fn rolling_back_goes_to_what_succeeded() {
    let it = Visitors::deployed().await;
    let change = serde_json::json!({ "spec": { "bundle": "1.1" } });
    it.team.deployer.patch("/api/v1/deployments/iris-on-local", &change).await.expect(200);
    it.team.update().await;
    let ask = page(&it.deployer, "/deployments/iris-on-local/roll-back").await;
    assert_eq!(ask.texts("tbody th"), ["1"], "what runs now is no choice");
    assert!(ask.texts(".diff ins").iter().any(|line| line.contains("info")), "{}", ask.text("main"));
    let gone = it.deployer.form("/deployments/iris-on-local/roll-back", &[("to", "1")]).await.expect(303);
    assert_eq!(gone.header("location"), Some("/deployments/iris-on-local/updates/3"));
    it.team.ended("/api/v1/deployments/iris-on-local/updates/3").await;
    assert!(page(&it.viewer, "/deployments/iris-on-local").await.text("aside .facts").contains("Running1.0"));
}

#[tokio::test]
async fn rights_keys_and_stages_are_given_and_taken() {
    let it = Visitors::deployed().await;
    it.stranger.get("/projects/iris").await.expect(404);
    it.admin
        .form("/projects/iris/permissions", &[("group", "strangers"), ("right", "view")])
        .await
        .expect(303);
    it.stranger.get("/projects/iris").await.expect(200);
    it.admin
        .form("/projects/iris/permissions", &[("group", "strangers"), ("right", "none")])
        .await
        .expect(303);
    it.stranger.get("/projects/iris").await.expect(404);
    it.deployer.form("/projects/iris/permissions", &[("group", "ml"), ("right", "admin")]).await.expect(403);
    let made = it.deployer.form("/account/keys", &[("name", "ci"), ("group", "ml")]).await.expect(200);
    let secret = Dom::of(&made).text(".key-once code");
    assert!(secret.starts_with("slw_"), "{secret}");
    it.team.it.nobody().bearer(&secret).get("/api/v1/projects/iris").await.expect(200);
    assert!(!it.deployer.get("/account/keys").await.expect(200).text.contains(&secret), "shown once");
    let excess =
        it.deployer.form("/account/keys", &[("name", "more"), ("group", "admins")]).await.expect(400);
    assert!(Dom::of(&excess).text("main").contains("you are not in admins"));
    let stages = [
        ("place", "1"),
        ("id", "dev"),
        ("description", "Dev"),
        ("place", "2"),
        ("id", "live"),
        ("description", ""),
    ];
    it.admin.form("/admin/stages", &stages).await.expect(303);
    assert_eq!(page(&it.admin, "/").await.texts(".matrix thead th"), ["Project", "Dev · local", "live"]);
    let used = it.admin.form("/admin/stages", &stages[3..]).await.expect(409);
    assert!(Dom::of(&used).text(".trouble").contains("local"));
    let whole = it.admin.form("/admin/journal/verify", &[]).await.expect(200);
    assert!(Dom::of(&whole).text(".message").contains("The journal is whole"));
}

#[tokio::test]
async fn the_first_administrator_comes_by_the_link_and_it_works_once() {
    let it = crate::harness::TestApp::builder().start().await;
    let token = it.instance.auth.setup_token().await.unwrap().unwrap();
    let browser = it.nobody().header("accept", "text/html").header("sec-fetch-site", "same-origin");
    browser.get(&format!("/setup?token={token}")).await.expect(200);
    let fields = |again| {
        [
            ("token", token.as_str()),
            ("username", "alice"),
            ("password", "correct horse battery"),
            ("again", again),
        ]
    };
    let differ = browser.form("/setup", &fields("other")).await.expect(400);
    assert_eq!(errors(&Dom::of(&differ)).1, ["again"]);
    assert!(!differ.text.contains("correct horse"), "a password does not come back");
    let made = browser.form("/setup", &fields("correct horse battery")).await.expect(303);
    assert!(made.header("set-cookie").unwrap().contains("HttpOnly"));
    browser.get(&format!("/setup?token={token}")).await.expect(404);
    let wrong = browser.form("/login", &[("username", "alice"), ("password", "wrong")]).await.expect(401);
    assert_eq!(Dom::of(&wrong).attribute("[name=username]", "value").as_deref(), Some("alice"));
    let right = [("username", "alice"), ("password", "correct horse battery"), ("to", "//evil.example")];
    let home = browser.form("/login", &right).await.expect(303);
    assert_eq!(home.header("location"), Some("/"));
    let foreign = it.nobody().header("accept", "text/html").header("sec-fetch-site", "cross-site");
    foreign.form("/login", &right).await.expect(403);
}

#[tokio::test]
async fn volumes_go_with_a_deployment_only_where_that_is_ticked() {
    let it = Visitors::deployed().await;
    let compose =
        "name: iris\nservices:\n  db: {image: 'redis:7', volumes: ['rows:/rows']}\nvolumes: {rows: {}}\n";
    let bytes = archive(&[("compose.yaml", compose)]);
    publish(&it.team.deployer, "?project=iris&version=2.0", bytes).await.expect(200);
    let (path, change) = ("/deployments/iris-on-local", json!({ "spec": { "bundle": "2.0" } }));
    it.team.deployer.patch(&format!("/api/v1{path}"), &change).await.expect(200);
    it.team.update().await;
    it.deployer.form(&format!("{path}/stop"), &[("confirm", "iris-on-local")]).await.expect(303);
    it.team.ended(&format!("/api/v1{path}/updates/3")).await;

    let asked = page(&it.deployer, &format!("{path}/delete")).await;
    assert!(asked.text(".confirm ul").contains("Its volumes stay on local"), "{}", asked.text(".confirm"));
    assert!(asked.text(".confirm label.choice").ends_with(": rows"), "{}", asked.text(".confirm"));
    assert_eq!(asked.attribute(".confirm input[name=volumes]", "checked"), None);
    let wrong = [("confirm", "iris"), ("volumes", "true")];
    let again = Dom::of(&it.deployer.form(&format!("{path}/delete"), &wrong).await.expect(422));
    assert!(again.attribute(".confirm input[name=volumes]", "checked").is_some(), "what was ticked is kept");

    let right = [("confirm", "iris-on-local"), ("volumes", "true")];
    it.deployer.form(&format!("{path}/delete"), &right).await.expect(303);
    let journal = it.team.admin.get("/api/v1/journal?limit=20").await.expect(200).json();
    let deleted =
        journal.as_array().unwrap().iter().find(|one| one["action"] == "deployment.deleted").unwrap();
    assert_eq!(deleted["detail"], json!({ "volumes_removed": ["rows"] }));
}
