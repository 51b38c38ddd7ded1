//! DataCater's shape of a deployment: its `spec` names a `pipeline`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Map;
use uuid::Uuid;

use crate::app::pipeline::{NewPipelineDeployment, PipelineChanges};
use crate::domain::deployment::Deployment;
use crate::domain::name::{InfrastructureId, Label, SecretName, ServiceName};
use crate::domain::pipeline::definition::own_service;
use crate::domain::pipeline::{PipelineUse, StreamUse};
use crate::domain::stream::Options;
use crate::domain::{Error, Result};
use crate::http::api::deployment_body::{SecretValue, hidden, nothing, secret_changes, secrets, settings};
use crate::http::api::settings::ServiceSpec;

/// What a deployment of a pipeline is set to.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineDeploymentSpec {
    /// The pipeline's uuid.
    pub pipeline: Uuid,
    /// Another stream than the pipeline's by its `uuid`, and options that win over the stream's. Secrets come in clear and
    /// are answered as `********`.
    #[serde(
        rename = "stream-in-config",
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "StreamUse::is_empty"
    )]
    #[schema(required = false, value_type = Object)]
    pub stream_in_config: StreamUse,
    #[serde(
        rename = "stream-out-config",
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "StreamUse::is_empty"
    )]
    #[schema(required = false, value_type = Object)]
    pub stream_out_config: StreamUse,
    /// Wins over the pipeline's own configuration.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Map::is_empty")]
    #[schema(required = false, value_type = Object)]
    pub config: Options,
    /// As many as the pipeline says, else 1, where none are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// The pipeline's, else the configured one, where none is named. It never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infrastructure: Option<InfrastructureId>,
    /// A disabled deployment's next update stops everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Standing consent to repair what was changed behind Slipway's back.
    #[serde(rename = "autoRepair", default)]
    #[schema(required = false)]
    pub auto_repair: bool,
    /// Groups deployments in the console.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub folder: String,
    /// Environment of every container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    pub environment: BTreeMap<String, String>,
    /// Overrides of single services; the pipeline's own is `datacater-deployment`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false, value_type = BTreeMap<String, ServiceSpec>)]
    pub services: BTreeMap<ServiceName, ServiceSpec>,
    /// Secrets to set, or with `null` to remove. Those that are not named stay as they are. Never answered.
    #[serde(
        default,
        deserialize_with = "secrets",
        skip_serializing_if = "hidden",
        serialize_with = "nothing"
    )]
    #[schema(required = false, write_only, value_type = BTreeMap<String, Option<String>>)]
    pub secrets: BTreeMap<SecretName, Option<SecretValue>>,
}

/// `null` says as little as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(read: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(read).map(Option::unwrap_or_default)
}

/// A deployment of a pipeline to be made, or what it shall be from now on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineDeploymentRequest {
    /// For people; need not be unique. The pipeline's where none is given.
    pub name: Option<String>,
    pub spec: PipelineDeploymentSpec,
    /// Why, for the journal.
    pub reason: Option<String>,
    /// Do it in spite of what governance warns of.
    #[serde(default, rename = "ignoreWarnings")]
    #[schema(required = false)]
    pub ignore_warnings: bool,
}

impl PipelineDeploymentRequest {
    /// As the use case takes it.
    ///
    /// # Errors
    /// For a name that is none; when it shall be made disabled: it is stopped later, by an update.
    pub fn into_new(self) -> Result<NewPipelineDeployment> {
        let spec = self.spec;
        if spec.enabled == Some(false) {
            return Err(Error::field("spec.enabled", "a deployment is made enabled").hint("Leave it out."));
        }
        Ok(NewPipelineDeployment {
            name: self.name.filter(|name| !name.trim().is_empty()).map(Label::parse).transpose()?,
            pipeline: spec.pipeline,
            stream_in: spec.stream_in_config,
            stream_out: spec.stream_out_config,
            config: spec.config,
            replicas: spec.replicas,
            infrastructure: spec.infrastructure,
            settings: settings(spec.environment, spec.services),
            secrets: secret_changes(spec.secrets),
            auto_repair: spec.auto_repair,
            folder: spec.folder,
            ignore_warnings: self.ignore_warnings,
        })
    }

    /// The same for one that is there.
    ///
    /// # Errors
    /// As [`Self::into_new`].
    pub fn into_changes(mut self, revision: Option<u32>) -> Result<PipelineChanges> {
        let (enabled, reason) = (self.spec.enabled.take(), self.reason.take());
        Ok(PipelineChanges { wanted: self.into_new()?, enabled, revision, reason })
    }
}

impl PipelineDeploymentSpec {
    /// As it is stored.
    pub fn of(deployment: &Deployment, of: &PipelineUse) -> Self {
        let mut services = deployment.settings.services.clone();
        let own = own_service();
        // The number of the pipeline's own replicas stands once, where DataCater's clients read it.
        let replicas = services.get_mut(&own).and_then(|service| service.replicas.take());
        if services.get(&own).is_some_and(|service| *service == Default::default()) {
            services.remove(&own);
        }
        Self {
            pipeline: of.pipeline,
            stream_in_config: of.stream_in_config.clone(),
            stream_out_config: of.stream_out_config.clone(),
            config: of.config.clone(),
            replicas,
            infrastructure: Some(deployment.infrastructure.clone()),
            enabled: Some(deployment.enabled),
            auto_repair: deployment.auto_repair,
            folder: deployment.folder.clone(),
            environment: deployment.settings.environment.clone(),
            services: services.into_iter().map(|(name, settings)| (name, settings.into())).collect(),
            secrets: BTreeMap::new(),
        }
    }
}
