//! Building for an engine that can't: the image is built here, pushed to a registry, and found there the next time.

use bollard::query_parameters::{PushImageOptions, TagImageOptions};
use futures_util::StreamExt;

use crate::domain::name::ServiceName;
use crate::engine::docker::client::{ASK, CHANGE, SILENCE, timeout};
use crate::engine::docker::images::{Reference, pull_digests};
use crate::engine::docker::names::digest;
use crate::engine::docker::{Core, build, error, pull};
use crate::engine::{EngineError, EngineResult, Progress, PublishRequest, ResolvedImage, exposed_port};

impl Core {
    /// Builds and pushes what the registry does not have yet under the tag of these inputs.
    pub(super) async fn publish_image(
        &self,
        request: &PublishRequest,
        progress: &dyn Progress,
    ) -> EngineResult<ResolvedImage> {
        let version = format!("build-{}", &request.inputs.as_str()[..32]);
        let pushed = format!("{}:{version}", request.repository);
        if let Some(digest) = self.pushed_before(request, &pushed).await? {
            return self.published(request, pushed, &digest).await;
        }
        let local = self.built_here(request, progress).await?;
        let tag = TagImageOptions { repo: Some(request.repository.clone()), tag: Some(version.clone()) };
        self.client
            .call(
                "tagging an image",
                CHANGE,
                |docker| async move { docker.tag_image(&local, Some(tag)).await },
            )
            .await?;
        let sent = self.push(request, &version, progress).await;
        let digest = match sent {
            Ok(Some(digest)) => Ok(digest),
            Ok(None) => self.digest_of_pushed(&pushed).await,
            Err(failed) => Err(failed),
        };
        self.remove_tag(&pushed).await?;
        self.published(request, pushed, &digest?).await
    }

    /// The answer; which ports the image exposes is known while it is here as well.
    async fn published(
        &self,
        request: &PublishRequest,
        reference: String,
        digest: &str,
    ) -> EngineResult<ResolvedImage> {
        let here = self.image(&self.local(request)).await?;
        let ports = here.and_then(|image| image.config).and_then(|config| config.exposed_ports);
        Ok(ResolvedImage {
            pull_digest: Some(format!("{}@{digest}", request.repository)),
            exposed: ports.iter().flatten().filter_map(|port| exposed_port(port)).collect(),
            ..ResolvedImage::new(digest, reference)
        })
    }

    /// What the image of these inputs is called on this engine.
    fn local(&self, request: &PublishRequest) -> String {
        let (prefix, inputs) = (tags_of(&request.service), &request.inputs.as_str()[..16]);
        format!("{}:{prefix}{inputs}", self.names.repository(&request.workload))
    }

    /// The digest under which the registry has these inputs.
    async fn pushed_before(&self, request: &PublishRequest, pushed: &str) -> EngineResult<Option<String>> {
        let who = pull::credentials(&request.registries, Reference::parse(pushed).host());
        let asked = self.client.call("the registry's word on an image", ASK, |docker| async move {
            docker.inspect_registry_image(pushed, who).await
        });
        match asked.await {
            Ok(answer) => Ok(answer.descriptor.digest),
            Err(refused) => match error::pull_failed(pushed, refused) {
                // The engine's words for what is missing are the registry's; whether we may push is told by pushing.
                EngineError::ImageNotFound { .. }
                | EngineError::ImageDenied { .. }
                | EngineError::Refused(_) => Ok(None),
                other => Err(other),
            },
        }
    }

    /// The image of these inputs on this engine: there already, else built. Of each service the latest one is kept, so
    /// that the next build finds its layers.
    async fn built_here(&self, request: &PublishRequest, progress: &dyn Progress) -> EngineResult<String> {
        let (workload, service) = (&request.workload, &request.service);
        let local = self.local(request);
        let (repository, tag) = local.split_once(':').unwrap_or((&local, ""));
        if self.image(&local).await?.is_none() {
            progress.line(&format!("{service}: building its image"));
            let tag = tag.to_owned();
            let job = build::job(workload, service.as_str(), tag, &request.build, &request.files)?;
            self.build(job, &request.registries, progress).await?;
        }
        self.untag_others(repository, &tags_of(service), &local).await?;
        Ok(local)
    }

    /// Pushes; answers the digest where the engine tells it. A failure inside the stream of a good answer is one.
    async fn push(
        &self,
        request: &PublishRequest,
        version: &str,
        progress: &dyn Progress,
    ) -> EngineResult<Option<String>> {
        let (service, repository) = (&request.service, request.repository.as_str());
        progress.line(&format!("{service}: pushing its image to {repository}"));
        let who = pull::credentials(&request.registries, Reference::parse(repository).host());
        let options = PushImageOptions { tag: Some(version.to_owned()), ..Default::default() };
        let docker = self.client.docker().await?;
        let mut stream = Box::pin(docker.push_image(repository, Some(options), who));
        let mut digest = None;
        loop {
            match tokio::time::timeout(SILENCE, stream.next()).await {
                Ok(Some(Ok(info))) => {
                    let status = info.status.unwrap_or_default();
                    if let Some(told) = told_digest(&status) {
                        progress.line(&format!("{service}: {}", error::plain(status.as_str())));
                        digest = Some(told);
                    }
                }
                Ok(Some(Err(failed))) => {
                    return Err(error::pull_failed(repository, self.client.failure(failed)));
                }
                Ok(None) => return Ok(digest),
                Err(_) => return Err(timeout(&format!("pushing to {repository}"), SILENCE)),
            }
        }
    }

    /// What the engine remembers of a push that it told no digest of.
    async fn digest_of_pushed(&self, pushed: &str) -> EngineResult<String> {
        let found = self.image(pushed).await?;
        let digest = found.as_ref().and_then(|image| pull_digests(pushed, image).last());
        let digest = digest.and_then(|digest| digest.split_once('@')).map(|(_, digest)| digest.to_owned());
        digest.ok_or_else(|| {
            EngineError::Refused(format!("{pushed} was pushed, and the engine told no digest"))
        })
    }
}

/// What the tags of a service's builds begin with.
fn tags_of(service: &ServiceName) -> String {
    format!("publish-{}-", &digest(service.as_str())[..12])
}

/// The digest of a push's last line: `TAG: digest: sha256:… size: 528`.
fn told_digest(status: &str) -> Option<String> {
    let (_, rest) = status.split_once("digest: ")?;
    let digest = rest.split_whitespace().next()?;
    digest.starts_with("sha256:").then(|| digest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_in_the_last_line_of_a_push() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let line = format!("build-1: digest: {digest} size: 528");
        assert_eq!(told_digest(&line).as_deref(), Some(digest.as_str()));
        for other in ["The push refers to repository [h/a]", "Pushed", "Layer already exists", ""] {
            assert_eq!(told_digest(other), None);
        }
    }
}
