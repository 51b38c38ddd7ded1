//! May this still be done? Asked before every side effect, of what is stored at that moment: a right that was taken
//! away, a key that was revoked or a policy that was tightened since the request stops the run.

use rusqlite::Connection;

use super::words::failure;
use crate::domain::access::{InfrastructureRight, Subject, SubjectKind};
use crate::domain::approval::Standing;
use crate::domain::clock::Timestamp;
use crate::domain::deployment::{Deployment, DeploymentRight};
use crate::domain::group::Groups;
use crate::domain::infrastructure::{EngineConnection, GovernPolicy, Infrastructure};
use crate::domain::name::DeploymentId;
use crate::domain::plan::Plan;
use crate::domain::policy::{self, Profile};
use crate::domain::update::{Failure, Step, Update, UpdateKind};
use crate::domain::workload::Protocol;
use crate::domain::{Error, Kind, Result};
use crate::store;

/// Checks the requester's stored rights and the infrastructure's policy of now; the inner error is the run's failure.
///
/// # Errors
/// Of the store only.
pub(super) fn check(
    db: &Connection,
    update: &Update,
    plan: &Plan,
    admins: &Groups,
    now: Timestamp,
) -> Result<Result<(), Failure>> {
    let Some(subject) = stored_subject(db, &update.requester, admins, now)? else {
        return Ok(Err(revoked(update, "who asked for it is no longer let in")));
    };
    let Some(found) = store::deployment::find(db, &update.deployment, &subject)? else {
        return Ok(Err(revoked(update, "the deployment is gone")));
    };
    let deployment = match found.authorize(&subject, DeploymentRight::Deploy) {
        Ok(deployment) => deployment.into_inner(),
        Err(error) if matches!(error.kind, Kind::Forbidden | Kind::NotFound) => {
            return Ok(Err(revoked(update, "its rights on the deployment were taken away")));
        }
        Err(error) => return Err(error),
    };
    if update.kind == UpdateKind::Halt {
        // No policy keeps what runs from being stopped.
        return Ok(Ok(()));
    }
    let system = Subject::system();
    let infrastructure = store::infrastructure::find(db, &deployment.infrastructure, &system)?
        .ok_or_else(|| Error::not_found("infrastructure", &deployment.infrastructure))?
        .authorize(&system, InfrastructureRight::View)?
        .into_inner();
    let refused = consent(update, &deployment).or_else(|| policy_failure(plan, &infrastructure));
    let refused = match refused {
        None => prevented(db, update, plan, &infrastructure)?,
        refused => refused,
    };
    Ok(refused.map_or(Ok(()), Err))
}

/// The requester as it is stored now; `None` when it is not let in any more.
fn stored_subject(
    db: &Connection,
    requester: &Subject,
    admins: &Groups,
    now: Timestamp,
) -> Result<Option<Subject>> {
    match requester.kind {
        SubjectKind::System => Ok(Some(Subject::system())),
        SubjectKind::User(id) => {
            Ok(store::user::find(db, id)?.and_then(|user| Subject::of_user(&user, admins)))
        }
        SubjectKind::ApiKey(id) => {
            let Some(key) = store::api_key::find(db, id)? else { return Ok(None) };
            let owner = key.owner.map(|id| store::user::find(db, id)).transpose()?.flatten();
            Ok(Subject::of_key(&key, owner.as_ref(), admins, now))
        }
    }
}

fn revoked(update: &Update, why: &str) -> Failure {
    failure(
        "rights_revoked",
        Step::Check,
        format!("{} may not deploy this any more: {why}", update.requester.name),
        "Have a right to deploy granted on the project and on the infrastructure, then ask for the update again.",
    )
}

/// Repairing runs on the deployment's standing consent, which may have been withdrawn.
fn consent(update: &Update, deployment: &Deployment) -> Option<Failure> {
    let unasked = update.kind == UpdateKind::Repair && update.requester.kind == SubjectKind::System;
    (unasked && !(deployment.auto_repair && deployment.enabled)).then(|| {
        failure(
            "repair_not_wanted",
            Step::Check,
            format!("{} no longer asks for drift to be repaired", deployment.id),
            "Switch repairing on in the settings, or update the deployment yourself.",
        )
    })
}

fn policy_failure(plan: &Plan, infrastructure: &Infrastructure) -> Option<Failure> {
    if !plan.enabled {
        return None;
    }
    let refused = policy::refusals(&plan.workload, &infrastructure.policy);
    if let Some(first) = refused.first() {
        let message =
            format!("the policy of {} forbids {}: {}", infrastructure.id, first.place, first.message);
        let hint = first.hint.clone().unwrap_or_default();
        return Some(failure("policy_refused", Step::Check, message, hint));
    }
    let tightened = infrastructure.policy.profile == Profile::Restricted && plan.profile == Profile::Baseline;
    tightened.then(|| {
        failure(
            "policy_changed",
            Step::Check,
            format!("the profile of {} became restricted since the update was asked for", infrastructure.id),
            "Ask for the update again: it will be planned under the new profile.",
        )
    })
}

/// Where governance prevents, nothing new runs that is not approved: the policy may have come after the request. A repair
/// brings back what ran, and tests are a part of that.
fn prevented(
    db: &Connection,
    update: &Update,
    plan: &Plan,
    infrastructure: &Infrastructure,
) -> Result<Option<Failure>> {
    let prevents = infrastructure.govern_policy == GovernPolicy::Prevent && plan.enabled;
    if !prevents || matches!(update.kind, UpdateKind::Repair | UpdateKind::Test) {
        return Ok(None);
    }
    let standing = store::approval::standing(db, &update.deployment, &update.plan_digest)?;
    Ok((standing != Standing::Approved).then(|| {
        failure(
            "governance_prevents",
            Step::Check,
            format!("{} runs nothing that is not approved, and this plan is not", infrastructure.id),
            "Ask for an approval of the plan, then for the update again.",
        )
    }))
}

/// The fixed ports of plans, as the store reserves them.
pub(super) fn fixed_ports<'a>(
    plans: impl IntoIterator<Item = &'a Plan>,
    infrastructure: &Infrastructure,
) -> Vec<(String, u16, &'static str)> {
    let publish = match &infrastructure.engine {
        EngineConnection::Docker { publish_address, .. } => *publish_address,
        EngineConnection::Kubernetes(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        EngineConnection::Fake {} => std::net::Ipv4Addr::LOCALHOST.into(),
    };
    let is_cluster = matches!(infrastructure.engine, EngineConnection::Kubernetes(_));
    let services =
        plans.into_iter().filter(|plan| plan.enabled).flat_map(|plan| plan.workload.services.values());
    let mut ports: Vec<_> = services
        .flat_map(|service| &service.ports)
        .filter_map(|port| {
            let protocol = match port.protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
            };
            let number = port.host_port.filter(|number| is_taken(&infrastructure.engine, *number))?;
            let address = port.host_ip.filter(|_| !is_cluster).unwrap_or(publish);
            Some((address.to_string(), number, protocol))
        })
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// A cluster takes some fixed ports alone.
fn is_taken(engine: &EngineConnection, port: u16) -> bool {
    match engine {
        EngineConnection::Kubernetes(cluster) => cluster.takes_port(port),
        EngineConnection::Docker { .. } | EngineConnection::Fake {} => true,
    }
}

/// The fixed ports that a deployment holds in the store.
///
/// # Errors
/// Of the store.
pub(super) fn held_ports(db: &Connection, deployment: &DeploymentId) -> Result<usize> {
    store::deployment::port::reserved(db, deployment)
}
