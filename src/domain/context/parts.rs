//! The parts of a specification but its volumes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::context::quantity;
use crate::domain::context::read::{At, Reader};
use crate::domain::context::{ContextPort, notation};
use crate::domain::workload::Resources;

/// Ports of one context.
const MOST_PORTS: usize = 100;
/// Below this Docker starts nothing.
const LEAST_MEMORY: u128 = 6 << 20;

pub fn image(at: At<'_>, reader: &mut Reader) -> Option<String> {
    let place = at.place.clone();
    let text = reader.text(at, "\"hello-world\"")?;
    if let Some(what) = notation::image_fault(text) {
        let hint = "Write `name:tag`, `host/name:tag` or `name@sha256:…`, the name in lower case.";
        reader.refuse(place, format!("{text:?} is no image: {what}"), hint);
        return None;
    }
    Some(notation::with_tag(text))
}

/// The words of a command line; none where it is empty, as upstream takes it.
pub fn command(at: At<'_>, reader: &mut Reader) -> Option<Vec<String>> {
    const HINT: &str =
        "Write one text, such as \"python train.py --epochs 3\", with quotes around words that hold spaces.";
    let place = at.place.clone();
    let text = reader.text(at, "\"python train.py\"")?;
    match notation::words(text, &[]) {
        Ok(words) => Some(words).filter(|words| !words.is_empty()),
        Err(_) => {
            reader.refuse(place, "a quote is not closed, or a backslash stands at its end", HINT);
            None
        }
    }
}

pub fn ports(at: At<'_>, reader: &mut Reader) -> Vec<ContextPort> {
    let mut ports: Vec<ContextPort> = Vec::new();
    let items = reader.items(&at, "[\"8888\"]");
    if items.len() > MOST_PORTS {
        reader.refuse(&at.place, format!("more than {MOST_PORTS} ports"), "Name those in use.");
        return ports;
    }
    for item in items {
        let place = item.place.clone();
        let Some(text) = reader.text(item, "\"8888\"") else { continue };
        match ContextPort::parse(text) {
            Some(port) if ports.contains(&port) => {
                reader.refuse(place, format!("{text:?} stands there twice"), "Remove one of the two.");
            }
            Some(port) => ports.push(port),
            None => {
                let hint =
                    "Write the container's port: \"8888\", \"8888/tcp\" or \"53/udp\", from 1 to 65535.";
                reader.refuse(place, format!("{text:?} is no port"), hint);
            }
        }
    }
    ports
}

pub fn labels(at: At<'_>, reader: &mut Reader) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for item in reader.items(&at, "[\"team=data\"]") {
        let place = item.place.clone();
        let Some(text) = reader.text(item, "\"team=data\"") else { continue };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.trim(), value.trim()),
            None => ("", ""),
        };
        if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            reader.refuse(place, format!("{text:?} is no label"), "Write `name=value`.");
        } else if name.starts_with("io.slipway.") {
            let hint = "Choose another name: by those labels Slipway knows its own containers.";
            reader.refuse(place, "labels that begin with io.slipway. are reserved", hint);
        } else if labels.insert(name.to_owned(), value.to_owned()).is_some() {
            reader.refuse(place, format!("the label {name} stands there twice"), "Remove one of the two.");
        }
    }
    labels
}

/// A list of names with values, as Kubernetes has it.
pub fn env(at: At<'_>, reader: &mut Reader) -> BTreeMap<String, String> {
    const EXAMPLE: &str = "[{\"name\": \"ENV_VAR\", \"value\": \"1234\"}]";
    let mut environment = BTreeMap::new();
    for item in reader.items(&at, EXAMPLE) {
        let Some(table) = reader.table(item.value, &item.place, &["name", "value"]) else { continue };
        let Some(name) = table.get("name") else {
            reader.refuse(table.below("name"), "it is missing", format!("Write {EXAMPLE}."));
            continue;
        };
        let place = name.place.clone();
        let value = table.get("value").map_or(Some(""), |at| reader.text(at, "a text, such as \"1234\""));
        let (Some(name), Some(value)) = (reader.text(name, "\"ENV_VAR\""), value) else { continue };
        if !is_variable(name, &place, reader) {
            continue;
        }
        if environment.insert(name.to_owned(), value.to_owned()).is_some() {
            reader.refuse(place, format!("{name} stands there twice"), "Remove one of the two.");
        }
    }
    environment
}

/// An object of names and values, as an execution has it. A number or a boolean is written as upstream writes it.
pub fn environment(at: At<'_>, reader: &mut Reader) -> BTreeMap<String, String> {
    let Some(map) = at.value.as_object() else {
        reader.refuse(at.place, "it is no object", "Write {\"NAME\": \"value\"}.");
        return BTreeMap::new();
    };
    let names: Vec<&str> = map.keys().map(String::as_str).collect();
    let Some(table) = reader.table(at.value, &at.place, &names) else { return BTreeMap::new() };
    let mut environment = BTreeMap::new();
    for (name, at) in table.entries() {
        if !is_variable(name, &at.place, reader) {
            continue;
        }
        let value = match at.value {
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(true) => Some("True".to_owned()),
            Value::Bool(false) => Some("False".to_owned()),
            _ => reader.text(at, "a text, such as \"1234\"").map(str::to_owned),
        };
        environment.extend(value.map(|value| (name.to_owned(), value)));
    }
    environment
}

fn is_variable(name: &str, place: &str, reader: &mut Reader) -> bool {
    let good = notation::is_variable(name);
    if !good {
        let shown: String = name.chars().take(80).collect();
        let hint = "Use letters, digits, `_`, `.` and `-`, not starting with a digit.";
        reader.refuse(place, format!("{shown:?} is no name of a variable"), hint);
    }
    good
}

pub fn resources(at: At<'_>, reader: &mut Reader) -> Resources {
    let mut read = Resources::default();
    let Some(table) = reader.table(at.value, &at.place, &["limits", "requests"]) else { return read };
    let (limits, requests) = (amounts(table.get("limits"), reader), amounts(table.get("requests"), reader));
    (read.cpu_limit_milli, read.memory_limit_bytes) = limits;
    (read.cpu_reservation_milli, read.memory_reservation_bytes) = requests;
    let over = |asked: Option<u64>, most: Option<u64>| matches!((asked, most), (Some(a), Some(b)) if a > b);
    let cpu = over(requests.0.map(u64::from), limits.0.map(u64::from));
    for (what, over) in [("cpu", cpu), ("memory", over(requests.1, limits.1))] {
        if over {
            let place = format!("{}.requests.{what}", at.place);
            reader.refuse(place, "it is more than the limit", "Ask for less, or raise the limit.");
        }
    }
    read
}

/// Thousandths of a CPU, and bytes of memory.
fn amounts(at: Option<At<'_>>, reader: &mut Reader) -> (Option<u32>, Option<u64>) {
    let Some(table) = at.and_then(|at| reader.table(at.value, &at.place, &["cpu", "memory"])) else {
        return (None, None);
    };
    let cpu = table.get("cpu").and_then(|at| {
        let hint = "Write how many CPUs, such as \"500m\" or \"1.5\"; the least is \"1m\", the most 4000.";
        amount(at, 1_000, 1..=4_000_000, hint, reader)
    });
    let memory = table.get("memory").and_then(|at| {
        let hint = "Write an amount of memory, such as \"512Mi\" or \"2G\"; the least is \"6Mi\".";
        amount(at, 1, LEAST_MEMORY..=1 << 60, hint, reader)
    });
    (cpu.and_then(|milli| u32::try_from(milli).ok()), memory.and_then(|bytes| u64::try_from(bytes).ok()))
}

/// A quantity in units of one `unit`th, within bounds.
pub fn amount(
    at: At<'_>,
    unit: u128,
    bounds: std::ops::RangeInclusive<u128>,
    hint: &str,
    reader: &mut Reader,
) -> Option<u128> {
    let text = match at.value {
        Value::Number(number) => number.to_string(),
        _ => reader.text(At { place: at.place.clone(), ..at }, "\"1\"")?.to_owned(),
    };
    let found = quantity::count(&text, unit).filter(|count| bounds.contains(count));
    if found.is_none() {
        reader.refuse(at.place, format!("{text:?} is no amount that can be had"), hint);
    }
    found
}
