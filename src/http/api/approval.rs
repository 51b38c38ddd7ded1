//! Approvals: asked for, listed, given or refused; who may give them on an infrastructure; what governance says.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::app;
use crate::domain::approval::ApprovalState;
use crate::domain::bundle::Digest;
use crate::domain::clock::Timestamp;
use crate::domain::diff::Change;
use crate::domain::health::Message;
use crate::domain::infrastructure::GovernPolicy;
use crate::domain::name::{DeploymentId, GroupName, InfrastructureId, ProjectKey, Version};
use crate::domain::page::PageRequest;
use crate::http::State;
use crate::http::api::body::Body;
use crate::http::api::deployment_body::Reason;
use crate::http::api::query::Query;
use crate::http::api::{Reply, answer, named, query};
use crate::http::identity::Who;

noun! {
    get "/deployments/{id}/governance" => governance,
    post "/deployments/{id}/approvals" => request,
    get "/approvals" => list,
    get "/approvals/{uuid}" => get,
    post "/approvals/{uuid}/approve" => approve,
    post "/approvals/{uuid}/reject" => reject,
    post "/approvals/{uuid}/withdraw" => withdraw,
    get "/infrastructures/{id}/approvers" => approvers,
    put "/infrastructures/{id}/approvers/{group}" => add_approver,
    delete "/infrastructures/{id}/approvers/{group}" => remove_approver,
}

/// A question for approval, and how it was answered.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Its uuid.
    pub name: Uuid,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    pub spec: ApprovalSpec,
    pub status: ApprovalStatus,
}

/// What is to be approved, and for whom.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalSpec {
    pub deployment: DeploymentId,
    pub project: ProjectKey,
    pub bundle: Version,
    pub infrastructure: InfrastructureId,
    /// The plan that is approved, and no other: whatever would change what runs changes it.
    pub plan_digest: Digest,
    pub requester: String,
    pub reason: Option<String>,
}

/// How far it is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStatus {
    pub state: ApprovalState,
    /// `false`: the settings give another plan by now, and this is void.
    pub current: bool,
    pub decided_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
    pub comment: Option<String>,
    /// Whether the caller may decide it.
    pub may_decide: bool,
    /// Why not.
    pub refusal: Option<String>,
    /// What the plan changes of what ran when it was asked for; only of a single one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<Change>>,
    /// What governance found in the plan, for which an approval answers; only of a single one that can be decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Message>,
}

impl From<app::approval::Seen> for Approval {
    fn from(seen: app::approval::Seen) -> Self {
        let approval = seen.approval;
        let (decided_by, decided_at, comment) = match approval.decision {
            Some(decision) => (Some(decision.by.name), Some(decision.at), Some(decision.comment)),
            None => (None, None, None),
        };
        Self {
            name: approval.id,
            created_at: approval.created_at,
            spec: ApprovalSpec {
                deployment: approval.deployment,
                project: approval.project,
                bundle: approval.version,
                infrastructure: approval.infrastructure,
                plan_digest: approval.plan,
                requester: approval.requester.name,
                reason: approval.reason,
            },
            status: ApprovalStatus {
                may_decide: seen.refusal.is_none()
                    && seen.current
                    && approval.state == ApprovalState::Pending,
                state: approval.state,
                current: seen.current,
                decided_by,
                decided_at,
                comment,
                refusal: seen.refusal,
                changes: None,
                findings: Vec::new(),
            },
        }
    }
}

/// What an infrastructure's governance says of a deployment.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Governance {
    pub policy: GovernPolicy,
    /// The bundle that was looked at.
    pub bundle: Version,
    /// Nothing where nothing is checked, or the plan is approved.
    pub messages: Vec<Message>,
}

/// Which bundle is looked at.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Of {
    /// Another bundle of the project, in place of the one that is set.
    bundle: Option<Version>,
}

/// Show what governance says of a deployment with its bundle, or with another one.
#[utoipa::path(get, path = "/deployments/{id}/governance", tag = "approvals", operation_id = "getGovernance",
    params(("id" = String, Path, description = "The deployment's id or uuid"), Of),
    responses((status = 200, body = Governance)))]
async fn governance(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    query: Query<Of>,
) -> Reply<Json<Governance>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let found = app::approval::governance(&state.app, &who, id, query.0.bundle).await?;
    Ok(Json(Governance { policy: found.policy, bundle: found.version, messages: found.messages }))
}

/// Ask for an approval of what a deployment's settings give.
///
/// Takes `deploy` on its project and its infrastructure. One that is pending for the same plan is answered again.
#[utoipa::path(post, path = "/deployments/{id}/approvals", tag = "approvals", operation_id = "requestApproval",
    params(("id" = String, Path, description = "The deployment's id or uuid"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content = Option<Reason>, example = json!({ "reason": "release 1.1" })),
    responses((status = 200, body = Approval)))]
async fn request(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: Body<Reason>,
) -> Reply<Json<Approval>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let seen = app::approval::request(&state.app, &who, id, body.value.reason, body.once).await?;
    Ok(Json(seen.into()))
}

/// Which approvals are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    deployment: Option<DeploymentId>,
    state: Option<ApprovalState>,
    /// `true`: only those of plans that the settings still give.
    #[serde(default)]
    #[param(required = false)]
    current: bool,
    /// At most this many entries, 1 to 500. Without it all come.
    limit: Option<u32>,
    /// The cursor of the page before, from its `Link` header.
    after: Option<String>,
}

/// List the approvals on deployments that the caller may see, newest first.
#[utoipa::path(get, path = "/approvals", tag = "approvals", operation_id = "listApprovals", params(Filter),
    responses((status = 200, body = [Approval])))]
async fn list(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    query: Query<Filter>,
) -> Reply<HttpResponse> {
    let given = query.0;
    let page = query::page(given.limit, given.after)?;
    let filter =
        app::approval::Filter { deployment: given.deployment, state: given.state, current: given.current };
    let fetch = move |page: PageRequest| {
        let (state, who, filter) = (state.clone(), who.clone(), filter.clone());
        async move { Ok(app::approval::list(&state.app, &who, filter, page).await?.map(Approval::from)) }
    };
    answer::list(&request, page, fetch).await
}

/// Get an approval, with the changes that it is about and what it answers for.
#[utoipa::path(get, path = "/approvals/{uuid}", tag = "approvals", operation_id = "getApproval",
    params(("uuid" = String, Path, description = "The approval's uuid")),
    responses((status = 200, body = Approval)))]
async fn get(state: Data<State>, who: Who, uuid: Path<String>) -> Reply<Json<Approval>> {
    let detail = app::approval::get(&state.app, &who, named("approval", &uuid)?).await?;
    let mut approval = Approval::from(detail.seen);
    approval.status.changes = Some(detail.changes);
    approval.status.findings = detail.findings;
    Ok(Json(approval))
}

/// What is said with a decision.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Comment {
    #[schema(required = false)]
    pub comment: String,
}

/// Approve a plan.
///
/// Takes a group that may approve on the infrastructure; never one's own.
#[utoipa::path(post, path = "/approvals/{uuid}/approve", tag = "approvals", operation_id = "approve",
    params(("uuid" = String, Path, description = "The approval's uuid")),
    request_body(content = Option<Comment>, example = json!({ "comment": "tried on test" })),
    responses((status = 200, body = Approval)))]
async fn approve(
    state: Data<State>,
    who: Who,
    uuid: Path<String>,
    body: Body<Comment>,
) -> Reply<Json<Approval>> {
    decided(&state, &who, &uuid, true, body.value.comment).await
}

/// Reject a plan, saying why.
///
/// Takes a group that may approve on the infrastructure; never one's own.
#[utoipa::path(post, path = "/approvals/{uuid}/reject", tag = "approvals", operation_id = "reject",
    params(("uuid" = String, Path, description = "The approval's uuid")),
    request_body(content = Comment, example = json!({ "comment": "not before the weekend" })),
    responses((status = 200, body = Approval)))]
async fn reject(
    state: Data<State>,
    who: Who,
    uuid: Path<String>,
    body: Body<Comment>,
) -> Reply<Json<Approval>> {
    decided(&state, &who, &uuid, false, body.value.comment).await
}

async fn decided(
    state: &State,
    who: &Who,
    uuid: &str,
    approve: bool,
    comment: String,
) -> Reply<Json<Approval>> {
    let id = named("approval", uuid)?;
    let seen = app::approval::decide(&state.app, who, id, approve, comment).await?;
    Ok(Json(seen.into()))
}

/// Take back an approval that one asked for.
#[utoipa::path(post, path = "/approvals/{uuid}/withdraw", tag = "approvals", operation_id = "withdrawApproval",
    params(("uuid" = String, Path, description = "The approval's uuid")),
    responses((status = 200, body = Approval)))]
async fn withdraw(state: Data<State>, who: Who, uuid: Path<String>) -> Reply<Json<Approval>> {
    let seen = app::approval::withdraw(&state.app, &who, named("approval", &uuid)?).await?;
    Ok(Json(seen.into()))
}

/// List the groups that may approve on an infrastructure. Administrators may on all.
#[utoipa::path(get, path = "/infrastructures/{id}/approvers", tag = "approvals", operation_id = "listApprovers",
    params(("id" = String, Path, description = "The infrastructure's id")),
    responses((status = 200, body = [GroupName], example = json!(["release-managers"]))))]
async fn approvers(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<Vec<GroupName>>> {
    Ok(Json(app::approval::approvers(&state.app, &who, named("infrastructure", &id)?).await?))
}

/// Let a group approve on an infrastructure.
///
/// Takes `admin` on it. To see what it approves, the group needs `view` on project and infrastructure.
#[utoipa::path(put, path = "/infrastructures/{id}/approvers/{group}", tag = "approvals", operation_id = "addApprover",
    params(("id" = String, Path, description = "The infrastructure's id"), ("group" = String, Path, description = "The group")),
    responses((status = 200, body = [GroupName])))]
async fn add_approver(
    state: Data<State>,
    who: Who,
    path: Path<(String, String)>,
) -> Reply<Json<Vec<GroupName>>> {
    set_approver(&state, &who, &path, true).await
}

/// Let a group not approve on an infrastructure any more.
///
/// Takes `admin` on it.
#[utoipa::path(delete, path = "/infrastructures/{id}/approvers/{group}", tag = "approvals", operation_id = "removeApprover",
    params(("id" = String, Path, description = "The infrastructure's id"), ("group" = String, Path, description = "The group")),
    responses((status = 200, body = [GroupName])))]
async fn remove_approver(
    state: Data<State>,
    who: Who,
    path: Path<(String, String)>,
) -> Reply<Json<Vec<GroupName>>> {
    set_approver(&state, &who, &path, false).await
}

async fn set_approver(
    state: &State,
    who: &Who,
    path: &(String, String),
    may: bool,
) -> Reply<Json<Vec<GroupName>>> {
    let (id, group) = (named("infrastructure", &path.0)?, GroupName::parse(path.1.as_str())?);
    Ok(Json(app::approval::set_approver(&state.app, who, id, group, may).await?))
}
