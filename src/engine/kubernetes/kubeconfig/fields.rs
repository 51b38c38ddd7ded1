//! Every field of a kubeconfig, and what becomes of it: kept, passed over because it changes nothing, or refused.
//!
//! A field that is not listed is refused: what a later version means by it can't be known.

use super::tree::{Entry, Node};
use crate::domain::Problem;

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Read, or leads to what is.
    Kept,
    /// Changes nothing of the connection.
    Ignored,
    /// Refused: what it would do, and what to do instead.
    Refused(&'static str, &'static str),
    /// Refused unless it says `false`.
    RefusedIfTrue(&'static str, &'static str),
}

use Fate::{Ignored, Kept, Refused, RefusedIfTrue};

/// One level's fields.
pub(super) type Fields = &'static [(&'static str, Fate)];

/// How a credential is got that Slipway takes.
const TOKEN: &str = "Give a token instead: make a service account with the Role that the connection test shows, and put \
                     its token under `token`.";
const INLINE: &str =
    "Put the file's content here, in base64: `kubectl config view --raw --minify --flatten` does that.";
const IMPERSONATION: &str = "Give the credential of the one who deploys; remove the field.";

pub(super) const TOP: Fields = &[
    ("apiVersion", Ignored),
    ("kind", Ignored),
    ("preferences", Ignored),
    ("extensions", Ignored),
    ("clusters", Kept),
    ("users", Kept),
    ("contexts", Kept),
    ("current-context", Kept),
];

pub(super) const CLUSTERS: Fields = &[("name", Kept), ("cluster", Kept)];
pub(super) const USERS: Fields = &[("name", Kept), ("user", Kept)];
pub(super) const CONTEXTS: Fields = &[("name", Kept), ("context", Kept)];

pub(super) const CLUSTER: Fields = &[
    ("server", Kept),
    ("certificate-authority-data", Kept),
    ("tls-server-name", Kept),
    ("disable-compression", Ignored),
    ("extensions", Ignored),
    ("certificate-authority", Refused("would read a file of this server", INLINE)),
    (
        "insecure-skip-tls-verify",
        RefusedIfTrue(
            "would talk to whoever answers at the address",
            "Remove it, and put the cluster's certificate authority under `certificate-authority-data`.",
        ),
    ),
    (
        "proxy-url",
        Refused(
            "would send everything, the credential too, through another machine",
            "Remove it, and give an address that this server reaches itself.",
        ),
    ),
    // Before version 1.2 of Kubernetes.
    ("api-version", Ignored),
];

pub(super) const USER: Fields = &[
    ("token", Kept),
    ("client-certificate-data", Kept),
    ("client-key-data", Kept),
    ("extensions", Ignored),
    ("exec", Refused("would run a program on this server to get a credential", TOKEN)),
    ("auth-provider", Refused("would ask a plugin for a credential", TOKEN)),
    ("tokenFile", Refused("would read a file of this server", "Put the token itself under `token`.")),
    ("client-certificate", Refused("would read a file of this server", INLINE)),
    ("client-key", Refused("would read a file of this server", INLINE)),
    ("username", Refused("belongs to basic authentication, which Kubernetes 1.19 removed", TOKEN)),
    ("password", Refused("belongs to basic authentication, which Kubernetes 1.19 removed", TOKEN)),
    ("as", Refused("would act as somebody else", IMPERSONATION)),
    ("as-uid", Refused("would act as somebody else", IMPERSONATION)),
    ("as-groups", Refused("would act as somebody else", IMPERSONATION)),
    ("as-user-extra", Refused("would act as somebody else", IMPERSONATION)),
];

pub(super) const CONTEXT: Fields =
    &[("cluster", Kept), ("user", Kept), ("namespace", Kept), ("extensions", Ignored)];

/// What of this level is refused; `whose` says whose fields they are, for people.
pub(super) fn judge(level: &Node, fields: Fields, whose: &str, problems: &mut Vec<Problem>) {
    for Entry { key, at, value } in level.entries() {
        let fate = fields.iter().find(|(name, _)| name == key).map(|(_, fate)| *fate);
        match fate {
            Some(Kept | Ignored) => {}
            Some(Refused(..)) if value.is_empty() => {}
            Some(RefusedIfTrue(..)) if value.is_empty() || value.text() == Some("false") => {}
            Some(Refused(why, hint) | RefusedIfTrue(why, hint)) => {
                problems.push(at.problem(format!("{whose}: `{key}` {why}"), hint));
            }
            None => {
                let known: Vec<&str> =
                    fields.iter().filter(|(_, fate)| *fate == Kept).map(|(name, _)| *name).collect();
                let hint = format!("Remove it; what is read here is {}.", known.join(", "));
                problems.push(at.problem(format!("{whose}: the field {:?} is not known", shown(key)), hint));
            }
        }
    }
}

/// The beginning of a key: where something is misplaced, a secret may stand where a key should.
fn shown(key: &str) -> String {
    let word = key.len() <= 40 && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if word { key.to_owned() } else { "…".to_owned() }
}
