//! `depends_on`, in both syntaxes. Whether what it names is there is known only when all services are read.

use crate::compose::Context;
use crate::compose::field::{Field, Table};
use crate::compose::report::Place;
use crate::compose::unsupported::DEPENDENCY;
use crate::domain::workload::{Condition, Dependency};

/// One dependency as it was written.
#[derive(Debug)]
pub struct Written {
    pub on: String,
    pub at: Place,
    pub path: String,
    pub dependency: Dependency,
}

/// What the service `table` depends on.
pub fn read(service: &Table<'_>, cx: &mut Context<'_>) -> Vec<Written> {
    let Some(field) = service.get("depends_on") else {
        return Vec::new();
    };
    if field.is_map() {
        let named = field.named("", &mut cx.report).unwrap_or_default();
        return named.into_iter().filter_map(|(on, at, field)| long(on, at, &field, cx)).collect();
    }
    let mut written: Vec<Written> = Vec::new();
    for item in field.items("`- redis`", &mut cx.report).unwrap_or_default() {
        let Some(on) = item.filled(&mut cx.report) else {
            continue;
        };
        if written.iter().any(|known| known.on == on) {
            item.refuse(&mut cx.report, format!("{on} is named twice"), "Keep one of the two.");
            continue;
        }
        let dependency = Dependency { condition: Condition::Started, required: true };
        written.push(Written { on: on.to_owned(), at: item.at(), path: item.path, dependency });
    }
    written
}

fn long(on: &str, at: Place, field: &Field<'_>, cx: &mut Context<'_>) -> Option<Written> {
    let mut dependency = Dependency { condition: Condition::Started, required: true };
    if !field.is_null() {
        let table = field.table(&DEPENDENCY, &mut cx.report)?;
        if let Some(field) = table.get("condition") {
            dependency.condition = condition(&field, cx).unwrap_or(dependency.condition);
        }
        if let Some(field) = table.get("required") {
            dependency.required = field.boolean(&mut cx.report).unwrap_or(true);
        }
        if let Some(field) = table.get("restart")
            && field.boolean(&mut cx.report) == Some(true)
        {
            let hint = "Remove it: let the program connect again, or change both services in one update.";
            field.refuse(&mut cx.report, "only `false` is supported", hint);
        }
    }
    Some(Written { on: on.to_owned(), at, path: field.path.clone(), dependency })
}

fn condition(field: &Field<'_>, cx: &mut Context<'_>) -> Option<Condition> {
    match field.filled(&mut cx.report)? {
        "service_started" => Some(Condition::Started),
        "service_healthy" => Some(Condition::Healthy),
        "service_completed_successfully" => Some(Condition::CompletedSuccessfully),
        other => {
            let hint = "Write service_started, service_healthy or service_completed_successfully.";
            field.refuse(&mut cx.report, format!("{other:?} is no condition"), hint);
            None
        }
    }
}
