//! Approvals: asked for by whoever may deploy, given by a second person whose group may approve on the infrastructure.

use rusqlite::Connection;
use serde_json::json;
use uuid::Uuid;

use super::deployment::{planned, running_plan, wanted_plan};
use super::{App, Idempotency, Note, load, remember, replayed};
use crate::bus::Topic;
use crate::domain::access::{Caller, InfrastructureRight, Subject, SubjectKind};
use crate::domain::approval::{Approval, ApprovalState, Decision};
use crate::domain::bundle::Digest;
use crate::domain::deployment::{Deployment, DeploymentRight};
use crate::domain::diff::{self, Change};
use crate::domain::governance;
use crate::domain::health::Message;
use crate::domain::infrastructure::GovernPolicy;
use crate::domain::name::{DeploymentId, GroupName, InfrastructureId, Version};
use crate::domain::page::{Page, PageRequest};
use crate::domain::{Error, Result, random};
use crate::store;
use crate::store::Tx;
pub use crate::store::approval::Filter;

/// One approval as its reader sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub approval: Approval,
    /// Whether the settings still give the plan that it is about.
    pub current: bool,
    /// Why the reader may not decide it; `None`: may.
    pub refusal: Option<String>,
    /// Whether the reader asked for it.
    pub own: bool,
}

/// Asks for an approval of what a deployment's saved settings give. One that is pending for the same plan is answered.
///
/// # Errors
/// Without `deploy` on both; `approval_not_needed` where nothing is checked; `already_approved`; `plan_refused`.
pub async fn request(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
    reason: Option<String>,
    once: Option<Idempotency>,
) -> Result<Seen> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let held = load::deployment(tx, &id, &caller.subject, DeploymentRight::Deploy)?;
            if let Some(first) = replayed(tx, &caller, once.as_ref())? {
                return seen(tx, &caller.subject, first.parse().unwrap_or_default());
            }
            let plan = wanted_plan(tx, &held)?;
            refuse_needless(tx, &held.infrastructure, plan.enabled)?;
            let digest = plan.digest();
            let asked = match store::approval::newest(tx, &id, &digest)? {
                Some(approved) if approved.state == ApprovalState::Approved => {
                    return Err(Error::conflict(
                        "already_approved",
                        format!("this plan of {id} is approved"),
                    ));
                }
                Some(pending) if pending.state == ApprovalState::Pending => pending.id,
                _ => {
                    let approval = Approval {
                        id: random::uuid(),
                        deployment: id.clone(),
                        project: held.project.clone(),
                        version: held.version.clone(),
                        infrastructure: held.infrastructure.clone(),
                        plan: digest,
                        state: ApprovalState::Pending,
                        requester: caller.subject.clone(),
                        reason,
                        created_at: app_.now(),
                        decision: None,
                    };
                    let changes = diff::plans(running_plan(tx, &held)?.as_ref(), &plan);
                    store::approval::insert(tx, &approval, &changes)?;
                    told(&app_, tx, &caller, &approval, "approval.requested")?;
                    approval.id
                }
            };
            remember(tx, &caller, once.as_ref(), &asked.to_string(), app_.now())?;
            seen(tx, &caller.subject, asked)
        })
        .await
}

fn refuse_needless(db: &Connection, id: &InfrastructureId, enabled: bool) -> Result<()> {
    let infrastructure = load::infrastructure(db, id, &Subject::system(), InfrastructureRight::View)?;
    let why = if !enabled {
        "stopping takes no approval".to_owned()
    } else if infrastructure.govern_policy == GovernPolicy::NoCheck {
        format!("infrastructure {id} checks nothing")
    } else {
        return Ok(());
    };
    Err(Error::conflict("approval_not_needed", why).hint("Update the deployment."))
}

/// Writes the journal's line and wakes whoever shows it.
fn told(app: &App, tx: &Tx<'_>, caller: &Caller, approval: &Approval, action: &str) -> Result<()> {
    let comment = approval.decision.as_ref().map(|decision| decision.comment.as_str());
    let detail = json!({ "approval": approval.id, "plan": approval.plan, "version": approval.version });
    let note = Note { reason: comment.or(approval.reason.as_deref()), detail };
    app.journal(tx, caller, action, ("deployment", approval.deployment.as_str()), note)?;
    tx.publish(Topic::Deployment(approval.deployment.clone()));
    Ok(())
}

fn find(db: &Connection, subject: &Subject, id: Uuid) -> Result<store::approval::Listed> {
    store::approval::find(db, id, subject)?.ok_or_else(|| Error::not_found("approval", id))
}

fn seen(db: &Connection, subject: &Subject, id: Uuid) -> Result<Seen> {
    judged(db, subject, find(db, subject, id)?)
}

fn judged(db: &Connection, subject: &Subject, listed: store::approval::Listed) -> Result<Seen> {
    let own = is_own(db, subject, &listed.approval)?;
    let refusal = refused(own, &listed).map(|error| error.message);
    Ok(Seen { approval: listed.approval, current: listed.current, refusal, own })
}

fn is_own(db: &Connection, subject: &Subject, approval: &Approval) -> Result<bool> {
    Ok(person(db, &subject.kind)? == person(db, &approval.requester.kind)?)
}

/// Why somebody may not decide it, whose own it is or not.
fn refused(own: bool, listed: &store::approval::Listed) -> Option<Error> {
    let infrastructure = &listed.approval.infrastructure;
    if own {
        let message = "who asks for an approval does not give it";
        return Some(Error::forbidden(message, "Ask somebody else who may approve."));
    }
    (!listed.approver).then(|| {
        let message = format!("none of your groups may approve on infrastructure {infrastructure}");
        Error::forbidden(message, format!("Somebody with admin on {infrastructure} can let one of them."))
    })
}

/// Who is behind a caller: a key stands for its maker.
fn person(db: &Connection, kind: &SubjectKind) -> Result<SubjectKind> {
    if let SubjectKind::ApiKey(id) = kind
        && let Some(owner) = store::api_key::find(db, *id)?.and_then(|key| key.owner)
    {
        return Ok(SubjectKind::User(owner));
    }
    Ok(kind.clone())
}

/// Approves or rejects.
///
/// # Errors
/// One's own, or without a group that may approve; `approval_decided`; `approval_void` when the settings give another
/// plan by now; a rejection without a comment.
pub async fn decide(app: &App, caller: &Caller, id: Uuid, approve: bool, comment: String) -> Result<Seen> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let subject = &caller.subject;
            let listed = find(tx, subject, id)?;
            if let Some(refusal) = refused(is_own(tx, subject, &listed.approval)?, &listed) {
                return Err(refusal);
            }
            let wanted = store::deployment::digests(tx, &listed.approval.deployment)?.wanted;
            let wanted = wanted.as_deref().and_then(Digest::parse);
            let decision = Decision { by: subject.clone(), comment, at: app_.now() };
            let approval = listed.approval.decide(approve, decision, wanted.as_ref())?;
            store::approval::save(tx, &approval)?;
            let action = if approve { "approval.approved" } else { "approval.rejected" };
            told(&app_, tx, &caller, &approval, action)?;
            seen(tx, subject, id)
        })
        .await
}

/// Takes back what one asked for.
///
/// # Errors
/// Without `deploy` on the deployment's both; somebody else's; `approval_decided`.
pub async fn withdraw(app: &App, caller: &Caller, id: Uuid) -> Result<Seen> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let subject = &caller.subject;
            let listed = find(tx, subject, id)?;
            load::deployment(tx, &listed.approval.deployment, subject, DeploymentRight::Deploy)?;
            if !is_own(tx, subject, &listed.approval)? {
                let message = "only who asked for an approval takes that back";
                return Err(Error::forbidden(message, "Reject it instead, where you may decide."));
            }
            let approval = listed.approval.withdraw()?;
            store::approval::save(tx, &approval)?;
            told(&app_, tx, &caller, &approval, "approval.withdrawn")?;
            seen(tx, subject, id)
        })
        .await
}

/// What governance says.
#[derive(Debug, Clone)]
pub struct Governance {
    pub policy: GovernPolicy,
    pub version: Version,
    pub messages: Vec<Message>,
}

/// What governance says of a deployment with the bundle that is set, or with `version` in its place.
///
/// # Errors
/// Without `view`; `plan_refused`.
pub async fn governance(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
    version: Option<Version>,
) -> Result<Governance> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let held = load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let infrastructure = load::infrastructure(
                db,
                &held.infrastructure,
                &Subject::system(),
                InfrastructureRight::View,
            )?;
            let mut of = held.into_inner();
            of.version = version.unwrap_or(of.version);
            let policy = infrastructure.govern_policy;
            Ok(Governance { policy, messages: prospect(db, &of, policy)?, version: of.version })
        })
        .await
}

/// What governance would say of settings that need not be saved yet.
///
/// # Errors
/// `plan_refused`.
pub(super) fn prospect(db: &Connection, of: &Deployment, policy: GovernPolicy) -> Result<Vec<Message>> {
    if policy == GovernPolicy::NoCheck || !of.enabled {
        return Ok(Vec::new());
    }
    let (plan, bundle) = planned(db, of)?;
    let mut findings = governance::examine(&plan, &bundle, &of.settings);
    findings.extend(governance::untested(&store::test::outcomes(db, &of.project, &of.version)?));
    let standing = store::approval::standing(db, &of.id, &plan.digest())?;
    Ok(governance::messages(policy, standing, &findings))
}

/// One approval with everything that a decision stands on.
#[derive(Debug)]
pub struct Detail {
    pub seen: Seen,
    /// What the plan changes of what ran when it was asked for.
    pub changes: Vec<Change>,
    /// What was found in the plan, for which an approval answers; empty once it is decided or void.
    pub findings: Vec<Message>,
}

/// One approval, with the changes that it is about and what it answers for.
///
/// # Errors
/// Without `view` on the deployment.
pub async fn get(app: &App, caller: &Caller, id: Uuid) -> Result<Detail> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let seen = seen(db, &subject, id)?;
            let mut findings = match seen.approval.state {
                ApprovalState::Pending if seen.current => {
                    store::deployment::governance(db, &seen.approval.deployment)?
                }
                _ => Vec::new(),
            };
            findings.retain(|message| message.code != governance::NOT_APPROVED);
            Ok(Detail { changes: store::approval::diff(db, id)?, findings, seen })
        })
        .await
}

/// Approvals on deployments that the caller may see, newest first; the cursor is the last one's place.
///
/// # Errors
/// `invalid_input` for a cursor of another list.
pub async fn list(app: &App, caller: &Caller, filter: Filter, page: PageRequest) -> Result<Page<Seen>> {
    let subject = caller.subject.clone();
    let wrong = || Error::field("after", "this is no cursor of this list").hint("Start from the first page.");
    let before = page.after.as_deref().map(|after| after.parse().map_err(|_| wrong())).transpose()?;
    app.store
        .read(move |db| {
            let mut found = store::approval::list(db, &subject, &filter, before, page.limit + 1)?;
            let more = found.len() > page.limit as usize;
            found.truncate(page.limit as usize);
            let next = if more { found.last().map(|last| last.seq.to_string()) } else { None };
            let items =
                found.into_iter().map(|listed| judged(db, &subject, listed)).collect::<Result<_>>()?;
            Ok(Page { items, next })
        })
        .await
}

/// The groups that may approve on an infrastructure; administrators may everywhere.
///
/// # Errors
/// Without `view` on it.
pub async fn approvers(app: &App, caller: &Caller, id: InfrastructureId) -> Result<Vec<GroupName>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            load::infrastructure(db, &id, &subject, InfrastructureRight::View)?;
            store::approval::approvers(db, &id)
        })
        .await
}

/// Lets a group approve on an infrastructure, or not any more. To see what it approves it needs `view`, like everybody.
///
/// # Errors
/// Without `admin` on it.
pub async fn set_approver(
    app: &App,
    caller: &Caller,
    id: InfrastructureId,
    group: GroupName,
    may: bool,
) -> Result<Vec<GroupName>> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            load::infrastructure(tx, &id, &caller.subject, InfrastructureRight::Admin)?;
            store::approval::set_approver(tx, &id, &group, may)?;
            let detail = json!({ "group": group, "may": may });
            let object = ("infrastructure", id.as_str());
            app_.journal(tx, &caller, "infrastructure.approver_set", object, Note::detail(detail))?;
            tx.publish(Topic::Access);
            tx.publish(Topic::Infrastructure(id.clone()));
            store::approval::approvers(tx, &id)
        })
        .await
}
