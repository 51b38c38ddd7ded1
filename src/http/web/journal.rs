//! Entries of the journal as people read them.

use serde_json::Value;

use crate::domain::access::Origin;
use crate::domain::audit::AuditEvent;
use crate::domain::clock::Timestamp;

/// One entry.
pub struct Entry {
    pub sequence: i64,
    pub at: Timestamp,
    pub actor: String,
    /// ` from the console`; empty where Slipway itself acted.
    pub origin: String,
    /// `saved the deployment`
    pub what: String,
    pub noun: String,
    pub object: String,
    pub reason: String,
    /// What exactly, one `name: value` a line.
    pub details: Vec<(String, String)>,
    pub request_id: String,
    pub address: String,
    /// The update that it speaks of, where it does.
    pub update: Option<u32>,
}

impl Entry {
    /// Of an entry.
    pub fn new(event: &AuditEvent) -> Self {
        let of_update = event.action.starts_with("update.") || event.action.starts_with("tests.");
        let update = of_update.then(|| event.detail.get("number")?.as_u64()).flatten();
        Self {
            sequence: event.sequence,
            at: event.at,
            actor: event.actor.clone(),
            origin: from(event.origin),
            what: words(&event.action),
            noun: event.noun.clone(),
            object: event.object.clone(),
            reason: event.reason.clone().unwrap_or_default(),
            details: details(&event.detail),
            request_id: event.request_id.clone(),
            address: event.address.clone().unwrap_or_default(),
            update: update.and_then(|number| u32::try_from(number).ok()),
        }
    }
}

/// ` from the console`; nothing where Slipway itself acted.
pub fn from(origin: Origin) -> String {
    match origin {
        Origin::System => String::new(),
        origin => format!(" from the {}", origin.word()),
    }
}

/// `deployment.saved` as `Deployment saved`.
fn words(action: &str) -> String {
    let text = action.replace("api_key", "API key").replace(['.', '_'], " ");
    crate::domain::text::capital(&text)
}

/// How many entries, in words.
pub fn counted(count: usize) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

/// A detail's members, in order. Pairs of before and after are told apart, and those that are equal left out.
fn details(detail: &Value) -> Vec<(String, String)> {
    let Value::Object(members) = detail else {
        return match detail {
            Value::Null => Vec::new(),
            other => vec![("detail".to_owned(), plain(other))],
        };
    };
    let member = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::Null => return None,
            Value::Array(pair) if pair.len() == 2 && is_pair(name) => {
                if pair[0] == pair[1] {
                    return None;
                }
                format!("{} → {}", plain(&pair[0]), plain(&pair[1]))
            }
            Value::Array(items) if items.is_empty() => return None,
            other => plain(other),
        };
        Some((name.replace('_', " "), text))
    };
    members.iter().filter_map(member).collect()
}

/// The members that hold what was and what is.
fn is_pair(name: &str) -> bool {
    matches!(name, "version" | "enabled" | "settings")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(map) if map.is_empty() => "nothing".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::details;

    #[test]
    fn only_what_changed_is_told() {
        let told = details(
            &json!({ "version": ["1.0", "1.1"], "enabled": [true, true], "secrets": [], "plan": null }),
        );
        assert_eq!(told, [("version".to_owned(), "1.0 → 1.1".to_owned())]);
    }
}
