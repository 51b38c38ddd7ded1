//! How one option is read from a file or from the environment, and shown again.
//!
//! A file knows types, so a number in quotes is refused there; the environment knows only text.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::config::duration;
use crate::domain::name::{GroupName, InfrastructureId};

/// A value as its source gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// From the environment, a flag or a secret's file: text that stands for whatever the option is.
    Untyped(String),
    Text(String),
    Number(String),
    Flag(bool),
    List(Vec<Raw>),
    /// Something that no option takes, e.g. a date; its name in words.
    Other(&'static str),
}

impl Raw {
    fn in_words(&self) -> &'static str {
        match self {
            Self::Untyped(_) | Self::Text(_) => "text",
            Self::Number(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(words) => words,
        }
    }
}

/// How a scalar is written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// In quotes.
    Quoted,
    /// As a number.
    Bare,
    /// Either way, e.g. a size as `4294967296` or `"4 GiB"`.
    Either,
    /// As `true` or `false`.
    Switch,
}

/// One value of an option.
pub trait Scalar: Sized {
    /// What it takes, for messages, with an example.
    const EXPECTED: &'static str;
    const WRITTEN: Written = Written::Quoted;
    /// Whether it must never be shown.
    const SECRET: bool = false;
    /// Reads its text.
    ///
    /// # Errors
    /// What is wrong with it in words, or nothing more to say than [`Self::EXPECTED`].
    fn parse(text: &str) -> Result<Self, String>;
    /// Its text, without quotes.
    fn text(&self) -> String;
}

/// An option's whole value: a scalar, one that may be left out, or a list.
pub trait Value: Sized {
    const SECRET: bool;
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn read(raw: &Raw) -> Result<Self, String>;
    /// It in TOML; `None` when it is left out.
    fn show(&self) -> Option<String>;
}

fn scalar<T: Scalar>(raw: &Raw) -> Result<T, String> {
    let text = match (raw, T::WRITTEN) {
        (Raw::Flag(on), Written::Switch) => {
            if *on {
                "true"
            } else {
                "false"
            }
        }
        (Raw::Untyped(text), _)
        | (Raw::Text(text), Written::Quoted | Written::Either)
        | (Raw::Number(text), Written::Bare | Written::Either) => text,
        (other, _) => return Err(format!("this is {}; it takes {}", other.in_words(), T::EXPECTED)),
    };
    T::parse(text).map_err(|why| match why.as_str() {
        "" if T::SECRET => format!("it takes {}", T::EXPECTED),
        "" => format!("{text:?} does not fit; it takes {}", T::EXPECTED),
        why => format!("{why}; it takes {}", T::EXPECTED),
    })
}

/// A text in TOML's quotes.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn shown<T: Scalar>(value: &T) -> String {
    match T::WRITTEN {
        Written::Bare | Written::Switch => value.text(),
        Written::Quoted | Written::Either => quoted(&value.text()),
    }
}

impl<T: Scalar> Value for T {
    const SECRET: bool = T::SECRET;
    fn read(raw: &Raw) -> Result<Self, String> {
        scalar(raw)
    }
    fn show(&self) -> Option<String> {
        Some(shown(self))
    }
}

impl<T: Scalar> Value for Option<T> {
    const SECRET: bool = T::SECRET;
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Untyped(text) if text.is_empty() => Ok(None),
            raw => scalar(raw).map(Some),
        }
    }
    fn show(&self) -> Option<String> {
        self.as_ref().map(shown)
    }
}

impl<T: Scalar> Value for Vec<T> {
    const SECRET: bool = T::SECRET;
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::List(items) => items.iter().map(scalar).collect(),
            Raw::Untyped(text) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| scalar(&Raw::Untyped(item.to_owned())))
                .collect(),
            other => Err(format!(
                "this is {}; it takes a list, each entry of which is {}",
                other.in_words(),
                T::EXPECTED
            )),
        }
    }
    fn show(&self) -> Option<String> {
        Some(format!("[{}]", self.iter().map(shown).collect::<Vec<_>>().join(", ")))
    }
}

macro_rules! scalars {
    ($($kind:ty, $written:ident, $expected:literal, $parse:expr, $text:expr;)*) => {$(
        impl Scalar for $kind {
            const EXPECTED: &'static str = $expected;
            const WRITTEN: Written = Written::$written;
            fn parse(text: &str) -> Result<Self, String> {
                let parse: fn(&str) -> Result<Self, String> = $parse;
                parse(text)
            }
            fn text(&self) -> String {
                let text: fn(&Self) -> String = $text;
                text(self)
            }
        }
    )*};
}

/// Parses what needs no words of its own when it fails.
fn plain<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| String::new())
}

scalars! {
    String, Quoted, "text in quotes", |text| Ok(text.to_owned()), Clone::clone;
    u32, Bare, "a whole number", plain, ToString::to_string;
    u16, Bare, "a port", plain, ToString::to_string;
    bool, Switch, "true or false", plain, ToString::to_string;
    SocketAddr, Quoted, "an address and a port such as \"127.0.0.1:8080\" or \"[::1]:8080\"", plain, ToString::to_string;
    IpAddr, Quoted, "an address such as \"127.0.0.1\"", plain, ToString::to_string;
    PathBuf, Quoted, "a path in quotes", not_empty, |path| path.display().to_string();
    Duration, Quoted, "a time such as \"30s\", \"8h\" or \"1d12h\"", duration::parse, |time| duration::show(*time);
    GroupName, Quoted, "a group's name in quotes", |text| GroupName::parse(text).map_err(|error| error.message), ToString::to_string;
    InfrastructureId, Quoted, "an infrastructure's id in quotes", |text| InfrastructureId::parse(text).map_err(|error| error.message), ToString::to_string;
    Url, Quoted, "a URL such as \"https://id.example.org\"", plain, ToString::to_string;
}

fn not_empty(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err(String::new());
    }
    Ok(text.into())
}

impl Scalar for SecretString {
    const EXPECTED: &'static str = "text in quotes that is not empty";
    const SECRET: bool = true;
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(String::new());
        }
        Ok(text.to_owned().into())
    }
    fn text(&self) -> String {
        "(hidden)".into()
    }
}
