//! Memory when idle; start to first answer with 100,000 deployments, after a clean stop and after a kill.

use std::time::Duration;

use crate::Figure;
use crate::fill::fill;
use crate::house::House;
use crate::probe::memory;
use crate::stats::{median, ms, show_ms};

const ROUNDS: usize = 5;

pub async fn figures() -> Vec<Figure> {
    let dir = tempfile::tempdir().unwrap();
    let mut house = House::at(dir.path()).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let fresh = memory(&house);
    house.stop(true);
    fill(dir.path(), 100_000).await;
    let (mut clean, mut killed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        clean.push(ms(house.start()));
        tokio::time::sleep(Duration::from_millis(500)).await;
        house.stop(false);
        killed.push(ms(house.start()));
        tokio::time::sleep(Duration::from_millis(500)).await;
        house.stop(true);
    }
    house.start();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let full = memory(&house);
    let plain = |name: &str, value: String, aim| Figure {
        name: name.into(),
        value,
        reference: String::new(),
        ratio: String::new(),
        aim,
    };
    vec![
        plain("memory idle, fresh", format!("{fresh:.1} MB"), "<= 30 MB"),
        plain("memory idle, 100,000 deployments", format!("{full:.1} MB"), "<= 30 MB"),
        plain("start to first answer, after a clean stop", show_ms(median(clean)), "<= 200 ms"),
        plain("start to first answer, after a kill", show_ms(median(killed)), "<= 1 s"),
    ]
}
