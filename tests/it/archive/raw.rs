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
    /// Size and packed size as a zip64 field says them, in place of the header's own.
    pub wide: Option<(u64, u64)>,
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
            wide: None,
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
        let extra: Vec<u8> = raw.wide.map_or_else(Vec::new, |(size, packed)| {
            [&[1, 0, 16, 0][..], &size.to_le_bytes(), &packed.to_le_bytes()].concat()
        });
        let common = |name: &[u8]| {
            let mut bytes = Vec::new();
            bytes.extend([20, 0]);
            bytes.extend(raw.flags.to_le_bytes());
            bytes.extend(raw.method.to_le_bytes());
            bytes.extend([0; 4]);
            bytes.extend(raw.crc32.to_le_bytes());
            let (packed, size) = match raw.wide {
                Some(_) => (u32::MAX, u32::MAX),
                None => (raw.packed.len() as u32, raw.size),
            };
            bytes.extend(packed.to_le_bytes());
            bytes.extend(size.to_le_bytes());
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend((extra.len() as u16).to_le_bytes());
            bytes
        };
        out.extend(b"PK\x03\x04");
        out.extend(common(name));
        out.extend(name);
        out.extend(&extra);
        out.extend(&raw.packed);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(common(&raw.name));
        directory.extend([0; 6]);
        directory.extend((raw.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(&raw.name);
        directory.extend(&extra);
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

/// What a zip64 end record says: entries on this disk and in all, the directory's size and offset.
pub type End64 = [u64; 4];

/// The archive with a zip64 end record before its own, spoilt by `lie`; `at` is added to where the locator points.
pub fn with_end64(zip: &[u8], lie: impl FnOnce(&mut End64), at: u64) -> Vec<u8> {
    let (body, end) = zip.split_at(zip.len() - 22);
    let field = |range: std::ops::Range<usize>| -> u64 {
        end[range].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    let mut says: End64 = [field(8..10), field(10..12), field(12..16), field(16..20)];
    lie(&mut says);
    let mut out = body.to_vec();
    out.extend(b"PK\x06\x06");
    out.extend(44_u64.to_le_bytes());
    out.extend([45, 3, 45, 0]);
    out.extend([0; 8]);
    out.extend(says.iter().flat_map(|value| value.to_le_bytes()));
    out.extend(b"PK\x06\x07\0\0\0\0");
    out.extend((body.len() as u64).wrapping_add(at).to_le_bytes());
    out.extend(1_u32.to_le_bytes());
    out.extend(&end[..8]);
    out.extend([0xff; 12]);
    out.extend([0; 2]);
    out
}
