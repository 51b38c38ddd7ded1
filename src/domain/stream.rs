//! A stream: where records come from or go to, by its kind and connection. In DataCater's words
//! `{"kind": "KAFKA", "kafka": {"bootstrap.servers": …, "topic": {…}}}`: options stand under the kind's lower-case word.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::resource::{Noun, Resource};
use crate::domain::{Error, Problem, Result};

/// A stream as it is stored.
pub type Stream = Resource<StreamSpec>;

/// What is shown in the place of an option that is a secret, and taken back for "as it is".
pub const MASK: &str = "********";

/// The longest name of an option: with a prefix before it, it names a variable and a secret.
const LONGEST: usize = 90;

/// A stream's kind and connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct StreamSpec {
    /// `KAFKA`, or what a pipeline's images know besides.
    pub kind: String,
    /// Options of the connection, as in `bootstrap.servers`; `topic` holds what there is to know of the topic itself.
    pub options: Options,
}

/// Options by name; values are texts, numbers, booleans, or (under `topic`) a mapping.
pub type Options = Map<String, Value>;

impl Noun for StreamSpec {
    const NOUN: &'static str = "stream";

    fn take_secrets(&mut self) -> BTreeMap<String, String> {
        take_secrets(&mut self.options)
    }

    fn secrets(&self) -> BTreeMap<String, String> {
        masked(&self.options, &format!("spec.{}", self.kind.to_lowercase()))
    }
}

impl StreamSpec {
    /// Reads `spec`.
    ///
    /// # Errors
    /// Names each wrong place, from `spec` on.
    pub fn parse(spec: &Value) -> Result<Self> {
        let Value::Object(fields) = spec else {
            return Err(Error::field("spec", "a stream's spec is a mapping").hint(
                "Write e.g. {\"kind\": \"KAFKA\", \"kafka\": {\"bootstrap.servers\": \"kafka:9092\"}}.",
            ));
        };
        let kind = match fields.get("kind") {
            Some(Value::String(kind)) if is_kind(kind) => kind.to_uppercase(),
            Some(_) => return Err(Error::field("spec.kind", "a kind is one word, such as KAFKA")),
            None => return Err(Error::field("spec.kind", "it is missing").hint("Write \"kind\": \"KAFKA\".")),
        };
        let under = kind.to_lowercase();
        let unknown = fields.keys().filter(|key| *key != "kind" && **key != under);
        let mut problems: Vec<Problem> = unknown
            .map(|key| {
                Problem::new(format!("spec.{key}"), "a stream has no such key")
                    .hint(format!("Options of the connection stand under spec.{under}."))
            })
            .collect();
        let options = match fields.get(&under) {
            None | Some(Value::Null) => Options::new(),
            Some(Value::Object(options)) => options.clone(),
            Some(_) => {
                problems.push(Problem::new(format!("spec.{under}"), "it is a mapping of options"));
                Options::new()
            }
        };
        problems.extend(wrong_options(&options, &format!("spec.{under}")));
        if problems.is_empty() {
            Ok(Self { kind, options })
        } else {
            Err(Error::problems("invalid_input", problems))
        }
    }
}

fn is_kind(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !text.is_empty() && text.len() <= 40 && text.chars().all(word) && !text.eq_ignore_ascii_case("kind")
}

/// What is wrong with options of a connection that stand at `place`.
pub fn wrong_options(options: &Options, place: &str) -> Vec<Problem> {
    let wrong = |(key, value): (&String, &Value)| {
        let at = format!("{place}.{key}");
        let named =
            !key.is_empty() && key.len() <= LONGEST && key.chars().all(|c| c.is_ascii_graphic() && c != '=');
        match value {
            _ if !named => Some(Problem::new(
                at,
                format!("an option's name is up to {LONGEST} visible ASCII characters, none of them '='"),
            )),
            Value::Object(topic) if key == "topic" => topic.iter().find_map(|(key, value)| {
                let at = format!("{at}.{key}");
                match value {
                    _ if is_secret(key) => Some(
                        Problem::new(at, "what is known of a topic is no secret, and this looks like one")
                            .hint("Secrets are options of the connection."),
                    ),
                    Value::String(text) if text.contains('\0') => {
                        Some(Problem::new(at, "it holds a NUL, which no environment takes"))
                    }
                    _ => None,
                }
            }),
            Value::Object(_) | Value::Array(_) => Some(
                Problem::new(at, "an option is a text, a number or a boolean")
                    .hint("Write lists as one text, with commas."),
            ),
            Value::String(text) if text.contains('\0') => {
                Some(Problem::new(at, "it holds a NUL, which no environment takes"))
            }
            _ => None,
        }
    };
    options.iter().filter_map(wrong).collect()
}

/// Whether the option of that name holds what nobody may read: it is sealed, and shown as [`MASK`].
pub fn is_secret(option: &str) -> bool {
    const MARKS: [&str; 12] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "jaas",
        "credential",
        "private",
        "apikey",
        "accesskey",
        "userinfo",
        "accountkey",
    ];
    // However its words are set apart: `api.key`, `API_KEY`, `apiKey`.
    let plain: String =
        option.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    // Not `PWD` alone, which is a folder; nor what tells of tokenizers.
    let plain = plain.replace("tokeniz", "");
    let says = MARKS.iter().any(|mark| plain.contains(mark));
    says || plain.ends_with("keystorekey") || (plain.ends_with("pwd") && plain != "pwd" && plain != "oldpwd")
}

/// An option's value as a container reads it; `None` for what is no value.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Takes the values of secret options out, leaving [`MASK`] in their places. Those that are [`MASK`] already, or empty,
/// are not among what is answered.
pub fn take_secrets(options: &mut Options) -> BTreeMap<String, String> {
    let mut taken = BTreeMap::new();
    for (key, value) in options.iter_mut().filter(|(key, _)| is_secret(key)) {
        if let Some(secret) = text(value).filter(|text| !text.is_empty() && text != MASK) {
            *value = Value::String(MASK.to_owned());
            taken.insert(key.clone(), secret);
        }
    }
    taken
}

/// The options that stand masked at `place`, each with its own place.
pub fn masked(options: &Options, place: &str) -> BTreeMap<String, String> {
    let masked = options.iter().filter(|(_, value)| value.as_str() == Some(MASK));
    masked.map(|(key, _)| (key.clone(), format!("{place}.{key}"))).collect()
}

impl TryFrom<Value> for StreamSpec {
    type Error = Error;
    fn try_from(value: Value) -> Result<Self> {
        Self::parse(&value)
    }
}

impl From<StreamSpec> for Value {
    fn from(spec: StreamSpec) -> Self {
        let under = spec.kind.to_lowercase();
        Self::Object(Map::from_iter([
            ("kind".to_owned(), Self::String(spec.kind)),
            (under, Self::Object(spec.options)),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stream_keeps_what_it_is_told() {
        let spec = json!({ "kind": "KAFKA", "kafka": { "bootstrap.servers": "k:9092", "linger.ms": 5,
            "topic": { "num.partitions": 3 } } });
        let parsed = StreamSpec::parse(&spec).unwrap();
        assert_eq!(Value::from(parsed), spec);
    }

    #[test]
    fn every_wrong_place_is_named() {
        let error = StreamSpec::parse(
            &json!({ "kind": "KAFKA", "kafak": {}, "kafka": { "a=b": 1, "servers": [1] } }),
        )
        .unwrap_err();
        let places: Vec<&str> = error.problems.iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!(places, ["spec.kafak", "spec.kafka.a=b", "spec.kafka.servers"]);
        assert_eq!(StreamSpec::parse(&json!({})).unwrap_err().problems[0].place, "spec.kind");
        assert!(StreamSpec::parse(&json!([])).is_err());
    }

    #[test]
    fn a_secret_is_known_by_its_name_however_its_words_are_set_apart() {
        for name in [
            "sasl.jaas.config",
            "API_KEY",
            "apiKey",
            "aws_access_key_id",
            "DB_PWD",
            "ssl.keystore.key",
            "key.passphrase",
            "schema.registry.basic.auth.user.info",
            "HF_TOKEN",
            "storage.account-key",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in
            ["PWD", "OLDPWD", "TOKENIZERS_PARALLELISM", "key.deserializer", "bootstrap.servers", "group.id"]
        {
            assert!(!is_secret(name), "{name}");
        }
        let spec = json!({ "kind": "KAFKA", "kafka": { "topic": { "password": "x" }, "a".repeat(91): 1 } });
        let error = StreamSpec::parse(&spec).unwrap_err();
        let places: Vec<&str> = error.problems.iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!(places, [format!("spec.kafka.{}", "a".repeat(91)).as_str(), "spec.kafka.topic.password"]);
    }

    #[test]
    fn secrets_are_taken_out_once() {
        let mut options =
            json!({ "sasl.jaas.config": "login pw", "ssl.key.password": MASK, "client.id": "a" });
        let options = options.as_object_mut().unwrap();
        let taken = take_secrets(options);
        assert_eq!(taken, BTreeMap::from([("sasl.jaas.config".to_owned(), "login pw".to_owned())]));
        assert_eq!(options["sasl.jaas.config"], MASK);
        assert_eq!(options["client.id"], "a");
    }
}
