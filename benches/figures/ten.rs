//! Ten services without `depends_on`, up: against docker-compose (Debian's 1.29), which must be installed.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Figure;
use crate::house::House;
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
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        house.deploy("bench-ten", "bench-ten", "1").await;
        let begun = Instant::now();
        house.update("bench-ten").await;
        ours.push(ms(begun.elapsed()));
        house.remove("bench-ten").await;
        let begun = Instant::now();
        assert!(docker_compose(dir.path(), &["up", "-d"]), "docker-compose up failed");
        theirs.push(ms(begun.elapsed()));
        assert!(docker_compose(dir.path(), &["down", "-t", "0"]), "docker-compose down failed");
    }
    let (ours, theirs) = (median(ours), median(theirs));
    vec![Figure {
        name: "ten services without depends_on, up".into(),
        value: show_ms(ours),
        reference: show_ms(theirs),
        ratio: ratio(ours, theirs),
        aim: "<= 0.75 x docker-compose up",
    }]
}
