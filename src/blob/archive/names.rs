//! The names an archive may hold: plain relative paths, each standing for one file on any file system.

use std::collections::HashMap;

use crate::domain::{Error, Problem, Result};

/// Bytes of a whole path.
pub const LONGEST_PATH: usize = 1_024;
/// Bytes of one component, as every common file system has it.
const LONGEST_COMPONENT: usize = 255;
/// Folders within folders.
const DEEPEST: usize = 64;

/// Refuses a path that is not plain: relative, `/`-separated, without `.`, `..`, empty parts, backslashes, drive
/// letters or control characters, and neither too long nor too deep.
pub fn check(path: &str) -> Result<()> {
    match fault(path) {
        None => Ok(()),
        Some((what, way_out)) => Err(refuse(path, what, way_out)),
    }
}

/// The refusal of the entry `path`.
pub fn refuse(path: &str, what: impl Into<String>, way_out: &str) -> Error {
    let shown: String = path.chars().take(120).collect();
    let place = format!("{shown:?}");
    Error::problems("archive_refused", vec![Problem::new(place, what).hint(way_out)])
}

const PLAIN: &str = "Zip the folder again with plain relative paths, e.g. `zip -r bundle.zip .` inside it.";
const SHORT: &str = "Shorten or flatten the folders, then zip them again.";

fn fault(path: &str) -> Option<(&'static str, &'static str)> {
    let drive =
        |path: &str| path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    if path.is_empty() {
        return Some(("the archive has an entry without a name", PLAIN));
    }
    if path.len() > LONGEST_PATH {
        return Some(("the path is longer than 1024 bytes", SHORT));
    }
    if path.chars().any(char::is_control) {
        return Some(("the name holds a control character", "Rename the file, then zip it again."));
    }
    if path.contains('\\') {
        return Some(("the name holds a backslash", "Zip it with a tool that separates folders by `/`."));
    }
    if path.starts_with('/') || drive(path) {
        return Some(("the path is absolute", PLAIN));
    }
    if path.split('/').count() > DEEPEST {
        return Some(("the path is deeper than 64 folders", SHORT));
    }
    for part in path.split('/') {
        match part {
            ".." => return Some(("the path leads out of the bundle", PLAIN)),
            "." | "" => return Some(("the path has an empty or `.` part", PLAIN)),
            _ if part.len() > LONGEST_COMPONENT => {
                return Some(("a part of the path is longer than 255 bytes", SHORT));
            }
            _ => {}
        }
    }
    None
}

/// Every name seen, with the folders that they imply, as a file system that ignores case would keep them.
#[derive(Debug, Default)]
pub struct Tree {
    seen: HashMap<String, Seen>,
    most: usize,
}

#[derive(Debug)]
struct Seen {
    spelled: String,
    folder: bool,
    /// It stands in the archive itself, and is not only implied by a path below it.
    listed: bool,
}

impl Tree {
    /// A tree of at most `most` files and folders.
    pub fn new(most: usize) -> Self {
        Self { seen: HashMap::new(), most }
    }

    /// Adds `path`, refusing it when it meets another name of the archive.
    pub fn add(&mut self, path: &str, folder: bool) -> Result<()> {
        for (end, _) in path.match_indices('/') {
            self.insert(&path[..end], true, false)?;
        }
        self.insert(path, folder, true)
    }

    fn insert(&mut self, path: &str, folder: bool, listed: bool) -> Result<()> {
        let full = self.seen.len() >= self.most;
        let Some(known) = self.seen.get_mut(&path.to_lowercase()) else {
            if full {
                let message = format!("the archive holds more than {} files and folders", self.most);
                return Err(Error::invalid("archive_refused", message).hint(
                    "Leave out what is not needed at run time, such as virtual environments and caches.",
                ));
            }
            self.seen.insert(path.to_lowercase(), Seen { spelled: path.to_owned(), folder, listed });
            return Ok(());
        };
        if known.spelled != path {
            let what = format!("{:?} and {path:?} differ only in case", known.spelled);
            return Err(refuse(path, what, "Rename one of the two, then zip them again."));
        }
        if known.folder != folder {
            return Err(refuse(path, "the name is both a file and a folder", "Zip the folder again."));
        }
        if known.listed && listed {
            return Err(refuse(path, "the name stands twice in the archive", "Zip the folder again."));
        }
        known.listed |= listed;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_pass() {
        for good in ["a", "a/b.txt", "модель/данные.csv", "a b/c:d", "...", ".env"] {
            check(good).unwrap();
        }
        let long = "x/".repeat(600);
        let deep = "x/".repeat(70) + "x";
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "./a",
            "a/",
            "C:/x",
            "c:x",
            "a\\b",
            "a\0b",
            "a\nb",
            &long,
            &deep,
        ] {
            assert_eq!(check(bad).unwrap_err().code, "archive_refused", "{bad:?}");
        }
        assert!(check(&"x".repeat(256)).is_err());
    }

    #[test]
    fn names_that_meet_are_refused() {
        let refused = |names: &[(&str, bool)]| {
            let mut tree = Tree::new(100);
            names.iter().find_map(|(name, folder)| tree.add(name, *folder).err()).map(|error| error.message)
        };
        assert_eq!(refused(&[("a/b", false), ("a", true), ("a/c", false)]), None);
        assert!(refused(&[("a", false), ("a", false)]).unwrap().contains("twice"));
        assert!(refused(&[("a", true), ("a", true)]).unwrap().contains("twice"));
        assert!(refused(&[("README", false), ("readme", false)]).unwrap().contains("case"));
        assert!(refused(&[("Data/x", false), ("data/y", false)]).unwrap().contains("case"));
        assert!(refused(&[("a", false), ("a/b", false)]).unwrap().contains("both"));
        assert!(refused(&[("a/b", false), ("a", false)]).unwrap().contains("both"));
    }

    #[test]
    fn implied_folders_count() {
        let mut tree = Tree::new(3);
        assert!(tree.add("a/b/c/d", false).unwrap_err().message.contains("more than 3"));
    }
}
