//! A token's claims once it was checked, and what is read from them. What is not of the expected kind is left out,
//! never guessed: a group that is a number or an object is no group.

use serde_json::{Map, Value};

use crate::auth::oidc::{Person, Settings, one_line};
use crate::domain::group::Groups;
use crate::domain::name::GroupName;

/// Where a claim stands: a name, or names separated by dots that lead inwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// From the configuration's text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As the configuration has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The claims of a token or of userinfo.
#[derive(Debug, Clone, Default)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// From a JSON object.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().map(Self)
    }

    /// The claim at `path`: a claim of that very name first (names may hold dots, as URLs do), else inwards.
    pub fn at(&self, path: &ClaimPath) -> Option<&Value> {
        if let Some(value) = self.0.get(&path.0) {
            return Some(value);
        }
        let mut parts = path.0.split('.');
        let first = self.0.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.as_object()?.get(part))
    }

    /// A claim by its name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// A claim that is a time: seconds since 1970, fractions cut.
    pub fn time(&self, name: &str) -> Option<i64> {
        let value = self.get(name)?;
        // The cast saturates, and such a time is refused by whoever asked.
        value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
    }

    /// A claim that is text or a list of texts: `aud`, or the groups.
    pub fn texts(value: &Value) -> Vec<&str> {
        match value {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether `aud` holds one of `wanted`.
    pub fn is_for<'a>(&self, mut wanted: impl Iterator<Item = &'a str>) -> bool {
        let audiences = self.get("aud").map(Self::texts).unwrap_or_default();
        wanted.any(|wanted| audiences.contains(&wanted))
    }

    /// The subject: 1 to 255 characters, as the standard bounds it.
    pub fn subject(&self) -> Option<&str> {
        self.text("sub").filter(|sub| !sub.trim().is_empty() && sub.len() <= 255)
    }

    /// The groups at `path`; `None` when the claim is missing.
    pub fn groups(&self, path: &ClaimPath) -> Option<Groups> {
        let value = self.at(path)?;
        let names = Self::texts(value).into_iter().map(str::trim).filter(|name| !name.is_empty());
        Some(names.filter_map(|name| GroupName::parse(name).ok()).collect())
    }

    /// These claims, and those of `other` that are missing here.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        for (name, value) in other.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }

    /// These claims but the one at `path`.
    #[must_use]
    pub fn without(mut self, path: &ClaimPath) -> Self {
        self.0.remove(&path.0);
        if let Some((first, _)) = path.0.split_once('.') {
            self.0.remove(first);
        }
        self
    }

    /// The person with this subject. Missing groups mean none.
    pub fn person(&self, subject: &str, settings: &Settings) -> Person {
        let shown = |path: &ClaimPath| {
            let text = one_line(self.at(path)?.as_str()?, 120);
            (!text.is_empty()).then_some(text)
        };
        let email = self.text("email").map(|email| one_line(email, 254)).filter(|email| !email.is_empty());
        let name = shown(&settings.name_claim).or_else(|| shown(&settings.username_claim));
        let groups = self.groups(&settings.groups_claim);
        if groups.is_none() {
            self.explain_missing_groups(settings);
        }
        Person {
            subject: subject.to_owned(),
            name: name.or_else(|| email.clone()).unwrap_or_else(|| one_line(subject, 120)),
            email,
            groups: groups.unwrap_or_default(),
        }
    }

    fn explain_missing_groups(&self, settings: &Settings) {
        let claim = &settings.groups_claim.0;
        // Entra puts a pointer in place of more groups than fit into a token.
        if self.get("_claim_names").and_then(|names| names.get(claim)).is_some() {
            tracing::warn!(
                claim,
                "the provider gave a pointer to the groups instead of them: too many for a token"
            );
        } else {
            tracing::info!(claim, "the provider gave no groups claim: the person has no groups");
        }
    }
}

#[cfg(test)]
mod unit {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        Claims::parse(value.to_string().as_bytes()).unwrap()
    }

    fn groups(value: Value, path: &str) -> Option<Vec<String>> {
        let groups = claims(value).groups(&ClaimPath::new(path))?;
        Some(groups.into_iter().map(String::from).collect())
    }

    #[test]
    fn groups_are_a_list_or_one_text() {
        let some = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(groups(json!({ "groups": ["b", "a", "a"] }), "groups"), some(&["a", "b"]));
        assert_eq!(groups(json!({ "groups": "admins" }), "groups"), some(&["admins"]));
        assert_eq!(groups(json!({ "realm_access": { "roles": ["a"] } }), "realm_access.roles"), some(&["a"]));
        assert_eq!(groups(json!({ "https://x.y/groups": ["a"] }), "https://x.y/groups"), some(&["a"]));
        assert_eq!(groups(json!({}), "groups"), None);
    }

    #[test]
    fn what_is_no_group_is_left_out() {
        for odd in
            [json!(7), json!(null), json!({ "a": "admins" }), json!([["admins"], { "name": "admins" }, 7])]
        {
            assert_eq!(groups(json!({ "groups": odd }), "groups"), Some(vec![]));
        }
        let hostile = json!({ "groups": ["a\r\nb", "", " admins ", "x".repeat(300)] });
        assert_eq!(groups(hostile, "groups"), Some(vec!["admins".to_owned()]));
    }
}
