//! 1,000,000 log lines followed, none missing: as text and as SSE, against the same bytes straight from the engine.

use std::time::Instant;

use serde_json::json;

use crate::Figure;
use crate::house::House;
use crate::probe::{forget_peak, memory, peak};
use crate::raw::{Connection, docker};
use crate::stats::{median, ratio};

const LINES: usize = 1_000_000;
const ROUNDS: usize = 3;
const MARK: &[u8] = b"line ";
const LAST: &[u8] = b"line 999999";

const COMPOSE: &str = r#"services:
  talker:
    image: busybox:lab
    command: ["sh", "-c", "seq 0 999999 | sed 's,^,line ,'; sleep 600"]
    stop_grace_period: 0s
"#;

struct Counted {
    seconds: f64,
    lines: usize,
}

/// Reads a stream until the last line came; counts lines that hold `mark`.
async fn count<S>(connection: Connection<S>, request: String) -> Counted
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let begun = Instant::now();
    let (mut lines, mut seen) = (0, Vec::new());
    connection
        .stream(request.as_bytes(), |piece| {
            // What lies across two pieces is found with the later one, and counted once.
            let before = seen.len();
            seen.extend_from_slice(piece);
            let ends = memchr::memmem::find_iter(&seen, MARK).map(|at| at + MARK.len());
            lines += ends.filter(|end| *end > before).count();
            let ended = memchr::memmem::find(&seen, LAST).is_some();
            seen.drain(..seen.len().saturating_sub(LAST.len() - 1));
            !ended
        })
        .await;
    Counted { seconds: begun.elapsed().as_secs_f64(), lines }
}

async fn slipway(house: &House, accept: &str, path: &str) -> Counted {
    let stream = tokio::net::TcpStream::connect(house.address).await.unwrap();
    let request = format!(
        "GET /api/v1/deployments/bench-logs/{path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nAuthorization: Bearer {}\r\n\r\n",
        house.key
    );
    count(Connection::new(stream), request).await
}

async fn raw(container: &str) -> Counted {
    let request = format!(
        "GET /containers/{container}/logs?follow=1&stdout=1&stderr=1&timestamps=1 HTTP/1.1\r\nHost: x\r\n\r\n"
    );
    count(docker().await, request).await
}

/// Waits until the engine's files hold every line: one who follows while it rotates them may wait for ever.
async fn written(container: &str) {
    let path = format!("/containers/{container}/logs?stdout=1&tail=1");
    loop {
        let (_, last) = docker().await.call("GET", &path, "").await;
        if memchr::memmem::find(&last, LAST).is_some() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

pub async fn figures() -> Vec<Figure> {
    let house = House::fresh().await;
    house.publish("bench-logs", "1", COMPOSE).await;
    house.deploy("bench-logs", "bench-logs", "1").await;
    house.update("bench-logs").await;
    let filters: String = url::form_urlencoded::byte_serialize(
        json!({ "label": ["io.slipway.workload=bench-logs"] }).to_string().as_bytes(),
    )
    .collect();
    let (_, list) = docker().await.call("GET", &format!("/containers/json?filters={filters}"), "").await;
    let text = String::from_utf8_lossy(&list);
    let json_start = text.find('[').unwrap_or_default();
    let json_end = text.rfind(']').map_or(text.len(), |at| at + 1);
    let listed: serde_json::Value = serde_json::from_str(&text[json_start..json_end]).unwrap();
    let container = listed[0]["Id"].as_str().unwrap().to_owned();
    written(&container).await;
    let before = memory(&house);
    forget_peak(&house);
    let (mut text, mut sse, mut reference) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let answer = raw(&container).await;
        assert_eq!(answer.lines, LINES);
        reference.push(answer.seconds);
        let answer = slipway(&house, "text/plain", "watch-logs?tail=all").await;
        assert_eq!(answer.lines, LINES, "lines are missing or doubled in the text");
        text.push(answer.seconds);
        let answer = slipway(&house, "text/event-stream", "watch-logs?tail=all").await;
        assert_eq!(answer.lines, LINES, "lines are missing or doubled in the events");
        sse.push(answer.seconds);
    }
    let peak = peak(&house);
    house.remove("bench-logs").await;
    let (text, sse, reference) = (median(text), median(sse), median(reference));
    let row = |name: &str, value: f64, aim| Figure {
        name: name.into(),
        value: format!("{value:.2} s"),
        reference: format!("{reference:.2} s"),
        ratio: ratio(value, reference),
        aim,
    };
    vec![
        row("1,000,000 log lines followed, as text", text, "<= 1.15 x the engine's socket"),
        row("1,000,000 log lines followed, as SSE", sse, "<= 1.5 x"),
        Figure {
            name: "memory while following".into(),
            value: format!("{peak:.1} MB"),
            reference: format!("{before:.1} MB"),
            ratio: format!("{:+.1} MB", peak - before),
            aim: "+ 16 MB",
        },
    ]
}
