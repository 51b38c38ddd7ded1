//! A compose file as a tree in which everything knows its place.
//!
//! Scalars keep their spelling: whether `1.10` is a number or a version is for the key to say that it stands under.

use crate::compose::interpolate::Fault;
use crate::compose::report::Place;

/// One node of the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub at: Place,
    pub value: Value,
    /// What the node and everything below costs of the file's budget.
    pub(super) cost: usize,
    /// Levels of lists and maps, this one included.
    pub(super) height: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Map),
}

/// Text, a number, a boolean: by its spelling.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    pub text: String,
    /// Written in quotes, or as a block: then it is text, whatever it looks like.
    pub quoted: bool,
    /// Why its variables could not be put in; whoever reads the scalar reports it.
    pub fault: Option<Fault>,
}

/// Entries in the order of the file, no key twice.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map {
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    /// The key's own place, which is where most problems are best shown.
    pub at: Place,
    pub value: Node,
}

impl Map {
    /// The entry of that key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Value {
    /// What it is, for a refusal.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}
