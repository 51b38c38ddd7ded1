//! A deployment's settings: its bundle, whether it is enabled, its variables, and Slipway's own per service.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::deployment::{Definition, Warnings};
use super::operations;
use super::settings::Edited;
use crate::app;
use crate::app::deployment::Changes;
use crate::domain::Result;
use crate::domain::deployment::{Deployment, Settings};
use crate::domain::name::ServiceName;
use crate::http::State;
use crate::http::api::Reply;
use crate::http::api::body::Body;
use crate::http::api::query::Query;
use crate::http::api::settings::ServiceSpec;
use crate::http::identity::Who;

operations! {
    get "/project-deployer/deployments/{id}/settings" => get,
    put "/project-deployer/deployments/{id}/settings" => save,
}

const CHANGEABLE: [&str; 6] =
    ["bundleId", "enabled", "localVariables", "projectFolderId", "services", "autoRepair"];

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeploymentSettings {
    #[serde(flatten)]
    definition: Definition,
    /// Environment of every service.
    local_variables: BTreeMap<String, String>,
    /// Slipway's own: overrides of single services.
    services: BTreeMap<ServiceName, ServiceSpec>,
    /// Slipway's own: standing consent to repair drift.
    auto_repair: bool,
    // What Dataiku's automation nodes have and a workload does not.
    bundle_container_settings: Value,
    scenarios_to_activate: Map<String, Value>,
    disable_automatic_triggers: bool,
}

impl From<Deployment> for DeploymentSettings {
    fn from(found: Deployment) -> Self {
        let definition = Definition::from(&found);
        let services = found.settings.services.into_iter();
        Self {
            definition,
            local_variables: found.settings.environment,
            services: services.map(|(name, settings)| (name, settings.into())).collect(),
            auto_repair: found.auto_repair,
            bundle_container_settings: json!({ "remapping": { "connections": [], "codeEnvs": [] } }),
            scenarios_to_activate: Map::new(),
            disable_automatic_triggers: false,
        }
    }
}

async fn get(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<DeploymentSettings>> {
    let id = super::deployment_of(&state.app, &who, &id).await?;
    let found = app::deployment::get(&state.app, &who, id).await?;
    Ok(Json(found.into_inner().into()))
}

/// Saves all of it or nothing. The client sends what it read, however long ago: the last one wins.
async fn save(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    query: Query<Warnings>,
    body: Body<Map<String, Value>>,
) -> Reply<HttpResponse> {
    let id = super::deployment_of(&state.app, &who, &id).await?;
    let before = app::deployment::get(&state.app, &who, id.clone()).await?.into_inner();
    let (settings, revision) = (before.settings.clone(), before.revision);
    let mut edited = Edited::new(body.value, &DeploymentSettings::from(before), &CHANGEABLE)?;
    let settings = laid_over(settings, &mut edited)?;
    let changes = Changes {
        version: edited.take("bundleId")?,
        enabled: edited.take("enabled")?,
        auto_repair: edited.take("autoRepair")?,
        folder: edited.take::<Option<String>>("projectFolderId")?.map(Option::unwrap_or_default),
        // What is laid over what was just read holds only for that.
        revision: settings.is_some().then_some(revision),
        settings,
        ignore_warnings: query.0.ignore_warnings,
        ..Changes::default()
    };
    app::deployment::save(&state.app, &who, id, changes).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `None`: nothing of it is new.
fn laid_over(mut settings: Settings, edited: &mut Edited) -> Result<Option<Settings>> {
    let variables = edited.take::<BTreeMap<String, Value>>("localVariables")?;
    let services = edited.take::<BTreeMap<ServiceName, ServiceSpec>>("services")?;
    if variables.is_none() && services.is_none() {
        return Ok(None);
    }
    if let Some(variables) = variables {
        settings.environment = variables.into_iter().map(|(name, value)| (name, as_text(value))).collect();
    }
    if let Some(services) = services {
        settings.services = services.into_iter().map(|(name, spec)| (name, spec.into())).collect();
    }
    Ok(Some(settings))
}

/// A variable may be anything in JSON; an environment holds texts.
fn as_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
