//! An infrastructure's settings: stage, governance, permissions, and Slipway's own engine and policy.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use serde_json::{Map, Value};

use super::infrastructure::place_of;
use super::operations;
use super::permission::{self, InfrastructurePermission};
use super::settings::Edited;
use crate::app;
use crate::app::infrastructure::Changes;
use crate::domain::Result;
use crate::domain::infrastructure::{EngineConnection, GovernPolicy};
use crate::domain::name::{InfrastructureId, StageId};
use crate::http::State;
use crate::http::api::body::Body;
use crate::http::api::settings::PolicySpec;
use crate::http::api::{Reply, named};
use crate::http::identity::Who;

operations! {
    get "/project-deployer/infras/{id}/settings" => get,
    put "/project-deployer/infras/{id}/settings" => save,
}

const CHANGEABLE: [&str; 5] = ["stage", "governCheckPolicy", "permissions", "engine", "policy"];

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InfraSettings {
    id: InfrastructureId,
    stage: StageId,
    govern_check_policy: GovernPolicy,
    permissions: Vec<InfrastructurePermission>,
    /// Slipway's own: the engine, and how it is reached; never a credential.
    engine: EngineConnection,
    /// Slipway's own: what it allows and imposes.
    policy: PolicySpec,
    // What Dataiku's nodes have and an engine does not.
    automation_node_url: String,
    automation_node_external_url: String,
    autoconfigure_from_nodes_directory: bool,
    node_id: Option<String>,
    admin_api_key: Option<String>,
    #[serde(rename = "trustAllSSLCertificates")]
    trust_all_ssl_certificates: bool,
}

async fn read(state: &State, who: &Who, id: InfrastructureId) -> Result<InfraSettings> {
    let (found, _) = app::infrastructure::get(&state.app, who, id.clone()).await?;
    let grants = app::infrastructure::grants(&state.app, who, id).await?;
    let found = found.into_inner();
    Ok(InfraSettings {
        automation_node_url: place_of(&found.engine),
        automation_node_external_url: place_of(&found.engine),
        id: found.id,
        stage: found.stage,
        govern_check_policy: found.govern_policy,
        permissions: grants.into_iter().map(Into::into).collect(),
        engine: found.engine,
        policy: found.policy.into(),
        autoconfigure_from_nodes_directory: false,
        node_id: None,
        admin_api_key: None,
        trust_all_ssl_certificates: false,
    })
}

async fn get(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<InfraSettings>> {
    Ok(Json(read(&state, &who, named("infrastructure", &id)?).await?))
}

/// Saves all of it or nothing. The client sends what it read, however long ago: the last one wins.
async fn save(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: Body<Map<String, Value>>,
) -> Reply<HttpResponse> {
    let id: InfrastructureId = named("infrastructure", &id)?;
    let mut edited = Edited::new(body.value, &read(&state, &who, id.clone()).await?, &CHANGEABLE)?;
    let changes = Changes {
        stage: edited.take("stage")?,
        engine: edited.take("engine")?,
        kubeconfig: None,
        govern_policy: edited.take("governCheckPolicy")?,
        policy: edited.take::<PolicySpec>("policy")?.map(Into::into),
        grants: edited.take("permissions")?.map(permission::infrastructure),
        revision: None,
    };
    app::infrastructure::save(&state.app, &who, id, changes).await?;
    Ok(HttpResponse::NoContent().finish())
}
