//! Updates at 8 at a time, each replacing one container: against create + start + remove at 8 at a time on the socket.

use std::time::Instant;

use serde_json::json;

use crate::Figure;
use crate::house::House;
use crate::raw::{container, create_and_start, docker};
use crate::stats::{median, ratio};

const AT_ONCE: usize = 8;
const EACH: usize = 5;
const ROUNDS: usize = 3;

fn compose(n: usize) -> String {
    format!(
        "services:\n  app:\n    image: busybox:lab\n    command: sleep 600\n    stop_grace_period: 0s\n    environment: {{N: \"{n}\"}}\n"
    )
}

pub async fn figures() -> Vec<Figure> {
    let house = std::sync::Arc::new(House::fresh().await);
    for version in 0..=(ROUNDS * EACH) {
        house.publish("bench-updates", &version.to_string(), &compose(version)).await;
    }
    for lane in 0..AT_ONCE {
        let id = format!("bench-updates-{lane}");
        house.deploy(&id, "bench-updates", "0").await;
        house.update(&id).await;
    }
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        ours.push(product(&house, round).await);
        raw.push(reference(round).await);
    }
    for lane in 0..AT_ONCE {
        house.remove(&format!("bench-updates-{lane}")).await;
    }
    let (ours, raw) = (median(ours), median(raw));
    vec![Figure {
        name: "updates at 8 at a time".into(),
        value: format!("{ours:.1}/s"),
        reference: format!("{raw:.1}/s"),
        ratio: ratio(ours, raw),
        aim: ">= 0.9 x create + start + remove on the socket",
    }]
}

async fn product(house: &std::sync::Arc<House>, round: usize) -> f64 {
    let begun = Instant::now();
    let lanes = (0..AT_ONCE).map(|lane| {
        let house = std::sync::Arc::clone(house);
        tokio::spawn(async move {
            let id = format!("bench-updates-{lane}");
            for step in 1..=EACH {
                let version = (round * EACH + step).to_string();
                house.choose(&id, &version).await;
                let number = house.ask(&id).await;
                // Its stream ends with the update, so that nobody asks again and again meanwhile.
                let watch = format!("/deployments/{id}/updates/{number}/watch");
                house.call(reqwest::Method::GET, &watch, None).await;
                house.wait(&id, number).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
    (AT_ONCE * EACH) as f64 / begun.elapsed().as_secs_f64()
}

async fn reference(round: usize) -> f64 {
    docker().await.call("POST", "/networks/create", &json!({ "Name": "slwbench-net" }).to_string()).await;
    let begun = Instant::now();
    let lanes = (0..AT_ONCE).map(|lane| {
        tokio::spawn(async move {
            let mut engine = docker().await;
            let body = container("slwbench-net");
            for step in 0..EACH {
                let name = format!("slwbench-{round}-{lane}-{step}");
                create_and_start(&mut engine, &name, &body).await;
                engine.call("DELETE", &format!("/containers/{name}?force=true"), "").await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
    let rate = (AT_ONCE * EACH) as f64 / begun.elapsed().as_secs_f64();
    docker().await.call("DELETE", "/networks/slwbench-net", "").await;
    rate
}
