//! Engine event → state in the API: a container stopped behind Slipway's back, by the engine's own `timeNano`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Figure;
use crate::engine::{now_nanos, times};
use crate::house::House;
use crate::raw::docker;
use crate::stats::{median, show_ms};

const ROUNDS: usize = 15;
const COMPOSE: &str = "services:\n  app:\n    image: busybox:lab\n    command: sleep 600\n    init: true\n    restart: \"no\"\n    stop_grace_period: 0s\n";

/// Asks the engine itself.
pub async fn engine(method: &str, path: &str) -> Value {
    let (_, body) = docker().await.call(method, path, "").await;
    let text = String::from_utf8_lossy(&body);
    let (from, to) = (text.find(['[', '{']).unwrap_or(0), text.rfind([']', '}']).map_or(0, |at| at + 1));
    serde_json::from_str(text.get(from..to).unwrap_or_default()).unwrap_or(Value::Null)
}

/// The containers of a deployment.
pub async fn containers(deployment: &str) -> Vec<String> {
    let filters = json!({ "label": [format!("io.slipway.workload={deployment}")] }).to_string();
    let filters: String = url::form_urlencoded::byte_serialize(filters.as_bytes()).collect();
    let listed = engine("GET", &format!("/containers/json?all=1&filters={filters}")).await;
    let listed = listed.as_array().expect("the engine lists them");
    listed.iter().filter_map(|one| one["Id"].as_str().map(ToOwned::to_owned)).collect()
}

async fn when_health(house: &House, wanted: &str) -> i128 {
    let begun = Instant::now();
    loop {
        let got = house.call(reqwest::Method::GET, "/deployments/bench-events", None).await;
        if got["status"]["health"] == wanted {
            return now_nanos();
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "never {wanted}: {}", got["status"]);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub async fn figures() -> Vec<Figure> {
    let house = House::fresh().await;
    house.publish("bench-events", "1", COMPOSE).await;
    house.deploy("bench-events", "bench-events", "1").await;
    house.update("bench-events").await;
    when_health(&house, "HEALTHY").await;
    let container = containers("bench-events").await.remove(0);
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let begun = now_nanos();
        let seen = async {
            let wait = when_health(&house, "UNHEALTHY");
            let path = format!("/containers/{container}/kill");
            let kill = engine("POST", &path);
            tokio::join!(wait, kill).0
        };
        let seen = seen.await;
        let died = times("die", json!({ "container": [container] }), begun).await;
        took.push((seen - died.first().expect("the engine told of it")) as f64 / 1e6);
        engine("POST", &format!("/containers/{container}/start")).await;
        when_health(&house, "HEALTHY").await;
    }
    house.remove("bench-events").await;
    vec![Figure {
        name: "engine event -> state in the API".into(),
        value: show_ms(median(took)),
        reference: String::new(),
        ratio: String::new(),
        aim: "<= 20 ms (polled every 1 ms)",
    }]
}
