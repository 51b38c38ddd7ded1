//! YAML into [`Node`]s: anchors, aliases and merge keys resolved under a budget, keys unique, problems collected.
//!
//! It stands on the parser's events rather than on serde, because only they tell every key's place and go on after a
//! problem. No recursion: nesting and expansion are bounded by counts, so hostile input ends in a refusal.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::compose::node::{Entry, Map, Node, Scalar, Value};
use crate::compose::report::{Place, Report};

/// Lists and maps within each other.
const DEEPEST: usize = 64;
/// What all nodes may cost together, aliases counted as often as they are used.
const BUDGET: usize = 16 << 20;
/// What a node costs besides its text.
const NODE: usize = 64;

/// The tree of `text`; `None` when there is none to go on with. Problems go to `report`.
pub fn load(text: &str, report: &mut Report) -> Option<Node> {
    let options = granit_parser::options! { emit_comments: false, emit_unresolved_aliases: true };
    let mut builder = Builder::new(report);
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.take(event, span)?,
            Err(error) => {
                let marker = error.marker();
                let place = Place { line: marker.line().max(1), column: marker.col() + 1 };
                let hint =
                    "Check the indentation, the quotes and the colons at this place and just above it.";
                builder.report.at(place, format!("this is not YAML: {}", error.info()), hint);
                return None;
            }
        }
    }
    builder.root
}

fn place(span: Span) -> Place {
    Place { line: span.start.line().max(1), column: span.start.col() + 1 }
}

/// A list or map that is not complete.
struct Frame {
    at: Place,
    anchor: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    /// Where each key stands in `entries`.
    index: HashMap<String, usize>,
    next: Next,
    /// What `<<` names, to be merged at the end.
    merge: Option<Node>,
}

/// What the map waits for.
#[derive(Default)]
enum Next {
    #[default]
    Key,
    Value(String, Place),
    Merge,
    /// The value of a key that was refused.
    Ignored,
}

struct Builder<'r> {
    report: &'r mut Report,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    spent: usize,
    documents: usize,
    root: Option<Node>,
}

impl<'r> Builder<'r> {
    fn new(report: &'r mut Report) -> Self {
        Self { report, frames: Vec::new(), anchors: HashMap::new(), spent: 0, documents: 0, root: None }
    }

    /// `None` ends the reading: what follows could not be made sense of.
    fn take(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let at = place(span);
        match event {
            Event::DocumentStart(..) => self.document(at),
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = !matches!(style, ScalarStyle::Plain) || tag.as_deref().is_some_and(is_text_tag);
                self.refuse_tag(tag.as_deref(), at);
                let node = scalar(&text, quoted, at);
                self.spend(node.cost, at)?;
                if !self.key(&text, quoted, at)? {
                    return self.complete(node, anchor);
                }
                if anchor != 0 {
                    self.anchors.insert(anchor, node);
                }
                Some(())
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                self.open(Frame { at, anchor, inside: Inside::List(Vec::new()) })
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                self.open(Frame { at, anchor, inside: Inside::Map(OpenMap::default()) })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => self.alias(id, at),
            Event::UnresolvedAlias(name) => {
                let hint = format!("Write `&{name}` before the value it shall stand for, above this line.");
                self.report.at(at, format!("the alias *{name} has no anchor above it"), hint);
                self.complete(Node { at, value: Value::Null, cost: NODE, height: 0 }, 0)
            }
            _ => Some(()),
        }
    }

    fn document(&mut self, at: Place) -> Option<()> {
        self.documents += 1;
        if self.documents > 1 {
            self.report.at(at, "the file holds a second document", "Remove the `---` and what follows it.");
            return None;
        }
        Some(())
    }

    fn spend(&mut self, cost: usize, at: Place) -> Option<()> {
        self.spent = self.spent.saturating_add(cost);
        if self.spent > BUDGET {
            let hint = "Use fewer aliases, or write shorter values: expanded, the file may hold 16 MiB.";
            self.report.at(at, "the file grows too large when its aliases are put in", hint);
            return None;
        }
        Some(())
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, at: Place) {
        let Some(tag) = tag else { return };
        let core = ["str", "int", "float", "bool", "null", "seq", "map", "merge"];
        if core.iter().any(|name| tag.is_yaml_core_schema_tag(name)) || tag.original() == "!" {
            return;
        }
        let name = tag.original();
        let hint = match name.as_str() {
            "!reset" | "!override" => {
                "It changes how Compose merges several files; a bundle has one, so write the value itself."
            }
            _ => "Remove the tag; Compose files use none.",
        };
        self.report.at(at, format!("the tag {name} is not supported"), hint);
    }

    /// Takes a scalar that stands where a key is due. `Some(false)`: it stands elsewhere.
    fn key(&mut self, text: &str, quoted: bool, at: Place) -> Option<bool> {
        let Some(Frame { inside: Inside::Map(map), .. }) = self.frames.last_mut() else {
            return Some(false);
        };
        if !matches!(map.next, Next::Key) {
            return Some(false);
        }
        if text == "<<" && !quoted {
            let twice = map.merge.is_some();
            map.next = if twice { Next::Ignored } else { Next::Merge };
            if twice {
                let hint = "Name both in one list: `<<: [*first, *second]`.";
                self.report.at(at, "`<<` stands twice in this mapping", hint);
            }
            return Some(true);
        }
        if let Some(first) = map.index.get(text).map(|index| map.entries[*index].at) {
            map.next = Next::Ignored;
            let message =
                format!("the key {text} stands twice in this mapping, first at line {}", first.line);
            self.report.at(at, message, "Keep one of the two; YAML would let one win silently.");
            return Some(true);
        }
        map.next = Next::Value(text.to_owned(), at);
        self.spend(NODE + text.len(), at)?;
        Some(true)
    }

    fn open(&mut self, frame: Frame) -> Option<()> {
        if self.frames.len() >= DEEPEST {
            self.too_deep(frame.at);
            return None;
        }
        self.spend(NODE, frame.at)?;
        self.frames.push(frame);
        Some(())
    }

    fn too_deep(&mut self, at: Place) {
        self.report.at(at, "the file is nested more than 64 levels deep", "No Compose key nests that deep.");
    }

    fn close(&mut self) -> Option<()> {
        let Frame { at, anchor, inside } = self.frames.pop()?;
        let value = match inside {
            Inside::List(items) => Value::List(items),
            Inside::Map(map) => Value::Map(self.merged(map)?),
        };
        let below: Vec<&Node> = match &value {
            Value::List(items) => items.iter().collect(),
            Value::Map(map) => map.entries.iter().map(|entry| &entry.value).collect(),
            Value::Null | Value::Scalar(_) => Vec::new(),
        };
        let cost = below.iter().map(|node| node.cost).sum::<usize>() + NODE * (1 + below.len());
        let height = 1 + below.iter().map(|node| node.height).max().unwrap_or(0);
        self.complete(Node { at, value, cost, height }, anchor)
    }

    /// The map's own entries, then those that `<<` brings and that are not there yet.
    fn merged(&mut self, map: OpenMap) -> Option<Map> {
        let OpenMap { mut entries, mut index, merge, .. } = map;
        let sources = match merge {
            None => Vec::new(),
            Some(Node { value: Value::List(items), .. }) => items,
            Some(one) => vec![one],
        };
        for source in sources {
            let Value::Map(from) = source.value else {
                let hint = "`<<` takes an alias of a mapping, or a list of such aliases: `<<: *defaults`.";
                self.report.at(source.at, format!("`<<` is given {}", source.value.kind()), hint);
                continue;
            };
            for entry in from.entries {
                if !index.contains_key(&entry.key) {
                    self.spend(NODE + entry.key.len(), entry.at)?;
                    index.insert(entry.key.clone(), entries.len());
                    entries.push(entry);
                }
            }
        }
        Some(Map { entries })
    }

    fn alias(&mut self, id: usize, at: Place) -> Option<()> {
        let Some(node) = self.anchors.get(&id) else {
            self.report.at(at, "the alias stands inside the value it names", "Write the value out instead.");
            return None;
        };
        let (cost, height) = (node.cost, node.height);
        if self.frames.len() + height > DEEPEST {
            self.too_deep(at);
            return None;
        }
        self.spend(cost, at)?;
        let node = self.anchors.get(&id)?.clone();
        if let Value::Scalar(scalar) = &node.value
            && self.key(&scalar.text, true, at)?
        {
            return Some(());
        }
        self.complete(node, 0)
    }

    fn complete(&mut self, node: Node, anchor: usize) -> Option<()> {
        if anchor != 0 {
            self.spend(node.cost, node.at)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Some(());
        };
        let map = match &mut frame.inside {
            Inside::List(items) => {
                items.push(node);
                return Some(());
            }
            Inside::Map(map) => map,
        };
        match std::mem::take(&mut map.next) {
            Next::Value(key, at) => {
                map.index.insert(key.clone(), map.entries.len());
                map.entries.push(Entry { key, at, value: node });
            }
            Next::Merge => map.merge = Some(node),
            Next::Ignored => {}
            Next::Key => {
                map.next = Next::Ignored;
                let message = format!("{} stands where a key is due", node.value.kind());
                self.report.at(node.at, message, "Keys are plain text: `key: value`.");
            }
        }
        Some(())
    }
}

fn scalar(text: &str, quoted: bool, at: Place) -> Node {
    let null = !quoted && matches!(text, "" | "~" | "null" | "Null" | "NULL");
    let scalar = Scalar { text: text.to_owned(), quoted, fault: None };
    let value = if null { Value::Null } else { Value::Scalar(scalar) };
    Node { at, value, cost: NODE + text.len(), height: 0 }
}

fn is_text_tag(tag: &Tag) -> bool {
    tag.is_yaml_core_schema_tag("str") || tag.original() == "!"
}

#[cfg(test)]
mod tests;
