//! A build's context as a tar archive, made while it is sent: a bundle never lies in memory as a whole.
//!
//! Equal files give equal bytes: entries are sorted, times are 0, owners are root, and of the mode only the
//! executable bit counts.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt, unfold};
use tokio::sync::mpsc;

use crate::engine::docker::ignore::Ignore;
use crate::engine::entry::header;

/// Bytes of one piece.
const PIECE: usize = 64 << 10;

/// One file or folder of the context.
#[derive(Debug)]
pub(super) enum Entry {
    Text {
        name: String,
        content: String,
    },
    /// A file, or a folder with all below it that `ignore` leaves in; `""` as name puts it at the context's root.
    Path {
        name: String,
        source: PathBuf,
        ignore: Ignore,
    },
}

/// The archive of `entries`, as a thread writes it.
pub(super) fn stream(entries: Vec<Entry>) -> BoxStream<'static, io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(8);
    tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe { sender: sender.clone(), piece: BytesMut::with_capacity(PIECE) };
        if let Err(error) = write(&mut pipe, &entries) {
            // Nobody reads any more, or this is the last word.
            let _ = sender.blocking_send(Err(error));
        }
    });
    unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) }).boxed()
}

fn write(pipe: &mut Pipe, entries: &[Entry]) -> io::Result<()> {
    let mut builder = tar::Builder::new(&mut *pipe);
    for entry in entries {
        match entry {
            Entry::Text { name, content } => {
                let mut header = header(tar::EntryType::Regular, 0o644, content.len() as u64);
                builder.append_data(&mut header, name, content.as_bytes())?;
            }
            Entry::Path { name, source, ignore } => append(&mut builder, source, name, "", ignore)?,
        }
    }
    builder.finish()?;
    drop(builder);
    pipe.flush()
}

/// Appends `source` as `name`; `below` is its path under the entry's own root, which `ignore` speaks of.
fn append(
    builder: &mut tar::Builder<&mut Pipe>,
    source: &Path,
    name: &str,
    below: &str,
    ignore: &Ignore,
) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(source)?;
    if metadata.is_dir() {
        if !name.is_empty() && !ignore.leaves_out(below) {
            let mut header = header(tar::EntryType::Directory, 0o755, 0);
            builder.append_data(&mut header, format!("{name}/"), io::empty())?;
        }
        let mut children: Vec<_> = std::fs::read_dir(source)?.collect::<io::Result<_>>()?;
        children.sort_by_key(std::fs::DirEntry::file_name);
        for child in children {
            let file = child.file_name();
            let file = file.to_string_lossy();
            append(builder, &child.path(), &joined(name, &file), &joined(below, &file), ignore)?;
        }
        return Ok(());
    }
    if ignore.leaves_out(below) {
        return Ok(());
    }
    if !metadata.is_file() {
        let what = format!("{} is neither a file nor a folder", source.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let mode = if is_executable(&metadata) { 0o755 } else { 0o644 };
    let mut header = header(tar::EntryType::Regular, mode, metadata.len());
    builder.append_data(&mut header, name, std::fs::File::open(source)?)
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

/// Collects what is written into pieces for a channel.
struct Pipe {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: BytesMut,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = self.piece.split().freeze();
        let sent = self.sender.blocking_send(Ok(piece));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the engine stopped reading"))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    async fn bytes(root: &Path, ignore: &str) -> Vec<u8> {
        let entries = vec![
            Entry::Text { name: "Dockerfile".into(), content: "FROM x\n".into() },
            Entry::Path { name: "f/0".into(), source: root.to_owned(), ignore: Ignore::parse(ignore) },
        ];
        let pieces: Vec<Bytes> = stream(entries).try_collect().await.unwrap();
        pieces.concat()
    }

    #[tokio::test]
    async fn equal_files_give_equal_bytes_in_order() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("conf")).unwrap();
        std::fs::write(folder.path().join("conf/b.txt"), "b").unwrap();
        std::fs::write(folder.path().join("a.txt"), vec![b'a'; 200_000]).unwrap();
        let first = bytes(folder.path(), "").await;
        std::fs::write(folder.path().join("a.txt"), vec![b'a'; 200_000]).unwrap();
        assert!(first == bytes(folder.path(), "").await, "the time of a file does not matter");
        let mut archive = tar::Archive::new(first.as_slice());
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["Dockerfile", "f/0/", "f/0/a.txt", "f/0/conf/", "f/0/conf/b.txt"]);
        let without = bytes(folder.path(), "*.txt\n").await;
        assert!(without.len() < 100_000 && without.windows(5).any(|part| part == b"b.txt"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        let entries = vec![Entry::Path {
            name: String::new(),
            source: folder.path().to_owned(),
            ignore: Ignore::default(),
        }];
        let pieces: Result<Vec<Bytes>, _> = stream(entries).try_collect().await;
        assert_eq!(pieces.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
