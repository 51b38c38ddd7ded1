//! A JSON object with secrets in the places of some of its values. What is no secret of it stands in the plan, so that a
//! roll back brings it back as it was; the secrets are put in just before a container is made.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::name::SecretName;
use crate::domain::stream::MASK;

/// The object: its keys with their values, or with the deployment's secrets that are their values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Template {
    pub plain: Map<String, Value>,
    pub secret: BTreeMap<String, SecretName>,
}

impl Template {
    /// The whole text.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn fill<E>(
        &self,
        mut open: impl FnMut(&SecretName) -> Result<SecretString, E>,
    ) -> Result<SecretString, E> {
        let mut whole = self.plain.clone();
        for (key, name) in &self.secret {
            whole.insert(key.clone(), Value::String(open(name)?.expose_secret().to_owned()));
        }
        Ok(SecretString::from(Value::Object(whole).to_string()))
    }

    /// The text with every secret masked.
    pub fn masked(&self) -> String {
        let mut whole = self.plain.clone();
        whole.extend(self.secret.keys().map(|key| (key.clone(), Value::String(MASK.to_owned()))));
        Value::Object(whole).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_stand_in_their_places_whatever_they_hold() {
        let name: SecretName = "STREAMIN_JAAS".parse().unwrap();
        let template = Template {
            plain: json!({ "servers": "a:1", "retries": 3 }).as_object().cloned().unwrap(),
            secret: BTreeMap::from([("jaas".to_owned(), name.clone())]),
        };
        let filled = template.fill(|asked| {
            assert_eq!(*asked, name);
            Ok::<_, std::convert::Infallible>(SecretString::from("a \"quoted\" \\ value"))
        });
        let Ok(filled) = filled;
        let read: Value = serde_json::from_str(filled.expose_secret()).unwrap();
        assert_eq!(read, json!({ "servers": "a:1", "retries": 3, "jaas": "a \"quoted\" \\ value" }));
        assert_eq!(template.masked(), r#"{"jaas":"********","retries":3,"servers":"a:1"}"#);
    }
}
