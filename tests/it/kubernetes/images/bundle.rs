//! Files of bundles in images: what nodes then see, how often anything is pushed, and how much of it lies in memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use slipway::domain::workload::Protocol;
use slipway::engine::kubernetes::images::{forget, hosts, pull_secret};

use super::counter::writes;
use super::stage::{LAB, Stage, config, layer, other_client, service};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_finds_the_files_and_everything_else_as_the_image_has_it() {
    let stage = Stage::new().await;
    stage.push_busybox(&stage.base("busybox"), "1").await;
    stage.write("model/weights.txt", "0.5 0.25");
    stage.write("run.sh", "#!/bin/sh\necho it runs\n");
    let script = stage.bundle.path().join("run.sh");
    std::fs::set_permissions(script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let base = format!("{LAB}/{}:1", stage.base("busybox"));
    let files = [("model", "/srv/model"), ("run.sh", "/bin/iris"), ("model/weights.txt", "/tmp/deep/w.txt")];
    let made = stage.one(service(&base, &files), "first").await.unwrap();

    let image = made.image.pull_digest.clone().unwrap();
    assert_eq!((made.image.reference.as_str(), made.files), (base.as_str(), None));
    assert!(image.ends_with(&made.image.id) && image.starts_with(&stage.counter.host()), "{image}");
    let script = "cat /srv/model/weights.txt; echo; iris; cat /tmp/deep/w.txt; echo; \
                  stat -c '%a %u' /tmp /tmp/deep /bin /srv/model/weights.txt; echo mine >/tmp/mine && cat /tmp/mine";
    let said = stage.run(&image, script).await;
    let expected = "0.5 0.25\nit runs\n0.5 0.25\n1777 0\n755 0\n755 0\n644 0\nmine\n";
    assert_eq!(said, expected, "the folder for everybody stays one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_files_over_the_same_image_are_pushed_once() {
    let stage = Stage::new().await;
    stage.push_busybox(&stage.base("busybox"), "1").await;
    stage.write("a.txt", "a");
    // By the counter's name, so that base and result lie in one registry.
    let base = format!("{}/{}:1", stage.counter.host(), stage.base("busybox"));
    let one = service(&base, &[("a.txt", "/opt/a.txt")]);
    let both = stage.request(stage.plan(&[("api", one.clone()), ("worker", one.clone())], "first"));
    let first = stage.prepare(&both).await.unwrap();
    let digests: BTreeSet<_> = first.values().map(|one| one.image.pull_digest.clone()).collect();
    assert_eq!(digests.len(), 1);
    let asked = stage.counter.take();
    let writes_of = |what: &str| writes(&asked).into_iter().filter(|line| line.contains(what)).count();
    assert_eq!(writes_of("mount="), 1, "the base's layer is not sent again: {asked:#?}");
    assert_eq!(writes_of("digest="), 2, "the files' layer and the configuration: {asked:#?}");
    assert_eq!(writes_of("/manifests/"), 1, "{asked:#?}");

    let second = stage.prepare(&both).await.unwrap();
    assert_eq!(first, second);
    let asked = stage.counter.take();
    assert_eq!(writes(&asked), Vec::<&String>::new());

    // The tag is lost: what is made again is the same to the last byte.
    let place = first.values().next().unwrap().image.pull_digest.clone().unwrap();
    let repository = place.split_once('@').unwrap().0.split_once('/').unwrap().1.to_owned();
    let digest = place.split_once('@').unwrap().1;
    let gone = stage.ask(Method::DELETE, &format!("{repository}/manifests/{digest}")).await;
    assert_eq!(gone.status(), 202);
    assert_eq!(stage.prepare(&both).await.unwrap(), first);
    let asked = stage.counter.take();
    let sent: Vec<&String> = writes(&asked);
    assert_eq!(sent.len(), 1, "its blobs are there, only the manifest is put again: {asked:#?}");

    // Other files are another image.
    stage.write("a.txt", "b");
    let other = stage.one(one, "second").await.unwrap();
    assert_ne!(other.image.pull_digest.as_deref(), Some(place.as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_with_one_base_copy_it_once() {
    let stage = Stage::new().await;
    stage.push_busybox(&stage.base("busybox"), "1").await;
    stage.write("a.txt", "a");
    stage.write("b.txt", "b");
    let base = format!("{LAB}/{}:1", stage.base("busybox"));
    let api = service(&base, &[("a.txt", "/opt/a.txt")]);
    let worker = service(&base, &[("b.txt", "/opt/b.txt")]);
    let made = stage.prepare(&stage.request(stage.plan(&[("api", api), ("worker", worker)], "first"))).await;
    let digests: BTreeSet<_> = made.unwrap().into_values().map(|one| one.image.id).collect();
    assert_eq!(digests.len(), 2);
    let layer = {
        let name = stage.base("busybox");
        let manifest = stage.ask(Method::GET, &format!("{name}/manifests/1")).await;
        let manifest: serde_json::Value = manifest.json().await.unwrap();
        manifest["layers"][0]["digest"].as_str().unwrap().replace(':', "%3A")
    };
    let asked = stage.counter.take();
    let sent = asked.iter().filter(|line| line.starts_with("PUT ") && line.contains(&layer));
    assert_eq!(sent.count(), 1, "{asked:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_base_passes_through_without_lying_in_memory() {
    const LARGE: usize = 60 << 20;
    let stage = Stage::new().await;
    stage.write("a.txt", "a");
    let base = format!("{LAB}/{}:1", stage.base("large"));
    {
        // The same bytes in every run, so that the registry keeps them once; nothing packs them smaller.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut content = Vec::with_capacity(LARGE);
        while content.len() < LARGE {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            content.extend_from_slice(&state.to_le_bytes());
        }
        let (layer, diff_id) = layer("large.bin", &content);
        assert!(layer.len() > LARGE / 2);
        stage.push_layer(&stage.base("large"), "1", layer, config("amd64", &diff_id, 8080)).await;
    }
    let before = anonymous();
    let (most, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    // The pages of the program's own file, which come in as it runs, are no part of what is copied: only the rest counts.
    let watch = {
        let (most, over) = (Arc::clone(&most), Arc::clone(&over));
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(anonymous(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        })
    };
    let made = stage.one(service(&base, &[("a.txt", "/opt/a.txt")]), "first").await.unwrap();
    over.store(true, Ordering::Relaxed);
    watch.join().unwrap();
    let more = most.load(Ordering::Relaxed).saturating_sub(before);
    assert!(more < 24 << 10, "{more} KiB more at the most");
    assert_eq!(made.image.exposed, [(8080, Protocol::Tcp)].into());
    let manifest = stage.manifest(made.image.pull_digest.as_deref().unwrap()).await;
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 2);
    let asked = stage.counter.take();
    assert!(writes(&asked).iter().all(|line| !line.contains("mount=")), "another host's layers are copied");
}

/// KiB of this process' memory that no file backs.
fn anonymous() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_for_several_machines_stays_one() {
    let stage = Stage::new().await;
    stage.write("a.txt", "a");
    let name = stage.base("many");
    let mut entries = Vec::new();
    for (machine, port) in [("amd64", 80), ("arm64", 81), ("s390x", 82)] {
        let (layer, diff_id) = layer("machine", machine.as_bytes());
        let digest = stage.push_layer(&name, machine, layer, config(machine, &diff_id, port)).await;
        let manifest = stage.ask(Method::GET, &format!("{name}/manifests/{digest}")).await;
        let kind = manifest.headers()["content-type"].to_str().unwrap().to_owned();
        let size = manifest.bytes().await.unwrap().len();
        entries.push(json!({ "mediaType": kind, "digest": digest, "size": size,
                             "platform": { "os": "linux", "architecture": machine } }));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                        "manifests": entries });
    let reference: oci_client::Reference = format!("{LAB}/{name}:1").parse().unwrap();
    let client = other_client();
    let who = oci_client::secrets::RegistryAuth::Basic("lab".into(), "lab-secret".into());
    let index = serde_json::from_value(index).unwrap();
    client.push_manifest_list(&reference, &who, index).await.unwrap();
    let pushed = client.fetch_manifest_digest(&reference, &who).await.unwrap();

    // As it is: the index itself is pinned, since nodes choose.
    let plain = stage.one(service(&reference.whole(), &[]), "first").await.unwrap();
    assert_eq!(plain.image.pull_digest, Some(format!("{LAB}/{name}@{pushed}")));
    assert_eq!(plain.image.exposed, [(80, Protocol::Tcp)].into());

    let made = stage.one(service(&reference.whole(), &[("a.txt", "/opt/a.txt")]), "first").await.unwrap();
    let place = made.image.pull_digest.unwrap();
    let manifest = stage.manifest(&place).await;
    let entries = manifest["manifests"].as_array().unwrap();
    let machines: Vec<_> = entries.iter().map(|entry| entry["platform"]["architecture"].clone()).collect();
    assert_eq!(machines, ["amd64", "arm64"]);
    for entry in entries {
        let of = format!("{}@{}", place.split_once('@').unwrap().0, entry["digest"].as_str().unwrap());
        let manifest = stage.manifest(&of).await;
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 2, "{of}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_is_asked_in_the_place_of_its_registry() {
    let mut stage = Stage::new().await;
    let hub = stage.base("hub");
    stage.push_busybox(&format!("{hub}/library/busybox"), "1").await;
    let mirror = format!("{}/{hub}", stage.counter.host());
    stage.cluster.mirrors.insert("docker.io".into(), mirror.clone());
    let made = stage.one(service("busybox:1", &[]), "first").await.unwrap();
    let digest = made.image.pull_digest.clone().unwrap();
    assert!(digest.starts_with(&format!("{mirror}/library/busybox@sha256:")), "{digest}");
    assert_eq!(made.image.reference, "busybox:1");
    assert_eq!(stage.run(&digest, "echo pulled").await, "pulled\n");

    // Nodes prove themselves to the mirror, and to nobody else.
    let secret = pull_secret(&stage.registries(), &hosts(std::iter::once(&made.image))).unwrap();
    let secret: serde_json::Value = serde_json::from_slice(&secret).unwrap();
    let named: Vec<&String> = secret["auths"].as_object().unwrap().keys().collect();
    assert_eq!(named, [&stage.counter.host()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_revision_needs_is_taken_off_the_registry() {
    let stage = Stage::new().await;
    stage.push_busybox(&stage.base("busybox"), "1").await;
    let base = format!("{}/{}:1", stage.counter.host(), stage.base("busybox"));
    let one = service(&base, &[("a.txt", "/opt/a.txt")]);
    let mut made = Vec::new();
    for content in ["first", "second"] {
        stage.write("a.txt", content);
        made.push(stage.one(one.clone(), content).await.unwrap().image);
    }
    let there = async |number: usize| {
        let (place, digest): (String, String) = {
            let (place, digest) = made[number].pull_digest.as_deref().unwrap().split_once('@').unwrap();
            (place.split_once('/').unwrap().1.to_owned(), digest.to_owned())
        };
        stage.ask(Method::HEAD, &format!("{place}/manifests/{digest}")).await.status().as_u16()
    };
    assert_eq!((there(0).await, there(1).await), (200, 200));
    let keep = BTreeSet::from([made[1].id.clone()]);
    let workload = "iris".parse().unwrap();
    // Another instance's is not touched.
    forget(&stage.cluster, "another-instance", &stage.registries(), &workload, &BTreeSet::new())
        .await
        .unwrap();
    assert_eq!((there(0).await, there(1).await), (200, 200));
    forget(&stage.cluster, &stage.instance, &stage.registries(), &workload, &keep).await.unwrap();
    assert_eq!((there(0).await, there(1).await), (404, 200));
    let base = stage.ask(Method::HEAD, &format!("{}/manifests/1", stage.base("busybox"))).await;
    assert_eq!(base.status(), 200, "the base is nobody's of ours");
}
