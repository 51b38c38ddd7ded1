//! Registries that the lab's is not: with a token server, sending blobs elsewhere, or hostile.

use std::sync::{Arc, Mutex};

use serde_json::json;
use slipway::domain::bundle::Digest;
use slipway::domain::workload::Protocol;
use slipway::engine::{EngineError, RegistryCredentials};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::stage::{Stage, config, service};

/// What a request gets: status, more headers, body.
type Answer = (u16, String, Vec<u8>);

/// A server that answers as it is told and remembers the heads of requests.
struct Odd {
    host: String,
    heads: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Odd {
    /// `answer` is given its own host and a request's head.
    async fn new(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (noted, own) = (Arc::clone(&heads), host.clone());
        let task = tokio::spawn(async move {
            loop {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = String::from_utf8(head).unwrap();
                let (status, headers, body) = answer(&own, &head);
                let length = body.len();
                let about = format!(
                    "HTTP/1.1 {status} x\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                noted.lock().unwrap().push(head);
                // Whoever hangs up does so in the middle of a body that is too long.
                let _ = stream.write_all(about.as_bytes()).await;
                let _ = stream.write_all(&body).await;
            }
        });
        Self { host, heads, task }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Digest::of(bytes))
}

/// A manifest without layers, and its configuration.
fn image() -> (Vec<u8>, Vec<u8>) {
    let config = config("amd64", &digest(b""), 8080).to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len() },
        "layers": [],
    });
    (manifest.to_string().into_bytes(), config)
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn typed(body: Vec<u8>) -> Answer {
    (200, format!("Content-Type: {MANIFEST}\r\n"), body)
}

async fn ask(host: &str) -> Result<slipway::engine::kubernetes::images::Prepared, EngineError> {
    let stage = Stage::new().await;
    let mut request =
        stage.request(stage.plan(&[("api", service(&format!("{host}/team/api:1"), &[]))], "first"));
    let who = RegistryCredentials { username: "lab".into(), password: "lab-secret".to_owned().into() };
    request.registries = [(host.to_owned(), who)].into();
    Ok(stage.prepare(&request).await?.into_values().next().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_fetched_for_the_password_and_shown_in_its_place() {
    let (manifest, config) = image();
    let expected = digest(&manifest);
    let odd = Odd::new(move |host, head| {
        let basic = head.to_lowercase().contains("authorization: basic bgfiomxhyi1zzwnyzxq=");
        let token = head.to_lowercase().contains("authorization: bearer t0k");
        if head.starts_with("GET /token?service=reg&scope=repository%3Ateam%2Fapi%3Apull ") && basic {
            (200, String::new(), br#"{"token":"t0k"}"#.to_vec())
        } else if !token {
            let challenge =
                format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"reg\"\r\n");
            (401, challenge, Vec::new())
        } else if head.contains("/manifests/") {
            typed(manifest.clone())
        } else {
            typed(config.clone())
        }
    })
    .await;
    let made = ask(&odd.host).await.unwrap();
    assert_eq!((made.image.id, made.image.exposed), (expected, [(8080, Protocol::Tcp)].into()));
    assert_eq!(odd.heads().len(), 4, "asked once too often: {:#?}", odd.heads());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_goes_to_no_token_server_in_the_clear() {
    let odd = Odd::new(|_, _| {
        (401, "WWW-Authenticate: Bearer realm=\"http://192.0.2.7/token\"\r\n".into(), Vec::new())
    })
    .await;
    let error = ask(&odd.host).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Refused(_)) && error.to_string().contains("no safe token server"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_does_not_follow_a_blob_to_another_server() {
    let (manifest, config) = image();
    let elsewhere = Odd::new(move |_, _| typed(config.clone())).await;
    let other = elsewhere.host.clone();
    let odd = Odd::new(move |_, head| {
        if !head.to_lowercase().contains("authorization: basic") {
            (401, "WWW-Authenticate: Basic realm=\"x\"\r\n".into(), Vec::new())
        } else if head.contains("/manifests/") {
            typed(manifest.clone())
        } else {
            (307, format!("Location: http://{other}/blob\r\n"), Vec::new())
        }
    })
    .await;
    ask(&odd.host).await.unwrap();
    let heads = elsewhere.heads();
    assert_eq!(heads.len(), 1);
    assert!(!heads[0].to_lowercase().contains("authorization"), "{heads:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_registry_sends_has_its_bounds_and_is_checked() {
    let odd = Odd::new(|_, _| typed(vec![b' '; 32 << 20])).await;
    let error = ask(&odd.host).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Refused(_)) && error.to_string().contains("sent more than"),
        "{error}"
    );

    // A configuration that is not the one that the manifest names.
    let (manifest, _) = image();
    let odd = Odd::new(move |_, head| {
        typed(if head.contains("/manifests/") { manifest.clone() } else { b"{}".to_vec() })
    })
    .await;
    let error = ask(&odd.host).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Refused(_)) && error.to_string().contains("something else"),
        "{error}"
    );

    let odd = Odd::new(|_, _| (503, String::new(), b"<html>secret of the proxy</html>".to_vec())).await;
    let made = ask(&odd.host).await.unwrap();
    assert_eq!(made.image.pull_digest, None, "a registry that is ill counts as away");
}
