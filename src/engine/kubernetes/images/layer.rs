//! The one layer that carries a service's files: equal files over equal folders give equal bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use futures_util::Stream;
use futures_util::stream::unfold;
use sha2::{Digest as _, Sha256};

use super::files::Files;
use super::manifest::Blob;
use super::tree::{Folder, Tree, Way};
use crate::domain::bundle::Digest;
use crate::engine::entry::header;

/// Fixed, like everything that decides over the bytes.
const LEVEL: u32 = 6;
/// Bytes of one piece of an upload.
const PIECE: usize = 256 << 10;

/// A layer in a file that is gone with it.
pub(super) struct Layer {
    pub(super) blob: Blob,
    /// The digest of what is packed.
    pub(super) diff_id: String,
    file: File,
}

/// Folders and files as the layer holds them: by path without links.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
pub(super) struct Layout {
    /// Path, and what the image says of the folder.
    folders: BTreeMap<String, Folder>,
    /// Path in the layer to path in [`Files`].
    files: BTreeMap<String, String>,
}

impl Layout {
    /// Where `files` lie in an image of which `tree` is known.
    pub(super) fn new(files: &Files, tree: &Tree) -> Self {
        let mut folders = BTreeMap::new();
        for wanted in files.all_folders() {
            let (path, folder) = match tree.way(&wanted) {
                Way::Folder(path, folder) => (path, folder),
                Way::Open(path) => (path, Folder::OURS),
            };
            // A link leads elsewhere; the folders on that way are in the image, and are brought as they are.
            let above = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
            for above in above.collect::<Vec<_>>() {
                let known = match tree.way(&above) {
                    Way::Folder(_, folder) => folder,
                    Way::Open(_) => Folder::OURS,
                };
                folders.entry(above).or_insert(known);
            }
            folders.insert(path, folder);
        }
        let placed = files.files.keys().map(|file| {
            let Some((folder, name)) = file.rsplit_once('/') else {
                return (file.clone(), file.clone());
            };
            let (Way::Folder(folder, _) | Way::Open(folder)) = tree.way(folder);
            (super::files::joined(&folder, name), file.clone())
        });
        Self { files: placed.collect(), folders }
    }
}

impl Layer {
    /// Writes the layer to a temporary file.
    pub(super) fn build(files: &Files, layout: &Layout) -> io::Result<Self> {
        let packed = Hashing::new(BufWriter::new(tempfile::tempfile()?));
        let mut builder = tar::Builder::new(Hashing::new(
            GzBuilder::new().mtime(0).operating_system(255).write(packed, Compression::new(LEVEL)),
        ));
        for (path, folder) in &layout.folders {
            let mut header = header(tar::EntryType::Directory, folder.mode, 0);
            header.set_uid(folder.uid);
            header.set_gid(folder.gid);
            builder.append_data(&mut header, format!("{path}/"), io::empty())?;
        }
        for (path, key) in &layout.files {
            let Some(file) = files.files.get(key) else { continue };
            let mode = if file.executable { 0o755 } else { 0o644 };
            let mut header = header(tar::EntryType::Regular, mode, file.size);
            let content = BufReader::new(File::open(&file.source)?).take(file.size);
            builder.append_data(&mut header, path, content)?;
        }
        let (gz, diff_id, _) = builder.into_inner()?.finish();
        let (buffer, digest, size) = gz.finish()?.finish();
        let file = buffer.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Self { blob: Blob { digest, size, kind: String::new() }, diff_id, file })
    }

    /// The layer in pieces; `moved` counts their bytes.
    pub(super) fn pieces(
        &self,
        moved: Arc<AtomicU64>,
    ) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        let file = tokio::fs::File::from_std(file);
        Ok(unfold(Some((file, moved)), |state| async move {
            let (mut file, moved) = state?;
            let mut piece = vec![0; PIECE];
            match tokio::io::AsyncReadExt::read(&mut file, &mut piece).await {
                Ok(0) => None,
                Ok(read) => {
                    piece.truncate(read);
                    moved.fetch_add(read as u64, Ordering::Relaxed);
                    Some((Ok(Bytes::from(piece)), Some((file, moved))))
                }
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}

/// Passes on what is written, and counts and hashes it.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), size: 0 }
    }

    /// What was written to, the digest and the number of bytes.
    fn finish(self) -> (W, String, u64) {
        let digest = Digest::from_hash(&self.hash.finalize());
        (self.inner, format!("sha256:{digest}"), self.size)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::workload::FileMount;

    fn files(root: &std::path::Path) -> Files {
        let mount = |source: &str, target: &str| FileMount { source: source.into(), target: target.into() };
        Files::list(root, &[mount("conf", "/etc/x"), mount("run.sh", "/bin/run")]).unwrap()
    }

    fn bundle() -> tempfile::TempDir {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("conf")).unwrap();
        std::fs::write(root.path().join("conf/b.txt"), "b").unwrap();
        std::fs::write(root.path().join("conf/a.txt"), vec![b'a'; 300_000]).unwrap();
        std::fs::write(root.path().join("run.sh"), "run").unwrap();
        std::fs::set_permissions(root.path().join("run.sh"), std::fs::Permissions::from_mode(0o700)).unwrap();
        root
    }

    fn build(root: &std::path::Path, tree: &Tree) -> Layer {
        let files = files(root);
        Layer::build(&files, &Layout::new(&files, tree)).unwrap()
    }

    fn entries(layer: &Layer) -> Vec<(String, u32, u64, u64)> {
        let mut file = layer.file.try_clone().unwrap();
        file.rewind().unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        let read = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!(header.mtime().unwrap(), 0);
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            (path, header.mode().unwrap(), header.uid().unwrap(), header.size().unwrap())
        });
        read.collect()
    }

    #[test]
    fn equal_files_give_equal_bytes_whatever_their_times_and_order() {
        let (one, other) = (bundle(), bundle());
        std::fs::remove_file(other.path().join("conf/a.txt")).unwrap();
        std::fs::write(other.path().join("conf/a.txt"), vec![b'a'; 300_000]).unwrap();
        let (first, second) = (build(one.path(), &Tree::default()), build(other.path(), &Tree::default()));
        assert_eq!((&first.blob, &first.diff_id), (&second.blob, &second.diff_id));
        assert_eq!(
            entries(&first),
            [
                ("bin/".to_owned(), 0o755, 0, 0),
                ("etc/".to_owned(), 0o755, 0, 0),
                ("etc/x/".to_owned(), 0o755, 0, 0),
                ("bin/run".to_owned(), 0o755, 0, 3),
                ("etc/x/a.txt".to_owned(), 0o644, 0, 300_000),
                ("etc/x/b.txt".to_owned(), 0o644, 0, 1),
            ]
        );
        std::fs::write(other.path().join("conf/b.txt"), "c").unwrap();
        assert_ne!(first.blob.digest, build(other.path(), &Tree::default()).blob.digest);
    }

    #[test]
    fn what_the_image_has_keeps_its_owner_and_its_links() {
        let mut base = tar::Builder::new(Vec::new());
        let mut folder = |path: &str, mode, uid| {
            let mut header = header(tar::EntryType::Directory, mode, 0);
            header.set_uid(uid);
            base.append_data(&mut header, path, io::empty()).unwrap();
        };
        folder("usr/", 0o755, 0);
        folder("usr/bin/", 0o711, 3);
        folder("etc/", 0o750, 7);
        let mut link = header(tar::EntryType::Symlink, 0o777, 0);
        base.append_link(&mut link, "bin", "usr/bin").unwrap();
        let mut tree = Tree::default();
        tree.read(base.into_inner().unwrap().as_slice()).unwrap();
        let root = bundle();
        assert_eq!(
            entries(&build(root.path(), &tree)),
            [
                ("etc/".to_owned(), 0o750, 7, 0),
                ("etc/x/".to_owned(), 0o755, 0, 0),
                ("usr/".to_owned(), 0o755, 0, 0),
                ("usr/bin/".to_owned(), 0o711, 3, 0),
                ("etc/x/a.txt".to_owned(), 0o644, 0, 300_000),
                ("etc/x/b.txt".to_owned(), 0o644, 0, 1),
                ("usr/bin/run".to_owned(), 0o755, 0, 3),
            ]
        );
    }

    #[tokio::test]
    async fn the_pieces_are_the_file() {
        use futures_util::TryStreamExt as _;
        let root = bundle();
        let layer = build(root.path(), &Tree::default());
        let moved = Arc::new(AtomicU64::new(0));
        for _ in 0..2 {
            let pieces: Vec<Bytes> = layer.pieces(Arc::clone(&moved)).unwrap().try_collect().await.unwrap();
            assert_eq!(super::super::manifest::digest_of(&pieces.concat()), layer.blob.digest);
        }
        assert_eq!(moved.load(Ordering::Relaxed), 2 * layer.blob.size);
    }
}
