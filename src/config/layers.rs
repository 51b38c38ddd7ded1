//! The layers of the configuration, from the highest down: flags, environment, file, defaults.
//!
//! Reading goes through [`Layers::value`] alone, which notes each option it was asked for; what stands in the file or
//! the environment and was never asked for is unknown and refused. All problems are gathered, not only the first.

use std::path::{Path, PathBuf};

use crate::config::file::{ConfigFile, NAMED};
use crate::config::value::{Raw, Value};
use crate::domain::Problem;

/// What every variable of ours starts with.
pub const PREFIX: &str = "SLIPWAY_";
/// Variables that are no option: they say where the file and the state are.
pub const SPECIAL: [&str; 2] = ["SLIPWAY_CONFIG", "SLIPWAY_DATA_DIR"];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File { path: PathBuf, line: usize },
    Environment(String),
    Flag(&'static str),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// An option as it takes effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub section: String,
    pub key: &'static str,
    pub secret: bool,
    /// In TOML, secrets as `"(hidden)"`; `None` when it is left out.
    pub shown: Option<String>,
    pub source: Source,
}

/// An option given by a flag of the command line.
#[derive(Debug, Clone)]
pub struct FlagValue {
    pub section: &'static str,
    pub key: &'static str,
    pub flag: &'static str,
    pub text: String,
}

/// The layers above the defaults, and what was read from them.
#[derive(Debug)]
pub struct Layers<'a> {
    pub file: Option<&'a ConfigFile>,
    pub environment: &'a [(String, String)],
    pub flags: &'a [FlagValue],
    pub entries: Vec<Entry>,
    pub problems: Vec<Problem>,
}

struct Found {
    raw: Raw,
    source: Source,
    /// Where to point when it is wrong.
    place: String,
}

impl<'a> Layers<'a> {
    /// Reads one option, from the highest layer that has it.
    pub fn value<T: Value>(&mut self, section: &str, key: &'static str, default: impl FnOnce() -> T) -> T {
        let found = self.find(section, key, T::SECRET);
        let (value, source) = match found {
            None => (default(), Source::Default),
            Some(found) => match T::read(&found.raw) {
                Ok(value) => (value, found.source),
                Err(why) => {
                    self.problems.push(Problem::new(found.place, format!("{section}.{key}: {why}")));
                    (default(), Source::Default)
                }
            },
        };
        self.entries.push(Entry {
            section: section.to_owned(),
            key,
            secret: T::SECRET,
            shown: value.show(),
            source,
        });
        value
    }

    fn find(&mut self, section: &str, key: &'static str, secret: bool) -> Option<Found> {
        if let Some(flag) = self.flags.iter().find(|flag| flag.section == section && flag.key == key) {
            return Some(Found {
                raw: Raw::Untyped(flag.text.clone()),
                source: Source::Flag(flag.flag),
                place: flag.flag.to_owned(),
            });
        }
        self.in_environment(section, key, secret).or_else(|| self.in_file(section, key, secret))
    }

    fn in_environment(&mut self, section: &str, key: &str, secret: bool) -> Option<Found> {
        let name = variable(section, key);
        let value = self.variable(&name);
        let file_name = format!("{name}_FILE");
        let path = secret.then(|| self.variable(&file_name)).flatten();
        match (value, path) {
            (Some(_), Some(_)) => self.twice(file_name, &name),
            (Some(text), None) => Some(Found {
                raw: Raw::Untyped(text.to_owned()),
                source: Source::Environment(name.clone()),
                place: name,
            }),
            (None, Some(path)) => {
                let source = Source::Environment(file_name.clone());
                self.secret_file(Path::new(path), source, file_name)
            }
            (None, None) => None,
        }
    }

    fn variable(&self, name: &str) -> Option<&'a str> {
        let found = self.environment.iter().find(|(variable, _)| variable == name);
        found.map(|(_, value)| value.as_str())
    }

    fn in_file(&mut self, section: &str, key: &str, secret: bool) -> Option<Found> {
        let file = self.file?;
        let value = file.find(section, key);
        let path = secret.then(|| file.find(section, &format!("{key}_file"))).flatten();
        let source = |line| Source::File { path: file.path.clone(), line };
        match (value, path) {
            (Some(_), Some(path)) => self.twice(file.place(path.line), &format!("{section}.{key}")),
            (Some(value), None) => Some(Found {
                raw: value.raw.clone(),
                source: source(value.line),
                place: file.place(value.line),
            }),
            (None, Some(found)) => {
                let place = file.place(found.line);
                let Raw::Text(path) = &found.raw else {
                    let why = format!("{section}.{key}_file: it takes the path of a file in quotes");
                    self.problems.push(Problem::new(place, why));
                    return None;
                };
                let beside = file.path.parent().unwrap_or(Path::new("."));
                self.secret_file(&beside.join(path), source(found.line), place)
            }
            (None, None) => None,
        }
    }

    fn secret_file(&mut self, path: &Path, source: Source, place: String) -> Option<Found> {
        match std::fs::read_to_string(path) {
            Ok(text) => Some(Found {
                raw: Raw::Untyped(text.trim_end_matches(['\r', '\n']).to_owned()),
                source,
                place,
            }),
            Err(error) => {
                let why = format!("the secret's file {} can't be read: {error}", path.display());
                self.problems.push(Problem::new(place, why));
                None
            }
        }
    }

    fn twice(&mut self, place: String, other: &str) -> Option<Found> {
        let why = format!("the secret is given twice: here and by {other}");
        self.problems.push(Problem::new(place, why).hint("Leave one of them out."));
        None
    }

    /// Refuses every key and variable that no option was read from.
    pub fn refuse_unknown(&mut self) {
        let mut unknown = Vec::new();
        for section in self.file.iter().flat_map(|file| &file.sections) {
            let file = self.file.expect("its sections were just listed");
            let kind = section.name.split('.').next().unwrap_or_default();
            if !NAMED.contains(&kind) && !self.entries.iter().any(|e| e.section == section.name) {
                let why = format!("there is no section [{}]", section.name);
                let problem = Problem::new(file.place(section.line), why);
                unknown.push(hinted(problem, self.nearest_section(&section.name)));
                continue;
            }
            for key in &section.keys {
                if !self.knows_key(&section.name, &key.key) {
                    let why = format!("[{}] has no option {}", section.name, key.key);
                    let problem = Problem::new(file.place(key.line), why);
                    unknown.push(hinted(problem, self.nearest_key(&section.name, &key.key)));
                }
            }
        }
        for (name, _) in self.environment {
            if is_ours(name) && !self.knows_variable(name) {
                let problem =
                    Problem::new(name.clone(), "there is no option behind this environment variable");
                unknown.push(hinted(problem, self.nearest_variable(name)));
            }
        }
        self.problems.extend(unknown);
    }

    fn knows_key(&self, section: &str, key: &str) -> bool {
        self.entries.iter().any(|entry| {
            let file_of = key.strip_suffix("_file").filter(|_| entry.secret);
            entry.section == section && (entry.key == key || file_of == Some(entry.key))
        })
    }

    fn knows_variable(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| {
            let known = variable(&entry.section, entry.key);
            name == known || (entry.secret && name.strip_suffix("_FILE") == Some(&known))
        })
    }

    fn nearest_section(&self, name: &str) -> Option<String> {
        let sections = self.entries.iter().map(|entry| entry.section.clone());
        nearest(name, sections).map(|section| format!("Did you mean [{section}]?"))
    }

    fn nearest_key(&self, section: &str, key: &str) -> Option<String> {
        if let Some(entry) = self.entries.iter().find(|entry| entry.key == key) {
            return Some(format!("{key} belongs into [{}].", entry.section));
        }
        let here = self.entries.iter().filter(|entry| entry.section == section);
        let keys: Vec<String> = here.map(|entry| entry.key.to_owned()).collect();
        match nearest(key, keys.iter().cloned()) {
            Some(near) => Some(format!("Did you mean {near}?")),
            None => Some(format!("It has {}.", keys.join(", "))),
        }
    }

    fn nearest_variable(&self, name: &str) -> Option<String> {
        if name.starts_with("SLIPWAY_REGISTRY__") {
            return Some("Give the registry its section in the configuration file first.".into());
        }
        if name.starts_with("SLIPWAY_KUBECONFIG__") {
            return Some("Give the kubeconfig its section in the configuration file first.".into());
        }
        let options = self.entries.iter().map(|entry| variable(&entry.section, entry.key));
        let all = options.chain(SPECIAL.map(String::from));
        nearest(name, all).map(|near| format!("Did you mean {near}?"))
    }
}

fn hinted(problem: Problem, hint: Option<String>) -> Problem {
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// `SLIPWAY_SERVER__LISTEN`; a section's own name in capitals, `_` for what no variable's name may hold.
pub fn variable(section: &str, key: &str) -> String {
    let section = section.replacen('.', "__", 1);
    let spelled = |text: &str| -> String {
        let letters =
            text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
        letters.collect()
    };
    format!("{PREFIX}{}__{}", spelled(&section), spelled(key))
}

/// Whether a variable is meant for us. What Kubernetes sets in every pod beside a Service called `slipway`
/// (`SLIPWAY_SERVICE_HOST`, `SLIPWAY_PORT_8080_TCP`, …) is not, nor what our tests are told (`SLIPWAY_TEST_…`).
fn is_ours(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let kubernetes = rest == "SERVICE_HOST"
        || rest == "PORT"
        || rest.starts_with("SERVICE_PORT")
        || (rest.starts_with("PORT_") && !rest.contains("__"));
    !kubernetes && !rest.starts_with("TEST_") && !SPECIAL.contains(&name)
}

fn nearest(name: &str, all: impl Iterator<Item = String>) -> Option<String> {
    let distance = |other: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let limit = 2.max(name.len() / 4);
    all.map(|other| (distance(&other), other))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, other)| other)
}
