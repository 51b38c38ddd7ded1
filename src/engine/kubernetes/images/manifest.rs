//! Manifests, indexes and configurations of images: what of them is read, and how a layer is added.
//!
//! They are changed as JSON, not through types: what we don't know of a base image stays in it.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Value, json};

use super::failure::{Asked, Failure};
use crate::domain::bundle::Digest;
use crate::domain::workload::Protocol;
use crate::engine::exposed_port;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// What we take.
pub(super) const TYPES: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST];
/// The largest manifest and configuration that is read: what registries themselves allow.
pub(super) const LARGEST: usize = 4 << 20;
/// What nodes mostly are; of an index that has one of these, the others are left out of what we push.
const USUAL: [&str; 2] = ["amd64", "arm64"];

/// A manifest or an index.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) digest: String,
    /// Its media type.
    pub(super) kind: String,
    pub(super) value: Value,
}

/// A blob as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: String,
    pub(super) size: u64,
    pub(super) kind: String,
}

/// Whether a text is a digest: safe to be part of an address.
pub(super) fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        matches!(algorithm, "sha256" | "sha512")
            && hex.len() >= 64
            && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// `sha256:…` of bytes.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", Digest::of(bytes))
}

impl Manifest {
    /// What a registry sent under a media type.
    pub(super) fn read(kind: String, body: &[u8]) -> Asked<Self> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|_| Failure::Refused("the registry sent no manifest".into()))?;
        let own = value.get("mediaType").and_then(Value::as_str).map(str::to_owned);
        let kind = own.unwrap_or(kind);
        if !TYPES.contains(&kind.as_str()) {
            let kind: String = kind.chars().filter(|c| !c.is_control()).take(100).collect();
            return Err(Failure::Refused(format!("the registry sent {kind:?}, which no node runs")));
        }
        Ok(Self { digest: digest_of(body), kind, value })
    }

    pub(super) fn is_index(&self) -> bool {
        matches!(self.kind.as_str(), OCI_INDEX | DOCKER_INDEX)
    }

    /// Of an index, the entries for Linux: those for the usual machines, else all.
    pub(super) fn linux(&self) -> Vec<&Value> {
        let entries = self.value.get("manifests").and_then(Value::as_array).into_iter().flatten();
        let of = |entry: &Value, key: &str| -> Option<String> {
            Some(entry.get("platform")?.get(key)?.as_str()?.to_owned())
        };
        let linux: Vec<&Value> =
            entries.filter(|entry| of(entry, "os").as_deref() == Some("linux")).collect();
        let is_usual = |entry: &&Value| {
            of(entry, "architecture").is_some_and(|machine| USUAL.contains(&machine.as_str()))
        };
        let usual: Vec<&Value> = linux.iter().copied().filter(is_usual).collect();
        if usual.is_empty() { linux } else { usual }
    }

    pub(super) fn config(&self) -> Asked<Blob> {
        blob(self.value.get("config"))
    }

    /// Lowest first.
    pub(super) fn layers(&self) -> Asked<Vec<Blob>> {
        let layers = self.value.get("layers").and_then(Value::as_array).into_iter().flatten();
        layers.map(|layer| blob(Some(layer))).collect()
    }

    /// The manifest with one more layer and the configuration that goes with it, in bytes.
    pub(super) fn layered(&self, layer: &Blob, config: &[u8]) -> Asked<Bytes> {
        let mut value = self.value.clone();
        let malformed = || Failure::Refused("the base image's manifest is malformed".into());
        let root = value.as_object_mut().ok_or_else(malformed)?;
        root.remove("subject");
        root.insert("mediaType".into(), json!(self.kind));
        let kind = root.get("config").and_then(|config| config.get("mediaType")).cloned();
        let described = json!({
            "mediaType": kind.unwrap_or_else(|| json!("application/vnd.oci.image.config.v1+json")),
            "digest": digest_of(config),
            "size": config.len(),
        });
        root.insert("config".into(), described);
        let layers = root.get_mut("layers").and_then(Value::as_array_mut).ok_or_else(malformed)?;
        let kind = if self.kind == DOCKER_MANIFEST { DOCKER_LAYER } else { OCI_LAYER };
        layers.push(json!({ "mediaType": kind, "digest": layer.digest, "size": layer.size }));
        Ok(Bytes::from(value.to_string()))
    }

    /// The index with other manifests: each an entry of ours with the digest and size that it has now.
    pub(super) fn with_entries(&self, entries: &[(Value, Bytes)]) -> Bytes {
        let renewed = entries.iter().map(|(entry, manifest)| {
            let mut entry = entry.clone();
            if let Some(entry) = entry.as_object_mut() {
                entry.insert("digest".into(), json!(digest_of(manifest)));
                entry.insert("size".into(), json!(manifest.len()));
                entry.remove("annotations");
            }
            entry
        });
        let renewed: Vec<Value> = renewed.collect();
        Bytes::from(json!({ "schemaVersion": 2, "mediaType": self.kind, "manifests": renewed }).to_string())
    }
}

fn blob(value: Option<&Value>) -> Asked<Blob> {
    let text = |key: &str| value.and_then(|value| value.get(key)).and_then(Value::as_str).unwrap_or_default();
    let size = value.and_then(|value| value.get("size")).and_then(Value::as_u64);
    match (text("digest"), size) {
        (digest, Some(size)) if is_digest(digest) => {
            Ok(Blob { digest: digest.to_owned(), size, kind: text("mediaType").to_owned() })
        }
        _ => Err(Failure::Refused("the image's manifest names a blob without digest or size".into())),
    }
}

/// The digest of an index's entry.
pub(super) fn entry_digest(entry: &Value) -> Asked<String> {
    blob(Some(entry)).map(|blob| blob.digest)
}

/// A configuration with one more layer, in bytes.
pub(super) fn layered_config(config: &[u8], diff_id: &str) -> Asked<Bytes> {
    let malformed = || Failure::Refused("the base image's configuration is malformed".into());
    let mut value: Value = serde_json::from_slice(config).map_err(|_| malformed())?;
    let root = value.as_object_mut().ok_or_else(malformed)?;
    let diff_ids = root.get_mut("rootfs").and_then(|rootfs| rootfs.get_mut("diff_ids"));
    diff_ids.and_then(Value::as_array_mut).ok_or_else(malformed)?.push(json!(diff_id));
    // One that tells nothing of its other layers would tell a wrong story with this one alone.
    if let Some(history) = root.get_mut("history").and_then(Value::as_array_mut) {
        history
            .push(json!({ "created": "1970-01-01T00:00:00Z", "created_by": "slipway: files of the bundle" }));
    }
    Ok(Bytes::from(value.to_string()))
}

/// The ports that a configuration says its program listens on.
pub(super) fn exposed(config: &[u8]) -> BTreeSet<(u16, Protocol)> {
    let value: Value = serde_json::from_slice(config).unwrap_or_default();
    let ports = value.get("config").and_then(|config| config.get("ExposedPorts")).and_then(Value::as_object);
    let ports = ports.into_iter().flat_map(|ports| ports.keys());
    ports.filter_map(|port| exposed_port(port)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(letter: char) -> String {
        format!("sha256:{}", letter.to_string().repeat(64))
    }

    #[test]
    fn a_layer_is_added_and_the_rest_stays() {
        let base = json!({
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": { "mediaType": "application/vnd.docker.container.image.v1+json", "digest": hex('a'), "size": 1 },
            "layers": [{ "mediaType": DOCKER_LAYER, "digest": hex('b'), "size": 2 }],
            "annotations": { "kept": "yes" },
        });
        let base = Manifest::read(String::new(), base.to_string().as_bytes()).unwrap();
        let config = json!({
            "architecture": "amd64",
            "config": { "Healthcheck": { "Test": ["CMD", "x"] }, "ExposedPorts": { "80/tcp": {}, "53/udp": {}, "9/sctp": {} } },
            "rootfs": { "type": "layers", "diff_ids": [hex('c')] },
            "history": [{ "created_by": "base" }],
        });
        let config = layered_config(config.to_string().as_bytes(), &hex('d')).unwrap();
        let read: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(read["rootfs"]["diff_ids"], json!([hex('c'), hex('d')]));
        assert_eq!(read["config"]["Healthcheck"]["Test"][1], "x");
        assert_eq!(read["history"].as_array().unwrap().len(), 2);
        assert_eq!(exposed(&config), [(53, Protocol::Udp), (80, Protocol::Tcp)].into());
        let layer = Blob { digest: hex('e'), size: 7, kind: String::new() };
        let body = base.layered(&layer, &config).unwrap();
        assert_eq!(body, base.layered(&layer, &config).unwrap());
        let made = Manifest::read(String::new(), &body).unwrap();
        assert_eq!(made.config().unwrap().digest, digest_of(&config));
        let layers = made.layers().unwrap();
        assert_eq!((layers.len(), layers[1].kind.as_str(), layers[1].size), (2, DOCKER_LAYER, 7));
        assert_eq!(made.value["annotations"]["kept"], "yes");
    }

    #[test]
    fn of_an_index_the_usual_machines_are_taken() {
        let entry = |os: &str, machine: &str, letter| {
            json!({ "digest": hex(letter), "size": 1, "mediaType": OCI_MANIFEST,
                    "platform": { "os": os, "architecture": machine } })
        };
        let index = |entries: Vec<Value>| {
            let text =
                json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries }).to_string();
            Manifest::read(String::new(), text.as_bytes()).unwrap()
        };
        let full = index(vec![
            entry("linux", "amd64", 'a'),
            entry("linux", "s390x", 'b'),
            entry("windows", "amd64", 'c'),
            entry("unknown", "unknown", 'd'),
            entry("linux", "arm64", 'e'),
        ]);
        let digests: Vec<String> = full.linux().into_iter().map(|one| entry_digest(one).unwrap()).collect();
        assert_eq!(digests, [hex('a'), hex('e')]);
        assert_eq!(index(vec![entry("linux", "s390x", 'b')]).linux().len(), 1);
        let renewed = full.with_entries(&[(full.linux()[0].clone(), Bytes::from_static(b"{}"))]);
        let renewed = Manifest::read(String::new(), &renewed).unwrap();
        assert_eq!(entry_digest(renewed.linux()[0]).unwrap(), digest_of(b"{}"));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let schema_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        assert!(Manifest::read(schema_1.into(), b"{}").is_err());
        assert!(Manifest::read(OCI_MANIFEST.into(), b"<html>").is_err());
        let hostile =
            Manifest::read(OCI_MANIFEST.into(), br#"{"config":{"digest":"../x","size":1}}"#).unwrap();
        assert!(hostile.config().is_err());
    }
}
