//! The central directory of a zip (APPNOTE 4.3 and 4.4), read strictly.
//!
//! Readers of zip files differ over what a crooked archive holds, and attackers live on the difference. So there is
//! one way to read here: one end record, a directory that ends where that record begins, an archive that starts at its
//! first byte, and no entry that is not plain. What another reader might take for something else is refused.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;

use crate::blob::archive::names::{self, refuse};
use crate::blob::disk_error;
use crate::domain::{Error, Result};

const CENTRAL: u32 = 0x0201_4b50;
const AGAIN: &str = "Zip the folder again with a common tool, e.g. `zip -r bundle.zip .` inside it.";

/// How an entry's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Stored,
    Deflated,
}

/// One entry as the central directory has it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// As in the archive, a folder's without its last slash.
    pub name: String,
    pub folder: bool,
    pub executable: bool,
    pub method: Method,
    pub crc32: u32,
    pub packed: u64,
    pub size: u64,
    /// Where its local header stands.
    pub offset: u64,
}

/// Part of a file, read by position, so that several readers share one open file.
#[derive(Debug)]
pub struct Region<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl<'a> Region<'a> {
    /// The bytes of `file` from `at` to before `end`.
    pub fn new(file: &'a File, at: u64, end: u64) -> Self {
        Self { file, at, end }
    }
}

impl Read for Region<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// A refusal of the archive as a whole.
pub fn broken(what: impl Into<String>) -> Error {
    Error::invalid("archive_refused", what).hint(AGAIN)
}

/// A read that ran past the end is the archive's fault, any other failure the disk's.
pub fn short_read(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return broken("the archive is cut short");
    }
    disk_error(error)
}

/// Little-endian numbers out of a fixed block that is already read.
pub struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }
    pub fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }
    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

/// Where the central directory lies.
#[derive(Debug)]
pub struct Directory {
    pub start: u64,
    pub end: u64,
    /// How many entries the end record promises.
    pub count: u64,
}

impl Directory {
    /// Every entry, folders too, in the directory's order. At most `most`.
    pub fn entries(&self, file: &File, most: usize) -> Result<Vec<Entry>> {
        if self.count > most as u64 {
            let message = format!("the archive holds {} entries, more than the {most} allowed", self.count);
            return Err(Error::invalid("archive_refused", message)
                .hint("Leave out what is not needed at run time, such as virtual environments and caches."));
        }
        let mut reader = BufReader::with_capacity(64 << 10, Region::new(file, self.start, self.end));
        let mut entries = Vec::new();
        for _ in 0..self.count {
            entries.push(read_entry(&mut reader)?);
        }
        if reader.read(&mut [0]).map_err(disk_error)? != 0 {
            return Err(broken("the archive's directory holds more than it counts"));
        }
        Ok(entries)
    }
}

fn read_entry(reader: &mut impl Read) -> Result<Entry> {
    let mut block = [0; 46];
    reader.read_exact(&mut block).map_err(short_read)?;
    let header = Header::parse(&block).ok_or_else(|| broken("the archive's directory is damaged"))?;
    let name = read_vec(reader, header.name_length)?;
    let extra = read_vec(reader, header.extra_length)?;
    read_vec(reader, header.comment_length)?;
    let Ok(name) = String::from_utf8(name) else {
        return Err(broken("the archive has a file name that is not UTF-8"));
    };
    header.entry(name, &extra)
}

fn read_vec(reader: &mut impl Read, length: u16) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length.into()];
    reader.read_exact(&mut bytes).map_err(short_read)?;
    Ok(bytes)
}

/// A central file header (APPNOTE 4.3.12) before its variable part.
struct Header {
    flags: u16,
    method: u16,
    crc32: u32,
    packed: u32,
    size: u32,
    name_length: u16,
    extra_length: u16,
    comment_length: u16,
    disk: u16,
    /// Unix permissions and type in the upper half, DOS attributes in the lower.
    attributes: u32,
    offset: u32,
}

impl Header {
    fn parse(block: &[u8]) -> Option<Self> {
        let mut fields = Fields(block);
        if fields.u32()? != CENTRAL {
            return None;
        }
        let (_made_by, _needed) = (fields.u16()?, fields.u16()?);
        let (flags, method) = (fields.u16()?, fields.u16()?);
        let _modified = fields.u32()?;
        let (crc32, packed, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (name_length, extra_length, comment_length) = (fields.u16()?, fields.u16()?, fields.u16()?);
        let (disk, _internal) = (fields.u16()?, fields.u16()?);
        let (attributes, offset) = (fields.u32()?, fields.u32()?);
        Some(Self {
            flags,
            method,
            crc32,
            packed,
            size,
            name_length,
            extra_length,
            comment_length,
            disk,
            attributes,
            offset,
        })
    }

    fn entry(self, name: String, extra: &[u8]) -> Result<Entry> {
        let folder = name.ends_with('/');
        let plain = name.strip_suffix('/').unwrap_or(&name).to_owned();
        names::check(&plain)?;
        self.refuse_special(&plain, folder)?;
        let wide =
            self.widen(extra).ok_or_else(|| refuse(&plain, "the entry's zip64 sizes are damaged", AGAIN))?;
        let method = self.packing(&plain)?;
        let (size, packed, offset) = wide;
        if folder && size != 0 {
            return Err(refuse(&plain, "a folder holds bytes", AGAIN));
        }
        if method == Method::Stored && size != packed {
            return Err(refuse(&plain, "a stored file has two sizes", AGAIN));
        }
        let executable = self.attributes >> 16 & 0o100 != 0;
        Ok(Entry { name: plain, folder, executable, method, crc32: self.crc32, packed, size, offset })
    }

    /// Only regular files and folders pass, and only whole, readable ones.
    fn refuse_special(&self, name: &str, folder: bool) -> Result<()> {
        const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
        if self.flags & ENCRYPTED != 0 {
            return Err(refuse(name, "the entry is encrypted", "Zip the folder again without a password."));
        }
        if self.flags & 1 << 5 != 0 || self.disk != 0 {
            return Err(refuse(name, "the entry is a patch or part of another archive", AGAIN));
        }
        match (self.attributes >> 16 & 0o170_000, folder) {
            (0, _) | (0o100_000, false) | (0o040_000, true) => Ok(()),
            (0o120_000, _) => Err(refuse(
                name,
                "the entry is a symbolic link",
                "Replace the link by the file itself: `zip -r` without `-y` does so.",
            )),
            (0o100_000 | 0o040_000, _) => Err(refuse(name, "the entry is both a file and a folder", AGAIN)),
            _ => Err(refuse(name, "the entry is a device, pipe or socket", "Leave it out of the archive.")),
        }
    }

    fn packing(&self, name: &str) -> Result<Method> {
        match self.method {
            0 => Ok(Method::Stored),
            8 => Ok(Method::Deflated),
            other => Err(refuse(
                name,
                format!("the entry is packed by {}, which is not supported", method_name(other)),
                "Zip the folder again with the usual method, deflate: `zip -Z deflate -r bundle.zip .`.",
            )),
        }
    }

    /// Size, packed size and offset, from the zip64 extra field where the header's own are at their most.
    fn widen(&self, extra: &[u8]) -> Option<(u64, u64, u64)> {
        const MOST: u32 = u32::MAX;
        let mut wide = Fields(zip64_field(extra)?);
        let mut pick = |narrow: u32| {
            if narrow == MOST { wide.u64() } else { Some(narrow.into()) }
        };
        Some((pick(self.size)?, pick(self.packed)?, pick(self.offset)?))
    }
}

/// The content of extra field 1, empty when there is none; `None` when the fields do not add up.
fn zip64_field(mut extra: &[u8]) -> Option<&[u8]> {
    let mut found: &[u8] = &[];
    // Some writers pad with up to three zero bytes.
    while extra.len() >= 4 {
        let mut fields = Fields(extra);
        let (id, length) = (fields.u16()?, fields.u16()?);
        let content = fields.0.get(..length.into())?;
        if id == 1 {
            found = content;
        }
        extra = fields.0.get(length.into()..)?;
    }
    Some(found)
}

fn method_name(method: u16) -> String {
    match method {
        9 => "deflate64".to_owned(),
        12 => "bzip2".to_owned(),
        14 => "LZMA".to_owned(),
        93 => "Zstandard".to_owned(),
        95 => "XZ".to_owned(),
        99 => "AES encryption".to_owned(),
        other => format!("method {other}"),
    }
}
