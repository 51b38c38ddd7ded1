//! Every route as everybody: somebody without a group, a viewer, a deployer, and the administrator of another group;
//! with ids that are theirs, somebody else's, and nobody's. What is somebody else's answers like what does not exist,
//! and nothing is changed by a request that is refused.

use std::time::Duration;

use serde_json::json;
use slipway::domain::access::{InfrastructureRight, ProjectRight};

use super::fill::Names;
use super::needs::{Needs, needs};
use super::{Route, table};
use crate::harness::{COMPOSE, Client, Team, archive, publish};

/// Somebody, by key at the API and by session in the console.
struct Principal {
    key: Client,
    session: Client,
    /// What it holds on the team's things.
    holds: Needs,
}

impl Principal {
    async fn new(team: &Team, name: &str, groups: &[&str], holds: Needs) -> Self {
        Self { key: team.it.key(groups).await, session: team.it.session(name, groups).await, holds }
    }

    async fn ask(&self, route: &Route, names: &Names) -> (u16, String) {
        let client = if route.is_api() { &self.key } else { &self.session };
        let response = names.request(client, route).send().await.unwrap();
        let status = response.status().as_u16();
        let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let text = match kind.as_deref() {
            Some("text/event-stream") => "a stream".to_owned(),
            _ => tokio::time::timeout(Duration::from_secs(10), response.text()).await.unwrap().unwrap(),
        };
        (status, without_ids(&format!("{text}{}", location.unwrap_or_default())))
    }
}

/// A body without what differs from request to request: the time, and ids of requests, 32 hex digits long.
fn without_ids(text: &str) -> String {
    const NOW: &str = " data-now=\"";
    if let Some((before, after)) = text.split_once(NOW) {
        let after = after.split_once('"').map_or("", |(_, after)| after);
        return without_ids(&format!("{before}{after}"));
    }
    let mut out = String::with_capacity(text.len());
    let mut hex = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() && !c.is_ascii_uppercase() {
            hex.push(c);
            continue;
        }
        out.push_str(if hex.len() == 32 { "REQUEST" } else { &hex });
        hex.clear();
        out.push(c);
    }
    out
}

/// The team with everything running, the other group's own things beside it, and the ids of both.
async fn two_groups() -> (Team, Names, Names) {
    let team = Team::start().await;
    team.deployment(json!({})).await;
    team.update().await;
    let spec = json!({ "stage": "test", "engine": { "kind": "fake" } });
    let body = json!({ "name": "lab", "spec": spec });
    team.admin.post("/api/v1/infrastructures", &body).await.expect(200);
    for version in ["1.0", "1.1"] {
        let own = archive(&[("compose.yaml", &COMPOSE.replace("name: iris", "name: theirs"))]);
        publish(&team.admin, &format!("?version={version}"), own).await.expect(200);
    }
    team.it.grant_project("theirs", "others", ProjectRight::Admin).await;
    team.it.grant_infrastructure("lab", "others", InfrastructureRight::Admin).await;
    let spec = json!({ "project": "theirs", "bundle": "1.0", "infrastructure": "lab" });
    team.admin.post("/api/v1/deployments", &json!({ "name": "d2", "spec": spec })).await.expect(200);
    let started = team.admin.post("/api/v1/deployments/d2/updates", &json!({})).await.expect(200).json();
    assert_eq!(started["number"], 1);
    ended(&team, "/api/v1/deployments/d2/updates/1").await;
    let bob = team.it.session("bob", &["ml"]).await;
    let user = bob.get("/api/v1/me").await.expect(200).json()["uuid"].as_str().unwrap().to_owned();
    let key =
        bob.post("/api/v1/api-keys", &json!({ "name": "ci", "groups": ["ml"] })).await.expect(200).json();
    let key = key["uuid"].as_str().unwrap().to_owned();
    let foreign = Names {
        deployment: "iris-on-local".into(),
        infrastructure: "local".into(),
        project: "iris".into(),
        version: "1.0",
        user: user.clone(),
        key: key.clone(),
    };
    let own = Names {
        deployment: "d2".into(),
        infrastructure: "lab".into(),
        project: "theirs".into(),
        ..foreign.clone()
    };
    (team, foreign, own)
}

async fn ended(team: &Team, path: &str) {
    for _ in 0..400 {
        if team.admin.get(path).await.expect(200).json()["status"]["endedAt"].is_string() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{path} did not end");
}

/// Everything that a request could change of what is deployed, and the number of the journal's entries.
async fn state(team: &Team) -> Vec<String> {
    const TABLES: [&str; 11] = [
        "stage",
        "infrastructure",
        "infrastructure_grant",
        "project",
        "project_grant",
        "bundle",
        "deployment",
        "secret",
        "deployment_update",
        "port_reservation",
        "release",
    ];
    let read = team.it.instance.app.store.read(|db| {
        let mut rows = Vec::new();
        for table in TABLES {
            let mut statement = db.prepare(&format!("SELECT * FROM \"{table}\""))?;
            let columns = statement.column_count();
            let mut found = statement.query([])?;
            while let Some(row) = found.next()? {
                let cells = (0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap()));
                rows.push(format!("{table}: {}", cells.collect::<Vec<_>>().join(" | ")));
            }
        }
        let entries: i64 = db.query_row("SELECT count(*) FROM journal", [], |row| row.get(0))?;
        rows.push(format!("journal: {entries}"));
        Ok(rows)
    });
    read.await.unwrap()
}

/// The status that a refusal must have; `None`: it is let through.
fn refused(needs: Needs, holds: Needs) -> Option<u16> {
    const LADDER: [Needs; 5] = [Needs::Own, Needs::View, Needs::Publish, Needs::Deploy, Needs::Admin];
    let step = |of: Needs| LADDER.iter().position(|each| *each == of).unwrap();
    match needs {
        Needs::Open | Needs::Own | Needs::Elsewhere => None,
        Needs::Owner => Some(404),
        Needs::Instance => Some(403),
        needs if step(holds) >= step(needs) => None,
        _ if holds == Needs::Own => Some(404),
        _ => Some(403),
    }
}

/// What an answer would show of things that are not to be seen; the pages' samples speak of `iris` to all.
const TRACES: [&str; 7] = [
    "href=\"/deployments/iris",
    "href=\"/projects/iris",
    "href=\"/infrastructures/local",
    "\"name\":\"iris",
    "\"name\":\"local",
    "\"id\":\"iris",
    "\"id\":\"local",
];

/// Asks every route for what `foreign` names; answers the routes that let it through.
async fn walk(team: &Team, who: &Principal, foreign: &Names) {
    let absent = Names::absent();
    let sees = who.holds != Needs::Own;
    for route in table(&team.it) {
        let needs = needs(&route);
        if matches!(needs, Needs::Open | Needs::Elsewhere) {
            continue;
        }
        // What a deployer may do is being done meanwhile.
        let before = if who.holds == Needs::Deploy { Vec::new() } else { state(team).await };
        let wanted = match refused(needs, who.holds) {
            // Whose object it would be is not told: who does not see it hears that it is absent.
            Some(403) if !sees && is_seen(&route) => Some(404),
            other => other,
        };
        let Some(wanted) = wanted else {
            let (status, text) = who.ask(&route, foreign).await;
            assert!(!matches!(status, 401 | 403 | 404) && status < 500, "{route}: {status} {text}");
            if !sees {
                for trace in TRACES {
                    assert!(!text.contains(trace), "{route} tells {trace}: {text}");
                }
            }
            continue;
        };
        let (status, text) = who.ask(&route, foreign).await;
        assert_eq!(status, wanted, "{route}: {text}");
        if wanted == 404 {
            let (of_absent, like) = who.ask(&route, &absent).await;
            assert_eq!(of_absent, wanted, "{route}: {like}");
            assert_eq!(foreign.blank(&text), absent.blank(&like), "{route}");
        }
        if !before.is_empty() {
            assert_eq!(state(team).await, before, "{route} was refused and changed something");
        }
    }
}

/// Whether the path names an object that only some see, and that takes an administrator of this Slipway.
fn is_seen(route: &Route) -> bool {
    route.pattern.contains("/infrastructures/{id}") || route.pattern.contains("/infras/{id}")
}

#[tokio::test]
async fn somebody_without_a_group_sees_and_changes_nothing() {
    let (team, foreign, _) = two_groups().await;
    let nobodys = Principal::new(&team, "Nemo", &[], Needs::Own).await;
    walk(&team, &nobodys, &foreign).await;
}

#[tokio::test]
async fn the_administrator_of_another_group_sees_and_changes_its_own_alone() {
    let (team, foreign, own) = two_groups().await;
    let other = Principal::new(&team, "Olga Other", &["others"], Needs::Own).await;
    walk(&team, &other, &foreign).await;
    for route in table(&team.it) {
        let needs = needs(&route);
        // What would take the ground from under the routes that come later has its own tests.
        let ends = route.method == reqwest::Method::DELETE || route.pattern.ends_with("/delete");
        if matches!(needs, Needs::View | Needs::Publish | Needs::Deploy | Needs::Admin) && !ends {
            let (status, text) = other.ask(&route, &own).await;
            assert!(!matches!(status, 401 | 403 | 404) && status < 500, "{route}: {status} {text}");
        }
    }
}

#[tokio::test]
async fn a_viewer_reads_everything_and_changes_nothing() {
    let (team, foreign, _) = two_groups().await;
    let viewer = Principal::new(&team, "Vera Viewer", &["readers"], Needs::View).await;
    walk(&team, &viewer, &foreign).await;
}

#[tokio::test]
async fn a_deployer_deploys_and_rules_nothing() {
    let (team, foreign, _) = two_groups().await;
    let deployer = Principal::new(&team, "Dora Deployer", &["ml"], Needs::Deploy).await;
    walk(&team, &deployer, &foreign).await;
}

#[tokio::test]
async fn who_may_look_and_not_act_is_told_who_can_help() {
    let (team, foreign, _) = two_groups().await;
    for route in table(&team.it).iter().filter(|route| route.is_api()) {
        if !matches!(needs(route), Needs::Publish | Needs::Deploy | Needs::Admin | Needs::Instance) {
            continue;
        }
        let answer = team.viewer.send(foreign.request(&team.viewer, route)).await.expect(403).json();
        let text = |field: &str| answer[field].as_str().unwrap_or_default();
        let more = match route.of_dataiku() {
            // Its envelope has one text for all, which is all that its client shows.
            Some(_) => text("detailedMessage").strip_prefix(text("message")).unwrap_or_default(),
            None => text("hint"),
        };
        assert!(more.len() > 10, "{route}: {answer}");
    }
}

#[tokio::test]
async fn a_foreign_uuid_tells_no_more_than_one_that_nobody_has() {
    let (team, ..) = two_groups().await;
    let seen = team.viewer.get("/api/v1/deployments/iris-on-local").await.expect(200).json();
    let (uuid, absent) = (seen["uuid"].as_str().unwrap(), Names::absent().user);
    for rest in
        ["", "/health", "/plan", "/logs", "/updates", "/updates/1", "/volumes", "/slots", "/events", "/stats"]
    {
        let path = |uuid: &str| format!("/api/v1/deployments/{uuid}{rest}");
        let theirs = team.stranger.get(&path(uuid)).await.expect(404);
        let none = team.stranger.get(&path(&absent)).await.expect(404);
        let blank = |text: &str, id: &str| without_ids(text).replace(id, "ID");
        assert_eq!(blank(&theirs.text, uuid), blank(&none.text, &absent), "{rest}");
        team.viewer.get(&path(uuid)).await.expect(200);
    }
}
