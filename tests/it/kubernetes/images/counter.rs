//! A way to the lab's registry that counts what is asked: bytes pass through as they are, the lines of requests are
//! noted.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const REGISTRY: &str = "127.0.0.1:5000";
const METHODS: [&[u8]; 6] = [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE "];

/// Listens until it is dropped.
pub struct Counter {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Counter {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, Arc::clone(&noted)));
            }
        });
        Self { address, asked, task }
    }

    /// What references call it.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The requests since the last time, e.g. `GET /v2/a/manifests/1`.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Requests that send something to the registry.
pub fn writes(asked: &[String]) -> Vec<&String> {
    let reads = |line: &&String| !line.starts_with("GET ") && !line.starts_with("HEAD ");
    asked.iter().filter(reads).collect()
}

async fn pass(client: TcpStream, noted: Arc<Mutex<Vec<String>>>) {
    let Ok(registry) = TcpStream::connect(REGISTRY).await else { return };
    let (mut from, mut to_client) = client.into_split();
    let (mut answers, mut to) = registry.into_split();
    let asking = async move {
        let mut piece = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut piece).await {
            // A request's head comes in one piece: clients write it at once.
            noted.lock().unwrap().extend(lines(&piece[..read]));
            if to.write_all(&piece[..read]).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    let answering = async move {
        let _ = tokio::io::copy(&mut answers, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::join!(asking, answering);
}

/// The request line that a piece begins with.
fn lines(piece: &[u8]) -> Option<String> {
    METHODS.iter().any(|method| piece.starts_with(method)).then(|| {
        let end = piece.iter().position(|byte| *byte == b'\r').unwrap_or(piece.len());
        let line = String::from_utf8_lossy(&piece[..end]);
        line.trim_end_matches(" HTTP/1.1").to_owned()
    })
}
