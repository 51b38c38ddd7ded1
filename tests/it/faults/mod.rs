//! What the process promises when it is killed, stopped, started twice or upgraded: what it acknowledged is there, and
//! nothing is there twice. The built binary on a data directory of its own; no engine is needed.

mod alone;
mod durable;
mod poison;
mod upgrade;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::process::House;

/// Makes one thing after the other until the server is gone, from several tasks at once.
pub struct Writers {
    tasks: tokio::task::JoinSet<()>,
    told: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

/// What the writers heard.
#[derive(Debug, Default)]
pub struct Seen {
    /// Names whose request was answered well.
    pub acknowledged: Vec<String>,
    /// Names whose request was not answered at all: they may be there, or not.
    pub unanswered: Vec<String>,
    /// Names whose request was refused, and with what.
    pub refused: Vec<(String, u16)>,
}

/// A request to make a project, which may be repeated without harm.
async fn make(client: &reqwest::Client, address: SocketAddr, key: &str, name: &str) -> reqwest::Result<u16> {
    let request = client.post(format!("http://{address}/api/v1/projects")).bearer_auth(key);
    let body = json!({ "name": name, "spec": { "description": "made by a writer", "tags": [name] } });
    let answer = request.header("idempotency-key", name).json(&body).send().await?;
    let status = answer.status().as_u16();
    // Not acknowledged before the last byte has come.
    answer.bytes().await.map(|_| status)
}

impl Writers {
    /// `count` tasks, which write until [`Writers::end`].
    pub fn start(house: &House, prefix: &str, count: usize) -> Self {
        let (told, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..count {
            let (told, seen) = (Arc::clone(&told), Arc::clone(&seen));
            let (address, key, prefix) = (house.address, house.key.clone(), format!("{prefix}-{task}"));
            tasks.spawn(async move {
                let client = reqwest::Client::new();
                for number in 0.. {
                    if told.load(Ordering::SeqCst) {
                        return;
                    }
                    let name = format!("{prefix}-{number}");
                    let answer = make(&client, address, &key, &name).await;
                    let mut seen = seen.lock().unwrap();
                    match answer {
                        Ok(200) => seen.acknowledged.push(name),
                        Ok(other) => seen.refused.push((name, other)),
                        Err(_) => {
                            seen.unanswered.push(name);
                            return;
                        }
                    }
                }
            });
        }
        Self { tasks, told, seen }
    }

    /// How many requests were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.seen.lock().unwrap().acknowledged.len()
    }

    /// Waits for all of them; answers what they heard.
    pub async fn end(mut self) -> Seen {
        self.told.store(true, Ordering::SeqCst);
        while let Some(done) = self.tasks.join_next().await {
            done.unwrap();
        }
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// The keys of all projects.
pub async fn projects(house: &House) -> Vec<String> {
    let found = house.call(Method::GET, "/projects", None).await;
    found.as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap().to_owned()).collect()
}

/// The database is sound, and the journal's chain whole with one entry for each thing made.
pub async fn sound(house: &House) {
    let verdict = house.call(Method::GET, "/journal/verify", None).await;
    assert_eq!(verdict["whole"], true, "{verdict}");
    let db = rusqlite::Connection::open(house.dir.join("slipway.db")).unwrap();
    let checked: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(checked, "ok");
    let keys: i64 =
        db.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(keys, 0, "rows that point nowhere");
    let doubled = "SELECT count(*) FROM (SELECT object FROM journal WHERE action = 'project.created'
                    GROUP BY object HAVING count(*) > 1)";
    let doubled: i64 = db.query_row(doubled, [], |row| row.get(0)).unwrap();
    assert_eq!(doubled, 0, "made twice by the journal's account");
}

/// A pause of up to `most` milliseconds, another one each time.
pub async fn somewhere_within(most: u64) -> u64 {
    let at =
        u64::from(u16::from_be_bytes(slipway::domain::random::bytes::<2>())) * most / u64::from(u16::MAX);
    tokio::time::sleep(std::time::Duration::from_millis(at)).await;
    at
}

/// The same body as [`make`] sends, for who repeats it.
pub async fn repeat(house: &House, name: &str) -> Value {
    let client = reqwest::Client::new();
    let status = make(&client, house.address, &house.key, name).await.unwrap();
    assert_eq!(status, 200, "{name} was repeated");
    house.call(Method::GET, &format!("/projects/{name}"), None).await
}
