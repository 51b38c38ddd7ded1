//! Following a log that the engine rotates while its reader is slow: nothing that the engine still has is lost, and
//! where it has thrown lines away that is said.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::json;

use super::scene::Scene;

/// Bytes of a line; in the engine's file it takes some 70 more. Files are rotated at 50 MB, and three are kept.
const TEXT: usize = 200;

fn compose(lines: usize) -> String {
    let text = "x".repeat(TEXT - 9);
    format!(
        "services:
  web:
    image: busybox:lab
    command: [\"sh\", \"-c\", \"echo ready; sleep 4; awk 'BEGIN{{for(i=1;i<={lines};i++) printf \\\"%08d {text}\\\\n\\\", i}}'; echo over; sleep 100000\"]
    stop_grace_period: 0s
"
    )
}

/// What a reader got that began to read only after a while.
struct Got {
    lines: usize,
    /// Numbers before and after a jump, and whether that was marked.
    jumps: Vec<(usize, usize, bool)>,
    /// Bytes of memory that the server used while nothing was read.
    held: u64,
}

/// Bytes of memory that the server uses now.
fn memory(scene: &Scene) -> u64 {
    let id = scene.house.child.as_ref().unwrap().id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Waits for `pause` without reading; meanwhile others are served.
async fn stall(scene: &Scene, pause: Duration) -> u64 {
    let began = Instant::now();
    while began.elapsed() < pause {
        let asked = Instant::now();
        scene.house.call(reqwest::Method::GET, "/me", None).await;
        assert!(asked.elapsed() < Duration::from_secs(2), "others wait {:?} for it", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    memory(scene)
}

async fn read_slowly(scene: &Scene, id: &str, pause: Duration) -> Got {
    let url = format!("http://{}/api/v1/deployments/{id}/watch-logs?tail=all", scene.house.address);
    let request =
        reqwest::Client::new().get(url).bearer_auth(&scene.house.key).header("accept", "text/plain");
    let mut pieces = request.send().await.unwrap().bytes_stream();
    let (mut rest, mut got) = (Vec::new(), Got { lines: 0, jumps: Vec::new(), held: 0 });
    let (mut last, mut marked, mut slept) = (0, false, false);
    let began = Instant::now();
    loop {
        let piece = tokio::time::timeout(Duration::from_secs(60), pieces.next()).await;
        rest.extend_from_slice(&piece.expect("more comes").expect("it goes on").unwrap());
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { continue };
        let whole: Vec<u8> = rest.drain(..=end).collect();
        for line in whole.split(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(line);
            if text.contains("lines are missing here") {
                marked = true;
            } else if text.trim_end() == "over" {
                return got;
            } else if let Some(number) = text.get(..8).and_then(|head| head.parse::<usize>().ok()) {
                if number != last + 1 {
                    got.jumps.push((last, number, marked));
                }
                (last, marked) = (number, false);
                got.lines += 1;
            }
        }
        if got.lines > 0 && !std::mem::replace(&mut slept, true) {
            got.held = stall(scene, pause).await;
        }
        assert!(began.elapsed() < Duration::from_secs(150), "{} lines so far", got.lines);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_every_line_that_the_engine_has_and_is_told_where_one_is_gone() {
    let mut scene = Scene::new("rotation").await;
    // Two rotations within what is kept; then so many that the first files are gone before they are read.
    let (kept, thrown) = (420_000, 1_200_000);
    scene.house.publish("p", "kept", &compose(kept)).await;
    scene.house.publish("p", "thrown", &compose(thrown)).await;
    for (version, lines, pause) in [("kept", kept, 12), ("thrown", thrown, 25)] {
        let id = scene.deploy(version, version, json!({})).await;
        scene.house.update(&id).await;
        let before = memory(&scene);
        let got = read_slowly(&scene, &id, Duration::from_secs(pause)).await;
        println!("{version}: {} of {lines} lines, jumps {:?}", got.lines, got.jumps);
        println!("{} MiB before, {} MiB while nobody read", before >> 20, got.held >> 20);
        assert!(got.held < before + (16 << 20), "what waits to be read is bounded");
        assert!(
            got.jumps.iter().all(|(before, after, _)| before < after),
            "none comes twice: {:?}",
            got.jumps
        );
        if version == "kept" {
            assert_eq!((got.lines, got.jumps), (lines, vec![]));
        } else {
            assert!(!got.jumps.is_empty(), "the engine has thrown some away, or this test tries nothing");
            assert!(got.jumps.iter().all(|(.., marked)| *marked), "each gap is marked: {:?}", got.jumps);
        }
    }
}
