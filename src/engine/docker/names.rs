//! Names of containers, networks, volumes and image tags, derived from instance, workload, service, slot and hash, so
//! that a step repeated finds its own work; and the labels that say what an object is.

use std::collections::HashMap;

use crate::domain::bundle::Digest;
use crate::domain::name::{DeploymentId, VolumeName};
use crate::engine::{ServiceRequest, SlotRef, label};

/// What somebody may change by hand, as it was asked for: [`Expected`] as text.
pub(super) const EXPECTED: &str = "io.slipway.expected";

/// The longest name made here.
const LONGEST: usize = 200;

/// Names and labels of one instance's objects.
#[derive(Debug, Clone)]
pub(super) struct Names {
    instance: String,
    short: String,
}

impl Names {
    /// Names carry the first 8 letters and digits of the id, labels all of it.
    pub(super) fn new(instance: &str) -> Self {
        let letters = instance.chars().filter(char::is_ascii_alphanumeric);
        Self {
            instance: instance.to_owned(),
            short: letters.take(8).collect::<String>().to_ascii_lowercase(),
        }
    }

    /// The value of the instance's label.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// The container of a slot. Its 8 digits cover workload and service too: `a-b` + `c` is not `a` + `b-c`.
    pub(super) fn container(&self, slot: &SlotRef) -> String {
        let identity = format!("{}\n{}\n{}", slot.workload, slot.service, slot.hash);
        let tail = format!("{}-{}", &digest(&identity)[..8], slot.index);
        let stem = format!("slw-{}-{}-{}", self.short, slot.workload, slot.service);
        format!("{}-{tail}", shortened(&stem, LONGEST - 1 - tail.len()))
    }

    /// The network of a workload.
    pub(super) fn network(&self, workload: &DeploymentId) -> String {
        shortened(&format!("slw-{}-{workload}", self.short), LONGEST)
    }

    /// Whether a network's name may be one of ours; its labels decide.
    pub(super) fn may_be_network(&self, name: &str) -> bool {
        name.strip_prefix("slw-").and_then(|rest| rest.strip_prefix(self.short.as_str())).is_some()
    }

    /// A named volume of a workload.
    pub(super) fn volume(&self, workload: &DeploymentId, volume: &VolumeName) -> String {
        let plain = format!("slw-{}-{workload}-{volume}", self.short);
        if volume.as_str().contains('-') {
            let identity = format!("{workload}\n{volume}");
            let tail = &digest(&identity)[..6];
            return format!("{}-{tail}", shortened(&plain, LONGEST - 7));
        }
        shortened(&plain, LONGEST)
    }

    /// The repository under which a workload's images keep a tag of ours.
    pub(super) fn repository(&self, workload: &DeploymentId) -> String {
        let name = workload.as_str();
        let lower = name.to_ascii_lowercase();
        let plain = lower == name && is_repository(name) && name.len() <= 100;
        let component = if plain {
            lower
        } else {
            let kept: String = lower
                .split(|c: char| !c.is_ascii_alphanumeric())
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("-")
                .chars()
                .take(80)
                .collect();
            format!("{}-{}", kept.trim_end_matches('-'), &digest(name)[..8])
        };
        format!("slipway/{}/{component}", self.short)
    }

    /// Whether a repository is one that this instance keeps images of its workloads in.
    pub(super) fn is_repository(&self, name: &str) -> bool {
        name.strip_prefix("slipway/")
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(instance, _)| instance == self.short)
    }

    /// The labels of everything that belongs to a workload.
    pub(super) fn labels(&self, workload: &DeploymentId) -> HashMap<String, String> {
        HashMap::from([
            (label::INSTANCE.into(), self.instance.clone()),
            (label::WORKLOAD.into(), workload.to_string()),
        ])
    }

    /// The labels of a slot's container; `expected` says what drift is measured against.
    pub(super) fn slot_labels(
        &self,
        request: &ServiceRequest,
        index: u32,
        expected: &Expected,
    ) -> HashMap<String, String> {
        let user = request.service.labels.iter().chain(&request.service.object_labels);
        let mut labels: HashMap<String, String> = user
            .filter(|(key, _)| !key.starts_with("io.slipway."))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        labels.extend(self.labels(&request.workload));
        labels.extend([
            (label::SERVICE.into(), request.name.to_string()),
            (label::REVISION.into(), request.revision.to_string()),
            (label::HASH.into(), request.hash.clone()),
            (label::SLOT.into(), index.to_string()),
            (EXPECTED.into(), expected.to_text()),
        ]);
        labels
    }

    /// Whether labels say that an object is this instance's.
    pub(super) fn is_ours(&self, labels: &HashMap<String, String>) -> bool {
        labels.get(label::INSTANCE).is_some_and(|instance| *instance == self.instance)
    }

    /// Which slot labels name, where they are this instance's.
    pub(super) fn slot(&self, labels: &HashMap<String, String>) -> Option<SlotRef> {
        let get = |key: &str| labels.get(key);
        self.is_ours(labels).then_some(())?;
        Some(SlotRef {
            workload: get(label::WORKLOAD)?.parse().ok()?,
            service: get(label::SERVICE)?.parse().ok()?,
            hash: get(label::HASH)?.clone(),
            index: get(label::SLOT)?.parse().ok()?,
        })
    }
}

/// What was asked of a container and can be changed by hand while it exists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Expected {
    /// The image's id.
    pub(super) image: String,
    /// The workload's network; empty for one on the host's.
    pub(super) network: String,
    /// Bytes; 0 is no limit.
    pub(super) memory: i64,
    /// Billionths of a CPU; 0 is no limit.
    pub(super) nano_cpus: i64,
    /// 0 is no limit.
    pub(super) pids: i64,
    /// Whether the engine itself starts it again when it ends by itself.
    pub(super) restarts: bool,
}

impl Expected {
    fn to_text(&self) -> String {
        let Self { image, network, memory, nano_cpus, pids, restarts } = self;
        format!(
            "image={image} network={network} memory={memory} nano_cpus={nano_cpus} pids={pids} restarts={restarts}"
        )
    }

    /// From the label of a container of ours.
    pub(super) fn from_labels(labels: &HashMap<String, String>) -> Option<Self> {
        let text = labels.get(EXPECTED)?;
        let get = |key: &str| text.split(' ').find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
        Some(Self {
            image: get("image")?.to_owned(),
            network: get("network")?.to_owned(),
            memory: get("memory")?.parse().ok()?,
            nano_cpus: get("nano_cpus")?.parse().ok()?,
            pids: get("pids")?.parse().ok()?,
            restarts: get("restarts")?.parse().ok()?,
        })
    }
}

/// 64 hex digits over `text`.
pub(super) fn digest(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}

/// `name`, or its head and a hash of all of it where it is longer than `longest`.
fn shortened(name: &str, longest: usize) -> String {
    if name.len() <= longest {
        return name.to_owned();
    }
    let head: String = name.chars().take(longest - 9).collect();
    format!("{head}-{}", &digest(name)[..8])
}

/// Whether a name can be a component of an image's repository.
fn is_repository(name: &str) -> bool {
    let ends_well = |part: &str| part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let parts: Vec<&str> = name.split(['.', '-']).collect();
    parts.iter().all(|part| !part.is_empty() && ends_well(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(workload: &str, service: &str) -> SlotRef {
        SlotRef {
            workload: workload.parse().unwrap(),
            service: service.parse().unwrap(),
            hash: "0123456789abcdef".into(),
            index: 2,
        }
    }

    #[test]
    fn names_tell_slots_apart_and_stay_short() {
        let names = Names::new("3F2a-9c1e7b55-aa");
        let one = names.container(&slot("a-b", "c"));
        let other = names.container(&slot("a", "b-c"));
        assert!(one.starts_with("slw-3f2a9c1e-a-b-c-") && one.ends_with("-2"), "{one}");
        assert_ne!(one, other);
        let long = names.container(&slot(&"w".repeat(128), &"s".repeat(63)));
        assert!(long.len() <= LONGEST && long.ends_with("-2"), "{long}");
    }

    #[test]
    fn volumes_of_two_workloads_never_meet() {
        let names = Names::new("instance");
        let one = names.volume(&"a".parse().unwrap(), &"b-c".parse().unwrap());
        let other = names.volume(&"a-b".parse().unwrap(), &"c".parse().unwrap());
        assert_ne!(one, other);
    }

    #[test]
    fn repositories_keep_to_their_grammar() {
        let names = Names::new("instance");
        let of = |workload: &str| names.repository(&workload.parse().unwrap());
        assert_eq!(of("iris-on.prod"), "slipway/instance/iris-on.prod");
        for odd in ["Iris", "a_b", "a--b", "a-", "x.-y"] {
            let repository = of(odd);
            let component = repository.rsplit('/').next().unwrap();
            assert!(is_repository(component), "{repository}");
            assert_ne!(component, odd);
        }
        assert_ne!(of("Iris"), of("iris"));
    }

    #[test]
    fn expectations_survive_their_label() {
        let expected = Expected {
            image: "sha256:ab".into(),
            network: "slw-1-iris".into(),
            memory: 64 << 20,
            nano_cpus: 500_000_000,
            pids: 100,
            restarts: true,
        };
        let labels = HashMap::from([(EXPECTED.to_owned(), expected.to_text())]);
        assert_eq!(Expected::from_labels(&labels), Some(expected));
    }
}
