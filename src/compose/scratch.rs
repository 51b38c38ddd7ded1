//! Memory that a service uses like files: `tmpfs` and `shm_size`.

use crate::compose::Context;
use crate::compose::field::{Field, Table};
use crate::compose::paths;
use crate::compose::secrets;
use crate::compose::units::bytes;
use crate::compose::unsupported::MOUNT_TMPFS;
use crate::domain::workload::Tmpfs;

/// Below this the kernel makes nothing.
const LEAST: u64 = 4 << 10;

/// `tmpfs` of the service `table`: a path or several, each with options behind a colon.
pub fn folders(table: &Table<'_>, cx: &mut Context<'_>) -> Vec<Tmpfs> {
    let Some(field) = table.get("tmpfs") else {
        return Vec::new();
    };
    let items = field.texts("`- /tmp`", &mut cx.report).unwrap_or_default();
    items.iter().filter_map(|item| short(item, cx)).collect()
}

/// `/path[:option,…]`.
fn short(item: &Field<'_>, cx: &mut Context<'_>) -> Option<Tmpfs> {
    let text = item.filled(&mut cx.report)?;
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let target = paths::container(target, item, &mut cx.report)?;
    let mut folder = Tmpfs { target, size_bytes: None, mode: None, executable: false };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=').unwrap_or((option, "")) {
            ("size", text) => folder.size_bytes = Some(size(text, item, cx)?),
            ("mode", text) => folder.mode = Some(mode(text, item, cx)?),
            ("exec", "") => folder.executable = true,
            // What holds anyway.
            ("rw" | "noexec" | "nosuid" | "nodev", "") => {}
            _ => {
                let hint = "Write `size=64m`, `mode=1777`, `exec` or nothing; for another owner than root use `mode=1777`.";
                item.refuse(&mut cx.report, format!("the option {option:?} is not supported"), hint);
                return None;
            }
        }
    }
    Some(folder)
}

/// A long mount of type tmpfs: its `target` and `tmpfs` mapping.
pub fn long(target: String, options: Option<&Field<'_>>, cx: &mut Context<'_>) -> Option<Tmpfs> {
    let table = match options {
        Some(field) => Some(field.table(&MOUNT_TMPFS, &mut cx.report)?),
        None => None,
    };
    let field = |key| table.as_ref().and_then(|table| table.get(key));
    let size_bytes = match field("size") {
        Some(field) => Some(size(field.filled(&mut cx.report)?, &field, cx)?),
        None => None,
    };
    let mode = match field("mode") {
        Some(field) => Some(secrets::mode(&field, cx)?),
        None => None,
    };
    Some(Tmpfs { target, size_bytes, mode, executable: false })
}

/// `shm_size` of the service `table`, in bytes.
pub fn shared(table: &Table<'_>, cx: &mut Context<'_>) -> Option<u64> {
    let field = table.get("shm_size")?;
    size(field.filled(&mut cx.report)?, &field, cx)
}

fn size(text: &str, field: &Field<'_>, cx: &mut Context<'_>) -> Option<u64> {
    let found = bytes(text).filter(|bytes| *bytes >= LEAST);
    if found.is_none() {
        let hint = "Write a number with its unit, such as `64m` or `2g`; 4k is the least.";
        field.refuse(&mut cx.report, format!("{text:?} is no amount of memory"), hint);
    }
    found
}

fn mode(text: &str, field: &Field<'_>, cx: &mut Context<'_>) -> Option<u32> {
    let found = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o1777);
    if found.is_none() {
        field.refuse(&mut cx.report, format!("{text:?} is no mode"), "Write it in octal: `mode=1777`.");
    }
    found
}
