//! The files of a bundle that a service sees, each at its path of the container.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::workload::FileMount;

/// A file of the bundle at its path of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) source: PathBuf,
    pub(super) size: u64,
    pub(super) executable: bool,
}

/// What a service sees of its bundle.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// By path in the container, without leading slash.
    pub(super) files: BTreeMap<String, Placed>,
    /// Folders of the bundle, likewise.
    pub(super) folders: BTreeSet<String>,
}

impl Files {
    /// What `mounts` place of the bundle that lies unpacked in `root`; of two files at one path the later one counts.
    pub(super) fn list(root: &Path, mounts: &[FileMount]) -> io::Result<Self> {
        let mut found = Self::default();
        for mount in mounts {
            let source = if mount.source.is_empty() { root.to_owned() } else { root.join(&mount.source) };
            let into_folder = mount.target.ends_with('/');
            let mut target = path(&mount.target);
            let metadata = metadata(&source)?;
            if metadata.is_file() && into_folder {
                let name = source.file_name().unwrap_or_default().to_string_lossy();
                target = joined(&target, &name);
            }
            found.add(&source, target, &metadata)?;
        }
        Ok(found)
    }

    fn add(&mut self, source: &Path, target: String, metadata: &Metadata) -> io::Result<()> {
        if !metadata.is_dir() {
            let (size, executable) = (metadata.len(), is_executable(metadata));
            self.files.insert(target, Placed { source: source.to_owned(), size, executable });
            return Ok(());
        }
        for child in std::fs::read_dir(source)? {
            let child = child?.path();
            let name = child.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.add(&child, joined(&target, &name), &self::metadata(&child)?)?;
        }
        if !target.is_empty() {
            self.folders.insert(target);
        }
        Ok(())
    }

    /// Bytes of all files.
    pub(super) fn size(&self) -> u64 {
        self.files.values().map(|file| file.size).sum()
    }

    /// Every folder that has to be there: those of the bundle, and all above them and above the files.
    pub(super) fn all_folders(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let above = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        let starts = self.files.keys().filter_map(|file| above(file)).chain(self.folders.iter().cloned());
        for start in starts {
            let mut next = Some(start);
            while let Some(folder) = next.take() {
                next = above(&folder);
                if !all.insert(folder) {
                    break;
                }
            }
        }
        all
    }
}

/// Of a file or a folder: nothing else can come out of an unpacked bundle.
fn metadata(path: &Path) -> io::Result<Metadata> {
    let metadata = std::fs::symlink_metadata(path)?;
    if metadata.is_file() || metadata.is_dir() {
        return Ok(metadata);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{} is neither a file nor a folder", path.display()),
    ))
}

/// A container's path without leading, trailing, doubled slashes, `.` and `..`.
fn path(target: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

pub(super) fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(source: &str, target: &str) -> FileMount {
        FileMount { source: source.into(), target: target.into() }
    }

    #[test]
    fn files_lie_where_their_mounts_say() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("conf/deep/empty")).unwrap();
        std::fs::write(root.path().join("conf/a.txt"), "a").unwrap();
        std::fs::write(root.path().join("run.sh"), "run").unwrap();
        let mounts = [
            mount("conf", "/etc/x/"),
            mount("run.sh", "/usr/../opt//run"),
            mount("run.sh", "/srv/"),
            mount("run.sh", "/etc/x/a.txt"),
        ];
        let found = Files::list(root.path(), &mounts).unwrap();
        assert_eq!(found.files.keys().collect::<Vec<_>>(), ["etc/x/a.txt", "opt/run", "srv/run.sh"]);
        assert_eq!(found.size(), 9, "the later mount counts");
        let folders: Vec<String> = found.all_folders().into_iter().collect();
        assert_eq!(folders, ["etc", "etc/x", "etc/x/deep", "etc/x/deep/empty", "opt", "srv"]);
    }

    #[test]
    fn a_link_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("link")).unwrap();
        for source in ["", "link"] {
            let failed = Files::list(root.path(), &[mount(source, "/x")]).unwrap_err();
            assert_eq!(failed.kind(), io::ErrorKind::InvalidData);
        }
    }
}
