//! Files of a bundle as a ConfigMap, where there is no registry to put them into an image.

use bytes::Bytes;

use super::files::Files;
use crate::domain::bundle::Digest;
use crate::engine::{EngineError, EngineResult};

/// What a ConfigMap may hold, with room for what the cluster adds.
pub(super) const LARGEST: u64 = 900 << 10;
const KIB: u64 = 1 << 10;

/// What has to go as a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMap {
    /// By path in the container.
    pub files: Vec<MappedFile>,
    /// 16 hex digits over everything above.
    pub digest: String,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedFile {
    /// A key of `binaryData`, unlike all others.
    pub key: String,
    /// Absolute path in the container.
    pub path: String,
    pub executable: bool,
    pub bytes: Bytes,
}

impl FileMap {
    /// Reads the files of a service.
    ///
    /// # Errors
    /// `Refused` where they are too large, with the way out.
    pub(super) fn read(service: &str, files: &Files) -> EngineResult<Self> {
        if files.size() > LARGEST {
            return Err(EngineError::Refused(format!(
                "the files of service {service} are {} KiB, and without a registry at most {} KiB reach a cluster; name a registry in the settings of the infrastructure",
                files.size().div_ceil(KIB),
                LARGEST / KIB
            )));
        }
        let read = files.files.iter().enumerate().map(|(number, (path, file))| {
            let bytes = std::fs::read(&file.source).map_err(|error| {
                EngineError::Refused(format!("/{path} of service {service} can't be read: {error}"))
            })?;
            Ok(MappedFile {
                key: key(number, path),
                path: format!("/{path}"),
                executable: file.executable,
                bytes: Bytes::from(bytes),
            })
        });
        let files: Vec<MappedFile> = read.collect::<EngineResult<_>>()?;
        Ok(Self { digest: digest(&files), files })
    }
}

fn digest(files: &[MappedFile]) -> String {
    let parts =
        files.iter().map(|file| format!("{:?} {} {}\n", file.path, file.executable, Digest::of(&file.bytes)));
    Digest::of(parts.collect::<String>().as_bytes()).as_str()[..16].to_owned()
}

/// `3-app.py`: told apart by its number, and known by its name.
fn key(number: usize, path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = name.chars().map(allowed).take(200).collect();
    format!("{number}-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::workload::FileMount;

    fn map(sizes: &[(&str, usize)]) -> EngineResult<FileMap> {
        let root = tempfile::tempdir().unwrap();
        for (name, size) in sizes {
            std::fs::write(root.path().join(name), vec![b'x'; *size]).unwrap();
        }
        let mount = FileMount { source: String::new(), target: "/data".into() };
        FileMap::read("api", &Files::list(root.path(), &[mount]).unwrap())
    }

    #[test]
    fn keys_are_told_apart_and_keep_to_their_grammar() {
        let made = map(&[("a b.txt", 1), ("a_b.txt", 2), ("ä", 3)]).unwrap();
        let keys: Vec<&str> = made.files.iter().map(|file| file.key.as_str()).collect();
        assert_eq!(keys, ["0-a_b.txt", "1-a_b.txt", "2-_"]);
        assert_eq!(made.files[0].path, "/data/a b.txt");
        assert_ne!(made.digest, map(&[("a b.txt", 1), ("a_b.txt", 2), ("ä", 4)]).unwrap().digest);
    }

    #[test]
    fn up_to_900_kib_fit() {
        assert_eq!(map(&[("a", 899 << 10), ("b", 1 << 10)]).unwrap().files.len(), 2);
        let said = map(&[("a", 900 << 10), ("b", 1)]).unwrap_err().to_string();
        assert!(said.contains("901 KiB") && said.contains("name a registry"), "{said}");
    }
}
