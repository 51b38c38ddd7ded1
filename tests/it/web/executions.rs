//! Contexts and executions in the console, as forms and pages: made, run, stopped, removed, refused with the field.

use serde_json::json;

use super::{Dom, Visitors, page};
use crate::harness::Client;
use crate::renga::execution::run_on;

/// The path that a form's answer leads to.
async fn to(client: &Client, path: &str, fields: &[(&str, &str)]) -> String {
    client.form(path, fields).await.expect(303).header("location").unwrap().to_owned()
}

/// The path of a context that serves on a port and has a secret.
async fn context(client: &Client) -> String {
    let fields = [
        ("image", "busybox"),
        ("command", "sh -c 'echo up; sleep 600'"),
        ("ports", "8000, 53/udp"),
        ("environment", "DEPTH=1\nMY_TOKEN=c4n4ry"),
        ("rest", "resources: {limits: {memory: 64Mi}}\nlabels: [team=data]"),
        ("project", "iris"),
    ];
    to(client, "/contexts/new", &fields).await
}

/// Loads a page again until what matches says so.
async fn until(client: &Client, path: &str, css: &str, wanted: &str) -> Dom {
    let mut last = String::new();
    for _ in 0..400 {
        let dom = page(client, path).await;
        last = dom.text(css);
        if last.contains(wanted) {
            return dom;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("{path} says {last:?}, not {wanted:?}");
}

#[tokio::test]
async fn a_context_is_made_run_stopped_removed_and_deleted_by_forms() {
    let it = Visitors::start().await;
    run_on(&it.team);
    let empty = page(&it.deployer, "/executions").await;
    assert!(empty.text(".empty").contains("No execution yet"), "{}", empty.text("main"));
    assert!(page(&it.deployer, "/contexts").await.text(".empty").contains("No context yet"));
    let context = context(&it.deployer).await;
    let shown = page(&it.deployer, &context).await;
    assert_eq!(shown.text("h1"), "busybox:latest");
    assert!(shown.text("#environment").contains("MY_TOKEN********"), "{}", shown.text("#environment"));
    assert!(shown.text(".snippet").contains("\"memory\": \"64Mi\""), "{}", shown.text("main"));
    assert!(shown.text(".facts").contains("53/udp") && shown.text(".facts").contains("iris"));
    assert!(!shown.text("main").contains("c4n4ry"));

    let form = page(&it.deployer, &format!("{context}/run")).await;
    assert_eq!(form.attribute("#f-engine option[selected]", "value").as_deref(), Some("local"));
    let run = [("engine", "local"), ("namespace", ""), ("environment", "DEPTH=2\nOWN_SECRET=c4n4ry")];
    let execution = to(&it.deployer, &format!("{context}/run"), &run).await;
    let shown = until(&it.deployer, &execution, "#pills", "Running").await;
    assert_eq!(shown.text("h1"), "execution of busybox:latest");
    let environment = shown.text("#environment");
    for pair in ["DEPTH2", "OWN_SECRET********", "MY_TOKEN********", "DEPLOYER_BASE_URL/"] {
        assert!(environment.contains(pair), "{pair} is missing: {environment}");
    }
    let ports = shown.texts("#ports tbody tr");
    assert!(ports.len() == 2 && ports[0].starts_with("53/udp") && ports[1].starts_with("8000"), "{ports:?}");
    assert_eq!(shown.all(&format!(".facts a[href='{context}']")).len(), 1);
    let id = execution.trim_start_matches("/executions/");
    let over = it.deployer.get(&format!("/deployments/{id}")).await.expect(303);
    assert_eq!(over.header("location"), Some(execution.as_str()));
    for tail in ["/updates", "/updates/1", "/logs", "/metrics", "/history"] {
        let below = page(&it.deployer, &format!("/deployments/{id}{tail}")).await;
        assert!(below.text(".crumbs").contains("Executions"), "{tail}: {}", below.text(".crumbs"));
        assert_eq!(below.text("nav.side a[aria-current]"), "Jobs", "{tail}");
        assert!(below.all("main a[href^='/projects/'], main a[href$='/settings']").is_empty(), "{tail}");
    }
    let logs = page(&it.deployer, &format!("/deployments/{id}/logs")).await;
    assert!(logs.text("main").contains("up") && logs.text("#pills").contains("Running"));
    let listed = page(&it.deployer, "/executions").await;
    assert!(listed.text("tbody").contains("execution of busybox:latest"), "{}", listed.text("main"));
    assert!(page(&it.deployer, "/executions?q=bob").await.text("tbody").contains("Bob Deployer"));
    assert!(page(&it.deployer, "/executions?q=none").await.text("main").contains("No executions match"));
    assert_eq!(
        page(&it.deployer, &context).await.all(&format!("#executions a[href='{execution}']")).len(),
        1
    );
    assert!(page(&it.deployer, "/search?q=busybox").await.text("main").contains("execution of busybox"));

    it.deployer.form(&format!("{execution}/stop"), &[("confirm", "no")]).await.expect(422);
    let name = [("confirm", "execution of busybox:latest")];
    assert_eq!(to(&it.deployer, &format!("{execution}/stop"), &name).await, execution);
    let shown = until(&it.deployer, &execution, "#pills", "Exited with 143").await;
    assert!(shown.text("#ports").contains("None is open now"), "{}", shown.text("#ports"));
    assert!(!shown.texts(".actions a").contains(&"Stop…".to_owned()));
    let again = page(&it.deployer, &format!("{context}/run?like={id}")).await;
    assert_eq!(again.text("#f-environment"), "DEPTH=2 OWN_SECRET=********");

    let asked = page(&it.deployer, &format!("{execution}/remove")).await;
    assert_eq!(asked.all("input[name=forget]").len(), 1);
    to(&it.deployer, &format!("{execution}/remove"), &name).await;
    until(&it.deployer, &execution, "#pills", "Removed").await;
    assert!(it.team.it.fake.controls().slots().is_empty());
    let refused = it.deployer.form(&format!("{context}/delete"), &[("confirm", "busybox:latest")]).await;
    assert!(Dom::of(&refused.expect(409)).text(".trouble").contains("is used by"));
    let asked = page(&it.deployer, &format!("{execution}/remove")).await;
    assert!(asked.text("h1").starts_with("Delete") && asked.all("input[name=forget]").is_empty());
    assert_eq!(to(&it.deployer, &format!("{execution}/remove"), &name).await, "/executions");
    for _ in 0..400 {
        if it.deployer.get(&execution).await.status == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    it.deployer.get(&execution).await.expect(404);
    to(&it.deployer, &format!("{context}/delete"), &[("confirm", "busybox:latest")]).await;
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_what_was_typed_stays() {
    let it = Visitors::start().await;
    let fields = [
        ("image", "a b"),
        ("command", "sh -c 'open"),
        ("ports", "8000, many"),
        ("rest", "volumes: [{name: data, hostPath: 7}]\nlabels: [x]"),
    ];
    let wrong = Dom::of(&it.deployer.form("/contexts/new", &fields).await.expect(400));
    for (field, part) in [
        ("image", "is no image"),
        ("command", "quote is not closed"),
        ("ports", "\"many\" is no port"),
        ("rest", "Labels[0]"),
    ] {
        let said = wrong.text(&format!("#f-{field}-error"));
        assert!(said.contains(part), "{field}: {said}");
    }
    assert_eq!(wrong.attribute("#f-ports", "value").as_deref(), Some("8000, many"));
    let wrong = it.deployer.form("/contexts/new", &[("image", "x"), ("rest", "env: []")]).await.expect(400);
    assert!(Dom::of(&wrong).text("#f-rest-error").contains("Env has a field of its own"));
    let wrong =
        it.deployer.form("/contexts/new", &[("image", "x"), ("environment", "MY_TOKEN=********")]).await;
    let wrong = Dom::of(&wrong.expect(400));
    assert!(wrong.text("#f-environment-error").contains("its value is not known"), "{}", wrong.text("main"));

    let context = context(&it.deployer).await;
    let uuid = context.trim_start_matches("/contexts/");
    let like = page(&it.deployer, &format!("/contexts/new?like={uuid}")).await;
    assert_eq!(like.attribute("#f-image", "value").as_deref(), Some("busybox:latest"));
    assert_eq!(like.attribute("#f-ports", "value").as_deref(), Some("8000, 53/udp"));
    assert!(like.text("#f-rest").contains("64Mi"), "{}", like.text("#f-rest"));
    for (field, value, part) in [
        ("engine", "", "missing"),
        ("namespace", "other", "not allowed"),
        ("environment", "1X=2", "no name of a variable"),
        ("environment", "UNKNOWN_TOKEN=********", "its value is not known"),
    ] {
        let mut fields = vec![("engine", "local"), ("namespace", ""), ("environment", "")];
        fields.iter_mut().filter(|(name, _)| *name == field).for_each(|pair| pair.1 = value);
        let answer = it.deployer.form(&format!("{context}/run"), &fields).await;
        assert!([400, 403].contains(&answer.status), "{field} {value}: {}", answer.status);
        let wrong = Dom::of(&answer);
        assert!(wrong.text(".trouble").contains(part), "{field} {value}: {}", wrong.text("main"));
    }
}

#[tokio::test]
async fn to_others_neither_page_nor_form_is_there_and_one_run_never_changes() {
    let it = Visitors::start().await;
    run_on(&it.team);
    let context = context(&it.deployer).await;
    let execution =
        to(&it.deployer, &format!("{context}/run"), &[("engine", "local"), ("environment", "")]).await;
    for other in [&it.viewer, &it.stranger] {
        for path in [
            context.clone(),
            format!("{context}/run"),
            format!("{context}/delete"),
            execution.clone(),
            format!("{execution}/stop"),
            format!("{execution}/remove"),
        ] {
            other.get(&path).await.expect(404);
            if path != context && path != execution {
                other.form(&path, &[("confirm", "x"), ("engine", "local")]).await.expect(404);
            }
        }
        assert!(page(other, "/executions").await.text(".empty").contains("No execution yet"));
        assert!(page(other, "/contexts").await.text(".empty").contains("No context yet"));
        let uuid = context.trim_start_matches("/contexts/");
        other.get(&format!("/contexts/new?like={uuid}")).await.expect(404);
    }
    // A member of the group without `deploy` on the infrastructure looks on.
    let right = slipway::domain::access::InfrastructureRight::View;
    it.team.it.grant_infrastructure("local", "ml", right).await;
    let shown = until(&it.deployer, &execution, "#pills", "Running").await;
    assert_eq!(shown.texts(".actions [aria-disabled]"), ["Stop…", "Remove…"]);
    it.deployer.get(&format!("{execution}/stop")).await.expect(403);
    it.deployer
        .form(&format!("{execution}/stop"), &[("confirm", "execution of busybox:latest")])
        .await
        .expect(403);

    let id = execution.trim_start_matches("/executions/");
    for path in ["stop", "roll-back", "promote", "delete"] {
        it.admin.get(&format!("/deployments/{id}/{path}")).await.expect(409);
    }
    let own = format!("/api/v1/deployments/{id}");
    let spec = it.team.admin.get(&own).await.expect(200).json()["spec"].clone();
    let put = it.team.admin.put(&own, &json!({ "spec": spec })).await;
    assert_eq!(put.expect(409).json()["code"], "one_run");
    for (path, body) in [("stop", json!({})), ("resume", json!({})), ("rollback", json!({ "to": 1 }))] {
        let refused = it.team.admin.post(&format!("{own}/{path}"), &body).await;
        assert_eq!(refused.expect(409).json()["code"], "one_run", "{path}");
    }
}
