//! `volumes` and `volumeMounts`: a pod's volumes by their names, and where the container sees them.
//!
//! What has no disk of its own becomes a volume of the execution: it is there as long as the execution is. A folder in
//! memory is one. A path of the host needs an administrator's exception. Every other kind is refused by its name.

use std::collections::BTreeMap;

use crate::domain::context::parts::amount;
use crate::domain::context::read::{At, Reader, Table};
use crate::domain::name::VolumeName;
use crate::domain::notation;
use crate::domain::workload::{HostMount, Tmpfs, VolumeMount};

const VOLUME: &[&str] = &["name", "emptyDir", "persistentVolumeClaim", "hostPath"];
const MOUNT: &[&str] = &["name", "mountPath", "readOnly"];
const KINDS: &str = "Give it one of emptyDir, persistentVolumeClaim and hostPath, or nothing.";
/// Below this the kernel makes nothing.
const LEAST: u128 = 4 << 10;

/// What a container mounts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mounts {
    pub volumes: Vec<VolumeMount>,
    pub tmpfs: Vec<Tmpfs>,
    pub host: Vec<HostMount>,
}

/// What a volume's name stands for.
#[derive(Debug, Clone)]
enum Kind {
    /// On a disk; whether whoever mounts it may write.
    Named(VolumeName, bool),
    /// A folder on a disk that goes with the containers.
    Scratch(VolumeName),
    Memory(Option<u64>),
    Host(String),
}

/// What is mounted; each volume's own faults are told whether it is mounted or not.
pub fn read(volumes: Option<At<'_>>, mounts: Option<At<'_>>, reader: &mut Reader) -> Mounts {
    let known = volumes.map(|at| declared(&at, reader)).unwrap_or_default();
    let mut read = Mounts::default();
    let mut targets = BTreeMap::new();
    let example = "[{\"name\": \"data\", \"mountPath\": \"/data\"}]";
    for item in mounts.map(|at| reader.items(&at, example)).unwrap_or_default() {
        let Some(table) = reader.table(item.value, &item.place, MOUNT) else { continue };
        let (name, target) = (text(&table, "name", "\"data\"", reader), target(&table, reader));
        let read_only = reader.flag(table.get("readOnly"));
        let (Some(name), Some(target)) = (name, target) else { continue };
        if let Some(other) = targets.insert(target.clone(), item.place.clone()) {
            let what = format!("{other} is mounted at {target}, too");
            reader.refuse(table.below("mountPath"), what, "Mount one of them elsewhere.");
            continue;
        }
        match known.get(name) {
            Some(Some(kind)) => mount(kind, target, read_only, &table, &mut read, reader),
            // Its own fault was told.
            Some(None) => {}
            None => {
                let what = format!("there is no volume {name:?}");
                reader.refuse(table.below("name"), what, "Name one that stands under `volumes`.");
            }
        }
    }
    read
}

fn mount(
    kind: &Kind,
    target: String,
    read_only: bool,
    table: &Table<'_>,
    read: &mut Mounts,
    reader: &mut Reader,
) {
    match kind.clone() {
        Kind::Named(volume, writable) => {
            let read_only = read_only || !writable;
            read.volumes.push(VolumeMount { volume, target, read_only, scratch: false });
        }
        Kind::Scratch(volume) => {
            read.volumes.push(VolumeMount { volume, target, read_only, scratch: true });
        }
        Kind::Host(source) => read.host.push(HostMount { source, target, read_only }),
        Kind::Memory(_) if read_only => {
            let hint = "Remove readOnly: what nobody may write stays empty.";
            reader.refuse(table.below("readOnly"), "a folder in memory can't be read-only", hint);
        }
        // As Kubernetes mounts it: for everybody, programs too.
        Kind::Memory(size_bytes) => {
            read.tmpfs.push(Tmpfs { target, size_bytes, mode: None, executable: true });
        }
    }
}

/// The volumes by their names; `None` for one that is refused.
fn declared<'v>(at: &At<'v>, reader: &mut Reader) -> BTreeMap<&'v str, Option<Kind>> {
    let mut known: BTreeMap<&str, Option<Kind>> = BTreeMap::new();
    for item in reader.items(at, "[{\"name\": \"data\", \"emptyDir\": {}}]") {
        let Some(table) = reader.table(item.value, &item.place, VOLUME) else { continue };
        let Some(name) = text(&table, "name", "\"data\"", reader) else { continue };
        let kind = kind(name, &table, reader);
        if known.insert(name, kind).is_some() {
            let what = format!("the volume {name:?} stands there twice");
            reader.refuse(table.below("name"), what, "Remove one of the two.");
        }
    }
    let of_claim = |kind: &Option<Kind>| match kind {
        Some(Kind::Named(volume, _) | Kind::Scratch(volume)) => Some(volume.clone()),
        _ => None,
    };
    let shared: Vec<&str> = known
        .iter()
        .filter(|(name, kind)| {
            let claim = of_claim(kind).filter(|claim| claim.as_str() != **name);
            claim.is_some_and(|claim| known.contains_key(claim.as_str()))
        })
        .map(|(name, _)| *name)
        .collect();
    for name in shared {
        let what = format!("the claim of the volume {name:?} is called like another volume");
        reader.refuse(&at.place, what, "Give one of them another name: both would be the same.");
    }
    known
}

fn kind(name: &str, table: &Table<'_>, reader: &mut Reader) -> Option<Kind> {
    let kinds = ["emptyDir", "persistentVolumeClaim", "hostPath"].map(|key| table.get(key));
    if kinds.iter().flatten().count() > 1 {
        reader.refuse(&table.place, "it has more than one kind", KINDS);
        return None;
    }
    match kinds {
        [Some(at), _, _] => empty_dir(name, &at, table, reader),
        [_, Some(at), _] => claim(&at, reader),
        [_, _, Some(at)] => host_path(&at, reader),
        _ => named(name, table.below("name"), false, reader),
    }
}

fn named(name: &str, place: String, read_only: bool, reader: &mut Reader) -> Option<Kind> {
    let parsed = VolumeName::parse(name);
    if parsed.is_err() {
        let hint = "Use up to 63 letters, digits, `-`, `_` and `.`, starting with a letter or digit.";
        let shown: String = name.chars().take(80).collect();
        reader.refuse(place, format!("{shown:?} is no name of a volume"), hint);
    }
    parsed.ok().map(|name| Kind::Named(name, !read_only))
}

fn empty_dir(name: &str, at: &At<'_>, volume: &Table<'_>, reader: &mut Reader) -> Option<Kind> {
    let table = reader.table(at.value, &at.place, &["medium", "sizeLimit"])?;
    let medium = match table.get("medium") {
        Some(at) => reader.text(at, "\"Memory\"")?,
        None => "",
    };
    match (medium, table.get("sizeLimit")) {
        ("Memory", Some(size)) => {
            let hint = "Write an amount of memory, such as \"64Mi\"; the least is \"4Ki\".";
            let bytes = amount(size, 1, LEAST..=1 << 60, hint, reader)?;
            u64::try_from(bytes).ok().map(|bytes| Kind::Memory(Some(bytes)))
        }
        ("Memory", None) => Some(Kind::Memory(None)),
        ("", None) => match named(name, volume.below("name"), false, reader)? {
            Kind::Named(name, _) => Some(Kind::Scratch(name)),
            other => Some(other),
        },
        ("", Some(size)) => {
            let hint = "Remove it, or write \"medium\": \"Memory\" beside it: a disk's use is not bounded.";
            reader.refuse(size.place, "it holds for folders in memory only", hint);
            None
        }
        (other, _) => {
            let hint = "Write \"Memory\" for a folder in memory, or leave it out for one on a disk.";
            reader.refuse(table.below("medium"), format!("{other:?} is not supported"), hint);
            None
        }
    }
}

fn claim(at: &At<'_>, reader: &mut Reader) -> Option<Kind> {
    let table = reader.table(at.value, &at.place, &["claimName", "readOnly"])?;
    let name = text(&table, "claimName", "\"data\"", reader)?;
    let read_only = reader.flag(table.get("readOnly"));
    named(name, table.below("claimName"), read_only, reader)
}

fn host_path(at: &At<'_>, reader: &mut Reader) -> Option<Kind> {
    let table = reader.table(at.value, &at.place, &["path", "type"])?;
    if let Some(at) = table.get("type") {
        let place = at.place.clone();
        let kind = reader.text(at, "\"Directory\"")?;
        if !matches!(kind, "" | "Directory" | "File") {
            let hint = "Write \"Directory\" or \"File\" for what is there, or leave it out: nothing is made on the host.";
            reader.refuse(place, format!("{kind:?} is not supported"), hint);
        }
    }
    let path = text(&table, "path", "\"/srv/data\"", reader)?;
    let absolute = notation::absolute_path(path);
    if absolute.is_none() {
        let hint = "Write the host's path without `..`; it needs an administrator's exception.";
        reader.refuse(table.below("path"), format!("{path:?} is no plain path of the host"), hint);
    }
    absolute.map(Kind::Host)
}

/// Where a volume is mounted.
fn target(table: &Table<'_>, reader: &mut Reader) -> Option<String> {
    let path = text(table, "mountPath", "\"/data\"", reader)?;
    let absolute = notation::absolute_path(path).filter(|path| path != "/");
    if absolute.is_none() {
        let hint = "Write an absolute path of the container without `..`, such as \"/data\".";
        reader.refuse(table.below("mountPath"), format!("{path:?} is no place to mount at"), hint);
    }
    absolute
}

/// A text that must be there.
fn text<'v>(table: &Table<'v>, key: &str, example: &str, reader: &mut Reader) -> Option<&'v str> {
    match table.get(key) {
        Some(at) => reader.text(at, example),
        None => {
            reader.refuse(table.below(key), "it is missing", format!("Write {example}."));
            None
        }
    }
}
