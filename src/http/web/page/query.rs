//! Filters and sort live in the URL, so that a bookmark is a saved view. A [`Query`] is a path with its parameters,
//! and gives the link that differs from it in one of them.

use url::form_urlencoded;

/// A path and its parameters, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    path: String,
    pairs: Vec<(String, String)>,
}

impl Query {
    /// From a path (with the prefix) and what follows the `?`; empty parameters are dropped.
    pub fn parse(path: &str, query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes())
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        Self { path: path.to_owned(), pairs }
    }

    /// The first value of `key`, or nothing.
    pub fn get(&self, key: &str) -> &str {
        self.pairs.iter().find(|(k, _)| k == key).map_or("", |(_, value)| value)
    }

    /// The same with `key` set to `value` alone.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        let mut other = self.without(key);
        other.pairs.push((key.to_owned(), value.to_owned()));
        other
    }

    /// The same without `key`.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        let pairs = self.pairs.iter().filter(|(k, _)| k != key).cloned().collect();
        Self { path: self.path.clone(), pairs }
    }

    /// Whether any parameter but those in `except` is set: whether a list is filtered.
    pub fn is_filtered(&self, except: &[&str]) -> bool {
        self.pairs.iter().any(|(key, _)| !except.contains(&key.as_str()))
    }

    /// The link.
    pub fn href(&self) -> String {
        if self.pairs.is_empty() {
            return self.path.clone();
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.pairs).finish();
        format!("{}?{query}", self.path)
    }
}
