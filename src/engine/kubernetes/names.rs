//! Names and labels of the objects of one instance. Objects are named by workload and service, as people look for them;
//! what decides whose they are is their labels.

use std::collections::BTreeMap;

use crate::domain::bundle::Digest;
use crate::domain::name::{DeploymentId, ServiceName, VolumeName};
use crate::engine::{SlotRef, label};

/// Who applied what we apply.
pub(super) const MANAGER: &str = "slipway";

/// Annotations: what a label's 63 characters can't hold, and what a Deployment remembers of its own rollout.
pub(super) mod note {
    /// The deployment's id, whole.
    pub const WORKLOAD: &str = "io.slipway.workload";
    /// The service's name, whole.
    pub const SERVICE: &str = "io.slipway.service";
    /// The hash whose pods get the service's traffic.
    pub const SERVING: &str = "io.slipway.serving";
    /// The hash to go back to, and how many replicas it had: `hash/replicas`. There until the switch.
    pub const PREVIOUS: &str = "io.slipway.previous";
    /// How many replicas we asked for, whatever an autoscaler made of it.
    pub const REPLICAS: &str = "io.slipway.replicas";
    /// On ConfigMaps: the path in the container of each key, as JSON.
    pub const PATHS: &str = "io.slipway.paths";
    /// On pods: the image's id as it was resolved.
    pub const IMAGE: &str = "io.slipway.image";
    /// On pods: milliseconds in which a failing health check does not count.
    pub const START_PERIOD: &str = "io.slipway.start-period";
    /// What was applied last: `generation/digest of the spec`; what differs from it was changed by hand.
    pub const APPLIED: &str = "io.slipway.applied";
}

/// The longest label value, and the longest name of a Service.
const LONGEST: usize = 63;

/// The name of a service's Deployment and Service. A `-` in the service's own name could make it another pair's, so then a
/// digest of both follows.
pub(super) fn object(workload: &DeploymentId, service: &ServiceName) -> String {
    pair(workload, service, LONGEST)
}

/// `workload-service`; of a workload whose id is a uuid, which may begin with a digit, `service-workload`.
fn pair(workload: &DeploymentId, service: &ServiceName, longest: usize) -> String {
    let reversed = format!("{service}-{workload}");
    let plain = clean(service.as_str()) == service.as_str() && reversed.len() <= longest;
    let begins = service.as_str().starts_with(|c: char| c.is_ascii_lowercase());
    if workload.as_uuid().is_some() && plain && begins {
        return reversed;
    }
    named(workload.as_str(), service.as_str(), longest)
}

/// The name of a task's Job, and of what belongs to one revision alone: its template can't change, so it bears the hash.
pub(super) fn of_hash(workload: &DeploymentId, service: &ServiceName, hash: &str) -> String {
    format!("{}-{hash}", pair(workload, service, LONGEST - 1 - hash.len()))
}

/// The name of what reaches a service from outside: its second Service, its Ingress.
pub(super) fn public(workload: &DeploymentId, service: &ServiceName) -> String {
    named(workload.as_str(), &format!("public.{service}"), LONGEST)
}

/// The name of a volume's claim.
pub(super) fn volume(workload: &DeploymentId, volume: &VolumeName) -> String {
    named(workload.as_str(), &format!("data.{volume}"), LONGEST)
}

/// The name of something that a workload has one of: its pull secret, its network policy.
pub(super) fn of_workload(workload: &DeploymentId, what: &str) -> String {
    named(workload.as_str(), &format!("all.{what}"), LONGEST)
}

/// `first-second` as a DNS label that starts with a letter.
fn named(first: &str, second: &str, longest: usize) -> String {
    let (stem, tail) = (clean(first), clean(second));
    let plain = format!("{stem}-{tail}");
    let begins = plain.starts_with(|c: char| c.is_ascii_lowercase());
    if begins && stem == first && tail == second && !second.contains('-') && plain.len() <= longest {
        return plain;
    }
    let digest = Digest::of(format!("{first}\n{second}").as_bytes());
    let prefix = if begins { "" } else { "s-" };
    let room = longest - 9;
    let cut: String = format!("{prefix}{plain}").chars().take(room).collect();
    format!("{}-{}", cut.trim_end_matches('-'), &digest.as_str()[..8])
}

/// Lower-case letters, digits and single dashes.
fn clean(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// A text as a label's value: itself where that is allowed, else its start and a digest.
pub(super) fn value(text: &str) -> String {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = text.len() <= LONGEST && edge(text.chars().next()) && edge(text.chars().last());
    if fits && text.chars().all(allowed) {
        return text.to_owned();
    }
    let kept: String = text.chars().filter(|c| c.is_ascii_alphanumeric()).take(40).collect();
    format!("{kept}.{}", &Digest::of(text.as_bytes()).as_str()[..16])
}

pub(super) type Map = BTreeMap<String, String>;

/// Labels of everything that belongs to a workload.
pub(super) fn workload_labels(instance: &str, workload: &DeploymentId) -> Map {
    Map::from([
        (label::INSTANCE.to_owned(), value(instance)),
        (label::WORKLOAD.to_owned(), value(workload.as_str())),
    ])
}

/// Labels of everything that belongs to a service: what its Deployment and Service select by.
pub(super) fn service_labels(instance: &str, workload: &DeploymentId, service: &ServiceName) -> Map {
    let mut labels = workload_labels(instance, workload);
    labels.insert(label::SERVICE.to_owned(), value(service.as_str()));
    labels
}

/// The annotations that name workload and service whole.
pub(super) fn whole(workload: &DeploymentId, service: &ServiceName) -> Map {
    Map::from([
        (note::WORKLOAD.to_owned(), workload.to_string()),
        (note::SERVICE.to_owned(), service.to_string()),
    ])
}

/// Whether labels say that an object is this instance's.
pub(super) fn is_ours(instance: &str, labels: Option<&Map>) -> bool {
    labels.and_then(|labels| labels.get(label::INSTANCE)).is_some_and(|found| *found == value(instance))
}

/// A label selector for the API.
pub(super) fn selector(labels: &Map) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// Which workload and service an object's labels and annotations name.
pub(super) fn whose(labels: &Map, annotations: &Map) -> Option<(DeploymentId, ServiceName)> {
    let whole = |note: &str, label: &str| annotations.get(note).or_else(|| labels.get(label));
    let workload = whole(note::WORKLOAD, label::WORKLOAD)?.parse().ok()?;
    Some((workload, whole(note::SERVICE, label::SERVICE)?.parse().ok()?))
}

/// Which slot a pod's or Job's labels and annotations name; `index` is counted elsewhere.
pub(super) fn slot(labels: &Map, annotations: &Map, index: u32) -> Option<SlotRef> {
    let (workload, service) = whose(labels, annotations)?;
    Some(SlotRef { workload, service, hash: labels.get(label::HASH)?.clone(), index })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(workload: &str, service: &str) -> String {
        object(&workload.parse().unwrap(), &service.parse().unwrap())
    }

    #[test]
    fn names_are_the_plain_ones_where_they_can_be() {
        assert_eq!(name("iris", "api"), "iris-api");
        assert_eq!(name("iris-on-k8s", "api"), "iris-on-k8s-api");
        let uuid = "d1aea745-b0fc-4dbd-ba31-31e9d9a7a890";
        assert_eq!(name(uuid, "datacater-deployment"), format!("datacater-deployment-{uuid}"));
    }

    #[test]
    fn no_two_pairs_share_a_name_and_all_are_dns_labels() {
        let long = "x".repeat(60);
        let pairs = [
            ("a", "b-c"),
            ("a-b", "c"),
            ("A", "b"),
            ("a", "b"),
            ("1a", "b"),
            ("a.b", "c"),
            ("d1aea745-b0fc-4dbd-ba31-31e9d9a7a890", "api"),
            ("api", "d1aea745-b0fc-4dbd-ba31-31e9d9a7a890"),
            (&long, "api"),
            (&long, "web"),
        ];
        let names: std::collections::BTreeSet<String> = pairs.iter().map(|(a, b)| name(a, b)).collect();
        assert_eq!(names.len(), pairs.len(), "{names:?}");
        for name in names {
            assert!(name.len() <= 63 && name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
        }
        let job = of_hash(&long.parse().unwrap(), &"api".parse().unwrap(), "0123456789abcdef");
        assert!(job.len() <= 63 && job.ends_with("-0123456789abcdef"), "{job}");
    }

    #[test]
    fn label_values_hold_what_they_can() {
        assert_eq!(value("iris-on_k8s.1"), "iris-on_k8s.1");
        for text in ["x".repeat(64).as_str(), "-x", "x-"] {
            assert!(value(text).len() <= 63 && value(text) != text);
        }
    }
}
