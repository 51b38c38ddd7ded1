//! Request accepted → container running, by the engine's own `timeNano`, against the same create + start on the
//! engine's socket. One service; image and network are there.

use serde_json::json;

use crate::Figure;
use crate::engine::{now_nanos, times};
use crate::house::House;
use crate::raw::{Connection, container, create_and_start, docker};
use crate::stats::{median, show_ms};

const ROUNDS: usize = 15;

pub async fn figures() -> Vec<Figure> {
    let house = House::fresh().await;
    let compose = |n: usize| {
        format!(
            "services:\n  app:\n    image: busybox:lab\n    command: sleep 600\n    init: true\n    stop_grace_period: 0s\n    environment: {{N: \"{n}\"}}\n"
        )
    };
    house.publish("bench-start", "0", &compose(0)).await;
    house.deploy("bench-start", "bench-start", "0").await;
    house.update("bench-start").await;
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let version = round.to_string();
        house.publish("bench-start", &version, &compose(round)).await;
        house.choose("bench-start", &version).await;
        let asked = now_nanos();
        let number = house.ask("bench-start").await;
        house.wait("bench-start", number).await;
        let labels = ["io.slipway.workload=bench-start".to_owned(), format!("io.slipway.revision={number}")];
        let started = times("start", json!({ "label": labels }), asked).await;
        ours.push((started.first().expect("the engine told of a start") - asked) as f64 / 1e6);
        raw.push(reference(&mut docker().await, round).await);
    }
    house.remove("bench-start").await;
    let (ours, raw) = (median(ours), median(raw));
    vec![Figure {
        name: "request accepted -> container running, one service".into(),
        value: show_ms(ours),
        reference: show_ms(raw),
        ratio: format!("{:+.1} ms", ours - raw),
        aim: "+ 15 ms over create + start on the socket",
    }]
}

async fn reference<S>(engine: &mut Connection<S>, round: usize) -> f64
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let name = format!("slwbench-start-{round}");
    let network = "slwbench-net";
    engine.call("POST", "/networks/create", &json!({ "Name": network }).to_string()).await;
    let body = container(network);
    let asked = now_nanos();
    create_and_start(engine, &name, &body).await;
    let started = times("start", json!({ "container": [name] }), asked).await;
    engine.call("DELETE", &format!("/containers/{name}?force=true"), "").await;
    engine.call("DELETE", &format!("/networks/{network}"), "").await;
    (started.first().expect("the engine told of a start") - asked) as f64 / 1e6
}
