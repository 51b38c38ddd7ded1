//! A kubeconfig's YAML as a tree in which every key keeps its place; nothing of what it holds is ever shown.

use granit_parser::{Event, Parser, Span};

use crate::domain::{Error, Problem, Result};

/// Lists and maps within each other; a kubeconfig has six.
const DEEPEST: usize = 16;

/// Where something stands, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    line: usize,
    column: usize,
}

impl Place {
    /// The beginning of the text.
    pub(super) const START: Self = Self { line: 1, column: 1 };

    fn of(span: Span) -> Self {
        Self { line: span.start.line().max(1), column: span.start.col() + 1 }
    }

    /// What is wrong here, and the way out.
    pub(super) fn problem(self, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem::new(format!("kubeconfig:{}:{}", self.line, self.column), message).hint(hint)
    }

    /// The same as a refusal of its own.
    pub(super) fn refuse<T>(self, message: impl Into<String>, hint: impl Into<String>) -> Result<T> {
        Err(refused(vec![self.problem(message, hint)]))
    }
}

/// The refusal of a kubeconfig.
pub(super) fn refused(problems: Vec<Problem>) -> Error {
    Error::problems("kubeconfig_refused", problems)
}

/// A value with its place.
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

/// What a value is. It has no `Debug`: tokens and keys are among them.
pub(super) enum Value {
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Place,
    pub(super) value: Node,
}

impl Node {
    /// Whether it says nothing: `""`, `null`, `[]`, `{}`.
    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Text(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
        }
    }

    /// A text, where it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text.trim()),
            _ => None,
        }
    }

    /// What a mapping holds, in its order; nothing where it is none.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// What a list holds; nothing where it is none.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The value of a key that says something.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let entry = self.entries().iter().find(|entry| entry.key == key)?;
        Some(&entry.value).filter(|value| !value.is_empty())
    }
}

/// Reads the text.
///
/// # Errors
/// `kubeconfig_refused` with the place where it is no YAML, or more than a kubeconfig needs.
pub(super) fn read(text: &str) -> Result<Node> {
    let mut builder = Builder { open: Vec::new(), root: None };
    let options = granit_parser::options! { emit_comments: false, emit_unresolved_aliases: true };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.or_else(|error| {
            let marker = error.marker();
            let place = Place { line: marker.line().max(1), column: marker.col() + 1 };
            place.refuse(
                "this is not YAML",
                "Check the indentation and the quotes here and just above; `kubectl config view --raw --minify \
                 --flatten` prints a whole one.",
            )
        })?;
        builder.take(event, Place::of(span))?;
    }
    match builder.root {
        Some(root) => Ok(root),
        None => Place::START.refuse(
            "the kubeconfig is empty",
            "Paste what `kubectl config view --raw --minify --flatten` prints.",
        ),
    }
}

struct Open {
    node: Node,
    /// The key that waits for its value.
    key: Option<(String, Place)>,
}

struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Place) -> Result<()> {
        match event {
            Event::Scalar(text, style, ..) => {
                let plain = matches!(style, granit_parser::ScalarStyle::Plain);
                let null = plain && matches!(&*text, "~" | "null" | "Null" | "NULL");
                let text = if null { String::new() } else { text.into_owned() };
                self.scalar(text, at)
            }
            Event::SequenceStart(..) => self.begin(Value::List(Vec::new()), at),
            Event::MappingStart(..) => self.begin(Value::Map(Vec::new()), at),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(done) => self.complete(done.node),
                None => Ok(()),
            },
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                at.refuse("a kubeconfig has no use for aliases", "Write the value itself.")
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                at.refuse("the text holds a second document", "Remove the `---` and what follows it.")
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, value: Value, at: Place) -> Result<()> {
        if self.open.len() == DEEPEST {
            return at.refuse(format!("it is nested more than {DEEPEST} levels deep"), "No kubeconfig is.");
        }
        self.open.push(Open { node: Node { at, value }, key: None });
        Ok(())
    }

    fn scalar(&mut self, text: String, at: Place) -> Result<()> {
        if let Some(Open { node: Node { value: Value::Map(entries), .. }, key: key @ None }) =
            self.open.last_mut()
        {
            if entries.iter().any(|entry| entry.key == text) {
                return at.refuse("this key stands twice in its mapping", "Keep one of the two.");
            }
            *key = Some((text, at));
            return Ok(());
        }
        self.complete(Node { at, value: Value::Text(text) })
    }

    fn complete(&mut self, node: Node) -> Result<()> {
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut parent.node.value, parent.key.take()) {
            (Value::Map(entries), Some((key, at))) => entries.push(Entry { key, at, value: node }),
            (Value::List(items), _) => items.push(node),
            _ => return node.at.refuse("a key has to be a plain text", "Write `key: value`."),
        }
        Ok(())
    }
}
