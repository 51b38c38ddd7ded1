//! Archives byte by byte, their headers open to any lie.

use std::io::Write as _;

use super::COMPOSE;

/// One entry of a hand-made archive, its headers open to any lie.
#[derive(Clone)]
pub struct Raw {
    pub name: Vec<u8>,
    /// The name in the local header, when it differs.
    pub local_name: Option<Vec<u8>>,
    pub packed: Vec<u8>,
    pub size: u32,
    pub crc32: u32,
    pub method: u16,
    pub flags: u16,
    pub mode: u32,
    /// Where the directory says it stands, when that is a lie.
    pub offset: Option<u32>,
}

impl Raw {
    pub fn stored(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.into(),
            local_name: None,
            packed: content.to_vec(),
            size: content.len() as u32,
            crc32: crc32fast::hash(content),
            method: 0,
            flags: 1 << 11,
            mode: 0o100_644,
            offset: None,
        }
    }

    pub fn deflated(name: &str, content: &[u8]) -> Self {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        Self { packed: encoder.finish().unwrap(), method: 8, ..Self::stored(name, content) }
    }

    pub fn compose() -> Self {
        Self::stored("compose.yaml", COMPOSE.as_bytes())
    }
}

/// An archive of these entries.
pub fn raw_zip(entries: &[Raw]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for raw in entries {
        let offset = raw.offset.unwrap_or(out.len() as u32);
        let name = raw.local_name.as_ref().unwrap_or(&raw.name);
        let common = |name: &[u8]| {
            let mut bytes = Vec::new();
            bytes.extend([20, 0]);
            bytes.extend(raw.flags.to_le_bytes());
            bytes.extend(raw.method.to_le_bytes());
            bytes.extend([0; 4]);
            bytes.extend(raw.crc32.to_le_bytes());
            bytes.extend((raw.packed.len() as u32).to_le_bytes());
            bytes.extend(raw.size.to_le_bytes());
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend([0; 2]);
            bytes
        };
        out.extend(b"PK\x03\x04");
        out.extend(common(name));
        out.extend(name);
        out.extend(&raw.packed);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(common(&raw.name));
        directory.extend([0; 6]);
        directory.extend((raw.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(&raw.name);
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    out
}
