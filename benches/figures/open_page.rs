//! Engine event → state in the open page: the list of deployments in a real Chromium, from the engine's own `timeNano`
//! to the clock of the page's script. Once with nothing else going on, once while 1,000 other events come in a burst.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::Figure;
use crate::engine::{now_nanos, times};
use crate::events::{containers, engine};
use crate::house::House;
use crate::stats::{median, show_ms};
use crate::window::{Browser, Window};

const ROUNDS: usize = 10;
const BURSTS: usize = 5;
const OTHERS: usize = 10;
/// Two events each, of each of the others: 1,000 in all.
const TURNS: usize = 50;
const PASSWORD: &str = "correct horse battery";

/// Notes when what the page says of the deployment changes, and to what.
const WATCH: &str = "
    const row = () => document.querySelector('#d-bench-open')?.textContent ?? '';
    let last = row();
    window.seen = [];
    new MutationObserver(() => {
      if (row() === last) return;
      last = row();
      window.seen.push([Date.now(), last]);
    }).observe(document.querySelector('main'), { subtree: true, childList: true, characterData: true });";

fn compose(replicas: usize) -> String {
    format!(
        "services:\n  app:\n    image: busybox:lab\n    command: sleep 600\n    init: true\n    restart: \"no\"\n    stop_grace_period: 0s\n    deploy: {{replicas: {replicas}}}\n"
    )
}

async fn deploy(house: &House, id: &str, replicas: usize) {
    house.publish(id, "1", &compose(replicas)).await;
    house.deploy(id, id, "1").await;
    house.update(id).await;
}

async fn open(house: &House) -> Browser {
    let file = house.dir.join("bench-password");
    std::fs::write(&file, PASSWORD).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.args(["admin", "create-user", "--username", "bench", "--group", "admins", "--password-file"]);
    let made = command.arg(&file).arg("--data-dir").arg(&house.dir).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let browser = Browser::open(Window { width: 1280, scripts: true }).await;
    browser.go(&format!("http://{}/login?to=/deployments", house.address)).await;
    browser.fill("#f-username", "bench").await;
    browser.fill("#f-password", PASSWORD).await;
    browser.press("form .button").await;
    browser.see("#d-bench-open", "Healthy").await;
    browser.see("[data-live-mark]", "live").await;
    browser.ask(WATCH).await;
    browser
}

/// When the page said so first after `since`, in milliseconds since the epoch.
async fn when(browser: &Browser, words: &str, since: i128) -> f64 {
    let since = since / 1_000_000;
    let first = format!("window.seen.find(([at, said]) => at >= {since} && said.includes({words:?}))");
    browser.wait(&format!("return Boolean({first})")).await;
    browser.ask(&format!("return {first}[0]")).await.as_f64().unwrap()
}

/// Milliseconds from the container's end to the page.
async fn round(browser: &Browser, container: &str) -> f64 {
    let begun = now_nanos();
    engine("POST", &format!("/containers/{container}/kill")).await;
    let shown = when(browser, "0 of 1 ready", begun).await;
    let died = times("die", json!({ "container": [container] }), begun).await;
    let died = *died.first().expect("the engine told of it") as f64 / 1e6;
    let started = now_nanos();
    engine("POST", &format!("/containers/{container}/start")).await;
    when(browser, "Healthy", started).await;
    shown - died
}

/// Pauses and unpauses a container again and again.
async fn flutter(container: String, turns: usize) {
    for _ in 0..turns {
        engine("POST", &format!("/containers/{container}/pause")).await;
        engine("POST", &format!("/containers/{container}/unpause")).await;
    }
}

/// The same amid a burst: the container ends when half of the burst is over.
async fn burst(browser: &Browser, container: &str, others: &[String]) -> f64 {
    let half = |others: &[String]| {
        let all: Vec<_> = others.iter().map(|one| tokio::spawn(flutter(one.clone(), TURNS / 2))).collect();
        async move {
            for one in all {
                one.await.unwrap();
            }
        }
    };
    half(others).await;
    let (_, took) = tokio::join!(half(others), round(browser, container));
    took
}

pub async fn figures() -> Vec<Figure> {
    let house = House::fresh().await;
    deploy(&house, "bench-open", 1).await;
    deploy(&house, "bench-burst", OTHERS).await;
    let browser = open(&house).await;
    let container = containers("bench-open").await.remove(0);
    let others = containers("bench-burst").await;
    assert_eq!(others.len(), OTHERS);
    let (mut alone, mut amid) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(round(&browser, &container).await);
    }
    for _ in 0..BURSTS {
        amid.push(burst(&browser, &container, &others).await);
    }
    drop(browser);
    for id in ["bench-open", "bench-burst"] {
        house.remove(id).await;
        let left: Value = house.call(Method::GET, "/deployments", None).await;
        assert!(!left.to_string().contains(&format!("\"{id}\"")), "{id} is gone");
    }
    let figure = |name: &str, values: Vec<f64>| Figure {
        name: name.into(),
        value: show_ms(median(values)),
        reference: String::new(),
        ratio: String::new(),
        aim: "<= 250 ms",
    };
    vec![
        figure("engine event -> state in the open page", alone),
        figure("the same amid a burst of 1,000 events", amid),
    ]
}
