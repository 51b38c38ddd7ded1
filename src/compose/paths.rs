//! Paths of the bundle, which must stay inside it and exist, and paths of a container.

use std::collections::BTreeSet;

use crate::compose::field::Field;
use crate::compose::report::Report;
use crate::domain::bundle::BundleFile;
use crate::domain::notation;

/// The bundle's files and the folders they lie in.
#[derive(Debug)]
pub struct Files<'a> {
    files: BTreeSet<&'a str>,
    folders: BTreeSet<&'a str>,
}

/// What a path must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    File,
    Folder,
    Either,
}

impl<'a> Files<'a> {
    pub fn new(files: &'a [BundleFile]) -> Self {
        let paths = files.iter().map(|file| file.path.as_str());
        let above = |path: &'a str| path.match_indices('/').map(move |(at, _)| &path[..at]);
        let mut folders: BTreeSet<&str> = paths.clone().flat_map(above).collect();
        folders.insert("");
        Self { files: paths.collect(), folders }
    }

    /// Whether `text` names a file of the bundle.
    pub fn has_file(&self, text: &str) -> bool {
        inside(text, "").is_ok_and(|path| self.files.contains(path.as_str()))
    }

    /// `text` as a path of the bundle, taken from the folder `base`; reported when it leads out or is not there.
    pub fn resolve(
        &self,
        text: &str,
        base: &str,
        wanted: Wanted,
        field: &Field<'_>,
        report: &mut Report,
    ) -> Option<String> {
        let path = match inside(text, base) {
            Ok(path) => path,
            Err(why) => {
                field.refuse(
                    report,
                    format!("{text:?} {why}"),
                    "Write a path of the bundle, such as `./data`.",
                );
                return None;
            }
        };
        let (file, folder) = (self.files.contains(path.as_str()), self.folders.contains(path.as_str()));
        match wanted {
            Wanted::File if folder => {
                field.refuse(report, format!("{text:?} is a folder"), "Name a file of the bundle.");
                None
            }
            Wanted::Folder if file => {
                field.refuse(report, format!("{text:?} is a file"), "Name a folder of the bundle.");
                None
            }
            _ if file || folder => Some(path),
            _ => {
                field.refuse(report, format!("the bundle has no {path:?}"), self.hint(&path, report));
                None
            }
        }
    }

    fn hint(&self, path: &str, report: &Report) -> String {
        let all = || self.files.iter().chain(&self.folders).copied().filter(|path| !path.is_empty());
        let last = |path: &'_ str| path.rfind('/').map_or(0, |at| at + 1);
        let same_name = |other: &&str| other[last(other)..] == path[last(path)..];
        let near = report.nearest(path, all());
        match near.or_else(|| all().find(same_name).filter(|_| !report.is_full())) {
            Some(near) => {
                format!("Did you mean `./{near}`? Paths are those of the bundle, in upper and lower case.")
            }
            None => "Put it into the bundle, or correct the path; empty folders are no part of a bundle."
                .to_owned(),
        }
    }
}

/// Whether a mount's source is a path and not a volume's name, as Compose tells them apart.
pub fn is_path(text: &str) -> bool {
    text.starts_with(['.', '/', '~']) || text.contains('/') || text.contains('\\')
}

/// `text` from `base`, without `.` and `..`; or why it can't be.
fn inside(text: &str, base: &str) -> Result<String, &'static str> {
    if text.starts_with('/') {
        return Err("is an absolute path");
    }
    if text.starts_with('~') {
        return Err("is in somebody's home folder");
    }
    if text.contains('\\') {
        return Err("holds a backslash");
    }
    if text.contains("://") || text.starts_with("git@") {
        return Err("is an address, not a path");
    }
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or("leads out of the bundle")?;
            }
            _ => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// An absolute path in a container, without trailing slash; reported when it is none.
pub fn container(text: &str, field: &Field<'_>, report: &mut Report) -> Option<String> {
    match notation::absolute_path(text) {
        Some(path) if path != "/" => Some(path),
        Some(_) => {
            let hint = "Mount a folder, such as `/data`.";
            field.refuse(report, "the container's root can't be mounted over", hint);
            None
        }
        None => {
            let hint = "Write an absolute path of the container without `..`, such as `/data`.";
            field.refuse(report, format!("{text:?} is no absolute path of the container"), hint);
            None
        }
    }
}

/// An absolute path of the engine's host, `/` itself too; reported when it is none.
pub fn host(text: &str, field: &Field<'_>, report: &mut Report) -> Option<String> {
    let path = notation::absolute_path(text);
    if path.is_none() {
        let hint = "Write the host's path without `..`; it needs an administrator's exception.";
        field.refuse(report, format!("{text:?} is no plain path of the host"), hint);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_bundle() {
        for (text, base, expected) in [
            ("./a/b", "", Ok("a/b")),
            (".", "", Ok("")),
            ("./", "", Ok("")),
            ("a//b/./c/", "", Ok("a/b/c")),
            ("../x", "api", Ok("x")),
            ("a/../b", "", Ok("b")),
            ("Dockerfile", "api", Ok("api/Dockerfile")),
            ("../x", "", Err("leads out of the bundle")),
            ("a/../../x", "", Err("leads out of the bundle")),
            ("/etc", "", Err("is an absolute path")),
            ("~/x", "", Err("is in somebody's home folder")),
            ("a\\b", "", Err("holds a backslash")),
            ("https://host/repo.git", "", Err("is an address, not a path")),
        ] {
            assert_eq!(inside(text, base).as_deref(), expected.as_ref().map(|ok| *ok), "{text}");
        }
    }

    #[test]
    fn sources_are_told_apart_as_compose_does() {
        assert!(["./a", "../a", "/a", "~/a", "a/b", ".", "a\\b"].iter().all(|text| is_path(text)));
        assert!(["data", "pg-data", "a.b"].iter().all(|text| !is_path(text)));
    }
}
