//! Infrastructures: listed, made, deleted; an API key made for one.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};

use super::deployment::{self, DeploymentBasicInfo};
use super::operations;
use crate::app;
use crate::app::infrastructure::NewInfrastructure;
use crate::domain::Result;
use crate::domain::access::InfrastructureRight;
use crate::domain::infrastructure::{self, EngineConnection, GovernPolicy};
use crate::domain::name::{InfrastructureId, Label, StageId};
use crate::domain::policy::Policy;
use crate::http::State;
use crate::http::api::body::Body;
use crate::http::api::query::Query;
use crate::http::api::{Reply, named};
use crate::http::identity::Who;

operations! {
    get "/project-deployer/infras" => list,
    post "/project-deployer/infras" => create,
    get "/project-deployer/infras/{id}" => get,
    delete "/project-deployer/infras/{id}" => delete,
    post "/project-deployer/infras/{id}/generate-personal-api-key" => generate_key,
}

/// An infrastructure in short.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InfraBasicInfo {
    id: InfrastructureId,
    stage: StageId,
    govern_check_policy: GovernPolicy,
    /// Where its engine is.
    automation_node_url: String,
    automation_node_external_url: String,
}

impl From<&infrastructure::Infrastructure> for InfraBasicInfo {
    fn from(found: &infrastructure::Infrastructure) -> Self {
        let url = place_of(&found.engine);
        Self {
            id: found.id.clone(),
            stage: found.stage.clone(),
            govern_check_policy: found.govern_policy,
            automation_node_url: url.clone(),
            automation_node_external_url: url,
        }
    }
}

/// Where an engine is, in short.
pub(super) fn place_of(engine: &EngineConnection) -> String {
    match engine {
        EngineConnection::Docker { host, .. } => host.clone(),
        EngineConnection::Kubernetes(cluster) => format!("kubernetes:{}", cluster.namespace),
        EngineConnection::Fake {} => "fake:".to_owned(),
    }
}

/// An infrastructure as the client's status object holds it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InfraStatus {
    is_admin: bool,
    can_deploy: bool,
    infra_basic_info: InfraBasicInfo,
    deployments: Vec<DeploymentBasicInfo>,
}

async fn status(
    state: &State,
    who: &Who,
    found: &infrastructure::Infrastructure,
    right: InfrastructureRight,
) -> Result<InfraStatus> {
    let filter = app::deployment::Filter {
        infrastructure: Some(found.id.clone()),
        bundles: true,
        ..app::deployment::Filter::default()
    };
    let deployments = deployment::all(state, who, filter).await?;
    Ok(InfraStatus {
        is_admin: right >= InfrastructureRight::Admin,
        can_deploy: right >= InfrastructureRight::Deploy,
        infra_basic_info: found.into(),
        deployments: deployments.iter().map(|one| (&one.deployment).into()).collect(),
    })
}

async fn list(state: Data<State>, who: Who) -> Reply<Json<Vec<InfraStatus>>> {
    let mut listed = Vec::new();
    for one in app::infrastructure::list(&state.app, &who).await? {
        listed.push(status(&state, &who, &one.infrastructure, one.right).await?);
    }
    Ok(Json(listed))
}

async fn get(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<InfraStatus>> {
    let (found, _) = app::infrastructure::get(&state.app, &who, named("infrastructure", &id)?).await?;
    let right = found.held();
    Ok(Json(status(&state, &who, &found, right).await?))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewInfra {
    id: InfrastructureId,
    stage: StageId,
    #[serde(default)]
    govern_check_policy: GovernPolicy,
}

async fn create(state: Data<State>, who: Who, body: Body<NewInfra>) -> Reply<Json<InfraStatus>> {
    let NewInfra { id, stage, govern_check_policy } = body.value;
    let new = NewInfrastructure {
        id,
        stage,
        engine: None,
        kubeconfig: None,
        govern_policy: govern_check_policy,
        policy: Policy::default(),
    };
    let made = app::infrastructure::create(&state.app, &who, new, body.once).await?;
    let right = made.held();
    Ok(Json(status(&state, &who, &made, right).await?))
}

async fn delete(state: Data<State>, who: Who, id: Path<String>) -> Reply<HttpResponse> {
    app::infrastructure::delete(&state.app, &who, named("infrastructure", &id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeySettings {
    label: Label,
    #[serde(default)]
    description: String,
    for_user: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    node_id: InfrastructureId,
    /// The key's id, by which it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<uuid::Uuid>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyCreation {
    created_on_all_nodes: bool,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    nodes_and_keys: Vec<Node>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    nodes_where_user_does_not_exist: Vec<Node>,
    nodes_where_user_is_disabled: Vec<Node>,
}

/// A key is its caller's own, with no more than the caller has: nobody gets somebody else's.
async fn generate_key(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    query: Query<KeySettings>,
) -> Reply<Json<KeyCreation>> {
    use secrecy::ExposeSecret as _;
    let (found, _) = app::infrastructure::get(&state.app, &who, named("infrastructure", &id)?).await?;
    let node = |key_id| Node { node_id: found.id.clone(), key_id };
    let KeySettings { label, description, for_user } = query.0;
    let own = who.subject.name.clone();
    if let Some(user) = for_user.filter(|user| *user != own) {
        return Ok(Json(KeyCreation {
            created_on_all_nodes: false,
            error: Some(format!(
                "a key is made for its caller, {own}, alone; {user} makes one in the console"
            )),
            user,
            secret: None,
            nodes_and_keys: Vec::new(),
            nodes_where_user_does_not_exist: vec![node(None)],
            nodes_where_user_is_disabled: Vec::new(),
        }));
    }
    let name = match description.trim() {
        "" => label,
        more => Label::parse(format!("{label} ({more})"))?,
    };
    let (key, secret) = app::api_key::derive(&state.app, &who, name).await?;
    Ok(Json(KeyCreation {
        created_on_all_nodes: true,
        user: own,
        secret: Some(secret.expose_secret().to_owned()),
        nodes_and_keys: vec![node(Some(key.id))],
        error: None,
        nodes_where_user_does_not_exist: Vec::new(),
        nodes_where_user_is_disabled: Vec::new(),
    }))
}
