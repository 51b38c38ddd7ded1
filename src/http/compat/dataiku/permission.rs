//! Permissions as Dataiku writes them, a flag a right, and Slipway's cumulative rights.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::access::{InfrastructureRight, ProjectRight};
use crate::domain::name::GroupName;

/// What one group may do on an infrastructure.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfrastructurePermission {
    group: GroupName,
    #[serde(default)]
    read: bool,
    #[serde(default)]
    deploy: bool,
    #[serde(default)]
    admin: bool,
}

/// What one group may do on a project; `write` is to publish bundles.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectPermission {
    group: GroupName,
    #[serde(default)]
    read: bool,
    #[serde(default)]
    write: bool,
    #[serde(default)]
    deploy: bool,
    #[serde(default)]
    admin: bool,
}

impl From<(GroupName, InfrastructureRight)> for InfrastructurePermission {
    fn from((group, right): (GroupName, InfrastructureRight)) -> Self {
        Self {
            group,
            read: true,
            deploy: right >= InfrastructureRight::Deploy,
            admin: right >= InfrastructureRight::Admin,
        }
    }
}

impl InfrastructurePermission {
    fn right(&self) -> Option<InfrastructureRight> {
        let flags = [
            (self.admin, InfrastructureRight::Admin),
            (self.deploy, InfrastructureRight::Deploy),
            (self.read, InfrastructureRight::View),
        ];
        highest(flags)
    }
}

impl From<(GroupName, ProjectRight)> for ProjectPermission {
    fn from((group, right): (GroupName, ProjectRight)) -> Self {
        Self {
            group,
            read: true,
            write: right >= ProjectRight::Publish,
            deploy: right >= ProjectRight::Deploy,
            admin: right >= ProjectRight::Admin,
        }
    }
}

impl ProjectPermission {
    fn right(&self) -> Option<ProjectRight> {
        let flags = [
            (self.admin, ProjectRight::Admin),
            (self.deploy, ProjectRight::Deploy),
            (self.write, ProjectRight::Publish),
            (self.read, ProjectRight::View),
        ];
        highest(flags)
    }
}

fn highest<R, const N: usize>(flags: [(bool, R); N]) -> Option<R> {
    flags.into_iter().find(|(set, _)| *set).map(|(_, right)| right)
}

/// Every grant that the permissions amount to: rights are cumulative, so the highest flag of a group counts.
pub fn infrastructure(given: Vec<InfrastructurePermission>) -> BTreeMap<GroupName, InfrastructureRight> {
    cumulated(given.into_iter().filter_map(|one| Some((one.right()?, one.group))))
}

/// The same for a project.
pub fn project(given: Vec<ProjectPermission>) -> BTreeMap<GroupName, ProjectRight> {
    cumulated(given.into_iter().filter_map(|one| Some((one.right()?, one.group))))
}

fn cumulated<R: Copy + Ord>(given: impl Iterator<Item = (R, GroupName)>) -> BTreeMap<GroupName, R> {
    given.fold(BTreeMap::new(), |mut grants, (right, group)| {
        grants.entry(group).and_modify(|held: &mut R| *held = right.max(*held)).or_insert(right);
        grants
    })
}
