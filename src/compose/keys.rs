//! Which keys a mapping may have: those that are read, those that Compose knows and Slipway refuses, each with its
//! way out, and for all others the nearest that was perhaps meant.

use crate::compose::field::below;
use crate::compose::node::Map;
use crate::compose::report::{Place, Report};

/// The keys of one kind of mapping.
#[derive(Debug)]
pub struct Keys {
    /// What the mapping is, as in "no key of a service".
    pub noun: &'static str,
    /// What one looks like, for somebody who wrote something else there.
    pub example: &'static str,
    /// Read, or accepted because what they say holds anyway.
    pub supported: &'static [&'static str],
    /// Known to the Compose Specification and not supported: key and what to do instead.
    pub refused: &'static [(&'static str, &'static str)],
    /// Not known to Compose at this place, but often written: key and what is meant.
    pub mistaken: &'static [(&'static str, &'static str)],
}

impl Keys {
    /// Reports every key of `map` that is not supported.
    pub fn check(&self, map: &Map, path: &str, report: &mut Report) {
        for entry in &map.entries {
            self.check_key(&entry.key, entry.at, path, report);
        }
    }

    fn check_key(&self, key: &str, at: Place, path: &str, report: &mut Report) {
        let path = below(path, key);
        if self.supported.contains(&key) {
            return;
        }
        let advice =
            |list: &[(&str, &'static str)]| list.iter().find(|(name, _)| *name == key).map(|(_, say)| *say);
        if let Some(say) = advice(self.refused) {
            report.at(at, format!("{path}: Slipway does not support this key of Compose"), say);
        } else if key.starts_with("x-") {
            // Extensions mean nothing to anybody but who wrote them: the specification asks to pass them over.
        } else if let Some(say) = advice(self.mistaken) {
            report.at(at, format!("{path}: {key} is no key of {}", self.noun), say);
        } else {
            let hint = match report.nearest(key, self.known()) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => "Remove it, or name it `x-…` if it is meant for somebody else.".to_owned(),
            };
            let shown: String = key.chars().take(60).collect();
            report.at(at, format!("{path}: {shown} is no key of {}", self.noun), hint);
        }
    }

    fn known(&self) -> impl Iterator<Item = &'static str> {
        self.supported.iter().copied().chain(self.refused.iter().map(|(name, _)| *name))
    }
}

/// How many names a misspelled one is compared with.
const COMPARED: usize = 1_000;

/// The one of `known` that `written` was perhaps meant to be.
pub fn nearest<'k>(written: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    if written.len() > 60 {
        return None;
    }
    let plain = |name: &str| name.to_lowercase().replace(['-', '_'], "");
    let written = plain(written);
    let most = (written.chars().count() / 3).max(1);
    known
        .take(COMPARED)
        .map(|name| (strsim::osa_distance(&written, &plain(name)), name))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_name_is_found_and_far_ones_are_not() {
        let known = || ["image", "environment", "depends_on", "ports", "restart"].into_iter();
        for (written, meant) in [
            ("enviroment", Some("environment")),
            ("Image", Some("image")),
            ("dependsOn", Some("depends_on")),
            ("depends-on", Some("depends_on")),
            ("port", Some("ports")),
            ("retsart", Some("restart")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, known()), meant, "{written}");
        }
    }
}
