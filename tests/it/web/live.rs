//! Fragments and the streams behind live pages.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use reqwest::Method;

use super::{Dom, Visitors};
use crate::harness::Client;

/// Reads a stream until it holds `needle` so many times, or ends; answers what was read.
async fn until(response: reqwest::Response, needle: &str, times: usize, most: Duration) -> String {
    let mut chunks = response.bytes_stream();
    let mut text = String::new();
    let _ = tokio::time::timeout(most, async {
        while let Some(Ok(chunk)) = chunks.next().await {
            text.push_str(&String::from_utf8_lossy(&chunk));
            if !needle.is_empty() && text.matches(needle).count() >= times {
                break;
            }
        }
    })
    .await;
    text
}

async fn open(client: &Client, path: &str) -> reqwest::Response {
    let request = client.request(Method::GET, path).header("accept", "text/event-stream");
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response
}

#[tokio::test]
async fn a_fragment_is_the_same_part_of_the_page() {
    let it = Visitors::deployed().await;
    for path in
        ["/", "/projects", "/deployments", "/deployments/iris-on-local", "/deployments/iris-on-local/updates"]
    {
        let part = it.viewer.clone().header("hx-request", "true").header("hx-target", "live");
        let fragment = part.get(path).await.expect(200);
        assert!(!fragment.text.contains("<html"), "{path}");
        let whole = it.viewer.get(path).await.expect(200);
        let ids = |dom: &Dom| -> Vec<String> {
            dom.all("#live [id]").iter().filter_map(|each| each.attr("id")).map(ToOwned::to_owned).collect()
        };
        assert_eq!(ids(&Dom::of(&fragment)), ids(&Dom::of(&whole)), "{path}");
    }
}

#[tokio::test]
async fn a_change_is_heard_at_once_by_those_who_may_see_it() {
    let it = Visitors::deployed().await;
    let heard = open(&it.viewer, "/events?topics=deployments,deployment:iris-on-local").await;
    let unheard = open(&it.stranger, "/events?topics=deployments,projects").await;
    it.stranger.get("/events?topics=deployment:iris-on-local").await.expect(404);
    it.viewer.get("/events?topics=secrets").await.expect(400);
    let change = serde_json::json!({ "spec": { "bundle": "1.1" } });
    it.team.deployer.patch("/api/v1/deployments/iris-on-local", &change).await.expect(200);
    let text = until(heard, "event: deployments", 2, Duration::from_secs(5)).await;
    assert_eq!(
        text.matches("event: deployments\ndata: 1\n\n").count(),
        2,
        "once at the beginning, once now: {text:?}"
    );
    let text = until(unheard, "", 1, Duration::from_millis(700)).await;
    assert_eq!(text.matches("event: deployments").count(), 1, "what one may not see is silent: {text:?}");
}

#[tokio::test]
async fn a_burst_is_told_in_few_events() {
    let it = Visitors::deployed().await;
    let stream = open(&it.admin, "/events?topics=deployments").await;
    for _ in 0..500 {
        let id = slipway::domain::name::DeploymentId::parse("iris-on-local").unwrap();
        it.team.it.instance.app.store.bus().publish(slipway::bus::Topic::Deployment(id));
    }
    let text = until(stream, "", 1, Duration::from_millis(800)).await;
    let events = text.matches("event: deployments").count();
    assert!((2..=7).contains(&events), "{events} events");
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let it = Visitors::deployed().await;
    let events = open(&it.viewer, "/events?topics=deployments").await;
    let logs = open(&it.viewer, "/deployments/iris-on-local/logs/stream").await;
    it.viewer.form("/logout", &[]).await.expect(303);
    let begun = Instant::now();
    until(events, "", 1, Duration::from_secs(5)).await;
    until(logs, "", 1, Duration::from_secs(5)).await;
    assert!(begun.elapsed() < Duration::from_millis(2_300), "{:?}", begun.elapsed());
    let after = it.viewer.clone().header("hx-request", "true").header("accept", "*/*");
    after.get("/deployments").await.expect(401);
}

#[tokio::test]
async fn the_log_of_an_update_is_followed_to_its_end() {
    let it = Visitors::deployed().await;
    let stream = open(&it.viewer, "/deployments/iris-on-local/updates/1/log?after=0").await;
    let text = until(stream, "event: end", 1, Duration::from_secs(5)).await;
    assert!(text.starts_with("id: ") && text.contains("\"m\":") && text.contains("event: end"), "{text}");
    let last = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let rest = open(&it.viewer, &format!("/deployments/iris-on-local/updates/1/log?after={last}")).await;
    assert!(
        !until(rest, "event: end", 1, Duration::from_secs(5)).await.contains("\"m\":"),
        "nothing comes twice"
    );
}
