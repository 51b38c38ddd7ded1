//! Real requests by a service's name, from a peer on the same network, while revisions change hands.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use slipway::domain::workload::{Image, Service, UpdateOrder};
use slipway::engine::{LogOptions, ServiceRequest, SlotRef};

use super::Docker;
use crate::conformance::Bed;

/// Answers every request with `text`; busybox gives up its pages at once when it is told to stop.
fn server(text: &str) -> Service {
    let script =
        format!("mkdir -p /tmp/www; echo {text} >/tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www");
    crate::conformance::sh(&script)
}

/// A service of the image that has Python. The small image's own programs can't look up names.
fn python(script: &str) -> Service {
    let mut service = crate::conformance::sh("");
    service.image = Image::Reference("python:3.11-slim".into());
    service.command = Some(vec!["python3".into(), "-u".into(), "-c".into(), script.into()]);
    service
}

/// Asks ten times a second until it is stopped; one line for each answer.
fn client() -> Service {
    python(
        "import time, urllib.request as r\n\
         while True:\n    \
             try: print(r.urlopen('http://api:8080/', timeout=5).read().decode().strip())\n    \
             except Exception as error: print('FAILED', error)\n    \
             time.sleep(0.1)\n",
    )
}

/// Sends back whatever it hears.
fn echo() -> Service {
    python(
        "import socketserver as s\n\
         class H(s.BaseRequestHandler):\n    \
             def handle(self):\n        \
                 while data := self.request.recv(99): self.request.sendall(data)\n\
         s.ThreadingTCPServer(('', 9000), H).serve_forever()\n",
    )
}

struct Town {
    bed: Bed<Docker>,
    client: ServiceRequest,
}

impl Town {
    /// A server of the first revision and a client beside it.
    async fn found() -> (Self, SlotRef) {
        let bed = Bed::new(Docker::new());
        let first = bed.up(server("first"), 1).await;
        let plan = bed.plan(client());
        let (resolution, _) = bed.prepare(&plan, None).await;
        let mut request = bed.request(&plan, &resolution, 1);
        request.name = "client".parse().unwrap();
        bed.engine.ensure(&request).await.unwrap();
        let town = Self { bed, client: request };
        (town, first.ensured.slots[0].clone())
    }

    async fn answers(&self) -> Vec<String> {
        let slot = SlotRef {
            workload: self.client.workload.clone(),
            service: self.client.name.clone(),
            hash: self.client.hash.clone(),
            index: 0,
        };
        let stream = self.bed.engine.logs(&slot, &LogOptions::default()).await.unwrap();
        let batches: Vec<_> = stream.try_collect().await.unwrap();
        let lines = batches.concat().into_iter();
        lines.map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect()
    }

    /// Waits for answers after the first `seen`, and gives those.
    async fn more(&self, seen: usize) -> Vec<String> {
        for _ in 0..300 {
            let answers = self.answers().await;
            if answers.len() >= seen + 8 {
                return answers[seen..].to_vec();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the client hears nothing: {:?}", self.answers().await);
    }
}

fn kinds(answers: &[String]) -> BTreeSet<&str> {
    answers.iter().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_when_a_revision_takes_over() {
    let (town, old) = Town::found().await;
    let heard = town.more(0).await;
    assert!(kinds(&heard).contains("first"), "{heard:?}");
    let settled = town.answers().await.len();
    let second = town.bed.up(server("second"), 2).await;
    town.bed.running(&second.ensured.slots[0]).await;
    let before_switch = town.more(settled).await;
    assert_eq!(kinds(&before_switch), BTreeSet::from(["first"]), "a fresh replica gets no traffic");
    town.bed.engine.switch(&second.request).await.unwrap();
    town.bed.engine.retire(&old).await.unwrap();
    let retired = town.answers().await.len();
    let after = town.more(retired + 2).await;
    assert_eq!(kinds(&after), BTreeSet::from(["second"]));
    let all = town.answers().await;
    assert_eq!(kinds(&all[settled..]), BTreeSet::from(["first", "second"]), "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_connection_outlives_the_switch() {
    // The client says a line a second over one connection; the server says each one back.
    let bed = Bed::new(Docker::new());
    let old = bed.up(crate::conformance::sh("sleep 600"), 1).await;
    let new = bed.up(echo(), 2).await;
    let slot = &new.ensured.slots[0];
    bed.running(slot).await;
    let address = bed.engine.connect(slot, 9000).await.unwrap();
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut open = loop {
        match tokio::net::TcpStream::connect(address).await {
            Ok(open) => break open,
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    let mut heard = [0; 4];
    open.write_all(b"one\n").await.unwrap();
    open.read_exact(&mut heard).await.unwrap();
    bed.engine.switch(&new.request).await.unwrap();
    open.write_all(b"two\n").await.unwrap();
    let again = tokio::time::timeout(Duration::from_secs(20), open.read_exact(&mut heard)).await;
    again.expect("the connection lives on").unwrap();
    assert_eq!(&heard, b"two\n");
    assert_eq!(bed.engine.connect(slot, 9000).await.unwrap(), address, "at its old address");
    bed.engine.retire(&old.ensured.slots[0]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revived_replica_that_lost_its_address_gets_another() {
    let bed = Bed::new(Docker::new());
    let stop_first = |script: &str| {
        let mut service = crate::conformance::sh(script);
        service.order = UpdateOrder::StopFirst;
        service
    };
    // Scaling makes a replica that was switched, and so holds a fixed address.
    bed.up(stop_first("sleep 600"), 1).await;
    let mut two = stop_first("sleep 600");
    two.replicas = 2;
    let old = bed.up(two, 2).await;
    bed.engine.switch(&old.request).await.unwrap();
    let held: BTreeSet<_> = addresses(&bed, &old.ensured.slots).await;
    let mut many = stop_first("sleep 601");
    many.replicas = 4;
    let new = bed.up(many, 3).await;
    // Whoever of the new ones has a held address keeps the old one from starting with it.
    let docker = Docker::by_hand();
    let mut taken = addresses(&bed, &new.ensured.slots).await;
    for address in &held {
        for slot in &new.ensured.slots {
            let own = addresses(&bed, std::slice::from_ref(slot)).await;
            if !taken.contains(address) && own.is_disjoint(&held) {
                let id = bed.running(slot).await.engine_id;
                move_to(&docker, &id, &new.request.network, &address.to_string()).await;
                taken = addresses(&bed, &new.ensured.slots).await;
            }
        }
    }
    assert!(taken.is_superset(&held));
    bed.engine.revive(&new.ensured.stopped).await.unwrap();
    for slot in &new.ensured.stopped {
        assert!(bed.running(slot).await.serving);
    }
    assert!(addresses(&bed, &new.ensured.stopped).await.is_disjoint(&held));
}

async fn addresses(bed: &Bed<Docker>, slots: &[SlotRef]) -> BTreeSet<std::net::IpAddr> {
    let mut all = BTreeSet::new();
    for slot in slots {
        all.insert(bed.engine.connect(slot, 1).await.unwrap().ip());
    }
    all
}

async fn move_to(docker: &bollard::Docker, container: &str, network: &str, address: &str) {
    use bollard::models::{
        EndpointIpamConfig, EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest,
    };
    let leave = NetworkDisconnectRequest { container: container.into(), force: None };
    docker.disconnect_network(network, leave).await.unwrap();
    let fixed = EndpointIpamConfig { ipv4_address: Some(address.into()), ..Default::default() };
    let join = NetworkConnectRequest {
        container: container.into(),
        endpoint_config: Some(EndpointSettings { ipam_config: Some(fixed), ..Default::default() }),
    };
    docker.connect_network(network, join).await.unwrap();
}
