//! What is answered of a deployment: DataCater's `name`, `uuid`, `spec` and `status`, with the state that was last
//! observed.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{AnyOfBuilder, Object, ObjectBuilder, Schema, Type};
use uuid::Uuid;

use crate::app::deployment::{Detail, State, Summary};
use crate::domain::clock::Timestamp;
use crate::domain::deployment::{Deployment as Stored, DeploymentRight, Source};
use crate::domain::diff::Change;
use crate::domain::health::{Health, Message, Sync};
use crate::domain::name::{ServiceName, StageId};
use crate::domain::plan::Downtime;
use crate::domain::secret::SecretInfo;
use crate::domain::workload::ServiceKind;
use crate::engine::{Condition, Endpoint, EngineObject, Phase, SlotState};
use crate::http::api::deployment_body::DeploymentSpec;
use crate::http::api::deployment_object::{ObjectStatus, by_name};
use crate::http::api::pipeline_deployment::PipelineDeploymentSpec;
use crate::http::error::ErrorBody;

/// A deployment: a project's bundle on an infrastructure, with settings.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    pub uuid: Uuid,
    /// Its id; of a pipeline's deployment, whose id is its uuid, a name for people.
    pub name: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    pub created_by: String,
    /// When the settings were last saved.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    pub spec: AnySpec,
    pub status: Status,
}

/// A bundle with settings, or a pipeline between two streams.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum AnySpec {
    Bundle(Box<DeploymentSpec>),
    Pipeline(Box<PipelineDeploymentSpec>),
}

impl AnySpec {
    fn of(stored: &Stored) -> Self {
        match &stored.source {
            Source::Pipeline(of) => Self::Pipeline(Box::new(PipelineDeploymentSpec::of(stored, of))),
            Source::Bundle | Source::Execution(_) => Self::Bundle(Box::new(DeploymentSpec::of(stored))),
        }
    }
}

/// What is known of a deployment now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// By the name of each of the engine's objects that stand for a service: its labels, annotations and `Conditions`, as
    /// DataCater's clients read them. On Docker made of the service's containers.
    #[serde(flatten)]
    #[schema(schema_with = objects_by_name)]
    pub by_object: BTreeMap<String, ObjectStatus>,
    #[serde(flatten)]
    pub condition: HealthReport,
    pub stage: StageId,
    /// Counts every save: the settings' ETag.
    pub revision: u32,
    /// The number of the newest update, 0 before the first.
    pub last_update: u32,
    /// The update whose plan runs; absent when nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_update: Option<u32>,
    /// Whether it is being deleted: it goes as soon as it has stopped.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleting: bool,
    /// More, where one deployment is asked for.
    #[serde(flatten)]
    #[schema(schema_with = details_or_none)]
    pub details: Option<Details>,
}

/// What stands under names of its own among other fields can't be said closer.
fn objects_by_name() -> Object {
    let text = "By the name of each of the engine's objects that stand for a service: its labels, annotations and \
                `Conditions`, as DataCater's clients read them. On Docker made of the service's containers.";
    ObjectBuilder::new().schema_type(Type::Object).description(Some(text)).build()
}

fn details_or_none() -> Schema {
    let details = Ref::from_schema_name("Details");
    AnyOfBuilder::new().item(details).item(Object::with_type(Type::Object)).build().into()
}

/// Health and what it is folded from.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthReport {
    pub health: Health,
    /// Whether what runs is what the settings give.
    pub sync: Sync,
    /// Replicas that are ready; a finished task counts.
    pub ready: u32,
    /// Replicas that are asked for.
    pub wanted: u32,
    pub messages: Vec<Message>,
    /// When the health last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub changed_at: Option<Timestamp>,
}

impl From<State> for HealthReport {
    fn from(state: State) -> Self {
        Self {
            health: state.health,
            sync: state.sync,
            ready: state.ready,
            wanted: state.wanted,
            messages: state.messages,
            changed_at: state.changed_at,
        }
    }
}

/// What only one deployment's own answer holds.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// Whether the caller may save, update, stop and delete it.
    pub may_deploy: bool,
    /// Names and versions; values are never shown.
    pub secrets: Vec<SecretInfo>,
    pub slots: Vec<Slot>,
    /// What the engine keeps the services as, and what it says of that: on Kubernetes Deployments and Jobs, and pods of
    /// which a condition does not hold; on Docker containers. As it was last observed.
    pub objects: Vec<EngineObject>,
    /// What an update would change now.
    pub changes: Vec<Change>,
    /// Which services an update would interrupt.
    pub downtime: Vec<Downtime>,
    /// Why the settings give no plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<ErrorBody>,
}

/// One replica.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    pub service: ServiceName,
    /// Counted from 1.
    pub replica: u32,
    /// The update that made it.
    pub revision: u32,
    pub engine_id: String,
    /// `created`, `starting`, `running`, `unhealthy`, `restarting`, `paused`, `exited`, `pending`, `blocked` or `dead`.
    pub phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// What its own program answers for its health, where that makes it unhealthy, e.g. `answers 503`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The engine's own restarts of it.
    pub restarts: u32,
    pub image_id: String,
    pub endpoints: Vec<Endpoint>,
    /// Whether peers reach it by the service's name.
    pub serving: bool,
    /// `Ready` and `InSync`, as Slipway sees them.
    pub conditions: Vec<Condition>,
}

impl Deployment {
    fn new(
        stored: &Stored,
        stage: StageId,
        state: State,
        objects: &[EngineObject],
        details: Option<Details>,
    ) -> Self {
        Self {
            uuid: stored.uuid,
            name: stored.source.name().map_or_else(|| stored.id.to_string(), ToString::to_string),
            created_at: stored.created_at,
            created_by: stored.created_by.clone(),
            updated_at: stored.updated_at,
            spec: AnySpec::of(stored),
            status: Status {
                by_object: by_name(&stored.id, objects),
                condition: state.into(),
                stage,
                revision: stored.revision,
                last_update: stored.last_update,
                running_update: stored.running_update,
                deleting: stored.removal.is_some(),
                details,
            },
        }
    }
}

impl From<(Summary, Vec<EngineObject>)> for Deployment {
    fn from((summary, objects): (Summary, Vec<EngineObject>)) -> Self {
        Self::new(&summary.deployment, summary.stage, summary.state, &objects, None)
    }
}

impl From<Detail> for Deployment {
    fn from(detail: Detail) -> Self {
        let (slots, objects) = (slots(&detail), detail.objects.clone());
        let details = Details {
            may_deploy: detail.deployment.may(DeploymentRight::Deploy),
            slots,
            objects: detail.objects,
            secrets: detail.secrets,
            changes: detail.changes,
            downtime: detail.downtime,
            refusal: detail.wanted.err().map(|error| ErrorBody::new(&error, None)),
        };
        Self::new(&detail.deployment, detail.summary.stage, detail.summary.state, &objects, Some(details))
    }
}

/// The replicas of a deployment.
pub fn slots(detail: &Detail) -> Vec<Slot> {
    let is_task = |slot: &SlotState| {
        let service = detail.running.as_ref().and_then(|plan| plan.workload.services.get(&slot.slot.service));
        service.is_some_and(|service| service.kind == ServiceKind::Task)
    };
    detail.slots.iter().map(|slot| Slot::new(slot, is_task(slot), detail.trouble(slot))).collect()
}

impl Slot {
    fn new(state: &SlotState, is_task: bool, trouble: Option<String>) -> Self {
        Self {
            service: state.slot.service.clone(),
            replica: state.slot.index + 1,
            revision: state.revision,
            engine_id: state.engine_id.clone(),
            phase: phase_word(&state.phase),
            trouble,
            exit_code: match state.phase {
                Phase::Exited { code, .. } => Some(code),
                _ => None,
            },
            started_at: state.started_at,
            ended_at: state.ended_at,
            restarts: state.restarts,
            image_id: state.image_id.clone(),
            endpoints: state.endpoints.clone(),
            serving: state.serving,
            conditions: vec![readiness(state, is_task), sync(state)],
        }
    }
}

fn readiness(state: &SlotState, is_task: bool) -> Condition {
    let ready = state.phase.is_ready(is_task);
    Condition {
        message: Some(state.detail.clone()),
        ..Condition::new("Ready", ready, state.phase.reason()).since(state.ended_at.or(state.started_at))
    }
}

fn sync(state: &SlotState) -> Condition {
    let reason = if state.drift.is_none() { "AsPlanned" } else { "Drifted" };
    Condition {
        message: Some(state.drift.clone().unwrap_or_default()),
        ..Condition::new("InSync", state.drift.is_none(), reason)
    }
}

/// A phase's word.
fn phase_word(phase: &Phase) -> &'static str {
    match phase {
        Phase::Created => "created",
        Phase::Starting => "starting",
        Phase::Running => "running",
        Phase::Unhealthy => "unhealthy",
        Phase::Restarting => "restarting",
        Phase::Paused => "paused",
        Phase::Exited { .. } => "exited",
        Phase::Pending => "pending",
        Phase::Blocked => "blocked",
        Phase::Dead => "dead",
    }
}
