//! A pipeline's deployment: made, replaced; each at once with the update that brings it about.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::make::{self, For};
use super::placed;
use crate::app::deployment::{self, Changes, made};
use crate::app::{App, Idempotency, load, remember, replayed, update};
use crate::domain::access::{Authorized, Caller, InfrastructureRight};
use crate::domain::deployment::{Deployment, DeploymentRight, ServiceSettings, Settings, Source};
use crate::domain::infrastructure::Infrastructure;
use crate::domain::name::{DeploymentId, InfrastructureId, Label, SecretName};
use crate::domain::pipeline::definition::own_service;
use crate::domain::pipeline::{PipelineSpec, PipelineUse, StreamUse};
use crate::domain::secret::SecretChange;
use crate::domain::stream::{Options, wrong_options};
use crate::domain::{Error, Kind, Result, random};
use crate::store::Tx;

/// A deployment of a pipeline, as it is asked for. Secret options come in clear, or masked for "as it is".
#[derive(Debug)]
pub struct NewPipelineDeployment {
    /// The pipeline's where none is given.
    pub name: Option<Label>,
    pub pipeline: Uuid,
    pub stream_in: StreamUse,
    pub stream_out: StreamUse,
    pub config: Options,
    pub replicas: Option<u32>,
    /// Else the pipeline's, else the configured one.
    pub infrastructure: Option<InfrastructureId>,
    pub settings: Settings,
    pub secrets: BTreeMap<SecretName, SecretChange>,
    pub auto_repair: bool,
    pub folder: String,
    /// Make it in spite of what governance warns of.
    pub ignore_warnings: bool,
}

/// The same for one that is there.
#[derive(Debug)]
pub struct PipelineChanges {
    pub wanted: NewPipelineDeployment,
    pub enabled: Option<bool>,
    /// The revision that the caller read.
    pub revision: Option<u32>,
    pub reason: Option<String>,
}

impl NewPipelineDeployment {
    fn check(&self) -> Result<()> {
        let places = [
            (&self.stream_in.options, "spec.stream-in-config"),
            (&self.stream_out.options, "spec.stream-out-config"),
            (&self.config, "spec.config"),
        ];
        let problems: Vec<_> =
            places.into_iter().flat_map(|(options, place)| wrong_options(options, place)).collect();
        if problems.is_empty() { Ok(()) } else { Err(Error::problems("invalid_input", problems)) }
    }

    fn used(&self, pipeline_name: &Label) -> PipelineUse {
        PipelineUse {
            pipeline: self.pipeline,
            pipeline_name: pipeline_name.clone(),
            name: self.name.clone().unwrap_or_else(|| pipeline_name.clone()),
            stream_in_config: self.stream_in.clone(),
            stream_out_config: self.stream_out.clone(),
            config: self.config.clone(),
        }
    }

    fn settings(&self) -> Settings {
        let mut settings = self.settings.clone();
        if self.replicas.is_some() {
            let own: &mut ServiceSettings = settings.services.entry(own_service()).or_default();
            own.replicas = self.replicas;
        }
        settings
    }
}

/// Makes a deployment of a pipeline and queues its first update, where governance lets it run.
///
/// # Errors
/// Without `deploy` on the infrastructure; for what it refers to and the caller may not see; `plan_refused`;
/// `governance_warns` unless warnings are ignored.
pub async fn deploy(
    app: &App,
    caller: &Caller,
    new: NewPipelineDeployment,
    once: Option<Idempotency>,
) -> Result<Authorized<Deployment>> {
    new.check()?;
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            if let Some(id) = replayed(tx, &caller, once.as_ref())? {
                return load::deployment(
                    tx,
                    &DeploymentId::parse(id)?,
                    &caller.subject,
                    DeploymentRight::View,
                );
            }
            let id = insert(&app_, tx, &caller, new)?;
            remember(tx, &caller, once.as_ref(), id.as_str(), app_.now())?;
            load::deployment(tx, &id, &caller.subject, DeploymentRight::View)
        })
        .await
}

fn insert(app: &App, tx: &Tx<'_>, caller: &Caller, new: NewPipelineDeployment) -> Result<DeploymentId> {
    let pipeline = load::resource::<PipelineSpec>(tx, new.pipeline, &caller.subject)
        .map_err(|error| placed(error, "spec.pipeline"))?;
    let named = new.infrastructure.clone().or_else(|| pipeline.spec.infrastructure.clone());
    let infrastructure = place(app, tx, caller, named)?;
    let (uuid, settings) = (random::uuid(), new.settings());
    let mut of = new.used(&pipeline.name);
    let own = make::take_own(&mut of);
    deployment::refuse_own_secrets(&Source::Pipeline(of.clone()), new.secrets.keys())?;
    let derived = make::derive(app, tx, &caller.subject, &For { uuid, revision: 1, of: &of, own: &own })?;
    let set = derived.definition.secrets.into_iter().map(|(name, value)| (name, SecretChange::Set(value)));
    let id = made::insert(
        app,
        tx,
        caller,
        made::Made {
            uuid,
            group: derived.group,
            source: Source::Pipeline(of),
            workload: derived.definition.workload,
            infrastructure,
            settings,
            secrets: new.secrets.into_iter().chain(set).collect(),
            auto_repair: new.auto_repair,
            folder: new.folder,
            ignore_warnings: new.ignore_warnings,
        },
    )?;
    made::link(tx, &id, &derived.uses)?;
    update::start_made(app, tx, caller, &id, None)?;
    Ok(id)
}

/// Where it runs: on the infrastructure that is named, else on the configured one.
fn place(
    app: &App,
    tx: &Tx<'_>,
    caller: &Caller,
    named: Option<InfrastructureId>,
) -> Result<Authorized<Infrastructure>> {
    const PLACE: &str = "spec.infrastructure";
    let load = |id| load::infrastructure(tx, id, &caller.subject, InfrastructureRight::Deploy);
    if let Some(named) = &named {
        return load(named).map_err(|error| placed(error, PLACE));
    }
    load(&app.rules.datacater.infrastructure).map_err(|error| match error.kind {
        Kind::NotFound => {
            Error::field(PLACE, "neither the deployment nor its pipeline names one, and there is none for all").hint(
                "Name it here or in the pipeline; an administrator may set datacater.default_infrastructure for all.",
            )
        }
        _ => error,
    })
}

/// Replaces what a pipeline's deployment is, and queues the update that brings it about, where governance lets it run.
///
/// # Errors
/// Without `deploy` on both; `changed_meanwhile`; `being_removed`; as [`deploy`].
pub async fn redeploy(
    app: &App,
    caller: &Caller,
    id: DeploymentId,
    changes: PipelineChanges,
    once: Option<Idempotency>,
) -> Result<Authorized<Deployment>> {
    changes.wanted.check()?;
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            if replayed(tx, &caller, once.as_ref())?.is_none() {
                replace(&app_, tx, &caller, &id, changes)?;
                remember(tx, &caller, once.as_ref(), id.as_str(), app_.now())?;
            }
            load::deployment(tx, &id, &caller.subject, DeploymentRight::View)
        })
        .await
}

fn replace(
    app: &App,
    tx: &Tx<'_>,
    caller: &Caller,
    id: &DeploymentId,
    changes: PipelineChanges,
) -> Result<()> {
    let before = load::deployment(tx, id, &caller.subject, DeploymentRight::Deploy)?.into_inner();
    crate::app::expect_revision("deployment", id.as_str(), before.revision, changes.revision)?;
    if before.source.pipeline().is_none() {
        return Err(Error::field("spec.pipeline", "this deployment runs a bundle, and goes on doing so")
            .hint("Make another deployment for the pipeline."));
    }
    deployment::refuse_fixed(&before)?;
    let new = changes.wanted;
    if new.infrastructure.as_ref().is_some_and(|wanted| *wanted != before.infrastructure) {
        let words = format!("it is {}, and never changes", before.infrastructure);
        return Err(Error::field("spec.infrastructure", words).hint("Make another deployment there."));
    }
    deployment::refuse_own_secrets(&before.source, new.secrets.keys())?;
    let settings = new.settings();
    let held = deployment::opened_secrets(app, tx, id)?;
    let pipeline = load::resource::<PipelineSpec>(tx, new.pipeline, &caller.subject)
        .map_err(|error| placed(error, "spec.pipeline"))?;
    let mut of = new.used(&pipeline.name);
    let mut own = make::take_own(&mut of);
    if let Some(now) = before.source.pipeline() {
        make::add_held(&of, now, &mut own, &held);
    }
    let remade = make::remade(app, tx, &caller.subject, &before, of, &own, &held)?.unwrap_or_default();
    let mut secrets = remade.secrets;
    secrets.extend(new.secrets);
    let changes = Changes {
        settings: Some(settings),
        secrets,
        enabled: Some(changes.enabled.unwrap_or(true)),
        auto_repair: Some(new.auto_repair),
        folder: Some(new.folder),
        reason: changes.reason.clone(),
        ignore_warnings: new.ignore_warnings,
        ..remade
    };
    deployment::apply(app, tx, caller, before, &changes)?;
    update::start_made(app, tx, caller, id, changes.reason)
}
