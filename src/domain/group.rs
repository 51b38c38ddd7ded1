//! Groups: whom rights belong to. They come from the identity provider at every login and from the
//! local administrator's commands; Slipway keeps no membership of its own beyond that.

use std::collections::BTreeSet;

use crate::domain::name::GroupName;

/// The groups of somebody.
pub type Groups = BTreeSet<GroupName>;
