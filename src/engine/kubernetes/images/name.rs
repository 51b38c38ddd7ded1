//! References as people write them, and the registry where each is asked.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::domain::bundle::Digest;
use crate::domain::name::DeploymentId;
use crate::engine::{EngineError, EngineResult, RegistryCredentials};

/// The host that Docker's references mean where they name none.
const HUB: &str = "docker.io";
/// Other names of it in credentials.
const HUB_NAMES: [&str; 3] = ["index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1/"];
/// What a pull secret calls it.
pub(super) const HUB_KEY: &str = "https://index.docker.io/v1/";

/// A repository of a registry, as nodes name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// `host[:port]`
    pub(super) host: String,
    pub(super) repository: String,
}

impl Place {
    /// `host/name@sha256:…`
    pub(super) fn at(&self, digest: &str) -> String {
        format!("{self}@{digest}")
    }

    /// `host[:port]/path` of a repository.
    pub(super) fn parse(text: &str) -> EngineResult<Self> {
        let nowhere = BTreeMap::new();
        Ok(Name::parse(text.trim_end_matches('/'), &nowhere)?.place)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)
    }
}

/// One image of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) place: Place,
    /// A tag or a digest.
    pub(super) version: String,
}

impl Name {
    /// Takes a reference apart by Docker's rules and moves it to the mirror of its registry.
    ///
    /// # Errors
    /// `ImageNotFound` where it can't be the name of an image.
    pub(super) fn parse(text: &str, mirrors: &BTreeMap<String, String>) -> EngineResult<Self> {
        let parsed: oci_client::Reference = text.parse().map_err(|error| EngineError::ImageNotFound {
            image: text.to_owned(),
            detail: format!("it can't be the name of an image: {error}"),
        })?;
        let version = parsed.digest().or(parsed.tag()).unwrap_or("latest").to_owned();
        let (host, repository) = (parsed.registry(), parsed.repository());
        let place = match mirrors.get(host) {
            None => Place { host: host.to_owned(), repository: repository.to_owned() },
            Some(mirror) => mirrored(mirror, repository)?,
        };
        Ok(Self { place, version })
    }

    pub(super) fn is_digest(&self) -> bool {
        self.version.contains(':')
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.is_digest() { '@' } else { ':' };
        write!(f, "{}{mark}{}", self.place, self.version)
    }
}

/// `repository` below a mirror, which is `host[/path]`.
fn mirrored(mirror: &str, repository: &str) -> EngineResult<Place> {
    let (host, path) = mirror.trim_end_matches('/').split_once('/').unwrap_or((mirror, ""));
    let below = if path.is_empty() { repository.to_owned() } else { format!("{path}/{repository}") };
    let full = format!("{host}/{below}");
    match full.parse::<oci_client::Reference>() {
        Ok(parsed) if parsed.registry() == host => Ok(Place { host: host.to_owned(), repository: below }),
        _ => Err(EngineError::Refused(format!(
            "the mirror {mirror:?} of the infrastructure can't be asked for {repository}; name a host and a path, e.g. mirror.example.org/hub"
        ))),
    }
}

/// Where the images of one instance's workloads lie below the infrastructure's registry.
#[derive(Debug, Clone)]
pub(super) struct Home {
    registry: String,
    short: String,
}

impl Home {
    /// `registry` is `host[:port][/path]`.
    pub(super) fn new(registry: &str, instance: &str) -> Self {
        let letters = instance.chars().filter(char::is_ascii_alphanumeric);
        let short = letters.take(8).collect::<String>().to_ascii_lowercase();
        Self { registry: registry.trim_end_matches('/').to_owned(), short }
    }

    /// The repository of a workload: one level deep, which every registry has.
    pub(super) fn of(&self, workload: &DeploymentId) -> EngineResult<Place> {
        let name = format!("{}/{}-{}", self.registry, self.short, component(workload.as_str()));
        Place::parse(&name).map_err(|_| {
            EngineError::Refused(format!(
                "the registry {:?} of the infrastructure can't hold images; name a host and a path, e.g. registry.example.org/slipway",
                self.registry
            ))
        })
    }

    /// Whether a repository holds images of this instance's workloads.
    pub(super) fn holds(&self, place: &Place) -> bool {
        place.to_string().strip_prefix(&format!("{}/{}-", self.registry, self.short)).is_some()
    }
}

/// A workload's id as a component of a repository; one that has to be changed for it bears a digest of itself.
fn component(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let clean = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    if clean == name && clean.len() <= 80 {
        return clean;
    }
    let kept: String = clean.chars().take(80).collect();
    format!("{}-{}", kept.trim_end_matches('-'), &Digest::of(name.as_bytes()).as_str()[..8])
}

/// Whether a `host[:port]` is this machine itself: the only one that is spoken to without TLS.
pub(super) fn is_loopback(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
        return address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Where a registry's API is.
pub(super) fn endpoint(host: &str) -> String {
    let host = if host == HUB { HUB_NAMES[1] } else { host };
    let scheme = if is_loopback(host) { "http" } else { "https" };
    format!("{scheme}://{host}")
}

/// Who asks a registry, by the host that references name.
pub(super) fn credentials<'a>(
    registries: &'a BTreeMap<String, RegistryCredentials>,
    host: &str,
) -> Option<&'a RegistryCredentials> {
    let others: &[&str] = if host == HUB { &HUB_NAMES } else { &[] };
    registries.get(host).or_else(|| others.iter().find_map(|name| registries.get(*name)))
}

/// The key of a host in a pull secret.
pub(super) fn secret_key(host: &str) -> &str {
    if host == HUB { HUB_KEY } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors() -> BTreeMap<String, String> {
        BTreeMap::from([
            ("docker.io".into(), "127.0.0.1:5000/hub/".into()),
            ("ghcr.io".into(), "m.org".into()),
        ])
    }

    #[test]
    fn references_are_read_by_dockers_rules() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, full) in [
            ("redis", "docker.io/library/redis:latest".to_owned()),
            ("redis:7", "docker.io/library/redis:7".to_owned()),
            ("team/api:1", "docker.io/team/api:1".to_owned()),
            ("localhost/api", "localhost/api:latest".to_owned()),
            ("host:5000/team/api", "host:5000/team/api:latest".to_owned()),
            (&format!("host.io/api:1@{digest}"), format!("host.io/api@{digest}")),
        ] {
            assert_eq!(Name::parse(text, &BTreeMap::new()).unwrap().to_string(), full, "{text}");
        }
        for bad in ["", "Redis", "a/../b", "host.io/a?x", "a:b:c", "host.io/a@sha256:zz", "http://host/a"] {
            let found = Name::parse(bad, &BTreeMap::new());
            assert!(matches!(found, Err(EngineError::ImageNotFound { .. })), "{bad}: {found:?}");
        }
    }

    #[test]
    fn a_mirror_takes_the_place_of_its_registry() {
        let of = |text: &str| Name::parse(text, &mirrors()).unwrap().to_string();
        assert_eq!(of("redis:7"), "127.0.0.1:5000/hub/library/redis:7");
        assert_eq!(of("ghcr.io/a/b"), "m.org/a/b:latest");
        assert_eq!(of("quay.io/a/b"), "quay.io/a/b:latest");
        let bad = BTreeMap::from([("docker.io".into(), "https://mirror.org".into())]);
        assert!(matches!(Name::parse("redis", &bad), Err(EngineError::Refused(_))));
    }

    #[test]
    fn no_two_workloads_share_a_repository() {
        let home = Home::new("127.0.0.1:5000/team/", "3F2a-9c1e7b55");
        let of = |id: &str| home.of(&id.parse().unwrap()).unwrap();
        assert_eq!(of("iris").to_string(), "127.0.0.1:5000/team/3f2a9c1e-iris");
        let ids = ["iris", "Iris", "a.b", "a-b", "a_b", "a--b"];
        let names: std::collections::BTreeSet<Place> = ids.iter().map(|id| of(id)).collect();
        assert_eq!(names.len(), ids.len());
        assert!(names.iter().all(|place| home.holds(place)));
        assert!(!home.holds(&Place::parse("127.0.0.1:5000/team/other").unwrap()));
        assert!(!Home::new("127.0.0.1:5000/team", "another1").holds(&of("iris")));
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for (host, address) in [
            ("127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("localhost", "http://localhost"),
            ("10.0.0.1:5000", "https://10.0.0.1:5000"),
            ("127.0.0.1.example.org", "https://127.0.0.1.example.org"),
            ("docker.io", "https://registry-1.docker.io"),
        ] {
            assert_eq!(endpoint(host), address);
        }
    }
}
