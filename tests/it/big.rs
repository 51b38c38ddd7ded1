//! A bundle of three gigabytes, up and down through the real server in a process of its own: its memory stays flat.
//! Not among the fast tests; it writes some 10 GB to the temporary directory's disk.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

use crate::harness::process::House;

/// What the archive's large file holds.
const BYTES: u64 = 3 << 30;
/// How much more the server may use while it takes and gives it.
const MOST: u64 = 32 << 20;
const COMPOSE: &str = "services: {api: {image: busybox}}\n";

/// Bytes that do not pack, the same each time.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, block: &mut [u8]) {
        for word in block.chunks_exact_mut(8) {
            // xorshift64
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            word.copy_from_slice(&self.0.to_le_bytes());
        }
    }
}

/// Writes the archive; answers where it lies and its SHA-256.
fn archive(folder: &Path) -> (PathBuf, String) {
    let path = folder.join("big.zip");
    let mut writer = zip::ZipWriter::new(std::io::BufWriter::new(File::create(&path).unwrap()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    writer.start_file("compose.yaml", stored).unwrap();
    writer.write_all(COMPOSE.as_bytes()).unwrap();
    writer.start_file("data/weights.bin", stored.large_file(true)).unwrap();
    let (mut noise, mut block) = (Noise(0x9e37_79b9_7f4a_7c15), vec![0; 1 << 20]);
    for _ in 0..BYTES >> 20 {
        noise.fill(&mut block);
        writer.write_all(&block).unwrap();
    }
    writer.finish().unwrap().flush().unwrap();
    let (mut hash, mut file) = (Sha256::new(), File::open(&path).unwrap());
    loop {
        let read = file.read(&mut block).unwrap();
        if read == 0 {
            break;
        }
        hash.update(&block[..read]);
    }
    (path, hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A field of the server's own account of its memory, in bytes.
fn memory(house: &House, field: &str) -> u64 {
    let id = house.child.as_ref().unwrap().id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// The file as a request's body, read as it is sent; with the frame of a form around it, if there is one.
async fn body(path: &Path, before: &str, after: &str) -> reqwest::Body {
    let file = tokio::fs::File::open(path).await.unwrap();
    let length = file.metadata().await.unwrap().len() + (before.len() + after.len()) as u64;
    let (before, after) = (std::io::Cursor::new(before.to_owned()), std::io::Cursor::new(after.to_owned()));
    let whole = tokio::io::AsyncReadExt::chain(before, file).chain(after).take(length);
    reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::with_capacity(whole, 1 << 16))
}

async fn upload(house: &House, path: &Path, version: &str, as_form: bool) {
    let url = format!("http://{}/api/v1/bundles?project=big&version={version}", house.address);
    let request = reqwest::Client::new().post(url).bearer_auth(&house.key);
    let request = if as_form {
        let before = "--slipway-3f9a1c07b2d84e65\r\nContent-Disposition: form-data; name=\"file\"; filename=\"big.zip\"\r\n\
                      Content-Type: application/zip\r\n\r\n";
        let body = body(path, before, "\r\n--slipway-3f9a1c07b2d84e65--\r\n").await;
        request.header("content-type", "multipart/form-data; boundary=slipway-3f9a1c07b2d84e65").body(body)
    } else {
        request.header("content-type", "application/zip").body(body(path, "", "").await)
    };
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
}

/// Fetches what lies at `path` and throws it away; answers its length and SHA-256.
async fn download(house: &House, path: &str) -> (u64, String) {
    let url = format!("http://{}/api/v1/projects/big/bundles/{path}", house.address);
    let answer = reqwest::Client::new().get(url).bearer_auth(&house.key).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let (mut hash, mut length, mut chunks) = (Sha256::new(), 0, answer.bytes_stream());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.unwrap();
        hash.update(&chunk);
        length += chunk.len() as u64;
    }
    (length, hex(&hash.finalize()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_gigabytes_go_up_and_down_in_flat_memory() {
    slipway::tls::install();
    let folder = tempfile::tempdir().unwrap();
    let (path, sha256) = archive(folder.path());
    let size = path.metadata().unwrap().len();
    let house = House::fresh().await;
    house.publish("big", "0", COMPOSE).await;
    let before = memory(&house, "VmRSS:");
    for (version, as_form) in [("1", false), ("2", true)] {
        let begun = Instant::now();
        upload(&house, &path, version, as_form).await;
        println!("up in {:?} (as a form: {as_form})", begun.elapsed());
        let bundle =
            house.call(reqwest::Method::GET, &format!("/projects/big/bundles/{version}"), None).await;
        assert!(bundle.to_string().contains(&sha256), "{bundle}");
    }
    let begun = Instant::now();
    assert_eq!(download(&house, "1/download").await, (size, sha256));
    println!("down in {:?}", begun.elapsed());
    // What needs the files themselves unpacks all of them, and gives none whole that is large.
    let begun = Instant::now();
    assert_eq!(download(&house, "2/files/compose.yaml").await.0, COMPOSE.len() as u64);
    println!("unpacked in {:?}", begun.elapsed());
    let url = format!("http://{}/api/v1/projects/big/bundles/2/files/data/weights.bin", house.address);
    let refused = reqwest::Client::new().get(url).bearer_auth(&house.key).send().await.unwrap();
    assert_eq!(refused.status(), 413);
    let most = memory(&house, "VmHWM:");
    println!("{} MiB before, {} MiB at most", before >> 20, most >> 20);
    assert!(most < before + MOST, "{} KiB grew to {} KiB", before >> 10, most >> 10);
}
