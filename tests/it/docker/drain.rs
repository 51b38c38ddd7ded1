//! SIGTERM under load: what was asked is answered, streams end, the process goes in good order and in time, and the
//! next one ends the updates that were under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use reqwest::Client;
use serde_json::json;

use super::scene::Scene;

const UPDATES: usize = 6;
/// The configured one, which one server and all reconcilers share.
const GRACE: Duration = Duration::from_secs(30);

/// `ready` comes only with the second health check, so an update takes a few seconds.
fn compose(version: &str) -> String {
    format!(
        "services:
  web:
    image: busybox:lab
    command: [\"sh\", \"-c\", \"while true; do echo {version}; usleep 100000; done\"]
    stop_grace_period: 1s
    healthcheck: {{test: [\"CMD\", \"true\"], interval: 2s, timeout: 2s, retries: 10}}
"
    )
}

/// A client that keeps no connection open.
fn client() -> Client {
    Client::builder().pool_max_idle_per_host(0).build().unwrap()
}

/// Asks again and again until the server is gone; answers how many were answered well, and what else came before
/// `stopping`, or with a bad status at any time.
async fn load(url: String, key: String, stopping: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (client, mut good, mut bad) = (client(), 0, Vec::new());
    loop {
        let told = stopping.load(Ordering::SeqCst);
        let answer = match client.get(&url).bearer_auth(&key).send().await {
            Ok(response) if response.status().is_success() => response.bytes().await.map(drop),
            Ok(response) => {
                bad.push(format!("status {}", response.status()));
                continue;
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(()) => good += 1,
            Err(_) if told || stopping.load(Ordering::SeqCst) => return (good, bad),
            Err(error) => bad.push(format!("{error:?}")),
        }
    }
}

/// A bundle that is sent in pieces over `over`.
async fn slow_upload(url: String, key: String, archive: Vec<u8>, over: Duration) -> reqwest::StatusCode {
    const PIECES: usize = 20;
    let pieces: Vec<Bytes> =
        archive.chunks(archive.len().div_ceil(PIECES)).map(Bytes::copy_from_slice).collect();
    let body = stream::iter(pieces).then(move |piece| async move {
        tokio::time::sleep(over / PIECES as u32).await;
        Ok::<_, std::io::Error>(piece)
    });
    let request = client().post(url).bearer_auth(key).header("content-type", "application/zip");
    request.body(reqwest::Body::wrap_stream(body)).send().await.unwrap().status()
}

fn archive(compose: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("compose.yaml", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(compose.as_bytes()).unwrap();
    writer.finish().unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loaded_process_that_is_told_to_stop_answers_drains_and_is_gone_on_after() {
    let mut scene = Scene::new("drain").await;
    for version in ["1", "2"] {
        scene.house.publish("p", version, &compose(version)).await;
    }
    let talking = scene.up("talking", "1", json!({})).await;
    let mut ids = Vec::new();
    for number in 0..UPDATES {
        ids.push(scene.deploy(&format!("d{number}"), "2", json!({})).await);
    }
    let (api, key) = (format!("http://{}/api/v1", scene.house.address), scene.house.key.clone());
    let stopping = Arc::new(AtomicBool::new(false));

    let follow = client().get(format!("{api}/deployments/{talking}/watch-logs")).bearer_auth(&key);
    let response = follow.send().await.unwrap();
    let first = Arc::new(tokio::sync::Notify::new());
    let heard = Arc::clone(&first);
    let followed = tokio::spawn(async move {
        let (mut lines, mut bytes) = (response.bytes_stream(), 0);
        while let Some(piece) = lines.next().await {
            bytes += piece.expect("the stream ends in good order").len();
            heard.notify_one();
        }
        bytes
    });
    first.notified().await;

    for id in &ids {
        assert_eq!(scene.house.ask(id).await, 1);
    }
    let loads: Vec<_> = (0..4)
        .map(|_| tokio::spawn(load(format!("{api}/deployments"), key.clone(), Arc::clone(&stopping))))
        .collect();
    let url = format!("{api}/bundles?project=p&version=slow");
    let upload =
        tokio::spawn(slow_upload(url, key.clone(), archive(&compose("slow")), Duration::from_secs(3)));
    tokio::time::sleep(Duration::from_millis(700)).await;

    stopping.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let mut child = scene.house.child.take().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
        if began.elapsed() > GRACE + Duration::from_secs(10) {
            child.kill().unwrap();
            panic!("it does not end: {:?}", child.wait());
        }
    };
    let took = began.elapsed();
    println!("it ended after {took:?}");
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(took < GRACE, "one grace period for all of it: {took:?}");
    assert!(upload.await.unwrap().is_success(), "the upload under way was answered");
    assert!(followed.await.unwrap() > 0);
    for load in loads {
        let (good, bad) = load.await.unwrap();
        assert!(good > 0 && bad.is_empty(), "{good} good answers, and {bad:?}");
    }

    scene.house.start();
    for id in &ids {
        scene.house.wait(id, 1).await;
        scene.health(id, "HEALTHY").await;
        assert_eq!(scene.containers(id).await.len(), 1, "nothing doubled");
    }
    let kept = scene.house.call(reqwest::Method::GET, "/projects/p/bundles", None).await;
    assert!(kept.to_string().contains("\"slow\""), "what was answered is there: {kept}");
}
