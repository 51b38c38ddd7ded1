//! The bundles under `examples/` are what a new user tries first: each is accepted as it stands, under the policy that
//! an infrastructure starts with.

use std::path::Path;

use slipway::compose::{self, Input};
use slipway::domain::bundle::{BundleFile, Digest, Manifest};
use slipway::domain::policy::{self, Policy};
use slipway::domain::workload::{ServiceKind, Workload};
use slipway::domain::{Kind, Result};

fn read(name: &str) -> Result<Manifest> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let mut files = Vec::new();
    list(&root, &root, &mut files);
    let text = std::fs::read_to_string(root.join("compose.yaml")).unwrap();
    let read = |path: &str| -> Result<String> {
        std::fs::read_to_string(root.join(path))
            .map_err(|error| slipway::domain::Error::new(Kind::NotFound, "no_such_file", error.to_string()))
    };
    compose::parse(&Input { path: "compose.yaml", text: &text, env: None, files: &files, read: &read })
}

fn list(root: &Path, folder: &Path, found: &mut Vec<BundleFile>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(root, &path, found);
            continue;
        }
        let content = std::fs::read(&path).unwrap();
        found.push(BundleFile {
            path: path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(),
            size: content.len() as u64,
            sha256: Digest::of(&content),
            executable: false,
        });
    }
}

/// The services of that kind, by name.
fn of_kind(workload: &Workload, kind: ServiceKind) -> Vec<String> {
    let services = workload.services.iter();
    services.filter(|(_, service)| service.kind == kind).map(|(name, _)| name.to_string()).collect()
}

#[test]
fn every_example_is_accepted_as_it_stands() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> = names
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["hello", "iris", "nightly-report"]);
    for name in names {
        let manifest = read(&name).unwrap();
        assert_eq!(manifest.name.map(|key| key.to_string()), Some(name.clone()));
        assert_eq!(manifest.version.map(|version| version.to_string()).as_deref(), Some("1.0.0"), "{name}");
        let refused = policy::refusals(&manifest.workload, &Policy::default());
        assert!(refused.is_empty(), "{name}: {refused:?}");
        for (service, spec) in &manifest.workload.services {
            assert!(spec.ports.iter().all(|port| port.host_port.is_none()), "{name}: {service}");
            assert!(spec.resources.memory_limit_bytes.is_some(), "{name}: {service}");
        }
    }
}

#[test]
fn they_show_what_keeps_running_and_what_ends() {
    let iris = read("iris").unwrap().workload;
    assert_eq!(of_kind(&iris, ServiceKind::Replicated), ["api", "redis", "retrain"]);
    assert_eq!(of_kind(&iris, ServiceKind::Task), ["train"]);
    assert_eq!(iris.tests.keys().map(ToString::to_string).collect::<Vec<_>>(), ["predicts"]);
    let report = read("nightly-report").unwrap().workload;
    assert_eq!(of_kind(&report, ServiceKind::Task), ["report"]);
}
