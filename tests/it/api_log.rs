//! Replicas' output through the API: history, following over restarts and updates, and the ends of a stream.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::json;
use slipway::engine::SlotRef;

use crate::harness::{Client, Team};

const PATH: &str = "/api/v1/deployments/iris-on-local";

fn slot(team: &Team, service: &str) -> SlotRef {
    let slots = team.it.fake.controls().slots();
    slots.into_iter().find(|state| state.slot.service.as_str() == service).unwrap().slot
}

/// What a stream has sent so far, growing while it is read.
struct Stream(futures_util::stream::BoxStream<'static, Vec<u8>>, String);

impl Stream {
    async fn open(client: &Client, path: &str, accept: &str) -> Self {
        let response = client.request(Method::GET, path).header("accept", accept).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let chunks = response.bytes_stream().filter_map(async |chunk| chunk.ok().map(|chunk| chunk.to_vec()));
        Self(chunks.boxed(), String::new())
    }

    /// Reads until `wanted` has come.
    async fn until(&mut self, wanted: &str) -> &str {
        let read = async {
            while !self.1.contains(wanted) {
                let chunk = self.0.next().await.unwrap_or_else(|| panic!("it ended after {:?}", self.1));
                self.1.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        if tokio::time::timeout(Duration::from_secs(10), read).await.is_err() {
            panic!("no {wanted:?} in {:?}", self.1);
        }
        &self.1
    }

    /// Whether it ends within two seconds.
    async fn ends(mut self) -> bool {
        let rest = async { while self.0.next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(2), rest).await.is_ok()
    }
}

#[tokio::test]
async fn history_is_an_array_of_lines_or_text() {
    let team = Team::running().await;
    let (controls, api, cache) = (team.it.fake.controls(), slot(&team, "api"), slot(&team, "cache"));
    for at in 0..3 {
        controls.print(&api, &format!("request {at}\r\x1b[31m!"));
    }
    controls.print(&cache, "ready");
    let one = team.viewer.get(&format!("{PATH}/logs?service=api&tail=2")).await.expect(200).json();
    assert_eq!(one, json!(["request 1!", "request 2!"]));
    let both = team.viewer.get(&format!("{PATH}/logs")).await.expect(200).json();
    let both: Vec<&str> = both.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(both.contains(&"api/1 | request 0!") && both.contains(&"cache/1 | ready"), "{both:?}");
    let request =
        team.viewer.request(Method::GET, &format!("{PATH}/logs?service=api&timestamps=true&tail=1"));
    let text = team.viewer.send(request.header("accept", "text/plain")).await.expect(200);
    assert!(text.text.ends_with("Z request 2!\n") && text.text.lines().count() == 1, "{:?}", text.text);
    let refused = team.viewer.get(&format!("{PATH}/logs?service=web")).await.expect(400).json();
    assert_eq!(refused["problems"][0]["place"], "service");
    assert!(refused["hint"].as_str().unwrap().contains("api/1, cache/1"), "{refused}");
    for wrong in ["tail=some", "replica=0", "since=yesterday"] {
        let place = wrong.split('=').next().unwrap();
        let refused = team.viewer.get(&format!("{PATH}/logs?{wrong}")).await.expect(400).json();
        assert_eq!(refused["problems"][0]["place"], place);
    }
    team.stranger.get(&format!("{PATH}/logs")).await.expect(404);
}

#[tokio::test]
async fn following_goes_on_over_an_update() {
    let team = Team::running().await;
    let controls = team.it.fake.controls();
    let path = format!("{PATH}/watch-logs?service=api");
    let mut text = Stream::open(&team.viewer, &path, "text/plain").await;
    let mut events = Stream::open(&team.viewer, &path, "text/event-stream").await;
    controls.print(&slot(&team, "api"), "before");
    text.until("before\n").await;
    events.until("data: before\n\n").await;
    team.deployer.patch(PATH, &json!({ "spec": { "bundle": "1.1" } })).await.expect(200);
    assert_eq!(team.update().await["status"]["state"], "succeeded");
    controls.print(&slot(&team, "api"), "after");
    text.until("after\n").await;
    let all = events.until("data: after\n\n").await;
    assert_eq!(all.matches("before").count(), 1, "nothing comes twice: {all}");
}

#[tokio::test]
async fn a_stream_ends_when_the_right_or_the_session_does() {
    let team = Team::running().await;
    let path = format!("{PATH}/watch-logs");
    let by_key = Stream::open(&team.viewer, &path, "text/event-stream").await;
    let session = team.it.session("carol", &["readers"]).await;
    let by_session = Stream::open(&session, &path, "text/event-stream").await;
    let other = Stream::open(&team.deployer, &path, "text/event-stream").await;
    team.admin.delete("/api/v1/projects/iris/grants/readers").await.expect(200);
    assert!(by_key.ends().await, "the right is gone");
    assert!(by_session.ends().await, "the right is gone");
    assert!(!other.ends().await, "nobody took anything from this one");

    let mine = team.it.session("dave", &["ml"]).await;
    let stream = Stream::open(&mine, &path, "text/event-stream").await;
    let id = mine.get("/api/v1/me").await.expect(200).json()["uuid"].as_str().unwrap().to_owned();
    team.admin.post(&format!("/api/v1/users/{id}/revoke-sessions"), &json!({})).await.expect(200);
    assert!(stream.ends().await, "the session is gone");
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops() {
    let team = Team::running().await;
    let stream = Stream::open(&team.viewer, &format!("{PATH}/watch-logs"), "text/event-stream").await;
    team.it.state.shutdown.cancel();
    assert!(stream.ends().await);
}

#[tokio::test]
async fn an_update_is_followed_to_its_end() {
    let team = Team::running().await;
    team.it.fake.controls().slow(Duration::from_millis(30));
    team.deployer.patch(PATH, &json!({ "spec": { "bundle": "1.1" } })).await.expect(200);
    let number =
        team.deployer.post(&format!("{PATH}/updates"), &json!({})).await.expect(200).json()["number"].clone();
    let mut stream =
        Stream::open(&team.viewer, &format!("{PATH}/updates/{number}/watch"), "text/event-stream").await;
    let all = stream.until("\"state\":\"succeeded\"").await.to_owned();
    for step in ["\"plan\"", "\"prepare\"", "\"switch\""] {
        assert!(all.contains(&format!("\"step\":{step}")), "{step} in {all}");
    }
    assert!(stream.ends().await, "an ended update has no more to say");
}

#[tokio::test]
async fn figures_are_asked_of_the_engine_and_its_silence_is_said() {
    let team = Team::running().await;
    let stats = team.viewer.get(&format!("{PATH}/stats")).await.expect(200).json();
    assert_eq!(stats.as_array().unwrap().len(), 2);
    assert!(stats[0]["stats"]["memoryBytes"].is_u64(), "{stats}");
    team.it.fake.controls().down(true);
    let stats = team.viewer.get(&format!("{PATH}/stats")).await.expect(200).json();
    assert!(stats[0]["error"].is_string(), "{stats}");
    let refused = team.viewer.get(&format!("{PATH}/logs")).await.expect(503).json();
    assert_eq!(refused["code"], "engine_unreachable");
}

#[tokio::test]
async fn a_deployment_is_followed_as_it_changes() {
    let team = Team::running().await;
    let mut stream = Stream::open(&team.viewer, &format!("{PATH}/watch"), "text/event-stream").await;
    stream.until("\"health\":\"HEALTHY\"").await;
    team.it.fake.controls().end(&slot(&team, "cache"), 137);
    stream.until("\"health\":\"UNHEALTHY\"").await;
    let events = team.viewer.get(&format!("{PATH}/events?limit=1")).await.expect(200).json();
    assert_eq!((&events[0]["service"], &events[0]["replica"]), (&json!("cache"), &json!(1)), "{events}");
}
