//! What is sent to make or change a deployment: DataCater's `name` and `spec`.
//!
//! `spec` is read as it is written, so a deployment that was fetched can be changed and sent back. Secrets are
//! write-only: they are named in a request and never in an answer's `spec`.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::deployment::{Changes, NewDeployment};
use crate::domain::deployment::{Deployment, Settings};
use crate::domain::name::{DeploymentId, InfrastructureId, ProjectKey, SecretName, ServiceName, Version};
use crate::domain::secret::SecretChange;
use crate::domain::{Error, Result};
use crate::http::api::pipeline_deployment::PipelineDeploymentRequest;
use crate::http::api::settings::ServiceSpec;

/// What a deployment is set to.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeploymentSpec {
    pub project: ProjectKey,
    /// The version of the project's bundle that shall run.
    pub bundle: Version,
    pub infrastructure: InfrastructureId,
    /// A disabled deployment's next update stops everything.
    #[serde(default = "yes")]
    #[schema(required = false, default = true)]
    pub enabled: bool,
    /// Standing consent to repair what was changed behind Slipway's back.
    #[serde(default)]
    #[schema(required = false)]
    pub auto_repair: bool,
    /// Groups deployments in the console.
    #[serde(default)]
    #[schema(required = false)]
    pub folder: String,
    /// Environment of every service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    pub environment: BTreeMap<String, String>,
    /// Overrides of single services.
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

/// Secrets are never written out: [`SecretValue`] can't be, and this leaves the whole field out.
pub(super) fn hidden<T>(_: &T) -> bool {
    true
}

pub(super) fn nothing<T, S: serde::Serializer>(_: &T, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_none()
}

fn yes() -> bool {
    true
}

impl DeploymentSpec {
    /// As it is stored.
    pub fn of(deployment: &Deployment) -> Self {
        let services = deployment.settings.services.clone().into_iter();
        Self {
            project: deployment.project.clone(),
            bundle: deployment.version.clone(),
            infrastructure: deployment.infrastructure.clone(),
            enabled: deployment.enabled,
            auto_repair: deployment.auto_repair,
            folder: deployment.folder.clone(),
            environment: deployment.settings.environment.clone(),
            services: services.map(|(name, settings)| (name, settings.into())).collect(),
            secrets: BTreeMap::new(),
        }
    }
}

pub(super) fn settings(
    environment: BTreeMap<String, String>,
    services: BTreeMap<ServiceName, ServiceSpec>,
) -> Settings {
    Settings { environment, services: services.into_iter().map(|(name, spec)| (name, spec.into())).collect() }
}

/// A secret on its way in. It has no way out.
#[derive(Debug)]
pub struct SecretValue(SecretString);

/// Reads secrets. What is wrong with one is said without its value, which serde's own words would repeat.
pub(super) fn secrets<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<BTreeMap<SecretName, Option<SecretValue>>, D::Error> {
    use serde::de::Error as _;
    let Value::Object(map) = Value::deserialize(deserializer)? else {
        return Err(D::Error::custom("secrets are a mapping of names to texts"));
    };
    let read = |(name, value): (String, Value)| {
        let name = SecretName::parse(name).map_err(D::Error::custom)?;
        match value {
            Value::Null => Ok((name, None)),
            Value::String(text) => Ok((name, Some(SecretValue(SecretString::from(text))))),
            _ => Err(D::Error::custom(format!("the secret {name} is not a text"))),
        }
    };
    map.into_iter().map(read).collect()
}

pub(super) fn secret_changes(
    secrets: BTreeMap<SecretName, Option<SecretValue>>,
) -> BTreeMap<SecretName, SecretChange> {
    let change =
        |value: Option<SecretValue>| value.map_or(SecretChange::Remove, |value| SecretChange::Set(value.0));
    secrets.into_iter().map(|(name, value)| (name, change(value))).collect()
}

/// A deployment to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentRequest {
    /// Its id; `<project>-on-<infrastructure>` where none is named.
    pub name: Option<DeploymentId>,
    pub spec: DeploymentSpec,
    /// Make it in spite of what governance warns of.
    #[serde(default, rename = "ignoreWarnings")]
    #[schema(required = false)]
    pub ignore_warnings: bool,
}

impl DeploymentRequest {
    /// As the use case takes it.
    ///
    /// # Errors
    /// When it shall be made disabled: a deployment is stopped by an update.
    pub fn into_new(self) -> Result<NewDeployment> {
        let spec = self.spec;
        if !spec.enabled {
            return Err(Error::field("spec.enabled", "a deployment is made enabled")
                .hint("Leave it out: nothing runs before the first update. Stop it later."));
        }
        Ok(NewDeployment {
            id: self.name,
            project: spec.project,
            version: spec.bundle,
            infrastructure: spec.infrastructure,
            settings: settings(spec.environment, spec.services),
            secrets: secret_changes(spec.secrets),
            auto_repair: spec.auto_repair,
            folder: spec.folder,
            deployed_project: None,
            ignore_warnings: self.ignore_warnings,
        })
    }
}

/// A deployment's new settings: they replace the old ones; secrets that are not named stay.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentReplacement {
    /// When given, the name that the deployment has.
    pub name: Option<String>,
    pub spec: DeploymentSpec,
    /// Why, for the journal.
    pub reason: Option<String>,
    /// Save it in spite of what governance warns of.
    #[serde(default, rename = "ignoreWarnings")]
    #[schema(required = false)]
    pub ignore_warnings: bool,
}

impl DeploymentReplacement {
    /// As the use case takes it.
    ///
    /// # Errors
    /// When name, project or infrastructure are not those of `before`: they never change.
    pub fn into_changes(self, before: &Deployment, revision: Option<u32>) -> Result<Changes> {
        let spec = self.spec;
        fixed("name", self.name.as_deref(), before.id.as_str())?;
        fixed("spec.project", Some(spec.project.as_str()), before.project.as_str())?;
        fixed("spec.infrastructure", Some(spec.infrastructure.as_str()), before.infrastructure.as_str())?;
        Ok(Changes {
            version: Some(spec.bundle),
            settings: Some(settings(spec.environment, spec.services)),
            secrets: secret_changes(spec.secrets),
            enabled: Some(spec.enabled),
            auto_repair: Some(spec.auto_repair),
            folder: Some(spec.folder),
            source: None,
            removal: None,
            revision,
            reason: self.reason,
            ignore_warnings: self.ignore_warnings,
        })
    }
}

fn fixed(place: &'static str, given: Option<&str>, is: &str) -> Result<()> {
    match given {
        Some(given) if given != is => Err(Error::field(place, format!("it is {is}, and never changes"))
            .hint("Make another deployment, or promote this one to another infrastructure.")),
        _ => Ok(()),
    }
}

/// A deployment to be made: of a bundle, or of a pipeline.
#[derive(Debug, utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only the OpenAPI document names it")]
pub enum AnyDeploymentRequest {
    Bundle(Box<DeploymentRequest>),
    Pipeline(Box<PipelineDeploymentRequest>),
}

/// What a deployment shall be from now on.
#[derive(Debug, utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only the OpenAPI document names it")]
pub enum AnyDeploymentReplacement {
    Bundle(Box<DeploymentReplacement>),
    Pipeline(Box<PipelineDeploymentRequest>),
}

/// Some of a deployment's settings: what is left out stays as it is.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentPatch {
    #[serde(default)]
    #[schema(required = false)]
    pub spec: SpecPatch,
    /// Why, for the journal.
    pub reason: Option<String>,
    /// Save it in spite of what governance warns of.
    #[serde(default, rename = "ignoreWarnings")]
    #[schema(required = false)]
    pub ignore_warnings: bool,
}

/// The fields of `spec` that can change.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpecPatch {
    pub bundle: Option<Version>,
    pub enabled: Option<bool>,
    pub auto_repair: Option<bool>,
    pub folder: Option<String>,
    /// Replaces the whole map.
    pub environment: Option<BTreeMap<String, String>>,
    /// Each service that is named gets these overrides in place of those it has; `null` takes them away.
    #[serde(default)]
    #[schema(required = false, value_type = BTreeMap<String, ServiceSpec>)]
    pub services: BTreeMap<ServiceName, Option<ServiceSpec>>,
    /// Secrets to set, or with `null` to remove.
    #[serde(default, deserialize_with = "secrets")]
    #[schema(required = false, write_only, value_type = BTreeMap<String, Option<String>>)]
    pub secrets: BTreeMap<SecretName, Option<SecretValue>>,
}

impl DeploymentPatch {
    /// As the use case takes it.
    pub fn into_changes(self, before: &Deployment, revision: Option<u32>) -> Changes {
        let spec = self.spec;
        let settings = (spec.environment.is_some() || !spec.services.is_empty())
            .then(|| overlaid(&before.settings, spec.environment, spec.services));
        Changes {
            version: spec.bundle,
            secrets: secret_changes(spec.secrets),
            enabled: spec.enabled,
            auto_repair: spec.auto_repair,
            folder: spec.folder,
            source: None,
            removal: None,
            // What is laid over what was read holds only for that.
            revision: revision.or(settings.is_some().then_some(before.revision)),
            settings,
            reason: self.reason,
            ignore_warnings: self.ignore_warnings,
        }
    }
}

fn overlaid(
    before: &Settings,
    environment: Option<BTreeMap<String, String>>,
    services: BTreeMap<ServiceName, Option<ServiceSpec>>,
) -> Settings {
    let mut after = before.clone();
    after.environment = environment.unwrap_or(after.environment);
    for (name, spec) in services {
        match spec {
            Some(spec) => after.services.insert(name, spec.into()),
            None => after.services.remove(&name),
        };
    }
    after
}

/// Why something is asked for.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reason {
    /// For the journal.
    pub reason: Option<String>,
}

/// Where a deployment's bundle goes next.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Promotion {
    /// The infrastructure.
    pub to: InfrastructureId,
    /// The id of the deployment there; `<project>-on-<infrastructure>` where none is named.
    #[serde(rename = "as")]
    pub as_id: Option<DeploymentId>,
    /// Do it in spite of what governance warns of there.
    #[serde(default)]
    #[schema(required = false)]
    pub ignore_warnings: bool,
}

/// Which update to go back to.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollBack {
    /// Its number: one that succeeded.
    pub to: u32,
    /// For the journal.
    pub reason: Option<String>,
}
