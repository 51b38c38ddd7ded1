//! A row that cannot be read, as a broken disk, a hand in the database or a newer Slipway would leave one: it harms
//! nobody but its own object. Lists leave it out, pages of others are served, others' updates run, the server starts.

use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::process::House;
use crate::harness::{COMPOSE, Client, Team, archive, publish};

/// A table, a column, what makes one row of it unreadable, and which row.
struct Poison {
    table: &'static str,
    column: &'static str,
    value: &'static str,
    row: &'static str,
}

const fn poison(table: &'static str, column: &'static str, value: &'static str, row: &'static str) -> Poison {
    Poison { table, column, value, row }
}

const ONE_SLOT: &str = "deployment = 'bad' AND infrastructure || engine_id =
    (SELECT min(infrastructure || engine_id) FROM observed.slot WHERE deployment = 'bad')";

/// Rows of the deployment `bad`, of the project `poisoned`, and of the infrastructure `broken`.
const POISONS: &[Poison] = &[
    poison("deployment", "settings", "{", "id = 'bad'"),
    poison("deployment", "settings", "{\"environment\": 7}", "id = 'bad'"),
    poison("deployment", "uuid", "no uuid", "id = 'bad'"),
    poison("deployment", "wanted_digest", "zz", "id = 'bad'"),
    poison("deployment_update", "plan", "{", "deployment = 'bad'"),
    poison("deployment_update", "requester", "[]", "deployment = 'bad'"),
    poison("deployment_update", "kind", "frob", "deployment = 'bad'"),
    poison("deployment_update", "outcome", "{", "deployment = 'bad'"),
    poison("project", "tags", "{", "key = 'poisoned'"),
    poison("bundle", "manifest", "{", "project = 'poisoned'"),
    poison("bundle", "files", "7", "project = 'poisoned'"),
    poison("bundle", "digest", "zz", "project = 'poisoned'"),
    poison("infrastructure", "engine", "{", "id = 'broken'"),
    poison("infrastructure", "policy", "[", "id = 'broken'"),
    poison("infrastructure", "govern_policy", "?", "id = 'broken'"),
    poison("user", "groups", "{", "name = 'Eve'"),
    poison("user", "preferences", "[", "name = 'Eve'"),
    poison("api_key", "groups", "{", "name = 'key of poisoned'"),
    poison("observed.slot", "state", "{", ONE_SLOT),
    poison("observed.deployment_state", "messages", "{", "deployment = 'bad'"),
    poison("observed.deployment_state", "health", "FINE", "deployment = 'bad'"),
    poison("observed.engine_state", "report", "{", "infrastructure = 'broken'"),
];

/// What everybody looks at all the time, and what has to be seen there.
const LISTS: &[(&str, &str)] = &[
    ("/api/v1/deployments", "iris-on-local"),
    ("/api/v1/projects", "iris"),
    ("/api/v1/infrastructures", "local"),
    ("/api/v1/users", "root"),
    ("/api/v1/stages", "dev"),
    ("/api/v1/journal", "deployment.created"),
    ("/api/v1/projects/iris/bundles", "1.1"),
    ("/api/v1/deployments/iris-on-local", "iris-on-local"),
    ("/api/v1/deployments/iris-on-local/updates", "succeeded"),
    ("/", "iris"),
    ("/deployments", "iris-on-local"),
    ("/projects", "iris"),
    ("/infrastructures", "local"),
    ("/infrastructures/local", "local"),
    ("/projects/iris", "1.1"),
    ("/deployments/iris-on-local", "iris"),
    ("/deployments/iris-on-local/settings", "iris"),
    ("/admin", "root"),
    ("/admin/keys", "key of ml"),
    ("/search?q=iris", "iris"),
];

/// The team at work, and beside it what will be poisoned: all of it works before.
async fn beside() -> (Team, Client) {
    let team = Team::start().await;
    team.deployment(json!({})).await;
    team.update().await;
    let spec = json!({ "stage": "test", "engine": { "kind": "fake" } });
    let body = json!({ "name": "broken", "spec": spec });
    team.admin.post("/api/v1/infrastructures", &body).await.expect(200);
    team.admin.post("/api/v1/infrastructures/broken/test", &json!({})).await.expect(200);
    let bytes = archive(&[("compose.yaml", &COMPOSE.replace("name: iris", "name: poisoned"))]);
    publish(&team.admin, "?version=1.0", bytes).await.expect(200);
    let spec = json!({ "project": "poisoned", "bundle": "1.0", "infrastructure": "broken" });
    team.admin.post("/api/v1/deployments", &json!({ "name": "bad", "spec": spec })).await.expect(200);
    team.admin.post("/api/v1/deployments/bad/updates", &json!({})).await.expect(200);
    let root = team.it.session("root", &["admins"]).await;
    team.it.session("Eve", &["poisoned"]).await;
    team.it.key(&["poisoned"]).await;
    for _ in 0..400 {
        let bad = team.admin.get("/api/v1/deployments/bad").await.expect(200).json();
        if bad["status"]["health"] == "HEALTHY" {
            return (team, root);
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("what will be poisoned does not get well");
}

/// Another connection to the databases of the instance, which checks nothing.
fn by_hand(team: &Team) -> Connection {
    let dir = team.it.instance.app.store.dir();
    let db = Connection::open(dir.join("slipway.db")).unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    db.pragma_update(None, "busy_timeout", 5_000).unwrap();
    db.execute("ATTACH DATABASE ?1 AS observed", [dir.join("observed.db").to_string_lossy()]).unwrap();
    db
}

/// Whether everybody else is served; answers what is not.
async fn harmed(team: &Team, root: &Client) -> Vec<String> {
    let mut found = Vec::new();
    for (path, shown) in LISTS {
        let client = if path.starts_with("/api/") { &team.admin } else { root };
        let answer = client.get(path).await;
        if answer.status != 200 || !answer.text.contains(shown) {
            found.push(format!("{path}: {}", answer.status));
        }
    }
    let path = "/api/v1/deployments/iris-on-local/updates";
    let asked = team.deployer.post(path, &json!({})).await;
    if asked.status == 200 {
        let number = asked.json()["number"].clone();
        let ended = team.ended(&format!("{path}/{number}")).await;
        if ended["status"]["state"] != "succeeded" {
            found.push(format!("an update of another deployment: {}", ended["status"]));
        }
    } else {
        found.push(format!("{path}: {}", asked.status));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_harms_nothing_but_its_own_object() {
    let (team, root) = beside().await;
    assert_eq!(harmed(&team, &root).await, Vec::<String>::new(), "before");
    let db = by_hand(&team);
    let mut all = Vec::new();
    for Poison { table, column, value, row } in POISONS {
        let kept: Option<String> =
            db.query_row(&format!("SELECT {column} FROM {table} WHERE {row}"), [], |row| row.get(0)).unwrap();
        let set = format!("UPDATE {table} SET {column} = ?1 WHERE {row}");
        assert_eq!(db.execute(&set, [Some(*value)]).unwrap(), 1, "{table}.{column}");
        for harm in harmed(&team, &root).await {
            all.push(format!("{table}.{column} = {value}: {harm}"));
        }
        db.execute(&set, [kept]).unwrap();
    }
    assert!(all.is_empty(), "{all:#?}");
    assert_eq!(harmed(&team, &root).await, Vec::<String>::new(), "after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_a_list_go_on_past_what_cannot_be_read() {
    let (team, _) = beside().await;
    let db = by_hand(&team);
    for number in 0..6 {
        let spec = json!({ "project": "iris", "bundle": "1.0", "infrastructure": "local" });
        let body = json!({ "name": format!("d{number}"), "spec": spec });
        team.deployer.post("/api/v1/deployments", &body).await.expect(200);
    }
    db.execute("UPDATE deployment SET settings = '{' WHERE id IN ('d0', 'd1', 'd3')", []).unwrap();
    let (mut path, mut seen) = ("/api/v1/deployments?limit=1&sort=id&q=d".to_owned(), Vec::new());
    for _ in 0..10 {
        let answer = team.deployer.get(&path).await.expect(200);
        let names = answer.json();
        seen.extend(names.as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap().to_owned()));
        let Some(next) = answer.header("link") else { break };
        let next = next.split(['<', '>']).nth(1).unwrap();
        path = next.strip_prefix(&team.it.base).unwrap_or(next).to_owned();
    }
    let good = |name: &str| seen.iter().any(|found| found == name);
    assert!(["d2", "d4", "d5"].into_iter().all(good), "{seen:?}");
    let bad: Value = team.deployer.get("/api/v1/deployments/d1").await.expect(500).json();
    assert!(!bad.to_string().contains("EOF") && !bad.to_string().contains("column"), "{bad}");
}

/// A deployment of a project's bundle on an infrastructure of its own, up.
async fn up(house: &House, id: &str, project: &str, infrastructure: &str) {
    let spec = json!({ "stage": "dev", "engine": { "kind": "fake" } });
    let body = json!({ "name": infrastructure, "spec": spec });
    house.call(Method::POST, "/infrastructures", Some(body)).await;
    house.publish(project, "1.0", "services: {api: {image: busybox}}").await;
    let spec = json!({ "project": project, "bundle": "1.0", "infrastructure": infrastructure });
    house.call(Method::POST, "/deployments", Some(json!({ "name": id, "spec": spec }))).await;
    house.update(id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_beside_what_it_cannot_read() {
    let mut house = House::fresh().await;
    up(&house, "good", "iris", "fine").await;
    up(&house, "bad", "poisoned", "broken").await;
    for cleanly in [true, false] {
        house.stop(cleanly);
        let db = Connection::open(house.dir.join("slipway.db")).unwrap();
        db.pragma_update(None, "foreign_keys", false).unwrap();
        let observed = house.dir.join("observed.db");
        db.execute("ATTACH DATABASE ?1 AS observed", [observed.to_string_lossy()]).unwrap();
        for Poison { table, column, value, row } in POISONS {
            let set = format!("UPDATE {table} SET {column} = ?1 WHERE {row}");
            db.execute(&set, [Some(*value)]).unwrap();
        }
        drop(db);
        house.start();
        for (path, shown) in [("/deployments", "good"), ("/projects", "iris"), ("/infrastructures", "fine")] {
            let list = house.call(Method::GET, path, None).await;
            let names = list.as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap());
            assert!(names.clone().any(|name| name == shown), "{path}: {list}");
            assert!(
                !names.clone().any(|name| ["bad", "poisoned", "broken"].contains(&name)),
                "{path}: {list}"
            );
        }
        house.update("good").await;
    }
}
