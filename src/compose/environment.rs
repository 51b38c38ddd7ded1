//! `environment` and `env_file`: the files first, in their order, the mapping over them.

use std::collections::BTreeMap;

use crate::compose::Context;
use crate::compose::dotenv;
use crate::compose::field::{Field, Pair, Table};
use crate::compose::interpolate::{Fault, stands_alone};
use crate::compose::paths::Wanted;
use crate::compose::unsupported::ENV_FILE;
use crate::domain::notation::is_variable;
use crate::domain::workload::EnvValue;

/// The environment of the service `table`.
pub fn read(table: &Table<'_>, cx: &mut Context<'_>) -> BTreeMap<String, EnvValue> {
    let mut environment = BTreeMap::new();
    if let Some(field) = table.get("env_file") {
        for (name, value) in files(&field, cx).unwrap_or_default() {
            let value = value.map_or_else(|| passed_through(&name, cx), EnvValue::Plain);
            environment.insert(name, value);
        }
    }
    if let Some(field) = table.get("environment") {
        for pair in field.pairs(&mut cx.report).unwrap_or_default() {
            if let Some(value) = value(&pair, cx) {
                environment.insert(pair.name, value);
            }
        }
    }
    environment
}

fn value(pair: &Pair<'_>, cx: &mut Context<'_>) -> Option<EnvValue> {
    if !is_variable(&pair.name) {
        let hint = "Use letters, digits, `_`, `.` and `-`, not starting with a digit.";
        cx.report.at(pair.at, format!("{}: {:?} is no name of a variable", pair.path, pair.name), hint);
        return None;
    }
    match &pair.value {
        None => Some(passed_through(&pair.name, cx)),
        // `TOKEN: ${TOKEN}` says what `TOKEN` alone says.
        Some(Err((Fault::Unset { variable, .. }, template)))
            if *variable == pair.name && stands_alone(template, variable) =>
        {
            Some(EnvValue::Required)
        }
        Some(_) => pair.text(&mut cx.report).map(EnvValue::Plain),
    }
}

/// A name without a value takes it from where Compose would: the shell, which here is `.env`, else the settings.
fn passed_through(name: &str, cx: &Context<'_>) -> EnvValue {
    cx.variables.get(name).map_or(EnvValue::Required, |value| EnvValue::Plain(value.clone()))
}

fn files(field: &Field<'_>, cx: &mut Context<'_>) -> Option<Vec<dotenv::Assignment>> {
    let items =
        if field.is_map() { vec![field.clone()] } else { field.texts("`- ./api.env`", &mut cx.report)? };
    let mut found = Vec::new();
    for item in items {
        found.extend(file(&item, cx).unwrap_or_default());
    }
    Some(found)
}

fn file(item: &Field<'_>, cx: &mut Context<'_>) -> Option<Vec<dotenv::Assignment>> {
    let (field, required, raw) = if item.is_map() {
        let table = item.table(&ENV_FILE, &mut cx.report)?;
        let path = table.need("path", "Name a file of the bundle.", &mut cx.report)?;
        let required = table.get("required").and_then(|field| field.boolean(&mut cx.report)).unwrap_or(true);
        let raw = table.get("format").is_some_and(|field| is_raw(&field, cx));
        (path, required, raw)
    } else {
        (item.clone(), true, false)
    };
    let text = field.filled(&mut cx.report)?;
    if !required && !cx.files.has_file(text) {
        return None;
    }
    let path = cx.files.resolve(text, "", Wanted::File, &field, &mut cx.report)?;
    let content = match (cx.read)(&path) {
        Ok(content) => content,
        Err(error) => {
            let hint = error.hint.unwrap_or_else(|| "Publish the bundle again.".to_owned());
            field.refuse(&mut cx.report, error.message, hint);
            return None;
        }
    };
    Some(if raw {
        dotenv::read_raw(&path, &content, &mut cx.report)
    } else {
        dotenv::read(&path, &content, &cx.variables, &mut cx.report)
    })
}

fn is_raw(field: &Field<'_>, cx: &mut Context<'_>) -> bool {
    match field.text(&mut cx.report) {
        Some("raw") => true,
        Some(other) => {
            let hint = "Write `raw` for values as they stand, or remove the key.";
            field.refuse(&mut cx.report, format!("{other:?} is no format of an env_file"), hint);
            false
        }
        None => false,
    }
}
