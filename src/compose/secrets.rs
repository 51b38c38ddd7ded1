//! `secrets` and `configs`: where they come from, and where a service sees them.

use std::collections::BTreeMap;

use crate::compose::field::{Field, Table};
use crate::compose::paths::{self, Wanted};
use crate::compose::unsupported::{CONFIG, FILE_REFERENCE, SECRET};
use crate::compose::{Context, words};
use crate::domain::name::SecretName;
use crate::domain::workload::{SecretMount, Source};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noun {
    Secret,
    Config,
}

impl Noun {
    fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Config => "config",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::Config => "configs",
        }
    }

    /// The folder that a bare target or a name alone lies in.
    fn folder(self) -> &'static str {
        match self {
            Self::Secret => "/run/secrets/",
            Self::Config => "/",
        }
    }
}

/// The top-level `secrets` or `configs`. One that is not sound is there all the same, so that its users are not
/// refused for its sake.
pub fn declared(field: &Field<'_>, noun: Noun, cx: &mut Context<'_>) -> BTreeMap<SecretName, Source> {
    let mut sources = BTreeMap::new();
    for (name, at, field) in field.named("`token: {environment: TOKEN}`", &mut cx.report).unwrap_or_default()
    {
        match SecretName::parse(name) {
            Ok(name) => {
                let source = source(&name, &field, noun, cx).unwrap_or_else(|| Source::Setting(name.clone()));
                sources.insert(name, source);
            }
            Err(error) => {
                let hint = format!("Rename the {}.", noun.word());
                cx.report.at(at, format!("{}.{name}: {}", noun.key(), words(&error)), hint);
            }
        }
    }
    sources
}

fn source(name: &SecretName, field: &Field<'_>, noun: Noun, cx: &mut Context<'_>) -> Option<Source> {
    let keys = if noun == Noun::Secret { &SECRET } else { &CONFIG };
    let table = field.table(keys, &mut cx.report)?;
    let external = match table.get("external") {
        Some(field) => field.boolean(&mut cx.report)?,
        None => false,
    };
    let given: Vec<(&str, Field<'_>)> = ["file", "environment", "content"]
        .into_iter()
        .filter_map(|key| Some((key, table.get(key)?)))
        .collect();
    let alias = table.get("name");
    if let (Some(alias), false) = (&alias, external) {
        alias.refuse(
            &mut cx.report,
            "a name can be given to an external one only",
            "Remove it, or add `external: true`.",
        );
    }
    match (given.as_slice(), external) {
        ([], true) => match alias {
            Some(alias) => setting(&alias, cx),
            None => Some(Source::Setting(name.clone())),
        },
        ([("file", field)], false) => {
            let text = field.filled(&mut cx.report)?;
            cx.files.resolve(text, "", Wanted::File, field, &mut cx.report).map(Source::BundleFile)
        }
        ([("environment", field)], false) => {
            let variable = field.filled(&mut cx.report)?;
            match cx.variables.get(variable) {
                // A secret's value never comes out of the bundle, not even by `.env`.
                Some(value) if noun == Noun::Config => Some(Source::Inline(value.clone())),
                _ => setting(field, cx),
            }
        }
        ([("content", field)], false) if noun == Noun::Config => {
            field.text(&mut cx.report).map(|text| Source::Inline(text.to_owned()))
        }
        ([("content", _)], false) => None,
        _ => {
            let hint = format!(
                "Write one of: `file: ./path` of the bundle, or `environment: NAME` or `external: true` for a {} that \
                 the deployment's settings give.",
                noun.word()
            );
            table.refuse(&mut cx.report, "exactly one source is due", hint);
            None
        }
    }
}

fn setting(field: &Field<'_>, cx: &mut Context<'_>) -> Option<Source> {
    match SecretName::parse(field.filled(&mut cx.report)?) {
        Ok(name) => Some(Source::Setting(name)),
        Err(error) => {
            field.refuse(&mut cx.report, words(&error), "Name a secret of the deployment's settings.");
            None
        }
    }
}

/// The secrets or configs that the service `table` sees as files.
pub fn mounted(table: &Table<'_>, noun: Noun, cx: &mut Context<'_>) -> Vec<SecretMount> {
    let Some(field) = table.get(noun.key()) else {
        return Vec::new();
    };
    let items = field.items("`- token`", &mut cx.report).unwrap_or_default();
    items.iter().filter_map(|item| mount(item, noun, cx)).collect()
}

fn mount(item: &Field<'_>, noun: Noun, cx: &mut Context<'_>) -> Option<SecretMount> {
    if !item.is_map() {
        let source = known(item, noun, cx)?;
        let target = format!("{}{source}", noun.folder());
        return Some(SecretMount { source, target, mode: 0o444 });
    }
    let table = item.table(&FILE_REFERENCE, &mut cx.report)?;
    let hint = format!("Name one of the top-level `{}`.", noun.key());
    let source = known(&table.need("source", &hint, &mut cx.report)?, noun, cx)?;
    let target = match table.get("target") {
        None => format!("{}{source}", noun.folder()),
        Some(field) => {
            let text = field.filled(&mut cx.report)?;
            let absolute =
                if text.starts_with('/') { text.to_owned() } else { format!("{}{text}", noun.folder()) };
            paths::container(&absolute, &field, &mut cx.report)?
        }
    };
    let mode = match table.get("mode") {
        None => 0o444,
        Some(field) => mode(&field, cx)?,
    };
    Some(SecretMount { source, target, mode })
}

fn known(field: &Field<'_>, noun: Noun, cx: &mut Context<'_>) -> Option<SecretName> {
    let text = field.filled(&mut cx.report)?;
    let declared = match noun {
        Noun::Secret => &cx.secrets,
        Noun::Config => &cx.configs,
    };
    if let Some((name, _)) = declared.get_key_value(text) {
        return Some(name.clone());
    }
    let hint = match cx.report.nearest(text, declared.keys().map(SecretName::as_str)) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Add it under the top-level `{}`.", noun.key()),
    };
    field.refuse(&mut cx.report, format!("there is no {} {text:?}", noun.word()), hint);
    None
}

/// Permission bits; YAML readers disagree over numbers that do not start with a zero, so those are refused.
pub fn mode(field: &Field<'_>, cx: &mut Context<'_>) -> Option<u32> {
    let text = field.filled(&mut cx.report)?;
    let digits = text.strip_prefix("0o").or_else(|| text.strip_prefix('0'));
    match digits.and_then(|digits| u32::from_str_radix(digits, 8).ok()) {
        Some(mode) if mode <= 0o777 => Some(mode),
        _ => {
            field.refuse(
                &mut cx.report,
                format!("{text:?} is no mode"),
                "Write it in octal, with a leading zero: `0440`.",
            );
            None
        }
    }
}
