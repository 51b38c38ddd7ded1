//! Ten services without `depends_on`, up: against docker-compose (Debian's 1.29), which must be installed.

use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;

use crate::Figure;
use crate::engine::{now_nanos, times};
use crate::house::House;
use crate::raw::{container, create_and_start, docker};
use crate::stats::{median, ms, ratio, show_ms};

const ROUNDS: usize = 5;

fn compose() -> String {
    let mut text = String::from("version: \"3.7\"\nservices:\n");
    for number in 0..10 {
        text.push_str(&format!(
            "  s{number}:\n    image: busybox:lab\n    command: sleep 600\n    stop_grace_period: 0s\n"
        ));
    }
    text
}

fn docker_compose(dir: &std::path::Path, arguments: &[&str]) -> bool {
    let mut command = Command::new("docker-compose");
    command.current_dir(dir).args(["-p", "slwbench"]).args(arguments);
    command.env("DOCKER_HOST", "unix:///var/run/docker.sock").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

pub async fn figures() -> Vec<Figure> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("docker-compose.yml"), compose()).unwrap();
    if !docker_compose(dir.path(), &["version"]) {
        println!("ten: docker-compose is not installed (apt-get install docker-compose): no figure");
        return Vec::new();
    }
    let house = House::fresh().await;
    house.publish("bench-ten", "1", &compose()).await;
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    let mut raw = Vec::new();
    for _ in 0..ROUNDS {
        house.deploy("bench-ten", "bench-ten", "1").await;
        let (begun, asked) = (Instant::now(), now_nanos());
        house.update("bench-ten").await;
        ours.note("io.slipway.workload=bench-ten", begun, asked).await;
        house.remove("bench-ten").await;
        let (begun, asked) = (Instant::now(), now_nanos());
        assert!(docker_compose(dir.path(), &["up", "-d"]), "docker-compose up failed");
        theirs.note("com.docker.compose.project=slwbench", begun, asked).await;
        assert!(docker_compose(dir.path(), &["down", "-t", "0"]), "docker-compose down failed");
        raw.push(on_the_socket().await);
    }
    let ours_beside_raw = ours.up.clone();
    let row = |name: &str, ours: Vec<f64>, theirs: Vec<f64>, aim| {
        let (ours, theirs) = (median(ours), median(theirs));
        let (value, reference) = (show_ms(ours), show_ms(theirs));
        Figure { name: name.into(), value, reference, ratio: ratio(ours, theirs), aim }
    };
    vec![
        row(
            "ten services without depends_on, the tenth started",
            ours.up,
            theirs.up,
            "<= 0.75 x docker-compose up",
        ),
        row("the same, until the command or the update ended", ours.ended, theirs.ended, ""),
        row("the same, the tenth started, against the socket itself", ours_beside_raw, raw, ""),
    ]
}

/// The least that the engine itself takes: a network, then create and start of all ten at once on its socket.
async fn on_the_socket() -> f64 {
    let (mut engine, network) = (docker().await, "slwbench-ten");
    let asked = now_nanos();
    engine.call("POST", "/networks/create", &json!({ "Name": network }).to_string()).await;
    let starting: Vec<_> = (0..10)
        .map(|number| {
            tokio::spawn(async move {
                let name = format!("slwbench-ten-{number}");
                create_and_start(&mut docker().await, &name, &container(network)).await;
                name
            })
        })
        .collect();
    let mut names = Vec::new();
    for one in starting {
        names.push(one.await.unwrap());
    }
    let started = times("start", json!({ "container": names }), asked).await;
    for name in names {
        engine.call("DELETE", &format!("/containers/{name}?force=true"), "").await;
    }
    engine.call("DELETE", &format!("/networks/{network}"), "").await;
    (started[9] - asked) as f64 / 1e6
}

/// Milliseconds from the request or the command on, by the engine's own events and by the clock.
#[derive(Default)]
struct Times {
    up: Vec<f64>,
    ended: Vec<f64>,
}

impl Times {
    async fn note(&mut self, label: &str, begun: Instant, asked: i128) {
        self.ended.push(ms(begun.elapsed()));
        let started = times("start", json!({ "label": [label] }), asked).await;
        assert_eq!(started.len(), 10, "the engine started ten containers");
        self.up.push((started[9] - asked) as f64 / 1e6);
    }
}
