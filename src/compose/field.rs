//! A value under its key, and the few ways in which keys read their values.
//!
//! Each reader either gives what the key needs or reports why not and gives `None`, so that the caller goes on with
//! the next key.

use std::ops::RangeInclusive;

use crate::compose::interpolate::Fault;
use crate::compose::keys::Keys;
use crate::compose::node::{Map, Node, Scalar, Value};
use crate::compose::report::{Place, Report};

/// A value and how to name it.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    /// Dotted, e.g. `services.api.ports[0]`.
    pub path: String,
    pub node: &'a Node,
}

/// A mapping whose keys were checked.
#[derive(Debug, Clone)]
pub struct Table<'a> {
    pub path: String,
    pub at: Place,
    map: &'a Map,
}

/// `KEY: value` of a mapping or `KEY=value` of a list.
#[derive(Debug)]
pub struct Pair<'a> {
    pub name: String,
    /// `None`: the name stands alone. A text whose variables could not be put in comes with it as written.
    pub value: Option<Result<&'a str, (&'a Fault, &'a str)>>,
    pub at: Place,
    pub path: String,
}

impl<'a> Field<'a> {
    pub fn at(&self) -> Place {
        self.node.at
    }

    /// Reports `what` is wrong with it.
    pub fn refuse(&self, report: &mut Report, what: impl AsRef<str>, hint: impl Into<String>) {
        report.at(self.at(), said(&self.path, what.as_ref()), hint);
    }

    pub fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    pub fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    pub fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    fn refuse_kind(&self, report: &mut Report, wanted: &str, example: &str) {
        let hint = if example.is_empty() {
            format!("Write {wanted}.")
        } else {
            format!("Write {wanted}: {example}.")
        };
        self.refuse(report, format!("this is {}, and {wanted} is due", self.node.value.kind()), hint);
    }

    /// Text, a number or a boolean, as it is spelled.
    pub fn text(&self, report: &mut Report) -> Option<&'a str> {
        let Value::Scalar(scalar) = &self.node.value else {
            self.refuse_kind(report, "a single value", "");
            return None;
        };
        if let Some(fault) = &scalar.fault {
            let (what, hint) = fault.words();
            self.refuse(report, what, hint);
            return None;
        }
        if scalar.text.contains('\0') {
            self.refuse(report, "the text holds a NUL character", "Remove it: no engine takes it.");
            return None;
        }
        Some(&scalar.text)
    }

    /// The same, and not empty.
    pub fn filled(&self, report: &mut Report) -> Option<&'a str> {
        let text = self.text(report)?;
        if text.trim().is_empty() {
            self.refuse(report, "the value is empty", "Write a value, or remove the key.");
            return None;
        }
        Some(text)
    }

    pub fn boolean(&self, report: &mut Report) -> Option<bool> {
        match self.text(report)? {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
            other => {
                self.refuse(report, format!("{other:?} is no boolean"), "Write true or false.");
                None
            }
        }
    }

    pub fn whole(&self, range: RangeInclusive<u64>, report: &mut Report) -> Option<u64> {
        let text = self.text(report)?;
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(number) if digits && range.contains(&number) => Some(number),
            _ => {
                let wanted = format!("a whole number from {} to {}", range.start(), range.end());
                self.refuse(report, format!("{text:?} is not {wanted}"), format!("Write {wanted}."));
                None
            }
        }
    }

    /// The items of a list; `example` shows what was due when it is none.
    pub fn items(&self, example: &str, report: &mut Report) -> Option<Vec<Field<'a>>> {
        let Value::List(items) = &self.node.value else {
            self.refuse_kind(report, "a list", example);
            return None;
        };
        let item = |(at, node)| Field { path: format!("{}[{at}]", self.path), node };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A list of texts, or one text alone.
    pub fn texts(&self, example: &str, report: &mut Report) -> Option<Vec<Field<'a>>> {
        match &self.node.value {
            Value::Scalar(_) => Some(vec![self.clone()]),
            _ => self.items(example, report),
        }
    }

    /// A mapping of which every key is checked against `keys`.
    pub fn table(&self, keys: &Keys, report: &mut Report) -> Option<Table<'a>> {
        let Value::Map(map) = &self.node.value else {
            self.refuse_kind(report, "a mapping", keys.example);
            return None;
        };
        keys.check(map, &self.path, report);
        Some(Table { path: self.path.clone(), at: self.at(), map })
    }

    /// A mapping whose keys are names that the file chooses: each with its own place.
    pub fn named(&self, example: &str, report: &mut Report) -> Option<Vec<(&'a str, Place, Field<'a>)>> {
        let Value::Map(map) = &self.node.value else {
            self.refuse_kind(report, "a mapping", example);
            return None;
        };
        let field = |key: &str, node| Field { path: below(&self.path, key), node };
        Some(map.entries.iter().map(|e| (e.key.as_str(), e.at, field(&e.key, &e.value))).collect())
    }

    /// `KEY: value` or `- KEY=value`, no name twice.
    pub fn pairs(&self, report: &mut Report) -> Option<Vec<Pair<'a>>> {
        let mut pairs: Vec<Pair<'a>> = Vec::new();
        if self.is_list() {
            for item in self.items("", report)? {
                let Value::Scalar(scalar) = &item.node.value else {
                    item.refuse_kind(report, "a text", "`NAME=value`");
                    continue;
                };
                let (name, value) = match scalar.text.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (scalar.text.as_str(), None),
                };
                let value = value.map(|value| filled(scalar, value));
                let path = format!("{}.{name}", self.path);
                pairs.push(Pair { name: name.to_owned(), value, at: item.at(), path });
            }
        } else {
            for (name, at, field) in self.named("`NAME: value`", report)? {
                let value = match &field.node.value {
                    Value::Null => None,
                    Value::Scalar(scalar) => Some(filled(scalar, &scalar.text)),
                    _ => {
                        field.refuse_kind(report, "a single value", "`NAME: value`");
                        continue;
                    }
                };
                pairs.push(Pair { name: name.to_owned(), value, at, path: field.path });
            }
        }
        let mut seen = std::collections::HashSet::new();
        pairs.retain(|pair| {
            let first = seen.insert(pair.name.clone());
            if !first {
                report.at(pair.at, format!("{}: it is given twice", pair.path), "Keep one of the two.");
            }
            first
        });
        Some(pairs)
    }
}

/// `text`, which is part of `scalar`, unless that has a fault.
fn filled<'a>(scalar: &'a Scalar, text: &'a str) -> Result<&'a str, (&'a Fault, &'a str)> {
    scalar.fault.as_ref().map_or(Ok(text), |fault| Err((fault, text)))
}

impl Pair<'_> {
    /// The value as text: `None`, reported, when a variable in it has no value or it holds NUL.
    pub fn text(&self, report: &mut Report) -> Option<String> {
        match self.value.as_ref()? {
            Ok(text) if !text.contains('\0') => Some((*text).to_owned()),
            Ok(_) => {
                report.at(self.at, format!("{}: the text holds a NUL character", self.path), "Remove it.");
                None
            }
            Err((fault, _)) => {
                let (what, hint) = fault.words();
                report.at(self.at, format!("{}: {what}", self.path), hint);
                None
            }
        }
    }
}

/// The path of `key` under `path`.
pub fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// `what` is wrong at `path`, in one line.
fn said(path: &str, what: &str) -> String {
    if path.is_empty() { what.to_owned() } else { format!("{path}: {what}") }
}

impl<'a> Table<'a> {
    /// The value of `key`; a key without a value is as good as absent.
    pub fn get(&self, key: &str) -> Option<Field<'a>> {
        let entry = self.map.entry(key)?;
        let field = Field { path: below(&self.path, key), node: &entry.value };
        (!field.is_null()).then_some(field)
    }

    /// The value of `key`, reported when it is missing.
    pub fn need(&self, key: &str, hint: &str, report: &mut Report) -> Option<Field<'a>> {
        let field = self.get(key);
        if field.is_none() {
            report.at(self.at, said(&self.path, &format!("{key} is missing")), hint);
        }
        field
    }

    pub fn refuse(&self, report: &mut Report, what: impl AsRef<str>, hint: impl Into<String>) {
        report.at(self.at, said(&self.path, what.as_ref()), hint);
    }
}
