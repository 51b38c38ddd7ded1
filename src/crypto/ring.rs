//! The key ring: the newest key seals, every key of the ring opens, derived keys never change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::zeroize::Zeroizing;
use sha2::Sha256;

use crate::crypto::key_file::{Key, KeyFile, SealingKey};
use crate::crypto::sealed::{self, Context};
use crate::domain::{Error, Result};

/// The keys of one data directory. Cheap to clone; shows nothing in `Debug`.
///
/// The file is the truth: what it gained since it was read (another process rotated) is read again before anything is
/// sealed, and when a value names a key that is not known yet.
#[derive(Clone)]
pub struct KeyRing {
    known: Arc<RwLock<Arc<KeyFile>>>,
    path: PathBuf,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing")
            .field("path", &self.path)
            .field("keys", &self.keys().sealing.len())
            .finish_non_exhaustive()
    }
}

impl KeyRing {
    /// The file's name within the data directory.
    pub const FILE: &str = "keys.json";

    /// The ring of `dir`, made on the first start. Two processes that start at once end with the same keys.
    ///
    /// # Errors
    /// `key_file_readable` when others may read the file; `key_file_broken`, `key_file_unwritable`.
    pub fn load_or_create(dir: &Path) -> Result<Self> {
        let path = dir.join(Self::FILE);
        if let Some(keys) = KeyFile::read(&path)? {
            return Ok(Self::of(keys, path));
        }
        let fresh = KeyFile::fresh();
        if fresh.create(&path)? {
            return Ok(Self::of(fresh, path));
        }
        let theirs = KeyFile::read(&path)?
            .ok_or_else(|| Error::internal(format!("{} came and went", path.display())))?;
        Ok(Self::of(theirs, path))
    }

    fn of(keys: KeyFile, path: PathBuf) -> Self {
        Self { known: Arc::new(RwLock::new(Arc::new(keys))), path }
    }

    fn keys(&self) -> Arc<KeyFile> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys as the file has them now; what was read last where it can't be read.
    fn keys_of_now(&self) -> Arc<KeyFile> {
        match KeyFile::read(&self.path) {
            Ok(Some(keys)) => self.learn(keys),
            Ok(None) => self.keys(),
            Err(error) => {
                tracing::warn!(%error, "the key file can't be read again; the keys read before are used on");
                self.keys()
            }
        }
    }

    fn learn(&self, keys: KeyFile) -> Arc<KeyFile> {
        let keys = Arc::new(keys);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&keys);
        keys
    }

    /// Adds a key, which seals from now on, here and in every other process on the same file. One process at a time may
    /// rotate: callers hold the database's write lock.
    ///
    /// # Errors
    /// `key_file_unwritable`.
    pub fn rotate(&self) -> Result<()> {
        let before = self.keys_of_now();
        let mut keys = KeyFile::fresh();
        keys.root = before.root.clone();
        keys.sealing = before.sealing.iter().map(copy).collect();
        let newest = keys.sealing.iter().map(|key| key.id).max().unwrap_or(0);
        keys.sealing.push(SealingKey { id: newest + 1, key: Key::fresh() });
        keys.replace(&self.path)?;
        self.learn(keys);
        Ok(())
    }

    /// Seals `clear` for exactly this place under the newest key.
    pub fn seal(&self, context: &Context<'_>, clear: &[u8]) -> Vec<u8> {
        let keys = self.keys_of_now();
        let newest = keys.sealing.last().expect("a ring is never read or made without a key");
        sealed::seal(newest.key.bits(), newest.id, context, clear)
    }

    /// Opens what was sealed for this place, under whichever key of the ring it was.
    ///
    /// # Errors
    /// `sealed_elsewhere` when the ring lacks its key, the place is another one, or it was changed.
    pub fn open(&self, context: &Context<'_>, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let id = sealed::key_id(blob);
        let has = |keys: &KeyFile| keys.sealing.iter().any(|key| Some(key.id) == id);
        let keys = Some(self.keys()).filter(|keys| has(keys)).unwrap_or_else(|| self.keys_of_now());
        let key = keys.sealing.iter().find(|key| Some(key.id) == id);
        key.and_then(|key| sealed::open(key.key.bits(), context, blob))
            .ok_or_else(|| cannot_open(context, id, key.is_some()))
    }

    /// Whether `blob` was sealed under an older key than the newest, so that a rotation can seal it anew.
    pub fn is_outdated(&self, blob: &[u8]) -> bool {
        sealed::key_id(blob) != self.keys().sealing.last().map(|key| key.id)
    }

    /// The key of the journal's chain.
    pub fn journal_key(&self) -> [u8; 32] {
        self.derived("journal")
    }

    /// The token that unsafe requests of this session must carry.
    pub fn csrf_token(&self, session: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.csrf_mac(session).finalize().into_bytes())
    }

    /// Whether `token` is the session's, compared in constant time.
    pub fn csrf_matches(&self, session: &str, token: &str) -> bool {
        URL_SAFE_NO_PAD.decode(token).is_ok_and(|bytes| self.csrf_mac(session).verify_slice(&bytes).is_ok())
    }

    fn csrf_mac(&self, session: &str) -> Hmac<Sha256> {
        let mut mac = mac(&self.derived("csrf"));
        mac.update(session.as_bytes());
        mac
    }

    /// A key for one purpose, so that none is used for two.
    fn derived(&self, purpose: &str) -> [u8; 32] {
        let mut mac = mac(self.keys().root.bits());
        mac.update(b"slipway/");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

fn copy(key: &SealingKey) -> SealingKey {
    SealingKey { id: key.id, key: key.key.clone() }
}

fn mac(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("any length of key will do")
}

fn cannot_open(context: &Context<'_>, id: Option<u32>, known: bool) -> Error {
    let why = match (id, known) {
        (None, _) => "it is not a sealed value".to_owned(),
        (Some(id), false) => format!("its key {id} is not in the key file"),
        (Some(_), true) => "it was sealed for another place, or changed".to_owned(),
    };
    let Context { table, row, name, .. } = context;
    Error::conflict(
        "sealed_elsewhere",
        format!("the sealed value {name} of {table} {row} does not open: {why}"),
    )
    .hint("Set the value anew, or put back the key file and database that belong together.")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const PLACE: Context<'_> =
        Context { table: "secret", row: "iris-on-prod", name: "DB_PASSWORD", version: 3 };

    fn ring() -> (tempfile::TempDir, KeyRing) {
        let dir = tempfile::tempdir().unwrap();
        let ring = KeyRing::load_or_create(dir.path()).unwrap();
        (dir, ring)
    }

    #[test]
    fn what_is_sealed_opens_after_a_restart() {
        let (dir, ring) = ring();
        let blob = ring.seal(&PLACE, b"hunter2");
        assert!(!blob.windows(7).any(|part| part == b"hunter2"));
        assert_ne!(blob, ring.seal(&PLACE, b"hunter2"), "a nonce is never used twice");
        let again = KeyRing::load_or_create(dir.path()).unwrap();
        assert_eq!(*again.open(&PLACE, &blob).unwrap(), b"hunter2");
        assert_eq!(*ring.open(&PLACE, &ring.seal(&PLACE, b"")).unwrap(), b"");
    }

    #[test]
    fn every_part_of_the_place_counts() {
        let (_dir, ring) = ring();
        let blob = ring.seal(&PLACE, b"hunter2");
        let elsewhere = [
            Context { table: "session", ..PLACE },
            Context { row: "iris-on-dev", ..PLACE },
            Context { name: "DB_USER", ..PLACE },
            Context { version: 4, ..PLACE },
            // The same characters, cut at another place.
            Context { row: "iris-on-prodDB", name: "_PASSWORD", ..PLACE },
        ];
        for place in elsewhere {
            assert_eq!(ring.open(&place, &blob).unwrap_err().code, "sealed_elsewhere", "{place:?}");
        }
    }

    #[test]
    fn any_changed_bit_is_noticed() {
        let (_dir, ring) = ring();
        let blob = ring.seal(&PLACE, b"hunter2");
        for at in 0..blob.len() {
            let mut changed = blob.clone();
            changed[at] ^= 1;
            assert!(ring.open(&PLACE, &changed).is_err(), "byte {at}");
            assert!(ring.open(&PLACE, &blob[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn old_keys_open_and_the_new_key_seals_in_every_process() {
        let (dir, ring) = ring();
        let beside = KeyRing::load_or_create(dir.path()).unwrap();
        let old = ring.seal(&PLACE, b"old");
        ring.rotate().unwrap();
        let new = ring.seal(&PLACE, b"new");
        assert!(ring.is_outdated(&old) && !ring.is_outdated(&new));
        let again = KeyRing::load_or_create(dir.path()).unwrap();
        for ring in [&ring, &beside, &again] {
            assert_eq!(*ring.open(&PLACE, &old).unwrap(), b"old");
            assert_eq!(*ring.open(&PLACE, &new).unwrap(), b"new");
            assert_eq!(sealed::key_id(&ring.seal(&PLACE, b"")), Some(2));
        }
        assert_eq!(again.journal_key(), ring.journal_key(), "the journal stays checkable");
        beside.rotate().unwrap();
        assert_eq!(sealed::key_id(&ring.seal(&PLACE, b"")), Some(3), "no key is lost to another's rotation");
        assert_eq!(*ring.open(&PLACE, &new).unwrap(), b"new");
    }

    #[test]
    fn a_key_that_is_gone_is_named() {
        let (dir, ring) = ring();
        let first = std::fs::read(dir.path().join(KeyRing::FILE)).unwrap();
        ring.rotate().unwrap();
        let new = ring.seal(&PLACE, b"new");
        let path = dir.path().join(KeyRing::FILE);
        std::fs::write(&path, first).unwrap();
        let restored = KeyRing::load_or_create(dir.path()).unwrap();
        let error = restored.open(&PLACE, &new).unwrap_err();
        assert!(error.message.contains("key 2 is not in the key file"), "{error}");
        std::fs::write(&path, "{").unwrap();
        assert_eq!(*ring.open(&PLACE, &ring.seal(&PLACE, b"x")).unwrap(), b"x", "a broken file ends nothing");
    }

    #[test]
    fn another_instance_opens_nothing() {
        let ((_one, ours), (_two, theirs)) = (ring(), ring());
        assert!(theirs.open(&PLACE, &ours.seal(&PLACE, b"hunter2")).is_err());
        assert_ne!(ours.journal_key(), theirs.journal_key());
    }

    #[test]
    fn the_file_is_its_owners_alone() {
        let (dir, ring) = ring();
        let path = dir.path().join(KeyRing::FILE);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        ring.rotate().unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = KeyRing::load_or_create(dir.path()).unwrap_err();
            assert_eq!(error.code, "key_file_readable");
            assert!(error.hint.unwrap().contains("chmod 600"));
        }
    }

    #[test]
    fn a_broken_file_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KeyRing::FILE);
        for content in ["", "{}", "{\"format\":9,\"root\":\"\",\"sealing\":[]}"] {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(KeyRing::load_or_create(dir.path()).unwrap_err().code, "key_file_broken");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn who_starts_at_the_same_time_gets_the_same_keys() {
        let dir = tempfile::tempdir().unwrap();
        let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| KeyRing::load_or_create(dir.path()).unwrap().journal_key()))
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_csrf_token_belongs_to_its_session() {
        let (_dir, ring) = ring();
        let token = ring.csrf_token("a");
        assert!(ring.csrf_matches("a", &token));
        for (session, token) in [("b", token.as_str()), ("a", ""), ("a", &token[1..]), ("a", "ä")] {
            assert!(!ring.csrf_matches(session, token));
        }
    }

    #[test]
    fn nothing_shows_the_keys() {
        let (dir, ring) = ring();
        let text = std::fs::read_to_string(dir.path().join(KeyRing::FILE)).unwrap();
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        let shown = format!("{ring:?}");
        assert!(!shown.contains(file["root"].as_str().unwrap()));
        assert!(!shown.contains(file["sealing"][0]["key"].as_str().unwrap()));
    }
}
