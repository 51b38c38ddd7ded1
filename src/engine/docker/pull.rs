//! Pulling images. A failure inside the stream of a good answer is a failure all the same.

use bollard::auth::DockerCredentials;
use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt;
use secrecy::ExposeSecret;
use std::collections::{BTreeMap, HashMap};

use crate::engine::docker::client::{ASK, SILENCE, timeout};
use crate::engine::docker::images::{Reference, pull_digests};
use crate::engine::docker::{Core, error};
use crate::engine::{EngineError, EngineResult, Progress, RegistryCredentials};

/// Who pulls, by registry host.
pub(super) type Registries = BTreeMap<String, RegistryCredentials>;

impl Core {
    /// Whether an image that is there is still what its registry means by the reference: tags move. One that never came
    /// from a registry, or is named by its digest, is; so is one whose registry gives no answer, which is told.
    pub(super) async fn is_current(
        &self,
        reference: &str,
        found: &ImageInspect,
        registries: &Registries,
        progress: &dyn Progress,
    ) -> bool {
        if reference.contains('@') || pull_digests(reference, found).next().is_none() {
            return true;
        }
        let who = credentials(registries, Reference::parse(reference).host());
        let asked = self.client.call("the registry's word on an image", ASK, |docker| async move {
            docker.inspect_registry_image(reference, who).await
        });
        match asked.await.map(|answer| answer.descriptor.digest) {
            Ok(Some(digest)) => pull_digests(reference, found).any(|known| known.ends_with(&digest)),
            Ok(None) => true,
            Err(error) => {
                let error = error::pull_failed(reference, error);
                progress.line(&format!("{error}. Going on with {reference} as the engine has it."));
                true
            }
        }
    }

    /// Pulls an image; its layers are told to `progress` as they come.
    pub(super) async fn pull(
        &self,
        image: &str,
        registries: &Registries,
        progress: &dyn Progress,
    ) -> EngineResult<()> {
        let reference = Reference::parse(image);
        let options = CreateImageOptions {
            from_image: Some(reference.name.to_owned()),
            tag: Some(reference.version.to_owned()),
            ..Default::default()
        };
        progress.line(&format!("pulling {image}"));
        let docker = self.client.docker().await?;
        let who = credentials(registries, reference.host());
        let mut stream = Box::pin(docker.create_image(Some(options), None, who));
        loop {
            match tokio::time::timeout(SILENCE, stream.next()).await {
                Ok(Some(Ok(info))) => {
                    if let Some(line) = line(image, info.id.as_deref(), info.status.as_deref()) {
                        progress.line(&line);
                    }
                }
                Ok(Some(Err(failed))) => {
                    let missing = error::is_missing(&failed);
                    return Err(match (missing, error::pull_failed(image, self.client.failure(failed))) {
                        (true, EngineError::Refused(detail)) => {
                            EngineError::ImageNotFound { image: image.to_owned(), detail }
                        }
                        (_, other) => other,
                    });
                }
                Ok(None) => return Ok(()),
                Err(_) => return Err(timeout(&format!("pulling {image}"), SILENCE)),
            }
        }
    }
}

/// What of a pull deserves a line: whole layers and the end, not each piece.
fn line(image: &str, id: Option<&str>, status: Option<&str>) -> Option<String> {
    let status = status?;
    let layer = matches!(status, "Pull complete" | "Already exists");
    match id {
        Some(id) if layer => Some(format!("{image}: layer {id}: {}", status.to_lowercase())),
        _ if status.starts_with("Digest:") || status.starts_with("Status:") => {
            Some(format!("{image}: {status}"))
        }
        _ => None,
    }
}

pub(super) fn credentials(registries: &Registries, host: &str) -> Option<DockerCredentials> {
    let names: &[&str] = match host {
        "docker.io" => {
            &["docker.io", "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1/"]
        }
        _ => &[],
    };
    let found = registries.get(host).or_else(|| names.iter().find_map(|name| registries.get(*name)))?;
    Some(as_engine_s(host, found))
}

fn as_engine_s(host: &str, who: &RegistryCredentials) -> DockerCredentials {
    DockerCredentials {
        username: Some(who.username.clone()),
        password: Some(who.password.expose_secret().to_owned()),
        serveraddress: Some(host.to_owned()),
        ..Default::default()
    }
}

/// Who pulls the images that a build starts from.
pub(super) fn all_credentials(registries: &Registries) -> Option<HashMap<String, DockerCredentials>> {
    let of = |(host, who): (&String, &RegistryCredentials)| {
        let key = if host == "docker.io" { "https://index.docker.io/v1/" } else { host };
        (key.to_owned(), as_engine_s(host, who))
    };
    (!registries.is_empty()).then(|| registries.iter().map(of).collect())
}
