//! Settings that come back: the client reads a whole object, changes some of it in place, and sends all of it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::domain::{Error, Problem, Result};
use crate::http::api::body::place;

/// What was sent, beside what would be answered now.
#[derive(Debug)]
pub struct Edited {
    given: Map<String, Value>,
    current: Map<String, Value>,
}

impl Edited {
    /// Refuses whatever is sent and neither `changeable` nor as it is now. What is not sent stays as it is.
    ///
    /// # Errors
    /// `invalid_input`, naming every such field.
    pub fn new(given: Map<String, Value>, current: &impl Serialize, changeable: &[&str]) -> Result<Self> {
        let current = match serde_json::to_value(current).map_err(Error::internal)? {
            Value::Object(current) => current,
            _ => Map::new(),
        };
        let fixed = |name: &&String| !changeable.contains(&name.as_str());
        let problems: Vec<Problem> = given
            .keys()
            .filter(fixed)
            .filter_map(|name| match current.get(name) {
                Some(value) if given.get(name) == Some(value) => None,
                Some(_) => Some(
                    Problem::new(name, "this can't be changed here")
                        .hint(format!("Send it as it came. What can be changed: {}.", changeable.join(", "))),
                ),
                None => Some(
                    Problem::new(name, "there is no such setting")
                        .hint(format!("What can be set: {}.", changeable.join(", "))),
                ),
            })
            .collect();
        if problems.is_empty() {
            Ok(Self { given, current })
        } else {
            Err(Error::problems("invalid_input", problems))
        }
    }

    /// A field that was changed; `None` where it is as it was.
    ///
    /// # Errors
    /// `invalid_input`, naming the place inside the field.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        match self.given.remove(name) {
            Some(value) if self.current.get(name) != Some(&value) => read(name, value).map(Some),
            _ => Ok(None),
        }
    }
}

fn read<T: DeserializeOwned>(name: &str, value: Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|failure| {
        let inside = place(&failure.path().to_string(), "");
        let place = [name, &inside].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
        Error::problems("invalid_input", vec![Problem::new(place, failure.into_inner().to_string())])
    })
}
