//! What a service's processes may hold, and how they are asked to end: `ulimits` and `stop_signal`.

use std::collections::BTreeMap;

use crate::compose::Context;
use crate::compose::field::{Field, Table};
use crate::compose::unsupported::ULIMIT;
use crate::domain::workload::Ulimit;

/// Limits that bound or widen what one process holds for itself. Those that would give it more of the host (priorities,
/// queues of the kernel) are none of them.
const ULIMITS: [&str; 5] = ["core", "memlock", "nofile", "nproc", "stack"];

const SIGNALS: [&str; 9] =
    ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGKILL", "SIGPWR"];

/// `ulimits` of the service `table`.
pub fn ulimits(table: &Table<'_>, cx: &mut Context<'_>) -> BTreeMap<String, Ulimit> {
    let Some(field) = table.get("ulimits") else {
        return BTreeMap::new();
    };
    let named = field.named("`nofile: 65536`", &mut cx.report).unwrap_or_default();
    let mut limits = BTreeMap::new();
    for (name, _, field) in named {
        if !ULIMITS.contains(&name) {
            let hint = format!("Remove it; supported are {}.", ULIMITS.join(", "));
            field.refuse(&mut cx.report, "this limit is not supported", hint);
        } else if let Some(limit) = ulimit(&field, cx) {
            limits.insert(name.to_owned(), limit);
        }
    }
    limits
}

/// One number for both, or `soft` and `hard`.
fn ulimit(field: &Field<'_>, cx: &mut Context<'_>) -> Option<Ulimit> {
    if !field.is_map() {
        let both = limit(field, cx)?;
        return Some(Ulimit { soft: both, hard: both });
    }
    let table = field.table(&ULIMIT, &mut cx.report)?;
    let mut part = |key| table.need(key, "Write `soft` and `hard`, or one number alone.", &mut cx.report);
    let (soft, hard) = (part("soft")?, part("hard")?);
    let limits = Ulimit { soft: limit(&soft, cx)?, hard: limit(&hard, cx)? };
    if limits.hard >= 0 && (limits.soft < 0 || limits.soft > limits.hard) {
        soft.refuse(&mut cx.report, "it is more than the hard limit", "Lower it, or raise `hard`.");
        return None;
    }
    Some(limits)
}

fn limit(field: &Field<'_>, cx: &mut Context<'_>) -> Option<i64> {
    if field.text(&mut cx.report)? == "-1" {
        return Some(-1);
    }
    let number = field.whole(0..=i64::MAX as u64, &mut cx.report)?;
    i64::try_from(number).ok()
}

/// `stop_signal` of the service `table`, with its `SIG`.
pub fn stop_signal(table: &Table<'_>, cx: &mut Context<'_>) -> Option<String> {
    let field = table.get("stop_signal")?;
    let upper = field.filled(&mut cx.report)?.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    if SIGNALS.contains(&name.as_str()) {
        return Some(name);
    }
    let hint = format!("Write one of {}.", SIGNALS.join(", "));
    field.refuse(&mut cx.report, "this signal is not supported", hint);
    None
}
