//! A data directory on a disk that fills up: what is refused is told, what was accepted is kept, and it goes on once
//! there is room.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::scene::Scene;
use crate::harness::process::House;

/// A small disk of the test's own.
struct Disk(PathBuf);

impl Disk {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("slwtest-disk-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=48m,mode=0700", "tmpfs"]).arg(&path);
        assert!(mount.status().unwrap().success(), "this test mounts a tmpfs, which takes root");
        Self(path)
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Takes all room but so many bytes.
    fn fill(&self, but: u64) {
        let room = rustix::fs::statvfs(&self.0).unwrap();
        let free = (room.f_bavail * room.f_frsize).saturating_sub(but);
        let there = std::fs::metadata(self.ballast()).map_or(0, |found| found.len());
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(self.ballast()).unwrap();
        let written = std::io::copy(&mut std::io::Read::take(std::io::repeat(1), free), &mut file);
        assert!(written.is_ok() || but == 0, "{written:?}, with {there} bytes there");
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn compose(version: &str) -> String {
    format!(
        "services:
  web:
    image: busybox:lab
    command: sleep 100000
    environment: {{VERSION: \"{version}\"}}
    stop_grace_period: 0s
    healthcheck: {{test: [\"CMD\", \"true\"], interval: 2s, timeout: 2s, retries: 10}}
"
    )
}

/// An archive of so many bytes and a compose file.
fn archive(bytes: usize) -> Vec<u8> {
    use std::io::Write as _;
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("compose.yaml", stored).unwrap();
    writer.write_all(compose("big").as_bytes()).unwrap();
    writer.start_file("model.bin", stored).unwrap();
    writer.write_all(&vec![7; bytes]).unwrap();
    writer.finish().unwrap().into_inner()
}

/// Status and body of a request that may be refused.
async fn send(scene: &Scene, path: &str, content: &str, body: Vec<u8>) -> (u16, Value) {
    let url = format!("http://{}/api/v1{path}", scene.house.address);
    let request =
        reqwest::Client::new().post(url).bearer_auth(&scene.house.key).header("content-type", content);
    let response = request.body(body).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_nothing_is_lost() {
    slipway::tls::install();
    let disk = Disk::new();
    let data = disk.0.join("data");
    std::fs::create_dir(&data).unwrap();
    let mut scene = Scene::with(House::at(&data).await, super::Docker::by_hand(), "disk");
    for version in ["1", "2"] {
        scene.house.publish("p", version, &compose(version)).await;
    }
    let id = scene.up("app", "1", json!({})).await;

    // Room for the database, none for a bundle.
    disk.fill(2 << 20);
    let kept = files(&data.join("blobs"));
    let (status, told) =
        send(&scene, "/bundles?project=p&version=big", "application/zip", archive(6 << 20)).await;
    assert_eq!((status, &told["code"]), (503, &json!("disk_full")), "{told}");
    assert_eq!(files(&data.join("blobs")), kept, "what did not fit is not left lying about");

    // An update under way when the last byte goes: it waits for room, whatever it can't write.
    scene.house.choose(&id, "2").await;
    let number = scene.house.ask(&id).await;
    disk.fill(0);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let path = format!("/deployments/{id}/updates");
    let (status, told) = send(&scene, &path, "application/json", b"{}".to_vec()).await;
    assert_eq!((status, &told["code"]), (503, &json!("disk_full")), "{told}");
    assert!(told["message"].as_str().unwrap().contains("disk"), "{told}");
    let health = reqwest::get(format!("http://{}/healthz", scene.house.address)).await.unwrap();
    assert!(health.status().is_success(), "it still answers");
    assert_eq!(scene.detail(&id).await["name"], *id, "what is stored is read");

    disk.free();
    scene.house.wait(&id, number).await;
    scene.health(&id, "HEALTHY").await;
    assert_eq!(scene.containers(&id).await.len(), 1);
    scene.house.upload(archive(6 << 20), "?project=p&version=big").await;
    let bundles = scene.house.call(Method::GET, "/projects/p/bundles", None).await;
    assert_eq!(bundles.as_array().unwrap().len(), 3, "{bundles}");
    let updates = scene.house.call(Method::GET, &format!("{path}?limit=100"), None).await;
    assert_eq!(updates.as_array().unwrap().len(), 2, "the refused one left nothing");
    let chain = scene.house.call(Method::GET, "/journal/verify", None).await;
    assert_eq!(chain["whole"], true, "{chain}");
}
