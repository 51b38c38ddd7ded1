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

/// The lines of events, each as service and text, and the last id.
fn read(text: &str) -> (Vec<(String, String)>, String) {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let lines = data.filter_map(|data| serde_json::from_str::<Vec<serde_json::Value>>(data).ok()).flatten();
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let lines = lines.map(|line| (word(&line["r"]), word(&line["m"]))).collect();
    let id = text.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap_or_default();
    (lines, id.to_owned())
}

#[tokio::test]
async fn a_log_goes_on_where_its_reader_was_in_each_replica() {
    let it = Visitors::deployed().await;
    let controls = it.team.it.fake.controls();
    let of = |service: &str| {
        let slots = controls.slots();
        slots.into_iter().find(|state| state.slot.service.as_str() == service).unwrap().slot
    };
    let (api, cache) = (of("api"), of("cache"));
    let path = "/deployments/iris-on-local/logs/stream";
    let first = open(&it.viewer, path).await;
    for number in 1..=3 {
        controls.print(&api, &format!("one {number}"));
    }
    controls.print(&cache, "first");
    let (lines, id) = read(&until(first, "\"m\":", 4, Duration::from_secs(5)).await);
    assert_eq!(lines.len(), 4, "{lines:?}");
    // All of this within the millisecond that the fake engine's clock shows, likely as not.
    controls.print(&cache, "second");
    controls.print(&api, "one 4");
    let again = open(&it.viewer.clone().header("last-event-id", &id), path).await;
    let (mut lines, id) = read(&until(again, "\"m\":", 2, Duration::from_secs(5)).await);
    lines.sort();
    let line = |who: &str, text: &str| (who.to_owned(), text.to_owned());
    assert_eq!(lines, [line("api-0", "one 4"), line("cache-0", "second")]);

    controls.remove(&cache);
    it.team.healthy("OUT_OF_SYNC").await;
    controls.print(&api, "one 5");
    let third = open(&it.viewer.clone().header("last-event-id", &id), path).await;
    let text = until(third, "\"m\":", 2, Duration::from_secs(5)).await;
    let (lines, id) = read(&text);
    assert!(text.contains("\"g\":true"), "{text}");
    assert!(lines.iter().any(|(who, said)| who == "cache-0" && said.contains("may be missing")), "{lines:?}");
    assert!(lines.contains(&line("api-0", "one 5")), "{lines:?}");
    controls.print(&api, "one 6");
    let fourth = open(&it.viewer.clone().header("last-event-id", &id), path).await;
    let (lines, _) = read(&until(fourth, "\"m\":", 1, Duration::from_secs(5)).await);
    assert_eq!(lines, [line("api-0", "one 6")], "a gap is said once");
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
