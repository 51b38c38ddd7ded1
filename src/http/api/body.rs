//! JSON bodies, and the same in YAML, read strictly: an unknown field is refused by its name, and a wrong type names the field it stands in.

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::app::{self, Idempotency};
use crate::domain::bundle::Digest;
use crate::domain::{self, Error, Problem, Result};
use crate::http::State;
use crate::http::error::ApiError;

/// The longest `Idempotency-Key`.
const LONGEST_KEY: usize = 200;

/// A request's body, and what makes its repetition harmless. No body at all counts as `{}`.
#[derive(Debug)]
pub struct Body<T> {
    pub value: T,
    /// From the header `Idempotency-Key`.
    pub once: Option<Idempotency>,
}

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, std::result::Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), web::Payload::from_request(request, payload));
        Box::pin(async move {
            let payload = payload.await.map_err(|error| Error::internal(error.to_string()))?;
            let kind = kind(&request)?;
            let bytes = read(&request, payload).await?;
            let once = idempotency(&request, &bytes)?;
            let value = match kind {
                Kind::Json => parse(if bytes.is_empty() { b"{}" } else { &bytes })?,
                Kind::Yaml => from_value(yaml(&bytes)?)?,
            };
            Ok(Self { value, once })
        })
    }
}

/// A resource as it may have been fetched before: what only answers hold (`uuid`, `status`, …) is not read.
#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
pub struct Fetched(pub Value);

impl Fetched {
    /// The rest of it.
    ///
    /// # Errors
    /// Names the wrong place.
    pub fn read<T: DeserializeOwned>(mut self) -> Result<T> {
        if let Value::Object(fields) = &mut self.0 {
            for key in ["uuid", "createdAt", "createdBy", "updatedAt", "status"] {
                fields.remove(key);
            }
            // DataCater's clients send these along; only what they would say is refused.
            for key in ["labels", "configSelector", "projectSelector"] {
                let says_nothing = match fields.get(key) {
                    Some(Value::Null) => true,
                    Some(Value::Object(map)) => map.is_empty(),
                    _ => false,
                };
                if says_nothing {
                    fields.remove(key);
                }
            }
        }
        from_value(self.0)
    }
}

/// How a body is written.
enum Kind {
    Json,
    Yaml,
}

fn kind(request: &HttpRequest) -> Result<Kind> {
    let named = request.headers().get(header::CONTENT_TYPE);
    let named = named.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence.is_empty() || essence == "application/json" || essence.ends_with("+json") {
        return Ok(Kind::Json);
    }
    let yaml = ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "application/vnd.yaml"];
    if yaml.contains(&essence.as_str()) || essence.ends_with("+yaml") {
        return Ok(Kind::Yaml);
    }
    Err(Error::invalid("unsupported_body", format!("a body of type {essence:?} is not understood here"))
        .hint("Send JSON, with `Content-Type: application/json`, or YAML, with `application/yaml`."))
}

fn yaml(bytes: &[u8]) -> Result<Value> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Error::field("body", "the text is not UTF-8").hint("Save it as UTF-8."))?;
    app::yaml(text)
}

async fn read(request: &HttpRequest, payload: web::Payload) -> Result<Bytes> {
    let limit = request.app_data::<web::Data<State>>().map_or(0, |state| state.settings.body_limit);
    match payload.to_bytes_limited(limit).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(failure)) => {
            Err(Error::invalid("body_broken", "the request's body broke off").because(failure.to_string()))
        }
        Err(_) => Err(Error::new(
            domain::Kind::TooLarge,
            "body_too_large",
            format!("the body is larger than the {limit} bytes that this server takes"),
        )
        .hint("Send less; archives go to the bundles' routes, which have a limit of their own.")),
    }
}

/// What an `Idempotency-Key` stands for: method, path, query and body together.
pub fn idempotency(request: &HttpRequest, body: &[u8]) -> Result<Option<Idempotency>> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default().trim();
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(Error::field(
            "Idempotency-Key",
            format!("a key is 1 to {LONGEST_KEY} printable characters"),
        ));
    }
    let mut hash = Sha256::new();
    hash.update(request.method().as_str());
    hash.update(b"\n");
    hash.update(request.uri().to_string());
    hash.update(b"\n");
    hash.update(body);
    Ok(Some(Idempotency {
        key: key.to_owned(),
        fingerprint: Digest::from_hash(&hash.finalize()).to_string(),
    }))
}

/// Reads JSON strictly.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|failure| wrong(&failure))?;
    reader.end().map_err(|failure| {
        Error::problems("invalid_json", vec![Problem::new("body", failure.to_string())])
    })?;
    Ok(value)
}

/// The same of what was read before.
fn from_value<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|failure| wrong(&failure))
}

fn wrong(failure: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let (place, inner) = (place(&failure.path().to_string(), "body"), failure.inner());
    let code = if inner.is_data() { "invalid_input" } else { "invalid_json" };
    Error::problems(code, vec![Problem::new(place, inner.to_string())])
}

/// A path of serde's for people: the whole input has a name too.
pub fn place(path: &str, whole: &str) -> String {
    match path {
        "" | "." | "?" => whole.to_owned(),
        path => path.trim_end_matches(".?").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Outer {
        spec: Inner,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Inner {
        replicas: u32,
    }

    #[test]
    fn a_wrong_type_names_its_field() {
        let error = parse::<Outer>(br#"{"spec":{"replicas":"two"}}"#).unwrap_err();
        assert_eq!(error.problems[0].place, "spec.replicas");
        assert_eq!(error.code, "invalid_input");
    }

    #[test]
    fn an_unknown_field_is_named() {
        let error = parse::<Outer>(br#"{"spec":{"replicas":2,"replica":2}}"#).unwrap_err();
        assert!(error.message.contains("`replica`"), "{}", error.message);
        assert!(error.problems[0].place.starts_with("spec"), "{}", error.problems[0].place);
    }

    #[test]
    fn what_is_no_json_says_where() {
        let error = parse::<Outer>(b"{\"spec\":").unwrap_err();
        assert_eq!(error.code, "invalid_json");
        assert!(error.message.contains("line 1"), "{}", error.message);
        assert!(parse::<Outer>(br#"{"spec":{"replicas":2}} trailing"#).is_err());
    }
}
