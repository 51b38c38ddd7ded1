//! What the engine itself says of a deployment's services, as its overview shows it: nothing is judged here.

use std::collections::BTreeMap;

use crate::engine::{Condition, EngineObject};
use crate::http::web::page::plural;

/// The engine's objects of one service.
pub struct SaidOf {
    pub service: String,
    /// What they say, in short.
    pub words: String,
    pub objects: Vec<Said>,
}

/// One object.
pub struct Said {
    /// `Deployment iris-api`
    pub title: String,
    pub namespace: String,
    pub conditions: Vec<Condition>,
    /// How many labels and annotations there are, in words.
    pub marks: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// By service, in the order in which they come.
pub fn by_service(objects: Vec<EngineObject>) -> Vec<SaidOf> {
    let mut found: Vec<SaidOf> = Vec::new();
    for objects in objects.chunk_by(|a, b| a.service == b.service) {
        let Some(first) = objects.first() else { continue };
        found.push(SaidOf {
            service: first.service.to_string(),
            words: words(objects),
            objects: objects.iter().cloned().map(said).collect(),
        });
    }
    found
}

fn said(object: EngineObject) -> Said {
    let counted = [(object.labels.len(), "label"), (object.annotations.len(), "annotation")];
    let marks = counted.iter().filter(|(count, _)| *count > 0);
    Said {
        title: format!("{} {}", object.kind, object.name),
        namespace: object.namespace.unwrap_or_default(),
        marks: marks.map(|(count, noun)| plural(*count as u64, noun)).collect::<Vec<_>>().join(", "),
        conditions: object.conditions,
        labels: object.labels,
        annotations: object.annotations,
    }
}

/// `Deployment: Available, Progressing · Pod: not Ready`; what two objects say alike is said once.
fn words(objects: &[EngineObject]) -> String {
    let kinds = objects.chunk_by(|a, b| a.kind == b.kind);
    kinds.map(of_kind).collect::<Vec<_>>().join(" · ")
}

/// Of pods, which are there for what does not hold, only that.
fn of_kind(objects: &[EngineObject]) -> String {
    let kind = objects.first().map(|object| object.kind.as_str()).unwrap_or_default();
    let conditions = objects.iter().flat_map(|object| &object.conditions);
    let mut told: Vec<String> = Vec::new();
    for condition in conditions.filter(|condition| kind != "Pod" || condition.status != "True") {
        let words = in_words(condition);
        if !told.contains(&words) {
            told.push(words);
        }
    }
    if told.is_empty() { format!("{kind}: nothing yet") } else { format!("{kind}: {}", told.join(", ")) }
}

fn in_words(condition: &Condition) -> String {
    match condition.status.as_str() {
        "True" => condition.kind.clone(),
        "False" => format!("not {}", condition.kind),
        _ => format!("{} not known", condition.kind),
    }
}
