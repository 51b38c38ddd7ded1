//! What the engine itself says of the time: its events, by their `timeNano`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::raw::docker;

/// Nanoseconds since the epoch, as the engine counts them.
pub fn now_nanos() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i128
}

/// The times of all `event`s of containers since `since`, in order; `filter` is the engine's own, as JSON.
pub async fn times(event: &str, filter: Value, since: i128) -> Vec<i128> {
    let mut filters = json!({ "type": ["container"], "event": [event] });
    filters.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
    let encoded: String = url::form_urlencoded::byte_serialize(filters.to_string().as_bytes()).collect();
    let until = now_nanos() / 1_000_000_000 + 1;
    let path = format!("/events?since={}&until={until}&filters={encoded}", since / 1_000_000_000 - 1);
    let (status, body) = docker().await.call("GET", &path, "").await;
    assert_eq!(status, 200);
    let text = String::from_utf8_lossy(&body);
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut times: Vec<i128> = events
        .filter_map(|event| event["timeNano"].as_i64())
        .map(i128::from)
        .filter(|at| *at >= since)
        .collect();
    times.sort_unstable();
    times
}
