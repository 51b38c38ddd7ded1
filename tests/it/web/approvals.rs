//! Governance in the console, as forms and pages: warned, prevented, asked, approved by a second person.

use reqwest::Method;
use serde_json::json;

use super::{Dom, Visitors, page};
use crate::harness::Client;

const PLAN: &str = "/deployments/iris-on-local/update";

async fn governed(policy: &str) -> (Visitors, Client) {
    let it = Visitors::start().await;
    let spec = json!({ "spec": { "stage": "dev", "governPolicy": policy } });
    it.team.admin.put("/api/v1/infrastructures/local", &spec).await.expect(200);
    let fields = [("group", "release"), ("may", "yes")];
    it.admin.form("/infrastructures/local/approvers", &fields).await.expect(303);
    let approver = it.team.it.session("Erin Approver", &["ml", "release"]).await;
    (it, approver)
}

#[tokio::test]
async fn a_second_person_approves_what_is_prevented() {
    let (it, approver) = governed("PREVENT").await;
    let permissions = page(&it.viewer, "/infrastructures/local/permissions").await;
    assert!(permissions.texts("tbody th").contains(&"release".to_owned()));
    it.team.deployment(json!({})).await;
    let plan = page(&it.deployer, PLAN).await;
    assert_eq!(plan.texts(".message strong")[0], "Error: Not approved");
    let presses = plan.texts("form button:not([aria-disabled])");
    assert!(!presses.contains(&"Update now".to_owned()), "it can be pressed: {presses:?}");
    assert!(presses.contains(&"Ask for an approval".to_owned()), "{presses:?}");
    let digest = plan.attribute(".digest code", "title").unwrap();
    let refused = it.deployer.form(PLAN, &[("plan", &digest)]).await.expect(409);
    assert!(Dom::of(&refused).text(".trouble").contains("NOT_APPROVED"), "{}", refused.text);

    let asked =
        it.deployer.form("/deployments/iris-on-local/approvals", &[("reason", "1.0")]).await.expect(303);
    let path = asked.header("location").unwrap().to_owned();
    let plan = page(&it.deployer, PLAN).await;
    assert_eq!(plan.attribute("main footer a", "href").as_deref(), Some(path.as_str()), "it is asked once");
    let own = page(&it.deployer, &path).await;
    assert_eq!(own.text(".head .state"), "Waiting");
    assert!(own.text("main").contains("who asks for an approval does not give it"));
    it.deployer.form(&path, &[("decision", "approve")]).await.expect(403);
    it.stranger
        .request(Method::GET, &path)
        .send()
        .await
        .map(|answer| assert_eq!(answer.status(), 404))
        .unwrap();
    let queue = page(&approver, "/approvals").await;
    assert_eq!(queue.texts("tbody th"), ["iris-on-local"]);
    assert!(page(&it.stranger, "/approvals").await.text("main").contains("Nothing waits"));
    let silent = approver.form(&path, &[("decision", "reject")]).await.expect(400);
    let beside = Dom::of(&silent).text(".field.wrong label");
    assert!(beside.starts_with("Comment"), "{beside}: {}", silent.text);
    approver.form(&path, &[("decision", "approve"), ("comment", "tried on test")]).await.expect(303);
    let decided = page(&it.viewer, &path).await;
    assert_eq!(decided.text(".head .state"), "Approved");
    assert!(decided.text("main").contains("tried on test"));
    assert!(page(&approver, "/approvals").await.texts("tbody th").is_empty());
    assert_eq!(page(&approver, "/approvals?all=1").await.texts("tbody th"), ["iris-on-local"]);

    let plan = page(&it.deployer, PLAN).await;
    assert!(plan.texts(".message strong").is_empty(), "approved means no message");
    it.deployer.form(PLAN, &[("plan", &digest)]).await.expect(303);
    it.team.ended("/api/v1/deployments/iris-on-local/updates/1").await;
}

#[tokio::test]
async fn a_warning_can_be_ignored_where_it_is_told() {
    let (it, _) = governed("WARN").await;
    let fields = [("project", "iris"), ("version", "1.0"), ("infrastructure", "local")];
    let warned = it.deployer.form("/deployments/new", &fields).await.expect(409);
    let told = Dom::of(&warned);
    assert_eq!(told.text(".trouble strong"), "Governance warns");
    assert_eq!(told.attribute(".trouble input", "name").as_deref(), Some("ignore_warnings"));
    let ignored = [&fields[..], &[("ignore_warnings", "true")]].concat();
    it.deployer.form("/deployments/new", &ignored).await.expect(303);
    let plan = page(&it.deployer, PLAN).await;
    assert_eq!(plan.texts(".message strong").len(), 4);
    assert!(plan.texts("form button").contains(&"Update now".to_owned()));

    let json = json!({ "environment": { "A": "1" } }).to_string();
    let save = |more: &[(&'static str, &'static str)]| {
        let base = [("version", "1.0"), ("settings", json.as_str()), ("step", "save"), ("revision", "1")];
        [&base[..], more].concat().into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect::<Vec<_>>()
    };
    let send = |fields: Vec<(String, String)>| {
        let it = &it;
        async move {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            it.deployer.form("/deployments/iris-on-local/settings", &fields).await
        }
    };
    let warned = send(save(&[])).await.expect(409);
    assert_eq!(Dom::of(&warned).text(".trouble strong"), "Governance warns", "{}", warned.text);
    send(save(&[("ignore_warnings", "true")])).await.expect(303);
}
