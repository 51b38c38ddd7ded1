//! The smallest HTTP/1.1 client there is, over any stream: the references must not pay for anybody's comfort.

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;

const SOCKET: &str = "/var/run/docker.sock";

/// A kept-alive connection.
pub struct Connection<S> {
    stream: S,
    buffer: Vec<u8>,
}

/// One connection to the Docker engine's socket.
pub async fn docker() -> Connection<UnixStream> {
    Connection::new(UnixStream::connect(SOCKET).await.expect("a Docker engine answers on its socket"))
}

/// What the engine is asked for one container on that network, bounded and confined as Slipway's own are.
pub fn container(network: &str) -> String {
    json!({ "Image": "busybox:lab", "Cmd": ["sleep", "600"], "Env": ["N=1"],
        "HostConfig": { "NetworkMode": network, "Init": true, "Memory": 2_147_483_648_u64, "PidsLimit": 1024,
            "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"] } })
    .to_string()
}

/// Creates and starts a container of that name.
pub async fn create_and_start<S>(engine: &mut Connection<S>, name: &str, body: &str)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (status, answer) = engine.call("POST", &format!("/containers/create?name={name}"), body).await;
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&answer));
    let (status, _) = engine.call("POST", &format!("/containers/{name}/start"), "").await;
    assert_eq!(status, 204);
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::with_capacity(64 * 1024) }
    }

    /// Sends a JSON request, reads the whole answer.
    pub async fn call(&mut self, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.exchange(request.as_bytes()).await
    }

    /// Sends `request` as it is, reads the whole answer.
    pub async fn exchange(&mut self, request: &[u8]) -> (u16, Vec<u8>) {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        let head = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n", 0) {
                break at + 4;
            }
            self.more().await;
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        let status: u16 = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        let length =
            text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if let Some(length) = length {
            while self.buffer.len() < head + length {
                self.more().await;
            }
        } else if text.contains("transfer-encoding: chunked") {
            while !self.buffer[head..].ends_with(b"0\r\n\r\n") {
                self.more().await;
            }
        }
        (status, self.buffer[head..].to_vec())
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
        assert!(read > 0, "the other side hung up: {}", String::from_utf8_lossy(&self.buffer));
    }

    /// Sends a request and hands every piece of the answer's body to `each`, until the other side or `each` ends it.
    pub async fn stream(mut self, request: &[u8], mut each: impl FnMut(&[u8]) -> bool) {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        let head = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n", 0) {
                break at + 4;
            }
            self.more().await;
        };
        let chunked = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase().contains("chunked");
        let mut chunks = Chunks { left: if chunked { 0 } else { usize::MAX }, size: Vec::new() };
        if !chunks.take(&self.buffer[head..], &mut each) {
            return;
        }
        let mut piece = vec![0; 256 * 1024];
        loop {
            let read = self.stream.read(&mut piece).await.unwrap_or(0);
            if read == 0 || !chunks.take(&piece[..read], &mut each) {
                return;
            }
        }
    }
}

/// Takes the sizes of HTTP's chunks out of a body.
struct Chunks {
    /// Bytes that are left of this chunk; what is not chunked is one without end.
    left: usize,
    /// Of the next chunk, as far as it was read.
    size: Vec<u8>,
}

impl Chunks {
    fn take(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&[u8]) -> bool) -> bool {
        while !bytes.is_empty() {
            if self.left > 0 {
                let (piece, rest) = bytes.split_at(self.left.min(bytes.len()));
                if self.left != usize::MAX {
                    self.left -= piece.len();
                }
                bytes = rest;
                if !each(piece) {
                    return false;
                }
                continue;
            }
            let (byte, rest) = (bytes[0], &bytes[1..]);
            bytes = rest;
            match byte {
                b'\n' if !self.size.is_empty() => {
                    let digits = String::from_utf8_lossy(&std::mem::take(&mut self.size)).into_owned();
                    self.left = usize::from_str_radix(&digits, 16).unwrap();
                    if self.left == 0 {
                        return false;
                    }
                }
                b'\r' | b'\n' => {}
                digit => self.size.push(digit),
            }
        }
        true
    }
}

fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    haystack[from..].windows(needle.len()).position(|window| window == needle).map(|at| at + from)
}
