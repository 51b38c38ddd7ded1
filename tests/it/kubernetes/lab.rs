//! The cluster that the tests use, as its administrator sees it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The administrator's kubeconfig.
pub fn kubeconfig() -> PathBuf {
    if let Some(named) = std::env::var_os("SLIPWAY_TEST_KUBECONFIG") {
        return named.into();
    }
    let lab =
        std::env::var_os("LAB_DIR").map_or_else(|| PathBuf::from("/var/tmp/slipway-lab"), PathBuf::from);
    lab.join("k8s/kubeconfig")
}

/// Runs kubectl as the administrator; answers what it prints.
#[track_caller]
pub fn kubectl(arguments: &[&str], input: &str) -> String {
    attempt(arguments, input).unwrap_or_else(|said| panic!("kubectl {arguments:?}: {said}"))
}

/// The same where it may be refused: then in the cluster's words.
#[track_caller]
pub fn attempt(arguments: &[&str], input: &str) -> Result<String, String> {
    let path = kubeconfig();
    assert!(path.is_file(), "{} is missing: `tests/lab/lab k8s` starts a cluster", path.display());
    run(Command::new("kubectl").arg("--kubeconfig").arg(path).args(arguments), input)
}

fn run(command: &mut Command, input: &str) -> Result<String, String> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(said(output.stdout)) } else { Err(said(output.stderr)) }
}

/// A namespace of a test's own; it goes with everything in it.
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    /// A fresh one, with the service account `slipway` that may do nothing yet.
    pub fn fresh() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("slipway-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        kubectl(&["create", "namespace", &name], "");
        let made = Self { name };
        made.kubectl(&["create", "serviceaccount", "slipway"], "");
        made
    }

    /// Runs kubectl in it.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        kubectl(&[&["--namespace", self.name.as_str()], arguments].concat(), input)
    }

    /// The folder of its volume, on the node, which is this machine.
    fn folder(&self) -> PathBuf {
        Path::new("/var/tmp/slipway-volumes").join(&self.name)
    }

    /// Makes a folder of the node the volume of this claim: a local one, which is given to a pod's group.
    pub fn provide_volume(&self, claim: &str) {
        let (name, path) = (&self.name, self.folder());
        std::fs::create_dir_all(&path).unwrap();
        let anywhere = json!({ "key": "kubernetes.io/hostname", "operator": "Exists" });
        let volume = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": name },
            "spec": {
                "capacity": { "storage": "64Mi" }, "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "local": { "path": path },
                "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [anywhere] }] } },
                "claimRef": { "namespace": name, "name": claim },
            },
        });
        kubectl(&["create", "-f", "-"], &volume.to_string());
    }

    /// Waits for the first claim to be made, and makes its volume.
    pub async fn provide_next_volume(&self) {
        for _ in 0..600 {
            let claims = self.kubectl(&["get", "persistentvolumeclaims", "-o", "name"], "");
            if let Some(claim) = claims.lines().next() {
                return self.provide_volume(claim.trim_start_matches("persistentvolumeclaim/"));
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        panic!("no volume was claimed in {}", self.name);
    }

    /// A token of its service account, for an hour.
    pub fn token(&self) -> String {
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/slipway/token", self.name);
        let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": { "expirationSeconds": 3600 } });
        let answer = kubectl(&["create", "--raw", &path, "-f", "-"], &request.to_string());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// A kubeconfig with this user in it, whose context names this namespace.
    pub fn kubeconfig(&self, user: &Value) -> String {
        let view = kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"], "");
        let view: Value = serde_json::from_str(&view).unwrap();
        let context = json!({ "cluster": "c", "user": "u", "namespace": self.name });
        json!({ "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{ "name": "c", "cluster": view["clusters"][0]["cluster"] }],
            "users": [{ "name": "u", "user": user }],
            "contexts": [{ "name": "here", "context": context }] })
        .to_string()
    }

    /// A client certificate of a user of this name that the cluster itself signed, and its key: both in base64 of PEM.
    pub fn certificate(&self, user: &str) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let (key, request) = (folder.path().join("key"), folder.path().join("request"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-newkey", "rsa:2048", "-nodes", "-subj", &format!("/CN={user}"), "-keyout"]);
        run(openssl.arg(&key).arg("-out").arg(&request), "").unwrap();
        let read = |path: PathBuf| STANDARD.encode(std::fs::read(path).unwrap());
        let asked = json!({ "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": { "name": self.name }, "spec": { "request": read(request), "usages": ["client auth"],
                "signerName": "kubernetes.io/kube-apiserver-client" } });
        kubectl(&["create", "-f", "-"], &asked.to_string());
        kubectl(&["certificate", "approve", &self.name], "");
        let get = ["get", "certificatesigningrequest", &self.name, "-o", "jsonpath={.status.certificate}"];
        for _ in 0..200 {
            let signed = kubectl(&get, "");
            if !signed.is_empty() {
                kubectl(&["delete", "certificatesigningrequest", &self.name], "");
                return (signed, read(key));
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("the cluster did not sign the certificate");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let targets = [format!("namespace/{}", self.name), format!("persistentvolume/{}", self.name)];
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(kubeconfig()).args(["delete", "--wait=false", "--ignore-not-found"]);
        let _ = command.args(targets).stdout(Stdio::null()).status();
        let _ = std::fs::remove_dir_all(self.folder());
    }
}
