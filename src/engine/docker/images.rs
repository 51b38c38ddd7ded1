//! Images that are there: looked up by name or id, and kept by a tag of ours.

use bollard::models::ImageInspect;
use bollard::query_parameters::TagImageOptions;

use crate::domain::name::DeploymentId;
use crate::engine::docker::client::{ASK, CHANGE};
use crate::engine::docker::names::Names;
use crate::engine::docker::{Core, error};
use crate::engine::{EngineError, EngineResult, ResolvedImage};

/// An image reference, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// With its host, without tag and digest.
    pub(super) name: &'a str,
    /// Tag or `sha256:…`; `latest` where neither is named.
    pub(super) version: &'a str,
}

impl<'a> Reference<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let slash = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest[slash..].find(':') {
            Some(colon) => (&rest[..slash + colon], Some(&rest[slash + colon + 1..])),
            None => (rest, None),
        };
        let version = digest.or(tag).unwrap_or("latest");
        Self { name, version }
    }

    /// The registry's host; `docker.io` where none is named.
    pub(super) fn host(&self) -> &'a str {
        match self.name.split_once('/') {
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
            _ => "docker.io",
        }
    }

    /// The name in full, as digests are listed under: `docker.io/library/redis` is listed as `redis`.
    fn listed(&self) -> &'a str {
        let name = self.name.strip_prefix("docker.io/").unwrap_or(self.name);
        name.strip_prefix("library/").unwrap_or(name)
    }
}

impl Core {
    /// An image by reference or id; `None` when it is not there.
    pub(super) async fn image(&self, image: &str) -> EngineResult<Option<ImageInspect>> {
        let docker = self.client.docker().await?;
        match tokio::time::timeout(ASK, docker.inspect_image(image)).await {
            Ok(Ok(found)) => Ok(Some(found)),
            Ok(Err(missing)) if error::is_missing(&missing) => Ok(None),
            Ok(Err(other)) => Err(match self.client.failure(other) {
                EngineError::Refused(detail) => {
                    EngineError::ImageNotFound { image: image.to_owned(), detail }
                }
                other => other,
            }),
            Err(_) => Err(super::client::timeout("inspecting an image", ASK)),
        }
    }

    /// Keeps an image by a tag of ours, so that rolling back finds it; one that bears it already is left alone, since
    /// the engine writes its whole list of images to disk for each tag.
    pub(super) async fn keep(&self, workload: &DeploymentId, image: &ImageInspect) -> EngineResult<()> {
        let id = image.id.as_deref().unwrap_or_default();
        let (repo, tag) = (self.names.repository(workload), tag_of(id).to_owned());
        let kept = format!("{repo}:{tag}");
        if image.repo_tags.iter().flatten().any(|known| *known == kept) {
            return Ok(());
        }
        let options = TagImageOptions { repo: Some(repo), tag: Some(tag) };
        self.client
            .call(
                "tagging an image",
                CHANGE,
                |docker| async move { docker.tag_image(id, Some(options)).await },
            )
            .await
    }
}

/// What an image is known by from now on.
pub(super) fn resolved(reference: &str, image: &ImageInspect) -> ResolvedImage {
    ResolvedImage {
        pull_digest: pull_digests(reference, image).min().cloned(),
        ..ResolvedImage::new(image.id.clone().unwrap_or_default(), reference)
    }
}

/// Refuses what was made for some deployment: an image is found by the name that its registry has for it, never by an id
/// or by a tag of ours, which would hand one group's files to another.
pub(super) fn refuse_anothers(names: &Names, reference: &str, image: &ImageInspect) -> EngineResult<()> {
    let parsed = Reference::parse(reference);
    let bears = |tag: &String| Reference::parse(tag).listed() == parsed.listed();
    let by_name = image.repo_tags.iter().flatten().chain(image.repo_digests.iter().flatten()).any(bears);
    if by_name && !names.is_repository(parsed.listed()) {
        return Ok(());
    }
    Err(EngineError::Refused(format!(
        "{reference} names no image of a registry, but one on the engine by its id or by a tag of Slipway's own; name the image as its registry does"
    )))
}

/// `name@sha256:…` under which the registry of the reference knows the image; none when it never came from there.
pub(super) fn pull_digests<'a>(
    reference: &'a str,
    image: &'a ImageInspect,
) -> impl Iterator<Item = &'a String> {
    let parsed = Reference::parse(reference);
    image.repo_digests.iter().flatten().filter(move |digest| {
        digest.split('@').next() == Some(parsed.listed()) || digest.starts_with(&format!("{}@", parsed.name))
    })
}

/// The tag of a pulled image: the head of its id.
pub(super) fn tag_of(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..12).unwrap_or(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        for (text, name, version, host) in [
            ("redis", "redis", "latest", "docker.io"),
            ("redis:7", "redis", "7", "docker.io"),
            ("team/api:1", "team/api", "1", "docker.io"),
            ("localhost/api", "localhost/api", "latest", "localhost"),
            ("host:5000/team/api", "host:5000/team/api", "latest", "host:5000"),
            ("host.io/api:1@sha256:ab", "host.io/api", "sha256:ab", "host.io"),
        ] {
            let parsed = Reference::parse(text);
            assert_eq!((parsed.name, parsed.version, parsed.host()), (name, version, host), "{text}");
        }
    }

    #[test]
    fn an_image_is_used_by_its_own_name_alone() {
        let names = Names::new("12345678-9abc");
        let image = ImageInspect {
            id: Some("sha256:cafe0123".into()),
            repo_tags: Some(vec![
                "redis:7".into(),
                "slipway/12345678/iris:cafe0123".into(),
                "h:5/a:1".into(),
            ]),
            repo_digests: Some(vec!["redis@sha256:bb".into()]),
            ..Default::default()
        };
        for good in ["redis:7", "docker.io/library/redis:7", "redis@sha256:bb", "h:5/a:1"] {
            assert_eq!(refuse_anothers(&names, good, &image), Ok(()), "{good}");
        }
        for bad in
            ["cafe", "cafe0123", "slipway/12345678/iris:cafe0123", "docker.io/slipway/12345678/iris:cafe0123"]
        {
            assert!(refuse_anothers(&names, bad, &image).is_err(), "{bad}");
        }
        let other = Names::new("another");
        assert_eq!(refuse_anothers(&other, "slipway/12345678/iris:cafe0123", &image), Ok(()));
    }

    #[test]
    fn the_digest_is_the_one_of_the_name_asked_for() {
        let image = ImageInspect {
            id: Some("sha256:1".into()),
            repo_digests: Some(vec!["host:5000/redis@sha256:aa".into(), "redis@sha256:bb".into()]),
            ..Default::default()
        };
        let digest = |reference: &str| resolved(reference, &image).pull_digest;
        assert_eq!(digest("redis:7").as_deref(), Some("redis@sha256:bb"));
        assert_eq!(digest("docker.io/library/redis").as_deref(), Some("redis@sha256:bb"));
        assert_eq!(digest("host:5000/redis:7").as_deref(), Some("host:5000/redis@sha256:aa"));
        assert_eq!(digest("other"), None);
    }
}
