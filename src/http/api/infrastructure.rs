//! Infrastructures, their grants, and the test of their connection.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::app;
use crate::app::infrastructure::connection::Pasted;
use crate::app::infrastructure::{Changes, NewInfrastructure};
use crate::domain::access::InfrastructureRight;
use crate::domain::clock::Timestamp;
use crate::domain::infrastructure::{self, EngineConnection, GovernPolicy};
use crate::domain::name::{GroupName, InfrastructureId, StageId};
use crate::domain::{Error, Problem};
use crate::engine::EngineReport;
use crate::http::State;
use crate::http::api::body::Body;
use crate::http::api::settings::PolicySpec;
use crate::http::api::{Reply, answer, named};
use crate::http::identity::Who;
use crate::store::observation::EngineState;

noun! {
    get "/infrastructures" => list,
    post "/infrastructures" => create,
    get "/infrastructures/{id}" => get,
    put "/infrastructures/{id}" => save,
    delete "/infrastructures/{id}" => delete,
    post "/infrastructures/{id}/test" => test,
    get "/infrastructures/{id}/role" => role,
    get "/infrastructures/{id}/grants" => grants,
    put "/infrastructures/{id}/grants/{group}" => grant,
    delete "/infrastructures/{id}/grants/{group}" => revoke,
}

/// An infrastructure: one engine connection in one stage.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Infrastructure {
    /// Its id.
    pub name: InfrastructureId,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    pub spec: InfrastructureSpec,
    pub status: InfrastructureStatus,
}

/// What an infrastructure is set to.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InfrastructureSpec {
    pub stage: StageId,
    /// The engine and how it is reached. Left out: the local Docker engine when it is made, unchanged when it is saved.
    pub engine: Option<EngineConnection>,
    /// For an engine of kind `kubernetes`, in place of its `access`: the text of a kubeconfig, of which server,
    /// certificate authority and one token or client certificate are kept. Saved anew, it replaces them. Never answered.
    #[serde(default, skip_serializing, deserialize_with = "secret")]
    #[schema(value_type = Option<String>, write_only)]
    pub kubeconfig: Option<SecretString>,
    /// The context of `kubeconfig`; left out, its current one. Never answered.
    #[serde(default, skip_serializing)]
    #[schema(write_only)]
    pub context: Option<String>,
    /// Left out: `NO_CHECK` when it is made, unchanged when it is saved.
    pub govern_policy: Option<GovernPolicy>,
    /// Left out: the default when it is made, unchanged when it is saved.
    pub policy: Option<PolicySpec>,
}

/// Reads a secret text. What is wrong with it is said without its value, which serde's own words would repeat.
fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Null => Ok(None),
        serde_json::Value::String(text) => Ok(Some(text.into())),
        _ => Err(serde::de::Error::custom("a kubeconfig is given as one text")),
    }
}

impl InfrastructureSpec {
    fn pasted(&mut self) -> crate::domain::Result<Option<Pasted>> {
        match (self.kubeconfig.take(), self.context.take()) {
            (Some(text), context) => Ok(Some(Pasted { text, context })),
            (None, None) => Ok(None),
            (None, Some(_)) => {
                let problem = Problem::new("spec.context", "a context is named without a kubeconfig");
                Err(Error::problems("invalid_input", vec![problem.hint("Give the kubeconfig as well.")]))
            }
        }
    }
}

/// What was last seen of an infrastructure's engine, and what it is to the caller.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfrastructureStatus {
    /// The caller's own highest right on it.
    pub right: InfrastructureRight,
    /// Counts every change: the settings' ETag.
    pub revision: u32,
    /// Whether the engine answered when it was last asked; absent before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reachable: Option<bool>,
    /// Why it did not, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What the engine said of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<EngineReport>)]
    pub report: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub observed_at: Option<Timestamp>,
}

impl Infrastructure {
    fn new(
        found: infrastructure::Infrastructure,
        right: InfrastructureRight,
        seen: Option<EngineState>,
    ) -> Self {
        let reachable = seen.as_ref().map(|seen| seen.reachable);
        let observed_at = seen.as_ref().map(|seen| seen.at);
        let (message, report) = seen.map(|seen| (seen.message, seen.report)).unwrap_or_default();
        Self {
            name: found.id,
            created_at: found.created_at,
            updated_at: found.updated_at,
            spec: InfrastructureSpec {
                stage: found.stage,
                engine: Some(found.engine),
                kubeconfig: None,
                context: None,
                govern_policy: Some(found.govern_policy),
                policy: Some(found.policy.into()),
            },
            status: InfrastructureStatus {
                right,
                revision: found.revision,
                reachable,
                message,
                report,
                observed_at,
            },
        }
    }

    async fn read(state: &State, who: &Who, id: InfrastructureId) -> crate::domain::Result<Self> {
        let (found, seen) = app::infrastructure::get(&state.app, who, id).await?;
        let right = found.held();
        Ok(Self::new(found.into_inner(), right, seen))
    }

    fn tagged(self) -> HttpResponse {
        answer::tagged(self.status.revision, &self)
    }
}

/// An infrastructure to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InfrastructureRequest {
    /// Its id: up to 63 letters, digits, `-`, `_` or `.`.
    pub name: InfrastructureId,
    pub spec: InfrastructureSpec,
}

/// An infrastructure's new settings: they replace the old ones.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InfrastructureChange {
    pub spec: InfrastructureSpec,
}

/// A group's right on an infrastructure.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct InfrastructureGrant {
    pub group: GroupName,
    pub right: InfrastructureRight,
}

/// The right to be given.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InfrastructureGrantRequest {
    pub right: InfrastructureRight,
}

fn rendered(grants: Vec<(GroupName, InfrastructureRight)>) -> Json<Vec<InfrastructureGrant>> {
    let grants = grants.into_iter();
    Json(grants.map(|(group, right)| InfrastructureGrant { group, right }).collect())
}

/// List the infrastructures that the caller may see, in the order of their stages.
#[utoipa::path(get, path = "/infrastructures", tag = "infrastructures", operation_id = "listInfrastructures",
    responses((status = 200, body = [Infrastructure])))]
async fn list(state: Data<State>, who: Who) -> Reply<Json<Vec<Infrastructure>>> {
    let found = app::infrastructure::list(&state.app, &who).await?.into_iter();
    Ok(Json(
        found.map(|listed| Infrastructure::new(listed.infrastructure, listed.right, listed.engine)).collect(),
    ))
}

/// Make an infrastructure.
///
/// Takes an administrator.
#[utoipa::path(post, path = "/infrastructures", tag = "infrastructures", operation_id = "createInfrastructure",
    request_body(content = InfrastructureRequest, example = json!({ "name": "lab", "spec": { "stage": "test", "engine": { "kind": "docker" } } })),
    responses((status = 200, body = Infrastructure)))]
async fn create(state: Data<State>, who: Who, body: Body<InfrastructureRequest>) -> Reply<HttpResponse> {
    let InfrastructureRequest { name, mut spec } = body.value;
    let kubeconfig = spec.pasted()?;
    let new = NewInfrastructure {
        id: name.clone(),
        stage: spec.stage,
        kubeconfig,
        engine: spec.engine,
        govern_policy: spec.govern_policy.unwrap_or_default(),
        policy: spec.policy.unwrap_or_default().into(),
    };
    app::infrastructure::create(&state.app, &who, new, body.once).await?;
    Ok(Infrastructure::read(&state, &who, name).await?.tagged())
}

/// Get an infrastructure.
#[utoipa::path(get, path = "/infrastructures/{id}", tag = "infrastructures", operation_id = "getInfrastructure",
    params(("id" = String, Path, description = "The infrastructure's id")),
    responses((status = 200, body = Infrastructure)))]
async fn get(state: Data<State>, who: Who, id: Path<String>) -> Reply<HttpResponse> {
    let id = named("infrastructure", &id)?;
    Ok(Infrastructure::read(&state, &who, id).await?.tagged())
}

/// Save an infrastructure's settings.
///
/// Takes `admin` on it; the connection, the profile and exceptions an administrator.
#[utoipa::path(put, path = "/infrastructures/{id}", tag = "infrastructures", operation_id = "saveInfrastructure",
    params(("id" = String, Path, description = "The infrastructure's id")),
    request_body(content = InfrastructureChange, example = json!({ "spec": { "stage": "prod", "governPolicy": "WARN" } })),
    responses((status = 200, body = Infrastructure)))]
async fn save(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: Body<InfrastructureChange>,
) -> Reply<HttpResponse> {
    let (id, mut spec): (InfrastructureId, _) = (named("infrastructure", &id)?, body.value.spec);
    let changes = Changes {
        kubeconfig: spec.pasted()?,
        stage: Some(spec.stage),
        engine: spec.engine,
        govern_policy: spec.govern_policy,
        policy: spec.policy.map(Into::into),
        grants: None,
        revision: answer::if_match(&request)?,
    };
    app::infrastructure::save(&state.app, &who, id.clone(), changes).await?;
    Ok(Infrastructure::read(&state, &who, id).await?.tagged())
}

/// Delete an infrastructure.
///
/// Takes an administrator; refused while a deployment uses it.
#[utoipa::path(delete, path = "/infrastructures/{id}", tag = "infrastructures", operation_id = "deleteInfrastructure",
    params(("id" = String, Path, description = "The infrastructure's id")),
    responses((status = 200, body = Infrastructure)))]
async fn delete(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<Infrastructure>> {
    let id: InfrastructureId = named("infrastructure", &id)?;
    let last = Infrastructure::read(&state, &who, id.clone()).await?;
    app::infrastructure::delete(&state.app, &who, id).await?;
    Ok(Json(last))
}

/// Ask the engine itself what it is and which rights are missing.
#[utoipa::path(post, path = "/infrastructures/{id}/test", tag = "infrastructures", operation_id = "testInfrastructure",
    params(("id" = String, Path, description = "The infrastructure's id")),
    responses((status = 200, body = EngineReport)))]
async fn test(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<EngineReport>> {
    let report = app::infrastructure::test(&state.app, &who, named("infrastructure", &id)?).await?;
    Ok(Json(report))
}

/// Get the smallest Role that Slipway needs on a Kubernetes infrastructure, with its RoleBinding.
///
/// YAML for `kubectl apply -f -`; rights that may be left out stand in it as comments.
#[utoipa::path(get, path = "/infrastructures/{id}/role", tag = "infrastructures", operation_id = "getInfrastructureRole",
    params(("id" = String, Path, description = "The infrastructure's id")),
    responses((status = 200, content_type = "text/yaml", body = String)))]
async fn role(state: Data<State>, who: Who, id: Path<String>) -> Reply<HttpResponse> {
    let role = app::infrastructure::role(&state.app, &who, named("infrastructure", &id)?).await?;
    Ok(HttpResponse::Ok().content_type("text/yaml; charset=utf-8").body(role))
}

/// List who holds which right on an infrastructure.
#[utoipa::path(get, path = "/infrastructures/{id}/grants", tag = "infrastructures", operation_id = "listInfrastructureGrants",
    params(("id" = String, Path, description = "The infrastructure's id")),
    responses((status = 200, body = [InfrastructureGrant], example = json!([{ "group": "ml-deployers", "right": "deploy" }]))))]
async fn grants(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<Vec<InfrastructureGrant>>> {
    let grants = app::infrastructure::grants(&state.app, &who, named("infrastructure", &id)?).await?;
    Ok(rendered(grants))
}

/// Give a group a right on an infrastructure, in place of the one it has.
///
/// Takes `admin` on it.
#[utoipa::path(put, path = "/infrastructures/{id}/grants/{group}", tag = "infrastructures", operation_id = "grantInfrastructure",
    params(("id" = String, Path, description = "The infrastructure's id"), ("group" = String, Path, description = "The group")),
    request_body(content = InfrastructureGrantRequest, example = json!({ "right": "deploy" })),
    responses((status = 200, body = [InfrastructureGrant])))]
async fn grant(
    state: Data<State>,
    who: Who,
    path: Path<(String, String)>,
    body: Body<InfrastructureGrantRequest>,
) -> Reply<Json<Vec<InfrastructureGrant>>> {
    let (id, group) = (named("infrastructure", &path.0)?, GroupName::parse(path.1.as_str())?);
    let grants = app::infrastructure::grant(&state.app, &who, id, group, Some(body.value.right)).await?;
    Ok(rendered(grants))
}

/// Take a group's right on an infrastructure away.
///
/// Takes `admin` on it.
#[utoipa::path(delete, path = "/infrastructures/{id}/grants/{group}", tag = "infrastructures", operation_id = "revokeInfrastructure",
    params(("id" = String, Path, description = "The infrastructure's id"), ("group" = String, Path, description = "The group")),
    responses((status = 200, body = [InfrastructureGrant])))]
async fn revoke(
    state: Data<State>,
    who: Who,
    path: Path<(String, String)>,
) -> Reply<Json<Vec<InfrastructureGrant>>> {
    let (id, group) = (named("infrastructure", &path.0)?, GroupName::parse(path.1.as_str())?);
    let grants = app::infrastructure::grant(&state.app, &who, id, group, None).await?;
    Ok(rendered(grants))
}
