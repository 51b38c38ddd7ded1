//! The configuration file as it was written: every key with its line, nothing judged yet.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::config::value::Raw;
use crate::domain::{Error, Problem, Result};

/// Kinds of sections of which there may be many, each with a name.
pub const NAMED: [&str; 2] = ["registry", "kubeconfig"];

/// A file, its sections in order.
#[derive(Debug)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub sections: Vec<FileSection>,
}

/// A section; of those with a name of their own it is `registry.<host>`, `kubeconfig.<name>`.
#[derive(Debug)]
pub struct FileSection {
    pub name: String,
    pub line: usize,
    pub keys: Vec<FileKey>,
}

/// A key with its value.
#[derive(Debug)]
pub struct FileKey {
    pub key: String,
    pub line: usize,
    pub raw: Raw,
}

impl ConfigFile {
    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// `config_syntax` with the line when it is not TOML; keys that stand in no section.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let line = |at: usize| text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(1, |span| line(span.start));
            let place = format!("{}:{at}", path.display());
            Error::problems("config_syntax", vec![Problem::new(place, error.message())])
        })?;
        let mut file = Self { path: path.to_owned(), sections: Vec::new() };
        let mut strays = Vec::new();
        for (name, value) in table.get_ref() {
            let at = line(name.span().start);
            match value.get_ref() {
                DeValue::Table(inner) if NAMED.contains(&name.get_ref().as_ref()) => {
                    file.named(name.get_ref(), inner, &line, &mut strays);
                }
                DeValue::Table(inner) => file.section(name.get_ref().to_string(), at, inner, &line),
                _ => strays.push(file.stray(at, name.get_ref())),
            }
        }
        if strays.is_empty() {
            return Ok(file);
        }
        Err(Error::problems("config_invalid", strays))
    }

    /// `config.toml:12`
    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// What has a section of its own below `kind`: hosts of registries, names of kubeconfigs.
    pub fn names_of(&self, kind: &str) -> impl Iterator<Item = &str> {
        let named = self.sections.iter().filter_map(|section| section.name.split_once('.'));
        named.filter(move |(of, _)| *of == kind).map(|(_, name)| name)
    }

    /// A key of a section.
    pub fn find(&self, section: &str, key: &str) -> Option<&FileKey> {
        let sections = self.sections.iter().filter(|one| one.name == section);
        sections.flat_map(|one| &one.keys).find(|one| one.key == key)
    }

    fn section(&mut self, name: String, at: usize, table: &DeTable<'_>, line: &dyn Fn(usize) -> usize) {
        let keys = table.iter().map(|(key, value)| FileKey {
            key: key.get_ref().to_string(),
            line: line(key.span().start),
            raw: raw(value.get_ref()),
        });
        self.sections.push(FileSection { name, line: at, keys: keys.collect() });
    }

    fn named(
        &mut self,
        kind: &str,
        table: &DeTable<'_>,
        line: &dyn Fn(usize) -> usize,
        strays: &mut Vec<Problem>,
    ) {
        for (name, value) in table {
            let at = line(name.span().start);
            let name = format!("{kind}.{}", name.get_ref());
            match value.get_ref() {
                // An unquoted `[registry.ghcr.io]` nests, and is meant as the host.
                DeValue::Table(inner) => self.nested(name, at, inner, line),
                _ => strays.push(self.stray(at, &name)),
            }
        }
    }

    fn nested(&mut self, name: String, at: usize, table: &DeTable<'_>, line: &dyn Fn(usize) -> usize) {
        let nested = table.iter().all(|(_, value)| value.get_ref().is_table()) && !table.is_empty();
        if !nested {
            return self.section(name, at, table, line);
        }
        for (part, value) in table {
            if let DeValue::Table(inner) = value.get_ref() {
                self.nested(format!("{name}.{}", part.get_ref()), line(part.span().start), inner, line);
            }
        }
    }

    fn stray(&self, line: usize, key: &str) -> Problem {
        Problem::new(self.place(line), format!("{key} stands in no section"))
            .hint("Put it under its heading, such as [server].")
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or(Raw::Other("a number beyond counting"), |number| Raw::Number(number.to_string())),
        DeValue::Boolean(flag) => Raw::Flag(*flag),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        DeValue::Float(_) => Raw::Other("a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}
