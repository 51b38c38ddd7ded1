//! The end of a zip (APPNOTE 4.3.14 to 4.3.16): where its central directory lies.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::blob::archive::directory::{Directory, Fields, broken, short_read};
use crate::blob::disk_error;
use crate::domain::{Error, Result};

const END: &[u8] = b"PK\x05\x06";
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
/// Bytes of the end record without its comment.
const END_SIZE: u64 = 22;
const LOCATOR64_SIZE: u64 = 20;
const END64_SIZE: u64 = 56;
const LONGEST_COMMENT: u64 = 0xffff;

/// Finds the directory by the end record, which is the file's last.
pub fn find_directory(file: &File) -> Result<Directory> {
    let length = file.metadata().map_err(disk_error)?.len();
    let at = find_end(file, length)?;
    let mut block = [0; END_SIZE as usize];
    file.read_exact_at(&mut block, at).map_err(short_read)?;
    let end = EndRecord::parse(&block).ok_or_else(|| broken("the archive's end record is cut short"))?;
    match find_end64(file, at)? {
        Some((at, end64)) => end.widened(&end64)?.directory(at),
        None => end.directory(at),
    }
}

/// The end record reaches exactly to the file's end. Two that do would be two archives in one file.
fn find_end(file: &File, length: u64) -> Result<u64> {
    let start = length.saturating_sub(END_SIZE + LONGEST_COMMENT);
    let mut tail = vec![0; usize::try_from(length - start).map_err(Error::internal)?];
    file.read_exact_at(&mut tail, start).map_err(short_read)?;
    let fits = |at: &usize| {
        let comment = tail.get(at + 20..at + 22).map(|two| u16::from_le_bytes([two[0], two[1]]));
        tail[*at..].starts_with(END)
            && comment.is_some_and(|long| at + END_SIZE as usize + long as usize == tail.len())
    };
    let mut found = (0..tail.len()).filter(fits);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(start + at as u64),
        (None, _) => Err(Error::invalid("archive_refused", "this is not a complete zip archive").hint(
            "Upload a .zip file with compose.yaml at its root; if it is one, the upload was cut short: send it again.",
        )),
        (Some(_), Some(_)) => Err(broken("the file holds two archives, one in the other's comment")),
    }
}

#[derive(Debug)]
struct EndRecord {
    disk: u32,
    directory_disk: u32,
    entries_here: u64,
    entries: u64,
    size: u64,
    offset: u64,
}

impl EndRecord {
    fn parse(block: &[u8]) -> Option<Self> {
        let mut fields = Fields(block.get(4..)?);
        Some(Self {
            disk: fields.u16()?.into(),
            directory_disk: fields.u16()?.into(),
            entries_here: fields.u16()?.into(),
            entries: fields.u16()?.into(),
            size: fields.u32()?.into(),
            offset: fields.u32()?.into(),
        })
    }

    fn parse64(block: &[u8]) -> Option<Self> {
        let mut fields = Fields(block.get(16..)?);
        Some(Self {
            disk: fields.u32()?,
            directory_disk: fields.u32()?,
            entries_here: fields.u64()?,
            entries: fields.u64()?,
            size: fields.u64()?,
            offset: fields.u64()?,
        })
    }

    /// The zip64 record's values; a field of the old record that is not at its most must agree.
    fn widened(self, wide: &Self) -> Result<Self> {
        let pairs = [
            (u64::from(self.disk), u64::from(wide.disk), 0xffff),
            (u64::from(self.directory_disk), u64::from(wide.directory_disk), 0xffff),
            (self.entries_here, wide.entries_here, 0xffff),
            (self.entries, wide.entries, 0xffff),
            (self.size, wide.size, 0xffff_ffff),
            (self.offset, wide.offset, 0xffff_ffff),
        ];
        if pairs.iter().any(|(old, new, most)| old != most && old != new) {
            return Err(broken("the archive's two end records differ"));
        }
        Ok(Self { ..*wide })
    }

    /// The directory must end where the record at `at` begins.
    fn directory(&self, at: u64) -> Result<Directory> {
        if self.disk != 0 || self.directory_disk != 0 || self.entries_here != self.entries {
            return Err(broken("the archive is one part of several"));
        }
        if self.offset.checked_add(self.size) != Some(at) {
            return Err(broken(
                "the archive has bytes before it or within its directory that belong to nothing",
            ));
        }
        Ok(Directory { start: self.offset, end: at, count: self.entries })
    }
}

/// The zip64 end record and where it stands, when a locator for it precedes the end record at `end`.
fn find_end64(file: &File, end: u64) -> Result<Option<(u64, EndRecord)>> {
    let Some(at) = end.checked_sub(LOCATOR64_SIZE) else {
        return Ok(None);
    };
    let mut block = [0; LOCATOR64_SIZE as usize];
    file.read_exact_at(&mut block, at).map_err(short_read)?;
    let mut fields = Fields(&block);
    if fields.u32() != Some(LOCATOR64) {
        return Ok(None);
    }
    let bad = || broken("the archive's zip64 end record is not where its locator says");
    let (_disk, offset) = (fields.u32(), fields.u64().ok_or_else(bad)?);
    if offset.checked_add(END64_SIZE).is_none_or(|least| least > at) {
        return Err(bad());
    }
    let mut block = [0; END64_SIZE as usize];
    file.read_exact_at(&mut block, offset).map_err(short_read)?;
    let mut fields = Fields(&block);
    let (signature, size) = (fields.u32(), fields.u64());
    // Its size leaves out the signature and itself.
    if signature != Some(END64) || size.and_then(|size| size.checked_add(offset + 12)) != Some(at) {
        return Err(bad());
    }
    Ok(Some((offset, EndRecord::parse64(&block).ok_or_else(bad)?)))
}
