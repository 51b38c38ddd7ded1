//! Many clients that ask the same thing over kept-alive connections.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::raw::Connection;

/// What a load gave.
pub struct Outcome {
    /// Answers a second.
    pub rate: f64,
    /// Milliseconds of each.
    pub took: Vec<f64>,
}

/// `clients` connections ask `request` again and again for `time`; every answer must be 200.
pub async fn run(address: SocketAddr, request: &str, clients: usize, time: Duration) -> Outcome {
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..clients {
        let request = request.as_bytes().to_vec();
        tasks.push(tokio::spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut connection, mut took) = (Connection::new(stream), Vec::new());
            while begun.elapsed() < time {
                let asked = Instant::now();
                let (status, body) = connection.exchange(&request).await;
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
                took.push(asked.elapsed().as_secs_f64() * 1e3);
            }
            took
        }));
    }
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.unwrap());
    }
    Outcome { rate: took.len() as f64 / begun.elapsed().as_secs_f64(), took }
}

/// Median milliseconds of `times` askings, one after another.
pub async fn one_by_one(address: SocketAddr, request: &str, times: usize) -> f64 {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut connection = Connection::new(stream);
    let mut took = Vec::new();
    for _ in 0..times {
        let asked = Instant::now();
        let (status, body) = connection.exchange(request.as_bytes()).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        took.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    crate::stats::median(took)
}
