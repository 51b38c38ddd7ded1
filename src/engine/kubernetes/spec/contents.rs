//! Values of secrets and contents of files: one Secret for each revision of a service, and how it is mounted.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{KeyToPath, Secret, SecretVolumeSource, Volume, VolumeMount};
use secrecy::ExposeSecret as _;

use super::Setting;
use crate::domain::name::SecretName;
use crate::engine::kubernetes::names;
use crate::engine::{EngineError, EngineResult, FileContent, ServiceRequest};

/// What an object may hold, less some room for its own fields.
const MOST: usize = 1_000_000;

/// The name of the volume that the files come from.
const VOLUME: &str = "slipway-files";

/// The Secret of a revision, and its files' places.
pub(in crate::engine::kubernetes) struct Contents {
    pub secret: Secret,
    pub volume: Option<Volume>,
    pub mounts: Vec<VolumeMount>,
}

/// The key of a variable's value.
pub(super) fn variable_key(name: &SecretName) -> String {
    format!("env.{name}")
}

/// The Secret with everything that a service's containers read from us; `None` where that is nothing.
///
/// # Errors
/// `Refused` where it is more than one object holds.
pub(in crate::engine::kubernetes) fn contents(
    request: &ServiceRequest,
    setting: &Setting<'_>,
) -> EngineResult<Option<Contents>> {
    let mut data: BTreeMap<String, ByteString> = request
        .secrets
        .iter()
        .map(|(name, value)| (variable_key(name), ByteString(value.expose_secret().as_bytes().to_vec())))
        .collect();
    let (mut items, mut mounts) = (Vec::new(), Vec::new());
    for (number, (mount, content)) in request.contents.of(&request.service).enumerate() {
        let Some(content) = content else { continue };
        let key = format!("file.{number}");
        let bytes = match content {
            FileContent::Plain(bytes) => bytes.to_vec(),
            FileContent::Secret(text) => text.expose_secret().as_bytes().to_vec(),
        };
        data.insert(key.clone(), ByteString(bytes));
        let mode = i32::try_from(mount.mode & 0o777).ok();
        items.push(KeyToPath { key: key.clone(), path: key.clone(), mode, ..KeyToPath::default() });
        mounts.push(VolumeMount {
            name: VOLUME.into(),
            mount_path: mount.target.clone(),
            sub_path: Some(key),
            read_only: Some(true),
            ..VolumeMount::default()
        });
    }
    if data.is_empty() {
        return Ok(None);
    }
    let size: usize = data.values().map(|value| value.0.len()).sum();
    if size > MOST {
        return Err(EngineError::Refused(format!(
            "secrets and configs of service {} come to {size} bytes, and Kubernetes takes {MOST}; put large files into the bundle instead",
            request.name
        )));
    }
    let name = names::of_hash(&request.workload, &request.name, &request.hash);
    let mut metadata = setting.meta(request, name.clone());
    if let Some(labels) = &mut metadata.labels {
        labels.insert(crate::engine::label::HASH.into(), request.hash.clone());
    }
    let secret = Secret { metadata, data: Some(data), ..Secret::default() };
    let volume = (!items.is_empty()).then(|| Volume {
        name: VOLUME.into(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(name),
            items: Some(items),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    });
    Ok(Some(Contents { secret, volume, mounts }))
}
