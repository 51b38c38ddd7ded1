//! JSON, read with every place named that is wrong, instead of stopping at the first.

use serde_json::{Map, Value};

use crate::domain::{Error, Problem, Result};

/// How many problems are worth reading at once.
const SHOWN: usize = 100;

/// What was found wrong so far.
#[derive(Debug)]
pub struct Reader {
    code: &'static str,
    problems: Vec<Problem>,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct At<'v> {
    pub value: &'v Value,
    pub place: String,
}

/// An object and where it stands; a `null` in it is as if it were not there.
#[derive(Debug)]
pub struct Table<'v> {
    map: &'v Map<String, Value>,
    pub place: String,
}

impl Reader {
    /// Nothing wrong yet; what will be goes under this code.
    pub fn new(code: &'static str) -> Self {
        Self { code, problems: Vec::new() }
    }

    /// Notes a problem.
    pub fn refuse(&mut self, place: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) {
        if self.problems.len() < SHOWN {
            self.problems.push(Problem::new(place, what).hint(hint));
        }
    }

    /// `value` when nothing is wrong, else every problem.
    pub fn into_result<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(Error::problems(self.code, self.problems)),
        }
    }

    /// An object of these keys alone; `place` is empty for the whole.
    pub fn table<'v>(&mut self, value: &'v Value, place: &str, keys: &[&str]) -> Option<Table<'v>> {
        let Some(map) = value.as_object() else {
            let shown = if place.is_empty() { "body" } else { place };
            self.refuse(shown, format!("it is {}, not an object", kind(value)), takes(keys));
            return None;
        };
        let table = Table { map, place: place.to_owned() };
        for key in map.keys().filter(|key| !keys.contains(&key.as_str())) {
            self.refuse(table.below(key), "this is not supported", takes(keys));
        }
        Some(table)
    }

    /// A list's items.
    pub fn items<'v>(&mut self, at: &At<'v>, example: &str) -> Vec<At<'v>> {
        let Some(items) = at.value.as_array() else {
            self.refuse(
                &at.place,
                format!("it is {}, not a list", kind(at.value)),
                format!("Write {example}."),
            );
            return Vec::new();
        };
        let item = |(number, value)| At { value, place: format!("{}[{number}]", at.place) };
        items.iter().enumerate().map(item).collect()
    }

    /// A text that can be handed to a program.
    pub fn text<'v>(&mut self, at: At<'v>, example: &str) -> Option<&'v str> {
        let found = at.value.as_str();
        match found {
            None => {
                let what = format!("it is {}, not a text", kind(at.value));
                self.refuse(at.place, what, format!("Write {example}."));
                None
            }
            Some(text) if text.contains('\0') => {
                self.refuse(
                    at.place,
                    "it holds a NUL character",
                    "Take it out: no program can be given one.",
                );
                None
            }
            found => found,
        }
    }

    /// `true` or `false`; nothing is `false`.
    pub fn flag(&mut self, at: Option<At<'_>>) -> bool {
        match at.map(|at| (at.value.as_bool(), at)) {
            Some((None, at)) => {
                self.refuse(at.place, format!("it is {}", kind(at.value)), "Write true or false.");
                false
            }
            Some((Some(flag), _)) => flag,
            None => false,
        }
    }
}

impl<'v> Table<'v> {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<At<'v>> {
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(At { value, place: self.below(key) })
    }

    /// Every key with its value, `null` too.
    pub fn entries(&self) -> impl Iterator<Item = (&'v str, At<'v>)> {
        self.map.iter().map(|(key, value)| (key.as_str(), At { value, place: self.below(key) }))
    }

    /// The place of `key`.
    pub fn below(&self, key: &str) -> String {
        let shown: String = key.chars().take(80).collect();
        if self.place.is_empty() { shown } else { format!("{}.{shown}", self.place) }
    }
}

fn takes(keys: &[&str]) -> String {
    format!("What is taken here: {}.", keys.join(", "))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
