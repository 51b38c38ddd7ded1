//! Bodies without an end and floods of sign-ins, sent by somebody who shows nothing: refused early, at a bounded cost,
//! while others are served.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::process::House;

/// After its refusal the server reads on for a second and throws away what comes, so that the answer arrives.
const CUT_OFF: Duration = Duration::from_secs(4);
const TEN_GIB: u64 = 10 << 30;

/// Memory of a process, in KiB: what it uses, and the most that it ever used.
fn memory(house: &House) -> (u64, u64) {
    let id = house.child.as_ref().unwrap().id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Sends as much of 10 GiB as the server takes; answers for how long it took it, and the status that it answered with.
fn pour(house: &House, path: &str, kind: &str, chunked: bool) -> (Duration, Option<u16>) {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(house.address).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let length =
        if chunked { "Transfer-Encoding: chunked".into() } else { format!("Content-Length: {TEN_GIB}") };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\nSec-Fetch-Site: same-origin\r\n{length}\r\n\r\n",
        house.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    let data = vec![b'a'; 1 << 16];
    let part = if chunked { [b"10000\r\n".as_slice(), &data, b"\r\n"].concat() } else { data };
    let mut sent = 0_u64;
    // Until the server closes, or takes nothing for five seconds: then it has stopped reading.
    while sent < TEN_GIB && stream.write_all(&part).is_ok() {
        sent += part.len() as u64;
    }
    let mut answer = [0_u8; 4_096];
    let read = match stream.read(&mut answer) {
        Ok(read) => read,
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::WouldBlock) => 0,
        Err(error) => panic!("{error}"),
    };
    let text = String::from_utf8_lossy(&answer[..read]);
    assert!(sent < TEN_GIB, "{path}: it took all");
    (begun.elapsed(), text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()))
}

#[tokio::test]
async fn ten_gibibytes_from_nobody_are_not_read() {
    let house = House::fresh().await;
    let form = "application/x-www-form-urlencoded";
    let paths = [
        ("/api/v1/bundles", "application/zip", 401),
        ("/api/v1/projects", "application/json", 401),
        ("/upload", "multipart/form-data; boundary=x", 401),
        ("/login", form, 413),
        ("/setup", form, 413),
        ("/auth/backchannel-logout", form, 413),
        ("/metrics", form, 405),
    ];
    let (before, _) = memory(&house);
    for (path, kind, expected) in paths {
        for chunked in [false, true] {
            let (took, status) = pour(&house, path, kind, chunked);
            assert!(took < CUT_OFF, "{path}: it took what came for {took:?} (chunked: {chunked})");
            // A reset connection may take the answer with it.
            if let Some(status) = status {
                assert!(status == expected || (400..500).contains(&status), "{path}: {status}");
            }
        }
    }
    let (_, most) = memory(&house);
    assert!(most < before + (32 << 10), "{before} KiB grew to {most} KiB");
    house.call(reqwest::Method::GET, "/me", None).await;
}

#[tokio::test]
async fn an_early_refusal_reaches_who_waits_for_it() {
    let house = House::fresh().await;
    for (path, expected) in [("/api/v1/bundles", "401"), ("/login", "413")] {
        let mut stream = TcpStream::connect(house.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\nContent-Length: {TEN_GIB}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0_u8; 512];
        let read = stream.read(&mut answer).expect("an answer before any of the body");
        let text = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(text.starts_with(&format!("HTTP/1.1 {expected}")), "{path}: {text}");
    }
}

/// A client that comes from another address of this machine.
fn from(address: Ipv4Addr) -> reqwest::Client {
    let client = reqwest::Client::builder().local_address(IpAddr::from(address));
    client.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

async fn sign_in(client: &reqwest::Client, house: &House, username: &str, password: &str) -> (u16, String) {
    let form = [("username", username), ("password", password)];
    let request = client.post(format!("http://{}/login", house.address)).form(&form);
    let request = request.header("sec-fetch-site", "same-origin").header("accept", "text/html");
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_sign_ins_costs_a_bounded_amount_and_others_are_served() {
    slipway::tls::install();
    let house = std::sync::Arc::new(House::fresh().await);
    let (before, _) = memory(&house);
    let begun = Instant::now();
    // 200 addresses, each well below its own limit, all at once, each for another account.
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..200_u8 {
        let house = std::sync::Arc::clone(&house);
        flood.spawn(async move {
            let client = from(Ipv4Addr::new(127, 0, 7, number.max(1)));
            let (mut wrong, mut refused) = (0, 0);
            for attempt in 0..3 {
                let name = format!("user{number}-{attempt}");
                match sign_in(&client, &house, &name, "wrong horse battery staple").await {
                    (401, _) => wrong += 1,
                    (429, page) => {
                        assert!(page.contains("Wait a minute"), "{page}");
                        refused += 1;
                    }
                    (other, page) => panic!("{other}: {page}"),
                }
            }
            (wrong, refused)
        });
    }
    let mut slowest = Duration::ZERO;
    let (mut wrong, mut refused, mut served) = (0, 0, 0);
    let mut done = Box::pin(async {
        while let Some(counted) = flood.join_next().await {
            let counted: (u32, u32) = counted.unwrap();
            (wrong, refused) = (wrong + counted.0, refused + counted.1);
        }
    });
    loop {
        let asked = Instant::now();
        tokio::select! {
            () = &mut done => break,
            _ = house.call(reqwest::Method::GET, "/me", None) => {
                slowest = slowest.max(asked.elapsed());
                served += 1;
            }
        }
    }
    drop(done);
    let (_, most) = memory(&house);
    println!(
        "{wrong} were checked, {refused} sent away in {:?}; {served} others served, the slowest in {slowest:?}",
        begun.elapsed()
    );
    assert_eq!(wrong + refused, 600);
    assert!(refused > 0 && wrong > 0, "some are checked, those beyond the queue are not");
    assert!(served > 10, "{served} served");
    assert!(most < before + (160 << 10), "{before} KiB grew to {most} KiB");
}

#[tokio::test]
async fn whoever_guesses_from_one_address_is_locked_out_and_told_so() {
    slipway::tls::install();
    let house = House::fresh().await;
    let client = from(Ipv4Addr::new(127, 0, 8, 1));
    let mut refused = None;
    for attempt in 0..40 {
        let (status, page) =
            sign_in(&client, &house, &format!("user{attempt}"), "wrong horse battery staple").await;
        if status == 429 {
            refused = Some((attempt, page));
            break;
        }
        assert_eq!(status, 401);
    }
    let (attempts, page) = refused.expect("it ends");
    assert!((30..40).contains(&attempts), "after {attempts}");
    assert!(page.contains("oo many attempts") && page.contains("Wait a minute"), "{page}");
    let other = from(Ipv4Addr::new(127, 0, 8, 2));
    assert_eq!(
        sign_in(&other, &house, "ada", "wrong horse battery staple").await.0,
        401,
        "others may still try"
    );
}
