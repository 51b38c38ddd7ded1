//! `networks`: a workload has one network of its own, so those that a file names come to the same. What would be more
//! than a plain network between the services is refused; services that the file keeps apart are warned of.

use std::collections::{BTreeMap, BTreeSet};

use crate::compose::Context;
use crate::compose::field::{Field, Table};
use crate::compose::service::Draft;
use crate::compose::unsupported::{NETWORK, SERVICE_NETWORK};
use crate::domain::name::ServiceName;

/// The network of a service that names none.
const DEFAULT: &str = "default";
const OWN: &str =
    "Remove it: every workload has a plain network of its own, in which services reach each other by name.";

/// The top-level `networks`: the names that services may join.
pub fn declared(field: &Field<'_>, cx: &mut Context<'_>) {
    for (name, _, field) in field.named("`backend: {}`", &mut cx.report).unwrap_or_default() {
        cx.networks.insert(name.to_owned());
        if field.is_null() {
            continue;
        }
        let Some(table) = field.table(&NETWORK, &mut cx.report) else {
            continue;
        };
        if let Some(driver) = table.get("driver")
            && driver.text(&mut cx.report).is_some_and(|driver| !matches!(driver, "bridge" | "default"))
        {
            driver.refuse(&mut cx.report, "only the driver bridge is supported", OWN);
        }
        let external = "Remove it: a workload joins no network that others made. Reach other systems by an address in \
                        the deployment's settings.";
        refuse_true(&table, "external", external, cx);
        let internal = "Remove it: services of a workload may reach outside. A firewall of the infrastructure can forbid that.";
        refuse_true(&table, "internal", internal, cx);
    }
}

fn refuse_true(table: &Table<'_>, key: &str, hint: &str, cx: &mut Context<'_>) {
    if let Some(field) = table.get(key)
        && (field.is_map() || field.boolean(&mut cx.report) == Some(true))
    {
        field.refuse(&mut cx.report, "only `false` is supported", hint);
    }
}

/// The networks that the service `table` joins; `None` where it names none.
pub fn joined(service: &str, table: &Table<'_>, cx: &mut Context<'_>) -> Option<BTreeSet<String>> {
    let field = table.get("networks")?;
    if let Some(mode) = table.get("network_mode") {
        mode.refuse(&mut cx.report, "it can't stand beside `networks`", "Keep one of the two.");
    }
    let mut joined = BTreeSet::new();
    if field.is_list() {
        for item in field.items("`- backend`", &mut cx.report)? {
            let name = item.filled(&mut cx.report)?;
            known(name, &item, cx);
            joined.insert(name.to_owned());
        }
        return Some(joined);
    }
    for (name, _, field) in field.named("`backend: {}`", &mut cx.report)? {
        known(name, &field, cx);
        joined.insert(name.to_owned());
        if !field.is_null() {
            aliases(service, &field, cx);
        }
    }
    Some(joined)
}

fn known(name: &str, field: &Field<'_>, cx: &mut Context<'_>) {
    if name == DEFAULT || cx.networks.contains(name) {
        return;
    }
    let hint = match cx.report.nearest(name, cx.networks.iter().map(String::as_str)) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Add `{name}: {{}}` under the top-level `networks`."),
    };
    field.refuse(&mut cx.report, format!("there is no network {name:?}"), hint);
}

/// Only the service's own name, by which peers reach it anyway.
fn aliases(service: &str, field: &Field<'_>, cx: &mut Context<'_>) -> Option<()> {
    let aliases = field.table(&SERVICE_NETWORK, &mut cx.report)?.get("aliases")?;
    for alias in aliases.items("`- api`", &mut cx.report)? {
        if alias.filled(&mut cx.report).is_some_and(|name| name != service) {
            let hint = "Peers reach a service by its own name: rename the service, or use that name where it is asked for.";
            alias.refuse(&mut cx.report, "other names of a service are not supported", hint);
        }
    }
    Some(())
}

/// Warns where the file keeps services apart that will share the workload's network.
pub fn warn(drafts: &BTreeMap<ServiceName, Draft>, cx: &mut Context<'_>) {
    let default = BTreeSet::from([DEFAULT.to_owned()]);
    let mut sets = drafts.values().map(|draft| draft.networks.as_ref().unwrap_or(&default));
    let Some(first) = sets.next() else { return };
    if sets.all(|set| set == first) {
        return;
    }
    let Some(draft) = drafts.values().find(|draft| draft.networks.is_some()) else {
        return;
    };
    cx.report.warn(
        draft.place("networks"),
        "networks: all services of a workload share one network, and none is kept apart from another",
        "Nothing has to be done where that is well; else have services ask each other for credentials.",
    );
}
