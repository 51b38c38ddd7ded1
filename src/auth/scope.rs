//! What a token lets its bearer do at renga-deployer's API, besides what the bearer's groups may: upstream's four
//! scopes. Who shows an API key has them all.

use std::collections::BTreeSet;

use crate::auth::{Credential, Identity};
use crate::domain::{Error, Result};

/// A scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    ContextsRead,
    ContextsWrite,
    ExecutionsRead,
    ExecutionsWrite,
}

impl Scope {
    /// Every one, in the order of upstream's description.
    pub const ALL: [Self; 4] =
        [Self::ContextsWrite, Self::ContextsRead, Self::ExecutionsWrite, Self::ExecutionsRead];

    /// As tokens spell it.
    pub fn word(self) -> &'static str {
        match self {
            Self::ContextsRead => "deployer:contexts_read",
            Self::ContextsWrite => "deployer:contexts_write",
            Self::ExecutionsRead => "deployer:executions_read",
            Self::ExecutionsWrite => "deployer:executions_write",
        }
    }
}

/// The scopes of a token, and where in it they were looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes {
    held: BTreeSet<Scope>,
    claim: String,
}

impl Scopes {
    /// Those among the `words` of the claim `claim`; other systems' words are no concern of ours.
    pub fn new<'a>(claim: &str, words: impl Iterator<Item = &'a str>) -> Self {
        let known = |word: &'a str| Scope::ALL.into_iter().find(|scope| scope.word() == word);
        Self { held: words.filter_map(known).collect(), claim: claim.to_owned() }
    }
}

impl Identity {
    /// Refuses a token with any of the four scopes where none is asked for: it was narrowed to renga-deployer's API, and
    /// would have all rights of its bearer here.
    ///
    /// # Errors
    /// `token_narrowed`.
    pub fn refuse_narrowed(&self) -> Result<()> {
        match &self.credential {
            Credential::Token(scopes) if !scopes.held.is_empty() => {
                let error = Error::forbidden(
                    "the token carries scopes of renga-deployer's API, and is taken there alone",
                    "Ask the issuer for a token without `deployer:` scopes, or send an API key.",
                );
                Err(Error { code: "token_narrowed", ..error })
            }
            _ => Ok(()),
        }
    }

    /// Refuses who may not do what `needed` stands for.
    ///
    /// # Errors
    /// `scope_missing` with every one that is.
    pub fn demand(&self, needed: &[Scope]) -> Result<()> {
        let Credential::Token(scopes) = &self.credential else {
            return Ok(());
        };
        let lacking: Vec<&str> =
            needed.iter().filter(|scope| !scopes.held.contains(scope)).map(|scope| scope.word()).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let (noun, claim) = (if lacking.len() == 1 { "scope" } else { "scopes" }, &scopes.claim);
        let message = format!(
            "the token lacks the {noun} {}, looked for in its claim {claim:?}",
            lacking.join(" and ")
        );
        let error = Error::forbidden(
            message,
            "Ask the issuer for a token with it. Where the issuer writes scopes into another claim, an administrator \
             names that as `renga.scope_claim`.",
        );
        Err(Error { code: "scope_missing", ..error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Kind;
    use crate::domain::access::Subject;
    use crate::domain::user::Preferences;

    fn holder(credential: Credential) -> Identity {
        Identity { subject: Subject::system(), credential, preferences: Preferences::default() }
    }

    #[test]
    fn a_token_may_what_its_scopes_say_and_a_key_everything() {
        let words = ["openid", "deployer:contexts_read", "deployer:executions", "DEPLOYER:CONTEXTS_WRITE"];
        let token = holder(Credential::Token(Scopes::new("https://rm.example/scope", words.into_iter())));
        token.demand(&[]).unwrap();
        token.demand(&[Scope::ContextsRead]).unwrap();
        let error = token.demand(&Scope::ALL).unwrap_err();
        assert_eq!((error.kind, error.code), (Kind::Forbidden, "scope_missing"));
        for part in [
            "deployer:contexts_write and deployer:executions_write and deployer:executions_read",
            "https://rm",
        ] {
            assert!(error.message.contains(part), "{}", error.message);
        }
        assert!(!error.message.contains("contexts_read"), "{}", error.message);
        holder(Credential::ApiKey(uuid::Uuid::nil())).demand(&Scope::ALL).unwrap();
    }

    #[test]
    fn scopes_are_spelled_as_upstream_spells_them() {
        let shown: BTreeSet<&str> = Scope::ALL.into_iter().map(Scope::word).collect();
        let all = [
            "deployer:contexts_read",
            "deployer:contexts_write",
            "deployer:executions_read",
            "deployer:executions_write",
        ];
        assert_eq!(shown, all.into());
    }
}
