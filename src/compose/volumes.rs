//! `volumes`: named ones, folders and files of the bundle, and paths of the host.

use crate::compose::field::{Field, Table};
use crate::compose::paths::{self, Wanted};
use crate::compose::scratch;
use crate::compose::unsupported::{MOUNT, MOUNT_BIND, MOUNT_VOLUME, VOLUME};
use crate::compose::{Context, words};
use crate::domain::name::VolumeName;
use crate::domain::workload::{FileMount, HostMount, Tmpfs, VolumeMount};

/// What a service mounts.
#[derive(Debug, Default)]
pub struct Mounts {
    pub files: Vec<FileMount>,
    pub volumes: Vec<VolumeMount>,
    pub host: Vec<HostMount>,
    pub tmpfs: Vec<Tmpfs>,
}

/// A mount before it is known what its source is.
struct Asked<'a> {
    source: &'a str,
    target: String,
    /// What the file says; `None` when it says nothing.
    read_only: Option<bool>,
}

/// The top-level `volumes`: the names that services may mount.
pub fn declared(field: &Field<'_>, cx: &mut Context<'_>) {
    for (name, at, field) in field.named("`data: {}`", &mut cx.report).unwrap_or_default() {
        match VolumeName::parse(name) {
            Ok(name) => {
                cx.volumes.insert(name);
            }
            Err(error) => {
                cx.report.at(at, format!("volumes.{name}: {}", words(&error)), "Rename the volume.")
            }
        }
        if field.is_null() {
            continue;
        }
        let Some(table) = field.table(&VOLUME, &mut cx.report) else {
            continue;
        };
        if let Some(driver) = table.get("driver")
            && driver.text(&mut cx.report).is_some_and(|name| name != "local")
        {
            let hint =
                "Remove it: volumes are plain local ones. What lies elsewhere is reached over the network.";
            driver.refuse(&mut cx.report, "only the driver local is supported", hint);
        }
    }
}

/// The mounts of the service `table`.
pub fn read(table: &Table<'_>, cx: &mut Context<'_>) -> Mounts {
    let mut mounts = Mounts::default();
    let Some(field) = table.get("volumes") else {
        return mounts;
    };
    for item in field.items("`- data:/data`", &mut cx.report).unwrap_or_default() {
        let _reported =
            if item.is_map() { long(&item, &mut mounts, cx) } else { short(&item, &mut mounts, cx) };
    }
    mounts
}

/// `source:target[:options]`.
fn short(item: &Field<'_>, mounts: &mut Mounts, cx: &mut Context<'_>) -> Option<()> {
    let text = item.filled(&mut cx.report)?;
    let mut parts = text.split(':');
    let (source, target, options) = (parts.next()?, parts.next(), parts.next());
    let Some(target) = target else {
        let hint =
            format!("Give the volume a name: `data:{text}`, and `volumes: {{data: {{}}}}` at the top level.");
        item.refuse(&mut cx.report, "a volume without a name would be lost with its container", hint);
        return None;
    };
    if parts.next().is_some()
        || source.len() == 1
            && source.starts_with(|c: char| c.is_ascii_alphabetic())
            && target.starts_with('\\')
    {
        item.refuse(
            &mut cx.report,
            format!("{text:?} is no volume"),
            "Write `name:/path`, `./path:/path` or either with `:ro`.",
        );
        return None;
    }
    let mut read_only = None;
    for option in options.unwrap_or_default().split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = Some(true),
            "rw" => read_only = Some(false),
            // Labels for SELinux hosts: an engine that has no such host passes over them, and so may we.
            "z" | "Z" if !source.starts_with('/') => {}
            _ => item.refuse(
                &mut cx.report,
                format!("the option {option:?} is not supported"),
                "Write `ro`, `rw` or nothing.",
            ),
        }
    }
    let target = paths::container(target, item, &mut cx.report)?;
    let asked = Asked { source, target, read_only };
    if paths::is_path(source) { bind(asked, item, mounts, cx) } else { named(asked, item, mounts, cx) }
}

fn long(item: &Field<'_>, mounts: &mut Mounts, cx: &mut Context<'_>) -> Option<()> {
    let table = item.table(&MOUNT, &mut cx.report)?;
    let kind = table.need("type", "Write `type: volume`, `type: bind` or `type: tmpfs`.", &mut cx.report)?;
    let word = kind.filled(&mut cx.report)?;
    for (key, keys) in [("bind", &MOUNT_BIND), ("volume", &MOUNT_VOLUME)] {
        if let Some(field) = table.get(key) {
            field.table(keys, &mut cx.report);
        }
    }
    if word == "tmpfs" {
        let target = table.need("target", "Write a path of the container.", &mut cx.report)?;
        let path = paths::container(target.filled(&mut cx.report)?, &target, &mut cx.report)?;
        mounts.tmpfs.extend(scratch::long(path, table.get("tmpfs").as_ref(), cx));
        return Some(());
    }
    if !matches!(word, "volume" | "bind") {
        let hint = "Write `volume` for a named volume, `bind` for a path of the bundle, or `tmpfs` for a folder in memory.";
        kind.refuse(&mut cx.report, format!("mounts of type {word:?} are not supported"), hint);
        return None;
    }
    let hint = "Name the volume, or the path of the bundle.";
    let source = table.need("source", hint, &mut cx.report)?;
    let target = table.need("target", "Write a path of the container.", &mut cx.report);
    let read_only = table.get("read_only").and_then(|field| field.boolean(&mut cx.report));
    let target = target?;
    let target = paths::container(target.filled(&mut cx.report)?, &target, &mut cx.report)?;
    let asked = Asked { source: source.filled(&mut cx.report)?, target, read_only };
    if word == "bind" { bind(asked, &source, mounts, cx) } else { named(asked, &source, mounts, cx) }
}

fn named(asked: Asked<'_>, field: &Field<'_>, mounts: &mut Mounts, cx: &mut Context<'_>) -> Option<()> {
    let Some(volume) = cx.volumes.get(asked.source).cloned() else {
        let source = asked.source;
        let hint = match cx.report.nearest(source, cx.volumes.iter().map(VolumeName::as_str)) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!(
                "Add `{source}: {{}}` under the top-level `volumes`; a path of the bundle starts with `./`."
            ),
        };
        field.refuse(&mut cx.report, format!("there is no volume {source:?}"), hint);
        return None;
    };
    mounts.volumes.push(VolumeMount {
        volume,
        target: asked.target,
        read_only: asked.read_only.unwrap_or(false),
        scratch: false,
    });
    Some(())
}

fn bind(asked: Asked<'_>, field: &Field<'_>, mounts: &mut Mounts, cx: &mut Context<'_>) -> Option<()> {
    if asked.source.starts_with('/') {
        let source = paths::host(asked.source, field, &mut cx.report)?;
        mounts.host.push(HostMount {
            source,
            target: asked.target,
            read_only: asked.read_only.unwrap_or(false),
        });
        return Some(());
    }
    if asked.read_only == Some(false) {
        let hint = "Files of the bundle are read-only: write `:ro` or nothing, and let the program write to a named volume.";
        field.refuse(&mut cx.report, "a path of the bundle can't be mounted for writing", hint);
        return None;
    }
    let source = cx.files.resolve(asked.source, "", Wanted::Either, field, &mut cx.report)?;
    mounts.files.push(FileMount { source, target: asked.target });
    Some(())
}
