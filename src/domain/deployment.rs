//! A deployment: a project's bundle on an infrastructure, with settings; enabled or not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::access::{Guarded, InfrastructureRight, Origin, ProjectRight, Subject};
use crate::domain::clock::Timestamp;
use crate::domain::name::{DeploymentId, InfrastructureId, Label, ProjectKey, ServiceName, Version};
use crate::domain::pipeline::PipelineUse;
use crate::domain::workload::{Port, Resources};

/// What a deployment overrides of its bundle. Secrets are kept apart ([`crate::domain::secret`]).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Environment of every service.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Overrides of single services.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, ServiceSettings>)]
    pub services: BTreeMap<ServiceName, ServiceSettings>,
}

/// What a deployment overrides of one service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceSettings {
    /// Added to, and winning over, the bundle's and the deployment's environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Each field that is set wins over the bundle's.
    pub resources: Resources,
    /// Replaces the bundle's published ports when set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub ports: Option<Vec<Port>>,
    /// Replaces the tag (or digest) of an image reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_tag: Option<String>,
}

/// What a deployment runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Source {
    /// A bundle that somebody published.
    #[default]
    Bundle,
    /// A pipeline between two streams. Its definitions are kept as bundles of a project of its own, which nobody sees.
    Pipeline(PipelineUse),
    /// One run of a context, kept likewise.
    Execution(ExecutionOf),
}

impl Source {
    /// What lists show and search by.
    pub fn name(&self) -> Option<&Label> {
        match self {
            Self::Bundle => None,
            Self::Pipeline(of) => Some(&of.name),
            Self::Execution(of) => Some(&of.name),
        }
    }

    /// The pipeline, where it is one's.
    pub fn pipeline(&self) -> Option<&PipelineUse> {
        match self {
            Self::Pipeline(of) => Some(of),
            Self::Bundle | Self::Execution(_) => None,
        }
    }

    /// The context, where it is a run of one.
    pub fn execution(&self) -> Option<&ExecutionOf> {
        match self {
            Self::Execution(of) => Some(of),
            Self::Bundle | Self::Pipeline(_) => None,
        }
    }

    /// Whether somebody published what it runs.
    pub fn is_bundle(&self) -> bool {
        *self == Self::Bundle
    }
}

/// What an execution was asked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionOf {
    pub context: Uuid,
    /// For people: what it is an execution of.
    pub name: Label,
    /// The engine's name as it was given.
    pub engine: String,
    pub namespace: String,
    /// Secrets stand as they are shown: masked.
    pub environment: BTreeMap<String, String>,
}

/// A deployment that is to go as soon as it has stopped: who asked for that, and whether its volumes go with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    pub requester: Subject,
    pub origin: Origin,
    pub volumes: bool,
}

/// A deployment as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    pub id: DeploymentId,
    pub uuid: Uuid,
    pub source: Source,
    /// It goes as soon as it has stopped.
    pub removal: Option<Removal>,
    /// Of a source that is no bundle: where its definitions are kept, under the deployment's uuid.
    pub project: ProjectKey,
    pub infrastructure: InfrastructureId,
    /// The bundle that the settings want.
    pub version: Version,
    pub enabled: bool,
    pub settings: Settings,
    /// Standing consent to repair drift.
    pub auto_repair: bool,
    /// Kept and returned for Dataiku's clients; groups in the console. Empty: the root.
    pub folder: String,
    /// What Dataiku's clients call the project where it is deployed; kept and returned for them. `None`: its own key.
    pub deployed_project: Option<ProjectKey>,
    pub created_at: Timestamp,
    pub created_by: String,
    /// When the settings were last saved.
    pub updated_at: Timestamp,
    /// Counts every save: the settings' ETag.
    pub revision: u32,
    /// The number of the newest update, 0 before the first.
    pub last_update: u32,
    /// The update whose plan the engine was last made to match; `None` when nothing runs.
    pub running_update: Option<u32>,
}

impl Deployment {
    /// What people know it by: its name where it has one, else its id.
    pub fn called(&self) -> &str {
        self.source.name().map_or(self.id.as_str(), Label::as_str)
    }

    /// What it wants to run, in a few words: a bundle's version, or whose definition.
    pub fn wants(&self) -> String {
        match &self.source {
            Source::Bundle => self.version.to_string(),
            Source::Pipeline(of) => format!("{} · {}", of.pipeline_name, self.version),
            Source::Execution(of) => format!("context {}", of.context),
        }
    }
}

/// The rights of a caller on a deployment: those on its project and on its infrastructure together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeploymentRight {
    /// `view` on both.
    View,
    /// `deploy` on both.
    Deploy,
}

impl DeploymentRight {
    /// What the two rights together amount to; `None` when either is missing.
    pub fn from_parts(
        project: Option<ProjectRight>,
        infrastructure: Option<InfrastructureRight>,
    ) -> Option<Self> {
        let (project, infrastructure) = (project?, infrastructure?);
        if project >= ProjectRight::Deploy && infrastructure >= InfrastructureRight::Deploy {
            Some(Self::Deploy)
        } else {
            Some(Self::View)
        }
    }
}

impl std::fmt::Display for DeploymentRight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::View => "view",
            Self::Deploy => "deploy (on its project and on its infrastructure)",
        })
    }
}

impl Guarded for Deployment {
    type Right = DeploymentRight;
    const NOUN: &'static str = "deployment";
    const SEE: DeploymentRight = DeploymentRight::View;
    const ALL: DeploymentRight = DeploymentRight::Deploy;
    fn id(&self) -> String {
        self.id.to_string()
    }
}
