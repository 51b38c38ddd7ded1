//! Names with a strict grammar, checked once at the edge: inside, every name is valid.
//!
//! Ids travel unescaped in the URLs of old clients, so no grammar here holds a character that a URL would escape.

use crate::domain::{Error, Result};

/// How a name may look: what the first character and the others may be, and how long it may get.
struct Grammar {
    noun: &'static str,
    first: fn(char) -> bool,
    rest: fn(char) -> bool,
    longest: usize,
    words: &'static str,
}

impl Grammar {
    fn check(&self, text: &str) -> Result<()> {
        let mut characters = text.chars();
        let good = characters.next().is_some_and(self.first) && characters.all(self.rest);
        if good && text.len() <= self.longest && !text.contains("..") {
            return Ok(());
        }
        let shown: String = text.chars().take(80).collect();
        Err(Error::field(self.noun, format!("{shown:?} is not a valid {}: {}", self.noun, self.words)))
    }
}

fn alnum(c: char) -> bool {
    c.is_ascii_alphanumeric()
}
fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}
fn printable(c: char) -> bool {
    !c.is_control()
}
fn env_first(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}
fn env_rest(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $noun:literal, $first:path, $rest:path, $longest:literal, $words:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String)]
        pub struct $name(String);

        impl $name {
            /// Checks the grammar; the error names the field and the rule.
            pub fn parse(text: impl Into<String>) -> Result<Self> {
                let text = text.into();
                Grammar { noun: $noun, first: $first, rest: $rest, longest: $longest, words: $words }.check(&text)?;
                Ok(Self(text))
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl std::str::FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::parse(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::parse(text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    )*};
}

names! {
    /// A stage's id, matched whatever the case.
    StageId = "stage", alnum, word, 40, "up to 40 letters, digits, '-', '_' or '.', starting with a letter or digit";
    /// An infrastructure's id.
    InfrastructureId = "infrastructure", alnum, word, 63, "up to 63 letters, digits, '-', '_' or '.', starting with a letter or digit";
    /// A project's key.
    ProjectKey = "project", alnum, word, 63, "up to 63 letters, digits, '-', '_' or '.', starting with a letter or digit";
    /// A bundle's version within its project.
    Version = "version", alnum, word, 128, "up to 128 letters, digits, '-', '_' or '.', starting with a letter or digit";
    /// A group, as the identity provider spells it.
    GroupName = "group", printable, printable, 200, "1 to 200 characters without control characters";
    /// A service of a workload, in the Compose Specification's grammar.
    ServiceName = "service", alnum, word, 63, "up to 63 letters, digits, '-', '_' or '.', starting with a letter or digit";
    /// A named volume of a workload.
    VolumeName = "volume", alnum, word, 63, "up to 63 letters, digits, '-', '_' or '.', starting with a letter or digit";
    /// A secret or config of a workload.
    SecretName = "secret", env_first, env_rest, 128, "up to 128 letters, digits, '_', '-' or '.', starting with a letter or '_'";
    /// A name for people, e.g. of an API key.
    Label = "name", printable, printable, 120, "1 to 120 characters without control characters";
}

/// A deployment's id, which also names its workload. A uuid is the id of one that Slipway named itself: a pipeline's
/// deployment, an execution.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String)]
pub struct DeploymentId(String);

impl DeploymentId {
    /// Checks the grammar.
    pub fn parse(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let grammar = Grammar {
            noun: "deployment",
            first: alnum,
            rest: word,
            longest: 128,
            words: "up to 128 letters, digits, '-', '_' or '.', starting with a letter or digit",
        };
        grammar.check(&text)?;
        Ok(Self(text))
    }

    /// Of what has its uuid as id.
    pub fn of_uuid(uuid: uuid::Uuid) -> Self {
        Self(uuid.to_string())
    }

    /// The uuid that it is, if it is one.
    pub fn as_uuid(&self) -> Option<uuid::Uuid> {
        uuid::Uuid::try_parse(&self.0).ok()
    }

    /// Refuses what nobody may choose for an id.
    ///
    /// # Errors
    /// For a uuid in any spelling.
    pub fn chosen(self) -> Result<Self> {
        match self.as_uuid() {
            Some(_) => {
                Err(Error::field("deployment", "an id may not be a uuid: those are made by Slipway itself"))
            }
            None => Ok(self),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
impl AsRef<str> for DeploymentId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
impl std::str::FromStr for DeploymentId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}
impl TryFrom<String> for DeploymentId {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(text)
    }
}
impl From<DeploymentId> for String {
    fn from(id: DeploymentId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_their_grammar() {
        for good in ["iris", "IRIS_2", "a.b-c", "0x"] {
            assert_eq!(ProjectKey::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", ".hidden", "a/b", "a..b", "a b", "ä", "-x", "a\n", &"x".repeat(64)] {
            let error = ProjectKey::parse(bad).unwrap_err();
            assert_eq!(error.problems[0].place, "project", "{bad:?}");
        }
    }

    #[test]
    fn nobody_chooses_a_uuid() {
        let chosen = |text| DeploymentId::parse(text).unwrap().chosen();
        assert!(chosen("dc161a69-fa49-4b1a-b1b1-6d8246d50d71").is_err());
        assert!(chosen("dc161a69fa494b1ab1b16d8246d50d71").is_err());
        assert!(chosen("iris-on-prod").is_ok());
    }
}
