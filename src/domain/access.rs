//! Who may do what. Rights are cumulative and belong to groups; members of an admin group may do all.
//!
//! The store hands out [`Unchecked`]; only this module turns it into [`Authorized`], which every mutation demands.
//! What a caller may not see answers exactly like what does not exist.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::api_key::ApiKey;
use crate::domain::clock::Timestamp;
use crate::domain::group::Groups;
use crate::domain::user::User;
use crate::domain::{Error, Result};

/// Rights on an infrastructure: `view < deploy < admin`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum InfrastructureRight {
    View = 1,
    Deploy = 3,
    Admin = 4,
}

/// Rights on a project: `view < publish < deploy < admin`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ProjectRight {
    View = 1,
    Publish = 2,
    Deploy = 3,
    Admin = 4,
}

macro_rules! right {
    ($name:ident { $($word:literal => $variant:ident),* }) => {
        impl $name {
            /// The right's rank as it is stored.
            pub fn rank(self) -> u8 {
                self as u8
            }
            /// From a stored rank.
            pub fn from_rank(rank: u8) -> Option<Self> {
                match rank { $(r if r == Self::$variant as u8 => Some(Self::$variant),)* _ => None }
            }
            /// The right's word.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
            /// From its word.
            pub fn parse(word: &str) -> Result<Self> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    other => Err(Error::field("right", format!("{other:?} is no right; it is one of {}", [$($word),*].join(", ")))),
                }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
right!(InfrastructureRight { "view" => View, "deploy" => Deploy, "admin" => Admin });
right!(ProjectRight { "view" => View, "publish" => Publish, "deploy" => Deploy, "admin" => Admin });

/// Who asks: a user through a session or token, a key, or Slipway itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub kind: SubjectKind,
    /// For people and the journal.
    pub name: String,
    pub groups: Groups,
    /// A member of an admin group, or Slipway itself.
    pub is_admin: bool,
}

/// What kind of caller, with its identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
pub enum SubjectKind {
    User(Uuid),
    ApiKey(Uuid),
    /// Slipway itself: undoing, repairing, migrating; and the command line's administrator.
    System,
}

impl Subject {
    /// Slipway itself.
    pub fn system() -> Self {
        Self { kind: SubjectKind::System, name: "slipway".into(), groups: Groups::new(), is_admin: true }
    }

    /// Who a user is now, when members of `admins` may do all; `None` for one who is not let in any more.
    pub fn of_user(user: &User, admins: &Groups) -> Option<Self> {
        let groups = user.groups.clone();
        (!user.disabled).then(|| Self::of(SubjectKind::User(user.id), user.name.clone(), groups, admins))
    }

    /// Whom a key stands for at `now`, given its maker as it is now; `None` when it opens nothing. A key never outlives
    /// its maker, nor has more: its own groups as far as the maker is in them, all while the maker is an administrator.
    pub fn of_key(key: &ApiKey, owner: Option<&User>, admins: &Groups, now: Timestamp) -> Option<Self> {
        let groups = match (key.owner, owner) {
            _ if !key.is_live(now) => return None,
            (None, _) => key.groups.clone(),
            (Some(id), Some(owner)) if owner.id == id && !owner.disabled => lent(&key.groups, owner, admins),
            (Some(_), _) => return None,
        };
        Some(Self::of(SubjectKind::ApiKey(key.id), key.name.to_string(), groups, admins))
    }

    fn of(kind: SubjectKind, name: String, groups: Groups, admins: &Groups) -> Self {
        let is_admin = !groups.is_disjoint(admins);
        Self { kind, name, groups, is_admin }
    }

    /// Refuses everyone but administrators.
    pub fn demand_admin(&self, action: &str) -> Result<()> {
        if self.is_admin {
            return Ok(());
        }
        Err(Error::forbidden(
            format!("{action} takes an administrator"),
            "Ask a member of an admin group of this Slipway.",
        ))
    }
}

fn lent(groups: &Groups, owner: &User, admins: &Groups) -> Groups {
    if owner.groups.is_disjoint(admins) {
        groups.intersection(&owner.groups).cloned().collect()
    } else {
        groups.clone()
    }
}

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Console,
    Api,
    Dataiku,
    Datacater,
    Renga,
    Sahara,
    CommandLine,
    System,
}

impl Origin {
    /// In words, for pages and the journal.
    pub fn word(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Api => "API",
            Self::Dataiku => "Dataiku API",
            Self::Datacater => "DataCater API",
            Self::Renga => "renga API",
            Self::Sahara => "Sahara API",
            Self::CommandLine => "command line",
            Self::System => "Slipway",
        }
    }
}

/// Everything a use case has to know of its caller.
#[derive(Debug, Clone)]
pub struct Caller {
    pub subject: Subject,
    pub origin: Origin,
    /// The request's id, as in the log; empty outside requests.
    pub request_id: String,
    /// The client's address behind trusted proxies.
    pub address: Option<std::net::IpAddr>,
}

impl Caller {
    /// Slipway itself.
    pub fn system() -> Self {
        Self { subject: Subject::system(), origin: Origin::System, request_id: String::new(), address: None }
    }
}

/// Something with grants of one right type.
pub trait Guarded {
    /// The kind of right that is granted on it.
    type Right: Copy + Ord + std::fmt::Display + 'static;
    /// What it is called in messages.
    const NOUN: &'static str;
    /// The lowest right that lets a caller know it exists.
    const SEE: Self::Right;
    /// The right that an administrator's membership amounts to.
    const ALL: Self::Right;
    /// Its id in messages.
    fn id(&self) -> String;
}

/// A row as the store read it, with the highest right that the asking subject holds on it (`None`: no right).
#[derive(Debug)]
pub struct Unchecked<T: Guarded> {
    value: T,
    held: Option<T::Right>,
}

impl<T: Guarded> Unchecked<T> {
    /// Wraps what the store read.
    pub fn new(value: T, held: Option<T::Right>) -> Self {
        Self { value, held }
    }

    /// Lets `subject` through with at least `needed`, else refuses: 404 when it may not even see it.
    pub fn authorize(self, subject: &Subject, needed: T::Right) -> Result<Authorized<T>> {
        let held = if subject.is_admin { Some(T::ALL) } else { self.held };
        match held {
            Some(held) if held >= needed => Ok(Authorized { value: self.value, held, _sealed: PhantomData }),
            Some(held) if held >= T::SEE => {
                let id = self.value.id();
                Err(Error::forbidden(
                    format!("this takes the right {needed} on {} {id}; your groups have {held}", T::NOUN),
                    format!("Somebody with admin on {} {id} can give one of your groups {needed}.", T::NOUN),
                ))
            }
            _ => Err(Error::not_found(T::NOUN, self.value.id())),
        }
    }
}

/// A row that the subject was let through to, with the right it holds.
#[derive(Debug, Clone)]
pub struct Authorized<T: Guarded> {
    value: T,
    held: T::Right,
    _sealed: PhantomData<()>,
}

impl<T: Guarded> Authorized<T> {
    /// The highest right held.
    pub fn held(&self) -> T::Right {
        self.held
    }

    /// Whether the subject holds at least `right`.
    pub fn may(&self, right: T::Right) -> bool {
        self.held >= right
    }

    /// Demands more of the same subject than what it was let through with.
    pub fn demand(&self, needed: T::Right) -> Result<()> {
        if self.may(needed) {
            return Ok(());
        }
        let id = self.value.id();
        Err(Error::forbidden(
            format!("this takes the right {needed} on {} {id}; your groups have {}", T::NOUN, self.held),
            format!("Somebody with admin on {} {id} can give one of your groups {needed}.", T::NOUN),
        ))
    }

    /// The row itself.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T: Guarded> std::ops::Deref for Authorized<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}
