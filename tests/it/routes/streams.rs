//! Streams end with what they were opened by: at the latest two seconds after a logout or a revocation of any kind,
//! while others go on.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Client, Team};

const MOST: Duration = Duration::from_secs(2);

/// Every path that answers with a stream, for a session and for a key.
const OF_A_SESSION: &[&str] = &[
    "/events?topics=deployments,deployment:iris-on-local",
    "/deployments/iris-on-local/logs/stream",
    "/api/v1/deployments/iris-on-local/watch",
    "/api/v1/deployments/iris-on-local/watch-logs",
];
const OF_A_KEY: &[&str] =
    &["/api/v1/deployments/iris-on-local/watch", "/api/v1/deployments/iris-on-local/watch-logs"];

/// Opens all of them; each answers when it has ended.
async fn open(
    client: &Client,
    paths: &'static [&'static str],
) -> Vec<(&'static str, tokio::task::JoinHandle<Instant>)> {
    let mut open = Vec::new();
    for path in paths {
        let request = client.request(Method::GET, path).header("accept", "text/event-stream");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let mut chunks = response.bytes_stream();
        let ended = tokio::spawn(async move {
            while chunks.next().await.is_some_and(|chunk| chunk.is_ok()) {}
            Instant::now()
        });
        open.push((*path, ended));
    }
    open
}

/// All of them end within the time that is promised from `begun` on.
async fn end(what: &str, open: Vec<(&'static str, tokio::task::JoinHandle<Instant>)>, begun: Instant) {
    for (path, ended) in open {
        let at = tokio::time::timeout(MOST * 3, ended).await;
        let at = at.unwrap_or_else(|_| panic!("{path} goes on after {what}")).unwrap();
        assert!(at < begun + MOST, "{path} went on for {:?} after {what}", at - begun);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_a_session_end_with_it() {
    let team = Team::running().await;
    let admin = team.it.session("root", &["admins"]).await;
    let stays = team.it.session("stays", &["readers"]).await;
    let going_on = open(&stays, OF_A_SESSION).await;
    for (what, how) in [("logout", 0), ("revocation", 1), ("disabling", 2), ("ending one's own sessions", 3)]
    {
        let visitor = team.it.session(&format!("visitor {how}"), &["readers"]).await;
        let user = visitor.get("/api/v1/me").await.expect(200).json()["uuid"].as_str().unwrap().to_owned();
        let streams = open(&visitor, OF_A_SESSION).await;
        let begun = Instant::now();
        match how {
            0 => visitor.form("/logout", &[]).await.expect(303),
            1 => admin.post(&format!("/api/v1/users/{user}/revoke-sessions"), &json!({})).await.expect(200),
            2 => admin.put(&format!("/api/v1/users/{user}"), &json!({ "disabled": true })).await.expect(200),
            _ => visitor.form("/account/sessions", &[]).await.expect(303),
        };
        end(what, streams, begun).await;
    }
    for (path, stream) in going_on {
        assert!(!stream.is_finished(), "{path} of somebody else ended too");
        stream.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_a_key_end_with_it_or_its_maker() {
    let team = Team::running().await;
    let admin = team.it.session("root", &["admins"]).await;
    for (what, how) in [("the key's revocation", 0), ("its maker's disabling", 1), ("its group's right", 2)] {
        let maker = team.it.session(&format!("maker {how}"), &["readers"]).await;
        let user = maker.get("/api/v1/me").await.expect(200).json()["uuid"].as_str().unwrap().to_owned();
        let wanted = json!({ "name": "ci", "groups": ["readers"] });
        let made = maker.post("/api/v1/api-keys", &wanted).await.expect(200).json();
        let key = team.it.nobody().bearer(made["secret"].as_str().unwrap());
        let streams = open(&key, OF_A_KEY).await;
        let begun = Instant::now();
        match how {
            0 => maker
                .delete(&format!("/api/v1/api-keys/{}", made["uuid"].as_str().unwrap()))
                .await
                .expect(200),
            1 => admin.put(&format!("/api/v1/users/{user}"), &json!({ "disabled": true })).await.expect(200),
            _ => team.admin.delete("/api/v1/projects/iris/grants/readers").await.expect(200),
        };
        end(what, streams, begun).await;
    }
}
