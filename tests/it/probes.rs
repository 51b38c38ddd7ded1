//! Connections that Slipway makes to an address that somebody named: the engine's, which only an administrator sets and
//! which is a unix socket or nothing. (The identity provider's address is the operator's; `auth::oidc` has its tests.)

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::json;

use crate::harness::process::House;

/// Counts who connects.
fn counting() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    (address, count)
}

async fn test(house: &House, id: &str) -> (u16, String) {
    let url = format!("http://{}/api/v1/infrastructures/{id}/test", house.address);
    let answer = reqwest::Client::new().post(url).bearer_auth(&house.key).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn an_engine_is_never_sought_on_a_network() {
    let house = House::fresh().await;
    let (address, count) = counting();
    let port = address.port();
    let hosts = [
        format!("tcp://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}"),
        format!("tcp://[::1]:{port}"),
        format!("http://2130706433:{port}"),
        format!("http://0x7f.1:{port}"),
        format!("tcp://[::ffff:127.0.0.1]:{port}"),
        format!("ssh://root@127.0.0.1:{port}"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("unix://127.0.0.1:{port}"),
        "unix://relative.sock".to_owned(),
        "/var/run/docker.sock".to_owned(),
        String::new(),
    ];
    for (number, host) in hosts.iter().enumerate() {
        let id = format!("probe{number}");
        let spec = json!({ "stage": "dev", "engine": { "kind": "docker", "host": host } });
        house.call(Method::POST, "/infrastructures", Some(json!({ "name": id, "spec": spec }))).await;
        let (status, text) = test(&house, &id).await;
        assert_eq!(status, 503, "{host}: {text}");
        assert!(text.contains("name a unix socket"), "{host}: {text}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 0, "somebody was connected to");
}

#[tokio::test]
async fn a_socket_that_redirects_is_not_followed() {
    let house = House::fresh().await;
    let (address, count) = counting();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0_u8; 4_096]);
            let answer = format!(
                "HTTP/1.1 302 Found\r\nLocation: http://{address}/latest/meta-data/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let engine = json!({ "kind": "docker", "host": format!("unix://{}", socket.display()) });
    let spec = json!({ "stage": "dev", "engine": engine });
    house.call(Method::POST, "/infrastructures", Some(json!({ "name": "odd", "spec": spec }))).await;
    let (status, text) = test(&house, "odd").await;
    assert_eq!(status, 503, "{text}");
    assert_eq!(count.load(Ordering::SeqCst), 0, "the redirect was followed");
}
