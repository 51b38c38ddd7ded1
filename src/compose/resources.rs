//! `deploy.resources`, with the service's older keys that say the same.

use crate::compose::Context;
use crate::compose::field::{Field, Table};
use crate::compose::units::{bytes, milli_cpus};
use crate::compose::unsupported::{LIMITS, RESERVATIONS, RESOURCES};
use crate::domain::workload::Resources;

/// Below this Docker starts nothing.
const LEAST_MEMORY: u64 = 6 << 20;

/// What the service `table` with its `deploy` may use.
pub fn read(service: &Table<'_>, deploy: Option<&Table<'_>>, cx: &mut Context<'_>) -> Resources {
    let resources = deploy.and_then(|deploy| deploy.get("resources"));
    let resources = resources.and_then(|field| field.table(&RESOURCES, &mut cx.report));
    let part = |key, keys, cx: &mut Context<'_>| resources.as_ref()?.get(key)?.table(keys, &mut cx.report);
    let limits = part("limits", &LIMITS, cx);
    let reservations = part("reservations", &RESERVATIONS, cx);
    let read = Resources {
        cpu_limit_milli: same(service.get("cpus"), inner(limits.as_ref(), "cpus"), cpus, cx),
        memory_limit_bytes: same(service.get("mem_limit"), inner(limits.as_ref(), "memory"), memory, cx),
        pids_limit: same(service.get("pids_limit"), inner(limits.as_ref(), "pids"), pids, cx),
        cpu_reservation_milli: inner(reservations.as_ref(), "cpus").and_then(|field| cpus(&field, cx)),
        memory_reservation_bytes: same(
            service.get("mem_reservation"),
            inner(reservations.as_ref(), "memory"),
            memory,
            cx,
        ),
    };
    let over =
        |set_aside: Option<u64>, most: Option<u64>| matches!((set_aside, most), (Some(a), Some(b)) if a > b);
    let cpu = over(read.cpu_reservation_milli.map(u64::from), read.cpu_limit_milli.map(u64::from));
    if cpu || over(read.memory_reservation_bytes, read.memory_limit_bytes) {
        let at = reservations.as_ref().unwrap_or(service);
        let what = if cpu {
            "more CPU is set aside than the limit"
        } else {
            "more memory is set aside than the limit"
        };
        at.refuse(&mut cx.report, what, "Lower the reservation or raise the limit.");
    }
    read
}

fn inner<'a>(table: Option<&Table<'a>>, key: &str) -> Option<Field<'a>> {
    table?.get(key)
}

/// One value that may stand in either of two places, and in both only when they agree.
fn same<T: PartialEq>(
    old: Option<Field<'_>>,
    new: Option<Field<'_>>,
    read: fn(&Field<'_>, &mut Context<'_>) -> Option<T>,
    cx: &mut Context<'_>,
) -> Option<T> {
    let old_value = old.as_ref().and_then(|field| read(field, cx));
    let new_value = new.as_ref().and_then(|field| read(field, cx));
    if let (Some(old), Some(new), Some(a), Some(b)) = (&old, &new, &old_value, &new_value)
        && a != b
    {
        old.refuse(&mut cx.report, format!("it differs from {}", new.path), "Keep one of the two.");
    }
    new_value.or(old_value)
}

fn cpus(field: &Field<'_>, cx: &mut Context<'_>) -> Option<u32> {
    let text = field.filled(&mut cx.report)?;
    match milli_cpus(text) {
        Some(milli) if milli > 0 => Some(milli),
        _ => {
            let hint = "Write how many CPUs it may use, such as `\"0.5\"` or `2`; the least is 0.001.";
            field.refuse(&mut cx.report, format!("{text:?} is no number of CPUs"), hint);
            None
        }
    }
}

fn memory(field: &Field<'_>, cx: &mut Context<'_>) -> Option<u64> {
    let text = field.filled(&mut cx.report)?;
    match bytes(text) {
        Some(bytes) if bytes >= LEAST_MEMORY => Some(bytes),
        Some(_) => {
            field.refuse(
                &mut cx.report,
                format!("{text:?} is less than the 6 MiB that a container needs"),
                "Give it more.",
            );
            None
        }
        None => {
            let hint = "Write a number with its unit, such as `512M` or `1.5g`.";
            field.refuse(&mut cx.report, format!("{text:?} is no amount of memory"), hint);
            None
        }
    }
}

fn pids(field: &Field<'_>, cx: &mut Context<'_>) -> Option<u32> {
    let text = field.filled(&mut cx.report)?;
    if matches!(text, "-1" | "0") {
        let hint = "Write a number, or remove the key for the infrastructure's own limit.";
        field.refuse(&mut cx.report, "the number of processes can't be unlimited", hint);
        return None;
    }
    field.whole(1..=4_194_304, &mut cx.report).and_then(|pids| u32::try_from(pids).ok())
}
