//! One entry's bytes: found by its local header, inflated under a count, checked against size and checksum.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt as _;

use flate2::bufread::DeflateDecoder;
use sha2::{Digest as _, Sha256};

use crate::blob::archive::directory::{Entry, Fields, Method, Region, broken, short_read};
use crate::blob::archive::names::refuse;
use crate::blob::disk_error;
use crate::domain::bundle::Digest;
use crate::domain::{Error, Result};

const LOCAL: u32 = 0x0403_4b50;
const LOCAL_SIZE: u64 = 30;
/// Sizes and checksum follow the data instead of standing in the local header.
const DESCRIBED_LATER: u16 = 1 << 3;
/// What one read inflates to at most.
const BUFFER: usize = 64 << 10;
/// Below this many bytes no ratio is suspicious.
const SMALL: u64 = 10 << 20;
const DAMAGED: &str = "The archive is damaged: zip the folder again and send it anew.";

/// Where the entry's packed bytes begin and end. The local header must say what the directory says.
pub fn locate(file: &File, entry: &Entry, directory_start: u64) -> Result<(u64, u64)> {
    let mut block = [0; LOCAL_SIZE as usize];
    file.read_exact_at(&mut block, entry.offset).map_err(short_read)?;
    let differs =
        || refuse(&entry.name, "the entry's own header differs from the archive's directory", DAMAGED);
    let local = Local::parse(&block).ok_or_else(differs)?;
    let mut name = vec![0; local.name_length.into()];
    file.read_exact_at(&mut name, entry.offset + LOCAL_SIZE).map_err(short_read)?;
    let slash = if entry.folder { "/" } else { "" };
    if name != format!("{}{slash}", entry.name).as_bytes() || !local.agrees(entry) {
        return Err(differs());
    }
    let start = entry.offset + LOCAL_SIZE + u64::from(local.name_length) + u64::from(local.extra_length);
    match start.checked_add(entry.packed) {
        Some(end) if end <= directory_start => Ok((start, end)),
        _ => Err(broken("the archive is cut short")),
    }
}

struct Local {
    flags: u16,
    method: u16,
    crc32: u32,
    packed: u32,
    size: u32,
    name_length: u16,
    extra_length: u16,
}

impl Local {
    fn parse(block: &[u8]) -> Option<Self> {
        let mut fields = Fields(block);
        if fields.u32()? != LOCAL {
            return None;
        }
        let _needed = fields.u16()?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        let _modified = fields.u32()?;
        let (crc32, packed, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
        Some(Self {
            flags,
            method,
            crc32,
            packed,
            size,
            name_length: fields.u16()?,
            extra_length: fields.u16()?,
        })
    }

    fn agrees(&self, entry: &Entry) -> bool {
        let method = match entry.method {
            Method::Stored => 0,
            Method::Deflated => 8,
        };
        const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
        let later = self.flags & DESCRIBED_LATER != 0;
        // 0xffffffff stands for "in the zip64 field".
        let same = |here: u32, there: u64| here == u32::MAX || u64::from(here) == there || later && here == 0;
        self.method == method
            && self.flags & ENCRYPTED == 0
            && same(self.packed, entry.packed)
            && same(self.size, entry.size)
            && (self.crc32 == entry.crc32 || later && self.crc32 == 0)
    }
}

/// Writes the entry's content to `out` and returns its digest. `left` is what the whole archive may still inflate to,
/// `ratio` what one entry may grow by: both are counted here, whatever the headers say.
pub fn copy(
    file: &File,
    entry: &Entry,
    data: (u64, u64),
    left: &mut u64,
    ratio: u64,
    out: &mut impl Write,
) -> Result<Digest> {
    let packed = BufReader::with_capacity(BUFFER, Region::new(file, data.0, data.1));
    let mut count = Count { entry, left, most: entry.packed.saturating_mul(ratio).max(SMALL), inflated: 0 };
    let (hash, crc32) = match entry.method {
        Method::Stored => pump(packed, &mut count, out)?.0,
        Method::Deflated => {
            let (sums, decoder) = pump(DeflateDecoder::new(packed), &mut count, out)?;
            let used = decoder.total_in();
            if used != entry.packed || !decoder.into_inner().fill_buf().map_err(disk_error)?.is_empty() {
                return Err(refuse(&entry.name, "packed bytes are left over after the entry's end", DAMAGED));
            }
            sums
        }
    };
    if count.inflated != entry.size {
        return Err(refuse(&entry.name, "the entry is shorter than the archive says", DAMAGED));
    }
    if crc32 != entry.crc32 {
        return Err(refuse(&entry.name, "the entry's checksum is wrong", DAMAGED));
    }
    Ok(hash)
}

/// What came out so far, against every bound.
struct Count<'a> {
    entry: &'a Entry,
    left: &'a mut u64,
    most: u64,
    inflated: u64,
}

impl Count<'_> {
    fn add(&mut self, bytes: usize) -> Result<()> {
        let bytes = bytes as u64;
        self.inflated += bytes;
        if self.inflated > self.entry.size {
            return Err(refuse(&self.entry.name, "the entry is longer than the archive says", DAMAGED));
        }
        if self.inflated > self.most {
            return Err(refuse(
                &self.entry.name,
                "the entry inflates to so many times its size that it looks like a zip bomb",
                "Leave the file out, or make it inside the container.",
            ));
        }
        *self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            Error::invalid("archive_refused", "the archive inflates to more than the server allows").hint(
                "Leave out what a volume or an image can hold, or have an administrator raise the limit.",
            )
        })?;
        Ok(())
    }
}

type Sums = (Digest, u32);

fn pump<R: Read>(mut from: R, count: &mut Count<'_>, out: &mut impl Write) -> Result<(Sums, R)> {
    let mut hash = Sha256::new();
    let mut crc = crc32fast::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => return Err(inflate_error(error, count.entry)),
        };
        count.add(read)?;
        let bytes = &buffer[..read];
        hash.update(bytes);
        crc.update(bytes);
        out.write_all(bytes).map_err(disk_error)?;
    }
    Ok(((Digest::from_hash(&hash.finalize()), crc.finalize()), from))
}

fn inflate_error(error: io::Error, entry: &Entry) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            refuse(&entry.name, "the entry's packed bytes are damaged", DAMAGED)
        }
        _ => disk_error(error),
    }
}
