//! The folder of blobs and the folder of what was unpacked from them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::blob::archive::{Archive, Limits, names};
use crate::blob::upload::{Staged, Upload};
use crate::blob::{blocking, disk_error};
use crate::domain::bundle::Digest;
use crate::domain::{Error, Result};

/// One kept file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

/// The blobs of one data directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    folders: Arc<Folders>,
}

#[derive(Debug)]
struct Folders {
    blobs: PathBuf,
    unpacked: PathBuf,
    /// One lock for each archive being unpacked, so that two who ask do the work once.
    unpacking: Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

impl Store {
    /// The store under `data_dir`, its folders made where they are missing. Removes nothing, so that commands may
    /// open it beside a running server.
    pub async fn open(data_dir: &Path) -> Result<Self> {
        let folders = Folders {
            blobs: data_dir.join("blobs"),
            unpacked: data_dir.join("unpacked"),
            unpacking: Mutex::default(),
        };
        let store = Self { folders: Arc::new(folders) };
        let folders = store.folders.clone();
        blocking(move || folders.create().map_err(disk_error)).await?;
        Ok(store)
    }

    /// Removes what an interrupted upload or unpacking left. For the one server that owns the data directory, at
    /// its start, before any upload.
    pub async fn sweep(&self) -> Result<()> {
        let folders = self.folders.clone();
        blocking(move || {
            for tmp in [folders.blobs_tmp(), folders.unpacked_tmp()] {
                fs::remove_dir_all(&tmp).map_err(disk_error)?;
            }
            folders.create().map_err(disk_error)
        })
        .await
    }

    /// Starts an upload of at most `limit` bytes.
    pub async fn begin(&self, limit: u64) -> Result<Upload> {
        let tmp = self.folders.blobs_tmp();
        blocking(move || {
            let (file, path) = tempfile::NamedTempFile::new_in(tmp).map_err(disk_error)?.into_parts();
            Ok(Upload::new(file, path, limit))
        })
        .await
    }

    /// Keeps a staged file under its digest and returns it; the same content twice is kept once. When this returns,
    /// the file survives a power cut.
    pub async fn commit(&self, staged: Staged) -> Result<Blob> {
        let blob = Blob { digest: staged.digest().clone(), size: staged.size() };
        let folders = self.folders.clone();
        blocking(move || {
            let path = folders.blob(&blob.digest);
            if !path.try_exists().map_err(disk_error)? {
                staged.path.persist(&path).map_err(|failed| disk_error(failed.error))?;
            }
            sync_folder(&folders.blobs).map_err(disk_error)?;
            Ok(blob)
        })
        .await
    }

    /// The kept file, open for reading.
    pub async fn open_blob(&self, digest: &Digest) -> Result<tokio::fs::File> {
        let (path, digest) = (self.folders.blob(digest), digest.clone());
        let file = blocking(move || File::open(path).map_err(|error| absent(error, &digest))).await?;
        Ok(tokio::fs::File::from_std(file))
    }

    /// Whether the file is kept.
    pub async fn contains(&self, digest: &Digest) -> Result<bool> {
        let path = self.folders.blob(digest);
        blocking(move || path.try_exists().map_err(disk_error)).await
    }

    /// Every kept file, by digest.
    pub async fn list(&self) -> Result<Vec<Blob>> {
        let folders = self.folders.clone();
        blocking(move || folders.list().map_err(disk_error)).await
    }

    /// Removes the file and what was unpacked from it; one that is absent already is no error.
    pub async fn delete(&self, digest: &Digest) -> Result<()> {
        let (folders, digest) = (self.folders.clone(), digest.clone());
        blocking(move || {
            ignore_absent(fs::remove_file(folders.blob(&digest))).map_err(disk_error)?;
            sync_folder(&folders.blobs).map_err(disk_error)?;
            folders.drop_unpacked(&digest).map_err(disk_error)
        })
        .await
    }

    /// The folder that holds the archive's files, unpacked on first use. Its content is complete whenever it exists;
    /// nobody writes in it.
    pub async fn unpack(&self, digest: &Digest, limits: Limits) -> Result<PathBuf> {
        let lock = self.folders.unpacking_lock(digest);
        let _held = lock.lock().await;
        let (folders, digest) = (self.folders.clone(), digest.clone());
        blocking(move || folders.unpack(&digest, limits)).await
    }

    /// One file of an unpacked archive. The path must be one that the archive's file list holds.
    pub async fn read_file(&self, digest: &Digest, path: &str, limits: Limits) -> Result<Vec<u8>> {
        names::check(path)?;
        let folder = self.unpack(digest, limits).await?;
        let path = path.to_owned();
        blocking(move || {
            use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
            fs::read(folder.join(&path)).map_err(|error| match error.kind() {
                NotFound | IsADirectory | NotADirectory => Error::not_found("bundle file", path),
                _ => disk_error(error),
            })
        })
        .await
    }
}

impl Folders {
    fn create(&self) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        for folder in [self.blobs_tmp(), self.unpacked_tmp()] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        Ok(())
    }

    fn blobs_tmp(&self) -> PathBuf {
        self.blobs.join("tmp")
    }

    fn unpacked_tmp(&self) -> PathBuf {
        self.unpacked.join("tmp")
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.as_str())
    }

    fn list(&self) -> io::Result<Vec<Blob>> {
        let mut blobs = Vec::new();
        for entry in fs::read_dir(&self.blobs)? {
            let entry = entry?;
            if let Some(digest) = entry.file_name().to_str().and_then(Digest::parse) {
                blobs.push(Blob { digest, size: entry.metadata()?.len() });
            }
        }
        blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
        Ok(blobs)
    }

    fn unpacking_lock(&self, digest: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.unpacking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(digest).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        locks.insert(digest.clone(), Arc::downgrade(&lock));
        lock
    }

    fn unpack(&self, digest: &Digest, limits: Limits) -> Result<PathBuf> {
        let target = self.unpacked.join(digest.as_str());
        if target.try_exists().map_err(disk_error)? {
            return Ok(target);
        }
        let file = File::open(self.blob(digest)).map_err(|error| absent(error, digest))?;
        let archive = Archive::open(file, limits)?;
        let folder = tempfile::Builder::new().tempdir_in(self.unpacked_tmp()).map_err(disk_error)?;
        archive.extract(folder.path())?;
        sync_all_below(folder.path()).map_err(disk_error)?;
        match fs::rename(folder.path(), &target) {
            Ok(()) => {
                let _moved = folder.keep();
            }
            // Another process was faster; what it made is complete too.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) => return Err(disk_error(error)),
        }
        sync_folder(&self.unpacked).map_err(disk_error)?;
        Ok(target)
    }

    /// Moves the folder away first, so that half of it is never found under its digest.
    fn drop_unpacked(&self, digest: &Digest) -> io::Result<()> {
        let going = tempfile::Builder::new().tempdir_in(self.unpacked_tmp())?;
        ignore_absent(fs::rename(self.unpacked.join(digest.as_str()), going.path()))?;
        going.close()
    }
}

fn absent(error: io::Error, digest: &Digest) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Error::not_found("stored file", digest.short());
    }
    disk_error(error)
}

fn ignore_absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// One call for a folder of many files: the whole file system is flushed, instead of thousands of syncs.
fn sync_all_below(path: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(path)?).map_err(io::Error::from)
}
