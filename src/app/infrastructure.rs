//! Infrastructures: made by administrators, whose are the connection and the exceptions from the policy; the rest
//! belongs to those with `admin` on it.

pub mod connection;

use std::collections::BTreeMap;

use serde_json::json;

use super::{App, Idempotency, Note, expect_revision, load, regranted, remember, replayed};
use crate::bus::Topic;
use crate::domain::access::{Authorized, Caller, InfrastructureRight, Subject};
use crate::domain::infrastructure::{EngineConnection, GovernPolicy, Infrastructure};
use crate::domain::name::{GroupName, InfrastructureId, StageId};
use crate::domain::policy::Policy;
use crate::domain::{Error, Result};
use crate::engine::{EngineReport, kubernetes};
use crate::store;
use crate::store::Tx;
use crate::store::observation::EngineState;
use connection::{Pasted, Wanted};

/// An infrastructure to be made.
#[derive(Debug, Clone)]
pub struct NewInfrastructure {
    pub id: InfrastructureId,
    pub stage: StageId,
    /// The local Docker engine where none is named.
    pub engine: Option<EngineConnection>,
    /// For a Kubernetes engine whose access is left out.
    pub kubeconfig: Option<Pasted>,
    pub govern_policy: GovernPolicy,
    pub policy: Policy,
}

/// Makes an infrastructure.
///
/// # Errors
/// Forbidden but for administrators; `infrastructure_exists`; no such stage; `kubeconfig_refused`.
pub async fn create(
    app: &App,
    caller: &Caller,
    new: NewInfrastructure,
    once: Option<Idempotency>,
) -> Result<Authorized<Infrastructure>> {
    caller.subject.demand_admin("making an infrastructure")?;
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            if replayed(tx, &caller, once.as_ref())?.is_none() {
                insert(&app_, tx, &caller, &new)?;
                remember(tx, &caller, once.as_ref(), new.id.as_str(), app_.now())?;
            }
            load::infrastructure(tx, &new.id, &caller.subject, InfrastructureRight::View)
        })
        .await
}

/// Makes an infrastructure inside somebody else's transaction: a fresh instance makes `local`.
pub fn insert(app: &App, tx: &Tx<'_>, caller: &Caller, new: &NewInfrastructure) -> Result<()> {
    if store::infrastructure::find(tx, &new.id, &Subject::system())?.is_some() {
        return Err(Error::conflict("infrastructure_exists", format!("infrastructure {} exists", new.id)));
    }
    let now = app.now();
    let stage = known_stage(tx, &new.stage)?;
    let wanted = Wanted {
        id: &new.id,
        held: None,
        revision: 1,
        engine: new.engine.as_ref(),
        pasted: new.kubeconfig.as_ref(),
    };
    let (engine, credential) = wanted.settle(app, tx)?;
    let infrastructure = Infrastructure {
        id: new.id.clone(),
        stage,
        engine,
        credential,
        govern_policy: new.govern_policy,
        policy: new.policy.clone(),
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    store::infrastructure::put(tx, &infrastructure)?;
    let detail = json!({ "stage": infrastructure.stage, "engine": infrastructure.engine.kind() });
    app.journal(
        tx,
        caller,
        "infrastructure.created",
        ("infrastructure", new.id.as_str()),
        Note::detail(detail),
    )?;
    tx.publish(Topic::Infrastructure(new.id.clone()));
    Ok(())
}

fn known_stage(db: &rusqlite::Connection, wanted: &StageId) -> Result<StageId> {
    if let Some(stage) = store::stage::find(db, wanted)? {
        return Ok(stage.id);
    }
    let known: Vec<String> = store::stage::list(db)?.into_iter().map(|stage| stage.id.to_string()).collect();
    Err(Error::field("stage", format!("there is no stage {wanted}; the stages are {}", known.join(", "))))
}

/// One infrastructure with the caller's right on it and what its engine last said.
pub async fn get(
    app: &App,
    caller: &Caller,
    id: InfrastructureId,
) -> Result<(Authorized<Infrastructure>, Option<EngineState>)> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let found = load::infrastructure(db, &id, &subject, InfrastructureRight::View)?;
            let state = store::observation::engine(db, &id)?;
            Ok((found, state))
        })
        .await
}

/// One row of the list.
#[derive(Debug, Clone)]
pub struct Listed {
    pub infrastructure: Infrastructure,
    pub right: InfrastructureRight,
    pub engine: Option<EngineState>,
}

/// The infrastructures that the caller may see, in the order of their stages.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Listed>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            let found = store::infrastructure::list(db, &subject)?;
            let listed = found.into_iter().map(|(infrastructure, right)| {
                let engine = store::observation::engine(db, &infrastructure.id)?;
                Ok(Listed { infrastructure, right, engine })
            });
            listed.collect()
        })
        .await
}

/// What may be changed of an infrastructure; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub stage: Option<StageId>,
    pub engine: Option<EngineConnection>,
    /// Replaces how a Kubernetes engine is reached, and its credential.
    pub kubeconfig: Option<Pasted>,
    pub govern_policy: Option<GovernPolicy>,
    pub policy: Option<Policy>,
    /// Every grant on it: a group that is not named loses what it has.
    pub grants: Option<BTreeMap<GroupName, InfrastructureRight>>,
    /// The revision that the caller read.
    pub revision: Option<u32>,
}

/// Saves the settings. Every deployment on it is planned again, to show what is out of sync now.
///
/// # Errors
/// Without `admin` on it; changing the connection or the exceptions takes an administrator; `changed_meanwhile`;
/// `kubeconfig_refused`.
pub async fn save(
    app: &App,
    caller: &Caller,
    id: InfrastructureId,
    changes: Changes,
) -> Result<Authorized<Infrastructure>> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            let held = load::infrastructure(tx, &id, &caller.subject, InfrastructureRight::Admin)?;
            expect_revision("infrastructure", id.as_str(), held.revision, changes.revision)?;
            let mut infrastructure = held.into_inner();
            infrastructure.revision += 1;
            apply(&app_, tx, &caller, &mut infrastructure, &changes)?;
            infrastructure.updated_at = app_.now();
            store::infrastructure::put(tx, &infrastructure)?;
            super::deployment::plan_again(tx, &infrastructure)?;
            let detail = json!({ "stage": infrastructure.stage, "govern_policy": infrastructure.govern_policy,
                "policy": infrastructure.policy, "engine": infrastructure.engine.kind(),
                "credential_replaced": changes.kubeconfig.is_some() });
            let object = ("infrastructure", id.as_str());
            app_.journal(tx, &caller, "infrastructure.saved", object, Note::detail(detail))?;
            tx.publish(Topic::Infrastructure(id.clone()));
            let saved = load::infrastructure(tx, &id, &caller.subject, InfrastructureRight::View)?;
            for (group, right) in regranted(store::infrastructure::grants(tx, &id)?, changes.grants.as_ref())
            {
                set_grant(&app_, tx, &caller, &id, &group, right)?;
            }
            Ok(saved)
        })
        .await
}

fn apply(
    app: &App,
    tx: &Tx<'_>,
    caller: &Caller,
    infrastructure: &mut Infrastructure,
    changes: &Changes,
) -> Result<()> {
    if let Some(stage) = &changes.stage {
        infrastructure.stage = known_stage(tx, stage)?;
    }
    reconnect(app, tx, caller, infrastructure, changes)?;
    if let Some(govern_policy) = changes.govern_policy {
        infrastructure.govern_policy = govern_policy;
    }
    if let Some(policy) = &changes.policy {
        if policy.exceptions != infrastructure.policy.exceptions
            || policy.profile != infrastructure.policy.profile
        {
            caller.subject.demand_admin("changing the profile or granting exceptions")?;
        }
        infrastructure.policy = policy.clone();
    }
    Ok(())
}

/// Changes how the engine is reached where the save says anything of it.
fn reconnect(
    app: &App,
    tx: &Tx<'_>,
    caller: &Caller,
    infrastructure: &mut Infrastructure,
    changes: &Changes,
) -> Result<()> {
    let differs =
        changes.engine.as_ref().is_some_and(|engine| connection::differs(engine, &infrastructure.engine));
    if !differs && changes.kubeconfig.is_none() {
        return Ok(());
    }
    // Before anything is judged: what a refusal names is for administrators.
    caller.subject.demand_admin("changing an engine's connection")?;
    let wanted = Wanted {
        id: &infrastructure.id,
        held: Some(infrastructure),
        revision: infrastructure.revision,
        engine: changes.engine.as_ref(),
        pasted: changes.kubeconfig.as_ref(),
    };
    let (engine, credential) = wanted.settle(app, tx)?;
    infrastructure.engine = engine;
    infrastructure.credential = credential;
    Ok(())
}

/// Deletes an infrastructure.
///
/// # Errors
/// Forbidden but for administrators; `infrastructure_in_use`, naming deployments.
pub async fn delete(app: &App, caller: &Caller, id: InfrastructureId) -> Result<()> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            load::infrastructure(tx, &id, &caller.subject, InfrastructureRight::Admin)?;
            caller.subject.demand_admin("deleting an infrastructure")?;
            let users = store::deployment::users_of(tx, Some(&id), None)?;
            if !users.is_empty() {
                return Err(Error::conflict(
                    "infrastructure_in_use",
                    format!("infrastructure {id} is used by the deployments {}", users.join(", ")),
                )
                .hint("Delete them first."));
            }
            let built: Vec<String> = builds_for(tx, &id)?;
            if !built.is_empty() {
                let message = format!("infrastructure {id} builds images for {}", built.join(", "));
                return Err(Error::conflict("infrastructure_in_use", message)
                    .hint("Name another builder in their settings first."));
            }
            store::infrastructure::delete(tx, &id)?;
            app_.journal(
                tx,
                &caller,
                "infrastructure.deleted",
                ("infrastructure", id.as_str()),
                Note::default(),
            )?;
            tx.publish(Topic::Infrastructure(id));
            Ok(())
        })
        .await
}

/// The infrastructures that name this one as their builder.
fn builds_for(tx: &Tx<'_>, id: &InfrastructureId) -> Result<Vec<String>> {
    let all = store::infrastructure::all(tx)?.into_iter();
    let named = all.filter(|one| match &one.engine {
        EngineConnection::Kubernetes(cluster) => cluster.builder.as_ref() == Some(id),
        _ => false,
    });
    Ok(named.map(|one| one.id.to_string()).collect())
}

/// The smallest Role that Slipway needs in the infrastructure's namespace, and its RoleBinding, as YAML to copy.
///
/// # Errors
/// Without `view` on it; `no_role` where the engine is no Kubernetes cluster.
pub async fn role(app: &App, caller: &Caller, id: InfrastructureId) -> Result<String> {
    let (infrastructure, _) = get(app, caller, id).await?;
    match &infrastructure.engine {
        EngineConnection::Kubernetes(cluster) => Ok(kubernetes::role(&cluster.namespace)),
        other => Err(Error::conflict(
            "no_role",
            format!("infrastructure {} is of kind {}, which knows no roles", infrastructure.id, other.kind()),
        )
        .hint("Roles are Kubernetes'; ask for that of an infrastructure of kind kubernetes.")),
    }
}

/// Asks the engine itself what it is and what is missing.
///
/// # Errors
/// Without `view` on it; `engine_unreachable` with the engine's words.
pub async fn test(app: &App, caller: &Caller, id: InfrastructureId) -> Result<EngineReport> {
    let (infrastructure, _) = get(app, caller, id).await?;
    let engine = app.engines.get(&infrastructure);
    engine.check().await.map_err(|error| {
        Error::new(crate::domain::Kind::Unavailable, "engine_unreachable", error.to_string())
            .hint("Check the connection in the infrastructure's settings, and that the engine runs.")
    })
}

/// The grants on an infrastructure.
///
/// # Errors
/// Without `view` on it.
pub async fn grants(
    app: &App,
    caller: &Caller,
    id: InfrastructureId,
) -> Result<Vec<(GroupName, InfrastructureRight)>> {
    let subject = caller.subject.clone();
    app.store
        .read(move |db| {
            load::infrastructure(db, &id, &subject, InfrastructureRight::View)?;
            store::infrastructure::grants(db, &id)
        })
        .await
}

/// Gives a group a right on an infrastructure, or takes it away with `None`.
///
/// # Errors
/// Without `admin` on it.
pub async fn grant(
    app: &App,
    caller: &Caller,
    id: InfrastructureId,
    group: GroupName,
    right: Option<InfrastructureRight>,
) -> Result<Vec<(GroupName, InfrastructureRight)>> {
    let (app_, caller) = (app.clone(), caller.clone());
    app.store
        .write(move |tx| {
            load::infrastructure(tx, &id, &caller.subject, InfrastructureRight::Admin)?;
            set_grant(&app_, tx, &caller, &id, &group, right)?;
            store::infrastructure::grants(tx, &id)
        })
        .await
}

fn set_grant(
    app: &App,
    tx: &Tx<'_>,
    caller: &Caller,
    id: &InfrastructureId,
    group: &GroupName,
    right: Option<InfrastructureRight>,
) -> Result<()> {
    store::infrastructure::grant(tx, id, group, right)?;
    let detail = json!({ "group": group, "right": right });
    let object = ("infrastructure", id.as_str());
    app.journal(tx, caller, "infrastructure.granted", object, Note::detail(detail))?;
    tx.publish(Topic::Access);
    tx.publish(Topic::Infrastructure(id.clone()));
    Ok(())
}
