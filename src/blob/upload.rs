//! An upload on its way to the disk: hashed while it is written, bounded, and gone without a trace unless committed.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tempfile::TempPath;

use crate::blob::archive::{Archive, Contents, Limits};
use crate::blob::{blocking, disk_error};
use crate::domain::bundle::{BundleFile, Digest};
use crate::domain::{Error, Kind, Result};

/// How much is gathered before the disk is touched.
const BUFFER: usize = 1 << 20;

/// A file being received. Dropping it removes what was written.
#[derive(Debug)]
pub struct Upload {
    path: TempPath,
    /// `None` only while a write is under way, or after one failed: the upload is over then.
    writer: Option<Writer>,
    buffer: Vec<u8>,
    size: u64,
    limit: u64,
}

#[derive(Debug)]
struct Writer {
    file: File,
    hash: Sha256,
}

impl Upload {
    pub(super) fn new(file: File, path: TempPath, limit: u64) -> Self {
        let writer = Some(Writer { file, hash: Sha256::new() });
        Self { path, writer, buffer: Vec::with_capacity(BUFFER), size: 0, limit }
    }

    /// Takes the next bytes. [`Kind::TooLarge`] as soon as the limit is passed.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > self.limit {
            return Err(too_large(self.limit));
        }
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BUFFER - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == BUFFER {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Bytes received so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    async fn flush(&mut self) -> Result<()> {
        let mut writer =
            self.writer.take().ok_or_else(|| Error::internal("an upload went on after it had failed"))?;
        let mut buffer = std::mem::take(&mut self.buffer);
        let (writer, buffer) = blocking(move || {
            writer.file.write_all(&buffer).map_err(disk_error)?;
            writer.hash.update(&buffer);
            buffer.clear();
            Ok((writer, buffer))
        })
        .await?;
        self.writer = Some(writer);
        self.buffer = buffer;
        Ok(())
    }

    /// Ends the upload: everything is on disk, its digest known, nothing kept yet.
    pub async fn finish(mut self) -> Result<Staged> {
        self.flush().await?;
        let writer =
            self.writer.take().ok_or_else(|| Error::internal("an upload ended after it had failed"))?;
        let (path, size) = (self.path, self.size);
        blocking(move || {
            writer.file.sync_all().map_err(disk_error)?;
            let digest = Digest::from_hash(&writer.hash.finalize());
            Ok(Staged { path, digest, size })
        })
        .await
    }
}

fn too_large(limit: u64) -> Error {
    Error::new(Kind::TooLarge, "upload_too_large", format!("the upload is larger than the {} allowed", human(limit)))
        .hint("Leave out of the bundle what a volume or an image can hold, or have an administrator raise the limit.")
}

/// `bytes` for people, in powers of 1024.
pub(super) fn human(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (size, unit) in UNITS {
        if bytes >= size {
            return if bytes.is_multiple_of(size) {
                format!("{} {unit}", bytes / size)
            } else {
                format!("{}.{} {unit}", bytes / size, bytes % size * 10 / size)
            };
        }
    }
    format!("{bytes} bytes")
}

/// A complete file that is not kept yet: [`super::Store::commit`] keeps it, dropping it removes it.
#[derive(Debug)]
pub struct Staged {
    pub(super) path: TempPath,
    digest: Digest,
    size: u64,
}

impl Staged {
    /// SHA-256 of the whole file.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Bytes of the whole file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads the file as a bundle's archive, every byte of it, trusting nothing that it says of itself.
    pub async fn inspect(&self, limits: Limits) -> Result<Inspected> {
        let path = self.path.to_path_buf();
        blocking(move || {
            let archive = Archive::open(File::open(path).map_err(disk_error)?, limits)?;
            let contents = archive.contents()?;
            Ok(Inspected { contents, archive: Arc::new(archive) })
        })
        .await
    }
}

/// A bundle's archive that was read through and found sound.
#[derive(Debug, Clone)]
pub struct Inspected {
    pub contents: Contents,
    archive: Arc<Archive>,
}

impl Inspected {
    /// The text of one file of the bundle. Blocks on the disk: call it on the blocking pool.
    pub fn read_text(&self, path: &str) -> Result<String> {
        self.archive.read_text(path)
    }

    /// The bundle's files, by path.
    pub fn files(&self) -> &[BundleFile] {
        &self.contents.files
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn sizes_are_said_in_the_largest_unit_that_fits() {
        assert_eq!(human(900), "900 bytes");
        assert_eq!(human(8 << 30), "8 GiB");
        assert_eq!(human((3 << 20) + (1 << 19)), "3.5 MiB");
    }
}
