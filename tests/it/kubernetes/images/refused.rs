//! What can't be had, in words; and what is gone on with all the same.

use reqwest::Method;
use slipway::engine::EngineError;
use slipway::engine::kubernetes::images::Prepared;
use tokio::io::AsyncReadExt as _;

use super::stage::{LAB, Stage, service};

const FILES: [(&str, &str); 1] = [("a.txt", "/opt/a.txt")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_a_missing_tag_are_told_apart() {
    let mut stage = Stage::new().await;
    stage.push_busybox(&stage.base("busybox"), "1").await;
    let missing = format!("{LAB}/{}:2", stage.base("busybox"));
    let error = stage.one(service(&missing, &[]), "first").await.unwrap_err();
    assert!(matches!(&error, EngineError::ImageNotFound { image, .. } if *image == missing), "{error}");
    let nowhere = format!("{LAB}/{}:1", stage.base("nowhere"));
    let error = stage.one(service(&nowhere, &[]), "first").await.unwrap_err();
    assert!(matches!(&error, EngineError::ImageNotFound { .. }), "{error}");
    let error = stage.one(service("Not An Image", &[]), "first").await.unwrap_err();
    assert!(matches!(&error, EngineError::ImageNotFound { .. }), "{error}");

    stage.password = "wrong-secret";
    let there = format!("{LAB}/{}:1", stage.base("busybox"));
    let error = stage.one(service(&there, &[]), "first").await.unwrap_err();
    assert!(matches!(&error, EngineError::ImageDenied { image, .. } if *image == there), "{error}");
    let said = error.to_string();
    assert!(said.contains("credentials") && said.contains(LAB) && !said.contains("wrong-secret"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_is_not_allowed_says_where() {
    let mut stage = Stage::new().await;
    stage.push_busybox(&stage.base("busybox"), "1").await;
    stage.write("a.txt", "a");
    let base = format!("{LAB}/{}:1", stage.base("busybox"));
    let mut request = stage.request(stage.plan(&[("api", service(&base, &FILES))], "first"));
    request.registries.remove(&stage.counter.host());
    let error = stage.prepare(&request).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::ImageDenied { image, .. } if image.contains(&stage.counter.host())),
        "{error}"
    );
    stage.cluster.registry = Some("https://registry.example.org".into());
    let error = stage.one(service(&base, &FILES), "first").await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Refused(_)) && error.to_string().contains("name a host and a path"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_away_stops_only_what_has_to_be_read() {
    let stage = Stage::new().await;
    stage.write("a.txt", "a");
    let away = "127.0.0.1:1/team/api:1";
    let made = stage.one(service(away, &[]), "first").await.unwrap();
    assert_eq!((made.image.id.as_str(), made.image.pull_digest), (away, None));
    let told = stage.told();
    assert!(told.contains("can't be reached") && told.contains("not pinned"), "{told}");
    let error = stage.one(service(away, &FILES), "first").await.unwrap_err();
    assert!(matches!(&error, EngineError::RegistryUnreachable { .. }) && error.is_transient(), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_machine_is_never_spoken_to_in_the_clear() {
    let stage = Stage::new().await;
    stage.write("a.txt", "a");
    // The address by which this machine would reach others; nothing is sent.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").unwrap();
    let address = socket.local_addr().unwrap().ip();
    assert!(!address.is_loopback());
    let listener = tokio::net::TcpListener::bind((address, 0)).await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).await.unwrap();
        first[0]
    });
    let error = stage.one(service(&format!("{host}/team/api:1"), &FILES), "first").await.unwrap_err();
    assert!(matches!(&error, EngineError::RegistryUnreachable { .. }), "{error}");
    assert_eq!(heard.await.unwrap(), 0x16, "the first byte is a TLS handshake's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_registry_900_kib_of_files_go_as_a_map() {
    let mut stage = Stage::new().await;
    stage.cluster.registry = None;
    stage.push_busybox(&stage.base("busybox"), "1").await;
    let base = format!("{LAB}/{}:1", stage.base("busybox"));
    stage.write("data/a.bin", vec![7; 600 << 10]);
    stage.write("data/deep/b.bin", vec![8; 300 << 10]);
    let one = service(&base, &[("data", "/data")]);
    let made = stage.one(one.clone(), "first").await.unwrap();
    let map = made.files.unwrap();
    let paths: Vec<&str> = map.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["/data/a.bin", "/data/deep/b.bin"]);
    assert_eq!(map.files[1].bytes, vec![8; 300 << 10]);
    assert!(
        made.image.pull_digest.unwrap().starts_with(&base[..base.len() - 2]),
        "the image is pinned as it is"
    );

    stage.write("data/c.bin", vec![9; 1 << 10]);
    let error = stage.one(one, "second").await.unwrap_err();
    let said = error.to_string();
    assert!(matches!(&error, EngineError::Refused(_)) && said.contains("901 KiB"), "{said}");
    assert!(said.contains("name a registry"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pinned_stays_whatever_its_tag_means_today() {
    let stage = Stage::new().await;
    let name = stage.base("moving");
    stage.push_busybox(&name, "1").await;
    let one = service(&format!("{LAB}/{name}:1"), &[]);
    let first = stage.one(one.clone(), "first").await.unwrap();
    let (layer, diff_id) = super::stage::layer("new", b"new");
    let moved = stage.push_layer(&name, "1", layer, super::stage::config("amd64", &diff_id, 1)).await;
    assert_eq!(stage.one(one.clone(), "first").await.unwrap().image.id, moved);

    let mut request = stage.request(stage.plan(&[("api", one)], "first"));
    request.pinned.insert("api".parse().unwrap(), first.image.clone());
    let kept: Vec<Prepared> = stage.prepare(&request).await.unwrap().into_values().collect();
    assert_eq!(kept, std::slice::from_ref(&first));

    let gone = stage.ask(Method::DELETE, &format!("{name}/manifests/{}", first.image.id)).await;
    assert_eq!(gone.status(), 202);
    let error = stage.prepare(&request).await.unwrap_err();
    assert!(matches!(&error, EngineError::ImageNotFound { .. }), "{error}");
    assert!(error.to_string().contains("no longer has it"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_of_another_deployment_are_nobodys_base() {
    let stage = Stage::new().await;
    stage.push_busybox(&stage.base("busybox"), "1").await;
    stage.write("a.txt", "somebody's");
    let base = format!("{LAB}/{}:1", stage.base("busybox"));
    let made = stage.one(service(&base, &FILES), "first").await.unwrap();
    let theirs = made.image.pull_digest.unwrap();
    let error = stage.one(service(&theirs, &[]), "second").await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Refused(_)) && error.to_string().contains("not everybody's"),
        "{error}"
    );
}
