//! A YAML document as the JSON that it stands for, by YAML 1.2's core schema: what a request's body may be instead.

use serde_json::{Number, Value as Json};

use crate::compose::node::{Node, Scalar, Value};
use crate::compose::report::Report;
use crate::compose::yaml;
use crate::domain::Result;

/// Reads `text`; an empty document is an empty mapping. `name` is what problems call it.
///
/// # Errors
/// Every problem with its line and column.
pub fn document(name: &str, text: &str) -> Result<Json> {
    let mut report = Report::new(name);
    let root = yaml::load(text, &mut report);
    let value = root.as_ref().map(json).filter(|value| !value.is_null());
    report.into_result(Some(value.unwrap_or_else(|| Json::Object(Default::default()))))
}

/// Nesting is bounded where the tree is built.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(scalar) => plain(scalar),
        Value::List(items) => Json::Array(items.iter().map(json).collect()),
        Value::Map(map) => {
            Json::Object(map.entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect())
        }
    }
}

fn plain(scalar: &Scalar) -> Json {
    let text = scalar.text.as_str();
    if scalar.quoted {
        return Json::String(text.to_owned());
    }
    match text {
        "true" | "True" | "TRUE" => return Json::Bool(true),
        "false" | "False" | "FALSE" => return Json::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Json::String(text.to_owned()), Json::Number)
}

/// Section 10.3.2 of YAML 1.2: decimal, `0o…`, `0x…`, and floats.
fn number(text: &str) -> Option<Number> {
    let unsigned = text.trim_start_matches(['-', '+']);
    let radix = |prefix: &str, radix| {
        text.strip_prefix(prefix).and_then(|digits| u64::from_str_radix(digits, radix).ok()).map(Number::from)
    };
    if text.len() - unsigned.len() > 1 {
        return None;
    }
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Some(number);
    }
    let digits = |c: char| c.is_ascii_digit();
    if !unsigned.is_empty() && unsigned.chars().all(digits) {
        let text = text.trim_start_matches('+');
        return text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from)).ok();
    }
    let float = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(digits)
        && unsigned.chars().all(|c| digits(c) || matches!(c, '.' | 'e' | 'E' | '-' | '+'));
    float.then(|| text.parse::<f64>().ok()).flatten().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::document;

    #[test]
    fn plain_values_have_types_and_quoted_ones_are_text() {
        let text = "name: orders\nspec:\n  kind: KAFKA\n  kafka: {bootstrap.servers: \"k:9092\", linger.ms: 5, ratio: 0.5, on: true,\n    \
                    none: ~, port: '9092', version: 1.2.3, hex: 0x10}\n  list: [-1, a]\n";
        let wanted = json!({ "name": "orders", "spec": { "kind": "KAFKA", "kafka": { "bootstrap.servers": "k:9092",
            "linger.ms": 5, "ratio": 0.5, "on": true, "none": null, "port": "9092", "version": "1.2.3", "hex": 16 },
            "list": [-1, "a"] } });
        assert_eq!(document("body", text).unwrap(), wanted);
        assert_eq!(document("body", "").unwrap(), json!({}));
    }

    #[test]
    fn a_problem_says_where() {
        let error = document("body", "a: 1\na: 2\n").unwrap_err();
        assert_eq!(error.problems[0].place, "body:2:1");
    }
}
