//! What a base image holds of the folders that files are put into.
//!
//! A layer that brings `home/jovyan/work/app.py` has to bring its folders as well, and what it says of them covers what
//! the base says: the owner's home would become root's, `/tmp` would lose its sticky bit, and a folder in the place of
//! the link `/bin` would hide all programs. So the base's layers are read, topmost first, until every folder is known.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

/// Links that one path may lead through.
const LINKS: usize = 40;
/// Entries that one image may have; more are not an image that anybody runs.
const ENTRIES: usize = 5_000_000;
/// Bytes that one layer may unfold to.
const UNFOLDED: u64 = 64 << 30;

/// A folder as the image has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Folder {
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
}

impl Folder {
    /// One that we make.
    pub(super) const OURS: Self = Self { mode: 0o755, uid: 0, gid: 0 };
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Folder(Folder),
    /// Its target, from the root.
    Link(String),
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// To this path without links, and the folder there.
    Folder(String, Folder),
    /// Nowhere that was seen: the image has nothing at this path without links.
    Open(String),
}

/// Folders and links of an image, as far as its layers were read.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Node>,
    /// Removed by a layer above, with all below.
    removed: BTreeSet<String>,
    /// Emptied by a layer above.
    emptied: BTreeSet<String>,
    entries: usize,
}

impl Tree {
    /// Reads one more layer, a tar archive, packed or not. Layers come topmost first.
    pub(super) fn read(&mut self, layer: impl Read) -> io::Result<()> {
        let mut layer = layer;
        let mut magic = [0; 2];
        let head = read_head(&mut layer, &mut magic)?;
        let whole = io::Cursor::new(head).chain(layer);
        if magic == [0x1f, 0x8b] { self.walk(MultiGzDecoder::new(whole)) } else { self.walk(whole) }
    }

    fn walk(&mut self, tar: impl Read) -> io::Result<()> {
        let (mut removed, mut emptied, mut nodes) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        let mut archive = tar::Archive::new(tar.take(UNFOLDED));
        for entry in archive.entries()? {
            let entry = entry?;
            self.entries += 1;
            if self.entries > ENTRIES {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it has too many files"));
            }
            let path = plain("", &entry.path()?.to_string_lossy());
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if name == ".wh..wh..opq" {
                emptied.insert(folder.to_owned());
            } else if let Some(hidden) = name.strip_prefix(".wh.") {
                removed.insert(super::files::joined(folder, hidden));
            } else if let Some(node) = node(&entry, folder)? {
                nodes.insert(path, node);
            } else if !path.is_empty() {
                // A file in the place of a folder below hides that folder.
                removed.insert(path);
            }
        }
        for (path, node) in nodes {
            if !self.nodes.contains_key(&path) && !self.is_hidden(&path) {
                self.nodes.insert(path, node);
            }
        }
        self.removed.append(&mut removed);
        self.emptied.append(&mut emptied);
        Ok(())
    }

    fn is_hidden(&self, path: &str) -> bool {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        self.removed.contains(path)
            || self.emptied.contains("")
            || above.into_iter().any(|folder| {
                let linked = matches!(self.nodes.get(folder), Some(Node::Link(_)));
                linked || self.removed.contains(folder) || self.emptied.contains(folder)
            })
    }

    /// Where a path without leading slash leads, through links.
    pub(super) fn way(&self, path: &str) -> Way {
        let mut left: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut at = String::new();
        let mut last = Folder::OURS;
        let mut links = 0;
        while let Some(part) = left.pop() {
            let next = super::files::joined(&at, &part);
            match self.nodes.get(&next) {
                Some(Node::Folder(folder)) => (at, last) = (next, *folder),
                Some(Node::Link(target)) if links < LINKS && !target.is_empty() => {
                    links += 1;
                    left.extend(target.rsplit('/').map(str::to_owned));
                    at = String::new();
                }
                _ => {
                    left.reverse();
                    let rest = std::iter::once(next).chain(left).collect::<Vec<_>>();
                    return Way::Open(rest.join("/"));
                }
            }
        }
        Way::Folder(at, last)
    }

    /// Whether every one of the folders was found.
    pub(super) fn knows(&self, folders: &BTreeSet<String>) -> bool {
        folders.iter().all(|folder| matches!(self.way(folder), Way::Folder(..)))
    }
}

/// A folder or a link; `None` for everything else.
fn node(entry: &tar::Entry<'_, impl Read>, folder: &str) -> io::Result<Option<Node>> {
    let header = entry.header();
    Ok(match header.entry_type() {
        tar::EntryType::Directory => {
            let mode = header.mode()? & 0o7777;
            Some(Node::Folder(Folder { mode, uid: header.uid()?, gid: header.gid()? }))
        }
        tar::EntryType::Symlink => {
            let target = entry.link_name()?.map(|target| target.to_string_lossy().into_owned());
            Some(Node::Link(plain(folder, &target.unwrap_or_default())))
        }
        _ => None,
    })
}

/// `path` seen from `folder`, without `.`, `..` and doubled slashes.
fn plain(folder: &str, path: &str) -> String {
    let from = if path.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn read_head(from: &mut impl Read, magic: &mut [u8; 2]) -> io::Result<Vec<u8>> {
    let mut read = 0;
    while read < magic.len() {
        match from.read(&mut magic[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(magic[..read].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Made<'a> {
        Folder(&'a str, u32, u64),
        Link(&'a str, &'a str),
        File(&'a str),
    }
    use Made::{File, Folder as Dir, Link};

    fn layer(entries: &[Made<'_>]) -> Vec<u8> {
        let mut builder =
            tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for entry in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            match entry {
                Dir(path, mode, uid) => {
                    header.set_entry_type(tar::EntryType::Directory);
                    header.set_mode(*mode);
                    header.set_uid(*uid);
                    header.set_gid(*uid);
                    builder.append_data(&mut header, path, io::empty()).unwrap();
                }
                Link(path, target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    builder.append_link(&mut header, path, target).unwrap();
                }
                File(path) => {
                    header.set_mode(0o644);
                    builder.append_data(&mut header, path, io::empty()).unwrap();
                }
            }
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn tree(topmost_first: &[Vec<u8>]) -> Tree {
        let mut tree = Tree::default();
        for layer in topmost_first {
            tree.read(layer.as_slice()).unwrap();
        }
        tree
    }

    fn folder(path: &str, mode: u32, uid: u64) -> Way {
        Way::Folder(path.into(), Folder { mode, uid, gid: uid })
    }

    #[test]
    fn folders_keep_what_the_image_says_of_them() {
        let top = layer(&[Dir("home/", 0o755, 0), Dir("home/me/", 0o750, 1000)]);
        let bottom = layer(&[Dir("home/me/", 0o700, 5), Dir("tmp/", 0o1777, 0)]);
        let tree = tree(&[top, bottom]);
        assert_eq!(tree.way("home/me"), folder("home/me", 0o750, 1000));
        assert_eq!(tree.way("tmp"), folder("tmp", 0o1777, 0));
        assert_eq!(tree.way("home/me/new/deep"), Way::Open("home/me/new/deep".into()));
        assert!(tree.knows(&["home/me".into(), "tmp".into()].into()));
        assert!(!tree.knows(&["opt".into()].into()));
    }

    #[test]
    fn links_are_followed_and_not_replaced() {
        let base = layer(&[
            Dir("usr/", 0o755, 0),
            Dir("usr/bin/", 0o755, 0),
            Link("bin", "usr/bin"),
            Dir("run/", 0o755, 0),
            Dir("var/", 0o755, 0),
            Link("var/run", "../run"),
            Link("loop", "/loop"),
        ]);
        let tree = tree(&[base]);
        assert_eq!(tree.way("bin"), folder("usr/bin", 0o755, 0));
        assert_eq!(tree.way("var/run/app"), Way::Open("run/app".into()));
        assert!(matches!(tree.way("loop/x"), Way::Open(_)), "a link to itself ends");
    }

    #[test]
    fn what_a_layer_above_removed_is_not_there() {
        let top =
            layer(&[File("opt/.wh.gone"), Dir("srv/", 0o755, 0), File("srv/.wh..wh..opq"), File("data")]);
        let bottom = layer(&[
            Dir("opt/", 0o755, 0),
            Dir("opt/gone/", 0o700, 7),
            Dir("opt/gone/deep/", 0o700, 7),
            Dir("srv/old/", 0o700, 7),
            Dir("data/", 0o700, 7),
        ]);
        let tree = tree(&[top, bottom]);
        assert_eq!(tree.way("opt"), folder("opt", 0o755, 0));
        for open in ["opt/gone", "opt/gone/deep", "srv/old", "data"] {
            assert_eq!(tree.way(open), Way::Open(open.into()), "{open}");
        }
    }

    #[test]
    fn a_layer_that_is_not_packed_is_read_as_well() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o711);
        header.set_size(0);
        header.set_uid(0);
        header.set_gid(0);
        builder.append_data(&mut header, "a/", io::empty()).unwrap();
        assert_eq!(tree(&[builder.into_inner().unwrap()]).way("a"), folder("a", 0o711, 0));
    }
}
