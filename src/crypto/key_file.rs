//! The key file: made once, whole or not at all, readable by its owner alone.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::{Zeroize as _, Zeroizing};
use serde::{Deserialize, Serialize};

use crate::domain::{Error, Result, random};

/// What the file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    format: u32,
    /// What derived keys (journal, CSRF) come from; it never rotates, so that the journal's chain stays checkable.
    pub root: Key,
    /// Sealing keys, oldest first; the last seals, all open.
    pub sealing: Vec<SealingKey>,
}

/// A key that seals, under the id that its blobs carry.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealingKey {
    pub id: u32,
    pub key: Key,
}

/// 256 bits, wiped when dropped, base64 in the file.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// A key from the operating system's generator.
    pub fn fresh() -> Self {
        Self(Zeroizing::new(random::bytes()))
    }

    /// Its bits.
    pub fn bits(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Clone for Key {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;
    fn try_from(mut text: String) -> Result<Self, Self::Error> {
        let decoded = STANDARD.decode(&text).map(Zeroizing::new);
        text.zeroize();
        let bytes = decoded.map_err(|_| "a key is not base64")?;
        let bits = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| "a key does not have 32 bytes")?;
        Ok(Self(Zeroizing::new(bits)))
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        STANDARD.encode(*key.0)
    }
}

impl KeyFile {
    const FORMAT: u32 = 1;

    /// New keys.
    pub fn fresh() -> Self {
        let first = SealingKey { id: 1, key: Key::fresh() };
        Self { format: Self::FORMAT, root: Key::fresh(), sealing: vec![first] }
    }

    /// Reads the file; `None` when there is none.
    ///
    /// # Errors
    /// `key_file_readable` when others than its owner may read it; `key_file_broken`.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(path, &error.to_string()).because(error)),
        };
        demand_private(path, &file)?;
        let read: Self = serde_json::from_reader(file).map_err(|error| unusable(path, &error.to_string()))?;
        if read.format != Self::FORMAT || read.sealing.is_empty() {
            return Err(unusable(path, "it is not of a format that this Slipway knows"));
        }
        Ok(Some(read))
    }

    /// Writes a new file; `false` when another process made one first.
    pub fn create(&self, path: &Path) -> Result<bool> {
        match self.staged(path)?.persist_noclobber(path) {
            Ok(_) => sync_directory(path).map(|()| true),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(unwritable(path, error.error)),
        }
    }

    /// Writes the file anew in one step.
    pub fn replace(&self, path: &Path) -> Result<()> {
        self.staged(path)?.persist(path).map_err(|error| unwritable(path, error.error))?;
        sync_directory(path)
    }

    /// The content in a file of mode 0600 beside `path`, on disk.
    fn staged(&self, path: &Path) -> Result<tempfile::NamedTempFile> {
        let write = || {
            let mut file = tempfile::Builder::new()
                .permissions(std::fs::Permissions::from_mode(0o600))
                .tempfile_in(path.parent().unwrap_or(Path::new(".")))?;
            let text = Zeroizing::new(serde_json::to_vec_pretty(self)?);
            file.write_all(&text)?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        write().map_err(|error| unwritable(path, error))
    }
}

fn demand_private(path: &Path, file: &File) -> Result<()> {
    let mode = file.metadata().map_err(Error::internal)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let (path, mode) = (path.display(), mode & 0o777);
    Err(Error::invalid(
        "key_file_readable",
        format!("the key file {path} may be read by others than its owner (its mode is {mode:04o})"),
    )
    .hint(format!(
        "Run: chmod 600 {path}. If somebody may have read it, rotate the keys and set all secrets anew."
    )))
}

fn sync_directory(path: &Path) -> Result<()> {
    let directory = File::open(path.parent().unwrap_or(Path::new(".")));
    directory.and_then(|directory| directory.sync_all()).map_err(|error| unwritable(path, error))
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::invalid("key_file_broken", format!("the key file {} can't be used: {why}", path.display())).hint(
        "Put back the key file that belongs to this data directory; without it, its secrets can't be opened.",
    )
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::invalid(
        "key_file_unwritable",
        format!("the key file {} can't be written: {error}", path.display()),
    )
    .hint("Give the user that runs Slipway the data directory.")
    .because(error)
}
