//! A run that is asked for: where it goes, with which secrets, and what keeps it from going there.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::{Execution, may_run};
use crate::app::deployment::made;
use crate::app::{App, Idempotency, load, remember, replayed, resource, update};
use crate::domain::access::{Authorized, Caller, InfrastructureRight, Subject};
use crate::domain::cluster::Publish;
use crate::domain::context::{Context, ContextSpec, Order, Run, execution_service};
use crate::domain::deployment::{ExecutionOf, Settings, Source};
use crate::domain::infrastructure::{EngineConnection, Infrastructure};
use crate::domain::name::{InfrastructureId, SecretName};
use crate::domain::policy::{Exception, Profile};
use crate::domain::secret::SecretChange;
use crate::domain::stream::{MASK, is_secret};
use crate::domain::workload::{Service, Workload};
use crate::domain::{Error, Kind, Problem, Result, random};
use crate::store::Tx;

/// An execution to be made.
#[derive(Debug, Clone)]
pub struct NewExecution {
    pub context: Uuid,
    pub order: Order,
    /// What the order's engine means.
    pub infrastructure: InfrastructureId,
    /// What namespaces mean besides an infrastructure's own.
    pub namespaces: BTreeMap<String, InfrastructureId>,
    /// Whom it runs as where the infrastructure's profile is restricted.
    pub user: Option<String>,
    /// `DEPLOYER_BASE_URL` where no Ingress gives a path.
    pub base_url: String,
    /// Make it in spite of what governance warns of.
    pub ignore_warnings: bool,
}

/// Runs a context.
///
/// # Errors
/// Not found for the context; `execution_refused` for an engine that the caller may not see; forbidden for a namespace
/// that is not allowed, without `deploy` on the infrastructure, and for host paths that its policy does not grant;
/// `plan_refused`; `governance_warns`.
pub async fn create(
    app: &App,
    caller: &Caller,
    new: NewExecution,
    once: Option<Idempotency>,
) -> Result<Execution> {
    let (app_, who, context) = (app.clone(), caller.clone(), new.context);
    let uuid = app
        .store
        .write(move |tx| match replayed(tx, &who, once.as_ref())? {
            Some(made) => made.parse().map_err(Error::internal),
            None => {
                let uuid = insert(&app_, tx, &who, &new)?;
                remember(tx, &who, once.as_ref(), &uuid.to_string(), app_.now())?;
                Ok(uuid)
            }
        })
        .await?;
    super::get(app, caller, Some(context), uuid).await
}

fn insert(app: &App, tx: &Tx<'_>, caller: &Caller, new: &NewExecution) -> Result<Uuid> {
    let context = load::resource::<ContextSpec>(tx, new.context, &caller.subject)?.into_inner();
    let infrastructure = place(tx, &caller.subject, new)?;
    let uuid = random::uuid();
    let user = user_on(&infrastructure, new)?;
    let secrets = secrets(app, tx, &context, new)?;
    let service = Service { user, ..service(uuid, &context, new, &infrastructure, &secrets) };
    refuse_exceptions(&service, &infrastructure)?;
    let volumes = service.volumes.iter().map(|mount| mount.volume.clone()).collect();
    let workload =
        Workload { services: [(execution_service(), service)].into(), volumes, ..Workload::default() };
    let masked = |(name, value): (&String, &String)| {
        let hide = secrets.contains_key(name.as_str());
        (name.clone(), if hide { MASK.to_owned() } else { value.clone() })
    };
    let of = ExecutionOf {
        context: context.uuid,
        name: context.spec.label_of_execution()?,
        engine: new.order.engine.clone(),
        namespace: new.order.namespace.clone(),
        environment: new.order.environment.iter().map(masked).collect(),
    };
    let id = made::insert(
        app,
        tx,
        caller,
        made::Made {
            uuid,
            group: context.group,
            source: Source::Execution(of),
            workload,
            infrastructure,
            settings: Settings::default(),
            secrets: secrets.into_iter().map(|(name, value)| (name, SecretChange::Set(value))).collect(),
            auto_repair: false,
            folder: String::new(),
            ignore_warnings: new.ignore_warnings,
        },
    )?;
    made::link(tx, &id, &[context.uuid])?;
    update::start_made(app, tx, caller, &id, None)?;
    Ok(uuid)
}

/// The infrastructure that engine and namespace together mean.
fn place(db: &Connection, who: &Subject, new: &NewExecution) -> Result<Authorized<Infrastructure>> {
    // What the caller may not see has no namespace that could be told apart from others.
    let engine = load::infrastructure(db, &new.infrastructure, who, InfrastructureRight::View);
    let asked = new.order.namespace.as_str();
    let own = match &engine {
        Ok(engine) => own_namespace(engine),
        Err(_) => None,
    };
    if asked == "default" || own == Some(asked) {
        return load::infrastructure(db, &new.infrastructure, who, InfrastructureRight::Deploy).map_err(
            |error| match error.kind {
                Kind::NotFound => {
                    Error::problems("execution_refused", vec![Problem::new("engine", error.message)])
                }
                _ => error,
            },
        );
    }
    let meant = engine.as_ref().ok().and_then(|engine| {
        let mapped = new.namespaces.get(asked)?;
        let other = load::infrastructure(db, mapped, who, InfrastructureRight::Deploy).ok()?;
        same_cluster(engine, &other).then_some(other)
    });
    meant.ok_or_else(|| {
        let others =
            new.namespaces.iter().filter(|(_, id)| may_run(db, who, id)).map(|(name, _)| name.as_str());
        let own = own.filter(|_| may_run(db, who, &new.infrastructure));
        let allowed: BTreeSet<&str> = others.chain(own).chain(["default"]).collect();
        let allowed: Vec<&str> = allowed.into_iter().collect();
        let shown: String = asked.chars().take(80).collect();
        Error::forbidden(
            format!("the namespace {shown:?} is not allowed to you on the engine {}", new.order.engine),
            format!(
                "Those that are: {}. An administrator adds others by `renga.namespaces`.",
                allowed.join(", ")
            ),
        )
    })
}

fn own_namespace(infrastructure: &Infrastructure) -> Option<&str> {
    match &infrastructure.engine {
        EngineConnection::Kubernetes(cluster) => {
            Some(cluster.namespace.as_str()).filter(|own| !own.is_empty())
        }
        _ => None,
    }
}

/// A namespace never leads from one kind of engine to another, nor to another server or host.
fn same_cluster(a: &Infrastructure, b: &Infrastructure) -> bool {
    use crate::domain::cluster::ClusterAccess::Kubeconfig;
    match (&a.engine, &b.engine) {
        (EngineConnection::Kubernetes(a), EngineConnection::Kubernetes(b)) => match (&a.access, &b.access) {
            (Kubeconfig { server: a, .. }, Kubeconfig { server: b, .. }) => a == b,
            // In the cluster itself, or a kubeconfig that the configuration names.
            (a, b) => a == b,
        },
        (EngineConnection::Docker { host: a, .. }, EngineConnection::Docker { host: b, .. }) => a == b,
        (a, b) => a == b,
    }
}

/// The run's secrets: its own, and of its context those that it does not say itself.
fn secrets(
    app: &App,
    db: &Connection,
    context: &Context,
    new: &NewExecution,
) -> Result<BTreeMap<SecretName, SecretString>> {
    let held = resource::secrets(app, db, context.uuid)?;
    let own = &new.order.environment;
    let (mut secrets, mut problems) = (BTreeMap::new(), Vec::new());
    for (name, value) in held.iter().filter(|(name, _)| !own.contains_key(*name)) {
        secrets.insert(SecretName::parse(name.as_str())?, value.clone());
    }
    for (name, value) in own.iter().filter(|(name, value)| is_secret(name) && !value.is_empty()) {
        let given = match held.get(name) {
            Some(of_context) if value == MASK => Some(of_context.expose_secret().to_owned()),
            None if value == MASK => None,
            _ => Some(value.clone()),
        };
        match given {
            Some(given) => {
                secrets.insert(SecretName::parse(name.as_str())?, SecretString::from(given));
            }
            None => problems.push(
                Problem::new(format!("environment.{name}"), "its value is not known")
                    .hint(format!("{MASK} stands for a value that the context has; give it once more.")),
            ),
        }
    }
    if problems.is_empty() { Ok(secrets) } else { Err(Error::problems("execution_refused", problems)) }
}

fn service(
    uuid: Uuid,
    context: &Context,
    new: &NewExecution,
    infrastructure: &Infrastructure,
    secrets: &BTreeMap<SecretName, SecretString>,
) -> Service {
    let specification = &context.spec.specification;
    let by_ingress = match &infrastructure.engine {
        EngineConnection::Kubernetes(cluster) => matches!(cluster.publish, Publish::Ingress { .. }),
        _ => false,
    };
    let path = (by_ingress && specification.serves()).then(|| format!("/interactive/{uuid}"));
    let mut service = specification.service(&Run {
        context: context.uuid,
        environment: &new.order.environment,
        base_url: path.as_deref().unwrap_or(&new.base_url),
        ingress_path: path.as_deref(),
    });
    // Secrets come to it as the deployment's, from under their seals.
    service.environment.retain(|name, _| !secrets.contains_key(name.as_str()));
    service
}

/// Whom it runs as, where that may not be the image's own user: a specification can't say it.
fn user_on(infrastructure: &Infrastructure, new: &NewExecution) -> Result<Option<String>> {
    if infrastructure.policy.profile != Profile::Restricted {
        return Ok(None);
    }
    new.user.clone().map(Some).ok_or_else(|| {
        let words =
            format!("{} is restricted, and nothing says whom executions run as there", infrastructure.id);
        let hint = "Name another engine, or have an administrator set `renga.user`.";
        Error::problems("execution_refused", vec![Problem::new("engine", words).hint(hint)])
    })
}

/// What the infrastructure's policy grants to nobody is not this caller's to ask for.
fn refuse_exceptions(service: &Service, infrastructure: &Infrastructure) -> Result<()> {
    let granted = &infrastructure.policy.exceptions;
    let lacking: Vec<&Exception> = service.exceptions.iter().filter(|one| !granted.contains(*one)).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let problem = |exception: &&Exception| {
        Problem::new(
            "spec.volumes",
            format!("it asks for {exception}, which {} does not grant", infrastructure.id),
        )
    };
    let names: Vec<String> = lacking.iter().map(|exception| format!("“{exception}”")).collect();
    let error = Error::forbidden(
        format!("{} does not grant the exception {}", infrastructure.id, names.join(" and ")),
        "Leave the volume out, or have an administrator grant the exception in the infrastructure's policy.",
    );
    Err(Error { code: "exception_missing", problems: lacking.iter().map(problem).collect(), ..error })
}
