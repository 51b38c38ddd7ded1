//! Which folder of the archive is the bundle's root, and which file there is its compose file.

use crate::blob::archive::directory::Entry;
use crate::domain::{Error, Result};

/// In the order in which Compose looks for them.
const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// What Compose would lay over the first by itself.
const OVERRIDES: [&str; 4] = [
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];
const ONE_FILE: &str =
    "A bundle has one compose file, compose.yaml: keep that, and leave the other out of the archive.";

/// The root and its compose file.
#[derive(Debug, PartialEq, Eq)]
pub struct Root {
    /// With its slash; empty when the archive's own root is it.
    prefix: String,
    pub compose: String,
}

impl Root {
    /// A name of the archive as a path of the bundle.
    pub fn strip(&self, name: &str) -> String {
        name.strip_prefix(&self.prefix).unwrap_or(name).to_owned()
    }
}

/// Whether a Mac put the name there for itself.
pub fn is_foreign(name: &str) -> bool {
    name == "__MACOSX" || name.starts_with("__MACOSX/")
}

/// Finds the compose file at the archive's root, or in the one folder that holds everything.
pub fn find(entries: &[Entry]) -> Result<Root> {
    let files = entries.iter().filter(|entry| !entry.folder && !is_foreign(&entry.name));
    let names: Vec<&str> = files.map(|entry| entry.name.as_str()).collect();
    let prefix = if compose_files(&names, "").is_empty() { only_folder(&names) } else { String::new() };
    let found = compose_files(&names, &prefix);
    let overrides = OVERRIDES.iter().find(|name| names.contains(&format!("{prefix}{name}").as_str()));
    match (found.as_slice(), overrides) {
        ([], _) => Err(no_compose(&names)),
        ([one], None) => Ok(Root { compose: (*one).to_owned(), prefix }),
        ([one], Some(over)) => {
            let message =
                format!("{over} would change {one} under Compose, and Slipway does not merge files");
            Err(Error::invalid("archive_refused", message)
                .hint(format!("Write its changes into {one}, or leave {over} out of the archive.")))
        }
        ([one, two, ..], _) => {
            let message = format!("the archive has both {one} and {two} at its root");
            Err(Error::invalid("archive_refused", message).hint(ONE_FILE))
        }
    }
}

fn compose_files(names: &[&str], prefix: &str) -> Vec<&'static str> {
    COMPOSE_FILES.into_iter().filter(|file| names.contains(&format!("{prefix}{file}").as_str())).collect()
}

/// The one top-level folder that every file lies in, with its slash; empty when there is none.
fn only_folder(names: &[&str]) -> String {
    let top = names.first().and_then(|name| name.split_once('/')).map(|(top, _)| format!("{top}/"));
    top.filter(|top| names.iter().all(|name| name.starts_with(top))).unwrap_or_default()
}

fn no_compose(names: &[&str]) -> Error {
    let is_compose = |name: &&&str| name.rsplit('/').next().is_some_and(|last| COMPOSE_FILES.contains(&last));
    let hint = match names.iter().filter(is_compose).min_by_key(|name| name.matches('/').count()) {
        Some(deeper) => {
            let folder = deeper.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("There is one in {folder}: zip that folder instead.")
        }
        None => "Put a compose.yaml at the root of the folder, then zip the folder again.".to_owned(),
    };
    Error::invalid("archive_refused", "the archive has no compose.yaml at its root").hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::archive::directory::Method;

    fn root(names: &[&str]) -> Result<Root> {
        let entry = |name: &&str| Entry {
            name: (*name).to_owned(),
            folder: false,
            executable: false,
            method: Method::Stored,
            crc32: 0,
            packed: 0,
            size: 0,
            offset: 0,
        };
        find(&names.iter().map(entry).collect::<Vec<_>>())
    }

    #[test]
    fn the_compose_file_is_found_at_the_root_or_in_the_only_folder() {
        let found = root(&["a/x", "compose.yaml"]).unwrap();
        assert_eq!((found.prefix.as_str(), found.compose.as_str()), ("", "compose.yaml"));
        let found = root(&["iris/docker-compose.yml", "iris/api/app.py", "__MACOSX/iris/._x"]).unwrap();
        assert_eq!((found.prefix.as_str(), found.compose.as_str()), ("iris/", "docker-compose.yml"));
        assert_eq!(found.strip("iris/api/app.py"), "api/app.py");
    }

    #[test]
    fn what_is_ambiguous_or_missing_is_refused_with_a_way_out() {
        let hint = |names: &[&str]| root(names).unwrap_err().to_string();
        assert!(hint(&["a/compose.yaml", "README.md"]).contains("There is one in a:"));
        assert!(hint(&["a/b/compose.yaml"]).contains("There is one in a/b:"));
        assert!(hint(&["README.md"]).contains("Put a compose.yaml"));
        assert!(
            hint(&["compose.yaml", "docker-compose.yml"])
                .contains("both compose.yaml and docker-compose.yml")
        );
        assert!(hint(&["compose.yaml", "compose.override.yaml"]).contains("does not merge"));
        assert!(hint(&[]).contains("no compose.yaml"));
    }
}
