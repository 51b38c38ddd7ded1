//! A plan's diff as people read it: by service, with what is new or gone as a whole folded away.

use crate::domain::diff::Change;

/// The changes of one service, or of what stands above the services.
pub struct Group {
    /// `services.api`; empty for what stands above.
    pub title: String,
    /// `new` or `gone` when all of it came or went.
    pub whole: &'static str,
    /// With places below the title.
    pub changes: Vec<Change>,
}

impl Group {
    /// How many places, in words.
    pub fn count(&self) -> String {
        super::page::plural(self.changes.len() as u64, "place")
    }
}

/// Groups changes, which come in the order of their places.
pub fn groups(changes: &[Change]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for change in changes {
        let (title, place) = split(&change.place);
        let change = Change { place: place.to_owned(), ..change.clone() };
        match groups.last_mut() {
            Some(group) if group.title == title => group.changes.push(change),
            _ => groups.push(Group { title: title.to_owned(), whole: "", changes: vec![change] }),
        }
    }
    for group in &mut groups {
        group.whole = whole(group);
    }
    groups
}

fn split(place: &str) -> (&str, &str) {
    let rest = place.strip_prefix("services.").unwrap_or_default();
    match rest.find('.') {
        Some(dot) => place.split_at("services.".len() + dot),
        None => ("", place),
    }
}

/// A service always has an image or a build, so that one of which that came or went with all the rest came or went itself.
fn whole(group: &Group) -> &'static str {
    let has_source =
        group.changes.iter().any(|change| change.place == ".image" || change.place.starts_with(".build"));
    if has_source && group.changes.iter().all(|change| change.before.is_none()) {
        "new"
    } else if has_source && group.changes.iter().all(|change| change.after.is_none()) {
        "gone"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(place: &str, before: Option<&str>, after: Option<&str>) -> Change {
        Change { place: place.to_owned(), before: before.map(Into::into), after: after.map(Into::into) }
    }

    #[test]
    fn services_are_groups_and_new_ones_are_told_as_a_whole() {
        let found = groups(&[
            change("bundle", Some("1"), Some("2")),
            change("services.api.replicas", Some("1"), Some("2")),
            change("services.worker.image", None, Some("worker:1")),
            change("services.worker.replicas", None, Some("1")),
        ]);
        let told: Vec<(&str, &str, usize)> =
            found.iter().map(|group| (group.title.as_str(), group.whole, group.changes.len())).collect();
        assert_eq!(told, [("", "", 1), ("services.api", "", 1), ("services.worker", "new", 2)]);
        assert_eq!(found[1].changes[0].place, ".replicas");
    }
}
