//! What a replica's own program answers for its health and with its metrics: asked by Slipway, of the replica alone.

use super::log::engine_failed;
use super::{App, load};
use crate::domain::access::{Caller, InfrastructureRight, Subject};
use crate::domain::deployment::{Deployment, DeploymentRight};
use crate::domain::infrastructure::Infrastructure;
use crate::domain::name::{DeploymentId, ServiceName};
use crate::domain::pipeline::definition::own_service;
use crate::domain::plan::Plan;
use crate::domain::workload::{MetricsEndpoint, Service};
use crate::domain::{Error, Kind, Result};
use crate::engine::SlotState;
pub use crate::engine::probe::Answered;
use crate::engine::probe::{self, Silence};
use crate::store;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Health,
    Metrics,
}

impl Asked {
    fn word(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Metrics => "metrics",
        }
    }

    fn place(self, service: &Service) -> Option<&MetricsEndpoint> {
        match self {
            Self::Health => service.health.as_ref(),
            Self::Metrics => service.metrics.as_ref(),
        }
    }
}

/// Which replica; of a pipeline's deployment its own first one where none is named.
#[derive(Debug, Clone, Default)]
pub struct Of {
    pub service: Option<ServiceName>,
    /// Counted from 1.
    pub replica: Option<u32>,
}

/// Asks a replica's own program, where the plan that runs says that it answers.
///
/// # Errors
/// Without `view`; `nothing_runs`; `no_endpoint`; a replica that is not there; `replica_silent`; `engine_unreachable`.
pub async fn ask(app: &App, caller: &Caller, id: DeploymentId, asked: Asked, of: Of) -> Result<Answered> {
    let subject = caller.subject.clone();
    let (deployment, infrastructure, running, slots) = app
        .store
        .read(move |db| {
            let deployment = load::deployment(db, &id, &subject, DeploymentRight::View)?;
            let system = Subject::system();
            let infrastructure =
                load::infrastructure(db, &deployment.infrastructure, &system, InfrastructureRight::View)?;
            let running = super::deployment::running_plan(db, &deployment)?;
            let slots: Vec<SlotState> = store::observation::slots(db, &infrastructure.id, &id)?;
            Ok((deployment.into_inner(), infrastructure.into_inner(), running, slots))
        })
        .await?;
    let running = running.ok_or_else(|| {
        Error::conflict("nothing_runs", format!("nothing of deployment {} runs", deployment.id))
            .hint("Update it, and ask again.")
    })?;
    let (name, place) = endpoint(&deployment, &running, asked, of.service.as_ref())?;
    let slot = replica(&slots, &name, of.replica)?;
    let engine = app.engines.get(&infrastructure);
    let client = probe::client().map_err(Error::internal)?;
    let within = app.rules.datacater.answer_timeout;
    let answer =
        async { probe::read(probe::ask(&client, engine.as_ref(), &slot.slot, &place, within).await?).await };
    answer.await.map_err(|silence| match silence {
        Silence::Engine(error) => engine_failed(&error),
        Silence::Program(why) => silent(&infrastructure, &name, asked, &why),
    })
}

/// Where the service answers that is asked for; where none is named the pipeline's own, or the only one that does.
fn endpoint(
    deployment: &Deployment,
    plan: &Plan,
    asked: Asked,
    named: Option<&ServiceName>,
) -> Result<(ServiceName, MetricsEndpoint)> {
    let own = deployment.source.pipeline().map(|_| own_service());
    let wanted = named.or(own.as_ref());
    let answers =
        plan.workload.services.iter().filter_map(|(name, service)| Some((name, asked.place(service)?)));
    let mut found: Vec<_> = answers.filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name)).collect();
    match (found.pop(), found.is_empty()) {
        (Some((name, place)), true) => Ok((name.clone(), place.clone())),
        (Some(_), false) => Err(Error::field("service", format!("several services have {}", asked.word()))
            .hint("Name one of them.")),
        (None, _) => {
            let words = format!(
                "nothing that runs of deployment {} says where it answers with its {}",
                deployment.id,
                asked.word()
            );
            Err(Error::conflict("no_endpoint", words)
                .hint("Write `x-slipway: {metrics: {port: …, path: …}}` at a service of the bundle."))
        }
    }
}

fn replica<'a>(slots: &'a [SlotState], service: &ServiceName, wanted: Option<u32>) -> Result<&'a SlotState> {
    let index = match wanted {
        Some(0) => return Err(Error::field("replica", "replicas are counted from 1")),
        wanted => wanted.unwrap_or(1) - 1,
    };
    let of = |slot: &&SlotState| slot.slot.service == *service;
    let found =
        slots.iter().filter(of).filter(|slot| slot.slot.index == index).max_by_key(|slot| slot.revision);
    found.ok_or_else(|| {
        let there = slots.iter().filter(of).count();
        Error::field("replica", format!("{service} has no replica {}; it has {there}", index + 1))
    })
}

fn silent(infrastructure: &Infrastructure, service: &ServiceName, asked: Asked, why: &str) -> Error {
    let words =
        format!("service {service} on {} does not answer for its {}: {why}", infrastructure.id, asked.word());
    Error::new(Kind::Unavailable, "replica_silent", words).hint("Its log may say why.")
}
